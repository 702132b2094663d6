{{
    config(
        materialized='table',
        indexes=[{'columns': ['platform', 'account_id', 'campaign_id']}],
        post_hook='analyze {{ this }}',
    )
}}
{%- set version = 'cast(version_no as ' ~ type_text() ~ ')' %}
{%- set attributes = [
    'campaign_name', 'status', 'effective_status', 'objective', 'channel_type', 'channel_sub_type', 'buying_type',
    'bid_strategy', 'currency_code', 'daily_budget', 'lifetime_budget', 'started_at', 'stopped_at'
] %}
with listed as (
    select
        cast('facebook_ads' as {{ type_text() }}) as platform,
        campaigns.account_id,
        campaigns.campaign_id,
        campaigns.campaign_name,
        campaigns.status,
        campaigns.effective_status,
        campaigns.objective,
        cast(null as {{ type_text() }}) as channel_type,
        cast(null as {{ type_text() }}) as channel_sub_type,
        campaigns.buying_type,
        campaigns.bid_strategy,
        accounts.currency_code,
        accounts.settling_time_zone,
        {{ from_minor_units('campaigns.daily_budget_in_minor_units', 'accounts.currency_code') }} as daily_budget,
        {{ from_minor_units('campaigns.lifetime_budget_in_minor_units', 'accounts.currency_code') }} as lifetime_budget,
        campaigns.started_at,
        campaigns.stopped_at,
        campaigns.version_no as set_no,
        campaigns.run_seq,
        campaigns.read_at,
        campaigns.replaced_at
    from {{ ref('stg_facebook_ads__campaigns') }} as campaigns
    left join {{ ref('int_accounts__resolved') }} as accounts
        on
            accounts.platform = 'facebook_ads'
            and campaigns.account_id = accounts.account_id
    where campaigns.campaign_id is not null
    union all
    select
        cast('google_ads' as {{ type_text() }}) as platform,
        campaigns.account_id,
        campaigns.campaign_id,
        campaigns.campaign_name,
        campaigns.status,
        campaigns.serving_status as effective_status,
        cast(null as {{ type_text() }}) as objective,
        campaigns.channel_type,
        campaigns.channel_sub_type,
        cast(null as {{ type_text() }}) as buying_type,
        campaigns.bid_strategy,
        accounts.currency_code,
        accounts.settling_time_zone,
        campaigns.daily_budget,
        cast(null as {{ type_money() }}) as lifetime_budget,
        {{ local_instant('campaigns.started_at_local', 'accounts.settling_time_zone') }} as started_at,
        {{ local_instant('campaigns.ended_at_local', 'accounts.settling_time_zone') }} as stopped_at,
        campaigns.version_no as set_no,
        campaigns.run_seq,
        campaigns.read_at,
        campaigns.replaced_at
    from {{ ref('stg_google_ads__campaigns') }} as campaigns
    left join {{ ref('int_accounts__resolved') }} as accounts
        on
            accounts.platform = 'google_ads'
            and campaigns.account_id = accounts.account_id
    where campaigns.campaign_id is not null
),

-- Two rows of one campaign in one set: one state is kept, assert_entities_are_listed_once names the other.
described as (
    select
        *,
        row_number() over (
            partition by platform, account_id, campaign_id, set_no
            order by campaign_name, status
        ) as row_no,
        md5(
            {%- for attribute in attributes %}
            coalesce(cast({{ attribute }} as {{ type_text() }}), '-') || '|'{{ ' ||' if not loop.last }}
            {%- endfor %}
        ) as state
    from listed
),

compared as (
    select
        *,
        case
            when
                lag(set_no) over (
                    partition by platform, account_id, campaign_id
                    order by set_no
                ) = set_no - 1
                and lag(state) over (
                    partition by platform, account_id, campaign_id
                    order by set_no
                ) = state
                then 0
            else 1
        end as is_changed
    from described
    where row_no = 1
),

numbered as (
    select
        *,
        sum(is_changed) over (
            partition by platform, account_id, campaign_id
            order by set_no
            rows unbounded preceding
        ) as version_no
    from compared
),

-- A version lasts while the sets say the same; it ends when the next one says otherwise or lacks the campaign.
versions as (
    select
        platform,
        account_id,
        campaign_id,
        version_no,
        {%- for attribute in attributes %}
        max({{ attribute }}) as {{ attribute }},
        {%- endfor %}
        max(settling_time_zone) as settling_time_zone,
        min(run_seq) as run_seq,
        min(read_at) as read_at,
        max(replaced_at) as valid_to_at
    from numbered
    group by platform, account_id, campaign_id, version_no
),

dated as (
    select
        *,
        case when version_no = 1 then {{ beginning_of_time() }} else read_at end as valid_from_at,
        case
            when version_no = 1 then cast('1900-01-01' as date)
            else {{ local_date('read_at', 'settling_time_zone') }}
        end as applies_from_date,
        max(version_no) over (partition by platform, account_id, campaign_id) = version_no as is_current
    from versions
)

select
    case
        when version_no = 1 then {{ surrogate_key(['platform', 'account_id', 'campaign_id']) }}
        else {{ surrogate_key(['platform', 'account_id', 'campaign_id', version]) }}
    end as campaign_key,
    platform,
    account_id,
    campaign_id,
    cast(version_no as integer) as version_no,
    {%- for attribute in attributes %}
    {{ attribute }},
    {%- endfor %}
    coalesce(status in ('DELETED', 'REMOVED'), false)
    or (is_current and valid_to_at < {{ end_of_time() }}) as is_deleted,
    is_current,
    valid_from_at,
    valid_to_at,
    applies_from_date,
    coalesce(
        lead(applies_from_date) over (partition by platform, account_id, campaign_id order by version_no),
        cast('9999-12-31' as date)
    ) as applies_before_date,
    run_seq,
    read_at
from dated
