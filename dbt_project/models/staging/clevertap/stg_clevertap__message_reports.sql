with source as ({{ landed_rows('clevertap', 'message_report', [
        'message_id',
        'message_name',
        'channel',
        'delivery',
        'device',
        'status',
        'conversion_event',
        'start_date',
        'sent',
        'viewed',
        'clicked',
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
        message_id,

        -- text
        message_name,
        channel,
        delivery,
        device,
        status,
        conversion_event,
        start_date,

        -- numbers: counts up to the moment of reading
        {{ to_count('sent') }} as sent,
        {{ to_count('viewed') }} as viewed,
        {{ to_count('clicked') }} as clicked
    from source
)

select * from renamed
