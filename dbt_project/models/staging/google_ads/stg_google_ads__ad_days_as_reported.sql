with source as ({{ landed_rows('google_ads', 'ad_group_ad_day', [
        'customer__currency_code',
        'campaign__id',
        'ad_group__id',
        'ad_group_ad__ad',
        'segments__device',
        'segments__ad_network_type',
        'metrics__impressions',
        'metrics__clicks',
        'metrics__cost_micros',
        'metrics__conversions',
        'metrics__conversions_value',
        'metrics__all_conversions',
        'metrics__view_through_conversions',
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
        ad_group__id as ad_group_id,
        {{ json_text('ad_group_ad__ad', 'id') }} as ad_id,

        -- text
        customer__currency_code as currency_code,
        segments__device as device,
        segments__ad_network_type as network,

        -- numbers
        {{ to_count('metrics__impressions') }} as impressions,
        {{ to_count('metrics__clicks') }} as clicks,
        {{ from_micros('metrics__cost_micros') }} as spend,
        {{ to_money('metrics__conversions') }} as conversions,
        {{ to_money('metrics__conversions_value') }} as conversion_value,
        {{ to_money('metrics__all_conversions') }} as all_conversions,
        {{ to_count('metrics__view_through_conversions') }} as view_through_conversions
    from source
)

select * from renamed
