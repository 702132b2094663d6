"""A MySQL or MariaDB database, read in one consistent snapshot, as the server writes its values.

The driver converts nothing: values come as the text that the server sends, so a decimal stays exact and a
time with more than 24 hours is no error. SQLAlchemy knows the catalogue, PyMySQL streams from a cursor on the
server's side.

What MySQL has no equal for in Postgres: a tinyint(1) is a smallint, an enum or set its text, a bit its bytes,
a zero date (0000-00-00) NULL. A time may be negative or longer than a day, so it lands as an interval.
"""

# ruff: noqa: S608  (what is put into statements are names, quoted)

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from decimal import Decimal
from typing import Any

import pymysql
from pymysql.cursors import SSCursor
from sqlalchemy.dialects import mysql

from loaders._core.archive.tables import Column
from loaders._core.copytext import line
from loaders._core.databases.copying import Write
from loaders._core.databases.declared import Address, TableOf, is_time, like
from loaders._core.errors import AccountError, ConfigurationError, VendorError

FETCHED_ROWS = 2_000
_WHOLE = {
    "tinyint": "smallint",
    "smallint": "smallint",
    "mediumint": "integer",
    "int": "integer",
    "bigint": "bigint",
}
_UNSIGNED = {"smallint": "integer", "int": "bigint", "bigint": "numeric(20,0)"}
_BYTES = ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "bit")
_OTHERS = {
    "double": "double precision",
    "float": "real",
    "year": "smallint",
    "json": "json",
    "time": "interval",
}
_TIMES = {"date": "date", "datetime": "timestamp without time zone", "timestamp": "timestamp with time zone"}
_DENIED, _NO_TABLE, _TIMED_OUT, _INTERRUPTED, _LOCKED = (1142, 1143), 1146, (3024, 1969), 1317, 1205
_COLUMNS = """
select column_name, data_type, column_type, numeric_precision, numeric_scale
from information_schema.columns where table_schema = %s and table_name = %s order by ordinal_position
"""
_KEY = """
select column_name from information_schema.key_column_usage
where constraint_name = 'PRIMARY' and table_schema = %s and table_name = %s order by ordinal_position
"""
_quoted = mysql.dialect().identifier_preparer.quote_identifier


