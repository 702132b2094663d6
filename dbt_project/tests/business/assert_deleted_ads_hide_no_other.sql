-- Where deleted ads explain a remainder, no other ad is missing unseen: one that Meta reported for this day before,
-- that is not deleted, and that is not in the day's report any more. It warns: its figures may have been taken back.
{{ config(tags=['unverified_only'], severity='warn') }}
{{ blocks_nothing() }}
with remainders as (
    select
        account_id,
        campaign_id,
        date_day,
        impressions,
        spend
    from {{ ref('fact_ad_performance') }}
    where
        platform = 'facebook_ads'
        and row_kind = 'remainder'
        and remainder_cause = 'deleted_ads'
        and is_settled
),

told as (
    select
        account_id,
        campaign_id,
        date_day,
        ad_id,
        max(case when is_current then 1 else 0 end) as is_there,
        max(case when not is_current then impressions end) as told_impressions,
        max(case when not is_current then spend end) as told_spend
    from {{ ref('stg_facebook_ads__ad_days_as_reported') }}
    where {{ in_unverified_days('date_day', 'fact_ad_performance') }}
    group by account_id, campaign_id, date_day, ad_id
)

select
    told.account_id,
    told.campaign_id,
    told.date_day,
    told.ad_id,
    told.told_impressions,
    remainders.impressions as remaining_impressions,
    told.told_spend,
    remainders.spend as remaining_spend
from told
inner join remainders
    on
        told.account_id = remainders.account_id
        and told.campaign_id = remainders.campaign_id
        and told.date_day = remainders.date_day
left join {{ ref('int_ads__deleted') }} as deleted
    on
        told.account_id = deleted.account_id
        and told.ad_id = deleted.ad_id
where
    told.is_there = 0
    and told.told_impressions between 1 and remainders.impressions
    and deleted.ad_id is null
