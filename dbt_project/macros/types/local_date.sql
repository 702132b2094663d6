{#- The calendar day an instant falls on in an IANA time zone. -#}
{% macro local_date(instant, time_zone) -%}
    {{ return(adapter.dispatch('local_date', 'adstar')(instant, time_zone)) }}
{%- endmacro %}

{% macro postgres__local_date(instant, time_zone) -%}
    cast({{ instant }} at time zone {{ time_zone }} as date)
{%- endmacro %}

{% macro redshift__local_date(instant, time_zone) -%}
    cast(convert_timezone('UTC', {{ time_zone }}, cast({{ instant }} as timestamp)) as date)
{%- endmacro %}
