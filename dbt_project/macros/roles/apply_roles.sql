{#- `dbt run-operation apply_roles`: make the groups and grant their rights now, without building anything. -#}
{% macro apply_roles() -%}
    {%- do run_query(create_roles()) -%}
    {%- do run_query(grant_roles()) -%}
{%- endmacro %}
