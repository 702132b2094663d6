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
with search_term_days as (
    select
        *,
        cast('google_ads' as {{ type_text() }}) as platform
    from {{ ref('stg_google_ads__search_term_days') }}
    where {{ in_changed_partitions('partition_key', 'fact_search_term_performance') }}
)

select
    search_term_days.date_day,
    days.account_key,
    {{ campaign_key('search_term_days', 'versions') }} as campaign_key,
    {{ entity_key(['search_term_days.platform', 'search_term_days.account_id'], 'search_term_days.ad_group_id') }}
        as ad_group_key,
    search_term_days.platform,
    search_term_days.account_id,
    search_term_days.campaign_id,
    search_term_days.ad_group_id,
    search_term_days.search_term,
    search_term_days.match_type,
    search_term_days.keyword_text,
    search_term_days.status,
    coalesce(search_term_days.impressions, 0) as impressions,
    coalesce(search_term_days.clicks, 0) as clicks,
    coalesce(search_term_days.spend, 0) as spend,
    coalesce(search_term_days.currency_code, days.currency_code) as currency_code,
    coalesce(search_term_days.conversions, 0) as conversions,
    coalesce(search_term_days.conversion_value, 0) as conversion_value,
    coalesce(search_term_days.all_conversions, 0) as all_conversions,
    days.is_settled,
    search_term_days.run_seq,
    search_term_days.read_at
from search_term_days
{{ joined_days_and_versions('search_term_days') }}
