with sets as (
    select * from {{ ref('stg_facebook_ads__sets') }}
    where resource in ('insights_ad', 'insights_campaign')
    union all
    select * from {{ ref('stg_google_ads__sets') }}
    where resource in ('ad_group_ad_day', 'campaign_day')
),

moments as (
    select distinct
        partition_key,
        read_at as reported_from
    from sets
),

-- Between two changes of either report the remainder is one.
spans as (
    select
        partition_key,
        reported_from,
        coalesce(
            lead(reported_from) over (partition by partition_key order by reported_from),
            {{ end_of_time() }}
        ) as reported_to
    from moments
),

with_campaigns as (
    select
        spans.partition_key,
        spans.reported_from,
        spans.reported_to
    from spans
    inner join sets
        on
            spans.partition_key = sets.partition_key
            and spans.reported_from >= sets.read_at
            and spans.reported_from < sets.replaced_at
    where
        sets.resource in ('insights_campaign', 'campaign_day')
        and sets.read_rows > 0
),

measured as (
    select
        partition_key,
        platform,
        account_id,
        date_day,
        campaign_id,
        currency_code,
        impressions,
        clicks,
        spend,
        run_seq,
        read_at,
        replaced_at
    from {{ ref('int_campaign_days__as_reported') }}
    union all
    select
        partition_key,
        platform,
        account_id,
        date_day,
        campaign_id,
        currency_code,
        -impressions as impressions,
        -clicks as clicks,
        -spend as spend,
        run_seq,
        read_at,
        replaced_at
    from {{ ref('int_ad_days__as_reported') }}
)

select
    measured.platform,
    measured.partition_key,
    measured.account_id,
    measured.date_day,
    measured.campaign_id,
    max(measured.currency_code) as currency_code,
    cast(sum(measured.impressions) as bigint) as impressions,
    cast(sum(measured.clicks) as bigint) as clicks,
    cast(sum(measured.spend) as {{ type_money() }}) as spend,
    max(measured.run_seq) as run_seq,
    with_campaigns.reported_from,
    with_campaigns.reported_to
from measured
inner join with_campaigns
    on
        measured.partition_key = with_campaigns.partition_key
        and measured.read_at <= with_campaigns.reported_from
        and measured.replaced_at > with_campaigns.reported_from
group by
    measured.platform, measured.partition_key, measured.account_id, measured.date_day, measured.campaign_id,
    with_campaigns.reported_from, with_campaigns.reported_to
having
    sum(measured.impressions) <> 0
    or sum(measured.clicks) <> 0
    or sum(measured.spend) <> 0
