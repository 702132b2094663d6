{#- Partitions of this model (int_remainders__explained or fact_ad_performance) with a remainder for which other evidence is
    known now than when it was built. -#}
{% macro changed_remainders() -%}
    select
        {{ partition_key('platform', 'account_id', 'date_day') }} as partition_key,
        account_key,
        date_day
    from (
        select
            fact.platform,
            fact.account_id,
            fact.account_key,
            fact.date_day,
            fact.campaign_id,
            fact.remainder_evidence,
            max(campaigns.channel_type) as channel_type,
            count(deleted.ad_id) as deleted_ads,
            min(deleted.ad_id) as first_deleted_ad_id,
            max(deleted.ad_id) as last_deleted_ad_id
        from {{ this }} as fact
        left join {{ ref('int_campaigns__versioned') }} as campaigns
            on
                fact.platform = campaigns.platform
                and fact.account_id = campaigns.account_id
                and fact.campaign_id = campaigns.campaign_id
                and campaigns.is_current
        left join {{ ref('int_ads__deleted') }} as deleted
            on
                fact.platform = deleted.platform
                and fact.account_id = deleted.account_id
                and fact.campaign_id = deleted.campaign_id
                and fact.date_day between deleted.first_day and deleted.last_day
        {%- if this.identifier == 'fact_ad_performance' %}
        where fact.row_kind = 'remainder'
        {%- endif %}
        group by
            fact.platform, fact.account_id, fact.account_key, fact.date_day, fact.campaign_id, fact.remainder_evidence
    ) as remainders
    where
        coalesce(remainder_evidence, '') <> coalesce(
            {{ remainder_evidence('channel_type', 'deleted_ads', 'first_deleted_ad_id', 'last_deleted_ad_id') }}, ''
        )
{%- endmacro %}
