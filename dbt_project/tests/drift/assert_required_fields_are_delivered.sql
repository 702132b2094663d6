-- No field without which the star would be wrong has vanished or changed its shape.
{{ blocks_nothing() }}
select
    'facebook_ads' as platform,
    drifted.*
from ({{ drifted_fields('facebook_ads', required=true) }}) as drifted
union all
select
    'google_ads' as platform,
    drifted.*
from ({{ drifted_fields('google_ads', required=true) }}) as drifted
