with source as ({{ landed_rows('facebook_ads', 'insights_account', [
        'account_currency',
        'impressions',
        'clicks',
        'inline_link_clicks',
        'spend',
        'reach',
        'frequency',
        'actions',
        'action_values',
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

        -- text
        account_currency as currency_code,
        actions,
        action_values,

        -- numbers
        {{ to_count('impressions') }} as impressions,
        {{ to_count('clicks') }} as clicks,
        {{ to_count('inline_link_clicks') }} as link_clicks,
        {{ to_money('spend') }} as spend,
        {{ to_count('reach') }} as reach,
        {{ to_money('frequency') }} as frequency
    from source
    where is_current
)

select * from renamed
