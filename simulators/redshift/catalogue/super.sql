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
-- Functions that make JSON of values look for this cast.
create function pg_catalog.redshift_to_json(super) returns json language sql immutable strict
return cast($1::jsonb as json);
create cast (super as json) with function pg_catalog.redshift_to_json(super);

-- Casts out of SUPER: NULL where the value is of another kind (query-super.html, limitations-super.html).
create function pg_catalog.redshift_scalar(super) returns text language sql immutable strict
return case when jsonb_typeof($1::jsonb) not in ('array', 'object') then $1::jsonb #>> '{}' end;
do $$
declare
    kind text;
begin
    foreach kind in array array['boolean', 'smallint', 'integer', 'bigint', 'real', 'double precision', 'numeric',
        'date', 'timestamp', 'timestamptz', 'time', 'bpchar']
    loop
        execute format(
            'create function pg_catalog.%1$I(value super) returns %2$s language sql stable strict return cast('
            'case when pg_input_is_valid(redshift_scalar($1), %2$L) then redshift_scalar($1) end as %2$s)',
            'redshift_' || replace(kind, ' ', '_'), kind);
        execute format('create cast (super as %s) with function pg_catalog.%I(super)', kind,
            'redshift_' || replace(kind, ' ', '_'));
    end loop;
end $$;
create function pg_catalog.redshift_varchar(super) returns varchar language sql immutable strict
return redshift_scalar($1)::varchar;
create cast (super as text) with function pg_catalog.redshift_scalar(super) as assignment;
create cast (super as varchar) with function pg_catalog.redshift_varchar(super) as assignment;

-- Casts into it: a text becomes a text, not what it spells.
do $$
declare
    kind text;
begin
    foreach kind in array array['text', 'varchar', 'bpchar', 'boolean', 'smallint', 'integer', 'bigint', 'real',
        'double precision', 'numeric']
    loop
        execute format('create function pg_catalog.redshift_super(%s) returns super language sql immutable strict'
            ' return to_jsonb($1)::super', kind);
        execute format('create cast (%s as super) with function pg_catalog.redshift_super(%s) as assignment', kind, kind);
    end loop;
end $$;

create function pg_catalog.redshift_elements(super) returns table (item super, number bigint)
language sql immutable strict
begin atomic
    select value::super, ordinality - 1 from jsonb_array_elements(
        case when jsonb_typeof($1::jsonb) = 'array' then $1::jsonb else jsonb_build_array() end
    ) with ordinality;
end;
create function pg_catalog.redshift_pairs(super) returns table (name varchar, value super)
language sql immutable strict
begin atomic
    select key::varchar, value::super from jsonb_each(
        case when jsonb_typeof($1::jsonb) = 'object' then $1::jsonb else jsonb_build_object() end
    );
end;
create function pg_catalog.redshift_member(super, text) returns super language sql immutable strict
return case when jsonb_typeof($1::jsonb) = 'object' then ($1::jsonb -> $2)::super end;
create function pg_catalog.redshift_item(super, integer) returns super language sql immutable strict
return case when $2 >= 0 then ($1::jsonb -> $2)::super end;

-- https://docs.aws.amazon.com/redshift/latest/dg/json-functions.html, c_Type_Info_Functions.html
create function pg_catalog.json_parse(text) returns super language plpgsql immutable strict as $$
begin
    return $1::jsonb::super;
exception when others then
    raise exception using errcode = '22P02', message = 'Invalid JSON: ' || left($1, 60);
