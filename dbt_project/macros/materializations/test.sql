{#- Instead of dbt's own, which drops, makes, commits and counts in commands of their own: what the test found last
    time goes, what it finds now comes and is counted, in one command. -#}
{%- materialization test, adapter='postgres' -%}
    {%- set found = api.Relation.create(database=database, schema=schema, identifier=model.alias, type='table') -%}
    {%- set rows -%}{{ get_limit_subquery_sql(sql, config.get('limit')) }}{%- endset -%}
    {%- set stored = should_store_failures() -%}
    {%- call statement('main', fetch_result=True) -%}
        {%- if stored %}
        drop table if exists {{ found }} cascade;
        {{ get_create_sql(found, rows) }}
        {%- set rows = 'select * from ' ~ found -%}
        {%- endif %}
        {{ get_test_sql(rows, config.get('fail_calc'), config.get('warn_if'), config.get('error_if'), limit=none) }}
    {%- endcall -%}
    {%- do adapter.commit() -%}
    {{ return({'relations': [found] if stored else []}) }}
{%- endmaterialization -%}

{#- Of Redshift it is dbt's own, which drops one table at a time; else an adapter takes what is written for Postgres. -#}
{%- materialization test, adapter='redshift' -%}
    {{ return(dbt.materialization_test_default()) }}
{%- endmaterialization -%}
