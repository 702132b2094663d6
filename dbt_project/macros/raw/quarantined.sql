{#- What of a source's messages could not be taken, one row each, without what is in them. `account` is what the source
    calls its accounts. There is no quarantine before something was put there. What went by its age has lost its key:
    each row is one. -#}
{% macro quarantined(source_name, account) -%}
{%- set quarantine = source('raw_' ~ source_name, 'quarantine') -%}
{%- set resolved = source('raw_' ~ source_name, 'quarantine_resolved') -%}
{%- set commits = source('ops', 'commits') -%}
with source as (
    {%- if landed_columns(quarantine, ['reason']) %}
    select
        quarantine.resource,
        quarantine._account as {{ account }},
        quarantine.source_key as message_id,
        min(quarantine.reason) as reason,
        count(quarantine.raw_bytes) = 0 as is_erased,
        min(quarantine._run_seq) as run_seq,
        min({{ to_instant('quarantine.detected_at') }}) as detected_at
    from {{ quarantine }} as quarantine
    where quarantine._run_seq in (select commits.run_seq from {{ commits }} as commits)
    group by
        quarantine.resource,
        quarantine._account,
        quarantine.source_key,
        case when quarantine.source_key is null then quarantine._row_no end,
        case when quarantine.source_key is null then quarantine._run_seq end
    {%- else %}
    select
        cast(null as {{ type_text() }}) as resource,
        cast(null as {{ type_text() }}) as {{ account }},
        cast(null as {{ type_text() }}) as message_id,
        cast(null as {{ type_text() }}) as reason,
        cast(null as boolean) as is_erased,
        cast(null as bigint) as run_seq,
        cast(null as timestamptz) as detected_at
    where false
    {%- endif %}
),

resolved as (
    {%- if landed_columns(resolved, ['resource']) %}
    select
        resolved.resource,
        resolved.source_key,
        min(resolved.resolved_at) as resolved_at
    from {{ resolved }} as resolved
    group by resolved.resource, resolved.source_key
    {%- else %}
    select
        cast(null as {{ type_text() }}) as resource,
        cast(null as {{ type_text() }}) as source_key,
        cast(null as timestamptz) as resolved_at
    where false
    {%- endif %}
)

select
    source.resource,
    source.{{ account }},
    source.message_id,
    source.reason,
    source.is_erased,
    source.run_seq,
    source.detected_at,
    resolved.resolved_at
from source
left join resolved
    on
        source.resource = resolved.resource
        and source.message_id = resolved.source_key
{%- endmacro %}
