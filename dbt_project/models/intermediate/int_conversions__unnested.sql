{%- set kept = [
    'partition_key', 'account_id', 'date_day', 'campaign_id', 'ad_group_id', 'ad_id', 'ad_group_key', 'ad_key',
    'currency_code', 'run_seq', 'read_at'
] -%}
with facebook_ad_days as (
    select
        partition_key,
        account_id,
        date_day,
        campaign_id,
        ad_set_id as ad_group_id,
        ad_id,
        {{ entity_key(["'facebook_ads'", 'account_id'], 'ad_set_id') }} as ad_group_key,
        {{ entity_key(["'facebook_ads'", 'account_id'], 'ad_id') }} as ad_key,
        currency_code,
        actions,
        action_values,
        run_seq,
        read_at
    from {{ ref('stg_facebook_ads__ad_days') }}
    where actions is not null or action_values is not null
),

facebook as (
    {{ unnested_actions('facebook_ad_days', kept) }}
)

select
    cast('facebook_ads' as {{ type_text() }}) as platform,
    {{ kept | join(',\n    ') }},
    action_type as conversion_action_id,
    {{ entity_key(["'facebook_ads'"], 'action_type') }} as conversion_action_key,
    attribution_window,
    coalesce(conversions, 0) as conversions,
    cast(null as {{ type_money() }}) as all_conversions,
    conversion_value
from facebook
union all
-- Google tells conversions by action for campaigns only: the ad is unknown.
select
    cast('google_ads' as {{ type_text() }}) as platform,
    partition_key,
    account_id,
    date_day,
    campaign_id,
    cast(null as {{ type_text() }}) as ad_group_id,
    cast(null as {{ type_text() }}) as ad_id,
    {{ unknown_key() }} as ad_group_key,
    {{ unknown_key() }} as ad_key,
    currency_code,
    run_seq,
    read_at,
    conversion_action_id,
    {{ entity_key(["'google_ads'", 'account_id'], 'conversion_action_id') }} as conversion_action_key,
    cast('default' as {{ type_text() }}) as attribution_window,
    coalesce(conversions, 0) as conversions,
    all_conversions,
    conversion_value
from {{ ref('stg_google_ads__campaign_conversion_days') }}
