"""Where Spark's rows land in Postgres: workers copy into a waiting table, one transaction takes them.

That transaction asks for the lease, notes the batch and takes each event once, so a batch counts wholly or
not at all, and one that comes again changes nothing. What a task that was tried twice has copied twice is
taken once.
"""

# ruff: noqa: S608  (what is put into statements are names of ours; values go beside them)

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from pyarrow import csv

from loaders._core.crash import kill_point
from loaders._core.lease import Lease
from loaders._core.warehouse import Target
from loaders.spark.flatten import ASIDE, FLAT_COLUMNS, PLACE
from loaders.spark.plan import FLAT, HOURS, PIPELINE, PROGRESS, SCHEMA, TABLE

_log = logging.getLogger(__name__)
WAITING = f"{TABLE}_waiting_"
WRITTEN = pa.schema([("events", pa.int64()), ("rejected", pa.int64())])
_NAMES = ", ".join(f'"{name}"' for name in FLAT_COLUMNS)
_TEXTS = ", ".join(f'"{name}" text' for name in (*FLAT_COLUMNS, *ASIDE))
_TABLES = (
    f"create unique index if not exists {FLAT}_event on {SCHEMA}.{FLAT} (event_id)",
    f"create index if not exists {FLAT}_run on {SCHEMA}.{FLAT} (_run_seq)",
    f"create table if not exists {SCHEMA}.{HOURS} (hour_at timestamptz, event_name text,"
    " events bigint not null, updated_at timestamptz not null, primary key (hour_at, event_name))",
    f"create table if not exists {SCHEMA}.{PROGRESS} (query_id text, batch_id bigint,"
    " read_at timestamptz not null, messages bigint not null, watermark_at timestamptz,"
    " dropped bigint not null, primary key (query_id, batch_id))",
)


@dataclass
class Landed:
    """What became of a batch."""

    events: int
    rejected: int


