-- Who may do what: roles' members, rights, and scoped permissions, which Postgres has not.

-- Rights on the tables that a schema has and will have, whoever makes them
-- (https://docs.aws.amazon.com/redshift/latest/dg/t_scoped-permissions.html).
create table pg_catalog.redshift_scopes (
    schema_name text, privilege text, party text, primary key (schema_name, privilege, party)
);
grant select, insert, delete on pg_catalog.redshift_scopes to public;

create function pg_catalog.redshift_scope(verb text, rights text[], schemas text[], parties text[]) returns void
language plpgsql as $$
declare
    given record;
begin
    for given in
        select schema_name, privilege, party
        from unnest(schemas) as schema_name, unnest(rights) as privilege, unnest(parties) as party
    loop
        execute format(
            '%s %s on all tables in schema %I %s %I', verb, given.privilege, given.schema_name,
            case verb when 'grant' then 'to' else 'from' end, given.party);
        if verb = 'grant' then
            insert into pg_catalog.redshift_scopes values (given.schema_name, given.privilege, given.party)
            on conflict do nothing;
        else
            delete from pg_catalog.redshift_scopes as held
            where (held.schema_name, held.privilege, held.party)
                = (given.schema_name, given.privilege, given.party);
        end if;
    end loop;
end $$;

create function pg_catalog.redshift_within_scopes() returns event_trigger
language plpgsql security definer as $$
declare
    given record;
begin
    for given in
        select scopes.privilege, scopes.party, made.objid::regclass as relation
        from pg_event_trigger_ddl_commands() as made
        join pg_class on pg_class.oid = made.objid and pg_class.relkind in ('r', 'v')
        join pg_catalog.redshift_scopes as scopes on scopes.schema_name = pg_class.relnamespace::regnamespace::text
        where made.classid = 'pg_class'::regclass
    loop
        execute format('grant %s on %s to %I', given.privilege, given.relation, given.party);
    end loop;
end $$;
create event trigger redshift_within_scopes on ddl_command_end
when tag in ('CREATE TABLE', 'CREATE TABLE AS', 'SELECT INTO', 'CREATE VIEW')
execute function pg_catalog.redshift_within_scopes();

-- Who may be granted something, as the views below call them.
create view pg_catalog.redshift_parties as
select oid, rolname::text as name, case when rolcanlogin then 'user' else 'role' end as kind from pg_roles
union all select 0, 'public', 'public';

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
    to_whom.name as identity_name, to_whom.kind as identity_type,
    given.is_grantable as admin_option, 'SCHEMA'::text as privilege_scope
from pg_namespace, aclexplode(nspacl) as given
join pg_catalog.redshift_parties as to_whom on to_whom.oid = given.grantee
where given.grantee <> nspowner and nspname not like 'pg\_%'
union all
select
    scopes.schema_name, upper(scopes.privilege), to_whom.oid, to_whom.name, to_whom.kind, false, 'TABLES'
from pg_catalog.redshift_scopes as scopes join pg_catalog.redshift_parties as to_whom on to_whom.name = scopes.party;
create view pg_catalog.svv_database_privileges as
select
    datname::text as database_name, given.privilege_type::text as privilege_type, given.grantee as identity_id,
    to_whom.name as identity_name, to_whom.kind as identity_type,
    given.is_grantable as admin_option, 'DATABASE'::text as privilege_scope
from pg_database, aclexplode(datacl) as given
join pg_catalog.redshift_parties as to_whom on to_whom.oid = given.grantee
where given.grantee <> datdba;
create view pg_catalog.svv_column_privileges as
select
    spaces.nspname::text as namespace_name, tables.relname::text as relation_name,
    columns.attname::text as column_name, given.privilege_type::text as privilege_type,
    given.grantee as identity_id, to_whom.name as identity_name, to_whom.kind as identity_type
from pg_attribute as columns
join pg_class as tables on tables.oid = columns.attrelid
join pg_namespace as spaces on spaces.oid = tables.relnamespace, aclexplode(columns.attacl) as given
join pg_catalog.redshift_parties as to_whom on to_whom.oid = given.grantee
where not columns.attisdropped and spaces.nspname not like 'pg\_%';
-- What a scope gives stands with the scope, not with each table.
create view pg_catalog.svv_relation_privileges as
select
    spaces.nspname::text as namespace_name, tables.relname::text as relation_name,
    given.privilege_type::text as privilege_type, given.grantee as identity_id,
    to_whom.name as identity_name, to_whom.kind as identity_type,
    given.is_grantable as admin_option
from pg_class as tables
join pg_namespace as spaces on spaces.oid = tables.relnamespace, aclexplode(tables.relacl) as given
join pg_catalog.redshift_parties as to_whom on to_whom.oid = given.grantee
where given.grantee <> tables.relowner and spaces.nspname not like 'pg\_%'
    and (spaces.nspname, lower(given.privilege_type), to_whom.name) not in (
        select schema_name, privilege, party from pg_catalog.redshift_scopes
    );
create view pg_catalog.svv_default_privileges as
select
    spaces.nspname::text as schema_name, 'RELATION'::text as object_type, owner.oid as owner_id,
    owner.name as owner_name, owner.kind as owner_type,
    given.privilege_type::text as privilege_type, given.grantee as grantee_id,
    to_whom.name as grantee_name, to_whom.kind as grantee_type,
    given.is_grantable as admin_option
from pg_default_acl as defaults
join pg_namespace as spaces on spaces.oid = defaults.defaclnamespace
join pg_catalog.redshift_parties as owner on owner.oid = defaults.defaclrole, aclexplode(defaults.defaclacl) as given
join pg_catalog.redshift_parties as to_whom on to_whom.oid = given.grantee
where defaults.defaclobjtype = 'r';
