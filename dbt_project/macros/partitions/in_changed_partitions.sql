{#- A condition that keeps the partitions an incremental fact has to rebuild; all of them in a full build.
    Their keys are written out, because a list of constants is pushed through views, unions and groupings down to
    raw's index, a join is not; a list too long to write is left to a subquery. -#}
{% macro in_changed_partitions(column, fact_name) -%}
    {%- if not execute -%}
        {#- Parsing knows of no incremental run, and dbt wants to know all refs then. -#}
        {%- do changed_partitions(fact_name) -%}
        true
    {%- elif not is_incremental() -%}
        true
    {%- else -%}
        {%- set changed = changed_partitions(fact_name) -%}
        {%- set found = run_query('select distinct partition_key from (' ~ changed ~ ') as changed limit 20001') -%}
        {%- set keys = found.columns[0].values() -%}
        {%- if keys | length == 0 -%}
            false
        {%- elif keys | length > 20000 -%}
            {{ column }} in (select changed.partition_key from ({{ changed }}) as changed)
        {%- else -%}
            {{ column }} in ({{ keys | join(', ') }})
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
