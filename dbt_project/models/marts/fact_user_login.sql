{{
    config(
        indexes=[{'columns': ['create_date']}, {'columns': ['user_key']}],
        dist='user_key',
        sort=['create_date', 'user_key'],
        post_hook='analyze {{ this }}',
    )
}}
with logins as (
    select * from {{ ref('stg_sqs__logins') }}
)

select
    logins.message_id,
    logins.sent_at as logged_in_at,
    {{ local_date('logins.sent_at', "'UTC'") }} as create_date,
    coalesce(identities.user_key, {{ unknown_key() }}) as user_key,
    {{ device_key('logins.device_pseudonym') }} as device_key,
    logins.user_pseudonym,
    logins.ip_pseudonym,
    logins.device_pseudonym,
    logins.device_type,
    logins.locale,
    logins.app_version,
    {{ version_part('logins.app_version', 1) }} as app_version_major,
    {{ version_part('logins.app_version', 2) }} as app_version_minor,
    {{ version_part('logins.app_version', 3) }} as app_version_patch,
    logins.deliveries,
    logins.is_duplicate,
    logins.run_seq,
    logins.read_at
from logins
left join {{ ref('int_identities__resolved') }} as identities
    on logins.user_pseudonym = identities.identity_pseudonym
