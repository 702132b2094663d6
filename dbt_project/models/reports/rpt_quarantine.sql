with aside as (
    select
        'sqs' as platform,
        queue_name as account_id,
        resource,
        reason,
        resolved_at,
        is_erased,
        detected_at,
        run_seq
    from {{ ref('stg_sqs__quarantine') }}
    union all
    select
        'kafka' as platform,
        topic as account_id,
        resource,
        reason,
        resolved_at,
        is_erased,
        detected_at,
        run_seq
    from {{ ref('stg_kafka__quarantine') }}
)

select
    cast(platform as {{ type_text() }}) as platform,
    resource,
    account_id,
    reason,
    count(*) as records,
    sum(case when resolved_at is null and not is_erased then 1 else 0 end) as waiting_records,
    min(detected_at) as first_detected_at,
    max(detected_at) as last_detected_at,
    max(run_seq) as run_seq
from aside
group by platform, resource, account_id, reason
