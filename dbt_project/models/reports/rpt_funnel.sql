with steps as (
    select
        {{ hour_of('event_at') }} as hour_at,
        channel,
        platform,
        account_id,
        campaign_id,
        campaign_key,
        case when event_name = 'impression' then 1 else 0 end as impressions,
        case when event_name = 'click' then 1 else 0 end as clicks,
        0 as visits,
        case when event_name = 'sign_up' then 1 else 0 end as sign_ups,
        case when event_name = 'order' then 1 else 0 end as orders,
        case when sent_at >= event_at + interval '1 hour' then 1 else 0 end as late_events,
        sent_at
    from {{ ref('fact_site_event') }}
    where event_name in ('impression', 'click', 'sign_up', 'order')
    union all
    select
        {{ hour_of('started_at') }} as hour_at,
        channel,
        platform,
        account_id,
        campaign_id,
        campaign_key,
        0 as impressions,
        0 as clicks,
        1 as visits,
        0 as sign_ups,
        0 as orders,
        case when last_sent_at >= ended_at + interval '1 hour' then 1 else 0 end as late_events,
        last_sent_at as sent_at
    from {{ ref('fact_site_session') }}
),

summed as (
    select
        hour_at,
        channel,
        platform,
        account_id,
        campaign_id,
        campaign_key,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(visits) as visits,
        sum(sign_ups) as sign_ups,
        sum(orders) as orders,
        sum(late_events) as late_events,
        max(sent_at) as last_sent_at
    from steps
    group by hour_at, channel, platform, account_id, campaign_id, campaign_key
)

select
    summed.hour_at,
    {{ local_date('summed.hour_at', "'UTC'") }} as date_day,
    summed.channel,
    summed.platform,
    summed.account_id,
    summed.campaign_id,
    summed.campaign_key,
    campaigns.campaign_name,
    summed.impressions,
    summed.clicks,
    summed.visits,
    summed.sign_ups,
    summed.orders,
    {{ ratio('summed.clicks', 'summed.impressions') }} as click_rate,
    {{ ratio('summed.visits', 'summed.clicks') }} as visits_per_click,
    {{ ratio('summed.sign_ups', 'summed.visits') }} as sign_up_rate,
    {{ ratio('summed.orders', 'summed.visits') }} as order_rate,
    summed.late_events,
    summed.last_sent_at
from summed
left join {{ ref('dim_campaign') }} as campaigns
    on summed.campaign_key = campaigns.campaign_key
