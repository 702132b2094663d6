"""The four groups: what each of them reads and writes, seen by logging in as one of its members."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import psycopg2
import pytest

from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.ops import Books
from loaders._core.privacy import books as privacy_books
from loaders._core.privacy.command import reveal
from loaders._core.privacy.values import Key, Personal
from loaders._core.warehouse import Target
from tests import resident
from tests.conftest import PRIVACY_KEY, database

EMAIL = "someone@example.com"
PSEUDONYM = Key(PRIVACY_KEY).pseudonym(Personal.EMAIL, EMAIL) or ""
GROUPS = ("loader", "transformer", "analyst", "auditor")
READABLE = {
    "raw_shop.users": {"loader", "transformer"},
    "ops.commits": {"loader", "transformer"},
    "ops.tombstones": {"loader", "transformer"},
    "ops.privacy_audit": {"auditor"},
    "ops.ddl_steps": set(),
    "staging.users": {"transformer"},
    "test_failures.found": {"transformer"},
    "marts.dim_user": {"transformer", "analyst", "auditor"},
    "marts.dim_later": {"transformer", "analyst", "auditor"},
    "reports.rpt_roas": {"transformer", "analyst", "auditor"},
}
WRITABLE = {
    "raw_shop.users": {"loader"},
    "ops.commits": {"loader"},
    "ops.privacy_audit": set(),
    "ops.ddl_steps": set(),
    "staging.users": {"transformer"},
    "marts.dim_user": {"transformer"},
}


def run(target: Target, sql: str) -> list[tuple[Any, ...]]:
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


def apply(target: Target) -> str:
    who = {"ADSTAR_POSTGRES_USER": target.user, "ADSTAR_POSTGRES_PASSWORD": target.password}
    code, told = resident.dbt(["--no-use-colors", "run-operation", "apply_roles"], os.environ | who)
    assert code == 0, told
    return told


@pytest.fixture(scope="module")
def logins(
    server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Target]]:
    """A warehouse with a table in each layer, and a member of each group, logged in; ``owner`` made all."""
    with pytest.MonkeyPatch.context() as patch:
        made = database(server, patch, tmp_path_factory.mktemp("roles"))
        target = next(made)
        books = Books(target, "shop")
        books.prepare()
        books.close()
        with closing(target.connect()) as connection, connection.cursor() as cursor:
            privacy_books.prepare(cursor)
            privacy_books.declare(cursor, "shop", {"users": {"email": Personal.EMAIL}})
        for schema in ("staging", "marts", "reports", "test_failures"):
            run(target, f"create schema {schema}")
        run(target, "create table ops.ddl_steps (id text)")
        run(target, "create table raw_shop.users (email text, email__pseudonym text)")
        run(target, f"insert into raw_shop.users values ('{EMAIL}', '{PSEUDONYM}')")
        for table in ("staging.users", "test_failures.found", "marts.dim_user"):
            run(target, f"create table {table} as select * from raw_shop.users")
        run(target, "create view reports.rpt_roas as select email__pseudonym from marts.dim_user")
        apply(target)
        run(target, "create table marts.dim_later (a int)")  # A table built since.
        found = {"owner": target}
        password, suffix = secrets.token_hex(8), secrets.token_hex(4)
        for group in (*GROUPS, "stranger"):
            user = f"{group}_{suffix}"
            run(target, f"create role {user} login password '{password}'")
            if group != "stranger":
                run(target, f"grant adstar_{group} to {user}")
            found[group] = replace(target, user=user, password=password)
        yield found
        next(made, None)
        for name in (*GROUPS, "stranger"):
            with closing(server.connect("postgres")) as connection, connection.cursor() as cursor:
                cursor.execute(f"drop role {found[name].user}")
                connection.commit()


def may(target: Target, sql: str) -> bool:
    try:
        run(target, sql)
    except psycopg2.errors.InsufficientPrivilege:
        return False
    return True


@pytest.mark.parametrize("table", READABLE)
def test_a_table_is_read_by_whom_it_is_for_and_nobody_else(logins: dict[str, Target], table: str) -> None:
    readers = {group for group in (*GROUPS, "stranger") if may(logins[group], f"select * from {table}")}
    assert readers == READABLE[table]


@pytest.mark.parametrize("table", WRITABLE)
def test_a_table_is_written_by_whom_it_is_for_and_nobody_else(logins: dict[str, Target], table: str) -> None:
    for verb in ("delete from {} where false", "insert into {} select * from {} where false"):
        writers = {group for group in (*GROUPS, "stranger") if may(logins[group], verb.format(table, table))}
        assert writers == WRITABLE[table]


def test_only_auditors_reveal_and_it_is_noted_under_their_name(logins: dict[str, Target]) -> None:
    assert reveal(logins["auditor"], PSEUDONYM, "ticket 7: a chargeback") == EMAIL
    audit = "select who, reason, pseudonym, column_name from ops.privacy_audit"
    assert run(logins["auditor"], audit) == [
        (logins["auditor"].user, "ticket 7: a chargeback", PSEUDONYM, "raw_shop.users.email")
    ]
    for group in ("loader", "transformer", "analyst", "stranger"):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            reveal(logins[group], PSEUDONYM, "ticket 7: a chargeback")
    assert len(run(logins["auditor"], audit)) == 1


def test_what_is_granted_is_not_granted_again(logins: dict[str, Target]) -> None:
    grants = "select count(*), max(xmin::text::bigint) from pg_class where relacl is not null"
    before = run(logins["owner"], grants)
    apply(logins["owner"])
    assert run(logins["owner"], grants) == before


def test_a_login_that_may_not_make_roles_is_told_which_lack_and_goes_on(logins: dict[str, Target]) -> None:
    run(logins["owner"], "alter role adstar_auditor rename to adstar_hidden")
    try:
        said = apply(logins["transformer"])
    finally:
        run(logins["owner"], "alter role adstar_hidden rename to adstar_auditor")
    assert "there is no role adstar_auditor" in said
    assert "have an administrator run `create role adstar_auditor`" in said
    assert "no role adstar_analyst" not in said
