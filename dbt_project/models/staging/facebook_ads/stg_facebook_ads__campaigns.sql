with source as ({{ landed_rows('facebook_ads', 'campaigns', [
        'id',
        'name',
        'objective',
        'buying_type',
        'bid_strategy',
        'status',
        'configured_status',
        'effective_status',
        'daily_budget',
        'lifetime_budget',
        'created_time',
        'updated_time',
        'start_time',
        'stop_time',
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
        account_id,
        id as campaign_id,

        -- text
        name as campaign_name,
        objective,
        buying_type,
        bid_strategy,
        status,
        configured_status,
        effective_status,

        -- numbers
        {{ to_count('daily_budget') }} as daily_budget_in_minor_units,
        {{ to_count('lifetime_budget') }} as lifetime_budget_in_minor_units,

        -- times
        {{ to_instant('created_time') }} as created_at,
        {{ to_instant('updated_time') }} as updated_at,
        {{ to_instant('start_time') }} as started_at,
        {{ to_instant('stop_time') }} as stopped_at
    from source
)

select * from renamed
