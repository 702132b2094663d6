{{
    config(
        materialized='incremental',
        incremental_strategy='rebuilt_partitions',
        on_schema_change='fail',
        indexes=[{'columns': ['date_day', 'account_key']}],
        dist='campaign_key',
        sort=['date_day', 'account_key'],
        post_hook=[
            "{{ remember_partitions(['fact_ad_performance', 'fact_ad_conversion']) }}",
            "{{ analyze_fact() }}",
        ],
    )
}}
-- Both facts by campaign: what is asked by campaign reads hundreds of rows where they hold hundreds of thousands.
{%- set keys = ['date_day', 'account_key', 'campaign_key', 'platform', 'account_id', 'campaign_id', 'currency_code'] %}
with
{%- for fact in ['fact_ad_performance', 'fact_ad_conversion'] %}
{{ fact }} as (
    select facts.*
    from {{ ref(fact) }} as facts
    {%- if is_incremental() %}
    inner join ({{ changed_partitions('fact_campaign_performance') }}) as changed
        on
            facts.account_key = changed.account_key
            and facts.date_day = changed.date_day
    {%- endif %}
    where {{ in_changed_days('facts.date_day', 'fact_campaign_performance') }}
),
{% endfor %}
-- Added, not joined: a day with conversions and no delivery stays.
both_facts as (
    select
        {%- for key in keys %}
        {{ key }},
        {%- endfor %}
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend,
        sum(spend_reporting) as spend_reporting,
        cast(0 as {{ type_money() }}) as conversions,
        cast(0 as {{ type_money() }}) as conversion_value,
        cast(0 as {{ type_money() }}) as conversion_value_reporting,
        sum(case when spend_reporting is null then 1 else 0 end) as unconverted_spends,
        0 as unconverted_values,
        min(case when is_settled then 1 else 0 end) as settled
    from fact_ad_performance
    group by {{ keys | join(', ') }}
    union all
    select
        {%- for key in keys %}
        facts.{{ key }},
        {%- endfor %}
        cast(0 as bigint) as impressions,
        cast(0 as bigint) as clicks,
        cast(0 as {{ type_money() }}) as spend,
        cast(0 as {{ type_money() }}) as spend_reporting,
        sum(facts.conversions) as conversions,
        sum(coalesce(facts.conversion_value, 0)) as conversion_value,
        sum(coalesce(facts.conversion_value_reporting, 0)) as conversion_value_reporting,
        0 as unconverted_spends,
        sum(
            case when facts.conversion_value is not null and facts.conversion_value_reporting is null then 1 else 0 end
        ) as unconverted_values,
        min(case when facts.is_settled then 1 else 0 end) as settled
    from fact_ad_conversion as facts
    -- Only what conversion_definitions names: Meta's action types overlap.
    inner join {{ ref('conversion_definitions') }} as definitions
        on
            facts.platform = definitions.platform
            and facts.attribution_window = definitions.attribution_window
            and definitions.conversion_action_id in (facts.conversion_action_id, '*')
    group by facts.{{ keys | join(', facts.') }}
)

select
    {%- for key in keys %}
    {{ key }},
    {%- endfor %}
    cast(sum(impressions) as bigint) as impressions,
    cast(sum(clicks) as bigint) as clicks,
    cast(sum(spend) as {{ type_money() }}) as spend,
    -- What lacks a rate is not left out of a sum: there is none.
    cast(case when sum(unconverted_spends) = 0 then sum(spend_reporting) end as {{ type_money() }}) as spend_reporting,
    cast(sum(conversions) as {{ type_money() }}) as conversions,
    cast(sum(conversion_value) as {{ type_money() }}) as conversion_value,
    cast(
        case when sum(unconverted_values) = 0 then sum(conversion_value_reporting) end as {{ type_money() }}
    ) as conversion_value_reporting,
    min(settled) = 1 as is_settled
from both_facts
group by {{ keys | join(', ') }}
