{#- From when the first version of anything is valid, so that no fact loses its dimension row. -#}
{% macro beginning_of_time() -%}
    cast('1900-01-01 00:00:00+00' as timestamptz)
{%- endmacro %}
