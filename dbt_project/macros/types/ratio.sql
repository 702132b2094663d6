{#- A ratio rounded to six decimals; NULL, not zero, where it is undefined. -#}
{% macro ratio(numerator, denominator) -%}
    cast(round(cast({{ numerator }} as numeric(38, 12)) / nullif({{ denominator }}, 0), 6) as numeric(38, 6))
{%- endmacro %}