class Sink:
    """The warehouse, for the driver; holds the lease while it is open.

    Raises:
        LeaseTaken: on entering, if another job is at work.
    """

    def __init__(self, target: Target, topic: str) -> None:
        """Nothing is asked for yet."""
        self._target, self._topic = target, topic
        self._lease = Lease(target, PIPELINE)
        self.waiting = ""

    def __enter__(self) -> Sink:
        """Take the lease and make the tables."""
        self._lease.__enter__()
        self.waiting = f"{WAITING}{self._lease.run_seq}"
        with self._cursor() as cursor:
            for statement in _TABLES:
                cursor.execute(statement)
            self._drop_waiting(cursor)
            places = "source_partition integer, source_offset bigint"
            cursor.execute(f"create unlogged table {SCHEMA}.{self.waiting} ({places}, {_TEXTS})")
        return self

    def __exit__(self, *_: object) -> None:
        """Give up the lease."""
        try:
            with self._cursor() as cursor:
                self._drop_waiting(cursor)
        finally:
            self._lease.__exit__()

    def has(self, batch: str) -> bool:
        """Whether a batch has landed."""
        with self._cursor() as cursor:
            cursor.execute(
                "select 1 from ops.commits where pipeline = %s and load_id = %s", [PIPELINE, batch]
            )
            return cursor.fetchone() is not None

    def tombstones(self) -> tuple[str, ...]:
        """The pseudonyms of the erased."""
        with self._cursor() as cursor:
            cursor.execute("select pseudonym from ops.tombstones order by 1")
            return tuple(pseudonym for (pseudonym,) in cursor.fetchall())

    def empty(self) -> None:
        """Forget what waits."""
        with self._cursor() as cursor:
            cursor.execute(f"truncate {SCHEMA}.{self.waiting}")

    def take(self, batch: str) -> Landed:
        """Take what waits, as one batch.

        Raises:
            LeaseLost: another job has taken over; nothing was written.
        """
        landed = Landed(0, 0)
        run_seq = self._lease.advance()
        kill_point("commit.before")

        def write(cursor: Any) -> None:
            waiting = f"{SCHEMA}.{self.waiting}"
            cursor.execute(
                f"insert into {SCHEMA}.{FLAT} (_run_seq, _row_no, _account, _dlt_load_id, {_NAMES})"
                f" select %s, row_number() over (order by source_partition, source_offset, element_no::int),"
                f" %s, %s, {_NAMES} from (select distinct on (event_id) * from {waiting} where reason is null"
                " order by event_id, source_partition, source_offset, element_no::int) as first"
                " on conflict (event_id) do nothing",
                [run_seq, self._topic, batch],
            )
            landed.events = cursor.rowcount
            cursor.execute(
                f"insert into {SCHEMA}.quarantine (_run_seq, _row_no, _account, _dlt_load_id, resource,"
                " reason, source_key, raw_bytes, detected_at)"
                " select %s, row_number() over (order by source_partition, source_offset), %s, %s, %s,"
                f" reason, message_id, raw_bytes, {self._target.clock}::text"
                f" from (select distinct on (message_id) * from {waiting} where reason is not null"
                f" order by message_id) as bad where not exists (select 1 from {SCHEMA}.quarantine as q"
                " where q.source_key = bad.message_id and q.resource = %s)",
                [run_seq, self._topic, batch, TABLE, TABLE],
            )
            landed.rejected = cursor.rowcount
            cursor.execute(
                "insert into ops.commits (run_seq, pipeline, load_id, committed_at, mode)"
                f" values (%s, %s, %s, {self._target.clock}, 'live')",
                [run_seq, PIPELINE, batch],
            )

        self._lease.commit(write)
        kill_point("commit.after")
        return landed

    def count(self, hours: Iterable[tuple[int, str, int]]) -> None:
        """Note how many events of each name an hour has, in place of what was noted of it.

        Args:
            hours: beginning in seconds since 1970, name, and how many.
        """
        rows = list(hours)
        with self._cursor() as cursor:
            cursor.executemany(
                f"insert into {SCHEMA}.{HOURS} (hour_at, event_name, events, updated_at)"
                f" values (to_timestamp(%s), %s, %s, {self._target.clock})"
                " on conflict (hour_at, event_name) do update"
                " set events = excluded.events, updated_at = excluded.updated_at",
                rows,
            )

    def note(self, progress: Mapping[str, Any]) -> int:
        """Note how far the count of the hours has come; how many rows it has dropped as too late.

        Args:
            progress: as `StreamingQuery.lastProgress`.
        """
        dropped: int = sum(each["numRowsDroppedByWatermark"] for each in progress["stateOperators"])
        with self._cursor() as cursor:
            cursor.execute(
                f"insert into {SCHEMA}.{PROGRESS} values (%s, %s, %s, %s, %s, %s) on conflict do nothing",
                [
                    progress["id"],
                    progress["batchId"],
                    progress["timestamp"],
                    progress["numInputRows"],
                    progress["eventTime"].get("watermark"),
                    dropped,
                ],
            )
        return dropped

    def _drop_waiting(self, cursor: Any) -> None:
        """Also those of jobs that were killed: the lease is ours, so nobody else has any."""
        cursor.execute(
            "select table_name from information_schema.tables where table_schema = %s and table_name like %s",
            [SCHEMA, WAITING.replace("_", r"\_") + "%"],
        )
        for (name,) in cursor.fetchall():
            cursor.execute(f"drop table if exists {SCHEMA}.{name}")

    def _cursor(self) -> Any:
        return _Cursor(self._target)


class _Cursor:
    """A cursor of a connection of its own, in one transaction."""

    def __init__(self, target: Target) -> None:
        self._connection = target.connect()
        self._connection.autocommit = False

    def __enter__(self) -> Any:
        self._cursor = self._connection.cursor()
        return self._cursor

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with closing(self._connection):
            if kind is None:
                self._connection.commit()


def written(
    target: Target, waiting: str, rows: Callable[[], Iterator[pa.RecordBatch]]
) -> Iterator[pa.RecordBatch]:
    """Copy rows into the waiting table, in a worker: all of a task's or none. What was written, in figures.

    Args:
        rows: gives batches of ``loaders.spark.flatten.SCHEMA``.
    """
    events = rejected = 0
    names = [*PLACE.names, *FLAT_COLUMNS, *ASIDE]
    quoted = ", ".join(f'"{name}"' for name in names)
    with _Cursor(target) as cursor:
        for batch in rows():
            buffer = io.BytesIO()
            csv.write_csv(batch, buffer, csv.WriteOptions(include_header=False))
            buffer.seek(0)
            cursor.copy_expert(f"copy {SCHEMA}.{waiting} ({quoted}) from stdin (format csv)", buffer)
            bad = len(batch) - batch.column("reason").null_count
            events, rejected = events + len(batch) - bad, rejected + bad
            kill_point("load.file_committed")
    yield pa.RecordBatch.from_arrays([pa.array([events]), pa.array([rejected])], schema=WRITTEN)
