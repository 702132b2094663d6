with told as (
    select
        *,
        {%- set weights = var('quality_weights') %}
        case severity
            {%- for severity, weight in weights.items() %}
            when '{{ severity }}' then {{ weight }}
            {%- endfor %}
        end as weight,
        max(built_at) over (partition by subject, dimension) as newest_built_at
    from {{ test_results() }}
    where status != 'skipped'
)

select
    subject,
    subject_kind,
    dimension,
    built_at,
    built_at = newest_built_at as is_newest,
    count(*) as tests,
    sum(case when status = 'pass' then 1 else 0 end) as passed_tests,
    sum(case when status = 'warn' then 1 else 0 end) as warned_tests,
    sum(case when status in ('pass', 'warn') then 0 else 1 end) as failed_tests,
    cast(
        100.0 * sum(case when status = 'pass' then weight else 0 end) / sum(weight) as numeric(5, 2)
    ) as score
from told
group by subject, subject_kind, dimension, build_id, built_at, newest_built_at
