"""scripts/ddl for Redshift: its statements, and drift as its catalogue tells it."""

from __future__ import annotations

import secrets
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import _ddl
import pytest
from _changes import catalog as ddl_catalog
from _changes import steps as ddl_steps
from _changes.facts import Engine, Member, Role, There, quoted

from loaders._core.warehouse import Target, resolve
from tests.deploy.ddl_bench import INDEX, NO_DRIFT, ONE, SALES, Bench, run

IDENTITY = "identity_id integer, identity_name text, identity_type text"
SCOPED = f"privilege_type text, {IDENTITY}, admin_option boolean, privilege_scope text"
VIEWS = {
    "svv_roles": "role_id integer, role_name text, role_owner text, external_id text",
    "svv_database_privileges": f"database_name text, {SCOPED}",
    "svv_schema_privileges": f"namespace_name text, {SCOPED}",
    "svv_relation_privileges": (
        f"namespace_name text, relation_name text, privilege_type text, {IDENTITY}, admin_option boolean"
    ),
    "svv_column_privileges": (
        f"namespace_name text, relation_name text, column_name text, privilege_type text, {IDENTITY}"
    ),
    "svv_default_privileges": (
        "schema_name text, object_type text, owner_id integer, owner_name text, owner_type text,"
        " privilege_type text, grantee_id integer, grantee_name text, grantee_type text, admin_option boolean"
    ),
    "svv_user_grants": (
        "user_id integer, user_name text, role_id integer, role_name text, admin_option boolean"
    ),
    "svv_role_grants": "role_id integer, role_name text, granted_role_id integer, granted_role_name text",
}
"""Columns and types as on AWS' pages, which ddl_catalog.py names."""


@pytest.fixture
def renamed(target: Target) -> Target:
    """A Postgres under Redshift's name, with tables in place of the views that Redshift's catalogue has."""
    for name, columns in VIEWS.items():
        run(target, f"create table {name} ({columns})")
    run(
        target,
        "create function getdate() returns timestamp language sql as"
        " $$ select date_trunc('second', clock_timestamp() at time zone 'UTC') $$",
    )
    return replace(target, kind="redshift")


def sales(kind: str, tmp_path: Path) -> tuple[list[Any], Engine]:
    (tmp_path / "010-sales.yml").write_text(SALES.replace("_ROLE", ""))
    steps = ddl_steps.load(tmp_path)
    return steps, Engine(kind, "dev", steps[-1].after.roles)


def test_the_statements_for_redshift(tmp_path: Path) -> None:
    steps, engine = sales("redshift", tmp_path)
    there = There(tables=frozenset({"archive.old", "archive.secret"}))
    assert [sql for step in steps for sql in step.statements(engine, there)] == [
        "create schema if not exists sales",
        "create schema if not exists archive",
        "create role reader",
        "create role writer",
        "grant create on database dev to role writer",
        "grant usage, create on schema sales, archive to role writer",
        "grant usage on schema sales, archive to role reader",
        "grant select, insert for tables in schema sales to role writer",
        "grant select, insert for tables in schema archive to role writer",
        "grant select for tables in schema sales to role reader",
        "grant select on all tables in schema archive to role reader",
        "revoke all on archive.secret from role reader",
        "grant role reader to ann",
        "alter user ann set search_path to sales, archive",
    ]
    back = [sql for step in reversed(steps) for sql in step.rollback(engine, There(steps[-1].after.roles))]
    assert back[:2] == ["alter user ann reset search_path", "revoke role reader from ann"]
    assert "revoke select for tables in schema sales from role reader" in back
    assert back[-4:] == [
        "drop role writer",
        "drop role reader",
        "drop schema if exists archive",
        "drop schema if exists sales",
    ]


