-- Every set that counts holds exactly the rows its receipt counted: the newest of CleverTap's; of the database and the
-- queue, which are appended, all.
{{ blocks_nothing() }}
{%- for source_name in ['clevertap', 'rds', 'sqs'] %}
select
    sets.platform as source_name,
    sets.resource,
    sets.account_id,
    sets.date_day,
    sets.data_run_seq,
    sets.read_rows,
    coalesce(twin_sets.distinct_rows, sets.landed_rows) as landed_rows
from {{ ref('stg_' ~ source_name ~ '__sets') }} as sets
left join {{ ref('stg_' ~ source_name ~ '__twin_sets') }} as twin_sets
    on
        sets.resource = twin_sets.resource
        and sets.account_id = twin_sets.account_id
        and sets.version_no = twin_sets.version_no
        and coalesce(sets.date_day, cast('1900-01-01' as date))
        = coalesce(twin_sets.date_day, cast('1900-01-01' as date))
where
    sets.read_rows <> coalesce(twin_sets.distinct_rows, sets.landed_rows)
    {%- if source_name == 'clevertap' %}
    and sets.is_current
    {%- endif %}
{{ 'union all' if not loop.last }}
{%- endfor %}
