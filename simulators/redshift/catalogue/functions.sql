-- Functions that Postgres has not; under the prefix redshift_ those that mean something else there, which
-- `rewrite.OTHERWISE` sends here.

-- Dates and times (https://docs.aws.amazon.com/redshift/latest/dg/Date_functions_header.html).
create function pg_catalog.getdate() returns timestamp language sql stable
return date_trunc('second', statement_timestamp() at time zone 'UTC');
create function pg_catalog.redshift_sysdate() returns timestamp language sql stable
return transaction_timestamp() at time zone 'UTC';
-- Their names of parts (r_Dateparts_for_datetime_functions.html) as Postgres' names.
create function pg_catalog.redshift_datepart(text) returns text language sql immutable strict
return case
    when lower($1) in ('y', 'yr', 'yrs', 'year', 'years') then 'year'
    when lower($1) in ('q', 'qtr', 'qtrs', 'quarter', 'quarters') then 'quarter'
    when lower($1) in ('mon', 'mons', 'month', 'months') then 'month'
    when lower($1) in ('w', 'week', 'weeks') then 'week'
    when lower($1) in ('d', 'day', 'days') then 'day'
    when lower($1) in ('h', 'hr', 'hrs', 'hour', 'hours') then 'hour'
    when lower($1) in ('m', 'min', 'mins', 'minute', 'minutes') then 'minute'
    when lower($1) in ('s', 'sec', 'secs', 'second', 'seconds') then 'second'
    when lower($1) in ('ms', 'msec', 'msecs', 'msecond', 'mseconds', 'millisec', 'millisecs', 'millisecon',
        'millisecond', 'milliseconds') then 'millisecond'
    when lower($1) in ('us', 'usec', 'usecs', 'usecond', 'useconds', 'microsec', 'microsecs', 'microsecond',
        'microseconds') then 'microsecond'
    when lower($1) in ('dow', 'dayofweek', 'dw', 'weekday') then 'dow'
    when lower($1) in ('doy', 'dayofyear', 'dy', 'yearday') then 'doy'
    else lower($1)
end;
create function pg_catalog.redshift_part(text, timestamp) returns bigint language sql immutable strict
return case redshift_datepart($1)
    when 'millisecond' then extract(milliseconds from $2)::bigint % 1000
    when 'microsecond' then extract(microseconds from $2)::bigint % 1000000
    else trunc(date_part(redshift_datepart($1), $2))
end;
create function pg_catalog.redshift_part(text, date) returns bigint language sql immutable strict
return redshift_part($1, $2::timestamp);
create function pg_catalog.redshift_part(text, time) returns bigint language sql immutable strict
return redshift_part($1, date '2000-01-01' + $2);
create function pg_catalog.redshift_part(text, timestamptz) returns double precision language sql stable strict
return redshift_part($1, $2 at time zone 'UTC');
create function pg_catalog.redshift_part(text, interval) returns bigint language sql immutable strict
return trunc(date_part(redshift_datepart($1), $2));
create function pg_catalog.date_part_year(date) returns integer language sql immutable strict
return extract(year from $1);
create function pg_catalog.redshift_span(text, bigint) returns interval language sql immutable strict
return $2 * case redshift_datepart($1)
    when 'year' then interval '1 year' when 'quarter' then interval '3 months' when 'month' then interval '1 month'
    when 'week' then interval '7 days' when 'day' then interval '1 day' when 'hour' then interval '1 hour'
    when 'minute' then interval '1 minute' when 'second' then interval '1 second'
    when 'millisecond' then interval '1 millisecond' when 'microsecond' then interval '1 microsecond'
end;
create function pg_catalog.dateadd(text, bigint, timestamp) returns timestamp language sql immutable strict
return $3 + redshift_span($1, $2);
create function pg_catalog.dateadd(text, bigint, timestamptz) returns timestamptz language sql stable strict
return $3 + redshift_span($1, $2);
create function pg_catalog.dateadd(text, bigint, date) returns timestamp language sql immutable strict
return $3::timestamp + redshift_span($1, $2);
-- Counts the boundaries between, not whole spans; weeks begin on Sunday.
create function pg_catalog.datediff(part text, first timestamp, last timestamp) returns bigint
language sql immutable strict
return case redshift_datepart(part)
    when 'year' then extract(year from last) - extract(year from first)
    when 'quarter' then (extract(year from last) - extract(year from first)) * 4
        + extract(quarter from last) - extract(quarter from first)
    when 'month' then (extract(year from last) - extract(year from first)) * 12
        + extract(month from last) - extract(month from first)
    when 'week' then (date_trunc('week', last + interval '1 day')::date
        - date_trunc('week', first + interval '1 day')::date) / 7
    when 'day' then last::date - first::date
    when 'hour' then extract(epoch from date_trunc('hour', last) - date_trunc('hour', first)) / 3600
    when 'minute' then extract(epoch from date_trunc('minute', last) - date_trunc('minute', first)) / 60
    when 'second' then extract(epoch from date_trunc('second', last) - date_trunc('second', first))
    when 'millisecond' then extract(epoch from date_trunc('milliseconds', last) - date_trunc('milliseconds', first)) * 1000
    when 'microsecond' then extract(epoch from last - first) * 1000000
end;
create function pg_catalog.datediff(text, timestamptz, timestamptz) returns bigint language sql stable strict
return datediff($1, $2 at time zone 'UTC', $3 at time zone 'UTC');
create function pg_catalog.datediff(text, date, date) returns bigint language sql immutable strict
return datediff($1, $2::timestamp, $3::timestamp);
create function pg_catalog.datediff(text, time, time) returns bigint language sql immutable strict
return datediff($1, date '2000-01-01' + $2, date '2000-01-01' + $3);
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
create function pg_catalog.months_between(timestamp, timestamp) returns double precision language sql immutable strict
return case
    when extract(day from $1) = extract(day from $2) or ($1::date = last_day($1) and $2::date = last_day($2))
        then datediff('month', $2, $1)
    else datediff('month', $2, $1) + (
        extract(day from $1) - extract(day from $2) + extract(epoch from $1::time - $2::time) / 86400
    ) / 31
end;
create function pg_catalog.next_day(timestamp, text) returns date language sql immutable strict
return $1::date + 1 + (strpos('sumotuwethfrsa', lower(left($2, 2))) / 2 - extract(dow from $1)::integer + 6) % 7;
create function pg_catalog.to_timestamp(text, text, boolean) returns timestamptz language sql stable strict
return to_timestamp($1, $2);
-- TRUNC of a time is its day (https://docs.aws.amazon.com/redshift/latest/dg/r_TRUNC_date.html).
create function pg_catalog.redshift_trunc(timestamp) returns date language sql immutable strict return $1::date;
create function pg_catalog.redshift_trunc(timestamptz) returns date language sql stable strict return $1::date;
create function pg_catalog.redshift_trunc(numeric) returns numeric language sql immutable strict return trunc($1);
create function pg_catalog.redshift_trunc(numeric, integer) returns numeric language sql immutable strict
return trunc($1, $2);
create function pg_catalog.redshift_trunc(double precision) returns double precision language sql immutable strict
return trunc($1);

-- Whole numbers have a whole average, decimals one of their own scale (https://docs.aws.amazon.com/redshift/latest/dg/r_AVG.html).
create function pg_catalog.redshift_averaged(bigint[]) returns bigint language sql immutable strict
return $1[2] / nullif($1[1], 0);
create aggregate pg_catalog.redshift_avg(smallint) (
    sfunc = int2_avg_accum, stype = bigint[], initcond = '{0,0}', finalfunc = redshift_averaged
);
create aggregate pg_catalog.redshift_avg(integer) (
    sfunc = int4_avg_accum, stype = bigint[], initcond = '{0,0}', finalfunc = redshift_averaged
);
create function pg_catalog.redshift_counted(numeric[], numeric) returns numeric[] language sql immutable strict
return array[$1[1] + 1, $1[2] + $2];
create function pg_catalog.redshift_counted(numeric[], bigint) returns numeric[] language sql immutable strict
return array[$1[1] + 1, $1[2] + $2];
create function pg_catalog.redshift_averaged(numeric[]) returns numeric language sql immutable strict
return trunc($1[2] / nullif($1[1], 0), scale($1[2]));
create function pg_catalog.redshift_averaged_whole(numeric[]) returns bigint language sql immutable strict
return trunc($1[2] / nullif($1[1], 0))::bigint;
create aggregate pg_catalog.redshift_avg(bigint) (
    sfunc = redshift_counted, stype = numeric[], initcond = '{0,0}', finalfunc = redshift_averaged_whole
);
create aggregate pg_catalog.redshift_avg(numeric) (
    sfunc = redshift_counted, stype = numeric[], initcond = '{0,0}', finalfunc = redshift_averaged
);
create aggregate pg_catalog.redshift_avg(double precision) (
    sfunc = float8_accum, stype = double precision[], initcond = '{0,0,0}', finalfunc = float8_avg
);

-- Texts (https://docs.aws.amazon.com/redshift/latest/dg/String_functions_header.html).
create function pg_catalog.redshift_concat(text, text) returns text language sql immutable strict return $1 || $2;
create function pg_catalog.len(text) returns integer language sql immutable strict return char_length($1);
create function pg_catalog.charindex(text, text) returns integer language sql immutable strict
return strpos($2, $1);
create function pg_catalog.octetindex(text, text) returns integer language sql immutable strict
return position(convert_to($1, 'UTF8') in convert_to($2, 'UTF8'));
create function pg_catalog.replicate(text, integer) returns text language sql immutable strict
return repeat($1, $2);
create function pg_catalog.from_hex(text) returns bytea language sql immutable strict return decode($1, 'hex');
create function pg_catalog.db_collation() returns text language sql immutable return 'case_sensitive';
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
create function pg_catalog.redshift_listed(text) returns varchar language plpgsql immutable strict as $$
begin
    if octet_length($1) > 65535 then
        raise exception using errcode = '54000', message = 'Result size exceeds LISTAGG limit';
    end if;
    return $1;
end $$;
-- All matches are replaced; what does not match gives an empty text, not NULL.
create function pg_catalog.redshift_regexp_replace(text, text, text default '', integer default 1, text default '')
returns text language sql immutable strict
return regexp_replace($1, $2, $3, greatest($4, 1), 0, replace($5, 'p', ''));
create function pg_catalog.redshift_regexp_substr(text, text, integer default 1, integer default 1)
returns text language sql immutable strict
return coalesce(regexp_substr($1, $2, $3, $4), '');
-- 'e' asks for the first group.
create function pg_catalog.redshift_regexp_substr(text, text, integer, integer, text) returns text
language sql immutable strict
return coalesce(
    regexp_substr($1, $2, $3, $4, translate($5, 'ep', ''), case when strpos($5, 'e') > 0 then 1 else 0 end), ''
);
create function pg_catalog.redshift_regexp_count(text, text, integer default 1) returns integer
language sql immutable strict
return regexp_count($1, $2, $3);
create function pg_catalog.redshift_regexp_instr(text, text, integer default 1, integer default 1) returns integer
language sql immutable strict
return regexp_instr($1, $2, $3, $4);

-- The session.
create function pg_catalog.redshift_version() returns text language sql immutable
return 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2, Redshift 1.0 stand-in';
create function pg_catalog.pg_last_copy_count() returns bigint language sql stable
return coalesce(nullif(current_setting('redshift.copied', true), ''), '0')::bigint;
-- A refusal is raised here, so that the transaction ends as with any other error.
create function pg_catalog.redshift_refuse(code text, said text, hint text) returns void language plpgsql as $$
begin
    raise exception using errcode = code, message = said, hint = hint;
end $$;
