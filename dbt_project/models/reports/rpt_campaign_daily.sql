select
    campaign_days.date_day,
    campaign_days.platform,
    campaign_days.account_id,
    accounts.account_name,
    campaign_days.campaign_id,
    campaigns.campaign_name,
    campaign_days.impressions,
    campaign_days.clicks,
    campaign_days.spend,
    campaign_days.currency_code,
    campaign_days.conversions,
    campaign_days.conversion_value,
    campaign_days.spend_reporting,
    campaign_days.conversion_value_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code,
    {{ ratio('campaign_days.clicks', 'campaign_days.impressions') }} as click_through_rate,
    {{ ratio('campaign_days.spend', 'campaign_days.clicks') }} as cost_per_click,
    {{ ratio('campaign_days.spend * 1000', 'campaign_days.impressions') }} as cost_per_thousand_impressions,
    {{ ratio('campaign_days.spend', 'campaign_days.conversions') }} as cost_per_conversion,
    {{ ratio('campaign_days.conversion_value', 'campaign_days.spend') }} as return_on_ad_spend,
    campaign_days.is_settled
from {{ ref('fact_campaign_performance') }} as campaign_days
left join {{ ref('dim_account') }} as accounts
    on campaign_days.account_key = accounts.account_key
left join {{ ref('dim_campaign') }} as campaigns
    on campaign_days.campaign_key = campaigns.campaign_key
