with source as ({{ landed_rows('facebook_ads', 'ads', [
        'id',
        'campaign_id',
        'adset_id',
        'name',
        'status',
        'configured_status',
        'effective_status',
        'creative',
        'conversion_domain',
        'created_time',
        'updated_time',
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
        adset_id as ad_set_id,
        id as ad_id,
        {{ json_text('creative', 'id') }} as creative_id,

        -- text
        name as ad_name,
        status,
        configured_status,
        effective_status,
        conversion_domain,

        -- times
        {{ to_instant('created_time') }} as created_at,
        {{ to_instant('updated_time') }} as updated_at
    from source
)

select * from renamed
