{#- The rows of every committed version of a raw table's sets, with the version they belong to.

    A row that was loaded twice (a killed load repeats whole files) has the same (_run_seq, _row_no): one of the twins
    is kept. Only sets that hold more rows than their receipt says are sorted for that, so that the others are read in
    parallel and a filter on the set reaches raw's index. -#}
{% macro landed_rows(source_name, table_name, fields, by_day=true) -%}
    {%- set raw = source('raw_' ~ source_name, table_name) -%}
    {%- set sets = ref('stg_' ~ source_name ~ '__sets') -%}
    {%- set present = landed_columns(raw, assumed=fields) -%}
    {%- set of_set -%}
        sets.partition_key,
        sets.account_id,
        sets.date_day,
        sets.version_no,
        sets.run_seq,
        sets.read_at,
        sets.replaced_at,
        sets.is_current
    {%- endset -%}
    {%- set join_raw -%}
    from {{ sets }} as sets
    inner join {{ raw }} as landed
        on
            sets.account_id = landed._account
            and sets.data_run_seq = landed._run_seq
            {%- if by_day %}
            and sets.date_day = landed._day
            {%- endif %}
    where sets.resource = '{{ table_name }}'
    {%- endset -%}
    {%- if not present %}
    select
        {{ of_set }},
        {{- landed_fields(fields, [], '') }}
    from {{ sets }} as sets
    where false
    {%- else %}
    select
        {{ of_set }},
        {{- landed_fields(fields, present, 'landed.') }}
    {{ join_raw }}
        and not sets.has_twins
    union all
    select
        twins.partition_key,
        twins.account_id,
        twins.date_day,
        twins.version_no,
        twins.run_seq,
        twins.read_at,
        twins.replaced_at,
        twins.is_current,
        {{- landed_fields(fields, fields, 'twins.') }}
    from (
        select
            {{ of_set }},
            row_number() over (
                partition by sets.run_seq, landed._account, landed._day, landed._run_seq, landed._row_no
                order by landed._dlt_load_id
            ) as twin_no,
            {{- landed_fields(fields, present, 'landed.') }}
        {{ join_raw }}
            and sets.has_twins
    ) as twins
    where twins.twin_no = 1
    {%- endif %}
{%- endmacro %}
