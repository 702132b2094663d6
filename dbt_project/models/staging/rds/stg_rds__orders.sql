with source as ({{ newest_rows('rds', 'orders', 'order_id', {
        'order_id': 'bigint',
        'user_id__pseudonym': type_text(),
        'ordered_at': 'timestamptz',
        'currency': type_text(),
        'status': type_text(),
        'refund_amount': 'numeric(18, 2)',
        'refunded_at': 'timestamptz',
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
        cast(order_id as {{ type_text() }}) as order_id,
        user_id__pseudonym as user_pseudonym,

        -- text
        cast(currency as {{ type_text() }}) as currency_code,
        cast(status as {{ type_text() }}) as order_status,

        -- numbers
        cast(coalesce(refund_amount, 0) as {{ type_money() }}) as refund_amount,

        -- flags
        is_deleted,

        -- times
        ordered_at,
        refunded_at,
        updated_at
    from source
)

select * from renamed
