-- What a campaign's total has beyond its ads (Performance Max, deleted ads, rounding) is explained: ads that were
-- withheld are not.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
select
    platform,
    account_id,
    date_day,
    campaign_id,
    impressions,
    clicks,
    spend,
    currency_code
from {{ ref('fact_ad_performance') }}
where
    row_kind = 'remainder'
    and remainder_cause is null
    and is_settled
    and {{ in_unverified_days('date_day', 'fact_ad_performance') }}
