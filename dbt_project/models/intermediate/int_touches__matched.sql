{{
    config(
        materialized='table',
        indexes=[{'columns': ['user_key', 'touched_at']}],
        post_hook='analyze {{ this }}',
    )
}}
-- Every visit that says where it came from, with the ad or campaign it is due to, by the first rule that finds one the
-- star knows.
with visits as (
    select
        event_key,
        user_key,
        event_at as touched_at,
        date_day,
        coalesce(gclid, {{ url_parameter('landing_url', 'gclid') }}) as gclid,
        coalesce(fbclid, {{ url_parameter('landing_url', 'fbclid') }}) as fbclid,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        {{ url_parameter('landing_url', 'campaignid') }} as url_campaign_id,
        {{ url_parameter('landing_url', 'adgroupid') }} as url_ad_group_id,
        {{ url_parameter('landing_url', 'adid') }} as url_ad_id,
        run_seq,
        read_at
    from {{ ref('int_events__identified') }}
    where event_name = 'UTM Visited'
),

-- On whose account it was, as far as the visit itself tells.
hinted as (
    select
        *,
        {{ touch_platform() }} as platform
    from visits
),

campaigns as (
    select
        platform,
        account_id,
        campaign_id
    from {{ ref('dim_campaign') }}
    where campaign_id is not null
    group by platform, account_id, campaign_id
),

-- An id that two accounts have, or a name that two campaigns have, is no evidence.
single_ids as (
    select
        platform,
        campaign_id,
        min(account_id) as account_id
    from campaigns
    group by platform, campaign_id
    having count(*) = 1
),

single_names as (
    select
        visits.event_key,
        min(versions.account_id) as account_id,
        min(versions.campaign_id) as campaign_id
    from hinted as visits
    inner join {{ ref('int_campaigns__versioned') }} as versions
        on
            visits.platform = versions.platform
            and lower(visits.utm_campaign) = lower(versions.campaign_name)
            and visits.date_day >= versions.applies_from_date
            and visits.date_day < versions.applies_before_date
    group by visits.event_key
    having count(*) = 1
),

single_clicks as (
    select
        *,
        row_number() over (partition by gclid order by date_day, account_id, campaign_id, ad_id) as listing_no
    from {{ ref('stg_google_ads__clicks') }}
),

candidates as (
    select
        visits.event_key,
        1 as rule_no,
        'click_id' as touch_rule,
        'google_ads' as platform,
        clicks.account_id,
        clicks.campaign_id,
        clicks.ad_group_id,
        clicks.ad_id
    from hinted as visits
    inner join single_clicks as clicks
        on
            visits.gclid = clicks.gclid
            and clicks.listing_no = 1
    inner join campaigns
        on
            campaigns.platform = 'google_ads'
            and clicks.account_id = campaigns.account_id
            and clicks.campaign_id = campaigns.campaign_id
    union all
    select
        visits.event_key,
        2 as rule_no,
        'url_ids' as touch_rule,
        single_ids.platform,
        single_ids.account_id,
        single_ids.campaign_id,
        visits.url_ad_group_id as ad_group_id,
        visits.url_ad_id as ad_id
    from hinted as visits
    inner join single_ids
        on
            visits.platform = single_ids.platform
            and visits.url_campaign_id = single_ids.campaign_id
    union all
    select
        visits.event_key,
        3 as rule_no,
        'utm_ids' as touch_rule,
        single_ids.platform,
        single_ids.account_id,
        single_ids.campaign_id,
        cast(null as {{ type_text() }}) as ad_group_id,
        visits.utm_content as ad_id
    from hinted as visits
    inner join single_ids
        on
            visits.platform = single_ids.platform
            and visits.utm_campaign = single_ids.campaign_id
    union all
    select
        visits.event_key,
        4 as rule_no,
        'utm_name' as touch_rule,
        visits.platform,
        single_names.account_id,
        single_names.campaign_id,
        cast(null as {{ type_text() }}) as ad_group_id,
        cast(null as {{ type_text() }}) as ad_id
    from hinted as visits
    inner join single_names
        on visits.event_key = single_names.event_key
),

chosen as (
    select
        *,
        row_number() over (partition by event_key order by rule_no) as choice
    from candidates
),

-- Google's ads are told apart by their ad group only: without one, an id that two of the campaign's have is none.
ads as (
    select
        platform,
        account_id,
        campaign_id,
        ad_group_id,
        ad_id,
        ad_key,
        count(*) over (partition by platform, account_id, campaign_id, ad_id) as groups
    from {{ ref('dim_ad') }}
    where ad_id is not null
),

resolved as (
    select
        visits.*,
        coalesce(chosen.touch_rule, 'none') as touch_rule,
        chosen.platform as matched_platform,
        chosen.account_id,
        chosen.campaign_id,
        coalesce(ads.ad_group_id, chosen.ad_group_id) as ad_group_id,
        ads.ad_id,
        ads.ad_key
    from hinted as visits
    left join chosen
        on
            visits.event_key = chosen.event_key
            and chosen.choice = 1
    left join ads
        on
            chosen.platform = ads.platform
            and chosen.account_id = ads.account_id
            and chosen.campaign_id = ads.campaign_id
            and chosen.ad_id = ads.ad_id
            and (chosen.ad_group_id = ads.ad_group_id or (chosen.ad_group_id is null and ads.groups = 1))
)

select
    resolved.event_key as touch_key,
    resolved.touched_at,
    resolved.date_day,
    resolved.user_key,
    cast({{ touch_channel('resolved.platform', 'resolved.utm_medium') }} as {{ type_text() }}) as channel,
    cast(resolved.touch_rule as {{ type_text() }}) as touch_rule,
    cast(resolved.matched_platform as {{ type_text() }}) as platform,
    resolved.account_id,
    resolved.campaign_id,
    resolved.ad_group_id,
    resolved.ad_id,
    {{ entity_key(['resolved.matched_platform'], 'resolved.account_id') }} as account_key,
    {{ campaign_key('resolved', 'versions', 'resolved.matched_platform') }} as campaign_key,
    coalesce(ad_groups.ad_group_key, {{ unknown_key() }}) as ad_group_key,
    coalesce(resolved.ad_key, {{ unknown_key() }}) as ad_key,
    resolved.utm_source,
    resolved.utm_medium,
    resolved.utm_campaign,
    resolved.utm_content,
    resolved.run_seq,
    resolved.read_at
from resolved
left join {{ ref('int_campaigns__versioned') }} as versions
    on
        resolved.matched_platform = versions.platform
        and versions.version_no > 1
        and resolved.account_id = versions.account_id
        and resolved.campaign_id = versions.campaign_id
        and resolved.date_day >= versions.applies_from_date
        and resolved.date_day < versions.applies_before_date
left join {{ ref('dim_ad_group') }} as ad_groups
    on
        resolved.matched_platform = ad_groups.platform
        and resolved.account_id = ad_groups.account_id
        and resolved.ad_group_id = ad_groups.ad_group_id
