{%- set kept = [
    'direction', 'partition_key', 'account_id', 'date_day', 'campaign_id', 'account_key', 'currency_code',
    'is_settled', 'campaign_version_key', 'run_seq', 'read_at'
] -%}
-- Only where something can be missing are the lists taken apart a second time: on the days of a campaign that
-- delivered more than its ads, and on those that can lack its deleted ads.
with suspected as (
    select
        partition_key,
        campaign_id
    from {{ ref('int_campaign_days__missing_ads') }}
    union
    select
        partition_key,
        campaign_id
    from {{ ref('int_remainders__explained') }}
    where platform = 'facebook_ads'
),

reported as (
    select
        1 as direction,
        partition_key,
        account_id,
        date_day,
        campaign_id,
        currency_code as reported_currency_code,
        actions,
        action_values,
        run_seq,
        read_at
    from {{ ref('stg_facebook_ads__campaign_days') }}
    union all
    select
        -1 as direction,
        partition_key,
        account_id,
        date_day,
        campaign_id,
        currency_code as reported_currency_code,
        actions,
        action_values,
        cast(null as bigint) as run_seq,
        cast(null as timestamptz) as read_at
    from {{ ref('stg_facebook_ads__ad_days') }}
),

comparable as (
    select
        reported.*,
        days.account_key,
        coalesce(reported.reported_currency_code, days.currency_code) as currency_code,
        days.is_settled,
        versions.campaign_key as campaign_version_key
    from reported
    inner join suspected
        on
            reported.partition_key = suspected.partition_key
            and reported.campaign_id = suspected.campaign_id
    {{ joined_days_and_versions('reported', "'facebook_ads'") }}
    where reported.actions is not null or reported.action_values is not null
),

figures as (
    {{
        unnested_actions(
            'comparable',
            kept,
            {
                'campaign_key': "coalesce(ad_days.campaign_version_key, "
                ~ entity_key(["'facebook_ads'", 'ad_days.account_id'], 'ad_days.campaign_id') ~ ")",
            },
            entity_key(["'facebook_ads'"], 'acts.action_type')
        )
    }}
),

subtracted as (
    select
        partition_key,
        date_day,
        account_key,
        campaign_key,
        conversion_action_key,
        account_id,
        campaign_id,
        action_type,
        attribution_window,
        sum(direction * coalesce(conversions, 0)) as conversions,
        sum(direction * coalesce(conversion_value, 0)) as conversion_value,
        -- A campaign's report without any list has told nothing to subtract from.
        max(max(direction)) over (partition by partition_key, campaign_id) as is_told,
        max(currency_code) as currency_code,
        max(case when is_settled then 1 else 0 end) as settled,
        max(max(run_seq)) over (partition by partition_key, campaign_id) as run_seq,
        max(max(read_at)) over (partition by partition_key, campaign_id) as read_at
    from figures
    group by
        partition_key,
        date_day,
        account_key,
        campaign_key,
        conversion_action_key,
        account_id,
        campaign_id,
        action_type,
        attribution_window
)

select
    partition_key,
    date_day,
    account_key,
    campaign_key,
    {{ unknown_key() }} as ad_group_key,
    {{ unknown_key() }} as ad_key,
    conversion_action_key,
    cast('facebook_ads' as {{ type_text() }}) as platform,
    account_id,
    campaign_id,
    cast(null as {{ type_text() }}) as ad_group_id,
    cast(null as {{ type_text() }}) as ad_id,
    action_type as conversion_action_id,
    attribution_window,
    cast(conversions as {{ type_money() }}) as conversions,
    cast(null as {{ type_money() }}) as all_conversions,
    cast(conversion_value as {{ type_money() }}) as conversion_value,
    currency_code,
    settled = 1 as is_settled,
    run_seq,
    read_at
from subtracted
where
    is_told = 1
    and (conversions <> 0 or conversion_value <> 0)
