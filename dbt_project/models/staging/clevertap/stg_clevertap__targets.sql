with source as ({{ landed_rows('clevertap', 'targets', [
        'id',
        'name',
        'scheduled_on',
        'status',
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
        account_id as project_id,
        id as target_id,

        -- text
        name as target_name,
        scheduled_on,
        status
    from source
)

select * from renamed
