-- fact_campaign_performance, and the report made of it, hold what both facts do, to the cent: remainders, days without
-- delivery and every conversion that conversion_definitions names, no other of the overlapping action types.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
with days as (
    select
        'facts' as told_by,
        platform,
        account_id,
        date_day,
        impressions,
        clicks,
        spend,
        0 as conversions,
        0 as conversion_value
    from {{ ref('fact_ad_performance') }}
    where {{ in_unverified_days('date_day', 'fact_campaign_performance') }}
    union all
    select
        'facts' as told_by,
        facts.platform,
        facts.account_id,
        facts.date_day,
        0 as impressions,
        0 as clicks,
        0 as spend,
        facts.conversions,
        facts.conversion_value
    from {{ ref('fact_ad_conversion') }} as facts
    inner join {{ ref('conversion_definitions') }} as definitions
        on
            facts.platform = definitions.platform
            and facts.attribution_window = definitions.attribution_window
    where
        definitions.conversion_action_id in (facts.conversion_action_id, '*')
        and {{ in_unverified_days('facts.date_day', 'fact_campaign_performance') }}
    union all
    select
        'campaigns' as told_by,
        platform,
        account_id,
        date_day,
        impressions,
        clicks,
        spend,
        conversions,
        conversion_value
    from {{ ref('rpt_campaign_daily') }}
    where {{ in_unverified_days('date_day', 'fact_campaign_performance') }}
),

totals as (
    select
        platform,
        account_id,
        date_day,
        sum(case when told_by = 'facts' then impressions else 0 end) as fact_impressions,
        sum(case when told_by = 'campaigns' then impressions else 0 end) as campaign_impressions,
        sum(case when told_by = 'facts' then clicks else 0 end) as fact_clicks,
        sum(case when told_by = 'campaigns' then clicks else 0 end) as campaign_clicks,
        sum(case when told_by = 'facts' then spend else 0 end) as fact_spend,
        sum(case when told_by = 'campaigns' then spend else 0 end) as campaign_spend,
        sum(case when told_by = 'facts' then conversions else 0 end) as fact_conversions,
        sum(case when told_by = 'campaigns' then conversions else 0 end) as campaign_conversions,
        sum(case when told_by = 'facts' then conversion_value else 0 end) as fact_conversion_value,
        sum(case when told_by = 'campaigns' then conversion_value else 0 end) as campaign_conversion_value
    from days
    group by platform, account_id, date_day
)

select * from totals
where
    fact_impressions <> campaign_impressions
    or fact_clicks <> campaign_clicks
    or fact_spend <> campaign_spend
    or fact_conversions <> campaign_conversions
    or fact_conversion_value <> campaign_conversion_value
