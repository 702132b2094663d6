-- Of every account's day and action the fact has as many conversions as Meta's own account report, where that lists
-- any. It warns: Meta models some conversions for each level anew, which nobody can add up.
{{ config(tags=['unverified_only'], severity='warn') }}
{{ blocks_nothing() }}
with account_days as (
    select
        partition_key,
        account_id,
        date_day,
        actions,
        cast(null as {{ type_text() }}) as action_values
    from {{ ref('stg_facebook_ads__account_days') }}
    where
        actions is not null
        and {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
),

told as (
    {{
        unnested_actions(
            'account_days',
            ['account_id', 'date_day'],
            {'account_key': entity_key(["'facebook_ads'"], 'ad_days.account_id')},
            entity_key(["'facebook_ads'"], 'acts.action_type')
        )
    }}
),

held as (
    select
        account_id,
        date_day,
        conversion_action_key,
        sum(conversions) as conversions
    from {{ ref('fact_ad_conversion') }}
    where
        platform = 'facebook_ads'
        and attribution_window = 'default'
        and {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
    group by account_id, date_day, conversion_action_key
)

select
    told.account_id,
    told.date_day,
    told.action_type,
    told.conversions as platform_conversions,
    held.conversions as fact_conversions
from told
left join held
    on
        told.account_id = held.account_id
        and told.date_day = held.date_day
        and told.conversion_action_key = held.conversion_action_key
where
    told.attribution_window = 'default'
    and told.conversions <> coalesce(held.conversions, 0)
