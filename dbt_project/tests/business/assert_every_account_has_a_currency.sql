-- Every account that was read has a currency: without one nothing of it is converted. It warns: where the platform's
-- list of accounts does not tell it, no feed of rates helps.
{{ blocks_nothing() }}
{{ config(severity='warn') }}
select
    platform,
    account_id,
    min(date_day) as date_day,
    count(*) as account_days
from {{ ref('int_account_days__read') }}
where currency_code = 'XXX'
group by platform, account_id
