select
    cast('facebook_ads' as {{ type_text() }}) as platform,
    partition_key,
    account_id,
    date_day,
    campaign_id,
    ad_set_id as ad_group_id,
    ad_id,
    {{ entity_key(["'facebook_ads'", 'account_id'], 'ad_set_id') }} as ad_group_key,
    {{ entity_key(["'facebook_ads'", 'account_id'], 'ad_id') }} as ad_key,
    currency_code,
    coalesce(impressions, 0) as impressions,
    coalesce(clicks, 0) as clicks,
    link_clicks,
    coalesce(spend, 0) as spend,
    reach,
    run_seq,
    read_at,
    replaced_at,
    is_current
from {{ ref('stg_facebook_ads__ad_days_as_reported') }}
union all
-- Google tells devices and networks apart; an ad's day is their sum.
select
    cast('google_ads' as {{ type_text() }}) as platform,
    partition_key,
    account_id,
    date_day,
    campaign_id,
    ad_group_id,
    ad_id,
    {{ entity_key(["'google_ads'", 'account_id'], 'ad_group_id') }} as ad_group_key,
    {{ entity_key(["'google_ads'", 'account_id', 'ad_group_id'], 'ad_id') }} as ad_key,
    max(currency_code) as currency_code,
    cast(coalesce(sum(impressions), 0) as bigint) as impressions,
    cast(coalesce(sum(clicks), 0) as bigint) as clicks,
    cast(null as bigint) as link_clicks,
    cast(coalesce(sum(spend), 0) as {{ type_money() }}) as spend,
    cast(null as bigint) as reach,
    run_seq,
    read_at,
    replaced_at,
    is_current
from {{ ref('stg_google_ads__ad_days_as_reported') }}
group by
    partition_key, account_id, date_day, campaign_id, ad_group_id, ad_id, run_seq, read_at, replaced_at, is_current
