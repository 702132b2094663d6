{{
    config(
        indexes=[{'columns': ['device_key'], 'unique': true}],
        dist='device_key',
        sort='device_key',
    )
}}
with sightings as (
    select
        device_key,
        device_pseudonym,
        platform,
        make,
        model,
        os_version,
        app_version,
        event_at as seen_at,
        event_key as sighting_id,
        0 as is_site
    from {{ ref('int_events__identified') }}
    where device_pseudonym is not null
    union all
    select
        {{ device_key('device_pseudonym') }} as device_key,
        device_pseudonym,
        case lower(device_type) when 'ios' then 'iOS' when 'android' then 'Android' else device_type end as platform,
        cast(null as {{ type_text() }}) as make,
        cast(null as {{ type_text() }}) as model,
        cast(null as {{ type_text() }}) as os_version,
        app_version,
        sent_at as seen_at,
        {{ surrogate_key(['message_id']) }} as sighting_id,
        0 as is_site
    from {{ ref('stg_sqs__logins') }}
    where device_pseudonym is not null
    union all
    select
        {{ device_key('events.device_pseudonym') }} as device_key,
        events.device_pseudonym,
        case lower(events.device_platform)
            when 'ios' then 'iOS'
            when 'android' then 'Android'
            when 'web' then 'Web'
            else events.device_platform
        end as platform,
        cast(null as {{ type_text() }}) as make,
        cast(null as {{ type_text() }}) as model,
        cast(null as {{ type_text() }}) as os_version,
        events.app_version,
        events.event_at as seen_at,
        {{ surrogate_key(['events.event_id']) }} as sighting_id,
        1 as is_site
    from {{ ref('stg_kafka__site_events') }} as events
    where events.device_pseudonym is not null
),

numbered as (
    select
        *,
        min(seen_at) over (partition by device_key) as first_seen_at,
        max(seen_at) over (partition by device_key) as last_seen_at,
        -- The site knows least of a device: what it says counts where nobody else says anything.
        row_number() over (
            partition by device_key
            order by is_site, seen_at desc nulls last, sighting_id
        ) as recency
    from sightings
)

select
    device_key,
    device_pseudonym,
    platform,
    make,
    model,
    os_version,
    app_version,
    first_seen_at,
    last_seen_at
from numbered
where recency = 1
union all
select
    {{ unknown_key() }} as device_key,
    null as device_pseudonym,
    'unknown' as platform,
    null as make,
    null as model,
    null as os_version,
    null as app_version,
    null as first_seen_at,
    null as last_seen_at
