{#- Events as the job of Spark has landed them, in the columns that exploded() gives, behind those of a run. Every row
    of that table counts: it is written in the transaction that commits its run. -#}
{% macro flattened_by_spark(kept, told_by_context, told_by_event, newest) -%}
    {%- set spelled = {
        'account_id': 'flat._account',
        'run_seq': 'flat._run_seq',
        'read_at': 'commits.committed_at',
        'row_no': 'flat._row_no',
        'received_at': from_epoch('flat."timestamp"'),
        'items': json_spelled('flat.items'),
    } -%}
    select
        {%- for name in kept + (told_by_context | list) + (told_by_event | list) %}
        {{ spelled.get(name, 'flat.' ~ name) }} as {{ name }},
        {%- endfor %}
        cast(flat.element_no as bigint) as element_no,
        cast(flat.item_count as bigint) as told_count,
        cast(flat.item_quantity as bigint) as told_quantity,
        flat.event_id as known_id
    from {{ source('raw_kafka_spark', 'site_events_flat') }} as flat
    inner join {{ source('ops', 'commits') }} as commits
        on flat._run_seq = commits.run_seq
    where flat._run_seq > {{ newest }}
{%- endmacro %}
