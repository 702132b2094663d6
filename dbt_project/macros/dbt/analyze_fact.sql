{#- Post-hook of the facts: what the planner knows of them, from three tenths of the pages that Postgres would read.
    That is enough for days and accounts, which everything asks by; more is a second of each day's build. For this
    transaction only. -#}
{% macro analyze_fact() -%}
    {{ return(adapter.dispatch('analyze_fact', 'adstar')()) }}
{%- endmacro %}

{% macro postgres__analyze_fact() -%}
    set local default_statistics_target = 30;
    analyze {{ this }}
{%- endmacro %}

{% macro redshift__analyze_fact() -%}
    analyze {{ this }}
{%- endmacro %}
