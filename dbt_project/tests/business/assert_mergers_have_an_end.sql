-- Following who was merged into whom ends at a user who was merged into nobody: no rings, and no longer chains than are
-- followed.
{{ blocks_nothing() }}
select
    identities.identity_pseudonym,
    identities.person,
    users.merged_into_user_pseudonym
from {{ ref('int_identities__resolved') }} as identities
inner join {{ ref('stg_rds__users') }} as users
    on identities.person = users.user_pseudonym
where users.merged_into_user_pseudonym is not null
