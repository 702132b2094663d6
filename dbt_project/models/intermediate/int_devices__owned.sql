-- Who a device belonged to, and from when to when: the identity that was last seen on it. What was done on it before
-- any identity was seen is the first one's, so that who browses, then signs up, keeps what they came with.
with identified as (
    select
        device_pseudonym,
        coalesce(identity_pseudonym, email_pseudonym, phone_pseudonym) as identity_pseudonym,
        event_at
    from {{ ref('stg_clevertap__events') }}
    where
        device_pseudonym is not null
        and event_at is not null
        and coalesce(identity_pseudonym, email_pseudonym, phone_pseudonym) is not null
),

-- Of two identities seen at one moment the later by name: any order will do that is always the same.
moments as (
    select
        device_pseudonym,
        event_at,
        max(identity_pseudonym) as identity_pseudonym
    from identified
    group by device_pseudonym, event_at
),

compared as (
    select
        *,
        lag(identity_pseudonym) over (partition by device_pseudonym order by event_at) as previous_identity
    from moments
),

changes as (
    select
        device_pseudonym,
        identity_pseudonym,
        event_at,
        previous_identity is null as is_first
    from compared
    where previous_identity is null or previous_identity <> identity_pseudonym
),

-- A profile that lists its device tells the owner of one on which no event was identified.
listed as (
    select
        profiles.device_pseudonym,
        max(profiles.identity_pseudonym) as identity_pseudonym
    from {{ ref('stg_clevertap__profiles') }} as profiles
    left join moments
        on profiles.device_pseudonym = moments.device_pseudonym
    where
        profiles.device_pseudonym is not null
        and profiles.identity_pseudonym is not null
        and moments.device_pseudonym is null
    group by profiles.device_pseudonym
    having count(distinct profiles.identity_pseudonym) = 1
)

select
    device_pseudonym,
    identity_pseudonym,
    case when is_first then {{ beginning_of_time() }} else event_at end as owned_from,
    coalesce(
        lead(event_at) over (partition by device_pseudonym order by event_at),
        {{ end_of_time() }}
    ) as owned_before
from changes
union all
select
    device_pseudonym,
    identity_pseudonym,
    {{ beginning_of_time() }} as owned_from,
    {{ end_of_time() }} as owned_before
from listed
