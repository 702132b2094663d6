{{
    config(
        materialized='table',
        indexes=[{'columns': ['goal_kind', 'attribution_model']}],
        post_hook='analyze {{ this }}',
    )
}}
-- Every sign-up and every order, once for each attribution model, with the touch that it is credited to: the first, or
-- the last, that its person had in the days before it (var attribution_days). Touches of one moment are told apart by
-- their keys, so that the same one is taken always.
with goals as (
    select
        cast('order' as {{ type_text() }}) as goal_kind,
        database_name,
        order_id as goal_id,
        user_key,
        min(sold_at) as reached_at,
        min(sold_date) as reached_date
    from {{ ref('fact_sales') }}
    group by database_name, order_id, user_key
    union all
    select
        cast('sign_up' as {{ type_text() }}) as goal_kind,
        cast(null as {{ type_text() }}) as database_name,
        cast(identities.user_key as {{ type_text() }}) as goal_id,
        identities.user_key,
        min(users.signed_up_at) as reached_at,
        min({{ local_date('users.signed_up_at', "'" ~ var('shop_time_zone') ~ "'") }}) as reached_date
    from {{ ref('stg_rds__users') }} as users
    inner join {{ ref('int_identities__resolved') }} as identities
        on users.user_pseudonym = identities.identity_pseudonym
    where users.signed_up_at is not null
    group by identities.user_key
),

touches as (
    select * from {{ ref('int_touches__matched') }}
    where
        user_key <> {{ unknown_key() }}
        and touched_at is not null
),

{%- for model, days in var('attribution_days').items() %}
{%- set order = 'asc' if model == 'first_touch' else 'desc' %}

{{ model }} as (
    select
        goals.goal_kind,
        goals.database_name,
        goals.goal_id,
        goals.user_key,
        touches.touch_key,
        row_number() over (
            partition by goals.goal_kind, goals.database_name, goals.goal_id, goals.user_key
            order by touches.touched_at {{ order }}, touches.touch_key {{ order }}
        ) as choice
    from goals
    inner join touches
        on
            goals.user_key = touches.user_key
            and goals.reached_at >= touches.touched_at
            and goals.reached_at < touches.touched_at + interval '{{ days }} days'
),
{%- endfor %}

credited as (
    {%- for model in var('attribution_days') %}
    select
        cast('{{ model }}' as {{ type_text() }}) as attribution_model,
        goals.goal_kind,
        goals.database_name,
        goals.goal_id,
        goals.user_key,
        goals.reached_at,
        goals.reached_date,
        {{ model }}.touch_key
    from goals
    left join {{ model }}
        on
            goals.goal_kind = {{ model }}.goal_kind
            and coalesce(goals.database_name, '') = coalesce({{ model }}.database_name, '')
            and goals.goal_id = {{ model }}.goal_id
            and goals.user_key = {{ model }}.user_key
            and {{ model }}.choice = 1
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    credited.attribution_model,
    credited.goal_kind,
    credited.database_name,
    credited.goal_id,
    credited.user_key,
    credited.reached_at,
    credited.reached_date,
    credited.touch_key,
    touches.touched_at,
    cast(coalesce(touches.channel, 'unattributed') as {{ type_text() }}) as channel,
    coalesce(touches.touch_rule, 'none') as touch_rule,
    touches.platform,
    touches.account_id,
    touches.campaign_id,
    coalesce(touches.campaign_key, {{ unknown_key() }}) as campaign_key,
    coalesce(touches.ad_key, {{ unknown_key() }}) as ad_key
from credited
left join touches
    on credited.touch_key = touches.touch_key
