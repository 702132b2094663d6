{{
    config(
        indexes=[{'columns': ['user_key'], 'unique': true}],
        dist='user_key',
        sort='user_key',
    )
}}
with identities as (
    select * from {{ ref('int_identities__resolved') }}
),

-- What the application knows of a person: of several merged users the one that is left, else the one changed last.
signed_up as (
    select
        identities.user_key,
        users.*,
        min(users.signed_up_at) over (partition by identities.user_key) as first_signed_up_at,
        row_number() over (
            partition by identities.user_key
            order by
                case when identities.identity_pseudonym = identities.person then 0 else 1 end,
                users.updated_at desc nulls last,
                users.user_pseudonym,
                users.database_name
        ) as preference
    from {{ ref('stg_rds__users') }} as users
    inner join identities
        on users.user_pseudonym = identities.identity_pseudonym
),

known_contacts as (
    select
        identities.user_key,
        max(profiles.email_pseudonym) as email_pseudonym,
        max(profiles.phone_pseudonym) as phone_pseudonym
    from {{ ref('stg_clevertap__profiles') }} as profiles
    inner join identities
        on
            identities.identity_pseudonym
            = coalesce(profiles.identity_pseudonym, profiles.email_pseudonym, profiles.phone_pseudonym)
    group by identities.user_key
),

activity as (
    select
        user_key,
        event_at as seen_at,
        {{ match_rank('match_rule') }} as match_rank
    from {{ ref('int_events__identified') }}
    union all
    select
        identities.user_key,
        logins.sent_at as seen_at,
        {{ match_rank('identities.match_rule') }} as match_rank
    from {{ ref('stg_sqs__logins') }} as logins
    inner join identities
        on logins.user_pseudonym = identities.identity_pseudonym
    union all
    select
        identities.user_key,
        orders.ordered_at as seen_at,
        {{ match_rank('identities.match_rule') }} as match_rank
    from {{ ref('stg_rds__orders') }} as orders
    inner join identities
        on orders.user_pseudonym = identities.identity_pseudonym
    where not orders.is_deleted
    union all
    select
        identities.user_key,
        users.signed_up_at as seen_at,
        {{ match_rank('identities.match_rule') }} as match_rank
    from identities
    left join {{ ref('stg_rds__users') }} as users
        on identities.identity_pseudonym = users.user_pseudonym
),

persons as (
    select
        activity.user_key,
        min(activity.seen_at) as first_seen_at,
        max(activity.seen_at) as last_seen_at,
        max(activity.match_rank) as match_rank
    from activity
    where activity.user_key <> {{ unknown_key() }}
    group by activity.user_key
),

-- Whoever was erased is known by the pseudonyms left, of any id of theirs.
erased as (
    select identities.user_key
    from identities
    inner join {{ ref('stg_ops__tombstones') }} as tombstones
        on identities.identity_pseudonym = tombstones.pseudonym
    group by identities.user_key
),

-- Where somebody came from: what the sign-up is credited to by first touch; who has not signed up, by theirs.
acquired as (
    select
        user_key,
        channel,
        campaign_key
    from {{ ref('int_goals__attributed') }}
    where
        goal_kind = 'sign_up'
        and attribution_model = 'first_touch'
),

first_touches as (
    select
        user_key,
        channel,
        campaign_key,
        row_number() over (partition by user_key order by touched_at, touch_key) as touch_no
    from {{ ref('int_touches__matched') }}
),

named as (
    select
        user_key,
        max(person) as person,
        max(case when is_app_user then 1 else 0 end) = 1 as is_app_user
    from identities
    group by user_key
)

select
    persons.user_key,
    named.person as user_pseudonym,
    coalesce(signed_up.email_pseudonym, known_contacts.email_pseudonym) as email_pseudonym,
    coalesce(signed_up.phone_pseudonym, known_contacts.phone_pseudonym) as phone_pseudonym,
    signed_up.full_name_pseudonym,
    signed_up.last_ip_pseudonym,
    cast(
        case
            when named.is_app_user then 'signed_up'
            when named.user_key is not null then 'identified'
            else 'anonymous'
        end as {{ type_text() }}
    ) as user_kind,
    cast(
        case persons.match_rank
            {%- for rule in match_rules() %}
            when {{ loop.index }} then '{{ rule }}'
            {%- endfor %}
        end as {{ type_text() }}
    ) as match_rule,
    signed_up.country_code,
    signed_up.plan,
    signed_up.first_signed_up_at as signed_up_at,
    cast(
        coalesce(acquired.channel, first_touches.channel, 'unattributed') as {{ type_text() }}
    ) as acquisition_channel,
    coalesce(acquired.campaign_key, first_touches.campaign_key, {{ unknown_key() }}) as acquisition_campaign_key,
    persons.first_seen_at,
    persons.last_seen_at,
    coalesce(signed_up.has_marketing_consent, false) as has_marketing_consent,
    coalesce(signed_up.is_deleted, false) as is_deleted,
    erased.user_key is not null as is_erased,
    coalesce(named.is_app_user, false) and signed_up.user_key is null as is_inferred
from persons
left join named
    on persons.user_key = named.user_key
left join signed_up
    on
        persons.user_key = signed_up.user_key
        and signed_up.preference = 1
left join known_contacts
    on persons.user_key = known_contacts.user_key
left join erased
    on persons.user_key = erased.user_key
left join acquired
    on persons.user_key = acquired.user_key
left join first_touches
    on
        persons.user_key = first_touches.user_key
        and first_touches.touch_no = 1
union all
select
    {{ unknown_key() }} as user_key,
    null as user_pseudonym,
    null as email_pseudonym,
    null as phone_pseudonym,
    null as full_name_pseudonym,
    null as last_ip_pseudonym,
    'unknown' as user_kind,
    null as match_rule,
    null as country_code,
    null as plan,
    null as signed_up_at,
    'unattributed' as acquisition_channel,
    {{ unknown_key() }} as acquisition_campaign_key,
    null as first_seen_at,
    null as last_seen_at,
    false as has_marketing_consent,
    false as is_deleted,
    false as is_erased,
    true as is_inferred
