{#- Names of the columns a raw table has at run time; none where the table does not exist. While dbt only parses, the
    answer is `assumed`. -#}
{% macro landed_columns(relation, assumed=[]) -%}
    {{ return(landed_types(relation).keys() | list if execute else assumed) }}
{%- endmacro %}
