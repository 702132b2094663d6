with source as ({{ landed_rows('http_json', 'exchange_rates', ['base', 'currency', 'rate']) }}
),

renamed as (
    select
        -- set
        partition_key,
        date_day,
        version_no,
        run_seq,
        read_at,
        replaced_at,
        is_current,

        -- text
        upper(trim(base)) as base_currency_code,
        upper(trim(currency)) as quoted_currency_code,

        -- numbers
        {{ to_number('rate', type_rate()) }} as rate
    from source
    where is_current
)

select * from renamed
