{{ config(materialized='table', post_hook='analyze {{ this }}') }}
-- Ids as the facts know them. The conversions of ads come from rows that fact_ad_performance has too; those that only
-- a campaign's report credits need not.
select
    platform,
    account_id,
    campaign_id,
    ad_group_id,
    ad_id,
    ad_group_key,
    ad_key
from {{ ref('fact_ad_performance') }}
group by platform, account_id, campaign_id, ad_group_id, ad_id, ad_group_key, ad_key
union
select
    platform,
    account_id,
    campaign_id,
    ad_group_id,
    cast(null as {{ type_text() }}) as ad_id,
    ad_group_key,
    {{ unknown_key() }} as ad_key
from {{ ref('fact_keyword_performance') }}
union
select
    platform,
    account_id,
    campaign_id,
    ad_group_id,
    cast(null as {{ type_text() }}) as ad_id,
    ad_group_key,
    {{ unknown_key() }} as ad_key
from {{ ref('fact_search_term_performance') }}
{%- for platform, model in {
    'google_ads': 'stg_google_ads__campaign_conversion_days',
    'facebook_ads': 'stg_facebook_ads__campaign_days',
}.items() %}
union
select
    cast('{{ platform }}' as {{ type_text() }}) as platform,
    account_id,
    campaign_id,
    cast(null as {{ type_text() }}) as ad_group_id,
    cast(null as {{ type_text() }}) as ad_id,
    {{ unknown_key() }} as ad_group_key,
    {{ unknown_key() }} as ad_key
from {{ ref(model) }}
{%- endfor %}
