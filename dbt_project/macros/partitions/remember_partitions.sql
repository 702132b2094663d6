{#- Post-hook of the incremental facts: remembers the states they were just built from. What was rebuilt is to be
    verified again. A partition that `made_of` has not built from the present state, because it was left out of the
    command, is not remembered, so the next build makes it again. -#}
{% macro remember_partitions(made_of=[]) -%}
    {%- set built = built_partitions() -%}
    {%- set fact = this.identifier -%}
    delete from {{ built }}
    where
        fact_name = '{{ fact }}'
        {%- if is_incremental() %}
        and not exists (
            select 1
            from {{ ref('int_account_days__read') }} as now_read
            where
                now_read.partition_key = built_partitions.partition_key
                and now_read.{{ fact }}_state = built_partitions.state
        )
        {%- endif %};
    insert into {{ built }}
        (fact_name, partition_key, account_key, date_day, state, is_verified, built_by)
    select
        '{{ fact }}',
        now_read.partition_key,
        now_read.account_key,
        now_read.date_day,
        now_read.{{ fact }}_state,
        false,
        '{{ invocation_id }}'
    from {{ ref('int_account_days__read') }} as now_read
    left join {{ built }} as built
        on
            built.fact_name = '{{ fact }}'
            and now_read.partition_key = built.partition_key
    {%- for source in made_of %}
    inner join {{ built }} as {{ source }}
        on
            {{ source }}.fact_name = '{{ source }}'
            and now_read.partition_key = {{ source }}.partition_key
            and now_read.{{ source }}_state = {{ source }}.state
    {%- endfor %}
    where built.partition_key is null
{%- endmacro %}
