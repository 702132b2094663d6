{#- Before every run: the four groups exist, where this login may make roles. Logins are made by whoever runs the
    warehouse, and put into them: `grant adstar_analyst to ann`. -#}
{% macro create_roles() -%}
    {{ return('' if flags.WHICH == 'compile' else adapter.dispatch('create_roles', 'adstar')()) }}
{%- endmacro %}

{% macro default__create_roles() -%}
    do $roles$
    declare
        wanted text;
    begin
        foreach wanted in array array['{{ roles() | map('first') | unique | join("', '") }}'] loop
            if not exists (select from pg_roles where rolname = wanted) then
                begin
                    execute format('create role %I nologin', wanted);
                exception
                    -- Another run may make it at the same moment; grant_roles says which could not be made.
                    when insufficient_privilege or duplicate_object or unique_violation then null;
                end;
            end if;
        end loop;
    end $roles$
{%- endmacro %}

{% macro redshift__create_roles() -%}
    {%- set present = run_query('select role_name from svv_roles').columns[0].values() if execute else [] -%}
    {%- set statements = [] -%}
    {%- for name in roles() | map('first') | unique if name not in present and var('makes_roles') -%}
        {%- do statements.append('create role ' ~ name) -%}
    {%- endfor -%}
    {{ statements | join(';\n') }}
{%- endmacro %}
