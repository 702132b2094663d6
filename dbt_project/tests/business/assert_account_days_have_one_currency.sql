-- All money of an account is in the account's one currency, so that nothing adds euros to yen.
{{ config(tags=['unverified_only']) }}
{{ blocks_nothing() }}
select
    facts.platform,
    facts.account_id,
    min(facts.date_day) as date_day,
    facts.currency_code,
    accounts.currency_code as account_currency_code
from {{ ref('fact_ad_performance') }} as facts
inner join {{ ref('dim_account') }} as accounts
    on facts.account_key = accounts.account_key
where
    facts.currency_code <> accounts.currency_code
    and accounts.currency_code <> 'XXX'
    and {{ in_unverified_days('facts.date_day', 'fact_ad_performance') }}
group by facts.platform, facts.account_id, facts.currency_code, accounts.currency_code
