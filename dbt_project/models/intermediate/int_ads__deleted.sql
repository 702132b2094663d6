{{
    config(
        materialized='table',
        indexes=[{'columns': ['account_id', 'campaign_id']}],
        post_hook='analyze {{ this }}',
    )
}}
-- Only Meta's: Google's reports keep the rows of removed ads.
with listed as (
    select
        account_id,
        campaign_id,
        ad_id,
        status = 'DELETED' as is_deleted_itself,
        status = 'DELETED' or effective_status = 'DELETED' as is_deleted,
        created_at,
        updated_at,
        read_at,
        replaced_at,
        row_number() over (partition by account_id, ad_id order by version_no desc) as recency
    from {{ ref('stg_facebook_ads__ads') }}
    where ad_id is not null
),

ads as (
    select
        account_id,
        ad_id,
        max(case when recency = 1 then campaign_id end) as campaign_id,
        min(created_at) as created_at,
        min(
            case
                when is_deleted_itself and updated_at is not null then updated_at
                when is_deleted then read_at
                when recency = 1 and replaced_at < {{ end_of_time() }} then replaced_at
            end
        ) as deleted_at
    from listed
    group by account_id, ad_id
)

select
    cast('facebook_ads' as {{ type_text() }}) as platform,
    ads.account_id,
    ads.campaign_id,
    ads.ad_id,
    ads.deleted_at,
    coalesce(
        {{ local_date('ads.created_at', 'accounts.settling_time_zone') }},
        cast('1900-01-01' as date)
    ) as first_day,
    -- Meta: a deleted ad gathers figures for up to 28 days after its last delivery.
    {{ local_date('ads.deleted_at', 'accounts.settling_time_zone') }} + 28 as last_day
from ads
inner join {{ ref('int_accounts__resolved') }} as accounts
    on
        accounts.platform = 'facebook_ads'
        and ads.account_id = accounts.account_id
where ads.deleted_at is not null
