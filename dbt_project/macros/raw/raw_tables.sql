{#- The tables of a raw source that its YAML declares and that hold sets, with what stands there in `meta`; neither the
    receipts nor what was quarantined. -#}
{% macro raw_tables(source_name) -%}
    {%- set tables = [] -%}
    {%- if execute -%}
        {%- for node in graph.sources.values() | sort(attribute='name') -%}
            {%- if node.source_name == 'raw_' ~ source_name and node.name not in ('covered', 'quarantine', 'quarantine_resolved') -%}
                {%- do tables.append(node) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(tables) }}
{%- endmacro %}
