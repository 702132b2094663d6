{#- A landed text as money. -#}
{% macro to_money(text) -%}
    {{ to_number(text, type_money()) }}
{%- endmacro %}
