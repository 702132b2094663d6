{{
    config(
        materialized='table',
        indexes=[{'columns': ['partition_key', 'campaign_id']}],
        post_hook='analyze {{ this }}',
    )
}}
with deleted_ads as (
    select
        account_id,
        campaign_id,
        min(first_day) as first_day,
        max(last_day) as last_day,
        min(deleted_at) as deleted_at
    from {{ ref('int_ads__deleted') }}
    where platform = 'facebook_ads'
    group by account_id, campaign_id
)

-- A report that was told before the ads were deleted still has their rows: without this, each deletion would change
-- days that nobody has read since.
select distinct
    sets.partition_key,
    sets.account_id,
    sets.date_day,
    deleted_ads.campaign_id
from {{ ref('stg_facebook_ads__sets') }} as sets
inner join deleted_ads
    on
        sets.account_id = deleted_ads.account_id
        and sets.date_day between deleted_ads.first_day and deleted_ads.last_day
        and sets.read_at >= deleted_ads.deleted_at
where
    sets.is_current
    and sets.resource in ('insights_ad', 'insights_campaign')
