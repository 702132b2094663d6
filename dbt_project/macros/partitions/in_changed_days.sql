{#- A condition that bounds a fact's days to those with a partition that `model_name` has to rebuild; all in a full
    build. It only helps a join with changed_partitions: constants reach the fact's index, a join reads the fact whole. -#}
{% macro in_changed_days(column, model_name) -%}
    {%- set changed = changed_partitions(model_name) -%}
    {%- if not execute or not is_incremental() -%}
        true
    {%- else -%}
        {{ in_span(column, "select min(date_day), max(date_day) from (" ~ changed ~ ") as changed") }}
    {%- endif -%}
{%- endmacro %}
