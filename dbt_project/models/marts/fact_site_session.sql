{{
    config(
        indexes=[{'columns': ['session_key'], 'unique': true}, {'columns': ['started_at']}],
        dist='device_key',
        sort=['date_day', 'device_key'],
        post_hook='analyze {{ this }}',
    )
}}
-- Built whole, in one pass over what fact_site_event has worked out: a late event may join two visits to one.
with events as (
    select
        *,
        row_number() over (partition by session_key order by event_at, event_id) as event_no
    from {{ ref('fact_site_event') }}
    where session_key <> {{ unknown_key() }}
)

select
    session_key,
    min(event_at) as started_at,
    max(event_at) as ended_at,
    min(date_day) as date_day,
    max(device_key) as device_key,
    max(user_key) as user_key,
    max(case when event_no = 1 then campaign_key end) as campaign_key,
    max(channel) as channel,
    max(platform) as platform,
    max(account_id) as account_id,
    max(campaign_id) as campaign_id,
    max(ad_group_id) as ad_group_id,
    max(ad_id) as ad_id,
    max(device_platform) as device_platform,
    count(*) as events,
    sum(case when event_name = 'page_view' then 1 else 0 end) as page_views,
    sum(case when event_name = 'view_item' then 1 else 0 end) as item_views,
    sum(case when event_name = 'sign_up' then 1 else 0 end) as sign_ups,
    sum(case when event_name = 'order' then 1 else 0 end) as orders,
    max(sent_at) as last_sent_at,
    max(run_seq) as run_seq,
    max(read_at) as read_at
from events
group by session_key
