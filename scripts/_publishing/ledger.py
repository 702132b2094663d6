"""The schema `published`: whose turn it is, what was published and audited, and what it takes to go back.

It stands beside `ops` and not in it, because who builds and publishes may not write what the loaders note.
"""

# ruff: noqa: S608  (what is put into statements are names of relations)

from __future__ import annotations

import getpass
import os
import socket
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import psycopg2
from psycopg2.extras import execute_values

from _publishing import Busy, PublishError
from _publishing.audit import Figure
from _publishing.engine import Engine, Locked
from _publishing.project import Relation
from loaders._core.ops import create

TEXT = "varchar(65535)"
TABLES = {
    "turn": "token varchar(36)",
    "publishes": "number bigint, kind varchar(16), outcome varchar(16), started_at timestamptz,"
    " ended_at timestamptz, published_by varchar(200), build_id varchar(64), reason varchar(2000),"
    " message varchar(2000), undone_by bigint, is_kept boolean",
    "figures": "number bigint, model varchar(128), slice varchar(400), days varchar(16), figure varchar(128),"
    " live numeric(38, 9), side numeric(38, 9), finding varchar(400)",
    "changes": "number bigint, place integer, model varchar(128), live_schema varchar(128),"
    f" live_name varchar(128), kind varchar(16), rows_removed bigint, rows_added bigint,"
    f" kept varchar(128), was varchar(16), was_query {TEXT}",
    "relations": f"number bigint, live_schema varchar(128), live_name varchar(128), query {TEXT}",
    "built_partitions": "fact_name varchar(64), partition_key bigint, account_key bigint, date_day date,"
    " built_by varchar(64)",
}
STANDS = "kind = 'publish' and outcome = 'published' and undone_by is null"
"""A publish that has changed something, and was not undone."""
BEAT_SECONDS = 60


Kind = Literal["rows", "made", "dropped"]
Was = Literal["nothing", "table", "view"]


@dataclass(frozen=True)
class Entry:
    """A line of `publishes`."""

    number: int
    kind: str
    outcome: str
    reason: str | None
    is_kept: bool


@dataclass(frozen=True)
class Change:
    """What has become of one live relation, and what undoes it.

    Attributes:
        kind: ``rows`` were carried over, or it was ``made`` anew, or ``dropped``.
        removed: how many rows went; None if it was none of a table.
        added: how many rows came; None if its definition was changed.
        kept: the rows in which it differed (``rows``), or all that it had; None if it had none.
        was: what it was before.
        was_query: what it selected, if it was a view.
    """

    model: str
    live: Relation
    kind: Kind
    removed: int | None
    added: int | None
    kept: Relation | None
    was: Was
    was_query: str | None = None


