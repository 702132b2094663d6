{{ config(materialized='table') }}
-- A table, because two tests read it: each would read the newest run's rows again.
{%- for platform in ['facebook_ads', 'google_ads', 'http_json', 'clevertap', 'rds', 'sqs', 'kafka'] %}
select
    cast('{{ platform }}' as {{ type_text() }}) as platform,
    drifted.resource,
    drifted.field,
    drifted.drift,
    drifted.is_required,
    drifted.account_id,
    drifted.date_day,
    drifted.run_seq,
    drifted.row_count
from ({{ drifted_fields(platform) }}) as drifted
{{ 'union all' if not loop.last }}
{%- endfor %}
