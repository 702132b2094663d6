{{
    config(
        materialized='incremental',
        incremental_strategy='rebuilt_partitions',
        on_schema_change='fail',
        indexes=[{'columns': ['date_day', 'account_key']}],
        dist='all',
        post_hook=["{{ remember_partitions(['fact_ad_conversion']) }}", 'analyze {{ this }}'],
    )
}}
-- Which actions a fact row names, by day: the whole fact would have to be read for them every day.
select distinct
    facts.date_day,
    facts.account_key,
    facts.conversion_action_key,
    facts.platform,
    facts.account_id,
    facts.conversion_action_id
from {{ ref('fact_ad_conversion') }} as facts
{%- if is_incremental() %}
inner join ({{ changed_partitions('int_conversion_actions__daily') }}) as changed
    on
        facts.account_key = changed.account_key
        and facts.date_day = changed.date_day
{%- endif %}
where
    facts.conversion_action_id is not null
    and {{ in_changed_days('facts.date_day', 'int_conversion_actions__daily') }}
