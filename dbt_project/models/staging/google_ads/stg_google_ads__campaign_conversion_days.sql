with source as ({{ landed_rows('google_ads', 'campaign_conversion_day', [
        'customer__currency_code',
        'campaign__id',
        'segments__conversion_action',
        'segments__conversion_action_name',
        'segments__conversion_action_category',
        'metrics__conversions',
        'metrics__conversions_value',
        'metrics__all_conversions',
    ]) }}
),

renamed as (
    select
        -- set
        partition_key,
        account_id,
        date_day,
        version_no,
        run_seq,
        read_at,
        replaced_at,
        is_current,

        -- ids
        campaign__id as campaign_id,
        split_part(segments__conversion_action, '/', 4) as conversion_action_id,

        -- text
        customer__currency_code as currency_code,
        segments__conversion_action_name as conversion_action_name,
        segments__conversion_action_category as category,

        -- numbers
        {{ to_money('metrics__conversions') }} as conversions,
        {{ to_money('metrics__conversions_value') }} as conversion_value,
        {{ to_money('metrics__all_conversions') }} as all_conversions
    from source
    where is_current
)

select * from renamed
