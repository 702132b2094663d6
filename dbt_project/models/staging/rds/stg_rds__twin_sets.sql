{{ config(materialized='table', post_hook='analyze {{ this }}') }}
-- A small table of its own, usually empty: looking for twins must not slow down reading all the other sets.
with suspected as (
    select * from {{ ref('stg_rds__sets') }}
    where has_twins
),

counts as ({{ distinct_row_counts('rds', 'suspected') }}
)

select
    suspected.*,
    coalesce(counts.distinct_rows, 0) as distinct_rows
from suspected
left join counts
    on
        suspected.resource = counts.resource
        and suspected.account_id = counts._account
        and suspected.data_run_seq = counts._run_seq
        and coalesce(suspected.date_day, cast('1900-01-01' as date))
        = coalesce(counts._day, cast('1900-01-01' as date))
