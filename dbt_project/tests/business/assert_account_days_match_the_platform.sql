-- Every day that was over when it was read agrees with the platform's own account total, to the cent.
select
    platform,
    account_id,
    date_day,
    cause,
    spend_difference,
    impressions_difference,
    clicks_difference,
    unexplained_remainders
from {{ ref('rpt_reconciliation') }}
where state = 'mismatch'
