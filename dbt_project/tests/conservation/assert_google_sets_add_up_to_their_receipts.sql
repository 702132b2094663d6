-- Every current report set adds up to the totals its receipt took from the response: no landed figure was changed.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
{%- set reports = {
    'ad_group_ad_day': ('stg_google_ads__ad_days', 'fact_ad_performance'),
    'campaign_day': ('stg_google_ads__campaign_days', 'fact_ad_performance'),
    'customer_day': ('stg_google_ads__account_days', 'fact_ad_performance'),
    'keyword_view_day': ('stg_google_ads__keyword_days', 'fact_keyword_performance'),
    'search_term_view_day': ('stg_google_ads__search_term_days', 'fact_search_term_performance'),
} %}
with staged as (
    {%- for resource, (model, fact) in reports.items() %}
    select
        '{{ resource }}' as resource,
        partition_key,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend
    from {{ ref(model) }}
    where {{ in_unverified_days('date_day', fact, 'google_ads') }}
    group by partition_key
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

sets as (
    {%- for resource, (model, fact) in reports.items() %}
    select * from {{ ref('stg_google_ads__sets') }}
    where
        resource = '{{ resource }}'
        and is_current
        and {{ in_unverified_days('date_day', fact, 'google_ads') }}
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
from sets
left join staged
    on
        sets.resource = staged.resource
        and sets.partition_key = staged.partition_key
where
    sets.total_impressions <> coalesce(staged.impressions, 0)
    or sets.total_clicks <> coalesce(staged.clicks, 0)
    or sets.total_spend <> coalesce(staged.spend, 0)
