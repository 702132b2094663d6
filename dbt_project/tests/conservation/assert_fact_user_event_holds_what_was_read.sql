-- Of every event name and day the fact has as many rows as the newest committed receipt counted.
{{ blocks_nothing() }}
with told as (
    select
        account_id as event_name,
        date_day,
        read_rows
    from {{ ref('stg_clevertap__sets') }}
    where
        resource = 'events'
        and is_current
),

held as (
    select
        event_name,
        date_day,
        count(*) as fact_rows
    from {{ ref('fact_user_event') }}
    group by event_name, date_day
)

select
    coalesce(told.event_name, held.event_name) as event_name,
    coalesce(told.date_day, held.date_day) as date_day,
    coalesce(told.read_rows, 0) as read_rows,
    coalesce(held.fact_rows, 0) as fact_rows
from told
full outer join held
    on
        told.event_name = held.event_name
        and told.date_day = held.date_day
where coalesce(told.read_rows, 0) <> coalesce(held.fact_rows, 0)
