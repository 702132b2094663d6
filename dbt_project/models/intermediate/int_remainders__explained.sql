{{
    config(
        materialized='incremental',
        incremental_strategy='rebuilt_partitions',
        on_schema_change='fail',
        indexes=[
            {'columns': ['date_day', 'account_key']},
            {'columns': ['partition_key', 'campaign_id'], 'unique': true},
        ],
        dist='all',
        pre_hook='{{ favour_workers() }}',
        post_hook=["{{ remember_partitions() }}", 'analyze {{ this }}'],
    )
}}
-- A table, so that neither fact waits for the other. One pass, each input named once: a CTE that is read twice would
-- keep filters on the partition from reaching raw.
with measured as (
    select
        partition_key,
        campaign_id,
        currency_code,
        impressions as campaign_impressions,
        clicks as campaign_clicks,
        link_clicks as campaign_link_clicks,
        spend as campaign_spend,
        cast(0 as bigint) as ad_impressions,
        cast(0 as bigint) as ad_clicks,
        cast(0 as bigint) as ad_link_clicks,
        cast(0 as {{ type_money() }}) as ad_spend,
        0 as ad_rows,
        0 as deleted_ad_rows,
        run_seq,
        read_at
    from {{ ref('int_campaign_days__unioned') }}
    where {{ in_changed_partitions('partition_key', 'int_remainders__explained') }}
    union all
    select
        ad_days.partition_key,
        ad_days.campaign_id,
        ad_days.currency_code,
        0 as campaign_impressions,
        0 as campaign_clicks,
        0 as campaign_link_clicks,
        0 as campaign_spend,
        ad_days.impressions as ad_impressions,
        ad_days.clicks as ad_clicks,
        ad_days.link_clicks as ad_link_clicks,
        ad_days.spend as ad_spend,
        1 as ad_rows,
        case when deleted.ad_id is not null then 1 else 0 end as deleted_ad_rows,
        cast(null as bigint) as run_seq,
        cast(null as timestamptz) as read_at
    from {{ ref('int_ad_days__unioned') }} as ad_days
    left join {{ ref('int_ads__deleted') }} as deleted
        on
            ad_days.platform = deleted.platform
            and ad_days.account_id = deleted.account_id
            and ad_days.ad_id = deleted.ad_id
            and ad_days.date_day between deleted.first_day and deleted.last_day
    where {{ in_changed_partitions('ad_days.partition_key', 'int_remainders__explained') }}
),

campaign_days as (
    select
        partition_key,
        campaign_id,
        max(currency_code) as currency_code,
        sum(campaign_impressions) as campaign_impressions,
        sum(campaign_clicks) as campaign_clicks,
        sum(campaign_link_clicks) as campaign_link_clicks,
        sum(campaign_spend) as campaign_spend,
        sum(ad_impressions) as ad_impressions,
        sum(ad_clicks) as ad_clicks,
        sum(ad_link_clicks) as ad_link_clicks,
        sum(ad_spend) as ad_spend,
        sum(ad_rows) as ad_rows,
        sum(deleted_ad_rows) as deleted_ad_rows,
        max(run_seq) as run_seq,
        max(read_at) as read_at
    from measured
    group by partition_key, campaign_id
),

summed as (
    select
        *,
        sum(campaign_impressions) over (partition by partition_key) as staged_campaign_impressions,
        sum(campaign_clicks) over (partition by partition_key) as staged_campaign_clicks,
        sum(campaign_spend) over (partition by partition_key) as staged_campaign_spend,
        sum(ad_impressions) over (partition by partition_key) as staged_ad_impressions,
        sum(ad_clicks) over (partition by partition_key) as staged_ad_clicks,
        sum(ad_spend) over (partition by partition_key) as staged_ad_spend
    from campaign_days
),

