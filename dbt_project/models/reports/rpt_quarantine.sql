select
    cast('sqs' as {{ type_text() }}) as platform,
    resource,
    queue_name as account_id,
    reason,
    count(*) as records,
    sum(case when resolved_at is null and not is_erased then 1 else 0 end) as waiting_records,
    min(detected_at) as first_detected_at,
    max(detected_at) as last_detected_at,
    max(run_seq) as run_seq
from {{ ref('stg_sqs__quarantine') }}
group by resource, queue_name, reason
