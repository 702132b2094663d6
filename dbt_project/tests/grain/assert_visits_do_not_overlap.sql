-- A device is in one visit at a time, and between two of them it rests for more than session_minutes.
{{ blocks_nothing() }}
with compared as (
    select
        session_key,
        device_key,
        started_at,
        lag(ended_at) over (partition by device_key order by started_at, session_key) as last_ended_at
    from {{ ref('fact_site_session') }}
)

select * from compared
where started_at <= last_ended_at + interval '{{ var("session_minutes") }} minutes'
