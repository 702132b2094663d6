with source as ({{ landed_rows('google_ads', 'ad_group_criterion', [
        'ad_group_criterion__criterion_id',
        'ad_group_criterion__keyword',
        'ad_group_criterion__status',
        'ad_group_criterion__negative',
        'ad_group_criterion__quality_info',
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
        ad_group_criterion__criterion_id as criterion_id,

        -- text
        {{ json_text('ad_group_criterion__keyword', 'text') }} as keyword_text,
        {{ json_text('ad_group_criterion__keyword', 'matchType') }} as match_type,
        ad_group_criterion__status as status,

        -- numbers
        {{ to_count(json_text('ad_group_criterion__quality_info', 'qualityScore')) }} as quality_score,

        -- flags
        {{ to_flag('ad_group_criterion__negative') }} as is_negative
    from source
)

select * from renamed
