-- What clients ask of the catalogue (https://docs.aws.amazon.com/redshift/latest/dg/svv_views.html).

-- information_schema tells SUPER by its name.
do $$
declare
    listed text;
begin
    select string_agg(
        case when attname = 'data_type'
            then 'case when udt_name = ''super'' then ''super'' else data_type end'
                '::information_schema.character_data as data_type'
            else quote_ident(attname) end, ', ' order by attnum)
    into listed
    from pg_attribute where attrelid = 'information_schema.columns'::regclass and attnum > 0;
    alter view information_schema.columns rename to redshift_columns;
    execute format('create view information_schema.columns as select %s from information_schema.redshift_columns', listed);
    grant select on information_schema.columns to public;
end $$;

-- It says nothing of empty tables (r_SVV_TABLE_INFO.html).
create view pg_catalog.svv_table_info as
select
    current_database()::text as "database", spaces.nspname::text as "schema", found.oid as table_id,
    found.relname::text as "table", 'Y, AUTO(ENCODE)'::text as encoded,
    case
        when declared.diststyle = 'KEY' then 'KEY(' || declared.distkey || ')'
        when declared.diststyle = 'AUTO' or declared.diststyle is null then 'AUTO(ALL)'
        else declared.diststyle
    end as diststyle,
    case
        when declared.sortkey is null then 'AUTO(SORTKEY)'
        when declared.interleaved then 'INTERLEAVED' else declared.sortkey[1]
    end as sortkey1,
    null::integer as max_varchar, 'none'::text as sortkey1_enc,
    coalesce(cardinality(declared.sortkey), 0) as sortkey_num,
    greatest(found.relpages / 128, 1)::bigint as size, 0::numeric(10, 4) as pct_used, 0::bigint as empty,
    0::numeric(5, 2) as unsorted, 0::numeric(5, 2) as stats_off,
    greatest(found.reltuples, 0)::numeric(38, 0) as tbl_rows,
    null::numeric(19, 2) as skew_sortkey1, null::numeric(19, 2) as skew_rows,
    greatest(found.reltuples, 0)::numeric(38, 0) as estimated_visible_rows, null::text as risk_event,
    null::numeric(5, 2) as vacuum_sort_benefit, null::timestamp as create_time
from pg_class as found
join pg_namespace as spaces on spaces.oid = found.relnamespace
left join pg_catalog.redshift_declared as declared on declared.table_id = found.oid
where found.relkind = 'r' and pg_relation_size(found.oid) > 0
    and spaces.nspname not in ('pg_catalog', 'information_schema', 'pg_toast');
create view pg_catalog.pg_table_def as
select
    spaces.nspname as schemaname, tables.relname as tablename, columns.attname as "column",
    format_type(columns.atttypid, columns.atttypmod) as type, 'none'::text as encoding,
    coalesce(columns.attname = declared.distkey, false) as distkey,
    coalesce(array_position(declared.sortkey, columns.attname::text), 0) as sortkey,
    columns.attnotnull as "notnull"
from pg_class as tables
join pg_namespace as spaces on spaces.oid = tables.relnamespace
join pg_attribute as columns on columns.attrelid = tables.oid and columns.attnum > 0 and not columns.attisdropped
left join pg_catalog.redshift_declared as declared on declared.table_id = tables.oid
where tables.relkind = 'r' and spaces.nspname = any (current_schemas(true));
create view pg_catalog.svv_redshift_schemas as
select
    current_database()::text as database_name, nspname::text as schema_name, nspowner::integer as schema_owner,
    'local'::text as schema_type, null::text as schema_acl, null::text as schema_option
from pg_namespace where nspname not like 'pg\_%';
create view pg_catalog.svv_all_schemas as select * from pg_catalog.svv_redshift_schemas;
create view pg_catalog.svv_tables as
select
    table_catalog::text, table_schema::text, table_name::text, table_type::text, null::text as remarks
from information_schema.tables;
create view pg_catalog.svv_columns as
select
    table_catalog::text, table_schema::text, table_name::text, column_name::text, ordinal_position::integer,
    column_default::text, is_nullable::text,
    data_type::text,
    character_maximum_length::integer, numeric_precision::integer, numeric_scale::integer, null::text as remarks
from information_schema.columns;
create view pg_catalog.svv_redshift_columns as
select
    table_catalog as database_name, table_schema as schema_name, table_name, column_name, ordinal_position,
    data_type, column_default, is_nullable, null::text as encoding, false as distkey, 0 as sortkey,
    null::text as column_acl, null::text as remarks
from pg_catalog.svv_columns;
create view pg_catalog.svv_external_columns as
select
    null::text as redshift_database_name, null::text as schemaname, null::text as tablename,
    null::text as columnname, null::text as external_type, null::integer as columnnum, null::integer as part_key,
    null::text as is_nullable
where false;
create view pg_catalog.svv_external_schemas as
select
    null::oid as esoid, null::smallint as eskind, null::text as schemaname, null::integer as esowner,
    null::text as databasename, null::text as esoptions
where false;
create view pg_catalog.svv_roles as
select oid as role_id, rolname::text as role_name, 'adstar'::text as role_owner, null::text as external_id
from pg_roles where not rolcanlogin and rolname not like 'pg\_%';
create view pg_catalog.svv_user_info as
select
    rolname::text as user_name, oid as user_id, rolcreatedb as createdb, rolsuper as superuser, true as catalog_update,
    null::text as connection_limit, null::text as syslog_access, null::timestamp as last_ddl_ts,
    null::text as session_timeout, null::text as external_id
from pg_roles where rolcanlogin;
create function pg_catalog.pg_get_late_binding_view_cols() returns setof record
language sql stable as $$
    select null::name, null::name, null::name, null::varchar, null::integer where false
$$;
do $$
declare
    made text;
begin
    for made in select viewname from pg_views where schemaname = 'pg_catalog'
        and (viewname like 'svv\_%' or viewname = 'pg_table_def')
    loop
        execute format('grant select on pg_catalog.%I to public', made);
    end loop;
end $$;
