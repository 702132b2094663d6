with delivery as (
    select
        platform,
        account_key,
        account_id,
        campaign_key,
        campaign_id,
        date_day,
        currency_code,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend,
        sum(spend_reporting) as spend_reporting,
        cast(0 as {{ type_money() }}) as conversions,
        cast(0 as {{ type_money() }}) as conversion_value,
        cast(0 as {{ type_money() }}) as conversion_value_reporting,
        sum(case when spend_reporting is null then 1 else 0 end) as unconverted_spends,
        0 as unconverted_values,
        min(case when is_settled then 1 else 0 end) as settled
    from {{ ref('fact_ad_performance') }}
    group by platform, account_key, account_id, campaign_key, campaign_id, date_day, currency_code
),

-- Only what conversion_definitions names: Meta's action types overlap.
converted as (
    select
        facts.platform,
        facts.account_key,
        facts.account_id,
        facts.campaign_key,
        facts.campaign_id,
        facts.date_day,
        facts.currency_code,
        cast(0 as bigint) as impressions,
        cast(0 as bigint) as clicks,
        cast(0 as {{ type_money() }}) as spend,
        cast(0 as {{ type_money() }}) as spend_reporting,
        sum(facts.conversions) as conversions,
        sum(coalesce(facts.conversion_value, 0)) as conversion_value,
        sum(coalesce(facts.conversion_value_reporting, 0)) as conversion_value_reporting,
        0 as unconverted_spends,
        sum(
            case when facts.conversion_value is not null and facts.conversion_value_reporting is null then 1 else 0 end
        ) as unconverted_values,
        min(case when facts.is_settled then 1 else 0 end) as settled
    from {{ ref('fact_ad_conversion') }} as facts
    inner join {{ ref('dim_conversion_action') }} as actions
        on
            facts.conversion_action_key = actions.conversion_action_key
            and actions.is_conversion
    inner join {{ ref('conversion_definitions') }} as definitions
        on
            facts.platform = definitions.platform
            and facts.attribution_window = definitions.attribution_window
    group by
        facts.platform, facts.account_key, facts.account_id, facts.campaign_key, facts.campaign_id, facts.date_day,
        facts.currency_code
),

-- Added, not joined: a day with conversions and no delivery stays.
campaign_days as (
    select
        platform,
        account_key,
        account_id,
        campaign_key,
        campaign_id,
        date_day,
        currency_code,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend,
        -- What lacks a rate is not left out of a sum: there is none.
        case when sum(unconverted_spends) = 0 then sum(spend_reporting) end as spend_reporting,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value,
        case when sum(unconverted_values) = 0 then sum(conversion_value_reporting) end as conversion_value_reporting,
        min(settled) = 1 as is_settled
    from (
        select * from delivery
        union all
        select * from converted
    ) as both_facts
    group by platform, account_key, account_id, campaign_key, campaign_id, date_day, currency_code
)

select
    campaign_days.date_day,
    campaign_days.platform,
    campaign_days.account_id,
    accounts.account_name,
    campaign_days.campaign_id,
    campaigns.campaign_name,
    cast(campaign_days.impressions as bigint) as impressions,
    cast(campaign_days.clicks as bigint) as clicks,
    cast(campaign_days.spend as {{ type_money() }}) as spend,
    campaign_days.currency_code,
    cast(campaign_days.conversions as {{ type_money() }}) as conversions,
    cast(campaign_days.conversion_value as {{ type_money() }}) as conversion_value,
    cast(campaign_days.spend_reporting as {{ type_money() }}) as spend_reporting,
    cast(campaign_days.conversion_value_reporting as {{ type_money() }}) as conversion_value_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code,
    {{ ratio('campaign_days.clicks', 'campaign_days.impressions') }} as click_through_rate,
    {{ ratio('campaign_days.spend', 'campaign_days.clicks') }} as cost_per_click,
    {{ ratio('campaign_days.spend * 1000', 'campaign_days.impressions') }} as cost_per_thousand_impressions,
    {{ ratio('campaign_days.spend', 'campaign_days.conversions') }} as cost_per_conversion,
    {{ ratio('campaign_days.conversion_value', 'campaign_days.spend') }} as return_on_ad_spend,
    campaign_days.is_settled
from campaign_days
left join {{ ref('dim_account') }} as accounts
    on campaign_days.account_key = accounts.account_key
left join {{ ref('dim_campaign') }} as campaigns
    on campaign_days.campaign_key = campaigns.campaign_key
