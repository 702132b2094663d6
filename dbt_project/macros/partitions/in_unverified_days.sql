{#- A condition for tests of a fact that read every row of it: only the days that hold a partition rebuilt since the
    test last passed, because the others are untouched since. `--vars 'verify_all: true'` tests all of them. -#}
{% macro in_unverified_days(column, fact_name) -%}
    {%- if var('verify_all', false) or not execute or load_relation(built_partitions()) is none -%}
        true
    {%- else -%}
        {%- set span = run_query(
            "select min(date_day), max(date_day) from " ~ built_partitions()
            ~ " where fact_name = '" ~ fact_name ~ "' and not is_verified"
        ).rows[0] -%}
        {%- if span[0] is none -%}
            false
        {%- else -%}
            {{ column }} between cast('{{ span[0] }}' as date) and cast('{{ span[1] }}' as date)
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
