-- Of every account's day the fact holds each action Meta listed and each conversion Google credited, whether
-- anything was delivered that day or not.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
with listed as (
    select
        'facebook_ads' as platform,
        account_id,
        date_day,
        -- An element names its type once; counting the names costs a tenth of parsing the lists again.
        sum({{ occurrences('"action_type"', 'actions') }}) as figures
    from {{ ref('stg_facebook_ads__ad_days') }}
    where {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
    group by account_id, date_day
    union all
    select
        'google_ads' as platform,
        account_id,
        date_day,
        sum(conversions) as figures
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
        ) as figures
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
    listed.figures as listed,
    held.figures as held
from listed
full outer join held
    on
        listed.platform = held.platform
        and listed.account_id = held.account_id
        and listed.date_day = held.date_day
where coalesce(listed.figures, 0) <> coalesce(held.figures, 0)
