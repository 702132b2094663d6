-- Every current report set adds up to the totals its receipt took from the response: no landed figure was changed.
{{ blocks_nothing() }}
with staged as (
    {%- for resource, model in {
        'ad_group_ad_day': 'stg_google_ads__ad_days',
        'campaign_day': 'stg_google_ads__campaign_days',
        'customer_day': 'stg_google_ads__account_days',
        'keyword_view_day': 'stg_google_ads__keyword_days',
        'search_term_view_day': 'stg_google_ads__search_term_days',
    }.items() %}
    select
        '{{ resource }}' as resource,
        partition_key,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend
    from {{ ref(model) }}
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
from {{ ref('stg_google_ads__sets') }} as sets
left join staged
    on
        sets.resource = staged.resource
        and sets.partition_key = staged.partition_key
where
    sets.is_current
    and (
        sets.total_impressions <> coalesce(staged.impressions, 0)
        or sets.total_clicks <> coalesce(staged.clicks, 0)
        or sets.total_spend <> coalesce(staged.spend, 0)
    )
