-- Gross sales and refunds of every currency are those of the application's own tables, to the last decimal.
{{ blocks_nothing() }}
with orders as (
    select * from {{ ref('stg_rds__orders') }}
    where not is_deleted
),

lines as (
    select
        database_name,
        order_id,
        sum(quantity * unit_price) as gross_amount
    from {{ ref('stg_rds__order_items') }}
    where not is_deleted
    group by database_name, order_id
),

-- An order of which no line has landed yet has nothing to share its refund among: it is named by another test.
told as (
    select
        coalesce(orders.currency_code, 'XXX') as currency_code,
        sum(lines.gross_amount) as gross_amount,
        sum(orders.refund_amount) as refund_amount
    from orders
    inner join lines
        on
            orders.database_name = lines.database_name
            and orders.order_id = lines.order_id
    group by coalesce(orders.currency_code, 'XXX')
),

sold as (
    select
        currency_code,
        sum(gross_amount) as gross_amount,
        sum(refund_amount) as refund_amount
    from {{ ref('fact_sales') }}
    group by currency_code
)

select
    coalesce(told.currency_code, sold.currency_code) as currency_code,
    told.gross_amount as told_gross_amount,
    sold.gross_amount as sold_gross_amount,
    told.refund_amount as told_refund_amount,
    sold.refund_amount as sold_refund_amount
from told
full outer join sold
    on told.currency_code = sold.currency_code
where
    coalesce(told.gross_amount, 0) <> coalesce(sold.gross_amount, 0)
    or coalesce(told.refund_amount, 0) <> coalesce(sold.refund_amount, 0)
