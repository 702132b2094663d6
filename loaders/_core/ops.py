"""The tables a run keeps books in: schema ``ops`` and each source's ``covered``."""

# ruff: noqa: S608  (what is put into statements are names of ours; values go beside them)

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import tenacity
from psycopg2 import errors as e
from psycopg2.extras import execute_values

from loaders._core.sets import Day, Receipt
from loaders._core.warehouse import Target

# So begin the keys of single values in quarantine: they are no records that could come back.
VALUE = "value:"
IDLE_SECONDS = 30.0
RESUMED_DAYS = 3
_TABLES = {
    "ops.lease": (
        "pipeline varchar(200) not null, run_seq bigint not null, holder varchar(400) not null,"
        " heartbeat_at timestamptz not null, released boolean not null"
    ),
    "ops.commits": (
        "run_seq bigint not null, pipeline varchar(200) not null, load_id varchar(64) not null,"
        " committed_at timestamptz not null, run_id varchar(64), mode varchar(16)"
    ),
    "ops.runs": (
        "run_id varchar(64) not null, pipeline varchar(200) not null, mode varchar(16) not null, since date,"
        " until date, started_at timestamptz not null, finished_at timestamptz, outcome varchar(16) not null,"
        " api_version varchar(32), message varchar(8000)"
    ),
    "ops.run_resources": (
        "run_id varchar(64) not null, run_seq bigint, pipeline varchar(200) not null,"
        " resource varchar(200) not null, account varchar(200) not null, window_since date,"
        " window_until date, rows_read bigint, rows_landed bigint, sets_landed bigint,"
        " sets_unchanged bigint, escaped bigint,"
        " seconds double precision, outcome varchar(16) not null, message varchar(8000),"
        " rows_quarantined bigint, rows_known bigint"
    ),
    "ops.columns": (
        "pipeline varchar(200) not null, resource varchar(200) not null, path varchar(8000) not null,"
        " column_name varchar(200) not null, first_run_seq bigint not null"
    ),
}
_TABLES |= {
    "ops.personal_columns": (
        "pipeline varchar(200) not null, resource varchar(200) not null, column_name varchar(200) not null,"
        " class varchar(16) not null"
    ),
    "ops.privacy_keys": (
        "key_id varchar(16) not null, first_used_at timestamptz not null, retired_at timestamptz"
    ),
    "ops.tombstones": "pseudonym varchar(64) not null, erased_at timestamptz not null",
    "ops.privacy_audit": (
        "at timestamptz not null, who varchar(200) not null, action varchar(16) not null,"
        " reason varchar(2000) not null, pseudonym varchar(64), column_name varchar(400)"
    ),
}
_COVERED = (
    "resource varchar(200), account varchar(200), day date, run_seq bigint, data_run_seq bigint,"
    " read_at timestamptz, rows bigint, rows_hash varchar(64), totals varchar(8000),"
    " _dlt_load_id varchar(64), version varchar(2000)"
)
COVERED_COLUMNS = (
    "resource",
    "account",
    "day",
    "run_seq",
    "data_run_seq",
    "read_at",
    "rows",
    "rows_hash",
    "totals",
    "version",
)


@dataclass
class ResourceRecord:
    """A line of ``ops.run_resources``; ``since`` to ``until`` is what was read.

    Attributes:
        values_quarantined: values that rows have landed without; the table's ``rows_quarantined`` has both.
    """

    resource: str
    account: str
    since: date | None = None
    until: date | None = None
    rows_read: int = 0
    rows_landed: int = 0
    sets_landed: int = 0
    sets_unchanged: int = 0
    escaped: int = 0
    seconds: float = 0.0
    outcome: str = "ok"
    message: str | None = None
    rows_quarantined: int = 0
    rows_known: int = 0
    values_quarantined: int = 0


@dataclass
class Run:
    """A line of ``ops.runs``: one `run` of one source, of as many packages as it takes."""

    run_id: str
    pipeline: str
    mode: str
    since: date | None
    until: date | None
    api_version: str
    done: set[tuple[str, date | None, date | None]] = field(default_factory=set)