class Ledger:
    """The tables of the schema. Use it as a context manager; it has a connection of its own."""

    def __init__(self, engine: Engine, schema: str) -> None:
        self.engine = engine
        self.schema = schema
        self._connection = engine.connect()

    def __enter__(self) -> Ledger:
        self._create(f'create schema if not exists "{self.schema}"')
        for name, columns in TABLES.items():
            self._create(f"create table if not exists {self.table(name)} ({columns})")
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def table(self, name: str) -> Relation:
        """A table of the schema."""
        return Relation(self.schema, name)

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """Outside of any transaction."""
        with self._connection.cursor() as cursor:
            yield cursor

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Ask outside of any transaction."""
        with self.cursor() as cursor:
            cursor.execute(sql, values or None)
            return list(cursor.fetchall()) if cursor.description else []

    # ---- publishes
    def entries(self, condition: str = "true") -> list[Entry]:
        """Publishes and rollbacks, the newest first."""
        rows = self.query(
            f"select number, kind, outcome, reason, coalesce(is_kept, false) from {self.table('publishes')}"
            f" where {condition} order by number desc"
        )
        return [Entry(*row) for row in rows]

    def begin(self, kind: str, reason: str | None) -> int:
        """Note that one has begun, by the holder of the turn; whatever was at work before is dead."""
        publishes = self.table("publishes")
        self.query(
            f"update {publishes} set outcome = 'killed', ended_at = {self.engine.target.clock}"
            " where outcome = 'at work'"
        )
        ((number,),) = self.query(f"select coalesce(max(number), 0) + 1 from {publishes}")
        self.query(
            f"insert into {publishes} (number, kind, outcome, started_at, published_by, reason)"
            f" values (%s, %s, 'at work', {self.engine.target.clock}, %s, %s)",
            [number, kind, _myself(), reason and reason[:2000]],
        )
        return int(number)

    def end(self, number: int, outcome: str, message: str = "", cursor: Any = None) -> None:
        """Note how it has ended, once; with the cursor of a transaction only if that one commits."""
        sql = (
            f"update {self.table('publishes')} set outcome = %s, message = %s,"
            f" ended_at = {self.engine.target.clock} where number = %s and outcome = 'at work'"
        )
        values = [outcome, message[:2000] or None, number]
        if cursor is None:
            self.query(sql, values)
        else:
            cursor.execute(sql, values)

    def built(self, number: int, build_id: str) -> None:
        """Note which dbt command has built what is to be published."""
        self.query(
            f"update {self.table('publishes')} set build_id = %s where number = %s", [build_id, number]
        )

    # ---- what was audited
    def note(self, number: int, figures: Iterable[Figure]) -> None:
        """Note what the audit has found."""
        rows = [
            (number, each.model, each.slice, each.days, each.name, each.live, each.side, each.finding or None)
            for each in figures
        ]
        with self.cursor() as cursor:
            self._insert(cursor, "figures", rows)

    def audited(self, number: int) -> set[Figure]:
        """What the audit of a publish has found."""
        rows = self.query(
            "select model, slice, days, figure, live, side, coalesce(finding, '')"
            f" from {self.table('figures')} where number = %s",
            [number],
        )
        return {Figure(*row) for row in rows}

    # ---- what was changed
    def note_changes(self, cursor: Any, number: int, changes: Sequence[Change]) -> None:
        """Note what a publish has changed, and so how to undo it; with the transaction that has."""
        rows = [
            (
                number,
                place,
                each.model,
                each.live.schema,
                each.live.name,
                each.kind,
                each.removed,
                each.added,
                each.kept and each.kept.name,
                each.was,
                each.was_query,
            )
            for place, each in enumerate(changes)
        ]
        self._insert(cursor, "changes", rows)

    def changes(self, number: int) -> list[Change]:
        """What a publish has changed."""
        rows = self.query(
            "select model, live_schema, live_name, kind, rows_removed, rows_added, kept, was, was_query"
            f" from {self.table('changes')} where number = %s order by place",
            [number],
        )
        return [
            Change(
                model,
                Relation(schema, name),
                kind,
                removed,
                added,
                self.table(kept) if kept else None,
                was,
                query,
            )
            for model, schema, name, kind, removed, added, kept, was, query in rows
        ]

    def note_published(self, cursor: Any, number: int, relations: Mapping[Relation, str | None]) -> None:
        """Note what is published from now on: the query of each view, None for a table."""
        rows = [(number, live.schema, live.name, query) for live, query in relations.items()]
        self._insert(cursor, "relations", rows)

    def published(self) -> dict[Relation, str | None]:
        """What is published: the query of each view, None for a table."""
        rows = self.query(
            f"select live_schema, live_name, query from {self.table('relations')} where number = ("
            f"select max(number) from {self.table('publishes')} where {STANDS})"
        )
        return {Relation(schema, name): query for schema, name, query in rows}

    def _insert(self, cursor: Any, name: str, rows: Sequence[Sequence[Any]]) -> None:
        if rows:
            execute_values(cursor, f"insert into {self.table(name)} values %s", rows)

    def _create(self, sql: str) -> None:
        with self.cursor() as cursor:
            create(cursor, sql)


class Turn:
    """The right to build at the side and to publish: a lock on a table, which dies with whoever holds it.

    Use it as a context manager. The lock needs an open transaction, and a publish one of its own that
    begins after dbt has built (Redshift shows a transaction what there was when it began). In between the
    lock is let go for a moment; a token in the table tells whether anybody else has had it since.

    Raises:
        Busy: on entering, if somebody else has the turn.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._engine = ledger.engine
        self._token = str(uuid.uuid4())
        self._table = ledger.table("turn")
        self._connection: Any = None

    def __enter__(self) -> Turn:
        self._connection = self._engine.connect()
        self._connection.autocommit = False
        try:
            with self._connection, self._connection.cursor() as cursor:
                self._lock(cursor)
                cursor.execute(f"delete from {self._table}")
                cursor.execute(f"insert into {self._table} values (%s)", [self._token])
            with self._connection.cursor() as cursor:
                self._hold(cursor)
        except BaseException:
            self._connection.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A transaction of the holder of the turn; yields its cursor. Commits if nothing is raised.

        Raises:
            Busy: somebody else has had the turn meanwhile; what is at the side may be theirs.
            PublishError: the warehouse does not take it.
        """
        try:
            self._connection.rollback()
            with self._connection, self._connection.cursor() as cursor:
                self._hold(cursor)
                yield cursor
        except psycopg2.errors.DependentObjectsStillExist as error:
            raise PublishError(
                f"something that was not published depends on what changes: {str(error).strip()};"
                " drop it first"
            ) from None
        except psycopg2.Error as error:
            raise PublishError(f"the warehouse says: {str(error).strip()}") from error

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """While something else takes minutes: networks cut connections that are silent.

        Raises:
            PublishError: it was cut all the same.
        """
        ended = threading.Event()
        lost: list[str] = []

        def beat() -> None:
            while not lost and not ended.wait(BEAT_SECONDS):
                try:
                    with self._connection.cursor() as cursor:
                        cursor.execute("select 1")
                except psycopg2.Error as error:
                    lost.append(str(error).strip())

        heart = threading.Thread(target=beat, daemon=True)
        heart.start()
        try:
            yield
        finally:
            ended.set()
            heart.join()
        if lost:
            raise PublishError(f"the connection that held the turn was cut ({lost[0]}); run it again")

    def _lock(self, cursor: Any) -> None:
        try:
            self._engine.lock(cursor, self._table)
        except Locked:
            self._connection.rollback()
            at_work = self._ledger.query(
                f"select kind, number, published_by, started_at from {self._ledger.table('publishes')}"
                " where outcome = 'at work' order by number desc"
            )
            told = "{} {} of {}, begun {:%F %T %Z}".format(*at_work[0]) if at_work else "it has just begun"
            raise Busy(f"another publish or rollback is at work ({told}); wait for it, or end it") from None

    def _hold(self, cursor: Any) -> None:
        self._lock(cursor)
        cursor.execute(f"select token from {self._table}")
        if cursor.fetchall() != [(self._token,)]:
            raise Busy(
                "another publish or rollback has been at work meanwhile, so what is at the side is not what"
                " this one has built; run it again"
            )


def _myself() -> str:
    """Who publishes, where, in which process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}:{os.getpid()}"[:200]
