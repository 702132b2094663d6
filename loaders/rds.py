"""Tables of a Postgres or MySQL database, declared in settings only: see docs/runbooks/databases.md.

To the core the database is one account. Each table lands in a raw table of its name with the source's types,
as versions of its rows (with a cursor) or whole (without), and its swept keys in ``<table>__keys``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core.archive.current import current
from loaders._core.databases.copying import KEYS, Reading
from loaders._core.databases.declared import Database, Open, Table, TableOf, address
from loaders._core.databases.mysql import MysqlDatabase
from loaders._core.databases.postgres import PostgresDatabase
from loaders._core.declare import Account, Clock, Loader, Resource, Settings
from loaders._core.errors import ConfigurationError

ENGINES: dict[str, Open] = {"postgresql": PostgresDatabase, "mysql": MysqlDatabase}


@configspec
class RdsSettings(Settings):
    """``[sources.rds]``; its tables are ``[sources.rds.tables.<name>]``.

    Attributes:
        dsn: ``postgresql://user:password@host:5432/database`` or ``mysql://...``, of a user that may only
            read.
        database: the name under which its rows are kept; default: the database's own.
        statement_timeout_seconds: how long one statement may take at the source.
        lock_timeout_seconds: how long to wait for a table that somebody else holds for himself.
    """

    dsn: TSecretStrValue = None  # type: ignore[assignment]
    tables: dict[str, Table] = None  # type: ignore[assignment]
    database: str = ""
    statement_timeout_seconds: float = 600.0
    lock_timeout_seconds: float = 10.0
    api_version: str = ""


@dataclass(frozen=True)
class Api:
    """The declared tables of an open database; of none where the archive answers."""

    database: Database | None
    name: str
    tables: dict[str, Table]

    def table(self, name: str, *, sweep: bool) -> Reading:
        """A table, or the sweep of its keys."""
        assert self.database
        where = f"sources.rds.tables.{name}"
        return TableOf(self.database, name, self.tables[name], where=where, sweep=sweep)


@contextmanager
def connect(settings: Any, clock: Clock) -> Iterator[Api]:
    """The database, in one read-only transaction."""
    if not settings.tables:
        raise ConfigurationError(
            "no table of the database is declared; put [sources.rds.tables.<name>] with its cursor into"
            " .dlt/config.toml"
        )
    named = "the name under which rows are kept"
    if current().plays:
        yield Api(None, current().told(named, str, str), settings.tables)
        return
    place = address(str(settings.dsn), "sources.rds.dsn")
    database = ENGINES[place.scheme](place, settings.statement_timeout_seconds, settings.lock_timeout_seconds)
    with closing(database):  # type: ignore[type-var]
        name = current().told(named, lambda: settings.database or place.database, str)
        yield Api(database, name, settings.tables)


def resources(settings: Any) -> tuple[Resource, ...]:
    """Two raw tables for each with a cursor: the keys first, as what their sweep finds is read at once."""

    def copy(name: str, *, sweep: bool) -> Callable[[Api, Account], Reading]:
        return lambda api, account: api.table(name, sweep=sweep)

    found: list[Resource] = []
    for name, table in settings.tables.items():
        if table.cursor and table.sweep_days:
            found.append(
                Resource(
                    name + KEYS,
                    copy=copy(name, sweep=True),
                    every_days=table.sweep_days,
                    personal=table.personal,
                )
            )
        found.append(Resource(name, copy=copy(name, sweep=False), personal=table.personal))
    return tuple(found)


LOADER = Loader(
    name="rds",
    settings=RdsSettings,
    connect=connect,
    root=lambda api: Account(api.name),
    accounts=lambda api: [Account(api.name)],
    resources_of=resources,
    archived=False,
)
