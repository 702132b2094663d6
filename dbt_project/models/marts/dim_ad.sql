{{
    config(
        indexes=[{'columns': ['ad_key'], 'unique': true}],
        dist='all',
        sort='ad_key',
    )
}}
with listed as (
    select
        cast('facebook_ads' as {{ type_text() }}) as platform,
        ads.account_id,
        ads.campaign_id,
        ads.ad_set_id as ad_group_id,
        ads.ad_id,
        {{ entity_key(["'facebook_ads'", 'ads.account_id'], 'ads.ad_id') }} as ad_key,
        ads.ad_name,
        ads.status,
        ads.effective_status,
        cast(null as {{ type_text() }}) as ad_type,
        ads.creative_id,
        cast(null as {{ type_text() }}) as final_urls,
        cast(null as {{ type_text() }}) as landing_url,
        ads.created_at,
        ads.version_no,
        ads.is_current
    from {{ ref('stg_facebook_ads__ads') }} as ads
    union all
    select
        cast('google_ads' as {{ type_text() }}) as platform,
        account_id,
        campaign_id,
        ad_group_id,
        ad_id,
        {{ entity_key(["'google_ads'", 'account_id', 'ad_group_id'], 'ad_id') }} as ad_key,
        ad_name,
        status,
        cast(null as {{ type_text() }}) as effective_status,
        ad_type,
        cast(null as {{ type_text() }}) as creative_id,
        final_urls,
        landing_url,
        cast(null as timestamptz) as created_at,
        version_no,
        is_current
    from {{ ref('stg_google_ads__ads') }}
),

newest as (
    select
        *,
        row_number() over (partition by ad_key order by version_no desc, ad_name) as recency
    from listed
    where ad_id is not null
),

creatives as (
    select
        account_id,
        creative_id,
        max(creative_name) as creative_name,
        max(title) as title,
        max(body) as body,
        max(landing_url) as landing_url,
        max(url_tags) as url_tags
    from {{ ref('stg_facebook_ads__creatives') }}
    where is_current
    group by account_id, creative_id
),

known as (
    select
        newest.ad_key,
        newest.platform,
        newest.account_id,
        newest.campaign_id,
        newest.ad_group_id,
        newest.ad_id,
        newest.ad_name,
        newest.status,
        newest.effective_status,
        newest.ad_type,
        newest.final_urls,
        newest.creative_id,
        newest.created_at,
        newest.is_current,
        coalesce(creatives.landing_url, newest.landing_url) as landing_url,
        -- Meta fills in what stands in braces when somebody clicks; ids are the same for all clicks.
        {{ with_ids('creatives.url_tags', {
            'campaign.id': 'newest.campaign_id', 'adset.id': 'newest.ad_group_id', 'ad.id': 'newest.ad_id'
        }) }} as added_parameters,
        creatives.creative_name,
        creatives.title as creative_title,
        creatives.body as creative_body
    from newest
    left join creatives
        on
            newest.platform = 'facebook_ads'
            and newest.account_id = creatives.account_id
            and newest.creative_id = creatives.creative_id
    where newest.recency = 1
),

inferred as (
    select
        members.ad_key,
        members.platform,
        members.account_id,
        max(members.campaign_id) as campaign_id,
        max(members.ad_group_id) as ad_group_id,
        members.ad_id
    from {{ ref('int_members__referenced') }} as members
    left join known
        on members.ad_key = known.ad_key
    where
        members.ad_id is not null
        and known.ad_key is null
    group by members.ad_key, members.platform, members.account_id, members.ad_id
)

select
    ad_key,
    platform,
    account_id,
    campaign_id,
    ad_group_id,
    ad_id,
    ad_name,
    status,
    effective_status,
    ad_type,
    final_urls,
    landing_url,
    coalesce(
        {{ url_parameter('added_parameters', 'utm_source') }}, {{ url_parameter('landing_url', 'utm_source') }}
    ) as utm_source,
    coalesce(
        {{ url_parameter('added_parameters', 'utm_medium') }}, {{ url_parameter('landing_url', 'utm_medium') }}
    ) as utm_medium,
    coalesce(
        {{ url_parameter('added_parameters', 'utm_campaign') }}, {{ url_parameter('landing_url', 'utm_campaign') }}
    ) as utm_campaign,
    coalesce(
        {{ url_parameter('added_parameters', 'utm_term') }}, {{ url_parameter('landing_url', 'utm_term') }}
    ) as utm_term,
    coalesce(
        {{ url_parameter('added_parameters', 'utm_content') }}, {{ url_parameter('landing_url', 'utm_content') }}
    ) as utm_content,
    creative_id,
    creative_name,
    creative_title,
    creative_body,
    created_at,
    not is_current or status in ('DELETED', 'REMOVED') as is_deleted,
    false as is_inferred
from known
union all
select
    ad_key,
    platform,
    account_id,
    campaign_id,
    ad_group_id,
    ad_id,
    null as ad_name,
    null as status,
    null as effective_status,
    null as ad_type,
    null as final_urls,
    null as landing_url,
    null as utm_source,
    null as utm_medium,
    null as utm_campaign,
    null as utm_term,
    null as utm_content,
    null as creative_id,
    null as creative_name,
    null as creative_title,
    null as creative_body,
    null as created_at,
    false as is_deleted,
    true as is_inferred
from inferred
union all
select
    {{ unknown_key() }} as ad_key,
    'unknown' as platform,
    null as account_id,
    null as campaign_id,
    null as ad_group_id,
    null as ad_id,
    'Unknown ad' as ad_name,
    null as status,
    null as effective_status,
    null as ad_type,
    null as final_urls,
    null as landing_url,
    null as utm_source,
    null as utm_medium,
    null as utm_campaign,
    null as utm_term,
    null as utm_content,
    null as creative_id,
    null as creative_name,
    null as creative_title,
    null as creative_body,
    null as created_at,
    false as is_deleted,
    true as is_inferred
