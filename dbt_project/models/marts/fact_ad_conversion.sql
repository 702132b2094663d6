{{
    config(
        materialized='incremental',
        incremental_strategy='rebuilt_partitions',
        on_schema_change='fail',
        indexes=[{'columns': ['date_day', 'account_key']}],
        dist='account_key',
        sort=['date_day', 'account_key'],
        pre_hook='{{ favour_workers() }}',
        post_hook=["{{ remember_partitions() }}", 'analyze {{ this }}'],
    )
}}
with both_reports as (
    select * from {{ ref('int_conversions__unnested') }}
    union all
    -- Deleted ads: Meta tells their conversions in the campaign's report only.
    select * from {{ ref('int_conversions__remaining') }}
)

select
    date_day,
    account_key,
    campaign_key,
    ad_group_key,
    ad_key,
    conversion_action_key,
    platform,
    account_id,
    campaign_id,
    ad_group_id,
    ad_id,
    conversion_action_id,
    attribution_window,
    conversions,
    all_conversions,
    conversion_value,
    currency_code,
    is_settled,
    run_seq,
    read_at
from both_reports
where {{ in_changed_partitions('partition_key', 'fact_ad_conversion') }}
