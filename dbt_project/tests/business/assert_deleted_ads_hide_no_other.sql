-- Where deleted ads explain a remainder, no other ad is missing unseen: one that Meta reported for this day before,
-- that is not deleted, and that is not in the day's report any more. It warns: its figures may have been taken back.
{{ config(tags=['unverified_only'], severity='warn') }}
{{ blocks_nothing() }}
with remainders as (
    select
        account_key,
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

-- Superseded rows only: what is current stands in the fact, where it costs no second reading of raw.
told_before as (
    select
        account_id,
        campaign_id,
        date_day,
        ad_id,
        max(impressions) as impressions,
        max(spend) as spend
    from {{ ref('stg_facebook_ads__ad_days_as_reported') }}
    where
        not is_current
        and {{ in_unverified_days('date_day', 'fact_ad_performance') }}
    group by account_id, campaign_id, date_day, ad_id
)

select
    told_before.account_id,
    told_before.campaign_id,
    told_before.date_day,
    told_before.ad_id,
    told_before.impressions,
    remainders.impressions as remaining_impressions,
    told_before.spend,
    remainders.spend as remaining_spend
from told_before
inner join remainders
    on
        told_before.account_id = remainders.account_id
        and told_before.campaign_id = remainders.campaign_id
        and told_before.date_day = remainders.date_day
left join {{ ref('fact_ad_performance') }} as facts
    on
        remainders.account_key = facts.account_key
        and remainders.date_day = facts.date_day
        and told_before.ad_id = facts.ad_id
left join {{ ref('int_ads__deleted') }} as deleted
    on
        told_before.account_id = deleted.account_id
        and told_before.ad_id = deleted.ad_id
where
    facts.ad_id is null
    and deleted.ad_id is null
    and told_before.impressions between 1 and remainders.impressions
