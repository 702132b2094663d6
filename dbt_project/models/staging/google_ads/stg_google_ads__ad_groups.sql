with source as ({{ landed_rows('google_ads', 'ad_group', [
        'ad_group__id',
        'ad_group__name',
        'ad_group__status',
        'ad_group__type',
        'ad_group__cpc_bid_micros',
        'campaign__id',
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
        ad_group__id as ad_group_id,

        -- text
        ad_group__name as ad_group_name,
        ad_group__status as status,
        ad_group__type as ad_group_type,

        -- numbers
        {{ from_micros('ad_group__cpc_bid_micros') }} as cpc_bid
    from source
)

select * from renamed
