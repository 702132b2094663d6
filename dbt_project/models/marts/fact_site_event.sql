{{
    config(
        materialized='incremental',
        incremental_strategy='delete+insert',
        unique_key='device_key',
        on_schema_change='fail',
        indexes=[{'columns': ['device_key']}, {'columns': ['event_at']}, {'columns': ['session_key']}],
        dist='device_key',
        sort=['date_day', 'device_key'],
        post_hook='analyze {{ this }}',
    )
}}
-- Rebuilt by device: a late event may join two of its visits to one, or begin one earlier. A device is rebuilt when
-- something of it has landed, and when its user or its campaign is known by another key than before.
with users as (
    select
        identity_pseudonym,
        user_key
    from {{ ref('int_identities__resolved') }}
),

campaigns as (
    select
        platform,
        account_id,
        campaign_id,
        campaign_key,
        valid_from_at,
        valid_to_at
    from {{ ref('dim_campaign') }}
    where campaign_id is not null
),

{%- if is_incremental() %}

changed as (
    select staged.device_pseudonym
    from {{ ref('stg_kafka__site_events') }} as staged
    where staged.run_seq > (select coalesce(max(built.run_seq), 0) from {{ this }} as built)
    union
    select built.device_pseudonym
    from {{ this }} as built
    left join users
        on built.user_pseudonym = users.identity_pseudonym
    where built.user_key <> coalesce(users.user_key, {{ unknown_key() }})
    union
    select built.device_pseudonym
    from {{ this }} as built
    inner join campaigns
        on
            built.platform = campaigns.platform
            and built.campaign_id = campaigns.campaign_id
            and coalesce(built.account_id, campaigns.account_id) = campaigns.account_id
            and built.event_at >= campaigns.valid_from_at
            and built.event_at < campaigns.valid_to_at
    where built.campaign_key <> campaigns.campaign_key
),

chosen as (
    select staged.*
    from {{ ref('stg_kafka__site_events') }} as staged
    inner join changed
        on staged.device_pseudonym = changed.device_pseudonym
    union all
    -- Those without a device have one key together, and are few if any.
    select staged.*
    from {{ ref('stg_kafka__site_events') }} as staged
    where staged.device_pseudonym is null
),
{%- endif %}

events as (
    select
        *,
        {{ device_key('device_pseudonym') }} as device_key,
        -- What the pixel tells takes place on other pages, outside of any visit.
        event_name not in ('impression', 'click') as is_on_site,
        {{ url_parameter('page_url', 'campaignid') }} as url_campaign_id
    from {{ 'chosen' if is_incremental() else ref('stg_kafka__site_events') }}
),

hinted as (
    select
        *,
        {{ touch_platform() }} as hinted_platform
    from events
),

compared as (
    select
        *,
        case
            when
                lag(event_at) over (partition by device_key, is_on_site order by event_at, event_id)
                >= event_at - interval '{{ var("session_minutes") }} minutes'
                then 0
            else 1
        end as is_start
    from hinted
),

numbered as (
    select
        *,
        sum(is_start) over (
            partition by device_key, is_on_site
            order by event_at, event_id
            rows unbounded preceding
        ) as session_no
    from compared
),

named as (
    select
        *,
        first_value(event_id) over (
            partition by device_key, is_on_site, session_no
            order by event_at, event_id
            rows between unbounded preceding and unbounded following
        ) as first_event_id
    from numbered
),

-- Where a visit came from: what the first of its events says that says anything.
touches as (
    select
        device_key,
        session_no,
        click_id,
        hinted_platform as platform,
        {{ touch_channel('hinted_platform', 'utm_medium') }} as channel,
        case
            when hinted_platform is not null then coalesce(url_campaign_id, utm_campaign)
        end as told_campaign_id,
        row_number() over (partition by device_key, session_no order by event_at, event_id) as touch_no
    from named
    where
        is_on_site
        and coalesce(hinted_platform, click_id, utm_source, utm_medium, utm_campaign) is not null
),

