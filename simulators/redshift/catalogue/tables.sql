-- What tables declare, which Postgres has no place for: dist styles, keys and orders.
create table pg_catalog.redshift_declared (
    table_id oid primary key, diststyle text not null default 'AUTO', distkey text, sortkey text[],
    interleaved boolean not null default false
);
grant select on pg_catalog.redshift_declared to public;

-- Notes a declaration, over what was declared before.
create function pg_catalog.redshift_note(made oid, said jsonb) returns void
language plpgsql security definer as $$
begin
    insert into pg_catalog.redshift_declared (table_id) values (made) on conflict do nothing;
    update pg_catalog.redshift_declared set
        diststyle = coalesce(said ->> 'diststyle', diststyle),
        distkey = case when said ? 'diststyle' then said ->> 'distkey' else distkey end,
        sortkey = case
            when said ? 'sortkey' then (
                select array_agg(name) from jsonb_array_elements_text(said -> 'sortkey') as name
            )
            else sortkey
        end,
        interleaved = coalesce((said ->> 'interleaved')::boolean, interleaved)
    where table_id = made;
end $$;

-- CREATE TABLE: what it declares stands in a comment before it.
create function pg_catalog.redshift_created() returns event_trigger language plpgsql security definer as $$
declare
    made record;
    said jsonb;
    parent record;
begin
    for made in select * from pg_event_trigger_ddl_commands()
        where command_tag in ('CREATE TABLE', 'CREATE TABLE AS')
    loop
        for said in select matched[1]::jsonb
            from regexp_matches(current_query(), '/\* redshift (\{.*?\}) \*/', 'g') as matched
        loop
            if said ->> 'table' = (select relname from pg_class where oid = made.objid) then
                select * into parent from pg_catalog.redshift_declared
                where table_id = to_regclass(said ->> 'like');
                if found then
                    perform pg_catalog.redshift_note(made.objid, jsonb_strip_nulls(to_jsonb(parent)));
                end if;
                perform pg_catalog.redshift_note(made.objid, said);
            end if;
        end loop;
    end loop;
end $$;
create event trigger redshift_created on ddl_command_end execute function pg_catalog.redshift_created();

-- ALTER TABLE of keys of distribution and order.
create function pg_catalog.redshift_declare(named text, said text) returns void language plpgsql as $$
begin
    perform pg_catalog.redshift_note(named::regclass, said::jsonb);
end $$;

-- ALTER TABLE ADD a key of rows: for the planner only, but the columns must be there, and those of a primary key NOT
-- NULL (https://docs.aws.amazon.com/redshift/latest/dg/r_ALTER_TABLE.html).
create function pg_catalog.redshift_key(named text, names text[], is_primary boolean) returns void
language plpgsql as $$
declare
    name text;
    filled boolean;
begin
    foreach name in array names loop
        select attnotnull into filled from pg_attribute
        where attrelid = named::regclass and attname = name and attnum > 0 and not attisdropped;
        if not found then
            raise exception using errcode = '42703', message = format('column "%s" named in key does not exist', name);
        elsif is_primary and not filled then
            raise exception using errcode = '42P16', message = format(
                'ALTER TABLE cannot add a PRIMARY KEY constraint to the nullable column %s', name);
        end if;
    end loop;
end $$;
