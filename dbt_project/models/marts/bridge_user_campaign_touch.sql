{{
    config(
        indexes=[{'columns': ['user_key']}, {'columns': ['campaign_key']}],
        dist='user_key',
        sort=['date_day', 'user_key'],
        post_hook='analyze {{ this }}',
    )
}}
with touches as (
    select
        *,
        row_number() over (partition by user_key order by touched_at, touch_key) as touch_no
    from {{ ref('int_touches__matched') }}
)

select
    touch_key,
    touched_at,
    date_day,
    user_key,
    account_key,
    campaign_key,
    ad_group_key,
    ad_key,
    cast(touch_no as integer) as touch_no,
    channel,
    touch_rule,
    platform,
    account_id,
    campaign_id,
    ad_group_id,
    ad_id,
    utm_source,
    utm_medium,
    utm_campaign,
    utm_content,
    run_seq,
    read_at
from touches
