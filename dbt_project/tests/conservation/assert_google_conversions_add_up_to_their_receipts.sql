-- Every current report of conversions adds up to the totals its receipt took from the response.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
with staged as (
    select
        partition_key,
        sum(conversions) as conversions,
        sum(conversion_value) as conversion_value,
        sum(all_conversions) as all_conversions
    from {{ ref('stg_google_ads__campaign_conversion_days') }}
    where {{ in_unverified_days('date_day', 'fact_ad_conversion', 'google_ads') }}
    group by partition_key
),

sets as (
    select
        account_id,
        date_day,
        partition_key,
        {{ to_money(json_text('totals', 'metrics__conversions')) }} as total_conversions,
        {{ to_money(json_text('totals', 'metrics__conversions_value')) }} as total_conversion_value,
        {{ to_money(json_text('totals', 'metrics__all_conversions')) }} as total_all_conversions
    from {{ ref('stg_google_ads__sets') }}
    where
        is_current
        and resource = 'campaign_conversion_day'
        and {{ in_unverified_days('date_day', 'fact_ad_conversion', 'google_ads') }}
)

select
    sets.account_id,
    sets.date_day,
    sets.total_conversions,
    staged.conversions,
    sets.total_conversion_value,
    staged.conversion_value,
    sets.total_all_conversions,
    staged.all_conversions
from sets
left join staged
    on sets.partition_key = staged.partition_key
where
    sets.total_conversions <> coalesce(staged.conversions, 0)
    or sets.total_conversion_value <> coalesce(staged.conversion_value, 0)
    or sets.total_all_conversions <> coalesce(staged.all_conversions, 0)
