{{
    config(
        indexes=[{'columns': ['ad_group_key'], 'unique': true}],
        dist='all',
        sort='ad_group_key',
    )
}}
with listed as (
    select
        cast('facebook_ads' as {{ type_text() }}) as platform,
        ad_sets.account_id,
        ad_sets.campaign_id,
        ad_sets.ad_set_id as ad_group_id,
        ad_sets.ad_set_name as ad_group_name,
        ad_sets.status,
        ad_sets.effective_status,
        cast(null as {{ type_text() }}) as ad_group_type,
        ad_sets.optimization_goal,
        accounts.currency_code,
        {{ from_minor_units('ad_sets.daily_budget_in_minor_units', 'accounts.currency_code') }} as daily_budget,
        {{ from_minor_units('ad_sets.bid_amount_in_minor_units', 'accounts.currency_code') }} as bid_amount,
        ad_sets.created_at,
        ad_sets.version_no,
        ad_sets.is_current
    from {{ ref('stg_facebook_ads__ad_sets') }} as ad_sets
    left join {{ ref('int_accounts__resolved') }} as accounts
        on
            accounts.platform = 'facebook_ads'
            and ad_sets.account_id = accounts.account_id
    union all
    select
        cast('google_ads' as {{ type_text() }}) as platform,
        ad_groups.account_id,
        ad_groups.campaign_id,
        ad_groups.ad_group_id,
        ad_groups.ad_group_name,
        ad_groups.status,
        cast(null as {{ type_text() }}) as effective_status,
        ad_groups.ad_group_type,
        cast(null as {{ type_text() }}) as optimization_goal,
        accounts.currency_code,
        cast(null as {{ type_money() }}) as daily_budget,
        ad_groups.cpc_bid as bid_amount,
        cast(null as timestamptz) as created_at,
        ad_groups.version_no,
        ad_groups.is_current
    from {{ ref('stg_google_ads__ad_groups') }} as ad_groups
    left join {{ ref('int_accounts__resolved') }} as accounts
        on
            accounts.platform = 'google_ads'
            and ad_groups.account_id = accounts.account_id
),

newest as (
    select
        *,
        {{ entity_key(['platform', 'account_id'], 'ad_group_id') }} as ad_group_key,
        row_number() over (
            partition by platform, account_id, ad_group_id
            order by version_no desc, ad_group_name
        ) as recency
    from listed
    where ad_group_id is not null
),

known as (
    select * from newest
    where recency = 1
),

inferred as (
    select
        members.ad_group_key,
        members.platform,
        members.account_id,
        max(members.campaign_id) as campaign_id,
        members.ad_group_id
    from {{ ref('int_members__referenced') }} as members
    left join known
        on members.ad_group_key = known.ad_group_key
    where
        members.ad_group_id is not null
        and known.ad_group_key is null
    group by members.ad_group_key, members.platform, members.account_id, members.ad_group_id
)

select
    ad_group_key,
    platform,
    account_id,
    campaign_id,
    ad_group_id,
    ad_group_name,
    status,
    effective_status,
    ad_group_type,
    optimization_goal,
    currency_code,
    daily_budget,
    bid_amount,
    created_at,
    not is_current or status in ('DELETED', 'REMOVED') as is_deleted,
    false as is_inferred
from known
union all
select
    ad_group_key,
    platform,
    account_id,
    campaign_id,
    ad_group_id,
    null as ad_group_name,
    null as status,
    null as effective_status,
    null as ad_group_type,
    null as optimization_goal,
    null as currency_code,
    null as daily_budget,
    null as bid_amount,
    null as created_at,
    false as is_deleted,
    true as is_inferred
from inferred
union all
select
    {{ unknown_key() }} as ad_group_key,
    'unknown' as platform,
    null as account_id,
    null as campaign_id,
    null as ad_group_id,
    'Unknown ad group' as ad_group_name,
    null as status,
    null as effective_status,
    null as ad_group_type,
    null as optimization_goal,
    null as currency_code,
    null as daily_budget,
    null as bid_amount,
    null as created_at,
    false as is_deleted,
    true as is_inferred
