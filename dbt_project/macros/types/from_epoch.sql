{#- A landed number of milliseconds since 1970 as an instant. -#}
{% macro from_epoch(text) -%}
    {{ return(adapter.dispatch('from_epoch', 'adstar')(text)) }}
{%- endmacro %}

{% macro postgres__from_epoch(text) -%}
    cast('1970-01-01 00:00:00+00' as timestamptz) + {{ to_count(text) }} * interval '1 millisecond'
{%- endmacro %}

{% macro redshift__from_epoch(text) -%}
    dateadd(millisecond, {{ to_count(text) }}, cast('1970-01-01 00:00:00+00' as timestamptz))
{%- endmacro %}
