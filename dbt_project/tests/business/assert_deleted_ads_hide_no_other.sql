-- Where deleted ads explain a remainder, no other ad is missing unseen: one that Meta reported for this day before,
-- that is not deleted, and that is not in the day's report any more. It warns: its figures may have been taken back.
{{ config(tags=['unverified_only'], severity='warn', meta={'severity': 'major'}) }}
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
        and {{ in_unverified_days('date_day', 'fact_ad_performance') }}
),

-- Superseded rows only: what is current stands in the fact, where it costs no second reading of raw.
told_before as (
    select
        remainders.account_key,
        remainders.account_id,
        remainders.campaign_id,
        remainders.date_day,
        remainders.impressions as remaining_impressions,
        remainders.spend as remaining_spend,
        told.ad_id,
        max(told.impressions) as impressions,
        max(told.spend) as spend
    from remainders
    inner join {{ ref('stg_facebook_ads__ad_days_as_reported') }} as told
        on
            remainders.account_id = told.account_id
            and remainders.date_day = told.date_day
            and remainders.campaign_id = told.campaign_id
    where not told.is_current
    group by
        remainders.account_key,
        remainders.account_id,
        remainders.campaign_id,
        remainders.date_day,
        remainders.impressions,
        remainders.spend,
        told.ad_id
)

select
    told_before.account_id,
    told_before.campaign_id,
    told_before.date_day,
    told_before.ad_id,
    told_before.impressions,
    told_before.remaining_impressions,
    told_before.spend,
    told_before.remaining_spend
from told_before
left join {{ ref('fact_ad_performance') }} as facts
    on
        told_before.account_key = facts.account_key
        and told_before.date_day = facts.date_day
        and told_before.ad_id = facts.ad_id
left join {{ ref('int_ads__deleted') }} as deleted
    on
        told_before.account_id = deleted.account_id
        and told_before.ad_id = deleted.ad_id
where
    facts.ad_id is null
    and deleted.ad_id is null
    and told_before.impressions between 1 and told_before.remaining_impressions
