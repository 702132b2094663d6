{#- How often a literal stands in a text. -#}
{% macro occurrences(literal, text) -%}
    coalesce((length({{ text }}) - length(replace({{ text }}, '{{ literal }}', ''))) / {{ literal | length }}, 0)
{%- endmacro %}
