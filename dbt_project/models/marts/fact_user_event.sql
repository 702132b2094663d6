{{
    config(
        indexes=[{'columns': ['date_day', 'event_name']}, {'columns': ['user_key']}],
        dist='user_key',
        sort=['date_day', 'user_key'],
        post_hook='analyze {{ this }}',
    )
}}
-- A table built whole: who an event belongs to may change however old it is, when its device identifies or its user is
-- merged.
select
    event_key,
    event_at,
    date_day,
    user_key,
    device_key,
    event_name,
    match_rule,
    platform,
    app_version,
    session_source,
    utm_source,
    utm_medium,
    utm_campaign,
    utm_content,
    run_seq,
    read_at
from {{ ref('int_events__identified') }}
