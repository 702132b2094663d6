with source as ({{ landed_rows('facebook_ads', 'adaccounts', [
        'id',
        'name',
        'currency',
        'timezone_name',
        'account_status',
        'amount_spent',
        'created_time',
        'business',
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
        replace(id, 'act_', '') as account_id,

        -- text
        name as account_name,
        currency as currency_code,
        timezone_name as time_zone,
        {{ json_text('business', 'name') }} as business_name,

        -- numbers
        {{ to_count('account_status') }} as account_status,
        {{ to_count('amount_spent') }} as amount_spent_in_minor_units,

        -- times
        {{ to_instant('created_time') }} as created_at
    from source
)

select * from renamed
