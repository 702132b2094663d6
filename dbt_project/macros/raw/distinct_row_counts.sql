{#- How many different rows each of the `sets` (a relation of versions) has in a source's raw tables. -#}
{% macro distinct_row_counts(source_name, sets) -%}
    {%- set counts = [] -%}
    {%- for table in raw_tables(source_name) -%}
        {%- set raw = source('raw_' ~ source_name, table.name) -%}
        {%- if landed_columns(raw) -%}
            {%- do counts.append(
                "select sets.resource, landed._account, landed._day, landed._run_seq,"
                ~ " count(distinct landed._row_no) as distinct_rows"
                ~ " from " ~ sets ~ " as sets inner join " ~ raw ~ " as landed"
                ~ " on sets.account_id = landed._account and sets.data_run_seq = landed._run_seq"
                ~ (" and sets.date_day = landed._day" if is_report(table) else "")
                ~ " where sets.resource = '" ~ table.name ~ "'"
                ~ " group by sets.resource, landed._account, landed._day, landed._run_seq"
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
        cast(0 as bigint) as distinct_rows
    where false
    {%- endif %}
{%- endmacro %}
