{%- set kept = [
    'partition_key', 'account_id', 'date_day', 'campaign_id', 'ad_group_id', 'ad_id', 'account_key', 'currency_code',
    'is_settled', 'campaign_version_key', 'run_seq', 'read_at'
] -%}
with facebook_ad_days as (
    select
        ad_days.partition_key,
        ad_days.account_id,
        ad_days.date_day,
        ad_days.campaign_id,
        ad_days.ad_set_id as ad_group_id,
        ad_days.ad_id,
        days.account_key,
        coalesce(ad_days.currency_code, days.currency_code) as currency_code,
        days.is_settled,
        versions.campaign_key as campaign_version_key,
        ad_days.actions,
        ad_days.action_values,
        ad_days.run_seq,
        ad_days.read_at
    from {{ ref('stg_facebook_ads__ad_days') }} as ad_days
    {{ joined_days_and_versions('ad_days', "'facebook_ads'") }}
    where ad_days.actions is not null or ad_days.action_values is not null
),

-- Keys are joined and hashed before an ad's day becomes many rows.
facebook as (
    {{
        unnested_actions(
            'facebook_ad_days',
            kept,
            {
                'campaign_key': "coalesce(ad_days.campaign_version_key, "
                ~ entity_key(["'facebook_ads'", 'ad_days.account_id'], 'ad_days.campaign_id') ~ ")",
                'ad_group_key': entity_key(["'facebook_ads'", 'ad_days.account_id'], 'ad_days.ad_group_id'),
                'ad_key': entity_key(["'facebook_ads'", 'ad_days.account_id'], 'ad_days.ad_id'),
            },
            entity_key(["'facebook_ads'"], 'acts.action_type')
        )
    }}
)

select
    partition_key,
    date_day,
    account_key,
    campaign_key,
    ad_group_key,
    ad_key,
    conversion_action_key,
    cast('facebook_ads' as {{ type_text() }}) as platform,
    account_id,
    campaign_id,
    ad_group_id,
    ad_id,
    action_type as conversion_action_id,
    attribution_window,
    conversions,
    cast(null as {{ type_money() }}) as all_conversions,
    conversion_value,
    currency_code,
    is_settled,
    run_seq,
    read_at
from facebook
union all
-- Google tells conversions by action for campaigns only: the ad is unknown.
select
    conversion_days.partition_key,
    conversion_days.date_day,
    days.account_key,
    {{ campaign_key('conversion_days', 'versions', "'google_ads'") }} as campaign_key,
    {{ unknown_key() }} as ad_group_key,
    {{ unknown_key() }} as ad_key,
    {{ entity_key(["'google_ads'", 'conversion_days.account_id'], 'conversion_days.conversion_action_id') }}
        as conversion_action_key,
    cast('google_ads' as {{ type_text() }}) as platform,
    conversion_days.account_id,
    conversion_days.campaign_id,
    cast(null as {{ type_text() }}) as ad_group_id,
    cast(null as {{ type_text() }}) as ad_id,
    conversion_days.conversion_action_id,
    cast('default' as {{ type_text() }}) as attribution_window,
    conversion_days.conversions,
    conversion_days.all_conversions,
    conversion_days.conversion_value,
    coalesce(conversion_days.currency_code, days.currency_code) as currency_code,
    days.is_settled,
    conversion_days.run_seq,
    conversion_days.read_at
from {{ ref('stg_google_ads__campaign_conversion_days') }} as conversion_days
{{ joined_days_and_versions('conversion_days', "'google_ads'") }}
