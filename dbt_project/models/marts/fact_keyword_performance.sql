{{
    config(
        materialized='incremental',
        incremental_strategy='rebuilt_partitions',
        on_schema_change='fail',
        indexes=[{'columns': ['date_day', 'account_key']}],
        dist='campaign_key',
        sort=['date_day', 'account_key'],
        pre_hook='{{ favour_workers() }}',
        post_hook=["{{ remember_partitions() }}", "{{ analyze_fact() }}"],
    )
}}
with keyword_days as (
    select
        *,
        cast('google_ads' as {{ type_text() }}) as platform
    from {{ ref('stg_google_ads__keyword_days') }}
    where {{ in_changed_partitions('partition_key', 'fact_keyword_performance') }}
)

select
    keyword_days.date_day,
    days.account_key,
    {{ campaign_key('keyword_days', 'versions') }} as campaign_key,
    {{ entity_key(['keyword_days.platform', 'keyword_days.account_id'], 'keyword_days.ad_group_id') }}
        as ad_group_key,
    {{
        entity_key(
            ['keyword_days.platform', 'keyword_days.account_id', 'keyword_days.ad_group_id'],
            'keyword_days.criterion_id'
        )
    }} as keyword_key,
    keyword_days.platform,
    keyword_days.account_id,
    keyword_days.campaign_id,
    keyword_days.ad_group_id,
    keyword_days.criterion_id,
    keyword_days.keyword_text,
    keyword_days.match_type,
    coalesce(keyword_days.impressions, 0) as impressions,
    coalesce(keyword_days.clicks, 0) as clicks,
    coalesce(keyword_days.spend, 0) as spend,
    coalesce(keyword_days.currency_code, days.currency_code) as currency_code,
    coalesce(keyword_days.conversions, 0) as conversions,
    coalesce(keyword_days.conversion_value, 0) as conversion_value,
    coalesce(keyword_days.all_conversions, 0) as all_conversions,
    days.is_settled,
    keyword_days.run_seq,
    keyword_days.read_at
from keyword_days
{{ joined_days_and_versions('keyword_days') }}
