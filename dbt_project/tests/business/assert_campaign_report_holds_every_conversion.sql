-- rpt_campaign_daily has every conversion that conversion_definitions names, once: also of days without delivery, and
-- no other of the overlapping action types.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
with facts as (
    select
        facts.platform,
        facts.account_id,
        facts.date_day,
        sum(facts.conversions) as conversions
    from {{ ref('fact_ad_conversion') }} as facts
    inner join {{ ref('conversion_definitions') }} as definitions
        on
            facts.platform = definitions.platform
            and facts.attribution_window = definitions.attribution_window
    where
        definitions.conversion_action_id in (facts.conversion_action_id, '*')
        and {{ in_unverified_days('facts.date_day', 'fact_ad_conversion') }}
    group by facts.platform, facts.account_id, facts.date_day
),

reports as (
    select
        platform,
        account_id,
        date_day,
        sum(conversions) as conversions
    from {{ ref('rpt_campaign_daily') }}
    where {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
    group by platform, account_id, date_day
)

select
    coalesce(facts.platform, reports.platform) as platform,
    coalesce(facts.account_id, reports.account_id) as account_id,
    coalesce(facts.date_day, reports.date_day) as date_day,
    facts.conversions as fact_conversions,
    reports.conversions as report_conversions
from facts
full outer join reports
    on
        facts.platform = reports.platform
        and facts.account_id = reports.account_id
        and facts.date_day = reports.date_day
where coalesce(facts.conversions, 0) <> coalesce(reports.conversions, 0)
