"""Connections to the stand-in for Redshift, whichever the driver, in databases of their own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import redshift_connector
import yaml

from loaders._core.embedded import EmbeddedWarehouse
from simulators.redshift import Redshift
from tests.conftest import drop, recreate

DRIVERS = ("psycopg2", "redshift_connector")
HERE = Path(__file__).parent


def listed(name: str) -> list[Any]:
    """One of the lists beside this file."""
    found: list[Any] = yaml.safe_load((HERE / f"{name}.yml").read_text())
    return found


class Refused(Exception):
    """What a driver says of an error: its SQLSTATE, its hint and its message."""


class Session:
    """One connection."""

    def __init__(self, driver: str, port: int, password: str, database: str) -> None:
        place = {"host": "127.0.0.1", "port": port, "user": "adstar", "password": password}
        if driver == "psycopg2":
            self.connection: Any = psycopg2.connect(dbname=database, sslmode="disable", **place)
        else:
            self.connection = redshift_connector.connect(database=database, ssl=False, **place)
        self.connection.autocommit = True

    def run(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """The rows of a statement.

        Raises:
            Refused: it has failed.
        """
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(sql, parameters or None) if parameters else cursor.execute(sql)
                return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        except psycopg2.Error as error:
            raise Refused(error.pgcode, error.diag.message_hint or "", error.diag.message_primary) from error
        except redshift_connector.Error as error:
            said = error.args[0] if isinstance(error.args[0], dict) else {}
            raise Refused(said.get("C"), said.get("H", ""), said.get("M", str(error))) from error


@contextmanager
def session(server: EmbeddedWarehouse, proxy: Redshift, driver: str, *statements: str) -> Iterator[Session]:
    """A session in a new database, in which these statements were run."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    recreate(server, name)
    found = Session(driver, proxy.port, server.password, name)
    for statement in statements:
        found.run(statement)
    yield found
    found.connection.close()
    drop(server, name)


def as_texts(rows: list[Any]) -> list[list[str | None]]:
    """Rows for comparing, whatever types a driver has for them."""
    return [[None if value is None else str(value) for value in row] for row in rows]
