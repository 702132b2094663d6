{{ config(materialized='table', post_hook='analyze {{ this }}') }}
with listed as (
    select
        cast('facebook_ads' as {{ type_text() }}) as platform,
        account_id,
        account_name,
        currency_code,
        time_zone,
        cast(account_status as {{ type_text() }}) as status,
        cast(null as {{ type_text() }}) as manager_account_id,
        false as is_manager,
        run_seq,
        read_at,
        is_current
    from {{ ref('stg_facebook_ads__accounts') }}
    union all
    select
        cast('google_ads' as {{ type_text() }}) as platform,
        account_id,
        account_name,
        currency_code,
        time_zone,
        status,
        manager_account_id,
        coalesce(is_manager, false) as is_manager,
        run_seq,
        read_at,
        is_current
    from {{ ref('stg_google_ads__accounts') }}
),

numbered as (
    select
        *,
        row_number() over (partition by platform, account_id order by run_seq desc) as recency,
        min(run_seq) over (partition by platform, account_id) as first_listed_run_seq,
        min(read_at) over (partition by platform, account_id) as first_listed_at
    from listed
    where account_id is not null
),

newest as (
    select * from numbered
    where recency = 1
),

-- An account whose list was never read, or that is no longer in it, still has days.
having_days as (
    select distinct
        platform,
        account_id
    from {{ ref('stg_facebook_ads__sets') }}
    where date_day is not null
    union
    select distinct
        platform,
        account_id
    from {{ ref('stg_google_ads__sets') }}
    where date_day is not null
),

known as (
    select
        platform,
        account_id
    from newest
    union
    select
        platform,
        account_id
    from having_days
)

select
    {{ entity_key(['known.platform'], 'known.account_id') }} as account_key,
    known.platform,
    known.account_id,
    newest.account_name,
    coalesce(newest.currency_code, 'XXX') as currency_code,
    newest.time_zone,
    {{ known_time_zone('newest.time_zone') }} as settling_time_zone,
    newest.status,
    newest.manager_account_id,
    coalesce(newest.is_manager, false) as is_manager,
    coalesce(newest.is_current, false) as is_listed,
    newest.account_id is null as is_inferred,
    newest.first_listed_run_seq,
    newest.first_listed_at,
    newest.run_seq,
    newest.read_at
from known
left join newest
    on
        known.platform = newest.platform
        and known.account_id = newest.account_id
