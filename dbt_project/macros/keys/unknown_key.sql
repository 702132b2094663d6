{#- The key of every dimension's unknown member; surrogate keys are never negative. -#}
{% macro unknown_key() -%}
    cast(-1 as bigint)
{%- endmacro %}