end $$;
create function pg_catalog.can_json_parse(text) returns boolean language sql immutable strict
return pg_input_is_valid($1, 'jsonb');
-- The name is a word of Postgres' grammar. Its JSON is written without spaces; texts in it keep theirs.
create function pg_catalog.redshift_json_serialize(super) returns varchar language sql immutable strict
return regexp_replace(($1::jsonb)::text, '("(?:[^"\\]|\\.)*")|([,:]) ', '\1\2', 'g')::varchar;
create function pg_catalog.json_size(super) returns integer language sql immutable strict
return octet_length(($1::jsonb)::text);
create function pg_catalog.json_typeof(super) returns varchar language sql immutable strict
return jsonb_typeof($1::jsonb)::varchar;
-- Of a NULL these are false.
create function pg_catalog.is_array(super) returns boolean language sql immutable
return coalesce(jsonb_typeof($1::jsonb) = 'array', false);
create function pg_catalog.is_object(super) returns boolean language sql immutable
return coalesce(jsonb_typeof($1::jsonb) = 'object', false);
create function pg_catalog.is_varchar(super) returns boolean language sql immutable
return coalesce(jsonb_typeof($1::jsonb) = 'string', false);
create function pg_catalog.is_scalar(super) returns boolean language sql immutable
return coalesce(jsonb_typeof($1::jsonb) not in ('array', 'object'), false);
create function pg_catalog.is_valid_json(text) returns boolean language sql immutable strict
return pg_input_is_valid($1, 'jsonb') and jsonb_typeof($1::jsonb) in ('object', 'array');
create function pg_catalog.is_valid_json_array(text) returns boolean language sql immutable strict
return case when pg_input_is_valid($1, 'jsonb') then jsonb_typeof($1::jsonb) = 'array' else false end;

-- https://docs.aws.amazon.com/redshift/latest/dg/c_Array_Functions.html
create function pg_catalog.get_array_length(super) returns bigint language sql immutable strict
return case when jsonb_typeof($1::jsonb) = 'array' then jsonb_array_length($1::jsonb)::bigint end;
create function pg_catalog.array_concat(super, super) returns super language sql immutable strict
return case
    when jsonb_typeof($1::jsonb) = 'array' and jsonb_typeof($2::jsonb) = 'array' then ($1::jsonb || $2::jsonb)::super
end;
create function pg_catalog.array_flatten(super) returns super language sql immutable strict
return (
    select coalesce(jsonb_agg(inner_item.value order by item.number, inner_item.number), jsonb_build_array())::super
    from redshift_elements($1) as item (value, number), redshift_elements(
        case when is_array(item.value) then item.value else jsonb_build_array(item.value)::super end
    ) as inner_item (value, number)
);
create function pg_catalog.array_contains(super, super) returns boolean language sql immutable strict
return exists (select from redshift_elements($1) as item (value, number) where item.value::jsonb = $2::jsonb);
create function pg_catalog.array_position(super, super) returns integer language sql immutable strict
return (select min(number)::integer from redshift_elements($1) as item (value, number) where value::jsonb = $2::jsonb);
create function pg_catalog.subarray(super, integer, integer) returns super language sql immutable strict
return (
    select coalesce(jsonb_agg(value order by number), jsonb_build_array())::super
    from redshift_elements($1) as item (value, number) where number >= $2 and number < $2 + $3
);
create function pg_catalog.split_to_array(text, text default ',') returns super language sql immutable strict
return to_jsonb(string_to_array($1, $2))::super;

-- Functions of JSON as text: NULL where the path leads nowhere, an error or NULL where it is no JSON
-- (https://docs.aws.amazon.com/redshift/latest/dg/JSON_EXTRACT_PATH_TEXT.html).
create function pg_catalog.redshift_json(document text, null_if_invalid boolean) returns jsonb
language plpgsql immutable strict as $$
begin
    if pg_input_is_valid(document, 'jsonb') then return document::jsonb; end if;
    if null_if_invalid then return null; end if;
    raise exception using errcode = '22P02', message = 'JSON parsing error', detail = left(document, 60);
end $$;
do $$
declare
    depth integer;
    path text;
begin
    for depth in 1..5 loop
        select string_agg('$' || number + 1, ', ') into path from generate_series(1, depth) as number;
        execute format('create function pg_catalog.json_extract_path_text(text%s) returns varchar'
            ' language sql immutable strict return redshift_json($1, false) #>> array[%s]',
            repeat(', text', depth), path);
        execute format('create function pg_catalog.json_extract_path_text(text%s, boolean) returns varchar'
            ' language sql immutable strict return redshift_json($1, $%s) #>> array[%s]',
            repeat(', text', depth), depth + 2, path);
    end loop;
end $$;
create function pg_catalog.json_extract_array_element_text(text, integer, boolean default false) returns varchar
language sql immutable strict
return case
    when jsonb_typeof(redshift_json($1, $3)) = 'array' and $2 >= 0 then redshift_json($1, $3) ->> $2
end;
create function pg_catalog.json_array_length(text, boolean default false) returns integer
language sql immutable strict
return case
    when jsonb_typeof(redshift_json($1, $2)) = 'array' then jsonb_array_length(redshift_json($1, $2))
end;