class Books:
    """Reads and writes ``ops`` and ``covered`` of one pipeline; for one thread."""

    def __init__(self, target: Target, pipeline: str) -> None:
        self.target = target
        self.pipeline = pipeline
        self.schema = f"raw_{pipeline}"
        self._connection: Any = None
        self._used = 0.0

    def prepare(self) -> None:
        """Make what is not there yet."""
        self._create("create schema if not exists ops")
        self._create(f"create schema if not exists {self.schema}")
        for name, columns in _TABLES.items():
            self._create(f"create table if not exists {name} ({columns})")
        is_postgres = self.target.kind == "postgres"
        order = "" if is_postgres else " sortkey (account, day, run_seq)"
        text = (
            _COVERED.replace("varchar(8000)", "text").replace("varchar(200)", "text")
            if is_postgres
            else _COVERED
        )
        self._create(f"create table if not exists {self.schema}.covered ({text}){order}")
        if "version" not in self.column_names("covered")[0]:  # made before receipts had one
            self._execute(f"alter table {self.schema}.covered add column version varchar(2000)")
        self._create(
            f"create table if not exists {self.schema}.quarantine_resolved (resource varchar(200),"
            " source_key varchar(2000), run_seq bigint, resolved_at timestamptz)"
        )
        if not self._query(
            "select 1 from information_schema.columns where table_schema = 'ops'"
            " and table_name = 'run_resources' and column_name = 'rows_known'"
        ):  # made before there was a quarantine
            for name in ("rows_quarantined", "rows_known"):
                with suppress(e.DuplicateColumn):  # another source of the same run was first
                    self._execute(f"alter table ops.run_resources add column {name} bigint")
        if is_postgres:
            self._create(
                f"create index if not exists covered_set on {self.schema}.covered (account, day, run_seq)"
            )
            self._create("create unique index if not exists commits_run_seq on ops.commits (run_seq)")

    def begin(self, run: Run, started_at: datetime) -> None:
        """Note that a run has begun."""
        self._execute(
            "insert into ops.runs (run_id, pipeline, mode, since, until, started_at, outcome, api_version)"
            " values (%s, %s, %s, %s, %s, %s, 'running', %s)",
            [run.run_id, run.pipeline, run.mode, run.since, run.until, started_at, run.api_version],
        )

    def unfinished_backfill(
        self, run: Run, now: datetime
    ) -> tuple[str, set[tuple[str, date | None, date | None]]] | None:
        """The newest backfill of the same days if it did not end well: its id, and what of it is committed.

        Committed means (account, since, until) of a chunk. None if nothing is, or if the backfill has been
        at rest for ``RESUMED_DAYS``: whoever asks then wants the days as they are now, all of them.
        """
        rows = self._query(
            "select run_id, outcome, started_at, finished_at from ops.runs where pipeline = %s"
            " and mode = 'backfill' and since = %s and until = %s order by started_at desc limit 1",
            [run.pipeline, run.since, run.until],
        )
        if not rows or rows[0][1] == "ok":
            return None
        run_id, _, *moments = rows[0]
        # Receipts bear the run's own clock, commits the warehouse's.
        moments += self._query(
            f"select max(c.read_at) from {self.schema}.covered c join ops.commits k on k.run_seq = c.run_seq"
            " where k.run_id = %s",
            [run_id],
        )[0]
        # Another machine's clock may be ahead of ours.
        age = abs(now - max(moment for moment in moments if moment is not None))
        if age >= timedelta(days=RESUMED_DAYS):
            return None
        done = self._query(
            "select distinct account, window_since, window_until from ops.run_resources"
            " where run_id = %s and outcome = 'ok' and window_since is not null",
            [run_id],
        )
        return (run_id, set(done)) if done else None

    def resume(self, run: Run) -> None:
        """Note that an unfinished run goes on."""
        self._execute(
            "update ops.runs set outcome = 'running', message = null where run_id = %s", [run.run_id]
        )

    def close_dead_runs(self) -> None:
        """Runs that were killed can't say so themselves; to be called by the holder of the lease."""
        self._execute(
            "update ops.runs set outcome = 'failed', message = 'ended without a word (killed)'"
            " where pipeline = %s and outcome = 'running'",
            [self.pipeline],
        )

    def end(self, run: Run, finished_at: datetime, outcome: str, message: str | None) -> None:
        """Note how a run has ended."""
        self._execute(
            "update ops.runs set finished_at = %s, outcome = %s, message = %s where run_id = %s",
            [finished_at, outcome, _short(message), run.run_id],
        )

    def failures(self, run: Run, records: Sequence[ResourceRecord]) -> None:
        """Note resources that were not read; those that were are noted with the commit."""
        with self._cursor() as cursor:
            _insert_records(cursor, run, None, records)

    def accounts_read(self) -> set[str]:
        """The accounts of which reports have ever landed."""
        rows = self._query(
            "select distinct account from ops.run_resources"
            " where pipeline = %s and outcome = 'ok' and window_since is not null",
            [self.pipeline],
        )
        return {row[0] for row in rows}

    def covered_until(self) -> dict[tuple[str, str], date]:
        """For each account and report the last day that a live run has read."""
        rows = self._query(
            f"select c.account, c.resource, max(c.day) from {self.schema}.covered c"
            f" join ops.commits k on k.run_seq = c.run_seq"
            f" where k.mode = 'live' and c.day is not null group by c.account, c.resource"
        )
        return {(account, resource): last for account, resource, last in rows}

    def is_committed(self, run_seq: int, load_id: str) -> bool:
        """Does this package count?"""
        return bool(
            self._query(
                "select 1 from ops.commits where pipeline = %s and run_seq = %s and load_id = %s",
                [self.pipeline, run_seq, load_id],
            )
        )

    def commits(self) -> list[tuple[int, str]]:
        """The packages that count, by run_seq and run, oldest first."""
        rows = self._query(
            "select run_seq, run_id from ops.commits where pipeline = %s order by run_seq", [self.pipeline]
        )
        return [(int(run_seq), run_id) for run_seq, run_id in rows]

    def receipts(
        self, account: str, since: date | None, until: date | None
    ) -> dict[tuple[str, Day], Receipt]:
        """The newest committed receipt of each set of an account: its entities, and its days of a window."""
        rows = self._query(
            f"select {', '.join(COVERED_COLUMNS)} from (select c.*, row_number() over (partition by resource,"
            f" day order by c.run_seq desc) as age from {self.schema}.covered c"
            f" join ops.commits k on k.run_seq = c.run_seq"
            f" where account = %s and (day is null or day between %s and %s)) as ranked where age = 1",
            [account, since, until],
        )
        return {(row[0], row[2]): Receipt(*row) for row in rows}

    def column_names(self, resource: str) -> tuple[list[str], dict[str, str]]:
        """The columns of a raw table in order of their making, and the path each was made for."""
        columns = self._query(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
            " order by ordinal_position",
            [self.schema, resource],
        )
        paths = self._query(
            "select path, column_name from ops.columns where pipeline = %s and resource = %s"
            " order by first_run_seq desc",
            [self.pipeline, resource],
        )
        return [row[0] for row in columns], dict(paths)

    def ensure_table(self, resource: str, columns: Iterable[str], nested: Collection[str] = ()) -> None:
        """Make a raw table or the columns it lacks, all of them text but, on Redshift, `nested`: SUPER."""
        is_postgres = self.target.kind == "postgres"
        table = f'{self.schema}."{resource}"'
        self._create(
            f"create table if not exists {table} (_run_seq bigint, _row_no bigint, _account varchar(200),"
            f" _day date, _dlt_load_id varchar(64))"
            + ("" if is_postgres else " sortkey (_account, _day, _run_seq)")
        )
        present = set(self.column_names(resource)[0])
        missing = [name for name in columns if name not in present]
        if is_postgres and missing:
            self._execute(
                f"alter table {table} " + ", ".join(f'add column "{name}" text' for name in missing)
            )
        for name in missing if not is_postgres else []:
            kind = "super" if name in nested else "varchar(65535)"
            self._execute(f'alter table {table} add column "{name}" {kind}')

    def rows_of(self, receipt: Receipt) -> list[dict[str, str | None]]:
        """The rows of a committed set of entities, by column; for sets that fit into memory."""
        columns = [name for name in self.column_names(receipt.resource)[0] if not name.startswith("_")]
        quoted = ", ".join(f'"{name}"' for name in columns)
        # A file that was loaded twice has every row twice.
        found = self._query(
            f'select distinct _row_no, {quoted} from {self.schema}."{receipt.resource}"'
            " where _account = %s and _day is null and _run_seq = %s order by _row_no",
            [receipt.account, receipt.data_run_seq],
        )
        return [dict(zip(columns, row[1:], strict=True)) for row in found]

    def documents(self, resource: str) -> set[str]:
        """The columns of a raw table in Redshift that are SUPER."""
        rows = self._query(
            "select column_name from svv_columns where table_schema = %s and table_name = %s"
            " and data_type = 'super'",
            [self.schema, resource],
        )
        return {row[0] for row in rows}

    def ensure_index(self, resource: str) -> None:
        """Index a raw table by set; after the first rows are in, which is faster."""
        if self.target.kind == "postgres":
            self._create(
                f'create index if not exists "{resource}_set" on {self.schema}."{resource}"'
                " (_account, _day, _run_seq)"
            )

    def ensure_key(self, resource: str, key: str) -> None:
        """Index a raw table by what its source knows its records by, which is asked for while reading."""
        if self.target.kind == "postgres":
            self._create(
                f'create index if not exists "{resource}_key" on {self.schema}."{resource}" ("{key}")'
            )

    def known(self, resource: str, key: str, keys: Collection[str]) -> set[str]:
        """Which of these keys committed rows of a raw table have."""
        found = self._query(
            f'select r."{key}" from {self.schema}."{resource}" r'
            f' join ops.commits k on k.run_seq = r._run_seq where r."{key}" in %s',
            [tuple(keys)],
        )
        return {row[0] for row in found}

    def quarantined(self, resource: str, keys: Collection[str]) -> set[str]:
        """Which of these keys are in quarantine, or have been."""
        found = self._query(
            f"select q.source_key from {self.schema}.quarantine q"
            " join ops.commits k on k.run_seq = q._run_seq where q.resource = %s and q.source_key in %s",
            [resource, tuple(keys)],
        )
        return {row[0] for row in found}

    def in_quarantine(self) -> dict[tuple[str, str], int]:
        """How many records of each (resource, account) are in quarantine and not resolved."""
        if not self.column_names("quarantine")[0]:
            return {}
        rows = self._query(
            "select q.resource, q._account, count(distinct q.source_key)"
            f" {self._unresolved()} group by q.resource, q._account"
        )
        return {(resource, account): count for resource, account, count in rows}

    def quarantined_records(self, resource: str, account: str) -> Iterator[list[str]]:
        """The parts, as base64, of each record in quarantine that is not resolved, in the order it came."""
        after = (-1, -1)
        parts: list[str] = []
        whose: tuple[int, str] | None = None
        # A file that was loaded twice has every row twice.
        while rows := self._query(
            f"select distinct q._run_seq, q._row_no, q.source_key, q.raw_bytes {self._unresolved()}"
            " and q.resource = %s and q._account = %s"
            " and (q._run_seq > %s or (q._run_seq = %s and q._row_no > %s))"
            " order by q._run_seq, q._row_no limit 500",
            [resource, account, after[0], *after],
        ):
            after = (rows[-1][0], rows[-1][1])
            for run_seq, _, key, part in rows:
                if whose is not None and (run_seq, key) != whose:
                    yield parts
                    parts = []
                whose = (run_seq, key)
                parts.append(part)
        if parts:
            yield parts

    def _unresolved(self) -> str:
        return (
            # Of what was erased, or went by its age, nothing can come back.
            f"from {self.schema}.quarantine q join ops.commits k on k.run_seq = q._run_seq"
            f" where q.raw_bytes is not null and left(q.source_key, {len(VALUE)}) <> '{VALUE}' and not exists"
            f" (select 1 from {self.schema}.quarantine_resolved d where d.resource = q.resource"
            " and d.source_key = q.source_key)"
        )

    def resolve(self, cursor: Any, resource: str, key: str, run_seq: int) -> None:
        """Note what of the quarantine has landed with this run_seq after all; within its commit."""
        cursor.execute(
            f"insert into {self.schema}.quarantine_resolved (resource, source_key, run_seq, resolved_at)"
            f" select distinct q.resource, q.source_key, cast(%s as bigint), {self.target.clock}"
            # All three: so the index of sets finds the package, however large the table is.
            f" {self._unresolved()} and q.resource = %s and exists"
            f' (select 1 from {self.schema}."{resource}" r where r._account = q._account and r._day is null'
            f' and r._run_seq = %s and r."{key}" = q.source_key)',
            [run_seq, resource, run_seq],
        )

    def retract(self, resource: str, run_seq: int, files: Collection[int] | None = None) -> None:
        """Delete rows of a run_seq that is not committed: those of these files, by their numbers, or all."""
        among = "" if files is None else " and _row_no >> 32 in %s"
        values: list[Any] = [run_seq] if files is None else [run_seq, tuple(files)]
        self._execute(f'delete from {self.schema}."{resource}" where _run_seq = %s{among}', values)

    def write_commit(
        self,
        cursor: Any,
        run: Run,
        run_seq: int,
        load_id: str,
        *,
        records: Sequence[ResourceRecord],
        new_paths: Sequence[tuple[str, str, str]],
    ) -> None:
        """What makes a package count; the cursor is in the lease's transaction."""
        cursor.execute(
            "insert into ops.commits (run_seq, pipeline, load_id, committed_at, run_id, mode)"
            f" values (%s, %s, %s, {self.target.clock}, %s, %s)",
            [run_seq, self.pipeline, load_id, run.run_id, run.mode],
        )
        _insert_records(cursor, run, run_seq, records)
        if new_paths:
            execute_values(
                cursor,
                "insert into ops.columns (pipeline, resource, path, column_name, first_run_seq) values %s",
                [(self.pipeline, *new, run_seq) for new in new_paths],
            )

    def close(self) -> None:
        """Close the connection; the next call opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        # Opening one costs more than what it is asked; one that was idle for long may have been cut.
        if (
            self._connection is None
            or self._connection.closed
            or time.monotonic() - self._used > IDLE_SECONDS
        ):
            self.close()
            self._connection = self.target.connect()
        try:
            with self._connection.cursor() as cursor:
                yield cursor
        finally:
            self._used = time.monotonic()

    def _query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._cursor() as cursor:
            cursor.execute(sql, values)
            return list(cursor.fetchall())

    def _execute(self, sql: str, values: Sequence[Any] = ()) -> None:
        with self._cursor() as cursor:
            cursor.execute(sql, values or None)

    def _create(self, sql: str) -> None:
        with self._cursor() as cursor:
            create(cursor, sql)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(
        (e.UniqueViolation, e.DuplicateTable, e.DuplicateSchema, e.DuplicateObject)
    ),
    wait=tenacity.wait_random(max=0.1),
    stop=tenacity.stop_after_attempt(10),
    reraise=True,
)
def create(cursor: Any, statement: str) -> None:
    """Run a ``create … if not exists`` that another session may be running at the same moment.

    The warehouse asks whether a name is free before it takes it, so the later of two is told, in one of
    several ways, that somebody has it. Asked again it sees that it is there, if not at once: Postgres lets
    go of what it is making a moment before it tells the others.

    Args:
        cursor: of a connection that commits by itself.
    """
    cursor.execute(statement)


def _insert_records(cursor: Any, run: Run, run_seq: int | None, records: Sequence[ResourceRecord]) -> None:
    if not records:
        return
    execute_values(
        cursor,
        "insert into ops.run_resources (run_id, run_seq, pipeline, resource, account, window_since,"
        " window_until, rows_read, rows_landed, sets_landed, sets_unchanged, escaped, seconds, outcome,"
        " message, rows_quarantined, rows_known) values %s",
        [
            (
                run.run_id,
                run_seq,
                run.pipeline,
                r.resource,
                r.account,
                r.since,
                r.until,
                r.rows_read,
                r.rows_landed,
                r.sets_landed,
                r.sets_unchanged,
                r.escaped,
                round(r.seconds, 3),
                r.outcome,
                _short(r.message),
                r.rows_quarantined + r.values_quarantined,
                r.rows_known,
            )
            for r in records
        ],
    )


def _short(message: str | None) -> str | None:
    return message[:2000] if message else None
