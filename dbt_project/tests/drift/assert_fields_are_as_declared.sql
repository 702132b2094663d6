-- Every raw field is one that the sources declare, still delivered and of its declared shape; new ones, vanished ones
-- and those of another shape are named.
{{ blocks_nothing() }}
{{ config(severity='warn') }}
select
    'facebook_ads' as platform,
    drifted.*
from ({{ drifted_fields('facebook_ads') }}) as drifted
union all
select
    'google_ads' as platform,
    drifted.*
from ({{ drifted_fields('google_ads') }}) as drifted
