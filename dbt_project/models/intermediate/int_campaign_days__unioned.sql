select * from {{ ref('int_campaign_days__as_reported') }}
where is_current
