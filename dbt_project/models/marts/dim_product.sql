{{
    config(
        indexes=[{'columns': ['product_key'], 'unique': true}],
        dist='all',
        sort='product_key',
    )
}}
with listed as (
    select * from {{ ref('stg_rds__products') }}
    where product_id is not null
),

inferred as (
    select
        lines.database_name,
        lines.product_id
    from {{ ref('stg_rds__order_items') }} as lines
    left join listed
        on
            lines.database_name = listed.database_name
            and lines.product_id = listed.product_id
    where
        lines.product_id is not null
        and listed.product_id is null
    group by lines.database_name, lines.product_id
)

select
    {{ entity_key(['database_name'], 'product_id') }} as product_key,
    product_id,
    product_name,
    category,
    color,
    size,
    list_price,
    is_deleted,
    false as is_inferred
from listed
union all
select
    {{ entity_key(['database_name'], 'product_id') }} as product_key,
    product_id,
    null as product_name,
    null as category,
    null as color,
    null as size,
    null as list_price,
    false as is_deleted,
    true as is_inferred
from inferred
union all
select
    {{ unknown_key() }} as product_key,
    null as product_id,
    'Unknown product' as product_name,
    null as category,
    null as color,
    null as size,
    null as list_price,
    false as is_deleted,
    true as is_inferred
