{#- When a source (or one of its raw tables) was last read and committed. Asked of the receipts' view, which exists
    whether the source is configured or not. -#}
{% macro freshness_query(source_name, resource=none) -%}
    select max(read_at) from {{ generate_schema_name('staging', none) | trim }}.stg_{{ source_name }}__receipts
    {%- if resource %} where resource = '{{ resource }}'{% endif %}
{%- endmacro %}
