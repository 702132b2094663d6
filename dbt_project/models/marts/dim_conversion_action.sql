{{
    config(
        indexes=[{'columns': ['conversion_action_key'], 'unique': true}],
        dist='all',
        sort='conversion_action_key',
    )
}}
with newest as (
    select
        *,
        {{ entity_key(["'google_ads'", 'account_id'], 'conversion_action_id') }} as conversion_action_key,
        row_number() over (
            partition by account_id, conversion_action_id
            order by version_no desc, conversion_action_name
        ) as recency
    from {{ ref('stg_google_ads__conversion_actions') }}
    where conversion_action_id is not null
),

known as (
    select * from newest
    where recency = 1
),

-- Meta has no list of action types: those that the facts know are all there are.
referenced as (
    select
        conversion_action_key,
        max(platform) as platform,
        max(case when platform = 'google_ads' then account_id end) as account_id,
        max(conversion_action_id) as conversion_action_id
    from {{ ref('int_conversion_actions__daily') }}
    group by conversion_action_key
),

named as (
    select
        account_id,
        conversion_action_id,
        max(conversion_action_name) as conversion_action_name,
        max(category) as category
    from {{ ref('stg_google_ads__campaign_conversion_days') }}
    group by account_id, conversion_action_id
),

members as (
    select
        conversion_action_key,
        cast('google_ads' as {{ type_text() }}) as platform,
        account_id,
        conversion_action_id,
        conversion_action_name,
        category,
        status,
        cast(lookback_days as integer) as lookback_days,
        false as is_inferred
    from known
    union all
    select
        referenced.conversion_action_key,
        referenced.platform,
        referenced.account_id,
        referenced.conversion_action_id,
        coalesce(named.conversion_action_name, referenced.conversion_action_id) as conversion_action_name,
        named.category,
        null as status,
        null as lookback_days,
        referenced.platform = 'google_ads' as is_inferred
    from referenced
    left join known
        on referenced.conversion_action_key = known.conversion_action_key
    left join named
        on
            referenced.account_id = named.account_id
            and referenced.conversion_action_id = named.conversion_action_id
    where known.conversion_action_key is null
    union all
    select
        {{ unknown_key() }} as conversion_action_key,
        'unknown' as platform,
        null as account_id,
        null as conversion_action_id,
        'Unknown conversion action' as conversion_action_name,
        null as category,
        null as status,
        null as lookback_days,
        true as is_inferred
)

select
    members.conversion_action_key,
    members.platform,
    members.account_id,
    members.conversion_action_id,
    members.conversion_action_name,
    members.category,
    members.status,
    members.lookback_days,
    definitions.platform is not null as is_conversion,
    members.is_inferred
from members
left join {{ ref('conversion_definitions') }} as definitions
    on
        members.platform = definitions.platform
        and definitions.conversion_action_id in (members.conversion_action_id, '*')
