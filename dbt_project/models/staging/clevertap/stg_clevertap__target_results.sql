with source as ({{ landed_rows('clevertap', 'target_results', [
        'id',
        'result__sent',
        'result__viewed',
        'result__clicked',
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

        -- numbers: counts up to the moment of reading
        {{ to_count('result__sent') }} as sent,
        {{ to_count('result__viewed') }} as viewed,
        {{ to_count('result__clicked') }} as clicked
    from source
)

select * from renamed
