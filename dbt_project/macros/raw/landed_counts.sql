{#- How many rows of each set and run stand in a source's raw tables. -#}
{% macro landed_counts(source_name) -%}
    {%- set counts = [] -%}
    {%- for table in raw_tables(source_name) -%}
        {%- set raw = source('raw_' ~ source_name, table.name) -%}
        {%- if landed_columns(raw) -%}
            {%- do counts.append(
                "select '" ~ table.name ~ "' as resource, _account, _day, _run_seq, count(*) as landed_rows from "
                ~ raw ~ " group by _account, _day, _run_seq"
            ) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if counts %}
    {{ counts | join('\n    union all\n    ') }}
    {%- else %}
    select
        cast(null as {{ type_text() }}) as resource,
        cast(null as {{ type_text() }}) as _account,
        cast(null as date) as _day,
        cast(null as bigint) as _run_seq,
        cast(0 as bigint) as landed_rows
    where false
    {%- endif %}
{%- endmacro %}
