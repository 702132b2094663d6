-- Of every account's day the fact holds the newest reading and no other, to the row and to the cent: the ads' rows
-- equal the ad report, all rows together the campaign report.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
with held as (
    select
        platform,
        account_id,
        date_day,
        sum(case when row_kind = 'ad' then impressions else 0 end) as ad_impressions,
        sum(case when row_kind = 'ad' then clicks else 0 end) as ad_clicks,
        sum(case when row_kind = 'ad' then spend else 0 end) as ad_spend,
        sum(case when row_kind = 'ad' then 1 else 0 end) as ad_rows,
        min(case when row_kind = 'ad' then run_seq end) as first_run_seq,
        max(case when row_kind = 'ad' then run_seq end) as last_run_seq,
        sum(impressions) as impressions,
        sum(clicks) as clicks,
        sum(spend) as spend
    from {{ ref('fact_ad_performance') }}
    where {{ in_unverified_days('date_day', 'fact_ad_performance') }}
    group by platform, account_id, date_day
)

select
    coalesce(days.platform, held.platform) as platform,
    coalesce(days.account_id, held.account_id) as account_id,
    coalesce(days.date_day, held.date_day) as date_day,
    held.ad_rows,
    days.ad_rows as read_ad_rows,
    held.ad_spend,
    days.ad_spend as read_ad_spend,
    held.spend,
    days.campaign_spend as read_campaign_spend,
    held.first_run_seq,
    held.last_run_seq,
    days.ad_run_seq
from (
    select * from {{ ref('int_account_days__read') }}
    where {{ in_unverified_days('date_day', 'fact_ad_performance') }}
) as days
full outer join held
    on
        days.platform = held.platform
        and days.account_id = held.account_id
        and days.date_day = held.date_day
where
    days.account_id is null
    or coalesce(held.ad_impressions, 0) <> days.ad_impressions
    or coalesce(held.ad_clicks, 0) <> days.ad_clicks
    or coalesce(held.ad_spend, 0) <> days.ad_spend
    or held.first_run_seq <> days.ad_run_seq
    or held.last_run_seq <> days.ad_run_seq
    -- Google's report tells devices and networks apart, the fact does not.
    or (days.platform = 'facebook_ads' and coalesce(held.ad_rows, 0) <> days.ad_rows)
    or (
        days.campaign_rows > 0
        and (
            coalesce(held.impressions, 0) <> days.campaign_impressions
            or coalesce(held.clicks, 0) <> days.campaign_clicks
            or coalesce(held.spend, 0) <> days.campaign_spend
        )
    )
