-- Every amount is converted to the reporting currency: a currency without a rate is named, with the first day that
-- lacks one and how many rows wait for it.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
with unconverted as (
    select
        'fact_ad_performance' as fact_name,
        account_key,
        date_day,
        currency_code
    from {{ ref('fact_ad_performance') }}
    where
        spend_reporting is null
        and {{ in_unverified_days('date_day', 'fact_ad_performance') }}
    union all
    select
        'fact_ad_conversion' as fact_name,
        account_key,
        date_day,
        currency_code
    from {{ ref('fact_ad_conversion') }}
    where
        conversion_value is not null
        and conversion_value_reporting is null
        and {{ in_unverified_days('date_day', 'fact_ad_conversion') }}
),

quoted as (
    select
        currency_code,
        min(date_day) as first_rate_day,
        max(date_day) as last_rate_day
    from {{ ref('int_exchange_rates__daily') }}
    group by currency_code
)

select
    unconverted.fact_name,
    unconverted.currency_code,
    '{{ var("reporting_currency") }}' as reporting_currency_code,
    min(unconverted.date_day) as first_day,
    max(unconverted.date_day) as last_day,
    count(*) as row_count,
    case
        when unconverted.currency_code <> accounts.currency_code
            then 'the account is in ' || accounts.currency_code || ', see assert_account_days_have_one_currency'
        when quoted.currency_code is null
            then 'no rate of it has landed: declare the feed exchange_rates, see docs/runbooks/exchange-rates.md'
        else
            'the feed exchange_rates has rates of it from '
            || cast(quoted.first_rate_day as {{ type_text() }}) || ' to '
            || cast(quoted.last_rate_day as {{ type_text() }}) || ': see docs/runbooks/exchange-rates.md'
    end as advice
from unconverted
inner join {{ ref('dim_account') }} as accounts
    on unconverted.account_key = accounts.account_key
left join quoted
    on unconverted.currency_code = quoted.currency_code
-- assert_every_account_has_a_currency names the others.
where accounts.currency_code <> 'XXX'
group by 1, 2, 3, 7