def test_names_that_need_quotes_have_them() -> None:
    engine = Engine("redshift", "dev", frozenset({"reader"}))
    assert [quoted(name) for name in ("ann", "Ann", "ann.b@example.com", 'a"b', "order", "2nd")] == [
        "ann", '"Ann"', '"ann.b@example.com"', '"a""b"', '"order"', '"2nd"'
    ]  # fmt: skip
    assert [engine.party(name) for name in ("public", "reader", "IAM:ann", "group all")] == [
        "public", "role reader", '"IAM:ann"', 'group "all"'
    ]  # fmt: skip


def schema_right(scope: str, schema: str, right: str, role: str) -> str:
    values = f"'{schema}', '{right}', 7, '{role}', 'role', false, '{scope}'"
    return f"insert into svv_schema_privileges values ({values})"


def table_right(table: str, right: str, name: str, kind: str = "role") -> str:
    values = f"'{table.replace('.', chr(39) + ', ' + chr(39))}', '{right}', 7, '{name}', '{kind}', false"
    return f"insert into svv_relation_privileges values ({values})"


def database_right(database: str, right: str, name: str, kind: str) -> str:
    values = f"'{database}', '{right}', 7, '{name}', '{kind}', false, 'DATABASE'"
    return f"insert into svv_database_privileges values ({values})"


def member(user: str, role: str) -> str:
    return f"insert into svv_user_grants (user_name, role_name) values ('{user}', '{role}')"


def declare(renamed: Target) -> None:
    """The catalogue has what SALES says."""
    run(renamed, "drop schema if exists another", "alter role ann set search_path to sales, archive")
    run(renamed, *(f"delete from {name}" for name in VIEWS))
    run(
        renamed,
        "insert into svv_roles (role_name) values ('reader'), ('writer'), ('sys:dba')",
        database_right(renamed.database, "CREATE", "writer", "role"),
        database_right(renamed.database, "TEMP", "public", "public"),
        database_right("another", "CREATE", "bob", "user"),
        *(schema_right("SCHEMA", schema, "USAGE", "reader") for schema in ("sales", "archive")),
        *(
            schema_right(scope, schema, right, "writer")
            for schema in ("sales", "archive")
            for scope, right in (
                ("SCHEMA", "USAGE"),
                ("SCHEMA", "CREATE"),
                ("TABLES", "SELECT"),
                ("TABLES", "INSERT"),
            )
        ),
        schema_right("TABLES", "sales", "SELECT", "reader"),
        table_right("archive.old", "SELECT", "reader"),
        # dbt gives rights table by table: no more than what is declared. An owner's are not granted.
        table_right("sales.orders", "SELECT", "reader"),
        table_right("sales.orders", "DROP", renamed.user, "user"),
        table_right("pg_catalog.pg_class", "SELECT", "public", "public"),
        member("ann", "reader"),
        member("bob", "sys:dba"),
    )


