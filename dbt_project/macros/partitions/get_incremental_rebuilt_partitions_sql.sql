{#- dbt's incremental strategy `rebuilt_partitions`: what the fact holds of the changed partitions goes, what the
    model selected comes, in one transaction. A set that became empty so empties its partition. -#}
{% macro get_incremental_rebuilt_partitions_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    {%- set fact = arg_dict['target_relation'] -%}
    {#- Some are rebuilt for another reason than their state, which remember_partitions goes by. -#}
    update {{ built_partitions() }}
    set
        is_verified = false,
        built_by = '{{ invocation_id }}'
    where
        fact_name = '{{ fact.identifier }}'
        and partition_key in (select changed.partition_key from ({{ changed_partitions(fact.identifier) }}) as changed);

    delete from {{ fact }}
    using (
        {{ changed_partitions(fact.identifier) }}
    ) as changed
    where
        {{ fact }}.account_key = changed.account_key
        and {{ fact }}.date_day = changed.date_day
        and {{ in_changed_days(fact ~ '.date_day', fact.identifier) }};

    insert into {{ fact }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }};
{%- endmacro %}
