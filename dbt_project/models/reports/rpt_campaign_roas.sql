{{ config(materialized='table') }}
-- A table, because it is asked for whole, and joins most of the star.
with spent as (
    select
        platform,
        account_id,
        campaign_id,
        sum(spend_reporting) as spend_reporting,
        sum(case when spend_reporting is null then 1 else 0 end) as unconverted,
        sum(conversions) as conversions,
        sum(conversion_value_reporting) as conversion_value_reporting,
        min(case when spend_reporting > 0 then date_day end) as first_spend_day
    from {{ ref('rpt_campaign_daily') }}
    group by platform, account_id, campaign_id
),

sold as (
    select
        database_name,
        order_id,
        user_key,
        sold_date,
        sum(gross_amount_reporting) as gross_reporting,
        sum(refund_amount_reporting) as refund_reporting,
        sum(net_amount_reporting) as net_reporting
    from {{ ref('fact_sales') }}
    group by database_name, order_id, user_key, sold_date
),

goals as (
    select
        credited.attribution_model,
        credited.goal_kind,
        credited.user_key,
        credited.reached_date,
        credited.channel,
        credited.account_id,
        credited.campaign_id,
        sold.gross_reporting,
        sold.refund_reporting,
        sold.net_reporting
    from {{ ref('int_goals__attributed') }} as credited
    left join sold
        on
            credited.goal_kind = 'order'
            and credited.database_name = sold.database_name
            and credited.goal_id = sold.order_id
            and credited.user_key = sold.user_key
),

-- What a campaign cost stands beside what it brought under each model; added, not joined, so that neither is lost.
cost_and_return as (
    {%- for model in var('attribution_days') %}
    select
        cast('{{ model }}' as {{ type_text() }}) as attribution_model,
        platform as channel,
        account_id,
        campaign_id,
        first_spend_day,
        spend_reporting,
        unconverted,
        conversions,
        conversion_value_reporting,
        cast(null as bigint) as buyer_key,
        cast(0 as bigint) as sign_ups,
        cast(0 as bigint) as orders,
        cast(0 as {{ type_money() }}) as gross_reporting,
        cast(0 as {{ type_money() }}) as refund_reporting,
        cast(0 as {{ type_money() }}) as net_reporting
    from spent
    union all
    {%- endfor %}
    select
        attribution_model,
        channel,
        account_id,
        campaign_id,
        cast(null as date) as first_spend_day,
        cast(0 as {{ type_money() }}) as spend_reporting,
        case when goal_kind = 'order' and net_reporting is null then 1 else 0 end as unconverted,
        cast(0 as {{ type_money() }}) as conversions,
        cast(0 as {{ type_money() }}) as conversion_value_reporting,
        case when goal_kind = 'order' then user_key end as buyer_key,
        case when goal_kind = 'sign_up' then 1 else 0 end as sign_ups,
        case when goal_kind = 'order' then 1 else 0 end as orders,
        coalesce(gross_reporting, 0) as gross_reporting,
        coalesce(refund_reporting, 0) as refund_reporting,
        coalesce(net_reporting, 0) as net_reporting
    from goals
),

totals as (
    select
        attribution_model,
        channel,
        account_id,
        campaign_id,
        min(first_spend_day) as first_spend_day,
        -- What lacks a rate is not left out of a sum: there is none.
        case when sum(unconverted) = 0 then sum(spend_reporting) end as spend_reporting,
        sum(conversions) as conversions,
        sum(conversion_value_reporting) as conversion_value_reporting,
        sum(sign_ups) as sign_ups,
        count(distinct buyer_key) as buyers,
        sum(orders) as orders,
        case when sum(unconverted) = 0 then sum(gross_reporting) end as gross_revenue_reporting,
        case when sum(unconverted) = 0 then sum(refund_reporting) end as refunds_reporting,
        case when sum(unconverted) = 0 then sum(net_reporting) end as net_revenue_reporting
    from cost_and_return
    group by attribution_model, channel, account_id, campaign_id
),