def test_drift_is_read_from_redshifts_views(renamed: Target, tmp_path: Path) -> None:
    steps, engine = sales("redshift", tmp_path)
    engine = replace(engine, roles=engine.roles | {"sys:dba"})
    run(renamed, "create schema sales", "create schema archive", "create table sales.orders (id int)")
    run(renamed, "create table archive.old (id int)", "create table archive.secret (id int)")
    run(renamed, "create role ann login")
    database = renamed.database
    removed = {
        "delete from svv_schema_privileges where privilege_scope = 'TABLES' and identity_name = 'reader'": (
            "grant select for tables in schema sales to role reader"
        ),
        "delete from svv_schema_privileges where namespace_name = 'sales' and privilege_type = 'CREATE'": (
            "grant create on schema sales to role writer"
        ),
        "delete from svv_relation_privileges where relation_name = 'old'": (
            'grant select on archive."old" to role reader'
        ),
        "delete from svv_user_grants where user_name = 'ann'": "grant role reader to ann",
        "delete from svv_database_privileges where identity_name = 'writer'": (
            f"grant create on database {database} to role writer"
        ),
        "delete from svv_roles where role_name = 'writer'": "create role writer",
        "alter role ann reset search_path": "alter user ann set search_path to sales, archive",
    }
    made = {
        table_right("archive.secret", "SELECT", "reader"): "revoke select on archive.secret from role reader",
        table_right("sales.orders", "SELECT", "bob", "user"): "revoke select on sales.orders from bob",
        table_right("sales.orders", "SELECT", "etl", "group"): "revoke select on sales.orders from group etl",
        "insert into svv_column_privileges values"
        " ('sales', 'orders', 'id', 'SELECT', 0, 'public', 'public')": (
            "revoke select (id) on sales.orders from public"
        ),
        schema_right("TABLES", "archive", "DELETE", "reader"): (
            "revoke delete for tables in schema archive from role reader"
        ),
        "insert into svv_default_privileges values"
        " ('sales', 'RELATION', 1, 'etl', 'user', 'SELECT', 9, 'bob', 'user', false)": (
            "alter default privileges for user etl in schema sales revoke select on tables from bob"
        ),
        member("bob", "reader"): "revoke role reader from bob",
        "insert into svv_role_grants (role_name, granted_role_name) values ('reader', 'sys:dba')": (
            'revoke role "sys:dba" from role reader'
        ),
        database_right(database, "CREATE", "bob", "user"): f"revoke create on database {database} from bob",
        "create schema another": "drop schema if exists another",
    }

    def drift() -> tuple[list[str], list[str]]:
        with closing(renamed.connect()) as connection, connection.cursor() as cursor:
            found = ddl_catalog.read(renamed, cursor)
        told = ddl_catalog.compare(
            replace(engine, database=database), found, steps[-1].after, steps[-1].after
        )
        return [change.sql for change in told.missing], [change.sql for change in told.unknown]

    try:
        declare(renamed)
        assert drift() == ([], [])
        for sql, mends in removed.items():
            run(renamed, sql)
            assert drift() == ([mends], [])
            declare(renamed)
        for sql, mends in made.items():
            run(renamed, sql)
            assert drift() == ([], [mends])
            declare(renamed)
    finally:
        run(renamed, "drop role ann")


