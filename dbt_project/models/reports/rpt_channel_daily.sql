with days as (
    select
        date_day,
        platform as channel,
        sum(spend_reporting) as spend_reporting,
        sum(case when spend_reporting is null then 1 else 0 end) as unconverted,
        cast(0 as bigint) as visits,
        cast(0 as bigint) as sign_ups,
        cast(0 as bigint) as orders,
        cast(0 as {{ type_money() }}) as gross_reporting,
        cast(0 as {{ type_money() }}) as refund_reporting,
        cast(0 as {{ type_money() }}) as net_reporting
    from {{ ref('fact_ad_performance') }}
    group by date_day, platform
    union all
    select
        date_day,
        channel,
        0 as spend_reporting,
        0 as unconverted,
        count(*) as visits,
        0 as sign_ups,
        0 as orders,
        0 as gross_reporting,
        0 as refund_reporting,
        0 as net_reporting
    from {{ ref('bridge_user_campaign_touch') }}
    group by date_day, channel
    union all
    select
        reached_date as date_day,
        channel,
        0 as spend_reporting,
        0 as unconverted,
        0 as visits,
        count(*) as sign_ups,
        0 as orders,
        0 as gross_reporting,
        0 as refund_reporting,
        0 as net_reporting
    from {{ ref('int_goals__attributed') }}
    where
        goal_kind = 'sign_up'
        and attribution_model = 'first_touch'
    group by reached_date, channel
    union all
    select
        sales.sold_date as date_day,
        credited.channel,
        0 as spend_reporting,
        sum(case when sales.net_amount_reporting is null then 1 else 0 end) as unconverted,
        0 as visits,
        0 as sign_ups,
        count(distinct sales.database_name || ':' || sales.order_id) as orders,
        sum(sales.gross_amount_reporting) as gross_reporting,
        sum(sales.refund_amount_reporting) as refund_reporting,
        sum(sales.net_amount_reporting) as net_reporting
    from {{ ref('fact_sales') }} as sales
    inner join {{ ref('int_goals__attributed') }} as credited
        on
            credited.goal_kind = 'order'
            and credited.attribution_model = 'last_touch'
            and sales.database_name = credited.database_name
            and sales.order_id = credited.goal_id
            and sales.user_key = credited.user_key
    group by sales.sold_date, credited.channel
)

select
    date_day,
    channel,
    cast(case when sum(unconverted) = 0 then sum(spend_reporting) end as {{ type_money() }}) as spend_reporting,
    cast(sum(visits) as bigint) as visits,
    cast(sum(sign_ups) as bigint) as sign_ups,
    cast(sum(orders) as bigint) as orders,
    cast(case when sum(unconverted) = 0 then sum(gross_reporting) end as {{ type_money() }})
        as gross_revenue_reporting,
    cast(case when sum(unconverted) = 0 then sum(refund_reporting) end as {{ type_money() }}) as refunds_reporting,
    cast(case when sum(unconverted) = 0 then sum(net_reporting) end as {{ type_money() }}) as net_revenue_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code
from days
group by date_day, channel
