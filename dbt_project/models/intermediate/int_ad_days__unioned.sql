select * from {{ ref('int_ad_days__as_reported') }}
where is_current
