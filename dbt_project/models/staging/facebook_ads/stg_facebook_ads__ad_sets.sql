with source as ({{ landed_rows('facebook_ads', 'adsets', [
        'id',
        'campaign_id',
        'name',
        'status',
        'configured_status',
        'effective_status',
        'daily_budget',
        'lifetime_budget',
        'billing_event',
        'optimization_goal',
        'bid_strategy',
        'bid_amount',
        'attribution_spec',
        'targeting',
        'created_time',
        'updated_time',
        'start_time',
        'end_time',
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
        campaign_id,
        id as ad_set_id,

        -- text
        name as ad_set_name,
        status,
        configured_status,
        effective_status,
        billing_event,
        optimization_goal,
        bid_strategy,
        attribution_spec,
        targeting,

        -- numbers
        {{ to_count('daily_budget') }} as daily_budget_in_minor_units,
        {{ to_count('lifetime_budget') }} as lifetime_budget_in_minor_units,
        {{ to_count('bid_amount') }} as bid_amount_in_minor_units,

        -- times
        {{ to_instant('created_time') }} as created_at,
        {{ to_instant('updated_time') }} as updated_at,
        {{ to_instant('start_time') }} as started_at,
        {{ to_instant('end_time') }} as ended_at
    from source
)

select * from renamed
