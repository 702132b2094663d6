-- One row for each ad (or campaign), day, action and attribution window.
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
group by
    account_key,
    date_day,
    campaign_key,
    ad_key,
    conversion_action_key,
    attribution_window
having count(*) > 1
