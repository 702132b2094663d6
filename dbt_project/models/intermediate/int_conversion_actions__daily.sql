{{
    config(
        materialized='incremental',
        incremental_strategy='rebuilt_partitions',
        on_schema_change='fail',
        indexes=[{'columns': ['date_day', 'account_key']}],
        dist='all',
        post_hook=["{{ remember_partitions() }}", 'analyze {{ this }}'],
    )
}}
-- Which actions a fact row names, by day: the whole fact would have to be read for them every day.
select
    facts.date_day,
    facts.account_key,
    facts.conversion_action_key,
    facts.platform,
    facts.account_id,
    facts.conversion_action_id
from {{ ref('fact_ad_conversion') }} as facts
{{ joined_changed_days('facts', 'int_conversion_actions__daily') }}
where facts.conversion_action_id is not null
group by
    facts.date_day,
    facts.account_key,
    facts.conversion_action_key,
    facts.platform,
    facts.account_id,
    facts.conversion_action_id
