{#- Versions of a source's sets that hold more or fewer rows than their receipt counted. -#}
{% macro sets_without_their_rows(source_name) -%}
select
    sets.platform,
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
{%- endmacro %}
