{{ config(materialized='table') }}
-- A table, because three tests read it.
with sets as (
    select * from {{ ref('stg_facebook_ads__sets') }}
    where is_current and date_day is not null
    union all
    select * from {{ ref('stg_google_ads__sets') }}
    -- Clicks are told for 90 days only, and are no figures.
    where is_current and date_day is not null and resource <> 'click_view'
),

platforms as (
    select
        platform,
        count(distinct resource) as reports,
        max(date_day) as last_day,
        min(read_at) as first_read_at,
        max(last_read_at) as last_read_at
    from sets
    group by platform
),

account_days as (
    select
        platform,
        account_id,
        date_day,
        count(distinct resource) as reports,
        min(last_read_at) as last_read_at
    from sets
    group by platform, account_id, date_day
),

account_spans as (
    select
        platform,
        account_id,
        min(date_day) as first_day,
        max(last_read_at) as last_read_at
    from account_days
    group by platform, account_id
),

-- The first reading of an account is in its first versions, current or not.
first_readings as (
    select
        platform,
        account_id,
        min(read_at) as first_read_at
    from (
        select
            platform,
            account_id,
            read_at
        from {{ ref('stg_facebook_ads__sets') }}
        where version_no = 1 and date_day is not null
        union all
        select
            platform,
            account_id,
            read_at
        from {{ ref('stg_google_ads__sets') }}
        where version_no = 1 and date_day is not null and resource <> 'click_view'
    ) as first_versions
    group by platform, account_id
),

platform_starts as (
    select
        platform,
        min(first_read_at) as first_read_at
    from first_readings
    group by platform
),

accounts as (
    select
        accounts.platform,
        accounts.account_id,
        platforms.reports,
        -- West of the others an account's own day may not have begun.
        least(
            platforms.last_day,
            {{ local_date('platforms.last_read_at', 'accounts.settling_time_zone') }}
        ) as last_day,
        platforms.last_read_at as platform_read_at,
        coalesce(
            account_spans.first_day,
            platforms.last_day - {{ reread_days('accounts.platform') }} + 1
        ) as first_day,
        case
            when
                (not accounts.is_listed and not accounts.is_inferred)
                or account_spans.last_read_at
                < platforms.last_read_at - interval '{{ var("stale_after_hours") }} hours'
                then 'lost'
            when
                account_spans.account_id is null
                or (
                    first_readings.first_read_at
                    >= platforms.last_read_at - interval '{{ var("stale_after_hours") }} hours'
                    and first_readings.first_read_at > platform_starts.first_read_at
                    + interval '{{ var("stale_after_hours") }} hours'
                )
                then 'new'
            else 'known'
        end as account_state
    from {{ ref('int_accounts__resolved') }} as accounts
    inner join platforms
        on accounts.platform = platforms.platform
    left join account_spans
        on
            accounts.platform = account_spans.platform
            and accounts.account_id = account_spans.account_id
    left join first_readings
        on
            accounts.platform = first_readings.platform
            and accounts.account_id = first_readings.account_id
    left join platform_starts
        on accounts.platform = platform_starts.platform
    where
        not accounts.is_manager
        -- Google lists customers it no longer answers for.
        and not (account_spans.account_id is null and coalesce(accounts.status in ('CANCELED', 'CLOSED'), false))
)

select
    dates.date_day,
    accounts.platform,
    accounts.account_id,
    cast(accounts.account_state as {{ type_text() }}) as account_state,
    cast(
        case
            when account_days.account_id is null then 'missing'
            when account_days.reports < accounts.reports then 'partial'
            when
                (
                    not days.is_settled
                    or dates.date_day > accounts.last_day - {{ reread_days('accounts.platform') }}
                )
                and account_days.last_read_at
                < accounts.platform_read_at - interval '{{ var("stale_after_hours") }} hours'
                then 'stale'
            when not days.is_settled then 'unsettled'
            else 'fresh'
        end as {{ type_text() }}
    ) as state,
    cast(coalesce(account_days.reports, 0) as integer) as reports_read,
    cast(accounts.reports as integer) as reports_expected,
    account_days.last_read_at,
    accounts.platform_read_at
from accounts
inner join {{ ref('dim_date') }} as dates
    on dates.date_day between accounts.first_day and accounts.last_day
left join account_days
    on
        accounts.platform = account_days.platform
        and accounts.account_id = account_days.account_id
        and dates.date_day = account_days.date_day
left join {{ ref('int_account_days__read') }} as days
    on
        accounts.platform = days.platform
        and accounts.account_id = days.account_id
        and dates.date_day = days.date_day
