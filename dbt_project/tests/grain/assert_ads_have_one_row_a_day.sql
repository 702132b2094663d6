-- One row for each ad and day, one remainder for each campaign and day: two ad groups may share an ad id, two accounts
-- a name.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
select
    platform,
    account_id,
    date_day,
    row_kind,
    campaign_id,
    ad_group_id,
    ad_id,
    count(*) as fact_rows
from {{ ref('fact_ad_performance') }}
where {{ in_unverified_days('date_day', 'fact_ad_performance') }}
group by
    platform,
    account_id,
    date_day,
    row_kind,
    campaign_id,
    ad_group_id,
    ad_id
having count(*) > 1
