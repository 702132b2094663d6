{{
    config(
        materialized='incremental',
        incremental_strategy='rebuilt_partitions',
        on_schema_change='fail',
        indexes=[{'columns': ['account_key', 'date_day']}],
        dist='account_key',
        sort=['date_day', 'account_key'],
        post_hook=["{{ remember_partitions() }}", 'analyze {{ this }}'],
    )
}}
with conversions as (
    select * from {{ ref('int_conversions__unnested') }}
    where {{ in_changed_partitions('partition_key', 'fact_ad_conversion') }}
)

select
    conversions.date_day,
    days.account_key,
    {{ campaign_key('conversions', 'versions') }} as campaign_key,
    conversions.ad_group_key,
    conversions.ad_key,
    conversions.conversion_action_key,
    conversions.platform,
    conversions.account_id,
    conversions.campaign_id,
    conversions.ad_group_id,
    conversions.ad_id,
    conversions.conversion_action_id,
    conversions.attribution_window,
    conversions.conversions,
    conversions.all_conversions,
    conversions.conversion_value,
    coalesce(conversions.currency_code, days.currency_code) as currency_code,
    days.is_settled,
    conversions.run_seq,
    conversions.read_at
from conversions
{{ joined_days_and_versions('conversions') }}
