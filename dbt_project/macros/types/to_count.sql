{#- A landed text as a whole number. -#}
{% macro to_count(text) -%}
    {{ try_cast(text, 'bigint') }}
{%- endmacro %}
