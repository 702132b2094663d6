{#- A condition for tests that read every row of a fact, or of the raw rows it was made from: only the days that hold a
    partition rebuilt since the test last passed, because the others are untouched since; with a `platform`, the days
    its loader reads again as well. `--vars 'verify_all: true'` tests all days. -#}
{% macro in_unverified_days(column, fact_name, platform=none) -%}
    {#- Passing verifies the fact: note_verified_partitions looks for tests that depend on it. -#}
    {%- do ref(fact_name) -%}
    {%- if var('verify_all', false) or not execute or load_relation(built_partitions()) is none -%}
        true
    {%- else -%}
        {%- set unverified = "case when not is_verified then date_day end" -%}
        {%- set first = "min(" ~ unverified ~ ")" -%}
        {%- set last = "max(" ~ unverified ~ ")" -%}
        {%- if platform -%}
            {%- set first = "least(" ~ first ~ ", max(date_day) - " ~ (var('reread_days')[platform] - 1) ~ ")" -%}
            {%- set last = "max(date_day)" -%}
        {%- endif -%}
        {{
            in_span(
                column,
                "select " ~ first ~ ", " ~ last ~ " from " ~ built_partitions() ~ " where fact_name = '" ~ fact_name ~ "'"
            )
        }}
    {%- endif -%}
{%- endmacro %}