-- The pixel knows of which campaign the click was that an address only names.
clicks as (
    select
        device_key,
        click_id,
        platform,
        ad_account_id,
        campaign_id,
        ad_group_id,
        ad_id,
        row_number() over (partition by device_key, click_id order by event_at, event_id) as click_no
    from named
    where
        event_name = 'click'
        and click_id is not null
),

sessions as (
    select
        touches.device_key,
        touches.session_no,
        coalesce(clicks.platform, touches.channel) as channel,
        coalesce(clicks.platform, touches.platform) as platform,
        clicks.ad_account_id,
        -- An address may carry a campaign's name in place of its id.
        coalesce(
            clicks.campaign_id, case when touches.told_campaign_id ~ '^[0-9]+$' then touches.told_campaign_id end
        ) as campaign_id,
        clicks.ad_group_id,
        clicks.ad_id
    from touches
    left join clicks
        on
            touches.device_key = clicks.device_key
            and touches.click_id = clicks.click_id
            and clicks.click_no = 1
    where touches.touch_no = 1
),

-- The account of a campaign that an address names by its id; an id that two accounts have is no evidence.
single_ids as (
    select
        platform,
        campaign_id,
        min(account_id) as account_id
    from campaigns
    group by platform, campaign_id
    having count(distinct account_id) = 1
),

attributed as (
    select
        named.*,
        case
            when named.is_on_site then coalesce(sessions.channel, 'unattributed')
            else coalesce(named.platform, 'other')
        end as channel,
        case when named.is_on_site then sessions.platform else named.platform end as of_platform,
        case when named.is_on_site then sessions.ad_account_id else named.ad_account_id end as told_account_id,
        case when named.is_on_site then sessions.campaign_id else named.campaign_id end as of_campaign_id,
        case when named.is_on_site then sessions.ad_group_id else named.ad_group_id end as of_ad_group_id,
        case when named.is_on_site then sessions.ad_id else named.ad_id end as of_ad_id
    from named
    left join sessions
        on
            named.is_on_site
            and named.device_key = sessions.device_key
            and named.session_no = sessions.session_no
),

accounted as (
    select
        attributed.*,
        coalesce(attributed.told_account_id, single_ids.account_id) as account_id
    from attributed
    left join single_ids
        on
            attributed.of_platform = single_ids.platform
            and attributed.of_campaign_id = single_ids.campaign_id
)

select
    {{ surrogate_key(['accounted.event_id']) }} as event_key,
    accounted.event_at,
    {{ local_date('accounted.event_at', "'UTC'") }} as date_day,
    accounted.device_key,
    coalesce(users.user_key, {{ unknown_key() }}) as user_key,
    case
        when accounted.is_on_site then {{ surrogate_key(['accounted.first_event_id']) }}
        else {{ unknown_key() }}
    end as session_key,
    coalesce(campaigns.campaign_key, {{ unknown_key() }}) as campaign_key,
    accounted.event_id,
    accounted.event_name,
    cast(accounted.channel as {{ type_text() }}) as channel,
    cast(accounted.of_platform as {{ type_text() }}) as platform,
    accounted.account_id,
    accounted.of_campaign_id as campaign_id,
    accounted.of_ad_group_id as ad_group_id,
    accounted.of_ad_id as ad_id,
    accounted.device_pseudonym,
    accounted.user_pseudonym,
    accounted.device_platform,
    accounted.app_version,
    accounted.locale,
    accounted.order_id,
    accounted.item_count,
    accounted.item_quantity,
    accounted.sent_at,
    accounted.received_at,
    accounted.run_seq,
    accounted.read_at
from accounted
left join users
    on accounted.user_pseudonym = users.identity_pseudonym
left join campaigns
    on
        accounted.of_platform = campaigns.platform
        and accounted.account_id = campaigns.account_id
        and accounted.of_campaign_id = campaigns.campaign_id
        and accounted.event_at >= campaigns.valid_from_at
        and accounted.event_at < campaigns.valid_to_at
