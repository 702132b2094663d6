"""A Postgres database, read in one snapshot, with COPY.

The transaction is ``repeatable read, read only``: everything read belongs to one state, nothing can be
written, and only the lock is taken that every SELECT takes. Each statement has a time limit. A whole table is
read a range of its blocks at a time, so a statement stays short however large the table is.
"""

# ruff: noqa: S608  (what is put into statements are names and literals, quoted)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
from psycopg2 import errors, sql

from loaders._core.archive.tables import Column
from loaders._core.databases.copying import Write
from loaders._core.databases.declared import Address, TableOf, is_time, like
from loaders._core.errors import AccountError, ConfigurationError, VendorError

# Values whose text any Postgres reads back as the same value. What is not here (enums, composites, types of
# extensions) has no such type in the warehouse and lands as text; money's text depends on the server's
# locale.
_KEPT = [
    "bool",
    "int2",
    "int4",
    "int8",
    "float4",
    "float8",
    "numeric",
    "text",
    "varchar",
    "bpchar",
    "uuid",
    "json",
    "jsonb",
    "date",
    "time",
    "timetz",
    "timestamp",
    "timestamptz",
    "interval",
    "bytea",
    "inet",
    "cidr",
    "macaddr",
    "macaddr8",
    "bit",
    "varbit",
]
# Modifiers that only limit a value are left out: the source may widen varchar(50) without a new column.
_LIMITS = ["varchar", "varbit", "time", "timetz", "timestamp", "timestamptz", "interval"]
_COLUMNS = """
with recursive found as (
    select attnum, attname, atttypid as type, atttypmod as modifier from pg_attribute
    where attrelid = %(table)s and attnum > 0 and not attisdropped
    union all
    select attnum, attname, typbasetype, typtypmod from found join pg_type on pg_type.oid = type and
    typtype = 'd'
)
select
    attname,
    format_type(type, case when one.typname = any(%(limits)s) then null else modifier end),
    t.typnamespace = 'pg_catalog'::regnamespace and one.typname = any(%(kept)s),
    t.typname
from found
join pg_type t on t.oid = type and t.typtype <> 'd'
join pg_type one on one.oid = case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem else t.oid end
order by attnum
"""
_KEY = """
select attname from pg_index, unnest(indkey::smallint[]) with ordinality as k (number, position)
join pg_attribute on attnum = k.number
where indrelid = %(table)s and attrelid = indrelid and indisprimary order by k.position
"""
_SIZE = """
select relkind = 'r' and not relhassubclass and current_setting('server_version_num')::int >= 140000,
    reltuples::float8, pg_relation_size(oid) / current_setting('block_size')::bigint
from pg_class where oid = %(table)s
"""
_ROWS_A_BLOCK = 50  # of a table that was never analysed