class MysqlDatabase:
    """A connection with its transaction; close it at the end. Arguments, errors: ``PostgresDatabase``."""

    def __init__(self, place: Address, statement_seconds: float, lock_seconds: float) -> None:
        self._place = place
        try:
            self.connection = pymysql.connect(
                host=place.host,
                port=place.port or 3306,
                user=place.user,
                password=place.password,
                database=place.database,
                charset="utf8mb4",
                connect_timeout=15,
                conv={},
                autocommit=True,
            )
        except (pymysql.err.OperationalError, RuntimeError) as error:
            raise ConfigurationError(
                f"the database ({place.said}) can't be reached: {error}; see dsn under [sources.rds], and"
                " whether this machine may connect"
            ) from None
        self._run(
            f"set session time_zone = '+00:00', session lock_wait_timeout = {max(1, round(lock_seconds))}"
        )
        # MySQL has the one, in milliseconds, MariaDB the other, in seconds.
        for name, value in (
            ("max_execution_time", round(statement_seconds * 1000)),
            ("max_statement_time", round(statement_seconds)),
        ):
            with suppress(pymysql.err.MySQLError):
                self._run(f"set session {name} = {value}")
        self._run("set session transaction isolation level repeatable read")
        self._run("start transaction with consistent snapshot, read only")

    def close(self) -> None:
        """End the transaction."""
        self.connection.close()

    def columns(self, schema: str, table: str) -> tuple[list[tuple[Column, str]], tuple[str, ...]]:
        """As ``declared.Database.columns``; without a schema that of the address."""
        place = [schema or self._place.database, table]
        found = self._all(_COLUMNS, place)
        if not found:
            there = self._all("select concat(table_schema, '.', table_name) from information_schema.tables")
            raise AccountError(
                f"there is no table {'.'.join(place)} in the database ({self._place.said}), or this user"
                f" may not see it; there are {like('.'.join(place), [row[0] for row in there])}; see"
                f" schema and table"
            )
        return [_column(*row) for row in found], tuple(row[0] for row in self._all(_KEY, place))

    def stream(self, write: Write, table: TableOf, since: str | None) -> None:
        """As ``copying.Reading.rows``."""
        if since is None or table.cursor is None:
            return self._copy(write, table, "", [])
        name = _quoted(table.cursor.name)
        self._copy(write, table, f"where {name} >= %s or {name} is null", [_local(since)])

    def stream_keys(self, write: Write, table: TableOf, keys: Sequence[Sequence[str]]) -> None:
        """As ``copying.Reading.rows_of``."""
        names = ", ".join(map(_quoted, table.key))
        one = f"({', '.join(['%s'] * len(table.key))})"
        values = [_local(value) for key in keys for value in key]
        self._copy(write, table, f"where ({names}) in ({', '.join([one] * len(keys))})", values)

    def since(self, column: Column, last: str, lag: int) -> str:
        """As ``declared.Database.since``."""
        if not is_time(column):
            return str(Decimal(last) - lag)
        text = f"select least(cast(%s as datetime(6)), utc_timestamp(6)) - interval {int(lag)} second"
        return str(self._all(text, [_local(last)])[0][0])

    def reached(self, table: TableOf, column: Column) -> tuple[str | None, str | None]:
        """As ``copying.Reading.reached``."""
        with self._told(table):
            found = self._all(f"select max({_quoted(column.name)}), utc_timestamp(6) from {self._of(table)}")
        highest, now = found[0]
        if not is_time(column):
            return highest, None
        now = now if column.type != "date" else now[:10]
        zone = "+00" if column.type == _TIMES["timestamp"] else ""
        return (None if highest is None else min(highest, now) + zone), now + zone

    def _copy(self, write: Write, table: TableOf, where: str, values: list[str]) -> None:
        text = f"select {', '.join(table.expressions)} from {self._of(table)} {where}"
        binary = [column.type == "bytea" for column in table.columns]
        with self._told(table), self.connection.cursor(SSCursor) as cursor:
            cursor.execute(text, values or None)
            while rows := cursor.fetchmany(FETCHED_ROWS):
                for row in rows:
                    write(line(map(_text, row, binary)))

    @contextmanager
    def _told(self, table: TableOf) -> Iterator[None]:
        try:
            yield
        except pymysql.err.MySQLError as error:
            code = error.args[0] if error.args else None
            if code in _DENIED:
                raise AccountError(
                    f"user {self._place.user} may not read {table.full_name} ({self._place.said}); let its"
                    f" owner grant select on {table.full_name} to {self._place.user}"
                ) from None
            if code in (*_TIMED_OUT, _INTERRUPTED, _LOCKED):
                raise VendorError(
                    f"reading {table.full_name} was ended by the database (error {code}); raise"
                    " statement_timeout_seconds or lock_timeout_seconds under [sources.rds]; an index on"
                    " the cursor makes it short"
                ) from None
            raise VendorError(
                f"reading {table.full_name} broke off ({self._place.said}): {error}; nothing of it landed,"
                " the next run reads it"
            ) from None

    def _of(self, table: TableOf) -> str:
        return ".".join(map(_quoted, (table.schema or self._place.database, table.table)))

    def _run(self, text: str) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(text)

    def _all(self, text: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(text, values or None)
            return [
                tuple(v.decode() if isinstance(v, bytes) else v for v in row) for row in cursor.fetchall()
            ]


def _column(name: str, kind: str, whole: str, precision: str | None, scale: str | None) -> tuple[Column, str]:
    """The column as the warehouse shall have it, and the expression that gives it."""
    quoted = _quoted(name)
    landed, expression = "bytea", f"st_asbinary({quoted})"  # a geometry: nothing else is left at the end
    if kind in _WHOLE:
        landed, expression = (_UNSIGNED.get(kind) if "unsigned" in whole else None) or _WHOLE[kind], quoted
    elif kind == "decimal":
        landed, expression = f"numeric({precision},{scale})", quoted
    elif kind in _TIMES:
        landed, expression = _TIMES[kind], f"if({quoted} = 0, null, {quoted})"
    elif kind == "float":  # as it stands the server would write six digits of it
        landed, expression = "real", f"({quoted} + 0e0)"
    elif kind in _OTHERS:
        landed, expression = _OTHERS[kind], quoted
    elif kind in _BYTES:
        expression = quoted
    elif "char" in kind or "text" in kind or kind in ("enum", "set"):
        landed, expression = "text", quoted
    return Column(name, landed), expression


def _text(value: Any, is_binary: bool) -> str | None:
    if value is None:
        return None
    if is_binary:
        return "\\x" + (value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")).hex()
    return value.decode() if isinstance(value, bytes) else str(value)


def _local(text: str) -> str:
    """A time as MySQL reads it; the session's zone is UTC."""
    return text.removesuffix("+00")
