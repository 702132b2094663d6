-- Every day that was over when it was read agrees with the platform's own account total, to the cent.
{{ blocks_nothing() }}
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
