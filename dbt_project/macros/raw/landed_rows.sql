{#- The rows of every committed version of a raw table's sets, with the version they belong to and their number in it.
    `fields` are the raw columns wanted: a list of text ones, or a mapping to their types.

    A row that was loaded twice (a killed load repeats whole files) has the same (_run_seq, _row_no): one of the twins
    is kept. Only sets that hold more rows than their receipt says are searched for that, so that the others are read
    in parallel and a filter on the set reaches raw's index. -#}
{% macro landed_rows(source_name, table_name, fields, by_day=true) -%}
    {%- set raw = source('raw_' ~ source_name, table_name) -%}
    {%- set sets = ref('stg_' ~ source_name ~ '__sets') -%}
    {%- set twin_sets = ref('stg_' ~ source_name ~ '__twin_sets') -%}
    {%- set present = landed_columns(raw, assumed=fields) -%}
    {%- set documents = landed_documents(raw) -%}
    {%- set of_set = [
        'partition_key', 'account_id', 'date_day', 'version_no', 'run_seq', 'read_at', 'replaced_at', 'is_current'
    ] -%}
    {%- if not present %}
    select
        sets.{{ of_set | join(',\n        sets.') }},
        cast(null as bigint) as row_no,
        {{- landed_fields(fields, [], '') }}
    from {{ sets }} as sets
    where false
    {%- else %}
    select
        sets.{{ of_set | join(',\n        sets.') }},
        landed._row_no as row_no,
        {{- landed_fields(fields, present, 'landed.', documents) }}
    {{ sets_with_raw(sets, raw, by_day) }}
    where
        sets.resource = '{{ table_name }}'
        and not sets.has_twins
    union all
    select
        twins.{{ of_set | join(',\n        twins.') }},
        twins._row_no as row_no,
        {{- landed_fields(fields, fields, 'twins.') }}
    from (
        {{ one_of_twins(of_set, landed_fields(fields, present, 'landed.', documents), sets_with_raw(twin_sets, raw, by_day)) }}
    ) as twins
    where twins.resource = '{{ table_name }}'
    {%- endif %}
{%- endmacro %}
