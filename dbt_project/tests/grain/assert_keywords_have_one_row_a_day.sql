-- One row for each keyword and day: two ad groups may share a criterion id.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
select
    account_id,
    date_day,
    campaign_id,
    ad_group_id,
    criterion_id,
    count(*) as fact_rows
from {{ ref('fact_keyword_performance') }}
where {{ in_unverified_days('date_day', 'fact_keyword_performance') }}
group by
    account_id,
    date_day,
    campaign_id,
    ad_group_id,
    criterion_id
having count(*) > 1
