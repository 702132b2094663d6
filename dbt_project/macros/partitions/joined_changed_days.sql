{#- A join that keeps the rows of a fact whose account and day `model_name` has to rebuild from it; all in a full build.
    The days are bounded by constants as well, so that the fact's index is used: a join alone would read it whole. -#}
{% macro joined_changed_days(fact, model_name) -%}
    {%- set changed = changed_partitions(model_name) -%}
    {%- if execute and is_incremental() -%}
        {%- set span = run_query("select min(date_day), max(date_day) from (" ~ changed ~ ") as changed").rows[0] -%}
inner join ({{ changed }}) as changed
    on
        {{ fact }}.account_key = changed.account_key
        and {{ fact }}.date_day = changed.date_day
        {%- if span[0] is none %}
        and false
        {%- else %}
        and {{ fact }}.date_day between cast('{{ span[0] }}' as date) and cast('{{ span[1] }}' as date)
        {%- endif %}
    {%- endif -%}
{%- endmacro %}
