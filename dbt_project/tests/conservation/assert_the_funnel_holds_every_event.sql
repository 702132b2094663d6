-- rpt_funnel counts each impression, click, sign-up and order of the facts once, and each visit.
{{ blocks_nothing() }}
{%- set steps = {
    'impressions': "event_name = 'impression'", 'clicks': "event_name = 'click'", 'sign_ups': "event_name = 'sign_up'",
    'orders': "event_name = 'order'",
} %}
with told as (
    {%- for step, condition in steps.items() %}
    select
        '{{ step }}' as step,
        count(*) as events
    from {{ ref('fact_site_event') }}
    where {{ condition }}
    union all
    {%- endfor %}
    select
        'visits' as step,
        count(*) as events
    from {{ ref('fact_site_session') }}
),

counted as (
    {%- for step in steps | list + ['visits'] %}
    select
        '{{ step }}' as step,
        coalesce(sum({{ step }}), 0) as events
    from {{ ref('rpt_funnel') }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    told.step,
    told.events as fact_events,
    counted.events as funnel_events
from told
inner join counted
    on told.step = counted.step
where told.events <> counted.events
