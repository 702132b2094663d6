{#- Every committed version of every set of a source: receipts in a row that point to the same landed rows are one
    version. `totals` maps impressions, clicks and spend, where a source has them, to the expressions that read them
    from a receipt. -#}
{% macro set_versions(source_name, totals=none) -%}
with receipts as (
    select * from {{ ref('stg_' ~ source_name ~ '__receipts') }}
),

compared as (
    select
        *,
        case
            when lag(data_run_seq) over (
                partition by resource, account_id, date_day
                order by run_seq
            ) = data_run_seq then 0
            else 1
        end as is_changed,
        max(run_seq) over (partition by resource, account_id, date_day) as newest_run_seq,
        -- What one run told of an account, it told at one moment.
        max(read_at) over (partition by account_id, run_seq) as told_at
    from receipts
),

numbered as (
    select
        *,
        sum(is_changed) over (
            partition by resource, account_id, date_day
            order by run_seq
            rows unbounded preceding
        ) as version_no
    from compared
),

versions as (
    select
        resource,
        account_id,
        date_day,
        version_no,
        min(run_seq) as run_seq,
        max(run_seq) as last_run_seq,
        max(data_run_seq) as data_run_seq,
        min(told_at) as read_at,
        max(read_at) as last_read_at,
        max(read_rows) as read_rows,
        max(rows_hash) as rows_hash,
        max(totals) as totals,
        max(run_seq) = max(newest_run_seq) as is_current
    from numbered
    group by resource, account_id, date_day, version_no
),

landed as ({{ landed_counts(source_name) }}
)

select
    cast('{{ source_name }}' as {{ type_text() }}) as platform,
    versions.resource,
    versions.account_id,
    versions.date_day,
    case
        when versions.date_day is not null
            then {{ partition_key("'" ~ source_name ~ "'", 'versions.account_id', 'versions.date_day') }}
    end as partition_key,
    cast(versions.version_no as integer) as version_no,
    versions.run_seq,
    versions.last_run_seq,
    versions.data_run_seq,
    versions.read_at,
    versions.last_read_at,
    coalesce(
        lead(versions.read_at) over (
            partition by versions.resource, versions.account_id, versions.date_day
            order by versions.version_no
        ),
        {{ end_of_time() }}
    ) as replaced_at,
    versions.is_current,
    versions.read_rows,
    coalesce(landed.landed_rows, 0) as landed_rows,
    coalesce(landed.landed_rows, 0) > versions.read_rows as has_twins,
    versions.rows_hash,
    versions.totals
    {%- if totals %},
    cast({{ totals.impressions }} as bigint) as total_impressions,
    cast({{ totals.clicks }} as bigint) as total_clicks,
    {{ totals.spend }} as total_spend
    {%- endif %}
from versions
left join landed
    on
        versions.resource = landed.resource
        and versions.account_id = landed._account
        and versions.data_run_seq = landed._run_seq
        and coalesce(versions.date_day, cast('1900-01-01' as date))
        = coalesce(landed._day, cast('1900-01-01' as date))
{%- endmacro %}
