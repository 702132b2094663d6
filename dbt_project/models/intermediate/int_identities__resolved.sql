{{
    config(
        materialized='table',
        indexes=[{'columns': ['identity_pseudonym'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
-- Which person each user id and each CleverTap identity stands for. Two signed-up users are one person only if the
-- application says so: an e-mail address, telephone or device that two of them share joins nothing.
with users as (
    select * from {{ ref('stg_rds__users') }}
),

-- The application's ids: its users, and whoever ordered, logged in or was merged into, listed or not.
app_ids as (
    select user_pseudonym as identity_pseudonym from users
    where user_pseudonym is not null
    union
    select merged_into_user_pseudonym as identity_pseudonym from users
    where merged_into_user_pseudonym is not null
    union
    select user_pseudonym as identity_pseudonym from {{ ref('stg_rds__orders') }}
    where user_pseudonym is not null
    union
    select user_pseudonym as identity_pseudonym from {{ ref('stg_sqs__logins') }}
    where user_pseudonym is not null
),

-- Mergers are followed to their end; each step doubles how far. A ring of mergers has no end, and fails a test.
merged_0 as (
    select
        app_ids.identity_pseudonym,
        coalesce(max(users.merged_into_user_pseudonym), app_ids.identity_pseudonym) as person
    from app_ids
    left join users
        on app_ids.identity_pseudonym = users.user_pseudonym
    group by app_ids.identity_pseudonym
),
{%- set doublings = 5 %}
{%- for step in range(1, doublings + 1) %}

merged_{{ step }} as (
    select
        near.identity_pseudonym,
        far.person
    from merged_{{ step - 1 }} as near
    inner join merged_{{ step - 1 }} as far
        on near.person = far.identity_pseudonym
),
{%- endfor %}

-- What CleverTap knows a profile by, with its contacts; newest profiles and what came with the events.
profiles as (
    select
        coalesce(identity_pseudonym, email_pseudonym, phone_pseudonym) as identity_pseudonym,
        email_pseudonym,
        phone_pseudonym
    from {{ ref('stg_clevertap__profiles') }}
    union
    select
        coalesce(identity_pseudonym, email_pseudonym, phone_pseudonym) as identity_pseudonym,
        email_pseudonym,
        phone_pseudonym
    from {{ ref('stg_clevertap__events') }}
),

contacts as (
    select
        user_pseudonym as identity_pseudonym,
        'email' as kind,
        email_pseudonym as contact
    from users
    where email_pseudonym is not null
    union
    select
        user_pseudonym as identity_pseudonym,
        'phone' as kind,
        phone_pseudonym as contact
    from users
    where phone_pseudonym is not null
    union
    select
        identity_pseudonym,
        'email' as kind,
        email_pseudonym as contact
    from profiles
    where email_pseudonym is not null
    union
    select
        identity_pseudonym,
        'phone' as kind,
        phone_pseudonym as contact
    from profiles
    where phone_pseudonym is not null
),

-- How many signed-up persons have a contact: one that several have says nothing.
owned_contacts as (
    select
        contacts.kind,
        contacts.contact,
        min(merged.person) as person,
        count(distinct merged.person) as persons
    from contacts
    inner join merged_{{ doublings }} as merged
        on contacts.identity_pseudonym = merged.identity_pseudonym
    group by contacts.kind, contacts.contact
),

leads as (
    select profiles.identity_pseudonym
    from profiles
    left join app_ids
        on profiles.identity_pseudonym = app_ids.identity_pseudonym
    where
        profiles.identity_pseudonym is not null
        and app_ids.identity_pseudonym is null
    group by profiles.identity_pseudonym
),

lead_contacts as (
    select
        contacts.identity_pseudonym,
        contacts.kind,
        contacts.contact,
        owned_contacts.person
    from contacts
    inner join leads
        on contacts.identity_pseudonym = leads.identity_pseudonym
    left join owned_contacts
        on
            contacts.kind = owned_contacts.kind
            and contacts.contact = owned_contacts.contact
    where coalesce(owned_contacts.persons, 1) = 1
),

-- Identities only CleverTap knows that share a contact take the least name among them, and so their neighbours', round
-- by round; chains longer than the rounds are named by a test.
grouped_0 as (
    select
        identity_pseudonym,
        identity_pseudonym as label
    from leads
),
{%- set rounds = 4 %}
{%- for step in range(1, rounds + 1) %}

least_{{ step }} as (
    select
        lead_contacts.kind,
        lead_contacts.contact,
        min(grouped.label) as label
    from lead_contacts
    inner join grouped_{{ step - 1 }} as grouped
        on lead_contacts.identity_pseudonym = grouped.identity_pseudonym
    group by lead_contacts.kind, lead_contacts.contact
),

grouped_{{ step }} as (
    select
        grouped.identity_pseudonym,
        least(grouped.label, coalesce(min(least_{{ step }}.label), grouped.label)) as label
    from grouped_{{ step - 1 }} as grouped
    left join lead_contacts
        on grouped.identity_pseudonym = lead_contacts.identity_pseudonym
    left join least_{{ step }}
        on
            lead_contacts.kind = least_{{ step }}.kind
            and lead_contacts.contact = least_{{ step }}.contact
    group by grouped.identity_pseudonym, grouped.label
),
{%- endfor %}

-- The signed-up person each group of them belongs to: by e-mail address first, then by telephone.
group_owners as (
    select
        grouped.label,
        min(case when lead_contacts.kind = 'email' then lead_contacts.person end) as email_person,
        min(case when lead_contacts.kind = 'phone' then lead_contacts.person end) as phone_person
    from grouped_{{ rounds }} as grouped
    left join lead_contacts
        on grouped.identity_pseudonym = lead_contacts.identity_pseudonym
    group by grouped.label
),

group_sizes as (
    select
        label,
        count(*) as identities
    from grouped_{{ rounds }}
    group by label
),

resolved as (
    select
        merged.identity_pseudonym,
        merged.person,
        case when merged.person = merged.identity_pseudonym then 'user_id' else 'merged_into' end as match_rule,
        true as is_app_user
    from merged_{{ doublings }} as merged
    union all
    select
        grouped.identity_pseudonym,
        coalesce(group_owners.email_person, group_owners.phone_person, grouped.label) as person,
        case
            when group_owners.email_person is not null then 'email'
            when group_owners.phone_person is not null then 'phone'
            when group_sizes.identities > 1 then 'shared_contact'
            else 'identity'
        end as match_rule,
        false as is_app_user
    from grouped_{{ rounds }} as grouped
    inner join group_owners
        on grouped.label = group_owners.label
    inner join group_sizes
        on grouped.label = group_sizes.label
)

select
    identity_pseudonym,
    person,
    {{ user_key('person') }} as user_key,
    cast(match_rule as {{ type_text() }}) as match_rule,
    is_app_user
from resolved
