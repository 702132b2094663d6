-- Every line that stands, with its share of its order's refund: in proportion to the lines' worth, in whole minor units
-- of the currency. What is refunded up to a line is rounded, and a line gets the difference to the one before it, the
-- last one what is left: so the shares add up to the refund exactly.
with lines as (
    select
        items.*,
        orders.user_pseudonym,
        orders.ordered_at,
        orders.currency_code,
        orders.order_status,
        orders.refunded_at,
        orders.refund_amount as order_refund,
        {{ currency_exponent('orders.currency_code') }} as exponent,
        cast(items.quantity * items.unit_price as {{ type_money() }}) as gross_amount
    from {{ ref('stg_rds__order_items') }} as items
    inner join {{ ref('stg_rds__orders') }} as orders
        on
            items.database_name = orders.database_name
            and items.order_id = orders.order_id
    where
        not items.is_deleted
        and not orders.is_deleted
),

-- Whole numbers from here on, so that every engine divides them alike.
weighed as (
    select
        *,
        cast(gross_amount * 10000 as numeric(18, 0)) as line_weight,
        case exponent when 0 then 1 when 2 then 100 else 1000 end as units
    from lines
),

summed as (
    select
        *,
        sum(line_weight) over (
            partition by database_name, order_id
            order by order_line_no
            rows unbounded preceding
        ) as weight_through,
        sum(line_weight) over (partition by database_name, order_id) as order_weight,
        lead(order_line_no) over (partition by database_name, order_id order by order_line_no) is null as is_last
    from weighed
),

shared as (
    select
        *,
        case
            when is_last then order_refund
            when order_weight = 0 then 0
            else
                floor(
                    cast(order_refund * units as numeric(18, 0)) * cast(weight_through as numeric(18, 0))
                    / cast(order_weight as numeric(18, 0))
                ) / units
        end as refund_through
    from summed
)

select
    database_name,
    order_line_id,
    order_id,
    product_id,
    user_pseudonym,
    currency_code,
    order_status,
    quantity,
    unit_price,
    gross_amount,
    cast(
        refund_through
        - coalesce(lag(refund_through) over (partition by database_name, order_id order by order_line_no), 0)
        as {{ type_money() }}
    ) as refund_amount,
    ordered_at,
    refunded_at,
    run_seq,
    read_at
from shared
