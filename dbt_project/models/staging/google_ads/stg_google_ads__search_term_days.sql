with source as ({{ landed_rows('google_ads', 'search_term_view_day', [
        'customer__currency_code',
        'campaign__id',
        'ad_group__id',
        'search_term_view__search_term',
        'search_term_view__status',
        'segments__search_term_match_type',
        'segments__keyword',
        'metrics__impressions',
        'metrics__clicks',
        'metrics__cost_micros',
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
        ad_group__id as ad_group_id,

        -- text
        customer__currency_code as currency_code,
        search_term_view__search_term as search_term,
        search_term_view__status as status,
        segments__search_term_match_type as match_type,
        {{ json_text('segments__keyword', 'info', 'text') }} as keyword_text,

        -- numbers
        {{ to_count('metrics__impressions') }} as impressions,
        {{ to_count('metrics__clicks') }} as clicks,
        {{ from_micros('metrics__cost_micros') }} as spend,
        {{ to_money('metrics__conversions') }} as conversions,
        {{ to_money('metrics__conversions_value') }} as conversion_value,
        {{ to_money('metrics__all_conversions') }} as all_conversions
    from source
    where is_current
)

select * from renamed
