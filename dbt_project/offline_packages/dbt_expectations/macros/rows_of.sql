{#- The rows of a model for which a condition, if there is one, is true. -#}
{% macro rows_of(model, row_condition) -%}
    from {{ model }}
    {%- if row_condition %}
    where ({{ row_condition }})
    {%- endif %}
{%- endmacro %}
