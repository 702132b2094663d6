{%- set fields = var('exchange_rate_fields') -%}
with source as ({{ landed_rows('http_json', 'exchange_rates', [fields.base, fields.currency, fields.rate]) }}
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
        upper(trim({{ fields.base }})) as base_currency_code,
        upper(trim({{ fields.currency }})) as quoted_currency_code,

        -- numbers
        {{ to_number(fields.rate, type_rate()) }} as rate
    from source
    where is_current
)

select * from renamed
