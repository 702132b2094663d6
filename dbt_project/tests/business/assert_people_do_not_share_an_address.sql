-- People that only CleverTap knows are one person if they share an e-mail address or telephone: what a longer chain of
-- them leaves apart is named.
{{ config(severity='warn', meta={'severity': 'minor'}) }}
{{ blocks_nothing() }}
{%- for kind in ['email', 'phone'] %}
select
    '{{ kind }}' as contact_kind,
    profiles.{{ kind }}_pseudonym as contact,
    count(distinct identities.user_key) as people
from {{ ref('stg_clevertap__profiles') }} as profiles
inner join {{ ref('int_identities__resolved') }} as identities
    on profiles.identity_pseudonym = identities.identity_pseudonym
where
    identities.match_rule in ('identity', 'shared_contact')
    and profiles.{{ kind }}_pseudonym not in (
        select users.{{ kind }}_pseudonym
        from {{ ref('stg_rds__users') }} as users
        where users.{{ kind }}_pseudonym is not null
    )
group by profiles.{{ kind }}_pseudonym
having count(distinct identities.user_key) > 1
{{ 'union all' if not loop.last }}
{%- endfor %}
