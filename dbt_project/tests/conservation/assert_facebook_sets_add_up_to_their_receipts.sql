-- Every current report set adds up to the totals its receipt took from the response: no landed figure was changed.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
with staged as (
    {%- for resource, model in {
        'insights_ad': 'stg_facebook_ads__ad_days',
        'insights_campaign': 'stg_facebook_ads__campaign_days',
        'insights_account': 'stg_facebook_ads__account_days',
    }.items() %}
    select
        '{{ resource }}' as resource,
        partition_key,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend
    from {{ ref(model) }}
    where {{ in_unverified_days('date_day', 'fact_ad_performance', 'facebook_ads') }}
    group by partition_key
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    sets.platform,
    sets.resource,
    sets.account_id,
    sets.date_day,
    sets.total_impressions,
    staged.impressions,
    sets.total_clicks,
    staged.clicks,
    sets.total_spend,
    staged.spend
from {{ ref('stg_facebook_ads__sets') }} as sets
left join staged
    on
        sets.resource = staged.resource
        and sets.partition_key = staged.partition_key
where
    sets.is_current
    and {{ in_unverified_days('sets.date_day', 'fact_ad_performance', 'facebook_ads') }}
    and (
        sets.total_impressions <> coalesce(staged.impressions, 0)
        or sets.total_clicks <> coalesce(staged.clicks, 0)
        or sets.total_spend <> coalesce(staged.spend, 0)
    )
