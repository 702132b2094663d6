{{
    config(
        materialized='incremental',
        incremental_strategy='append',
        on_schema_change='fail',
        indexes=[
            {'columns': ['event_id'], 'unique': true},
            {'columns': ['device_pseudonym']},
            {'columns': ['run_seq']},
        ],
        dist='device_pseudonym',
        sort=['run_seq'],
        post_hook='analyze {{ this }}',
    )
}}
{#- A table that only grows, because taking lists apart costs most of a build that runs each minute. What has landed
    never changes, and of an event that came twice the first stays, so a full refresh makes the same rows. -#}
{%- set kept = [
    'account_id', 'run_seq', 'read_at', 'row_no', 'message_id', 'received_at', 'value__batch_id', 'value__sent_at',
    'value__device_id__pseudonym', 'value__user_id__pseudonym'
] -%}
{%- set told_by_event = {
    'event_id': ['event_id'],
    'event_name': ['event_name'],
    'occurred_at': ['occurred_at'],
    'order_id': ['properties', 'order_id'],
    'order_amount': ['properties', 'value'],
    'currency_code': ['properties', 'currency'],
    'items': ['properties', 'items'],
} -%}
{%- set told_by_context = {
    'page_url': ['page', 'url'],
    'platform': ['campaign', 'platform'],
    'ad_account_id': ['campaign', 'account_id'],
    'campaign_id': ['campaign', 'campaign_id'],
    'ad_group_id': ['campaign', 'ad_group_id'],
    'ad_id': ['campaign', 'ad_id'],
    'click_id': ['campaign', 'click_id'],
    'gclid': ['campaign', 'gclid'],
    'fbclid': ['campaign', 'fbclid'],
    'utm_source': ['campaign', 'utm_source'],
    'utm_medium': ['campaign', 'utm_medium'],
    'utm_campaign': ['campaign', 'utm_campaign'],
    'utm_content': ['campaign', 'utm_content'],
    'locale': ['locale'],
    'app_version': ['app', 'version'],
    'device_platform': ['app', 'platform'],
} -%}
{%- set by_spark = site_events_by_spark() -%}
{%- set uncounted = 'uncounted' if by_spark else 'first_landed' -%}
{%- set told_count = 'first_landed.told_count, ' if by_spark else '' -%}
{%- set told_quantity = 'first_landed.told_quantity, ' if by_spark else '' -%}
{%- set newest = 0 -%}
{%- set newest_by_spark = 0 -%}
{%- if is_incremental() -%}
    {%- set newest = newest_run(this, by_spark and 'loader') -%}
    {%- set newest_by_spark = newest_run(this, 'spark') if by_spark else 0 -%}
{%- endif -%}
-- Lists that macros write are too much for the linter of indents.
-- noqa: disable=LT02
with source as ({{ landed_rows('kafka', 'site_events', [
        'message_id',
        'timestamp',
        'value__batch_id',
        'value__sent_at',
        'value__device_id__pseudonym',
        'value__user_id__pseudonym',
        'value__context',
        'value__events',
    ], by_day=false) }}
),

-- One row for each (topic, partition, offset) of a topic: that which landed first. Tombstones have no events.
messages as (
    select *
    from (
        select
            source.*,
            {{ from_epoch('source."timestamp"') }} as received_at,
            row_number() over (partition by source.message_id order by source.run_seq, source.row_no) as landing_no
        from source
        where
            source.value__events is not null
            {%- if newest %}
            and source.run_seq > {{ newest }}
            {%- endif %}
    ) as numbered
    where landing_no = 1
),

events as ({{ exploded('messages', kept, 'value__events', told_by_event, 'value__context', told_by_context) }}
),

named as (
    select
        events.*,
        {%- if by_spark %}
        cast(null as bigint) as told_count,
        cast(null as bigint) as told_quantity,
        {%- endif %}
        -- One without an id is told from others by its place in its message.
        coalesce(
            events.event_id, events.message_id || '/' || cast(events.element_no as {{ type_text() }})
        ) as known_id
    from events
    {%- if by_spark %}
    union all
    {{ flattened_by_spark(kept, told_by_context, told_by_event, newest_by_spark) }}
    {%- endif %}
),

-- The same event in several batches is one: that which landed first.
numbered as (
    select
        named.*,
        row_number() over (
            partition by named.known_id
            order by named.run_seq, named.row_no, named.element_no
        ) as landing_no
    from named
),

first_landed as (
    select numbered.*
    from numbered
    {%- if newest or newest_by_spark %}
    left join {{ this }} as known
        on numbered.known_id = known.event_id
    {%- endif %}
    where
        numbered.landing_no = 1
        {%- if newest or newest_by_spark %}
        and known.event_id is null
        {%- endif %}
),

{%- if by_spark %}

uncounted as (
    select *
    from first_landed
    where told_count is null
),
{%- endif %}

goods as ({{ exploded(uncounted, ['known_id'], 'items', {'quantity': ['quantity']}) }}
),

counted as (
    select
        known_id,
        count(*) as item_count,
        sum(coalesce({{ to_count('quantity') }}, 1)) as item_quantity
    from goods
    group by known_id
),

renamed as (
    select
        -- set
        first_landed.account_id as topic,
        first_landed.run_seq,
        first_landed.read_at,

        -- ids
        first_landed.known_id as event_id,
        first_landed.message_id,
        first_landed.value__batch_id as batch_id,
        first_landed.value__device_id__pseudonym as device_pseudonym,
        first_landed.value__user_id__pseudonym as user_pseudonym,
        first_landed.order_id,
        first_landed.ad_account_id,
        first_landed.campaign_id,
        first_landed.ad_group_id,
        first_landed.ad_id,
        coalesce(first_landed.click_id, first_landed.gclid, first_landed.fbclid) as click_id,
        first_landed.gclid,
        first_landed.fbclid,

        -- text
        coalesce(first_landed.event_name, 'unnamed') as event_name,
        first_landed.platform,
        first_landed.page_url,
        first_landed.utm_source,
        first_landed.utm_medium,
        first_landed.utm_campaign,
        first_landed.utm_content,
        first_landed.locale,
        first_landed.app_version,
        first_landed.device_platform,
        first_landed.currency_code,
        first_landed.items,

        -- numbers
        {{ to_money('first_landed.order_amount') }} as order_amount,
        cast(coalesce({{ told_count }}counted.item_count, 0) as integer) as item_count,
        cast(coalesce({{ told_quantity }}counted.item_quantity, 0) as bigint) as item_quantity,

        -- times
        coalesce(
            {{ to_instant('first_landed.occurred_at') }},
            {{ to_instant('first_landed.value__sent_at') }},
            first_landed.received_at,
            first_landed.read_at
        ) as event_at,
        coalesce(
            {{ to_instant('first_landed.value__sent_at') }}, first_landed.received_at, first_landed.read_at
        ) as sent_at,
        coalesce(first_landed.received_at, first_landed.read_at) as received_at
    from first_landed
    -- Full, though each counted event is among the landed ones: such a join is never made row by row, which is what
    -- Postgres chooses of few estimated rows, and right after a large landing it estimates one.
    full join counted
        on first_landed.known_id = counted.known_id
)

select * from renamed
