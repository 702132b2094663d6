-- No feed says two different rates of one pair of currencies and day.
{{ blocks_nothing() }}
select
    base_currency_code,
    quoted_currency_code,
    date_day,
    min(rate) as lowest_rate,
    max(rate) as highest_rate
from {{ ref('stg_http_json__exchange_rates') }}
group by base_currency_code, quoted_currency_code, date_day
having min(rate) <> max(rate)
