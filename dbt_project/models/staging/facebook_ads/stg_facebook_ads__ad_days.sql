select * from {{ ref('stg_facebook_ads__ad_days_as_reported') }}
where is_current
