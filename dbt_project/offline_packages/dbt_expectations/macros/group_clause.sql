{#- `group by` the expressions of a list, or nothing. -#}
{% macro group_clause(group_by) -%}
    {%- if group_by -%}
    group by {{ group_by | join(", ") }}
    {%- endif -%}
{%- endmacro %}
