-- Every current set holds exactly the rows its receipt counted: no landed page is missing, no row is there twice.
{{ blocks_nothing() }}
select
    sets.platform,
    sets.resource,
    sets.account_id,
    sets.date_day,
    sets.data_run_seq,
    sets.read_rows,
    coalesce(twin_sets.distinct_rows, sets.landed_rows) as landed_rows
from {{ ref('stg_facebook_ads__sets') }} as sets
left join {{ ref('stg_facebook_ads__twin_sets') }} as twin_sets
    on
        sets.resource = twin_sets.resource
        and sets.account_id = twin_sets.account_id
        and sets.version_no = twin_sets.version_no
        and coalesce(sets.date_day, cast('1900-01-01' as date))
        = coalesce(twin_sets.date_day, cast('1900-01-01' as date))
where
    sets.is_current
    and sets.read_rows <> coalesce(twin_sets.distinct_rows, sets.landed_rows)
