{{
    config(
        indexes=[
            {'columns': ['campaign_key'], 'unique': true},
            {'columns': ['account_key', 'campaign_id']},
        ],
        dist='all',
        sort='campaign_key',
    )
}}
with versions as (
    select * from {{ ref('int_campaigns__versioned') }}
),

inferred as (
    select
        members.platform,
        members.account_id,
        members.campaign_id
    from {{ ref('int_members__referenced') }} as members
    left join versions
        on
            members.platform = versions.platform
            and members.account_id = versions.account_id
            and members.campaign_id = versions.campaign_id
    where
        members.campaign_id is not null
        and versions.campaign_id is null
    group by members.platform, members.account_id, members.campaign_id
)

select
    campaign_key,
    {{ entity_key(['platform'], 'account_id') }} as account_key,
    platform,
    account_id,
    campaign_id,
    version_no,
    campaign_name,
    status,
    effective_status,
    objective,
    channel_type,
    channel_sub_type,
    buying_type,
    bid_strategy,
    currency_code,
    daily_budget,
    lifetime_budget,
    started_at,
    stopped_at,
    is_deleted,
    is_current,
    false as is_inferred,
    valid_from_at,
    valid_to_at
from versions
union all
select
    {{ entity_key(['platform', 'account_id'], 'campaign_id') }} as campaign_key,
    {{ entity_key(['platform'], 'account_id') }} as account_key,
    platform,
    account_id,
    campaign_id,
    1 as version_no,
    null as campaign_name,
    null as status,
    null as effective_status,
    null as objective,
    null as channel_type,
    null as channel_sub_type,
    null as buying_type,
    null as bid_strategy,
    null as currency_code,
    null as daily_budget,
    null as lifetime_budget,
    null as started_at,
    null as stopped_at,
    false as is_deleted,
    true as is_current,
    true as is_inferred,
    {{ beginning_of_time() }} as valid_from_at,
    {{ end_of_time() }} as valid_to_at
from inferred
union all
select
    {{ unknown_key() }} as campaign_key,
    {{ unknown_key() }} as account_key,
    'unknown' as platform,
    null as account_id,
    null as campaign_id,
    1 as version_no,
    'Unknown campaign' as campaign_name,
    null as status,
    null as effective_status,
    null as objective,
    null as channel_type,
    null as channel_sub_type,
    null as buying_type,
    null as bid_strategy,
    null as currency_code,
    null as daily_budget,
    null as lifetime_budget,
    null as started_at,
    null as stopped_at,
    false as is_deleted,
    true as is_current,
    true as is_inferred,
    {{ beginning_of_time() }} as valid_from_at,
    {{ end_of_time() }} as valid_to_at
