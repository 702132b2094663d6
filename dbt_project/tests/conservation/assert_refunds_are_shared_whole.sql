-- The lines of every order add up to its refund exactly.
{{ blocks_nothing() }}
with shared as (
    select
        database_name,
        order_id,
        sum(refund_amount) as shared_amount
    from {{ ref('fact_sales') }}
    group by database_name, order_id
)

select
    orders.order_id,
    orders.refund_amount,
    shared.shared_amount
from {{ ref('stg_rds__orders') }} as orders
inner join shared
    on
        orders.database_name = shared.database_name
        and orders.order_id = shared.order_id
where
    not orders.is_deleted
    and orders.refund_amount <> shared.shared_amount
