{{
    config(
        materialized='table',
        indexes=[{'columns': ['user_key']}, {'columns': ['event_name']}],
        post_hook='analyze {{ this }}',
    )
}}
-- Every event with the person who did it. A table, because facts, dimensions and touches read it.
with events as (
    select
        *,
        coalesce(identity_pseudonym, email_pseudonym, phone_pseudonym) as named_pseudonym,
        row_number() over (partition by event_name, date_day order by row_no) as event_no
    from {{ ref('stg_clevertap__events') }}
),

owned as (
    select
        events.*,
        coalesce(events.named_pseudonym, owners.identity_pseudonym) as owner_pseudonym
    from events
    left join {{ ref('int_devices__owned') }} as owners
        on
            events.named_pseudonym is null
            and events.device_pseudonym = owners.device_pseudonym
            and coalesce(events.event_at, {{ beginning_of_time() }}) >= owners.owned_from
            and coalesce(events.event_at, {{ beginning_of_time() }}) < owners.owned_before
)

select
    {{ surrogate_key(['owned.event_name', 'cast(owned.date_day as ' ~ type_text() ~ ')', 'cast(owned.event_no as '
        ~ type_text() ~ ')']) }} as event_key,
    owned.partition_key,
    owned.event_name,
    owned.date_day,
    owned.event_no,
    coalesce(identities.user_key, {{ user_key('owned.device_pseudonym') }}) as user_key,
    {{ device_key('owned.device_pseudonym') }} as device_key,
    cast(
        case
            when owned.named_pseudonym is not null then identities.match_rule
            when owned.owner_pseudonym is not null then 'device'
            when owned.device_pseudonym is not null then 'anonymous'
        end as {{ type_text() }}
    ) as match_rule,
    owned.device_pseudonym,
    owned.platform,
    owned.os_version,
    owned.app_version,
    owned.make,
    owned.model,
    owned.gclid,
    owned.fbclid,
    owned.utm_source,
    owned.utm_medium,
    owned.utm_campaign,
    owned.utm_content,
    owned.session_source,
    owned.landing_url,
    owned.event_props,
    owned.event_at,
    owned.run_seq,
    owned.read_at
from owned
left join {{ ref('int_identities__resolved') }} as identities
    on owned.owner_pseudonym = identities.identity_pseudonym
