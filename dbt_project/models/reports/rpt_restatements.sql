with sets as (
    select * from {{ ref('stg_facebook_ads__sets') }}
    where resource in ('insights_ad', 'insights_campaign', 'insights_account')
    union all
    select * from {{ ref('stg_google_ads__sets') }}
    where resource in ('ad_group_ad_day', 'campaign_day', 'customer_day')
),

told as (
    select
        sets.platform,
        case
            when sets.resource in ('insights_ad', 'ad_group_ad_day') then 'ad'
            when sets.resource in ('insights_campaign', 'campaign_day') then 'campaign'
            else 'account'
        end as report,
        sets.account_id,
        sets.date_day,
        accounts.currency_code,
        count(*) as versions,
        max(sets.read_at) as last_changed_at,
        min(case when sets.version_no = 1 then sets.read_at end) as first_told_at,
        {%- for figure in ['impressions', 'clicks', 'spend'] %}
        max(case when sets.version_no = 1 then sets.total_{{ figure }} end) as first_{{ figure }},
        max(case when sets.is_current then sets.total_{{ figure }} end) as current_{{ figure }},
        {%- endfor %}
        -- The first version that was told (or still stood) after the day was over.
        min(
            case
                when
                    {{ local_date('sets.last_read_at', 'accounts.settling_time_zone') }} > sets.date_day
                    then sets.version_no
            end
        ) as first_settled_version
    from sets
    inner join {{ ref('int_accounts__resolved') }} as accounts
        on
            sets.platform = accounts.platform
            and sets.account_id = accounts.account_id
    group by 1, 2, 3, 4, 5
)

select
    told.date_day,
    told.platform,
    told.account_id,
    cast(told.report as {{ type_text() }}) as report,
    told.versions,
    told.first_told_at,
    told.last_changed_at,
    told.last_changed_at - told.first_told_at as changed_after,
    {%- for figure in ['impressions', 'clicks'] %}
    told.first_{{ figure }},
    told.current_{{ figure }},
    told.current_{{ figure }} - told.first_{{ figure }} as {{ figure }}_change,
    {%- endfor %}
    told.first_spend,
    settled.total_spend as first_settled_spend,
    told.current_spend,
    cast(told.current_spend - told.first_spend as {{ type_money() }}) as spend_change,
    cast(told.current_spend - settled.total_spend as {{ type_money() }}) as spend_change_after_settling,
    told.currency_code,
    {{ converted('(told.current_spend - told.first_spend)', 'rates.rate') }} as spend_change_reporting,
    cast('{{ var("reporting_currency") }}' as {{ type_text() }}) as reporting_currency_code
from told
left join {{ ref('int_exchange_rates__daily') }} as rates
    on
        told.date_day = rates.date_day
        and told.currency_code = rates.currency_code
left join sets as settled
    on
        told.platform = settled.platform
        and told.account_id = settled.account_id
        and told.date_day = settled.date_day
        and told.first_settled_version = settled.version_no
        and told.report = case
            when settled.resource in ('insights_ad', 'ad_group_ad_day') then 'ad'
            when settled.resource in ('insights_campaign', 'campaign_day') then 'campaign'
            else 'account'
        end
where told.versions > 1
