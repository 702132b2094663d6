-- Of every account's day the fact holds each figure and each worth that Meta's ads list, and what Google credited, to
-- the last digit, whether anything was delivered that day or not. What Meta's figures add up to is held against its
-- account report instead (assert_account_conversions_match_the_platform): taking its lists apart again would cost as
-- much as the fact, counting the elements costs a tenth.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
with listed as (
    select
        'facebook_ads' as platform,
        account_id,
        date_day,
        -- An element names its type once.
        sum({{ occurrences('"action_type"', 'actions') }}) as conversions,
        sum({{ occurrences('"action_type"', 'action_values') }}) as conversion_value
    from {{ ref('stg_facebook_ads__ad_days') }}
    where {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
    group by account_id, date_day
    union all
    select
        'google_ads' as platform,
        account_id,
        date_day,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value
    from {{ ref('stg_google_ads__campaign_conversion_days') }}
    where {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
    group by account_id, date_day
),

held as (
    select
        platform,
        account_id,
        date_day,
        sum(
            case
                when platform = 'google_ads' then conversions
                when ad_key = {{ unknown_key() }} then 0
                when conversions is not null then 1
                else 0
            end
        ) as conversions,
        sum(
            case
                when platform = 'google_ads' then conversion_value
                when ad_key = {{ unknown_key() }} then 0
                when conversion_value is not null then 1
                else 0
            end
        ) as conversion_value
    from {{ ref('fact_ad_conversion') }}
    where
        attribution_window = 'default'
        and {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
    group by platform, account_id, date_day
)

select
    coalesce(listed.platform, held.platform) as platform,
    coalesce(listed.account_id, held.account_id) as account_id,
    coalesce(listed.date_day, held.date_day) as date_day,
    listed.conversions as listed_conversions,
    held.conversions as held_conversions,
    listed.conversion_value as listed_conversion_value,
    held.conversion_value as held_conversion_value
from listed
full outer join held
    on
        listed.platform = held.platform
        and listed.account_id = held.account_id
        and listed.date_day = held.date_day
where
    coalesce(listed.conversions, 0) <> coalesce(held.conversions, 0)
    or coalesce(listed.conversion_value, 0) <> coalesce(held.conversion_value, 0)
