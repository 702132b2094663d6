with source as ({{ newest_rows('rds', 'products', 'product_id', {
        'product_id': 'bigint',
        'name': type_text(),
        'category': type_text(),
        'color': type_text(),
        'size': type_text(),
        'price': 'numeric(12, 2)',
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
        cast(product_id as {{ type_text() }}) as product_id,

        -- text
        cast(name as {{ type_text() }}) as product_name,
        cast(category as {{ type_text() }}) as category,
        cast(color as {{ type_text() }}) as color,
        cast(size as {{ type_text() }}) as size,

        -- numbers
        cast(price as {{ type_money() }}) as list_price,

        -- flags
        is_deleted,

        -- times
        updated_at
    from source
)

select * from renamed
