-- No account falls silent: days that were never read, or not again when their platform was, are named, and so are
-- accounts that are gone.
{{ blocks_nothing() }}
{{ config(severity='warn', meta={'dimension': 'timeliness', 'severity': 'major'}) }}
select
    platform,
    account_id,
    date_day,
    state,
    account_state,
    last_read_at,
    reports_read,
    reports_expected
from {{ ref('rpt_coverage') }}
where
    state in ('missing', 'partial', 'stale')
    or account_state = 'lost'
order by date_day desc
