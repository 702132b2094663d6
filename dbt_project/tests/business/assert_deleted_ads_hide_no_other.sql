-- Where deleted ads explain a remainder, no other ad can have been withheld unseen: an ad of the campaign that is not
-- deleted, has rows on the day before and on the day after, none on this day, and no more impressions on the lesser of
-- the two than twice the remainder's. It warns: such an ad may have rested for a day.
{{ config(severity='warn') }}
{{ blocks_nothing() }}
with remainders as (
    select
        platform,
        account_id,
        account_key,
        campaign_id,
        date_day,
        impressions
    from {{ ref('fact_ad_performance') }}
    where
        row_kind = 'remainder'
        and remainder_cause = 'deleted_ads'
        and is_settled
),

around as (
    select
        remainders.platform,
        remainders.account_id,
        remainders.campaign_id,
        remainders.date_day,
        facts.ad_id,
        max(remainders.impressions) as remaining_impressions,
        count(distinct facts.date_day) as days,
        max(case when facts.date_day = remainders.date_day then 1 else 0 end) as on_the_day,
        min(facts.impressions) as impressions
    from remainders
    inner join {{ ref('fact_ad_performance') }} as facts
        on
            remainders.account_key = facts.account_key
            and facts.date_day between remainders.date_day - 1 and remainders.date_day + 1
            and remainders.campaign_id = facts.campaign_id
    where facts.row_kind = 'ad'
    group by
        remainders.platform,
        remainders.account_id,
        remainders.campaign_id,
        remainders.date_day,
        facts.ad_id
)

select
    around.platform,
    around.account_id,
    around.campaign_id,
    around.date_day,
    around.ad_id,
    around.impressions,
    around.remaining_impressions
from around
left join {{ ref('int_ads__deleted') }} as deleted
    on
        around.platform = deleted.platform
        and around.account_id = deleted.account_id
        and around.ad_id = deleted.ad_id
where
    around.days = 2
    and around.on_the_day = 0
    and around.impressions <= 2 * around.remaining_impressions
    and deleted.ad_id is null
