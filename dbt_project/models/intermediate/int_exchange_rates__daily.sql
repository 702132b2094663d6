{%- set reporting = "cast('" ~ var('reporting_currency') ~ "' as " ~ type_text() ~ ")" -%}
{{
    config(
        materialized='table',
        indexes=[{'columns': ['date_day', 'currency_code'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
-- What one unit of a base is worth, in every currency that is quoted against it; in itself it is one.
with quotes as (
    select
        date_day,
        base_currency_code,
        quoted_currency_code,
        rate
    from {{ ref('stg_http_json__exchange_rates') }}
    where rate > 0
    union all
    select distinct
        date_day,
        base_currency_code,
        base_currency_code as quoted_currency_code,
        cast(1 as {{ type_rate() }}) as rate
    from {{ ref('stg_http_json__exchange_rates') }}
    where rate > 0
),

-- So one unit of any currency is worth the base's rate to the reporting currency divided by the base's rate to it: the
-- rate itself where the currency is the base, its inverse where the reporting currency is, else the cross rate.
derived as (
    select
        priced.date_day,
        priced.quoted_currency_code as currency_code,
        case
            when priced.quoted_currency_code = priced.base_currency_code then 'direct'
            when reported.quoted_currency_code = priced.base_currency_code then 'inverse'
            else 'cross'
        end as derivation,
        priced.base_currency_code,
        {{ quotient('reported.rate', 'priced.rate') }} as rate
    from quotes as priced
    inner join quotes as reported
        on
            priced.date_day = reported.date_day
            and priced.base_currency_code = reported.base_currency_code
    where
        reported.quoted_currency_code = {{ reporting }}
        and priced.quoted_currency_code <> {{ reporting }}
),

-- Where a feed has several bases: what was derived least.
numbered as (
    select
        *,
        row_number() over (
            partition by currency_code, date_day
            order by
                case derivation when 'direct' then 1 when 'inverse' then 2 else 3 end,
                base_currency_code,
                rate
        ) as choice
    from derived
),

told as (
    select
        *,
        lead(date_day) over (partition by currency_code order by date_day) as next_told_day
    from numbered
    where choice = 1
),

ages as (
    {%- for age in range(var('exchange_rate_days') + 1) %}
    select {{ age }} as age
    {{ 'union all' if not loop.last }}
    {%- endfor %}
)

select
    told.date_day + ages.age as date_day,
    told.currency_code,
    {{ reporting }} as reporting_currency_code,
    told.rate,
    cast(told.derivation as {{ type_text() }}) as derivation,
    told.date_day as rate_date,
    ages.age > 0 as is_carried_forward
from told
inner join ages
    on told.next_told_day is null or told.date_day + ages.age < told.next_told_day
union all
select
    date_day,
    {{ reporting }} as currency_code,
    {{ reporting }} as reporting_currency_code,
    cast(1 as {{ type_rate() }}) as rate,
    cast('identity' as {{ type_text() }}) as derivation,
    date_day as rate_date,
    false as is_carried_forward
from {{ ref('dim_date') }}
