-- Every key of a fact about people has its row in the dimension, so that a join loses nothing.
-- noqa: disable=LT02
{{ blocks_nothing() }}
{%- set facts = {
    'fact_sales': ['user', 'product'],
    'fact_user_event': ['user', 'device'],
    'fact_user_login': ['user', 'device'],
    'fact_site_event': ['user', 'device', 'campaign'],
    'fact_site_session': ['user', 'device', 'campaign'],
    'bridge_user_campaign_touch': ['user', 'account', 'campaign', 'ad_group', 'ad'],
} %}
{%- set days = {
    'fact_sales': 'sold_date', 'fact_user_event': 'date_day', 'fact_user_login': 'create_date',
    'bridge_user_campaign_touch': 'date_day', 'fact_site_event': 'date_day', 'fact_site_session': 'date_day',
} %}
{%- for fact, dimensions in facts.items() %}
{%- for dimension in dimensions %}
select
    '{{ fact }}' as fact_name,
    'dim_{{ dimension }}' as dimension_name,
    facts.{{ dimension }}_key as missing_key,
    count(*) as fact_rows
from {{ ref(fact) }} as facts
left join {{ ref('dim_' ~ dimension) }} as members
    on facts.{{ dimension }}_key = members.{{ dimension }}_key
where members.{{ dimension }}_key is null
group by facts.{{ dimension }}_key
union all
{%- endfor %}
select
    '{{ fact }}' as fact_name,
    'dim_date' as dimension_name,
    cast(null as bigint) as missing_key,
    count(*) as fact_rows
from {{ ref(fact) }} as facts
left join {{ ref('dim_date') }} as dates
    on facts.{{ days[fact] }} = dates.date_day
where
    dates.date_day is null
    and facts.{{ days[fact] }} is not null
having count(*) > 0
{{ 'union all' if not loop.last }}
{%- endfor %}
