-- Under every attribution model, campaigns and what is not attributed add up to all sales, and to all spend, exactly.
{{ blocks_nothing() }}
with credited as (
    select
        attribution_model,
        sum(orders) as orders,
        sum(gross_revenue_reporting) as gross_revenue,
        sum(net_revenue_reporting) as net_revenue,
        sum(spend_reporting) as spend
    from {{ ref('rpt_campaign_roas') }}
    group by attribution_model
),

sold as (
    select
        count(distinct database_name || ':' || order_id) as orders,
        sum(gross_amount_reporting) as gross_revenue,
        sum(net_amount_reporting) as net_revenue
    from {{ ref('fact_sales') }}
),

spent as (
    select sum(spend_reporting) as spend
    from {{ ref('fact_ad_performance') }}
)

select
    credited.*,
    sold.orders as sold_orders,
    sold.gross_revenue as sold_gross_revenue,
    sold.net_revenue as sold_net_revenue,
    spent.spend as spent_spend
from credited
cross join sold
cross join spent
where
    coalesce(credited.orders, 0) <> coalesce(sold.orders, 0)
    or coalesce(credited.gross_revenue, 0) <> coalesce(sold.gross_revenue, 0)
    or coalesce(credited.net_revenue, 0) <> coalesce(sold.net_revenue, 0)
    or coalesce(credited.spend, 0) <> coalesce(spent.spend, 0)
