{#- dbt's own, before which the rows that the test found last time go by a plain statement: dbt makes a context of all
    macros for each relation that it drops itself. -#}
{%- materialization test, adapter='postgres' -%}
    {%- set found_before = adapter.get_relation(database, schema, model.alias) if should_store_failures() -%}
    {%- if found_before -%}
        {%- call statement('forget') -%}
            drop {{ found_before.type }} if exists {{ found_before }} cascade
        {%- endcall -%}
        {%- do adapter.cache_dropped(found_before) -%}
    {%- endif -%}
    {{ return(dbt.materialization_test_default()) }}
{%- endmaterialization -%}
