{#- Is a raw table (a node of raw_tables) a report, one set a day, rather than a list of entities? -#}
{% macro is_report(table) -%}
    {{ return(table.columns.values() | selectattr('meta.shape', 'equalto', 'date') | list | length > 0) }}
{%- endmacro %}