remainders as (
    select
        days.platform,
        summed.partition_key,
        days.account_id,
        days.account_key,
        days.date_day,
        summed.campaign_id,
        coalesce(summed.currency_code, days.currency_code) as currency_code,
        summed.ad_rows,
        summed.deleted_ad_rows,
        summed.campaign_impressions - summed.ad_impressions as impressions,
        summed.campaign_clicks - summed.ad_clicks as clicks,
        summed.campaign_link_clicks - summed.ad_link_clicks as link_clicks,
        summed.campaign_spend - summed.ad_spend as spend,
        coalesce(summed.run_seq, days.campaign_run_seq) as run_seq,
        coalesce(summed.read_at, days.campaign_read_at) as read_at,
        -- What stands in raw is not what was read: no cause explains that.
        coalesce(
            summed.staged_ad_impressions = days.ad_impressions
            and summed.staged_ad_clicks = days.ad_clicks
            and summed.staged_ad_spend = days.ad_spend
            and summed.staged_campaign_impressions = days.campaign_impressions
            and summed.staged_campaign_clicks = days.campaign_clicks
            and summed.staged_campaign_spend = days.campaign_spend,
            true
        ) as is_as_read
    from summed
    inner join {{ ref('int_account_days__read') }} as days
        on summed.partition_key = days.partition_key
    where
        -- A platform that reports no campaign at all has told nothing to subtract from.
        days.campaign_rows > 0
        and (
            summed.campaign_impressions <> summed.ad_impressions
            or summed.campaign_clicks <> summed.ad_clicks
            or summed.campaign_spend <> summed.ad_spend
        )
),

evidenced as (
    select
        remainders.platform,
        remainders.partition_key,
        remainders.account_id,
        remainders.account_key,
        remainders.date_day,
        remainders.campaign_id,
        remainders.currency_code,
        remainders.ad_rows,
        remainders.deleted_ad_rows,
        remainders.impressions,
        remainders.clicks,
        remainders.link_clicks,
        remainders.spend,
        remainders.run_seq,
        remainders.read_at,
        remainders.is_as_read,
        max(campaigns.channel_type) as channel_type,
        count(deleted.ad_id) as deleted_ads,
        min(deleted.ad_id) as first_deleted_ad_id,
        max(deleted.ad_id) as last_deleted_ad_id
    from remainders
    left join {{ ref('int_campaigns__versioned') }} as campaigns
        on
            remainders.platform = campaigns.platform
            and remainders.account_id = campaigns.account_id
            and remainders.campaign_id = campaigns.campaign_id
            and campaigns.is_current
    left join {{ ref('int_ads__deleted') }} as deleted
        on
            remainders.platform = deleted.platform
            and remainders.account_id = deleted.account_id
            and remainders.campaign_id = deleted.campaign_id
            and remainders.date_day between deleted.first_day and deleted.last_day
    group by
        remainders.platform,
        remainders.partition_key,
        remainders.account_id,
        remainders.account_key,
        remainders.date_day,
        remainders.campaign_id,
        remainders.currency_code,
        remainders.ad_rows,
        remainders.deleted_ad_rows,
        remainders.impressions,
        remainders.clicks,
        remainders.link_clicks,
        remainders.spend,
        remainders.run_seq,
        remainders.read_at,
        remainders.is_as_read
)

select
    platform,
    partition_key,
    account_id,
    account_key,
    date_day,
    campaign_id,
    currency_code,
    cast(impressions as bigint) as impressions,
    cast(clicks as bigint) as clicks,
    cast(link_clicks as bigint) as link_clicks,
    cast(spend as {{ type_money() }}) as spend,
    run_seq,
    read_at,
    cast(
        case
            when not is_as_read then null
            -- Every amount shown is rounded to the smallest unit: half a unit for each ad, half for the campaign.
            when
                ad_rows > 0
                and impressions = 0
                and clicks = 0
                and abs(spend) <= {{ minor_unit('currency_code') }} * 0.5 * (ad_rows + 1)
                then 'rounding'
            when impressions < 0 or clicks < 0 or spend < 0 then null
            when ad_rows = 0 and {{ is_without_ad_rows('channel_type') }} then 'performance_max'
            when deleted_ads > deleted_ad_rows then 'deleted_ads'
        end as {{ type_text() }}
    ) as remainder_cause,
    cast(
        {{ remainder_evidence('channel_type', 'deleted_ads', 'first_deleted_ad_id', 'last_deleted_ad_id') }}
        as {{ type_text() }}
    ) as remainder_evidence
from evidenced
