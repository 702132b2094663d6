{#- Names of the columns a raw table has at run time; none where the table does not exist. While dbt only parses, the
    answer is `assumed`. -#}
{% macro landed_columns(relation, assumed=[]) -%}
    {%- if not execute -%}{{ return(assumed) }}{%- endif -%}
    {%- set found = load_relation(relation) -%}
    {%- if found is none -%}{{ return([]) }}{%- endif -%}
    {{ return(adapter.get_columns_in_relation(found) | map(attribute='name') | map('lower') | list) }}
{%- endmacro %}
