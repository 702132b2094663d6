with source as ({{ newest_rows('rds', 'order_items', 'order_line_id', {
        'order_line_id': 'bigint',
        'order_id': 'bigint',
        'product_id': 'bigint',
        'quantity': 'integer',
        'unit_price': 'numeric(18, 4)',
        'updated_at': 'timestamptz',
    }) }}
),

renamed as (
    select
        -- set
        account_id as database_name,
        run_seq,
        read_at,

        -- ids
        order_line_id as order_line_no,
        cast(order_line_id as {{ type_text() }}) as order_line_id,
        cast(order_id as {{ type_text() }}) as order_id,
        cast(product_id as {{ type_text() }}) as product_id,

        -- numbers
        cast(quantity as bigint) as quantity,
        cast(unit_price as {{ type_money() }}) as unit_price,

        -- flags
        is_deleted,

        -- times
        updated_at
    from source
)

select * from renamed
