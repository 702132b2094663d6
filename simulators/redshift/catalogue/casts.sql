-- Casts that Redshift does otherwise than Postgres; a cast function is told whether it was asked for or comes by itself.

-- Numbers are cut off unless a setting says otherwise, and rounded by INSERT and UPDATE
-- (https://docs.aws.amazon.com/redshift/latest/dg/r_enable_numeric_rounding.html, r_INSERT_30.html).
create function pg_catalog.redshift_rounds() returns boolean language sql stable
return coalesce(nullif(current_setting('redshift.enable_numeric_rounding', true), ''), 'off')::boolean;
create function pg_catalog.redshift_numeric(numeric, integer, boolean) returns numeric language sql stable
return "numeric"(
    -- The scale is kept in the lower bits of a type's modifier.
    case when $3 and not redshift_rounds() then trunc($1, ((($2 - 4) & 2047) # 1024) - 1024) else $1 end, $2
);
do $$
declare
    kind text;
begin
    foreach kind in array array['int2', 'int4', 'int8'] loop
        execute format('create function pg_catalog.redshift_%1$s(numeric, integer, boolean) returns %1$s language sql'
            ' stable return %1$s(case when $3 and not redshift_rounds() then trunc($1) else $1 end)', kind);
        execute format('update pg_cast set castfunc = %L::regprocedure'
            ' where castsource = ''numeric''::regtype and casttarget = %L::regtype',
            format('pg_catalog.redshift_%s(numeric, integer, boolean)', kind), kind);
    end loop;
end $$;
update pg_cast set castfunc = 'pg_catalog.redshift_numeric(numeric, integer, boolean)'::regprocedure
where castsource = 'numeric'::regtype and casttarget = 'numeric'::regtype;

-- Texts are counted in bytes, and a CHAR has no character of more than one
-- (https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html).
create function pg_catalog.redshift_shortened(value text, bytes integer, asked boolean) returns text
language plpgsql immutable strict as $$
begin
    if not asked and octet_length(rtrim(value, ' ')) > bytes then
        raise exception using errcode = '22001', message = 'value too long for type character varying(' || bytes || ')';
    end if;
    value := left(value, bytes);
    while octet_length(value) > bytes loop
        value := left(value, -1);
    end loop;
    return value;
end $$;
create function pg_catalog.redshift_bytes(varchar, integer, boolean) returns varchar language sql immutable strict
return case when octet_length($1) <= $2 - 4 then $1 else redshift_shortened($1, $2 - 4, $3)::varchar end;
create function pg_catalog.redshift_padded(bpchar, integer, boolean) returns bpchar language plpgsql immutable strict as $$
begin
    if not $3 and octet_length($1::text) > char_length($1::text) then
        raise exception using errcode = '22001', message = 'CHAR string contains invalid ASCII character';
    end if;
    return pg_catalog.bpchar($1, $2, $3);
end $$;
update pg_cast set castfunc = 'pg_catalog.redshift_bytes(varchar, integer, boolean)'::regprocedure
where castsource = 'varchar'::regtype and casttarget = 'varchar'::regtype;
update pg_cast set castfunc = 'pg_catalog.redshift_padded(bpchar, integer, boolean)'::regprocedure
where castsource = 'bpchar'::regtype and casttarget = 'bpchar'::regtype;

-- A boolean is no text (https://docs.aws.amazon.com/redshift/latest/dg/r_TRY_CAST.html lists what it is).
create function pg_catalog.redshift_no_text(boolean) returns text language plpgsql immutable as $$
begin
    raise exception using errcode = '42846', message = 'cannot cast type boolean to character varying';
end $$;
update pg_cast set castfunc = 'pg_catalog.redshift_no_text(boolean)'::regprocedure
where castsource = 'boolean'::regtype and casttarget in ('text'::regtype, 'varchar'::regtype, 'bpchar'::regtype);
