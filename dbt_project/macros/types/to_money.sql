{#- A landed text as an exact number. 'NaN' is a number to Postgres and would poison every sum. -#}
{% macro to_money(text) -%}
    {{ return(adapter.dispatch('to_money', 'adstar')(text)) }}
{%- endmacro %}

{% macro postgres__to_money(text) -%}
    nullif({{ try_cast(text, type_money()) }}, 'NaN')
{%- endmacro %}

{% macro redshift__to_money(text) -%}
    {{ try_cast(text, type_money()) }}
{%- endmacro %}
