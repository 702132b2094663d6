with source as ({{ landed_rows('google_ads', 'campaign', [
        'campaign__id',
        'campaign__name',
        'campaign__status',
        'campaign__serving_status',
        'campaign__advertising_channel_type',
        'campaign__advertising_channel_sub_type',
        'campaign__bidding_strategy_type',
        'campaign__start_date_time',
        'campaign__end_date_time',
        'campaign_budget__id',
        'campaign_budget__amount_micros',
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
        campaign__id as campaign_id,
        campaign_budget__id as budget_id,

        -- text
        campaign__name as campaign_name,
        campaign__status as status,
        campaign__serving_status as serving_status,
        campaign__advertising_channel_type as channel_type,
        campaign__advertising_channel_sub_type as channel_sub_type,
        campaign__bidding_strategy_type as bid_strategy,

        -- numbers
        {{ from_micros('campaign_budget__amount_micros') }} as daily_budget,

        -- times, in the account's zone
        {{ try_cast('campaign__start_date_time', 'timestamp') }} as started_at_local,
        {{ try_cast('campaign__end_date_time', 'timestamp') }} as ended_at_local
    from source
)

select * from renamed
