{#- A landed text that is JSON as Postgres spells it (spaces, order of keys); any other text as it is. -#}
{% macro json_spelled(text) -%}
    coalesce(cast({{ json_document(text) }} as text), {{ text }})
{%- endmacro %}
