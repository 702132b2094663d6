-- Every account's day has as many conversions, and of as much worth, as the platform's own account report says: for
-- Meta by action, where that lists any, for Google all actions together. It warns: Meta models some conversions for
-- each level anew, which nobody can add up, and Google's fractions are rounded.
{{ config(tags=['unverified_only'], severity='warn', meta={'severity': 'major'}) }}
{{ blocks_nothing() }}
with account_days as (
    select
        partition_key,
        account_id,
        date_day,
        actions,
        action_values
    from {{ ref('stg_facebook_ads__account_days') }}
    where
        (actions is not null or action_values is not null)
        and {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
),

listed as (
    {{
        unnested_actions(
            'account_days',
            ['account_id', 'date_day'],
            {'account_key': entity_key(["'facebook_ads'"], 'ad_days.account_id')},
            entity_key(["'facebook_ads'"], 'acts.action_type')
        )
    }}
),

told as (
    select
        'facebook_ads' as platform,
        account_id,
        date_day,
        action_type,
        conversions,
        conversion_value
    from listed
    where attribution_window = 'default'
    union all
    select
        'google_ads' as platform,
        account_id,
        date_day,
        '*' as action_type,
        conversions,
        conversion_value
    from {{ ref('stg_google_ads__account_days') }}
    where {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
),

credited as (
    select
        platform,
        account_id,
        date_day,
        case when platform = 'google_ads' then '*' else conversion_action_id end as action_type,
        conversions,
        conversion_value
    from {{ ref('fact_ad_conversion') }}
    where
        attribution_window = 'default'
        and {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
),

held as (
    select
        platform,
        account_id,
        date_day,
        action_type,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value
    from credited
    group by platform, account_id, date_day, action_type
)

select
    told.platform,
    told.account_id,
    told.date_day,
    told.action_type,
    told.conversions as platform_conversions,
    held.conversions as fact_conversions,
    told.conversion_value as platform_conversion_value,
    held.conversion_value as fact_conversion_value
from told
left join held
    on
        told.platform = held.platform
        and told.account_id = held.account_id
        and told.date_day = held.date_day
        and told.action_type = held.action_type
where
    abs(told.conversions - coalesce(held.conversions, 0)) >= 0.01
    or abs(told.conversion_value - coalesce(held.conversion_value, 0)) >= 0.01
