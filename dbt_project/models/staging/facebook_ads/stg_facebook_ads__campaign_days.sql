select * from {{ ref('stg_facebook_ads__campaign_days_as_reported') }}
where is_current
