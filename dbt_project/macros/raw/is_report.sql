{#- Is a raw table (a node of raw_tables) a report, one set a day, rather than a list of entities? Its rows say the day
    in a field, or its meta says `by_day`. -#}
{% macro is_report(table) -%}
    {{ return(
        table.config.meta.get('by_day')
        or table.columns.values() | selectattr('meta.shape', 'equalto', 'date') | list | length > 0
    ) }}
{%- endmacro %}
