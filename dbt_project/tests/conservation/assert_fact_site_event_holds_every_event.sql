-- Every event of every committed message is in the fact once: none is lost between two builds, none made up.
{{ blocks_nothing() }}
with messages as ({{ landed_rows('kafka', 'site_events', ['message_id', 'value__events'], by_day=false) }}
),

events as ({{ exploded('messages', ['message_id'], 'value__events', {'event_id': ['event_id']}) }}
),

landed as (
    select distinct
        coalesce(events.event_id, events.message_id || '/' || cast(events.element_no as {{ type_text() }})) as event_id
    from events
    {%- if site_events_by_spark() %}
    union
    select flat.event_id
    from {{ source('raw_kafka_spark', 'site_events_flat') }} as flat
    {%- endif %}
)

select
    landed.event_id as landed_event_id,
    facts.event_id as fact_event_id
from landed
full outer join {{ ref('fact_site_event') }} as facts
    on landed.event_id = facts.event_id
where
    landed.event_id is null
    or facts.event_id is null
