with source as ({{ landed_rows('facebook_ads', 'adcreatives', [
        'id',
        'name',
        'object_type',
        'status',
        'title',
        'body',
        'link_url',
        'url_tags',
        'thumbnail_url',
        'object_story_spec',
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
        id as creative_id,

        -- text
        name as creative_name,
        object_type,
        status,
        title,
        body,
        link_url,
        coalesce(
            nullif(link_url, ''),
            {{ json_text('object_story_spec', 'link_data', 'link') }},
            {{ json_text('object_story_spec', 'template_data', 'link') }},
            {{ json_text('object_story_spec', 'video_data', 'call_to_action', 'value', 'link') }}
        ) as landing_url,
        url_tags,
        thumbnail_url,
        object_story_spec
    from source
)

select * from renamed
