{{
    config(
        materialized='table',
        indexes=[{'columns': ['partition_key'], 'unique': true}],
        post_hook='analyze {{ this }}',
    )
}}
with sets as (
    select * from {{ ref('stg_facebook_ads__sets') }}
    where is_current and date_day is not null
    union all
    select * from {{ ref('stg_google_ads__sets') }}
    -- Clicks are told for 90 days only, and are no figures.
    where is_current and date_day is not null and resource <> 'click_view'
),

reports as (
    select
        *,
        case
            when resource in ('insights_ad', 'ad_group_ad_day') then 'ad'
            when resource in ('insights_campaign', 'campaign_day') then 'campaign'
            when resource in ('insights_account', 'customer_day') then 'account'
            when resource = 'campaign_conversion_day' then 'conversion'
            when resource = 'keyword_view_day' then 'keyword'
            when resource = 'search_term_view_day' then 'search_term'
        end as report
    from sets
),

account_days as (
    select
        platform,
        account_id,
        date_day,
        partition_key,
        {%- for report in ['ad', 'campaign', 'account', 'conversion', 'keyword', 'search_term'] %}
        max(case when report = '{{ report }}' then run_seq end) as {{ report }}_run_seq,
        {%- endfor %}
        {%- for report in ['ad', 'campaign', 'account'] %}
        max(case when report = '{{ report }}' then read_rows end) as {{ report }}_rows,
        max(case when report = '{{ report }}' then total_impressions end) as {{ report }}_impressions,
        max(case when report = '{{ report }}' then total_clicks end) as {{ report }}_clicks,
        max(case when report = '{{ report }}' then total_spend end) as {{ report }}_spend,
        {%- endfor %}
        max(case when report = 'campaign' then read_at end) as campaign_read_at,
        max(last_run_seq) as last_run_seq,
        max(last_read_at) as last_read_at,
        min(case when report in ('ad', 'campaign', 'account') then last_read_at end) as completely_read_at
    from reports
    group by platform, account_id, date_day, partition_key
),

-- Versions of campaigns that began on a day concern that day's facts and all later ones.
beginnings as (
    select
        platform,
        account_id,
        applies_from_date as date_day,
        cast(null as bigint) as partition_key,
        count(*) as begun
    from {{ ref('int_campaigns__versioned') }}
    where version_no > 1
    group by platform, account_id, applies_from_date
    union all
    select
        platform,
        account_id,
        date_day,
        partition_key,
        0 as begun
    from account_days
),

begun as (
    select
        partition_key,
        sum(begun) over (
            partition by platform, account_id
            order by date_day, begun desc
            rows unbounded preceding
        ) as versions_begun
    from beginnings
),

missing_ads as (
    select
        partition_key,
        count(*) as campaigns,
        min(campaign_id) as first_campaign_id,
        max(campaign_id) as last_campaign_id
    from {{ ref('int_campaign_days__missing_ads') }}
    group by partition_key
),

described as (
    select
        account_days.*,
        accounts.account_key,
        accounts.currency_code,
        rates.rate as exchange_rate,
        coalesce(
            {{ local_date('account_days.completely_read_at', 'accounts.settling_time_zone') }}
            > account_days.date_day,
            false
        ) as is_settled,
        begun.versions_begun,
        coalesce(definitions.conversion_action_id || ' ' || definitions.attribution_window, '-') as counted_conversions,
        coalesce(
            cast(missing_ads.campaigns as {{ type_text() }})
            || ' ' || missing_ads.first_campaign_id || ' ' || missing_ads.last_campaign_id,
            '-'
        ) as missing_ads_state
    from account_days
    inner join {{ ref('int_accounts__resolved') }} as accounts
        on
            account_days.platform = accounts.platform
            and account_days.account_id = accounts.account_id
    left join {{ ref('int_exchange_rates__daily') }} as rates
        on
            account_days.date_day = rates.date_day
            and accounts.currency_code = rates.currency_code
    left join {{ ref('conversion_definitions') }} as definitions
        on account_days.platform = definitions.platform
    inner join begun
        on account_days.partition_key = begun.partition_key
    left join missing_ads
        on account_days.partition_key = missing_ads.partition_key
),

common as (
    select
        *,
        currency_code || case when is_settled then ' settled ' else ' open ' end
        || cast(versions_begun as {{ type_text() }}) as common_state,
        -- A rate that comes later, or is corrected, changes the day as a new report does.
        '{{ var("reporting_currency") }} ' || coalesce(cast(exchange_rate as {{ type_text() }}), '-') as rate_state
    from described
)
{%- set run = "coalesce(cast({}_run_seq as " ~ type_text() ~ "), '-')" %},

states as (
    select
        *,
        common_state || ' ' || rate_state || ' ' || {{ run.format('ad') }} || ' ' || {{ run.format('campaign') }}
            as performance_state,
        common_state || ' ' || {{ run.format('conversion') }}
        || case
            when platform = 'facebook_ads'
                then ' ' || {{ run.format('ad') }} || ' ' || {{ run.format('campaign') }} || ' ' || missing_ads_state
            else ''
        end as conversions_state
    from common
)

select
    partition_key,
    platform,
    account_id,
    account_key,
    date_day,
    currency_code,
    exchange_rate,
    is_settled,
    last_run_seq,
    last_read_at,
    campaign_read_at,
    {%- for report in ['ad', 'campaign', 'account'] %}
    {{ report }}_run_seq,
    {{ report }}_rows,
    {{ report }}_impressions,
    {{ report }}_clicks,
    {{ report }}_spend,
    {%- endfor %}
    md5(common_state || ' ' || {{ run.format('ad') }} || ' ' || {{ run.format('campaign') }})
        as int_remainders__explained_state,
    md5(performance_state) as fact_ad_performance_state,
    md5(conversions_state || ' ' || rate_state) as fact_ad_conversion_state,
    md5(performance_state || ' ' || conversions_state || ' ' || counted_conversions) as fact_campaign_performance_state,
    md5(conversions_state) as int_conversion_actions__daily_state,
    md5(common_state || ' ' || {{ run.format('keyword') }}) as fact_keyword_performance_state,
    md5(common_state || ' ' || {{ run.format('search_term') }}) as fact_search_term_performance_state
from states
