-- Of every account's day the keyword and search-term facts hold each row that was read, and its money.
{{ blocks_nothing() }}
{%- set facts = {
    'keyword_view_day': 'fact_keyword_performance',
    'search_term_view_day': 'fact_search_term_performance',
} %}
with held as (
    {%- for resource, fact in facts.items() %}
    select
        '{{ resource }}' as resource,
        account_id,
        date_day,
        count(*) as fact_rows,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend
    from {{ ref(fact) }}
    group by account_id, date_day
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

sets as (
    select * from {{ ref('stg_google_ads__sets') }}
    where is_current and resource in ('keyword_view_day', 'search_term_view_day')
)

select
    coalesce(sets.resource, held.resource) as resource,
    coalesce(sets.account_id, held.account_id) as account_id,
    coalesce(sets.date_day, held.date_day) as date_day,
    sets.read_rows,
    held.fact_rows,
    sets.total_spend,
    held.spend
from sets
full outer join held
    on
        sets.resource = held.resource
        and sets.account_id = held.account_id
        and sets.date_day = held.date_day
where
    sets.resource is null
    or sets.read_rows <> coalesce(held.fact_rows, 0)
    or sets.total_impressions <> coalesce(held.impressions, 0)
    or sets.total_clicks <> coalesce(held.clicks, 0)
    or sets.total_spend <> coalesce(held.spend, 0)
