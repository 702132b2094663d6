{#- Versions of a source's sets that have more landed rows than their receipt says, with how many of them differ: a killed
    load repeats whole files. -#}
{% macro twin_sets(source_name) -%}
with suspected as (
    select * from {{ ref('stg_' ~ source_name ~ '__sets') }}
    where has_twins
),

counts as ({{ distinct_row_counts(source_name, 'suspected') }}
)

select
    suspected.*,
    coalesce(counts.distinct_rows, 0) as distinct_rows
from suspected
left join counts
    on
        suspected.resource = counts.resource
        and suspected.account_id = counts._account
        and suspected.data_run_seq = counts._run_seq
        and coalesce(suspected.date_day, cast('1900-01-01' as date))
        = coalesce(counts._day, cast('1900-01-01' as date))
{%- endmacro %}
