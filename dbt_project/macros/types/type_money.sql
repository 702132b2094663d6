{#- Money, and counts that platforms give in fractions: exact, nine decimals. -#}
{% macro type_money() -%} numeric(38, 9) {%- endmacro %}
