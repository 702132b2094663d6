{#- The hour, in UTC, that an instant falls in, as the instant at which it begins. -#}
{% macro hour_of(instant) -%}
    {{ return(adapter.dispatch('hour_of', 'adstar')(instant)) }}
{%- endmacro %}

{% macro postgres__hour_of(instant) -%}
    date_trunc('hour', {{ instant }}, 'UTC')
{%- endmacro %}

{% macro redshift__hour_of(instant) -%}
    cast(date_trunc('hour', cast({{ instant }} as timestamp)) as timestamptz)
{%- endmacro %}
