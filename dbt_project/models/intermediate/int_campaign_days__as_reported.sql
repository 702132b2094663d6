select
    cast('facebook_ads' as {{ type_text() }}) as platform,
    partition_key,
    account_id,
    date_day,
    campaign_id,
    currency_code,
    coalesce(impressions, 0) as impressions,
    coalesce(clicks, 0) as clicks,
    link_clicks,
    coalesce(spend, 0) as spend,
    run_seq,
    read_at,
    replaced_at,
    is_current
from {{ ref('stg_facebook_ads__campaign_days_as_reported') }}
union all
select
    cast('google_ads' as {{ type_text() }}) as platform,
    partition_key,
    account_id,
    date_day,
    campaign_id,
    currency_code,
    coalesce(impressions, 0) as impressions,
    coalesce(clicks, 0) as clicks,
    cast(null as bigint) as link_clicks,
    coalesce(spend, 0) as spend,
    run_seq,
    read_at,
    replaced_at,
    is_current
from {{ ref('stg_google_ads__campaign_days_as_reported') }}