-- Only what brought something can have paid back: the days of all other campaigns need not be looked at.
earning as (
    select
        attribution_model,
        channel,
        account_id,
        campaign_id
    from goals
    where net_reporting > 0
    group by attribution_model, channel, account_id, campaign_id
),

days as (
    select
        earning.attribution_model,
        earning.channel,
        earning.account_id,
        earning.campaign_id,
        spent_days.date_day,
        spent_days.spend_reporting,
        cast(0 as {{ type_money() }}) as net_reporting
    from earning
    inner join {{ ref('rpt_campaign_daily') }} as spent_days
        on
            earning.channel = spent_days.platform
            and earning.account_id = spent_days.account_id
            and earning.campaign_id = spent_days.campaign_id
    union all
    select
        attribution_model,
        channel,
        account_id,
        campaign_id,
        reached_date as date_day,
        cast(0 as {{ type_money() }}) as spend_reporting,
        coalesce(net_reporting, 0) as net_reporting
    from goals
),

daily as (
    select
        attribution_model,
        channel,
        account_id,
        campaign_id,
        date_day,
        sum(spend_reporting) as spend_reporting,
        sum(net_reporting) as net_reporting
    from days
    group by attribution_model, channel, account_id, campaign_id, date_day
),

running as (
    select
        *,
        sum(spend_reporting) over (
            partition by attribution_model, channel, account_id, campaign_id
            order by date_day
            rows unbounded preceding
        ) as spent_until,
        sum(net_reporting) over (
            partition by attribution_model, channel, account_id, campaign_id
            order by date_day
            rows unbounded preceding
        ) as earned_until
    from daily
),

-- The first day on which a campaign had brought what it had cost until then.
paid_back as (
    select
        attribution_model,
        channel,
        account_id,
        campaign_id,
        min(date_day) as paid_back_day
    from running
    where spent_until > 0 and earned_until >= spent_until
    group by attribution_model, channel, account_id, campaign_id
),

names as (
    select
        platform,
        account_id,
        campaign_id,
        max(campaign_name) as campaign_name
    from {{ ref('dim_campaign') }}
    where is_current
    group by platform, account_id, campaign_id
)

select
    totals.attribution_model,
    totals.channel,
    totals.account_id,
    totals.campaign_id,
    names.campaign_name,
    cast(totals.spend_reporting as {{ type_money() }}) as spend_reporting,
    cast(totals.conversions as {{ type_money() }}) as conversions,
    cast(totals.conversion_value_reporting as {{ type_money() }}) as conversion_value_reporting,
    cast(totals.sign_ups as bigint) as sign_ups,
    cast(totals.buyers as bigint) as buyers,
    cast(totals.orders as bigint) as orders,
    cast(totals.gross_revenue_reporting as {{ type_money() }}) as gross_revenue_reporting,
    cast(totals.refunds_reporting as {{ type_money() }}) as refunds_reporting,
    cast(totals.net_revenue_reporting as {{ type_money() }}) as net_revenue_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code,
    {{ ratio('totals.spend_reporting', 'totals.sign_ups') }} as cost_per_sign_up,
    {{ ratio('totals.spend_reporting', 'totals.buyers') }} as customer_acquisition_cost,
    {{ ratio('totals.net_revenue_reporting', 'totals.spend_reporting') }} as return_on_ad_spend,
    {{ ratio('totals.conversion_value_reporting', 'totals.spend_reporting') }} as claimed_return_on_ad_spend,
    cast(paid_back.paid_back_day - totals.first_spend_day as integer) as payback_days
from totals
left join paid_back
    on
        totals.attribution_model = paid_back.attribution_model
        and totals.channel = paid_back.channel
        and totals.account_id = paid_back.account_id
        and totals.campaign_id = paid_back.campaign_id
left join names
    on
        totals.channel = names.platform
        and totals.account_id = names.account_id
        and totals.campaign_id = names.campaign_id
