{#- What the catalogue says of the tables of the marts' schema: how they lie on the nodes, how they are sorted, and how well
    (https://docs.aws.amazon.com/redshift/latest/dg/r_SVV_TABLE_INFO.html). Postgres has no such keys. -#}
{% macro actual_designs() -%}
    {{ return(adapter.dispatch('actual_designs', 'adstar')(generate_schema_name('marts', none) | trim)) }}
{%- endmacro %}

{% macro postgres__actual_designs(schema) -%}
    select
        relname as mart,
        cast(null as text) as distribution,
        cast(null as text) as sort_column,
        cast(null as int) as sort_columns,
        cast(greatest(reltuples, 0) as bigint) as estimated_rows,
        cast(null as numeric(19, 2)) as skew,
        cast(null as numeric(5, 2)) as unsorted_percent,
        cast(null as numeric(5, 2)) as stale_statistics_percent
    from pg_class
    where relkind = 'r' and relnamespace = (select oid from pg_namespace where nspname = '{{ schema }}')
{%- endmacro %}

{% macro redshift__actual_designs(schema) -%}
    select
        "table" as mart,
        diststyle as distribution,
        sortkey1 as sort_column,
        sortkey_num as sort_columns,
        cast(tbl_rows as bigint) as estimated_rows,
        cast(skew_rows as numeric(19, 2)) as skew,
        cast(unsorted as numeric(5, 2)) as unsorted_percent,
        cast(stats_off as numeric(5, 2)) as stale_statistics_percent
    from svv_table_info
    where "schema" = '{{ schema }}'
{%- endmacro %}
