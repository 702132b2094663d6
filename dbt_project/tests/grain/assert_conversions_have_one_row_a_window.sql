-- One row for each ad (or campaign), day, action and attribution window.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
-- All windows of an action come from one element of Meta's list: if one is there twice, `default` is. Keys alone, which
-- include the account, are grouped several times faster than texts.
with repeated as (
    select
        date_day,
        account_key,
        campaign_key,
        ad_key,
        conversion_action_key,
        count(*) as fact_rows
    from {{ ref('fact_ad_conversion') }}
    where
        attribution_window = 'default'
        and {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
    group by
        date_day,
        account_key,
        campaign_key,
        ad_key,
        conversion_action_key
    having count(*) > 1
)

select
    accounts.platform,
    accounts.account_id,
    repeated.date_day,
    repeated.campaign_key,
    repeated.ad_key,
    repeated.conversion_action_key,
    repeated.fact_rows
from repeated
left join {{ ref('dim_account') }} as accounts
    on repeated.account_key = accounts.account_key
