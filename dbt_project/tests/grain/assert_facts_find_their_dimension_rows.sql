-- Every key of every fact has its row in the dimension, so that a join loses nothing.
-- Loops in loops are too much for the linter of indents.
-- noqa: disable=LT02
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
{%- set facts = {
    'fact_ad_performance': ['account', 'campaign', 'ad_group', 'ad'],
    'fact_ad_conversion': ['account', 'campaign', 'ad_group', 'ad', 'conversion_action'],
    'fact_campaign_performance': ['account', 'campaign'],
    'fact_keyword_performance': ['account', 'campaign', 'ad_group', 'keyword'],
    'fact_search_term_performance': ['account', 'campaign', 'ad_group'],
} %}
{#- All windows of an action have the keys of its default one. -#}
{%- set default_only = {'fact_ad_conversion': " and attribution_window = 'default'"} %}
with
{%- for fact, dimensions in facts.items() %}
{{ fact }}_keys as (
    -- Each combination of keys once: there are far fewer of them than rows.
    select
        platform,
        account_id,
        {{ dimensions | join('_key, ') }}_key,
        min(date_day) as first_day,
        max(date_day) as last_day
    from {{ ref(fact) }}
    where {{ in_unverified_days('date_day', fact) ~ default_only.get(fact, '') }}
    group by platform, account_id, {{ dimensions | join('_key, ') }}_key
){{ ',' if not loop.last }}
{% endfor %}
{%- for fact, dimensions in facts.items() %}
select
    '{{ fact }}' as fact_name,
    facts.platform,
    facts.account_id,
    facts.first_day as date_day,
    case
        {%- for dimension in dimensions %}
        when {{ dimension }}s.{{ dimension }}_key is null then 'dim_{{ dimension }}'
        {%- endfor %}
        else 'dim_date'
    end as dimension_name
from {{ fact }}_keys as facts
{%- for dimension in dimensions %}
left join {{ ref('dim_' ~ dimension) }} as {{ dimension }}s
    on facts.{{ dimension }}_key = {{ dimension }}s.{{ dimension }}_key
{%- endfor %}
left join {{ ref('dim_date') }} as first_dates
    on facts.first_day = first_dates.date_day
left join {{ ref('dim_date') }} as last_dates
    on facts.last_day = last_dates.date_day
where
    first_dates.date_day is null
    or last_dates.date_day is null
    {%- for dimension in dimensions %}
    or {{ dimension }}s.{{ dimension }}_key is null
    {%- endfor %}
{{ 'union all' if not loop.last }}
{%- endfor %}
