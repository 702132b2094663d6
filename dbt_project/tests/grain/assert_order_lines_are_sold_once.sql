-- Every order line that stands in the application's database, with its order, is in fact_sales once; nothing else is.
{{ blocks_nothing() }}
with standing as (
    select
        items.database_name,
        items.order_line_id,
        items.order_id,
        count(*) as line_rows
    from {{ ref('stg_rds__order_items') }} as items
    inner join {{ ref('stg_rds__orders') }} as orders
        on
            items.database_name = orders.database_name
            and items.order_id = orders.order_id
    where not items.is_deleted and not orders.is_deleted
    group by items.database_name, items.order_line_id, items.order_id
),

sold as (
    select
        database_name,
        order_line_id,
        order_id,
        count(*) as fact_rows
    from {{ ref('fact_sales') }}
    group by database_name, order_line_id, order_id
)

select
    coalesce(standing.order_line_id, sold.order_line_id) as order_line_id,
    coalesce(standing.order_id, sold.order_id) as order_id,
    coalesce(standing.line_rows, 0) as line_rows,
    coalesce(sold.fact_rows, 0) as fact_rows
from standing
full outer join sold
    on
        standing.database_name = sold.database_name
        and standing.order_line_id = sold.order_line_id
        and standing.order_id = sold.order_id
where coalesce(standing.line_rows, 0) <> 1 or coalesce(sold.fact_rows, 0) <> 1
