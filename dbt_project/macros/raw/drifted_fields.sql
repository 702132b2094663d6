{#- Which fields of a source are not as its YAML declares them: `new` (landed, not declared), `vanished` (delivered
    once, but not by the newest run of its table) or of another shape (in the newest run). One row each, with an
    account and a day that show it. `is_required` marks the fields without which the star is wrong.
    Google sends the resource name of every object, asked for or not; it only repeats the ids. Pseudonyms are the core's, not the vendor's. -#}
{% macro drifted_fields(source_name) -%}
    {%- set sets = ref('stg_' ~ source_name ~ '__sets') -%}
    {%- set newest_runs = {} -%}
    {%- if execute and load_relation(sets) is not none -%}
        {%- for resource, run_seq in run_query(
            "select resource, max(data_run_seq) from " ~ sets ~ " where is_current and read_rows > 0 group by resource"
        ).rows -%}
            {%- do newest_runs.update({resource: run_seq}) -%}
        {%- endfor -%}
    {%- endif -%}
    {%- set queries = [] -%}
    {%- for table in raw_tables(source_name) -%}
        {%- set raw = source('raw_' ~ source_name, table.name) -%}
        {%- set present = landed_columns(raw) -%}
        {%- set documents = landed_documents(raw) -%}
        {%- set declared = [] -%}
        {%- for column in table.columns.values() -%}
            {%- if column.name in present -%}
                {%- do declared.append(column) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for name in present
            if not name.startswith('_') and not name.endswith('__resource_name')
            and not name.endswith('__pseudonym') and name not in table.columns
        -%}
            {%- do queries.append(
                "select '" ~ table.name ~ "' as resource, '" ~ name ~ "' as field, 'new' as drift, false as is_required,"
                ~ " max(_account) as account_id, max(_day) as date_day, max(_run_seq) as run_seq,"
                ~ " count(*) as row_count from " ~ raw ~ " where " ~ adapter.quote(name) ~ " is not null"
                ~ " having count(*) > 0"
            ) -%}
        {%- endfor -%}
        {%- if declared and flags.WHICH in ('build', 'run') -%}
            {#- The newest run's rows, once: `account_id` and `date_day` say where they are, so that raw's index is used. -#}
            {%- set newest -%}
                select landed.* from {{ raw }} as landed
                inner join (
                    select
                        account_id,
                        date_day,
                        data_run_seq
                    from {{ sets }}
                    where
                        resource = '{{ table.name }}'
                        and is_current
                        and read_rows > 0
                        and data_run_seq = {{ newest_runs.get(table.name, -1) }}
                ) as sets
                    on
                        landed._account = sets.account_id
                        and landed._run_seq = sets.data_run_seq
                        {{ 'and landed._day = sets.date_day' if is_report(table) }}
            {%- endset -%}
            {#- Asked while compiling: a query for each field of each table, in one, is a quarter of a megabyte of SQL. -#}
            {%- set asked = ['count(*) as row_count'] -%}
            {%- for column in declared -%}
                {%- set name = adapter.quote(column.name) -%}
                {%- set text = document_text(name) if column.name in documents else name -%}
                {%- do asked.append("count(" ~ name ~ ") as delivered_" ~ loop.index) -%}
                {%- do asked.append(
                    "sum(case when " ~ field_shape(text, column.meta.shape) ~ " then 0 else 1 end) as misshapen_" ~ loop.index
                ) -%}
            {%- endfor -%}
            {%- set told = run_query("select " ~ asked | join(', ') ~ " from (" ~ newest ~ ") as newest").rows[0] -%}
            {%- for column in declared if told.row_count > 0 -%}
                {%- set misshapen = told['misshapen_' ~ loop.index] -%}
                {%- if misshapen > 0 or told['delivered_' ~ loop.index] == 0 -%}
                    {#- What landed is not written into SQL: an account may be called anything. -#}
                    {%- do queries.append(
                        "select '" ~ table.name ~ "' as resource, '" ~ column.name ~ "' as field, '"
                        ~ ('another shape' if misshapen > 0 else 'vanished') ~ "' as drift, "
                        ~ ('true' if column.meta.required else 'false') ~ " as is_required, max(_account) as account_id,"
                        ~ " max(_day) as date_day, max(_run_seq) as run_seq, "
                        ~ ((misshapen if misshapen > 0 else told.row_count) | int) ~ " as row_count"
                        ~ " from (" ~ newest ~ ") as newest"
                        ~ (
                            '' if misshapen > 0
                            else " where exists (select 1 from " ~ raw ~ " where " ~ adapter.quote(column.name) ~ " is not null)"
                        ) ~ " having count(*) > 0"
                    ) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if queries %}
    {{ queries | join('\n    union all\n    ') }}
    {%- else %}
    select
        cast(null as {{ type_text() }}) as resource,
        cast(null as {{ type_text() }}) as field,
        cast(null as {{ type_text() }}) as drift,
        false as is_required,
        cast(null as {{ type_text() }}) as account_id,
        cast(null as date) as date_day,
        cast(null as bigint) as run_seq,
        cast(0 as bigint) as row_count
    where false
    {%- endif %}
{%- endmacro %}
