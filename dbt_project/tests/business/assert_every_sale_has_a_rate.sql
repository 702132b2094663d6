-- Every sale is converted to the reporting currency: a currency without a rate is named, with the first and last day
-- that lack one and how many lines wait for it.
{{ blocks_nothing() }}
select
    currency_code,
    reporting_currency_code,
    min(sold_date) as first_day,
    max(sold_date) as last_day,
    count(*) as row_count,
    'the feed exchange_rates has no rate of it for these days: see docs/runbooks/exchange-rates.md' as advice
from {{ ref('fact_sales') }}
where
    exchange_rate is null
    or net_amount_reporting is null
group by currency_code, reporting_currency_code
