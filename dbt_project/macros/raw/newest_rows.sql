{#- The newest committed version of each row of a database table that is landed by appending what changed.

    Newest is what the later run read, then the later row of it, whatever the cursor says: it may be set back. A key sweep (`<table>__keys`, whole sets) tells what was deleted: only sweeps of a later
    run than the row's count, because a row may be written while the keys are being read. `fields` map to their types. -#}
{% macro newest_rows(source_name, table_name, key, fields) -%}
    with landed as ({{ landed_rows(source_name, table_name, fields, by_day=false) }}
    ),

    numbered as (
        select
            *,
            row_number() over (
                partition by account_id, {{ key }}
                order by run_seq desc, row_no desc
            ) as recency
        from landed
    ),

    -- The newest sweep that was confirmed, also where it found what an earlier one had.
    sweeps as (
        select
            account_id,
            max(last_run_seq) as run_seq
        from {{ ref('stg_' ~ source_name ~ '__sets') }}
        where resource = '{{ table_name }}__keys' and is_current
        group by account_id
    ),

    swept as ({{ landed_rows(source_name, table_name ~ '__keys', {key: fields[key]}, by_day=false) }}
    ),

    standing as (
        select
            account_id,
            {{ key }}
        from swept
        where is_current
        group by account_id, {{ key }}
    )

    select
        numbered.*,
        coalesce(sweeps.run_seq > numbered.run_seq and standing.{{ key }} is null, false) as is_deleted
    from numbered
    left join sweeps
        on numbered.account_id = sweeps.account_id
    left join standing
        on
            numbered.account_id = standing.account_id
            and numbered.{{ key }} = standing.{{ key }}
    where numbered.recency = 1
{%- endmacro %}
