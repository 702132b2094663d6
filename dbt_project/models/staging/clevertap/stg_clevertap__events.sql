with source as ({{ landed_rows('clevertap', 'events', [
        'ts',
        'profile__identity__pseudonym',
        'profile__email__pseudonym',
        'profile__phone__pseudonym',
        'profile__object_id__pseudonym',
        'profile__platform',
        'profile__os_version',
        'profile__app_version',
        'profile__os',
        'profile__make',
        'profile__manufacturer',
        'profile__model',
        'event_props',
        'session_props__utm_source',
        'session_props__utm_medium',
        'session_props__utm_campaign',
        'session_props__utm_content',
        'session_props__session_source',
        'session_props__session_referrer',
        'session_props__landing_url',
        'session_props__gclid',
        'session_props__fbclid',
    ]) }}
),

-- The one place where CleverTap's old and new shapes stand side by side: what was renamed, nested or retyped is listed
-- above under both names and coalesced here. Both forms stay: a day read before the change is not read again. The new
-- names stand in the source's YAML only once somebody has looked, so that rpt_field_drift tells of them until then.
shaped as (
    select
        partition_key,
        account_id,
        date_day,
        version_no,
        run_seq,
        read_at,
        row_no,
        ts,
        profile__identity__pseudonym as identity_pseudonym,
        profile__email__pseudonym as email_pseudonym,
        profile__phone__pseudonym as phone_pseudonym,
        profile__object_id__pseudonym as device_pseudonym,
        profile__platform as platform,
        coalesce(profile__os_version, {{ json_text('profile__os', 'version') }}) as os_version,
        profile__app_version as app_version,
        coalesce(profile__make, profile__manufacturer) as make,
        profile__model as model,
        event_props,
        session_props__utm_source as utm_source,
        session_props__utm_medium as utm_medium,
        session_props__utm_campaign as utm_campaign,
        session_props__utm_content as utm_content,
        session_props__session_source as session_source,
        session_props__landing_url as landing_url,
        session_props__gclid as gclid,
        session_props__fbclid as fbclid
    from source
    -- The newest set of an event and day, whole: equal events have no id that tells them apart, and are all kept.
    where is_current
),

renamed as (
    select
        -- set
        partition_key,
        account_id as event_name,
        date_day,
        version_no,
        run_seq,
        read_at,
        row_no,

        -- ids
        identity_pseudonym,
        email_pseudonym,
        phone_pseudonym,
        device_pseudonym,
        gclid,
        fbclid,

        -- text
        platform,
        os_version,
        app_version,
        make,
        model,
        utm_source,
        utm_medium,
        utm_campaign,
        utm_content,
        session_source,
        landing_url,
        event_props,

        -- times
        {{ clevertap_instant('ts') }} as event_at
    from shaped
)

select * from renamed
