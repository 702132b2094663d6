{%- set month_no = "extract(year from {0}) * 12 + extract(month from {0})" -%}
with users as (
    select
        user_key,
        acquisition_channel,
        signed_up_at,
        cast(date_trunc('month', {{ local_date('signed_up_at', "'" ~ var('shop_time_zone') ~ "'") }}) as date)
            as cohort_month
    from {{ ref('dim_user') }}
    where signed_up_at is not null
),

sizes as (
    select
        cohort_month,
        acquisition_channel,
        count(*) as users
    from users
    group by cohort_month, acquisition_channel
),

doings as (
    select
        user_key,
        {{ local_date('event_at', "'" ~ var('shop_time_zone') ~ "'") }} as date_day,
        cast(null as {{ type_text() }}) as order_id,
        cast(0 as {{ type_money() }}) as net_reporting
    from {{ ref('fact_user_event') }}
    union all
    select
        user_key,
        {{ local_date('logged_in_at', "'" ~ var('shop_time_zone') ~ "'") }} as date_day,
        cast(null as {{ type_text() }}) as order_id,
        cast(0 as {{ type_money() }}) as net_reporting
    from {{ ref('fact_user_login') }}
    union all
    select
        user_key,
        sold_date as date_day,
        database_name || ':' || order_id as order_id,
        net_amount_reporting as net_reporting
    from {{ ref('fact_sales') }}
),

-- What was done before the month of the sign-up counts into that one: its months are never negative.
months as (
    select
        users.cohort_month,
        users.acquisition_channel,
        users.user_key,
        doings.order_id,
        doings.net_reporting,
        greatest(
            cast(
                {{ month_no.format('doings.date_day') }} - ({{ month_no.format('users.cohort_month') }}) as integer
            ),
            0
        ) as months_since_sign_up
    from users
    inner join doings
        on users.user_key = doings.user_key
    where doings.date_day is not null
)

select
    months.cohort_month,
    months.acquisition_channel,
    months.months_since_sign_up,
    cast(max(sizes.users) as bigint) as users,
    cast(count(distinct months.user_key) as bigint) as active_users,
    cast(count(distinct case when months.order_id is not null then months.user_key end) as bigint) as buyers,
    cast(count(distinct months.order_id) as bigint) as orders,
    cast(
        case when count(months.net_reporting) = count(*) then sum(months.net_reporting) end as {{ type_money() }}
    ) as net_revenue_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code,
    {{ ratio('count(distinct months.user_key)', 'max(sizes.users)') }} as retention
from months
inner join sizes
    on
        months.cohort_month = sizes.cohort_month
        and months.acquisition_channel = sizes.acquisition_channel
group by months.cohort_month, months.acquisition_channel, months.months_since_sign_up
