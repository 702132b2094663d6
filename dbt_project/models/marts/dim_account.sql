{{
    config(
        indexes=[{'columns': ['account_key'], 'unique': true}],
        dist='all',
        sort='account_key',
    )
}}
select
    account_key,
    platform,
    account_id,
    account_name,
    currency_code,
    time_zone,
    status,
    manager_account_id,
    is_manager,
    is_listed,
    is_inferred
from {{ ref('int_accounts__resolved') }}
union all
select
    {{ unknown_key() }} as account_key,
    'unknown' as platform,
    null as account_id,
    'Unknown account' as account_name,
    'XXX' as currency_code,
    null as time_zone,
    null as status,
    null as manager_account_id,
    false as is_manager,
    false as is_listed,
    true as is_inferred
