{{
    config(
        materialized='incremental',
        incremental_strategy='rebuilt_partitions',
        on_schema_change='fail',
        indexes=[{'columns': ['date_day', 'account_key']}],
        dist='campaign_key',
        sort=['date_day', 'account_key'],
        pre_hook='{{ favour_workers() }}',
        post_hook=["{{ remember_partitions(['int_remainders__explained']) }}", "{{ analyze_fact() }}"],
    )
}}
with both_reports as (
    select * from {{ ref('int_conversions__unnested') }}
    union all
    -- Deleted ads: Meta tells their conversions in the campaign's report only.
    select * from {{ ref('int_conversions__remaining') }}
)

select
    both_reports.date_day,
    both_reports.account_key,
    both_reports.campaign_key,
    both_reports.ad_group_key,
    both_reports.ad_key,
    both_reports.conversion_action_key,
    both_reports.platform,
    both_reports.account_id,
    both_reports.campaign_id,
    both_reports.ad_group_id,
    both_reports.ad_id,
    both_reports.conversion_action_id,
    both_reports.attribution_window,
    both_reports.conversions,
    both_reports.all_conversions,
    both_reports.conversion_value,
    both_reports.currency_code,
    {{ converted('both_reports.conversion_value', rate_of_day('both_reports', 'days')) }} as conversion_value_reporting,
    both_reports.is_settled,
    both_reports.run_seq,
    both_reports.read_at
from both_reports
left join {{ ref('int_account_days__read') }} as days
    on both_reports.partition_key = days.partition_key
where {{ in_changed_partitions('both_reports.partition_key', 'fact_ad_conversion') }}
