{{ config(materialized='table') }}
-- A table, because five tests read it, and each would add up the whole fact.
with facts as (
    select
        platform,
        account_id,
        date_day,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend,
        case when count(spend_reporting) = count(*) then sum(spend_reporting) end as spend_reporting,
        sum(case when row_kind = 'remainder' then spend else 0 end) as remainder_spend,
        sum(case when row_kind = 'remainder' and remainder_cause is null then 1 else 0 end) as unexplained_remainders
    from {{ ref('fact_ad_performance') }}
    group by platform, account_id, date_day
),

compared as (
    select
        days.date_day,
        days.platform,
        days.account_id,
        days.currency_code,
        days.is_settled,
        days.last_read_at,
        coalesce(facts.impressions, 0) as fact_impressions,
        coalesce(facts.clicks, 0) as fact_clicks,
        coalesce(facts.spend, 0) as fact_spend,
        case when facts.account_id is null then 0 else facts.spend_reporting end as fact_spend_reporting,
        coalesce(facts.remainder_spend, 0) as remainder_spend,
        coalesce(facts.unexplained_remainders, 0) as unexplained_remainders,
        days.campaign_impressions,
        days.campaign_clicks,
        days.campaign_spend,
        -- An empty answer is a total of zero only where the platform has ever told this account's totals.
        case
            when max(days.account_rows) over (partition by days.platform, days.account_id) > 0
                then days.account_impressions
        end as control_impressions,
        case
            when max(days.account_rows) over (partition by days.platform, days.account_id) > 0
                then days.account_clicks
        end as control_clicks,
        case
            when max(days.account_rows) over (partition by days.platform, days.account_id) > 0
                then days.account_spend
        end as control_spend
    from {{ ref('int_account_days__read') }} as days
    left join facts
        on
            days.platform = facts.platform
            and days.account_id = facts.account_id
            and days.date_day = facts.date_day
),

judged as (
    select
        *,
        fact_impressions - control_impressions as impressions_difference,
        fact_clicks - control_clicks as clicks_difference,
        fact_spend - control_spend as spend_difference,
        case
            when control_impressions is null or control_clicks is null or control_spend is null then 'no_control'
            when not is_settled then 'unsettled'
            when
                fact_impressions = control_impressions
                and fact_clicks = control_clicks
                and fact_spend = control_spend
                and unexplained_remainders = 0
                then 'matched'
            else 'mismatch'
        end as state
    from compared
)

select
    date_day,
    platform,
    account_id,
    cast(state as {{ type_text() }}) as state,
    cast(
        case
            when state = 'no_control' then 'the platform told no totals of this account'
            when state = 'unsettled' then 'the day was not over when it was read'
            when state = 'matched' then null
            when
                coalesce(campaign_impressions, control_impressions) <> control_impressions
                or coalesce(campaign_clicks, control_clicks) <> control_clicks
                or coalesce(campaign_spend, control_spend) <> control_spend
                then 'the platform''s campaigns do not add up to its account total'
            when
                fact_impressions = control_impressions
                and fact_clicks = control_clicks
                and fact_spend = control_spend
                then 'a campaign''s total is not explained by its ads'
            else 'the warehouse does not hold what was read'
        end as {{ type_text() }}
    ) as cause,
    cast(fact_impressions as bigint) as fact_impressions,
    control_impressions,
    cast(impressions_difference as bigint) as impressions_difference,
    cast(fact_clicks as bigint) as fact_clicks,
    control_clicks,
    cast(clicks_difference as bigint) as clicks_difference,
    cast(fact_spend as {{ type_money() }}) as fact_spend,
    control_spend,
    cast(spend_difference as {{ type_money() }}) as spend_difference,
    cast(remainder_spend as {{ type_money() }}) as remainder_spend,
    cast(unexplained_remainders as bigint) as unexplained_remainders,
    currency_code,
    cast(fact_spend_reporting as {{ type_money() }}) as fact_spend_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code,
    last_read_at
from judged
