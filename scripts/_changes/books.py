"""``ops.ddl_steps``: which steps were applied, failed or were rolled back; and the lock of appliers."""

# ruff: noqa: S608  (what is put into statements is text of ours; values go beside them)

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2

from loaders._core.errors import AdstarError, ConfigurationError
from loaders._core.ops import create
from loaders._core.warehouse import Target

APPLIED, BEGUN, FAILED, ROLLED_BACK = "applied", "begun", "failed", "rolled back"
MENDED = "mended"
_COLUMNS = (
    "entry bigint not null, id varchar(200) not null, checksum varchar(64) not null,"
    " owner varchar(200) not null, applied_at timestamptz not null, applied_by varchar(200) not null,"
    " seconds double precision not null, outcome varchar(16) not null, message varchar(8000)"
)


@dataclass(frozen=True)
class Entry:
    """What was last noted of a step. Entries are only ever added; `entry` tells their order."""

    entry: int
    id: str
    checksum: str
    applied_at: datetime
    applied_by: str
    outcome: str
    message: str | None


def wait_seconds() -> float:
    """How long is waited for another apply, or for a table in use (``ADSTAR_DDL_LOCK_SECONDS``, 60)."""
    return float(os.environ.get("ADSTAR_DDL_LOCK_SECONDS") or 60)


def prepare(target: Target) -> None:
    """Make the tables if they are not there yet."""
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        if _tables(cursor) >= {"ddl_steps", "ddl_lock"}:
            return
        for statement in (
            "create schema if not exists ops",
            f"create table if not exists ops.ddl_steps ({_COLUMNS})",
            "create table if not exists ops.ddl_lock (nothing integer)",
        ):
            create(cursor, statement)


def entries(cursor: Any) -> dict[str, Entry]:
    """The newest entry of each step.

    Raises:
        ConfigurationError: this login may not read them.
    """
    if "ddl_steps" not in _tables(cursor):
        return {}
    try:
        cursor.execute(
            "select entry, id, checksum, applied_at, applied_by, outcome, message from ops.ddl_steps"
            " order by entry"
        )
    except psycopg2.errors.InsufficientPrivilege:
        raise ConfigurationError(
            "this login may not read ops.ddl_steps; a member of adstar_transformer may"
        ) from None
    return {row[1]: Entry(*row) for row in cursor.fetchall()}


def note(
    target: Target,
    cursor: Any,
    *,
    step_id: str,
    checksum: str,
    owner: str,
    seconds: float,
    outcome: str,
    message: str | None = None,
) -> None:
    """Add an entry; to be called by the holder of the lock, in the transaction that it is about."""
    # Redshift takes functions of its leader node in no statement on tables.
    cursor.execute("select current_user")
    who = cursor.fetchone()[0]
    cursor.execute("select coalesce(max(entry), 0) + 1 from ops.ddl_steps")
    number = cursor.fetchone()[0]
    cursor.execute(
        "insert into ops.ddl_steps"
        " (entry, id, checksum, owner, applied_at, applied_by, seconds, outcome, message)"
        f" values (%s, %s, %s, %s, {target.clock}, %s, %s, %s, %s)",
        [number, step_id, checksum, owner, who, round(seconds, 3), outcome, message and message[:2000]],
    )


class Lock:
    """Only one applies at a time. Use it as a context manager.

    It is a table's lock in a transaction of its own, held as long as the steps take: Redshift has no advisory
    locks, and the transaction of a step ends with the step. It goes with the process that holds it.

    Raises:
        AdstarError: on entering, if another one holds it for too long.
    """

    def __init__(self, target: Target) -> None:
        """Nothing is locked before ``with``."""
        self._target = target
        self._connection: Any = None

    def __enter__(self) -> Lock:
        """Wait for it."""
        self._connection = self._target.connect()
        self._connection.autocommit = False
        with self._connection.cursor() as cursor:
            limit_waiting(self._target, cursor)
            if self._target.kind == "postgres":
                cursor.execute("set idle_in_transaction_session_timeout to 0")
            else:
                cursor.execute(f"set statement_timeout to {round(wait_seconds() * 1000)}")
            try:
                cursor.execute("lock table ops.ddl_lock")
            except (psycopg2.errors.LockNotAvailable, psycopg2.errors.QueryCanceled):
                self._connection.close()
                raise AdstarError(
                    f"another scripts/ddl has been at work for {wait_seconds():.0f} s; wait for it, or end it"
                ) from None
        return self

    def __exit__(self, *_: object) -> None:
        """Let it go."""
        self._connection.close()

    def check(self) -> None:
        """Make sure that it is still held.

        Raises:
            AdstarError: the connection that held it is gone.
        """
        try:
            with self._connection.cursor() as cursor:
                cursor.execute("select 1")
        except psycopg2.Error as error:
            raise AdstarError(f"the lock of scripts/ddl is lost ({error}); run it again") from None


def limit_waiting(target: Target, cursor: Any) -> None:
    """Rather fail than wait long for a table: who reads it then queues up behind who waits to alter it.

    Redshift can only limit whole statements, and those of a step may take their time.
    """
    if target.kind == "postgres":
        cursor.execute(f"set lock_timeout to {round(wait_seconds() * 1000)}")


@contextmanager
def cursor_of(target: Target, *, transaction: bool) -> Iterator[Any]:
    """A cursor of a connection of its own; with `transaction` committed at the end, or rolled back."""
    with closing(target.connect()) as connection:
        connection.autocommit = not transaction
        # psycopg2 begins one for `with connection` also where it commits by itself.
        with connection if transaction else nullcontext(), connection.cursor() as cursor:
            yield cursor


def _tables(cursor: Any) -> set[str]:
    cursor.execute("select tablename::text from pg_tables where schemaname = 'ops'")
    return {row[0] for row in cursor.fetchall()}
