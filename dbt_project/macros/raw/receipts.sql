{#- One row for each committed receipt of a source. A receipt counts once its run_seq is in ops.commits, and once only,
    however often its file was loaded. -#}
{% macro receipts(source_name) -%}
    {%- set covered = source('raw_' ~ source_name, 'covered') -%}
    {%- set commits = source('ops', 'commits') -%}
    {%- if landed_columns(covered, ['account']) and landed_columns(commits, ['run_seq']) %}
    select
        covered.resource,
        covered.account as account_id,
        covered.day as date_day,
        covered.run_seq,
        max(covered.data_run_seq) as data_run_seq,
        max(covered.read_at) as read_at,
        max(covered.rows) as read_rows,
        max(covered.rows_hash) as rows_hash,
        max(covered.totals) as totals
    from {{ covered }} as covered
    where covered.run_seq in (select commits.run_seq from {{ commits }} as commits)
    group by covered.resource, covered.account, covered.day, covered.run_seq
    {%- else %}
    select
        cast(null as {{ type_text() }}) as resource,
        cast(null as {{ type_text() }}) as account_id,
        cast(null as date) as date_day,
        cast(null as bigint) as run_seq,
        cast(null as bigint) as data_run_seq,
        cast(null as timestamptz) as read_at,
        cast(null as bigint) as read_rows,
        cast(null as {{ type_text() }}) as rows_hash,
        cast(null as {{ type_text() }}) as totals
    where false
    {%- endif %}
{%- endmacro %}
