{#- The tables of a raw source that its YAML declares and that hold sets, with what stands there in `meta`. -#}
{% macro raw_tables(source_name) -%}
    {%- set tables = [] -%}
    {%- if execute -%}
        {%- for node in graph.sources.values() | sort(attribute='name') -%}
            {%- if node.source_name == 'raw_' ~ source_name and node.name != 'covered' -%}
                {%- do tables.append(node) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(tables) }}
{%- endmacro %}
