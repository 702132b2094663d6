{#- `dbt run-operation apply_roles`: make the groups and grant their rights now, without building anything. -#}
{% macro apply_roles() -%}
    {#- The second asks which groups the first has made; where nothing lacks there is nothing to run. -#}
    {%- set creating = create_roles() | trim -%}
    {%- if creating -%}{%- do run_query(creating) -%}{%- endif -%}
    {%- set granting = grant_roles() | trim -%}
    {%- if granting -%}{%- do run_query(granting) -%}{%- endif -%}
{%- endmacro %}
