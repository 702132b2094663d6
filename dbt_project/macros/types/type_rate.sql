{#- Exchange rates: fifteen decimals leave at least ten digits of the smallest (one dong in euros). -#}
{% macro type_rate() -%} numeric(38, 15) {%- endmacro %}
