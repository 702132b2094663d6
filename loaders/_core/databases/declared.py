"""What can be said in settings of a database's tables, and what any database has to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Annotated, NoReturn, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from loaders._core.archive.tables import Column
from loaders._core.databases.copying import Write
from loaders._core.errors import AccountError, ConfigurationError
from loaders._core.privacy.values import Personal
from loaders._core.redact import secret

Count = Annotated[int, msgspec.Meta(ge=0)]
Positive = Annotated[int, msgspec.Meta(ge=1)]
_TIMES = ("timestamp", "date")
_NUMBERS = ("smallint", "integer", "bigint", "numeric")


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a database; docs/runbooks/databases.md says what each setting means."""

    schema: str = ""
    table: str = ""
    primary_key: tuple[str, ...] = ()
    cursor: str = ""
    personal: dict[str, Personal] = {}
    lag: Count = 300
    sweep_days: Count = 7
    chunk_rows: Positive = 500_000


class Address(msgspec.Struct, frozen=True):
    """A database's address, taken apart; the password is known to the redaction from here on."""

    scheme: str
    host: str
    port: int | None
    user: str
    password: str
    database: str
    dsn: str

    @property
    def said(self) -> str:
        """The address as it may be shown."""
        return (
            f"{self.host}{f':{self.port}' if self.port else ''}, database {self.database}, user {self.user}"
        )


def address(dsn: str, where: str) -> Address:
    """Take a DSN apart.

    Raises:
        ConfigurationError: it is none. The message does not repeat it.
    """
    secret(dsn)
    try:
        parts = urlsplit(dsn)
        port = parts.port
    except ValueError:  # its text repeats what stands for the port, which may be half a password
        parts, port = urlsplit(""), None
    kind = {"postgres": "postgresql"}.get(parts.scheme, parts.scheme).partition("+")[0]
    if kind not in ("postgresql", "mysql", "mariadb") or not parts.hostname or len(parts.path) < 2:
        raise ConfigurationError(
            f"{where} is no address of a database; write postgresql://user:password@host:5432/database or"
            " mysql://user:password@host:3306/database, with what is special in user or password"
            " percent-encoded (@ as %40, / as %2F)"
        )
    password = secret(unquote(parts.password or ""))
    if parts.password:
        secret(parts.password)
    return Address(
        "postgresql" if kind == "postgresql" else "mysql",
        parts.hostname,
        port,
        unquote(parts.username or ""),
        password,
        unquote(parts.path[1:]),
        dsn,
    )


class Database(Protocol):
    """A database, asked in one read-only transaction that sees one state of it."""

    def columns(self, schema: str, table: str) -> tuple[list[tuple[Column, str]], tuple[str, ...]]:
        """Columns in the table's order, each with the expression that gives it; and the primary key.

        Raises:
            AccountError: there is no such table.
        """

    def stream(self, write: Write, table: TableOf, since: str | None) -> None:
        """As ``copying.Reading.rows``."""

    def stream_keys(self, write: Write, table: TableOf, keys: Sequence[Sequence[str]]) -> None:
        """As ``copying.Reading.rows_of``."""

    def since(self, column: Column, last: str, lag: int) -> str:
        """The smaller of ``last`` and the clock, less the lag."""

    def reached(self, table: TableOf, column: Column) -> tuple[str | None, str | None]:
        """As ``copying.Reading.reached``."""


class TableOf:
    """A declared table as its database has it, or the sweep of its keys.

    Args:
        where: the settings' table, for messages.

    Raises:
        AccountError: the table or one of its columns is not there, or can't be what it is declared to be.
    """

    def __init__(self, database: Database, name: str, declared: Table, *, where: str, sweep: bool) -> None:
        self.schema, self.table = declared.schema, declared.table or name
        self.declared, self.where = declared, where
        self._database = database
        found, primary = database.columns(self.schema, self.table)
        named = {column.name: (column, expression) for column, expression in found}
        self.key = declared.primary_key or primary
        for setting, wanted in (("primary_key", self.key), ("cursor", (declared.cursor,))):
            for column in filter(None, wanted):
                if column not in named:
                    self._no_column(setting, column, list(named))
        if declared.cursor and not self.key:
            raise AccountError(
                f"{self.full_name} has no primary key, so versions of a row can't be told from other rows;"
                f" set primary_key under [{where}], or leave cursor out to read it whole"
            )
        cursor = named[declared.cursor][0] if declared.cursor else None
        if cursor and not cursor.type.startswith((*_TIMES, *_NUMBERS)):
            raise AccountError(
                f"cursor {cursor.name} of {self.full_name} is {cursor.type}; it has to be a time, a date or a"
                f" number that rises when a row changes; see cursor under [{where}]"
            )
        chosen = [named[name] for name in dict.fromkeys([*self.key, declared.cursor])] if sweep else found
        self.columns = [column for column, _ in chosen]
        self.expressions = [expression for _, expression in chosen]
        self.cursor = None if sweep else cursor

    @property
    def full_name(self) -> str:
        """Schema and table."""
        return f"{self.schema}.{self.table}" if self.schema else self.table

    def rows(self, write: Write, since: str | None = None) -> None:
        """As ``copying.Reading.rows``."""
        self._database.stream(write, self, since)

    def rows_of(self, write: Write, keys: Sequence[Sequence[str]]) -> None:
        """As ``copying.Reading.rows_of``."""
        self._database.stream_keys(write, self, keys)

    def since(self, last: str) -> str:
        """As ``copying.Reading.since``."""
        assert self.cursor
        return self._database.since(self.cursor, last, self.declared.lag)

    def reached(self) -> tuple[str | None, str | None]:
        """As ``copying.Reading.reached``."""
        assert self.cursor
        return self._database.reached(self, self.cursor)

    def _no_column(self, setting: str, column: str, there: list[str]) -> NoReturn:
        raise AccountError(
            f"{self.full_name} has no column {column!r}; it has {like(column, there)}; see {setting} under"
            f" [{self.where}]"
        )


def is_time(column: Column) -> bool:
    """Does the column hold times or dates?"""
    return column.type.startswith(_TIMES)


def like(name: str, there: Sequence[str]) -> str:
    """The names that were probably meant, or the first ones."""
    close = get_close_matches(name, there, n=5, cutoff=0.5) or sorted(there)[:20]
    return ", ".join(close) or "none"


Open = Callable[[Address, float, float], Database]
