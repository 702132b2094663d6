{#- A query of the partitions a fact has to rebuild: those whose state is not the one it was last built from, those
    that are gone, and where there are remainders those for which another cause is known now. -#}
{% macro changed_partitions(fact_name) -%}
    select
        coalesce(now_read.partition_key, built.partition_key) as partition_key,
        coalesce(now_read.account_key, built.account_key) as account_key,
        coalesce(now_read.date_day, built.date_day) as date_day
    from {{ ref('int_account_days__read') }} as now_read
    full outer join (
        select * from {{ built_partitions() }} where fact_name = '{{ fact_name }}'
    ) as built
        on now_read.partition_key = built.partition_key
    where
        now_read.partition_key is null
        or built.partition_key is null
        or now_read.{{ fact_name }}_state <> built.state
    {%- if fact_name in ['int_remainders__explained', 'fact_ad_performance'] %}
    union
    {{ changed_remainders() }}
    {%- endif %}
{%- endmacro %}