def test_steps_are_applied_and_noted_as_redshift_can(
    renamed: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bookkeeping, lock and order; only statements that Postgres knows, too."""
    monkeypatch.setattr(_ddl.warehouse, "ensure_started", lambda _: renamed)
    ddl = Bench(renamed, tmp_path, "")
    ddl.write(
        ONE.format("010-sales", "sales")
        + """
- id: 020-table
  owner: data platform
  reason: Orders go there.
  rollback: drop table sales.orders
  sql: {postgres: select 1 / 0, redshift: create table sales.orders (id int)}

- id: 030-vacuum
  owner: data platform
  reason: It has grown.
  rollback: {impossible: what is vacuumed stays vacuumed}
  transaction: false
  sql: {redshift: vacuum sales.order_s}
"""
    )
    told = ddl("apply", code=1)
    assert "applied 020-table" in told
    assert "030-vacuum: statement 1 of 1 (`vacuum sales.order_s`): relation" in told
    run(renamed, "create table sales.order_s (a int)")
    ddl("apply")
    assert ddl.noted() == [("010-sales", "applied"), ("020-table", "applied")] + [
        ("030-vacuum", outcome) for outcome in ("begun", "failed", "begun", "applied")
    ]
    assert "3 applied, 0 to apply" in ddl("plan")


# ---- on the stand-in

# Views that AWS documents and the stand-in lacks.
GIVEN = """
    a.privilege_type::text as privilege_type, a.grantee as identity_id,
    coalesce(r.rolname::text, 'public') as identity_name,
    case when a.grantee = 0 then 'public' when r.rolcanlogin then 'user' else 'role' end as identity_type
"""
LACKING = {
    "svv_database_privileges": f"""
        select d.datname::text as database_name, {GIVEN}, a.is_grantable as admin_option,
            'DATABASE'::text as privilege_scope
        from pg_database d, aclexplode(d.datacl) a left join pg_roles r on r.oid = a.grantee
        where a.grantee <> d.datdba
    """,
    "svv_column_privileges": f"""
        select n.nspname::text as namespace_name, c.relname::text as relation_name,
            t.attname::text as column_name, {GIVEN}
        from pg_attribute t join pg_class c on c.oid = t.attrelid
        join pg_namespace n on n.oid = c.relnamespace, aclexplode(t.attacl) a
        left join pg_roles r on r.oid = a.grantee
        where not t.attisdropped and n.nspname not like 'pg\\_%'
    """,
}


def test_steps_are_applied_undone_and_watched_on_the_stand_in(
    redshift: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All but rights on later tables (`for tables in schema`), which it does not know."""
    run(redshift, "select 1")  # it gets its catalogue with its first connection
    beneath = replace(resolve("postgres"), database=redshift.database)
    for name, sql in LACKING.items():
        if run(beneath, f"select to_regclass('pg_catalog.{name}')") == [(None,)]:
            run(beneath, "set allow_system_table_mods = on", f"create view pg_catalog.{name} as {sql}",
                f"grant select on pg_catalog.{name} to public")  # fmt: skip
    monkeypatch.setenv("ADSTAR_TARGET", "redshift")
    ddl = Bench(redshift, tmp_path, secrets.token_hex(4))
    reader, writer, ann, bob = (f"{name}_{ddl.suffix}" for name in ("reader", "writer", "ann", "bob"))
    run(beneath, f"create role {ann} login", f"create role {bob} login")
    ddl.write(INDEX.replace("070-table", "001-table").replace("080-index", "002-vacuum"), "001-orders.yml")
    ddl.write(
        SALES.replace("made_by: [writer_ROLE]", "except: [secret]").replace(
            "on_tables: [select, insert]", "on_tables: [select, insert]\n      except: [secret]"
        ),
        "010-sales.yml",
    )
    run(redshift, "create schema sales")
    try:
        told = ddl("plan")
        assert "-- in no transaction\nvacuum sort only sales.orders;\n" in told
        assert f"grant usage, create on schema sales, archive to role {writer};\n" in told
        ddl("apply")
        assert ddl("drift") == NO_DRIFT
        assert "8 applied, 0 to apply" in ddl("plan", "--exit-code")
        assert ddl.noted()[:3] == [
            ("001-table", "applied"),
            ("002-vacuum", "begun"),
            ("002-vacuum", "applied"),
        ]
        for by_hand, named in {
            f"grant role {writer} to {bob}": f"by hand: {bob} in {writer}",
            f"revoke role {reader} from {ann}": f"missing: {ann} in {reader}",
            f"grant select on sales.orders to {bob}": f"by hand: {bob}: select on sales.orders",
            f"revoke usage on schema sales from role {reader}": f"missing: {reader}: usage on schema sales",
            f"alter user {ann} set search_path to public": f"missing: search path of {ann}: sales, archive",
        }.items():
            run(redshift, by_hand)
            assert f"-- {named}\n" in ddl("drift", code=3)
            ddl("mend")
            assert ddl("drift") == NO_DRIFT
        ddl.write(ONE.format("070-fails", "later").replace("schemas: [later]", "sql: select nothing")
                  .replace("reverse", "select 1"), "070-fails.yml")  # fmt: skip
        assert "070-fails: statement 1 of 1" in ddl("apply", code=1)
        assert ddl.noted()[-1] == ("070-fails", "failed")
        for step in ("060-others", "050-people", "040-paths", "030-rights", "020-roles"):
            ddl("rollback", step)
        assert not {Role(reader), Role(writer), Member(reader, ann)} & ddl.facts()
    finally:
        for name in (reader, writer, ann, bob):
            if run(beneath, f"select 1 from pg_roles where rolname = '{name}'"):
                run(beneath, f"drop owned by {name}", f"drop role {name}")
