{#- What a test says something about, as {name: kind}: the subjects its meta names, else the marts and sources it reads,
    else the reports. -#}
{% macro test_subjects(test) -%}
    {%- set found = {'mart': [], 'source': [], 'report': []} -%}
    {%- for unique_id in test.depends_on.nodes -%}
        {%- set node = graph.nodes.get(unique_id) or graph.sources.get(unique_id) -%}
        {%- set name = node.name -%}
        {%- if node.resource_type == 'source' -%}
            {%- do found.source.append(node.source_name.removeprefix('raw_')) -%}
        {%- elif name.startswith('stg_') -%}
            {%- do found.source.append(name.removeprefix('stg_').split('__')[0]) -%}
        {%- elif node.fqn[1] == 'marts' -%}
            {%- do found.mart.append(name) -%}
        {%- elif name != 'rpt_restatements' or test.attached_node == unique_id -%}{#- see blocks_nothing -#}
            {%- do found.report.append(name) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- set subjects = {} -%}
    {%- for name in test.config.meta.get('subjects', []) -%}
        {%- do subjects.update({name: 'source'}) -%}
    {%- endfor -%}
    {%- if not subjects -%}
        {%- for kind in ['mart', 'source'] -%}
            {%- for name in found[kind] -%}
                {%- do subjects.update({name: kind}) -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {%- if not subjects -%}
        {%- for name in found.report -%}
            {%- do subjects.update({name: 'report'}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(subjects) }}
{%- endmacro %}
