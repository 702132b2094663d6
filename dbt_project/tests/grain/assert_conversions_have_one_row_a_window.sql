-- One row for each ad (or campaign), day, action and attribution window.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
select
    account_key,
    date_day,
    campaign_key,
    ad_key,
    conversion_action_key,
    attribution_window,
    count(*) as fact_rows
from {{ ref('fact_ad_conversion') }}
-- All windows of an action come from one element of Meta's list: if one is there twice, `default` is.
where
    attribution_window = 'default'
    and {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
group by
    account_key,
    date_day,
    campaign_key,
    ad_key,
    conversion_action_key,
    attribution_window
having count(*) > 1
