with source as ({{ landed_rows('google_ads', 'conversion_action', [
        'conversion_action__id',
        'conversion_action__name',
        'conversion_action__category',
        'conversion_action__status',
        'conversion_action__type',
        'conversion_action__click_through_lookback_window_days',
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
        conversion_action__id as conversion_action_id,

        -- text
        conversion_action__name as conversion_action_name,
        conversion_action__category as category,
        conversion_action__status as status,
        conversion_action__type as conversion_action_type,

        -- numbers
        {{ to_count('conversion_action__click_through_lookback_window_days') }} as lookback_days
    from source
)

select * from renamed
