{#- After every run: each group has its rights on what there is now, and on what this login will make there. Only what
    lacks is granted, so that runs side by side don't meet in the catalogue. -#}
{% macro grant_roles() -%}
    {{ return('' if flags.WHICH == 'compile' else adapter.dispatch('grant_roles', 'adstar')()) }}
{%- endmacro %}

{% macro warn_of_missing_roles(present) -%}
    {%- for name in roles() | map('first') | unique if name not in present -%}
        {%- do exceptions.warn(
            "there is no role " ~ name ~ ", and this login may not make it: have an administrator run"
            ~ " `create role " ~ name ~ "`, then build again"
        ) -%}
    {%- endfor -%}
{%- endmacro %}

{#- Tables of `ops` in which a right would undo what they are for: who has asked for whom, and what was changed. -#}
{% macro books_of_others() -%}
    {{ return(['privacy_audit', 'ddl_steps']) }}
{%- endmacro %}

{% macro default__grant_roles() -%}
    {%- if execute -%}
        {%- do warn_of_missing_roles(run_query('select rolname from pg_roles').columns[0].values()) -%}
    {%- endif %}
    do $roles$
    declare
        granted record;
        relation record;
        wanted text;
    begin
        for granted in
            select rights.*, spaces.oid as space, spaces.nspname from (values
                {%- for name, schemas, on_schema, on_tables in roles() %}
                (
                    '{{ name }}', '{{ schemas }}',
                    array['{{ on_schema | join("', '") }}'], array['{{ on_tables | join("', '") }}']
                ){{ ',' if not loop.last }}
                {%- endfor %}
            ) as rights (role_name, schemas, on_schema, on_tables)
            join pg_roles on pg_roles.rolname = rights.role_name
            join pg_namespace as spaces on spaces.nspname ~ rights.schemas
        loop
            begin
                foreach wanted in array granted.on_schema loop
                    if not has_schema_privilege(granted.role_name, granted.space, wanted) then
                        execute format('grant %s on schema %I to %I', wanted, granted.nspname, granted.role_name);
                    end if;
                end loop;
                for relation in
                    select pg_class.oid, pg_class.relname from pg_class
                    where pg_class.relnamespace = granted.space
                        and pg_class.relkind in ('r', 'p', 'v', 'm')
                        and (
                            granted.nspname <> 'ops'
                            or pg_class.relname not in ('{{ books_of_others() | join("', '") }}')
                        )
                loop
                    foreach wanted in array granted.on_tables loop
                        if not has_table_privilege(granted.role_name, relation.oid, wanted) then
                            execute format(
                                'grant %s on %I.%I to %I', wanted, granted.nspname, relation.relname, granted.role_name
                            );
                        end if;
                    end loop;
                end loop;
                -- A table that is built anew is another one: nobody shall wait for the end of the run to read it.
                if granted.nspname <> 'ops' and not exists (
                    select from pg_default_acl
                    where defaclrole = current_user::regrole and defaclnamespace = granted.space
                        and defaclacl::text like '%' || granted.role_name || '=%'
                ) then
                    execute format(
                        'alter default privileges in schema %I grant %s on tables to %I',
                        granted.nspname, array_to_string(granted.on_tables, ', '), granted.role_name
                    );
                end if;
            exception
                -- What another login owns, that one grants.
                when insufficient_privilege then null;
            end;
        end loop;
        foreach wanted in array array['adstar_loader', 'adstar_transformer'] loop
            -- Both make schemas of their own.
            if exists (select from pg_roles where rolname = wanted)
                and not has_database_privilege(wanted, current_database(), 'create')
            then
                begin
                    execute format('grant create on database %I to %I', current_database(), wanted);
                exception
                    when insufficient_privilege then null;
                end;
            end if;
        end loop;
        if exists (select from pg_roles where rolname = 'adstar_auditor')
            and to_regprocedure('ops.privacy_reveal(text, text)') is not null
            and not has_function_privilege('adstar_auditor', 'ops.privacy_reveal(text, text)', 'execute')
        then
            begin
                grant usage on schema ops to adstar_auditor;
                grant select on ops.privacy_audit to adstar_auditor;
                grant execute on function ops.privacy_reveal(text, text) to adstar_auditor;
            exception
                when insufficient_privilege then null;
            end;
        end if;
    end $roles$
{%- endmacro %}

{% macro redshift__grant_roles() -%}
    {%- set statements = [] -%}
    {%- if execute -%}
        {%- set present = run_query('select role_name from svv_roles').columns[0].values() -%}
        {%- do warn_of_missing_roles(present) -%}
        {%- set spaces = run_query('select nspname from pg_namespace').columns[0].values() -%}
        {%- set books = run_query(
            "select tablename from pg_tables where schemaname = 'ops' order by tablename"
        ).columns[0].values() | reject('in', books_of_others()) | list -%}
        {%- for name, schemas, on_schema, on_tables in roles() if name in present -%}
            {%- for space in spaces if modules.re.match(schemas, space) -%}
                {%- set tables = 'ops.' ~ books | join(', ops.') if space == 'ops' else 'all tables in schema ' ~ space -%}
                {%- do statements.append(
                    'grant ' ~ on_schema | join(', ') ~ ' on schema ' ~ space ~ ' to role ' ~ name
                ) -%}
                {%- if space != 'ops' or books -%}
                    {%- do statements.append('grant ' ~ on_tables | join(', ') ~ ' on ' ~ tables ~ ' to role ' ~ name) -%}
                {%- endif -%}
            {%- endfor -%}
        {%- endfor -%}
    {%- endif -%}
    {{ statements | join(';\n') }}
{%- endmacro %}
