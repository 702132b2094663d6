"""What the two engines do differently; all other SQL of publishing is taken by both.

Redshift has no advisory locks, no ``nowait``, no ``lock_timeout`` and no savepoints: a lock is waited for
until the statement is cancelled. Its readers see the rows that were committed while rows are written, and
wait while a table is altered. Sources: the pages LOCK, DELETE, CREATE TABLE, ALTER TABLE,
SVV_RELATION_PRIVILEGES and "Managing concurrent write operations" of the Amazon Redshift Database Developer
Guide.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

from _publishing import PublishError
from _publishing.project import Relation
from loaders._core.warehouse import Target

PATIENCE_SECONDS = 120
"""How long a change of definitions waits for those who read."""
QUEUE_MILLISECONDS = 800
"""How long others wait behind such a wait before it steps aside: less than Postgres' `deadlock_timeout`, 1 s.
A reader who holds what is waited for, and comes to what is held already, could else be the one who is ended.
"""

Locked = (psycopg2.errors.LockNotAvailable, psycopg2.errors.QueryCanceled)


@dataclass(frozen=True)
class Found:
    """A relation of the catalogue: is it a view, and the type of each column."""

    is_view: bool
    columns: dict[str, str]


class Engine:
    """What both do, and the rest as Redshift does it."""

    def __init__(self, target: Target) -> None:
        self.target = target

    def connect(self) -> Any:
        """A connection whose statements may take their time."""
        connection = self.target.connect()
        with connection.cursor() as cursor:
            cursor.execute("set statement_timeout to 0")
        return connection

    def lock(self, cursor: Any, table: Relation) -> None:
        """Lock a table against others that lock it, until the transaction ends.

        Raises:
            Locked: somebody else holds it.
        """
        cursor.execute("set statement_timeout to 3000")
        cursor.execute(f"lock table {table}")
        cursor.execute("set statement_timeout to 0")

    def tune(self, cursor: Any) -> None:
        """Settings for one transaction that compares whole tables."""

    def patiently(self, cursor: Any, statements: Sequence[str], relations: Iterable[Relation]) -> None:
        """Run statements that need these relations for themselves, once nobody reads them.

        Raises:
            PublishError: somebody reads for longer than ``PATIENCE_SECONDS``; names who, where that is known.
        """
        try:
            cursor.execute(f"set statement_timeout to {PATIENCE_SECONDS * 1000}")
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("set statement_timeout to 0")
        except Locked:
            raise _in_use(relations, "svv_transactions says by whom") from None

    def copy_definition(self, new: Relation, old: Relation) -> str:
        """A statement that makes a table with the columns, keys and NOT NULLs of another one."""
        return f"create table {new} (like {old} including defaults)"

    def readers(self, cursor: Any, relation: Relation) -> list[str]:
        """Who was granted to read a relation, as ``grant`` wants them named."""
        cursor.execute(
            "select identity_type, identity_name from svv_relation_privileges"
            " where privilege_type = 'SELECT' and namespace_name = %s and relation_name = %s",
            [relation.schema, relation.name],
        )
        kinds = {"user": "", "role": "role ", "group": "group "}
        return [
            "public" if kind == "public" else f'{kinds[kind]}"{name}"' for kind, name in cursor.fetchall()
        ]

    def settle(self, cursor: Any, side: Relation, live: Relation) -> None:
        """After rows were carried over: what queries need to stay fast. Outside of the transaction."""
        cursor.execute(f"analyze {live}")

    def catalogue(self, cursor: Any, schemas: Iterable[str]) -> dict[Relation, Found]:
        """All tables and views of some schemas."""
        cursor.execute(
            "select n.nspname, c.relname, c.relkind, a.attname, format_type(a.atttypid, a.atttypmod)"
            " from pg_namespace as n join pg_class as c on c.relnamespace = n.oid"
            " join pg_attribute as a on a.attrelid = c.oid"
            " where n.nspname in %s and c.relkind in ('r', 'v') and a.attnum > 0 and not a.attisdropped"
            " order by 1, 2, a.attnum",
            [tuple(schemas)],
        )
        found: dict[Relation, Found] = {}
        for schema, name, kind, column, type_name in cursor.fetchall():
            relation = found.setdefault(Relation(schema, name), Found(kind == "v", {}))
            relation.columns[column] = type_name
        return found


class Postgres(Engine):
    """As Postgres does it."""

    def connect(self) -> Any:
        """As above; a transaction may be idle while dbt builds."""
        connection = super().connect()
        with connection.cursor() as cursor:
            cursor.execute("set lock_timeout to 0")
            cursor.execute("set idle_in_transaction_session_timeout to 0")
        return connection

    def lock(self, cursor: Any, table: Relation) -> None:
        """At once or not at all; reading stays possible."""
        cursor.execute(f"lock table {table} in exclusive mode nowait")

    def tune(self, cursor: Any) -> None:
        """Sorting rows of many columns costs several times what hashing them does."""
        cursor.execute("set local work_mem = '64MB'")
        cursor.execute("set local enable_sort = off")

    def patiently(self, cursor: Any, statements: Sequence[str], relations: Iterable[Relation]) -> None:
        """Steps aside again and again: who comes to read while it waits would have to wait behind it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            cursor.execute("savepoint before_definitions")
            aside = time.monotonic() + QUEUE_MILLISECONDS / 1000
            try:
                for statement in statements:
                    left = max(20, int((aside - time.monotonic()) * 1000))
                    cursor.execute(f"set local lock_timeout = {left}")
                    cursor.execute(statement)
            except (*Locked, psycopg2.errors.DeadlockDetected):
                cursor.execute("rollback to savepoint before_definitions")
                if time.monotonic() > deadline:
                    raise _in_use(relations, self._holders(cursor, relations)) from None
                time.sleep(1)
            else:
                cursor.execute("set local lock_timeout = 0")
                return

    def copy_definition(self, new: Relation, old: Relation) -> str:
        """With its indexes."""
        return f"create table {new} (like {old} including all)"

    def readers(self, cursor: Any, relation: Relation) -> list[str]:
        """From the standard's own view."""
        cursor.execute(
            "select grantee from information_schema.role_table_grants where privilege_type = 'SELECT'"
            " and table_schema = %s and table_name = %s and grantee <> current_user",
            [relation.schema, relation.name],
        )
        return ["public" if name == "PUBLIC" else f'"{name}"' for (name,) in cursor.fetchall()]

    def settle(self, cursor: Any, side: Relation, live: Relation) -> None:
        """Also makes the indexes that the model has got since; who reads does not wait for it."""
        wanted, present = ({_index(row[0]) for row in _indexes(cursor, each)} for each in (side, live))
        for definition in wanted - present:
            cursor.execute(definition.format(live))
        super().settle(cursor, side, live)

    def _holders(self, cursor: Any, relations: Iterable[Relation]) -> str:
        cursor.execute(
            "select distinct a.pid, a.usename, a.application_name, a.state from pg_locks as l"
            " join pg_stat_activity as a using (pid) join pg_class as c on c.oid = l.relation"
            " join pg_namespace as n on n.oid = c.relnamespace"
            " where l.granted and l.pid <> pg_backend_pid() and n.nspname || '.' || c.relname in %s",
            [tuple(f"{each.schema}.{each.name}" for each in relations)],
        )
        told = [f"{pid} ({user}, {program or 'unnamed'}, {state})" for pid, user, program, state in cursor]
        return "held by " + (", ".join(told) or "sessions that have ended since")


def engine(target: Target) -> Engine:
    """The engine of a target."""
    return Engine(target) if target.kind == "redshift" else Postgres(target)


def _in_use(relations: Iterable[Relation], told: str) -> PublishError:
    names = ", ".join(f"{each.schema}.{each.name}" for each in relations)
    return PublishError(
        f"a definition changes, and for {PATIENCE_SECONDS} s somebody has been reading {names} ({told});"
        " end those sessions or run it again later"
    )


def _indexes(cursor: Any, relation: Relation) -> list[tuple[str]]:
    cursor.execute(
        "select indexdef from pg_indexes where schemaname = %s and tablename = %s",
        [relation.schema, relation.name],
    )
    return list(cursor.fetchall())


def _index(definition: str) -> str:
    """An index's definition without its own name, and with ``{}`` for its table's."""
    unique = "unique " if definition.startswith("CREATE UNIQUE") else ""
    return f"create {unique}index on {{}} using {definition.partition(' USING ')[2]}"
