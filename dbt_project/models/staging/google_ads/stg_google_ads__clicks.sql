with source as ({{ landed_rows('google_ads', 'click_view', [
        'campaign__id',
        'ad_group__id',
        'click_view__gclid',
        'click_view__ad_group_ad',
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
        click_view__gclid as gclid,
        campaign__id as campaign_id,
        ad_group__id as ad_group_id,
        -- customers/<customer>/adGroupAds/<ad group>~<ad>
        nullif(split_part(click_view__ad_group_ad, '~', 2), '') as ad_id
    from source
    where is_current
)

select * from renamed
