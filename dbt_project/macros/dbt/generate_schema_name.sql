{#- Schemas are named as the folders say (staging, marts, ...), whoever builds; ADSTAR_SCHEMA_PREFIX keeps several
    builds apart in one database. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- set name = (custom_schema_name or target.schema) | trim -%}
    {{ env_var('ADSTAR_SCHEMA_PREFIX', '') }}{{ name }}
{%- endmacro %}
