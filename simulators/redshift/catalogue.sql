-- What a database of Postgres needs to look like one of Redshift's; run once in each, by its superuser. All of it goes
-- into pg_catalog, because Redshift's own names are found whatever the search path is.
set allow_system_table_mods = on;

-- SUPER: JSON with none of Postgres' operators (https://docs.aws.amazon.com/redshift/latest/dg/r_SUPER_type.html).
create type pg_catalog.super;
create function pg_catalog.super_in(cstring) returns super language internal immutable strict as 'jsonb_in';
create function pg_catalog.super_out(super) returns cstring language internal immutable strict as 'jsonb_out';
create function pg_catalog.super_recv(internal) returns super language internal immutable strict as 'jsonb_recv';
create function pg_catalog.super_send(super) returns bytea language internal immutable strict as 'jsonb_send';
create type pg_catalog.super (
    input = super_in, output = super_out, receive = super_recv, send = super_send,
    internallength = variable, alignment = int4, storage = extended
);
create cast (super as jsonb) without function;
create cast (jsonb as super) without function;
-- A text within SUPER comes out without its quotes; lists and objects as JSON.
create function pg_catalog.redshift_text(super) returns text language sql immutable strict
return $1::jsonb #>> '{}';
create function pg_catalog.redshift_varchar(super) returns varchar language sql immutable strict
return ($1::jsonb #>> '{}')::varchar;
create cast (super as text) with function pg_catalog.redshift_text(super) as assignment;
create cast (super as varchar) with function pg_catalog.redshift_varchar(super) as assignment;
create function pg_catalog.redshift_number(super) returns numeric language sql immutable strict
return case when jsonb_typeof($1::jsonb) = 'number' then ($1::jsonb #>> '{}')::numeric end;
create cast (super as numeric) with function pg_catalog.redshift_number(super);
create function pg_catalog.redshift_whole(super) returns bigint language sql immutable strict
return case when jsonb_typeof($1::jsonb) = 'number' then ($1::jsonb #>> '{}')::numeric::bigint end;
create cast (super as bigint) with function pg_catalog.redshift_whole(super);
create function pg_catalog.redshift_super(text) returns super language sql immutable strict
return to_jsonb($1)::super;
create function pg_catalog.redshift_super(varchar) returns super language sql immutable strict
return to_jsonb($1::text)::super;
create cast (text as super) with function pg_catalog.redshift_super(text) as assignment;
create cast (varchar as super) with function pg_catalog.redshift_super(varchar) as assignment;

create function pg_catalog.redshift_elements(super) returns setof super language sql immutable strict
begin atomic
    select value::super from jsonb_array_elements(
        case when jsonb_typeof($1::jsonb) = 'array' then $1::jsonb else jsonb_build_array() end
    );
end;
create function pg_catalog.redshift_pairs(super) returns table (name varchar, value super)
language sql immutable strict
begin atomic
    select key::varchar, value::super from jsonb_each(
        case when jsonb_typeof($1::jsonb) = 'object' then $1::jsonb else jsonb_build_object() end
    );
end;
create function pg_catalog.redshift_member(super, text) returns super language sql immutable strict
return ($1::jsonb -> $2)::super;

create function pg_catalog.json_parse(text) returns super language plpgsql immutable strict as $$
begin
    return $1::jsonb::super;
exception when others then
    raise exception using errcode = '22P02', message = 'Invalid JSON: ' || left($1, 60);
end $$;
create function pg_catalog.can_json_parse(text) returns boolean language sql immutable strict
return pg_input_is_valid($1, 'jsonb');
create function pg_catalog.redshift_json_serialize(super) returns varchar language sql immutable strict
return ($1::jsonb)::text::varchar;
create function pg_catalog.json_size(super) returns integer language sql immutable strict
return octet_length(($1::jsonb)::text);
create function pg_catalog.json_typeof(super) returns varchar language sql immutable strict
return jsonb_typeof($1::jsonb)::varchar;
create function pg_catalog.is_array(super) returns boolean language sql immutable strict
return jsonb_typeof($1::jsonb) = 'array';
create function pg_catalog.is_object(super) returns boolean language sql immutable strict
return jsonb_typeof($1::jsonb) = 'object';
create function pg_catalog.is_varchar(super) returns boolean language sql immutable strict
return jsonb_typeof($1::jsonb) = 'string';
create function pg_catalog.is_scalar(super) returns boolean language sql immutable strict
return jsonb_typeof($1::jsonb) not in ('array', 'object');
create function pg_catalog.get_array_length(super) returns bigint language sql immutable strict
return case when jsonb_typeof($1::jsonb) = 'array' then jsonb_array_length($1::jsonb)::bigint end;
create function pg_catalog.is_valid_json(text) returns boolean language sql immutable strict
return pg_input_is_valid($1, 'jsonb');
create function pg_catalog.is_valid_json_array(text) returns boolean language sql immutable strict
return case when pg_input_is_valid($1, 'jsonb') then jsonb_typeof($1::jsonb) = 'array' else false end;

-- Text functions of JSON: NULL where the path leads nowhere, an error or NULL where it is no JSON
-- (https://docs.aws.amazon.com/redshift/latest/dg/JSON_EXTRACT_PATH_TEXT.html).
create function pg_catalog.redshift_json(document text, null_if_invalid boolean) returns jsonb
language plpgsql immutable strict as $$
begin
    if pg_input_is_valid(document, 'jsonb') then return document::jsonb; end if;
    if null_if_invalid then return null; end if;
    raise exception using errcode = '22P02', message = 'JSON parsing error', detail = left(document, 60);
end $$;
create function pg_catalog.json_extract_path_text(text, text) returns text language sql immutable strict
return redshift_json($1, false) ->> $2;
create function pg_catalog.json_extract_path_text(text, text, boolean) returns text language sql immutable strict
return redshift_json($1, $3) ->> $2;
create function pg_catalog.json_extract_path_text(text, text, text) returns text language sql immutable strict
return redshift_json($1, false) #>> array[$2, $3];
create function pg_catalog.json_extract_path_text(text, text, text, boolean) returns text
language sql immutable strict
return redshift_json($1, $4) #>> array[$2, $3];
create function pg_catalog.json_extract_array_element_text(text, integer) returns text
language sql immutable strict
return redshift_json($1, false) ->> $2;
create function pg_catalog.json_extract_array_element_text(text, integer, boolean) returns text
language sql immutable strict
return case
    when jsonb_typeof(redshift_json($1, $3)) = 'array' and $2 >= 0 then redshift_json($1, $3) ->> $2
end;
create function pg_catalog.json_array_length(text) returns integer language sql immutable strict
return jsonb_array_length(redshift_json($1, false));
create function pg_catalog.json_array_length(text, boolean) returns integer language sql immutable strict
return case
    when jsonb_typeof(redshift_json($1, $2)) = 'array' then jsonb_array_length(redshift_json($1, $2))
end;

-- Dates and times (https://docs.aws.amazon.com/redshift/latest/dg/Date_functions_header.html).
create function pg_catalog.getdate() returns timestamp language sql stable
return date_trunc('second', (clock_timestamp() at time zone 'UTC'));
create function pg_catalog.redshift_sysdate() returns timestamp language sql stable
return (now() at time zone 'UTC');
create function pg_catalog.redshift_span(part text, number bigint) returns interval language plpgsql immutable strict as $$
begin
    return number * case lower(part)
        when 'y' then interval '1 year' when 'yr' then interval '1 year' when 'yrs' then interval '1 year'
        when 'year' then interval '1 year' when 'years' then interval '1 year'
        when 'q' then interval '3 months' when 'qtr' then interval '3 months'
        when 'quarter' then interval '3 months' when 'quarters' then interval '3 months'
        when 'mon' then interval '1 month' when 'mons' then interval '1 month'
        when 'month' then interval '1 month' when 'months' then interval '1 month'
        when 'w' then interval '7 days' when 'week' then interval '7 days' when 'weeks' then interval '7 days'
        when 'd' then interval '1 day' when 'day' then interval '1 day' when 'days' then interval '1 day'
        when 'h' then interval '1 hour' when 'hr' then interval '1 hour' when 'hrs' then interval '1 hour'
        when 'hour' then interval '1 hour' when 'hours' then interval '1 hour'
        when 'm' then interval '1 minute' when 'min' then interval '1 minute' when 'mins' then interval '1 minute'
        when 'minute' then interval '1 minute' when 'minutes' then interval '1 minute'
        when 's' then interval '1 second' when 'sec' then interval '1 second' when 'secs' then interval '1 second'
        when 'second' then interval '1 second' when 'seconds' then interval '1 second'
        when 'ms' then interval '1 millisecond' when 'msec' then interval '1 millisecond'
        when 'millisecond' then interval '1 millisecond' when 'milliseconds' then interval '1 millisecond'
        when 'us' then interval '1 microsecond' when 'microsecond' then interval '1 microsecond'
        when 'microseconds' then interval '1 microsecond'
    end;
end $$;
create function pg_catalog.dateadd(text, bigint, timestamp) returns timestamp language sql immutable strict
return $3 + redshift_span($1, $2);
create function pg_catalog.dateadd(text, bigint, timestamptz) returns timestamptz language sql stable strict
return $3 + redshift_span($1, $2);
create function pg_catalog.dateadd(text, bigint, date) returns timestamp language sql immutable strict
return $3::timestamp + redshift_span($1, $2);
-- Counts the boundaries between, not whole spans.
create function pg_catalog.datediff(part text, first timestamp, last timestamp) returns bigint
language plpgsql immutable strict as $$
begin
    return case
        when lower(part) in ('y', 'yr', 'yrs', 'year', 'years')
            then extract(year from last) - extract(year from first)
        when lower(part) in ('q', 'qtr', 'quarter', 'quarters')
            then (extract(year from last) - extract(year from first)) * 4
                + extract(quarter from last) - extract(quarter from first)
        when lower(part) in ('mon', 'mons', 'month', 'months')
            then (extract(year from last) - extract(year from first)) * 12
                + extract(month from last) - extract(month from first)
        when lower(part) in ('w', 'week', 'weeks')
            then (date_trunc('week', last + interval '1 day')::date
                - date_trunc('week', first + interval '1 day')::date) / 7
        when lower(part) in ('d', 'day', 'days') then last::date - first::date
        when lower(part) in ('h', 'hr', 'hrs', 'hour', 'hours')
            then extract(epoch from date_trunc('hour', last) - date_trunc('hour', first)) / 3600
        when lower(part) in ('m', 'min', 'mins', 'minute', 'minutes')
            then extract(epoch from date_trunc('minute', last) - date_trunc('minute', first)) / 60
        when lower(part) in ('s', 'sec', 'secs', 'second', 'seconds')
            then extract(epoch from date_trunc('second', last) - date_trunc('second', first))
        when lower(part) in ('ms', 'msec', 'millisecond', 'milliseconds')
            then extract(epoch from last - first) * 1000
        when lower(part) in ('us', 'microsecond', 'microseconds')
            then extract(epoch from last - first) * 1000000
    end;
end $$;
create function pg_catalog.datediff(text, timestamptz, timestamptz) returns bigint language sql stable strict
return datediff($1, $2 at time zone 'UTC', $3 at time zone 'UTC');
create function pg_catalog.datediff(text, date, date) returns bigint language sql immutable strict
return datediff($1, $2::timestamp, $3::timestamp);
create function pg_catalog.convert_timezone(text, timestamp) returns timestamp language sql immutable strict
return ($2 at time zone 'UTC') at time zone $1;
create function pg_catalog.convert_timezone(text, text, timestamp) returns timestamp language sql immutable strict
return ($3 at time zone $1) at time zone $2;
create function pg_catalog.last_day(timestamp) returns date language sql immutable strict
return (date_trunc('month', $1) + interval '1 month' - interval '1 day')::date;
create function pg_catalog.add_months(timestamp, integer) returns timestamp language sql immutable strict
return case
    when $1::date = last_day($1) then (last_day(($1 + $2 * interval '1 month')::timestamp)
        + ($1 - date_trunc('day', $1)))::timestamp
    else $1 + $2 * interval '1 month'
end;
create function pg_catalog.redshift_trunc(timestamp) returns date language sql immutable strict return $1::date;
create function pg_catalog.redshift_trunc(timestamptz) returns date language sql stable strict return $1::date;
create function pg_catalog.redshift_trunc(numeric) returns numeric language sql immutable strict return trunc($1);
create function pg_catalog.redshift_trunc(numeric, integer) returns numeric language sql immutable strict
return trunc($1, $2);

-- Text and numbers (https://docs.aws.amazon.com/redshift/latest/dg/String_functions_header.html).
create function pg_catalog.len(text) returns integer language sql immutable strict return char_length($1);
create function pg_catalog.charindex(text, text) returns integer language sql immutable strict
return strpos($2, $1);
create function pg_catalog.replicate(text, integer) returns text language sql immutable strict
return repeat($1, $2);
create function pg_catalog.strtol(text, integer) returns bigint language plpgsql immutable strict as $$
declare
    total numeric := 0;
    digit integer;
    spelled text := lower(case when $2 = 16 then regexp_replace($1, '^0x', '') else $1 end);
begin
    for place in 1..length(spelled) loop
        digit := strpos('0123456789abcdefghijklmnopqrstuvwxyz', substr(spelled, place, 1)) - 1;
        if digit < 0 or digit >= $2 then
            raise exception using errcode = '22023', message = format(
                'The input %s is not valid to be converted to base %s', $1, $2);
        end if;
        total := total * $2 + digit;
    end loop;
    return total::bigint;
end $$;
create function pg_catalog.sha2(text, integer) returns text language sql immutable strict
return case $2
    when 224 then encode(sha224($1::bytea), 'hex') when 384 then encode(sha384($1::bytea), 'hex')
    when 512 then encode(sha512($1::bytea), 'hex') else encode(sha256($1::bytea), 'hex')
end;
-- All matches are replaced, and a text without a match gives an empty one, not NULL.
create function pg_catalog.redshift_regexp_replace(text, text) returns text language sql immutable strict
return regexp_replace($1, $2, '', 'g');
create function pg_catalog.redshift_regexp_replace(text, text, text) returns text language sql immutable strict
return regexp_replace($1, $2, $3, 'g');
create function pg_catalog.redshift_regexp_substr(text, text) returns text language sql immutable strict
return coalesce(regexp_substr($1, $2), '');
create function pg_catalog.redshift_regexp_substr(text, text, integer, integer) returns text
language sql immutable strict
return coalesce(regexp_substr($1, $2, $3, $4), '');
-- 'e' asks for the first group.
create function pg_catalog.redshift_regexp_substr(text, text, integer, integer, text) returns text
language sql immutable strict
return coalesce(
    regexp_substr($1, $2, $3, $4, replace($5, 'e', ''), case when strpos($5, 'e') > 0 then 1 else 0 end), ''
);
create function pg_catalog.redshift_regexp_count(text, text) returns integer language sql immutable strict
return regexp_count($1, $2);
create function pg_catalog.redshift_regexp_instr(text, text) returns integer language sql immutable strict
return regexp_instr($1, $2);

-- What can't be cast (https://docs.aws.amazon.com/redshift/latest/dg/r_Type_conversion.html).
create function pg_catalog.redshift_no_text(boolean) returns text language plpgsql immutable as $$
begin
    raise exception using errcode = '42846', message = 'cannot cast type boolean to character varying';
end $$;
update pg_catalog.pg_cast set castfunc = 'pg_catalog.redshift_no_text(boolean)'::regprocedure
where castsource = 'boolean'::regtype and casttarget in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype);

-- A refusal is raised here, so that the transaction ends as with any other error.
create function pg_catalog.redshift_refuse(code text, said text, hint text) returns void language plpgsql as $$
begin
    raise exception using errcode = code, message = said, hint = hint;
end $$;

-- What tables declare: dist styles, keys and orders.
create table pg_catalog.redshift_declared (
    table_id oid primary key, diststyle text, distkey text, sortkey text[], interleaved boolean
);
grant select on pg_catalog.redshift_declared to public;
create function pg_catalog.redshift_note() returns event_trigger language plpgsql security definer as $$
declare
    made record;
    noted record;
    said jsonb;
begin
    for made in select * from pg_event_trigger_ddl_commands()
        where command_tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO')
    loop
        for noted in select matched[1] as note
            from regexp_matches(current_query(), '/\* redshift (\{.*?\}) \*/', 'g') as matched
        loop
            said := noted.note::jsonb;
            if said ->> 'table' = (select relname from pg_class where oid = made.objid) then
                insert into pg_catalog.redshift_declared values (
                    made.objid, coalesce(said ->> 'diststyle', 'AUTO'), said ->> 'distkey',
                    case when jsonb_typeof(said -> 'sortkey') = 'array'
                        then array(select jsonb_array_elements_text(said -> 'sortkey')) end,
                    coalesce((said ->> 'interleaved')::boolean, false)
                ) on conflict (table_id) do nothing;
            end if;
        end loop;
    end loop;
end $$;
create event trigger redshift_note on ddl_command_end execute function pg_catalog.redshift_note();

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

-- Views of the catalogue, with the columns that clients ask for
-- (https://docs.aws.amazon.com/redshift/latest/dg/svv_views.html).
create view pg_catalog.redshift_user_tables as
select tables.oid as table_id, spaces.nspname, tables.relname, tables.reltuples, tables.relpages
from pg_class as tables join pg_namespace as spaces on spaces.oid = tables.relnamespace
where tables.relkind = 'r' and spaces.nspname not in ('pg_catalog', 'information_schema', 'pg_toast');
create view pg_catalog.svv_table_info as
select
    current_database()::text as "database", found.nspname::text as "schema", found.table_id,
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
from pg_catalog.redshift_user_tables as found
left join pg_catalog.redshift_declared as declared on declared.table_id = found.table_id;
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
create view pg_catalog.svv_role_grants as
select
    members.oid as role_id, members.rolname::text as role_name, roles.oid as granted_role_id,
    roles.rolname::text as granted_role_name
from pg_auth_members
join pg_roles as roles on roles.oid = pg_auth_members.roleid
join pg_roles as members on members.oid = pg_auth_members.member
where not members.rolcanlogin and roles.rolname not like 'pg\_%';
create view pg_catalog.svv_user_grants as
select
    members.oid as user_id, members.rolname::text as user_name, roles.oid as role_id,
    roles.rolname::text as role_name, pg_auth_members.admin_option
from pg_auth_members
join pg_roles as roles on roles.oid = pg_auth_members.roleid
join pg_roles as members on members.oid = pg_auth_members.member
where members.rolcanlogin and roles.rolname not like 'pg\_%';
create view pg_catalog.svv_schema_privileges as
select
    nspname::text as namespace_name, given.privilege_type::text as privilege_type, given.grantee as identity_id,
    coalesce(to_whom.rolname::text, 'public') as identity_name,
    case when given.grantee = 0 then 'public' when to_whom.rolcanlogin then 'user' else 'role' end as identity_type,
    given.is_grantable as admin_option, 'SCHEMA'::text as privilege_scope
from pg_namespace, aclexplode(nspacl) as given
left join pg_roles as to_whom on to_whom.oid = given.grantee
where given.grantee <> nspowner and nspname not like 'pg\_%';
create view pg_catalog.svv_relation_privileges as
select
    spaces.nspname::text as namespace_name, tables.relname::text as relation_name,
    given.privilege_type::text as privilege_type, given.grantee as identity_id,
    coalesce(to_whom.rolname::text, 'public') as identity_name,
    case when given.grantee = 0 then 'public' when to_whom.rolcanlogin then 'user' else 'role' end as identity_type,
    given.is_grantable as admin_option
from pg_class as tables
join pg_namespace as spaces on spaces.oid = tables.relnamespace, aclexplode(tables.relacl) as given
left join pg_roles as to_whom on to_whom.oid = given.grantee
where given.grantee <> tables.relowner and spaces.nspname not like 'pg\_%';
create view pg_catalog.svv_default_privileges as
select
    spaces.nspname::text as schema_name, 'RELATION'::text as object_type, owner.oid as owner_id,
    owner.rolname::text as owner_name, case when owner.rolcanlogin then 'user' else 'role' end as owner_type,
    given.privilege_type::text as privilege_type, given.grantee as grantee_id,
    coalesce(to_whom.rolname::text, 'public') as grantee_name,
    case when given.grantee = 0 then 'public' when to_whom.rolcanlogin then 'user' else 'role' end as grantee_type,
    given.is_grantable as admin_option
from pg_default_acl as defaults
join pg_namespace as spaces on spaces.oid = defaults.defaclnamespace
join pg_roles as owner on owner.oid = defaults.defaclrole, aclexplode(defaults.defaclacl) as given
left join pg_roles as to_whom on to_whom.oid = given.grantee
where defaults.defaclobjtype = 'r';
create function pg_catalog.pg_get_late_binding_view_cols() returns setof record
language sql stable as $$
    select null::name, null::name, null::name, null::varchar, null::integer where false
$$;
create function pg_catalog.pg_last_copy_count() returns bigint language sql stable
return coalesce(nullif(current_setting('redshift.copied', true), ''), '0')::bigint;
create function pg_catalog.redshift_version() returns text language sql immutable
return 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0 stand-in';
do $$
declare
    made text;
begin
    for made in select viewname from pg_views where schemaname = 'pg_catalog'
        and (viewname like 'svv\_%' or viewname in ('pg_table_def', 'redshift_user_tables'))
    loop
        execute format('grant select on pg_catalog.%I to public', made);
    end loop;
end $$;
reset allow_system_table_mods;
