{#- A landed text as an exact number of a type. 'NaN' is a number to Postgres and would poison every sum. -#}
{% macro to_number(text, type) -%}
    {{ return(adapter.dispatch('to_number', 'adstar')(text, type)) }}
{%- endmacro %}

{% macro postgres__to_number(text, type) -%}
    nullif({{ try_cast(text, type) }}, 'NaN')
{%- endmacro %}

{% macro redshift__to_number(text, type) -%}
    {{ try_cast(text, type) }}
{%- endmacro %}