class PostgresDatabase:
    """A connection with its transaction; close it at the end.

    Args:
        statement_seconds: how long one statement may take; no chunk should come near it.
        lock_seconds: how long to wait for somebody who holds a table for himself.

    Raises:
        ConfigurationError: the database can't be reached or refuses the login.
    """

    def __init__(self, place: Address, statement_seconds: float, lock_seconds: float) -> None:
        self._place = place
        dsn = place.dsn.replace("postgresql+psycopg2:", "postgresql:")
        try:
            self.connection = psycopg2.connect(
                dsn, **{"connect_timeout": 15} if "connect_timeout" not in dsn else {}
            )
        except (psycopg2.OperationalError, psycopg2.ProgrammingError) as error:
            raise ConfigurationError(
                f"the database ({place.said}) can't be reached: {str(error).strip()}; see dsn under"
                " [sources.rds], and whether this machine may connect"
            ) from None
        self.connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        self.connection.set_client_encoding("UTF8")
        settings = {
            "statement_timeout": f"{round(statement_seconds * 1000)}ms",
            "lock_timeout": f"{round(lock_seconds * 1000)}ms",
            "application_name": "adstar",
            # What is written of a value must not depend on who reads it.
            "timezone": "UTC",
            "datestyle": "ISO, YMD",
            "intervalstyle": "postgres",
            "bytea_output": "hex",
            "extra_float_digits": "3",
        }
        with self.connection.cursor() as cursor:
            for name, value in settings.items():
                cursor.execute("select set_config(%s, %s, true)", [name, value])

    def close(self) -> None:
        """End the transaction."""
        self.connection.close()

    def columns(self, schema: str, table: str) -> tuple[list[tuple[Column, str]], tuple[str, ...]]:
        """As ``declared.Database.columns``; without a schema the one that the login finds first."""
        name = sql.Identifier(*filter(None, (schema, table))).as_string(self.connection)
        oid = self._all("select to_regclass(%s)::oid", [name])[0][0]
        if oid is None:
            there = self._all(
                "select n.nspname || '.' || c.relname from pg_class c join pg_namespace n on n.oid ="
                " relnamespace where relkind in ('r', 'v', 'm', 'p', 'f') and nspname not in"
                " ('pg_catalog', 'information_schema', 'pg_toast') order by 1 limit 2000"
            )
            wanted = f"{schema or 'public'}.{table}"
            raise AccountError(
                f"there is no table {wanted} in the database ({self._place.said}), or this user may not"
                f" look into its schema; there are {like(wanted, [row[0] for row in there])}; see schema"
                f" and table"
            )
        values = {"table": oid, "kept": _KEPT, "limits": _LIMITS}
        columns = []
        for column, kind, is_kept, type_name in self._all(_COLUMNS, values):
            quoted = sql.Identifier(column).as_string(self.connection)
            if is_kept:
                columns.append((Column(column, kind), quoted))
            elif type_name == "money":
                columns.append((Column(column, "numeric"), f"{quoted}::numeric"))
            else:
                columns.append((Column(column, "text"), f"{quoted}::text"))
        return columns, tuple(row[0] for row in self._all(_KEY, values))

    def stream(self, write: Write, table: TableOf, since: str | None) -> None:
        """As ``copying.Reading.rows``."""
        if since is not None and table.cursor is not None:
            name = self._name(table.cursor.name)
            bound = f"{self._text(since)}::{table.cursor.type}"
            return self._copy(write, table, f"where {name} >= {bound} or {name} is null")
        for where in self._chunks(table):
            self._copy(write, table, where)

    def stream_keys(self, write: Write, table: TableOf, keys: Sequence[Sequence[str]]) -> None:
        """As ``copying.Reading.rows_of``."""
        types = {column.name: column.type for column in table.columns}
        names = ", ".join(map(self._name, table.key))
        each = (
            f"({', '.join(f'{self._text(v)}::{types[n]}' for n, v in zip(table.key, key, strict=True))})"
            for key in keys
        )
        self._copy(write, table, f"where ({names}) in ({', '.join(each)})")

    def since(self, column: Column, last: str, lag: int) -> str:
        """As ``declared.Database.since``."""
        if not is_time(column):
            text = f"select (%s::numeric - %s)::{column.type}::text"
        else:
            text = f"select (least(%s::{column.type}, now()::{column.type})"
            text += f" - make_interval(secs => %s))::{column.type}::text"
        return str(self._all(text, [last, lag])[0][0])

    def reached(self, table: TableOf, column: Column) -> tuple[str | None, str | None]:
        """As ``copying.Reading.reached``."""
        clock = f"now()::{column.type}" if is_time(column) else f"null::{column.type}"
        with self._told(table):
            found = self._all(
                f"select least(max({self._name(column.name)}), {clock})::text, {clock}::text"
                f" from {self._of(table)}"
            )
        highest, now = found[0]
        return (None if self._is_empty(table, column) else highest), now

    def _is_empty(self, table: TableOf, column: Column) -> bool:
        # least() leaves NULLs out: without any cursor it would say the clock.
        where = f"{self._name(column.name)} is not null"
        return not self._all(f"select exists (select from {self._of(table)} where {where})")[0][0]

    def _chunks(self, table: TableOf) -> Iterator[str]:
        with self._told(table):
            name = {"table": self._of(table)}
            ranges, rows, blocks = self._all(_SIZE.replace("%(table)s", "%(table)s::regclass"), name)[0]
        step = max(1, int(table.declared.chunk_rows * blocks / rows)) if rows > 0 else 0
        step = step or -(-table.declared.chunk_rows // _ROWS_A_BLOCK)
        if not ranges or step >= blocks:
            yield ""
            return
        for first in range(0, blocks, step):
            # What the table has grown by since then is not in our snapshot, but the last range is open
            # anyway.
            end = f" and ctid < '({first + step},0)'" if first + step < blocks else ""
            yield f"where ctid >= '({first},0)'{end}"

    def _copy(self, write: Write, table: TableOf, where: str) -> None:
        columns = ", ".join(table.expressions)
        text = f"copy (select {columns} from {self._of(table)} {where}) to stdout"
        with self._told(table), self.connection.cursor() as cursor:
            cursor.copy_expert(text, _Sink(write), size=1 << 16)

    @contextmanager
    def _told(self, table: TableOf) -> Iterator[None]:
        try:
            yield
        except errors.InsufficientPrivilege:
            raise AccountError(
                f"user {self._place.user} may not read {table.full_name} ({self._place.said}); let its owner"
                f" grant select on {table.full_name} to {self._place.user}"
            ) from None
        except errors.LockNotAvailable:
            raise VendorError(
                f"{table.full_name} is held by somebody (an ALTER TABLE, perhaps) for longer than"
                " lock_timeout_seconds; nothing of it landed, the next run reads it"
            ) from None
        except errors.QueryCanceled as error:
            raise VendorError(
                f"reading {table.full_name} was ended by the database ({error.diag.message_primary}); raise"
                f" statement_timeout_seconds under [sources.rds], or lower chunk_rows under"
                f" [{table.where}]; an"
                " index on the cursor makes it short"
            ) from None
        except psycopg2.Error as error:
            if isinstance(error, psycopg2.OperationalError) or error.pgcode is None:  # the driver's words
                raise VendorError(
                    f"the connection to the database ({self._place.said}) broke while {table.full_name} was"
                    f" read: {str(error).strip()}; nothing of it landed, the next run reads it"
                ) from None
            # The database's own words may repeat a value.
            raise VendorError(
                f"reading {table.full_name} failed at the source (SQLSTATE {error.pgcode}); try select * from"
                f" {table.full_name} there ({self._place.said})"
            ) from None

    def _all(self, text: str, values: Any = None) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(text, values)
            return list(cursor.fetchall())

    def _of(self, table: TableOf) -> str:
        return str(sql.Identifier(*filter(None, (table.schema, table.table))).as_string(self.connection))

    def _name(self, name: str) -> str:
        return str(sql.Identifier(name).as_string(self.connection))

    def _text(self, value: str) -> str:
        return str(sql.Literal(value).as_string(self.connection))


class _Sink:
    def __init__(self, write: Write) -> None:
        self.write = write
