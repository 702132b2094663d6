with reported as (
    select
        platform,
        partition_key,
        account_id,
        date_day,
        'ad' as row_kind,
        campaign_id,
        ad_group_id,
        ad_id,
        impressions,
        clicks,
        spend,
        currency_code,
        run_seq,
        read_at as reported_from,
        replaced_at as reported_to
    from {{ ref('int_ad_days__as_reported') }}
    union all
    select
        platform,
        partition_key,
        account_id,
        date_day,
        'remainder' as row_kind,
        campaign_id,
        null as ad_group_id,
        null as ad_id,
        impressions,
        clicks,
        spend,
        currency_code,
        run_seq,
        reported_from,
        reported_to
    from {{ ref('int_remainders__as_reported') }}
)

select
    reported.date_day,
    reported.platform,
    reported.account_id,
    reported.campaign_id,
    reported.ad_group_id,
    reported.ad_id,
    cast(reported.row_kind as {{ type_text() }}) as row_kind,
    reported.impressions,
    reported.clicks,
    reported.spend,
    coalesce(reported.currency_code, accounts.currency_code) as currency_code,
    {{ converted('reported.spend', 'rates.rate') }} as spend_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code,
    reported.run_seq,
    reported.reported_from,
    -- Half-open as an interval; one microsecond less, so that `between` finds one version and not two.
    reported.reported_to - interval '1 microsecond' as reported_to
from reported
inner join {{ ref('int_accounts__resolved') }} as accounts
    on
        reported.platform = accounts.platform
        and reported.account_id = accounts.account_id
left join {{ ref('int_exchange_rates__daily') }} as rates
    on
        reported.date_day = rates.date_day
        and coalesce(reported.currency_code, accounts.currency_code) = rates.currency_code
