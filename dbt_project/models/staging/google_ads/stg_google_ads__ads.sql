with source as ({{ landed_rows('google_ads', 'ad_group_ad', [
        'ad_group_ad__ad',
        'ad_group_ad__status',
        'ad_group__id',
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
        {{ json_text('ad_group_ad__ad', 'id') }} as ad_id,

        -- text
        {{ json_text('ad_group_ad__ad', 'name') }} as ad_name,
        {{ json_text('ad_group_ad__ad', 'type') }} as ad_type,
        {{ json_text('ad_group_ad__ad', 'finalUrls') }} as final_urls,
        {{ first_of_json_list(json_text('ad_group_ad__ad', 'finalUrls')) }} as landing_url,
        ad_group_ad__status as status
    from source
)

select * from renamed
