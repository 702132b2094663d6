-- One row for each campaign and day.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
select
    platform,
    account_id,
    date_day,
    campaign_id,
    count(*) as fact_rows
from {{ ref('fact_campaign_performance') }}
where {{ in_unverified_days('date_day', 'fact_campaign_performance') }}
group by
    platform,
    account_id,
    date_day,
    campaign_id
having count(*) > 1
