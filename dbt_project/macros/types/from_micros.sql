{#- Google's micros (a landed text, millionths of a currency unit) as money. -#}
{% macro from_micros(text) -%}
    cast({{ to_money(text) }} / 1000000 as {{ type_money() }})
{%- endmacro %}
