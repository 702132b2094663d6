-- Every order line's order has landed, and every refunded order's lines, once both tables were read again after it.
{{ config(severity='warn', meta={'severity': 'minor'}) }}
{{ blocks_nothing() }}
with orders as (
    select * from {{ ref('stg_rds__orders') }}
    where not is_deleted
),

lines as (
    select * from {{ ref('stg_rds__order_items') }}
    where not is_deleted
),

last_reads as (
    select
        account_id as database_name,
        max(case when resource = 'orders' then last_run_seq end) as orders_run_seq,
        max(case when resource = 'order_items' then last_run_seq end) as lines_run_seq
    from {{ ref('stg_rds__sets') }}
    group by account_id
)

select
    'line without order' as missing,
    lines.database_name,
    lines.order_id,
    lines.order_line_id,
    lines.run_seq
from lines
inner join last_reads
    on lines.database_name = last_reads.database_name
left join orders
    on
        lines.database_name = orders.database_name
        and lines.order_id = orders.order_id
where
    orders.order_id is null
    and lines.run_seq < last_reads.orders_run_seq
union all
select
    'refund without lines' as missing,
    orders.database_name,
    orders.order_id,
    cast(null as {{ type_text() }}) as order_line_id,
    orders.run_seq
from orders
inner join last_reads
    on orders.database_name = last_reads.database_name
left join lines
    on
        orders.database_name = lines.database_name
        and orders.order_id = lines.order_id
where
    lines.order_id is null
    and orders.refund_amount <> 0
    and orders.run_seq < last_reads.lines_run_seq
