{#- The instant of a local time (a timestamp without zone) in an IANA time zone. -#}
{% macro local_instant(local_time, time_zone) -%}
    {{ return(adapter.dispatch('local_instant', 'adstar')(local_time, time_zone)) }}
{%- endmacro %}

{% macro postgres__local_instant(local_time, time_zone) -%}
    {{ local_time }} at time zone {{ time_zone }}
{%- endmacro %}

{% macro redshift__local_instant(local_time, time_zone) -%}
    cast(convert_timezone({{ time_zone }}, 'UTC', {{ local_time }}) as timestamptz)
{%- endmacro %}
