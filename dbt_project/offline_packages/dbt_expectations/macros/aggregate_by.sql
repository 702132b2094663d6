{#- One aggregate for each group, under key_1, key_2, ...; key_0 is the same for all, so that two sides always join. -#}
{% macro aggregate_by(model, expression, keys, row_condition) -%}
    select
        1 as key_0,
        {%- for key in keys %}
        {{ key }} as key_{{ loop.index }},
        {%- endfor %}
        {{ expression }} as aggregate
    {{ dbt_expectations.rows_of(model, row_condition) }}
    {{ dbt_expectations.group_clause(keys) }}
{%- endmacro %}
