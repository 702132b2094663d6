-- Reach counts people, who can't be added up: it stands on an ad's day only, never on a remainder, and never above
-- the day's impressions.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
select
    platform,
    account_id,
    date_day,
    row_kind,
    ad_id,
    reach,
    impressions
from {{ ref('fact_ad_performance') }}
where
    (reach > impressions or (row_kind = 'remainder' and reach is not null))
    and {{ in_unverified_days('date_day', 'fact_ad_performance') }}
