with source as ({{ landed_rows('google_ads', 'customer_client', [
        'customer_client__id',
        'customer_client__descriptive_name',
        'customer_client__currency_code',
        'customer_client__time_zone',
        'customer_client__status',
        'customer_client__level',
        'customer_client__manager',
        'customer_client__hidden',
        'customer_client__test_account',
    ], by_day=false) }}
),

renamed as (
    select
        -- set
        version_no,
        run_seq,
        read_at,
        replaced_at,
        is_current,

        -- ids
        account_id as manager_account_id,
        customer_client__id as account_id,

        -- text
        customer_client__descriptive_name as account_name,
        customer_client__currency_code as currency_code,
        customer_client__time_zone as time_zone,
        customer_client__status as status,

        -- numbers
        {{ to_count('customer_client__level') }} as manager_level,

        -- flags
        {{ to_flag('customer_client__manager') }} as is_manager,
        {{ to_flag('customer_client__hidden') }} as is_hidden,
        {{ to_flag('customer_client__test_account') }} as is_test
    from source
)

select * from renamed
