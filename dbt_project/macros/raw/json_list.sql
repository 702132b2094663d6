{#- A landed JSON list as jsonb (Postgres only); NULL, and so no elements, where it is absent or none. -#}
{% macro json_list(text) -%}
    case when {{ text }} like '[%' then {{ json_document(text) }} end
{%- endmacro %}
