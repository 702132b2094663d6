{{
    config(
        materialized='incremental',
        incremental_strategy='rebuilt_partitions',
        on_schema_change='fail',
        indexes=[{'columns': ['date_day', 'account_key']}],
        dist='campaign_key',
        sort=['date_day', 'account_key'],
        pre_hook='{{ favour_workers() }}',
        post_hook=[
            "{{ remember_partitions(['int_remainders__explained']) }}",
            "{{ index_remainders() }}",
            "{{ analyze_fact() }}",
        ],
    )
}}
{%- set is_changed = in_changed_partitions('partition_key', 'fact_ad_performance') %}
with ad_days as (
    select * from {{ ref('int_ad_days__unioned') }}
    where {{ is_changed }}
),

remainders as (
    select * from {{ ref('int_remainders__explained') }}
    where {{ is_changed }}
),

delivered as (
    select
        platform,
        partition_key,
        account_id,
        date_day,
        cast('ad' as {{ type_text() }}) as row_kind,
        campaign_id,
        ad_group_id,
        ad_id,
        ad_group_key,
        ad_key,
        currency_code,
        impressions,
        clicks,
        link_clicks,
        spend,
        reach,
        cast(null as {{ type_text() }}) as remainder_cause,
        cast(null as {{ type_text() }}) as remainder_evidence,
        run_seq,
        read_at
    from ad_days
    union all
    select
        platform,
        partition_key,
        account_id,
        date_day,
        cast('remainder' as {{ type_text() }}) as row_kind,
        campaign_id,
        cast(null as {{ type_text() }}) as ad_group_id,
        cast(null as {{ type_text() }}) as ad_id,
        {{ unknown_key() }} as ad_group_key,
        {{ unknown_key() }} as ad_key,
        currency_code,
        impressions,
        clicks,
        case when platform = 'facebook_ads' then link_clicks end as link_clicks,
        spend,
        cast(null as bigint) as reach,
        remainder_cause,
        remainder_evidence,
        run_seq,
        read_at
    from remainders
)

select
    delivered.date_day,
    days.account_key,
    {{ campaign_key('delivered', 'versions') }} as campaign_key,
    delivered.ad_group_key,
    delivered.ad_key,
    delivered.platform,
    delivered.account_id,
    delivered.campaign_id,
    delivered.ad_group_id,
    delivered.ad_id,
    delivered.row_kind,
    delivered.impressions,
    delivered.clicks,
    delivered.link_clicks,
    delivered.spend,
    coalesce(delivered.currency_code, days.currency_code) as currency_code,
    {{ converted('delivered.spend', rate_of_day('delivered', 'days')) }} as spend_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code,
    {{ rate_of_day('delivered', 'days') }} as exchange_rate,
    delivered.reach,
    delivered.remainder_cause,
    delivered.remainder_evidence,
    days.is_settled,
    delivered.run_seq,
    delivered.read_at
from delivered
{{ joined_days_and_versions('delivered') }}
