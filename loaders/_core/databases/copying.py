"""Tables of a database, streamed into raw as they are: the source's COPY text is the warehouse's COPY input.

Rows become neither Python values nor Arrow, so no type can be lost on the way and little time is. They land
beside dlt's package, whose receipts say that they are there; without a committed receipt they don't count,
and the next run takes them away. What a table gives lands in one of two ways:

- *appended* (a table with a cursor): rows from the last cursor on, less the lag, that are not the newest
  version already. Every committed set counts, the newest version of a key is the one with the highest
  ``(_run_seq, _row_no)``. The cursor stands in the receipt's version, so it counts when the rows do.
- *whole* (no cursor, and sweeps of keys): all rows, if the set differs from the one before.

What is said here is said for Postgres; ``redshift`` has what is otherwise there.
"""

# ruff: noqa: S608  (what is put into statements are names that we made, quoted; values go beside them)

from __future__ import annotations

import itertools
import json
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, cast

import numpy as np
import psycopg2
import xxhash

from loaders._core.archive.current import Tape
from loaders._core.archive.store import ArchiveError
from loaders._core.archive.tables import Column, Keeper, Replayed, Told
from loaders._core.copytext import ESCAPES
from loaders._core.crash import kill_point
from loaders._core.declare import Account, Resource
from loaders._core.destination import LandingError
from loaders._core.errors import AdstarError
from loaders._core.naming import SYSTEM_COLUMNS, ColumnNames
from loaders._core.ops import Books, ResourceRecord
from loaders._core.privacy.books import Treatment, remap
from loaders._core.privacy.values import Personal, Protection, pseudonym_columns
from loaders._core.sets import Receipt, ResourceSpool, SetSum

KEYS = "__keys"
BATCH_ROWS = 2_000
BATCHES_AHEAD = 8
KEYS_AT_ONCE = 5_000
Write = Callable[[bytes], Any]


class Reading(Protocol):
    """One table of a database as it is in one snapshot.

    Attributes:
        columns: in the table's order.
        key: names of the columns that tell rows apart; may be empty where the table is read whole.
        cursor: the column that rises whenever a row changes; None: the table is read whole.
    """

    columns: list[Column]
    key: tuple[str, ...]
    cursor: Column | None

    def rows(self, write: Write, since: str | None = None) -> None:
        """Give all rows, or those whose cursor is NULL or ``since`` or more, as lines of COPY's text."""

    def rows_of(self, write: Write, keys: Sequence[Sequence[str]]) -> None:
        """Give the rows of these keys."""

    def since(self, last: str) -> str:
        """From which cursor on to read when rows were read up to ``last``."""

    def reached(self) -> tuple[str | None, str | None]:
        """How far the rows reach, at most to the source's clock; and that clock, if the cursor is a time."""


@dataclass
class Copied:
    """What came of a table: its receipt, its line in the books, and what should be said of it."""

    receipt: Receipt
    record: ResourceRecord
    notes: list[str] = field(default_factory=list)


class Pipe:
    """Rows on their way from the source's thread to the warehouse's: numbered, counted and hashed.

    Args:
        prefix: what stands before every row, with ``%d`` for its number.
        check: called now and then in the warehouse's thread; raises to stop.
        noted: called there with the number of rows that went through.
        numbers: the rows'.
        keeper: gets the rows as they come, with their numbers.
    """

    def __init__(
        self,
        prefix: bytes,
        check: Callable[[], None],
        noted: Callable[[int], None],
        numbers: Iterator[int],
        keeper: Keeper | None = None,
    ) -> None:
        self.sum = SetSum()
        self._prefix = prefix
        self._check = check
        self._noted = noted
        self._numbers = numbers
        self._keeper = keeper
        self._batches: queue.Queue[tuple[bytes, int] | BaseException | None] = queue.Queue(BATCHES_AHEAD)
        self._rows: list[bytes] = []
        self._closed = threading.Event()
        self.error: BaseException | None = None

    def through(self, read: Callable[[Write], None], into: Callable[[Any], None]) -> None:
        """Let ``read`` write rows in a thread of its own while ``into`` takes them in this one."""
        thread = threading.Thread(target=self._fill, args=(read,), name="read rows", daemon=True)
        thread.start()
        try:
            into(self)
        except BaseException as error:
            raise self.error or error from None
        finally:
            self._closed.set()
            thread.join()

    def read(self, size: int = -1) -> bytes:
        """What psycopg2 sends next; nothing at the end. For the warehouse's thread."""
        try:
            self._check()
            batch = self._batches.get()
            if isinstance(batch, BaseException):
                raise batch
        except BaseException as error:
            self.error = error  # psycopg2 makes an error of its own of it
            raise
        if batch is None:
            return b""
        self._noted(batch[1])
        kill_point("read.first_page")
        return batch[0]

    def _fill(self, read: Callable[[Write], None]) -> None:
        try:
            read(self._write)
            self._flush()
            self._put(None)
        except BaseException as error:
            with suppress(_Closed):
                self._put(error)

    def _write(self, row: bytes) -> None:
        self._rows.append(row)
        if len(self._rows) >= BATCH_ROWS:
            self._flush()

    def _flush(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        digests = b"".join(map(xxhash.xxh3_128_digest, rows))
        lanes = np.frombuffer(digests, np.dtype("<u8")).reshape(-1, 2).sum(axis=0, dtype=np.uint64)
        numbers = list(itertools.islice(self._numbers, len(rows)))
        if self._keeper:
            self._keeper.add(numbers, rows)
        numbered: list[bytes] = []
        for number, row in zip(numbers, rows, strict=True):
            numbered += (self._prefix % number, row)
        self.sum.rows += len(rows)
        self.sum.lanes = self.sum.lanes + lanes
        self._put((b"".join(numbered), len(rows)))

    def _put(self, batch: tuple[bytes, int] | BaseException | None) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                return self._batches.put(batch, timeout=0.5)
        raise _Closed


class _Closed(Exception):
    """Nobody takes rows any more."""


class TableCopy:
    """Lands one table of one database in one run.

    Args:
        names: the raw table's columns; added to.
        earlier: the newest committed receipt of the table.
        aside: takes what goes to the quarantine.
        protection: what treats the personal columns once they are in the warehouse, before they count.
        check: raises when the lease is lost.
        noted: called with numbers of rows as they are read.
        tape: what the rows are written down on.

    Attributes:
        order: SQL that says how a raw table is sorted.
    """

    order = ""

    def __init__(
        self,
        resource: Resource,
        account: Account,
        reading: Reading | Replayed,
        *,
        books: Books,
        names: ColumnNames,
        run_seq: int,
        load_id: str,
        earlier: Receipt | None,
        aside: ResourceSpool,
        protection: Protection,
        check: Callable[[], None],
        noted: Callable[[int], None],
        tape: Tape,
    ) -> None:
        self.notes: list[str] = []
        self._resource = resource
        self._account = account
        self._replayed = reading if isinstance(reading, Replayed) else None
        self._reading = cast(Reading, reading)  # a replayed one is asked for columns, key and cursor only
        self._books = books
        self._names = names
        self._run_seq = run_seq
        self._load_id = load_id
        # What builds on rows that the archive does not have could not be made again: all is read once more.
        self._earlier = earlier if earlier and tape.has(earlier.run_seq) else None
        self._aside = aside
        self._misfits = 0
        self._protection = protection
        self._personal: dict[str, Personal] = {}
        # What is sealed is text.
        sealed = resource.personal if protection.sealing else {}
        self._columns = [
            Column(c.name, self._held_as("text" if c.name in sealed else c.type)) for c in reading.columns
        ]
        self._check = check
        self._noted = noted
        self._tape = tape
        self._keeper = Keeper() if tape.records else None
        self._table = f'{books.schema}."{resource.name}"'
        self._raw: list[str] = []

    def land(self, read_at: datetime) -> Copied:
        """Copy what there is to copy.

        Raises:
            LandingError: the warehouse does not take a row.
            Whatever reading raises.
        """
        self._read_at = read_at
        with closing(self._books.target.connect()) as connection, connection.cursor() as cursor:
            return self._land(connection, cursor, read_at)

    def _land(self, connection: Any, cursor: Any, read_at: datetime) -> Copied:
        is_new = self._lay_out(cursor)
        if not is_new:
            self._clear(cursor)
        connection.autocommit = False
        if is_new:
            self._create(cursor)
        read, landed, rows_hash, pointed = self._take(cursor)
        version = self._version()
        self._keep(cursor, read, landed, version, is_old=pointed != self._run_seq)
        rows_hash = self._tape.hash_of(
            self._resource.name, self._account.id, None, rows=landed, rows_hash=rows_hash
        )
        connection.commit()
        kill_point("read.file_written")
        record = ResourceRecord(self._resource.name, self._account.id, rows_read=read)
        record.rows_landed = landed if pointed == self._run_seq else 0
        record.sets_unchanged = int(pointed != self._run_seq)
        record.sets_landed = 1 - record.sets_unchanged
        record.values_quarantined = self._misfits
        record.message = "; ".join(self.notes) or None
        receipt = Receipt(
            resource=self._resource.name,
            account=self._account.id,
            day=None,
            run_seq=self._run_seq,
            data_run_seq=pointed,
            read_at=read_at,
            rows=landed,
            rows_hash=rows_hash,
            totals=None,
            version=version,
        )
        return Copied(receipt, record, self.notes)

    # -- the raw table ----------------------------------------------------------------------------

    def _held_as(self, kind: str) -> str:
        """The warehouse's type for a type of ``Column``, as ``_types`` says it."""
        return kind

    def _lay_out(self, cursor: Any) -> bool:
        """Find the raw column of each column, adding what is missing; is the table still to be made?"""
        present = self._types(cursor, self._table)
        added: list[tuple[str, str]] = []
        for column in self._columns:
            known = set(self._names.paths)
            name = self._names.name((column.name,))
            held = present.get(name, column.type)
            if held != column.type:
                name = self._names.name((column.name, column.type.replace("[]", " array")))
                if set(self._names.paths) != known:
                    self.notes.append(
                        f"column {column.name} of {self._resource.name} is {column.type} now and was {held}:"
                        f" from here on its values land in {name}, and {held} values stay where they are"
                    )
            self._raw.append(name)
            if present and name not in present:
                added.append((name, column.type))
            if column.name in self._resource.personal:
                self._personal[name] = self._resource.personal[column.name]
        text = self._held_as("text")
        added += [(name, text) for name in self._pseudonyms if present and name not in present]
        if added:
            self._add(cursor, added)
        return not present

    def _add(self, cursor: Any, columns: list[tuple[str, str]]) -> None:
        """Give the table further columns, by name and type."""
        each = ", ".join(f"add column {_quoted(name)} {kind}" for name, kind in columns)
        cursor.execute(f"alter table {self._table} {each}")

    def _create(self, cursor: Any) -> None:
        # With its first rows in one transaction: nothing is left of a killed run, and no log need be written.
        columns = [(name, column.type) for name, column in zip(self._raw, self._columns, strict=True)]
        columns += [(name, self._held_as("text")) for name in self._pseudonyms]
        cursor.execute(
            f"create table {self._table} (_run_seq bigint, _row_no bigint, _account varchar(200), _day date,"
            f" _dlt_load_id varchar(64), {', '.join(f'{_quoted(name)} {kind}' for name, kind in columns)})"
            + self.order
        )

    def _types(self, cursor: Any, table: str) -> dict[str, str]:
        cursor.execute(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            [table],
        )
        return dict(cursor.fetchall())

    def _clear(self, cursor: Any) -> None:
        """Take away what runs left that never committed: it is younger than all that counts."""
        cursor.execute(
            f"delete from {self._table} where _account = %s and _day is null and _run_seq > (select"
            " coalesce(max(run_seq), 0) from ops.commits where pipeline = %s)",
            [self._account.id, self._books.pipeline],
        )

    # -- rows -------------------------------------------------------------------------------------

    def _take(self, cursor: Any) -> tuple[int, int, str, int]:
        """Rows read, rows of the set, its hash, and the run that holds them."""
        if self._replayed:
            return self._take_again(cursor, self._replayed)
        if self._earlier is None:
            total = self._stream(cursor, self._table, self._reading.rows)
            self._treat(cursor, self._table, f"_run_seq = {self._run_seq} and _day is null")
            return total.rows, total.rows, total.rows_hash, self._run_seq
        self._stage(cursor)
        if self._reading.cursor is None:
            total = self._stream(cursor, "staged", self._reading.rows)
            same = (total.rows, total.rows_hash) == (self._earlier.rows, self._earlier.rows_hash)
            if same and total.rows:
                return total.rows, total.rows, total.rows_hash, self._earlier.data_run_seq
            self._treat(cursor, "staged", "true")
            self._move(cursor)
            return total.rows, total.rows, total.rows_hash, self._run_seq
        since = self._since(self._earlier)
        read = self._stream(cursor, "staged", lambda write: self._reading.rows(write, since)).rows
        self._treat(cursor, "staged", "true")
        self._drop_known(cursor, since)
        read += self._take_missed(cursor)
        total = self._said(cursor)
        self._move(cursor)
        return read, total.rows, total.rows_hash, self._run_seq

    def _take_again(self, cursor: Any, replayed: Replayed) -> tuple[int, int, str, int]:
        """As ``_take``, of rows that have landed once."""
        told = replayed.told
        if told.unchanged:
            if self._earlier is None:
                raise ArchiveError(
                    f"the archive has no rows of {self._resource.name}, only that a later run found the same:"
                    " the package that has them was removed; put it back from a copy"
                )
            return told.read, told.rows, self._earlier.rows_hash, self._earlier.data_run_seq
        self._stage(cursor)
        self._open_to_marks(cursor)
        total = self._stream(cursor, "staged", replayed.rows, replayed.numbers())
        self._treat(cursor, "staged", "true")
        if replayed.cursor and self._earlier:
            total = self._said(cursor)  # as then
        self._move(cursor)
        return told.read, total.rows, total.rows_hash, self._run_seq

    def _open_to_marks(self, cursor: Any) -> None:
        """Let personal columns of ``staged`` hold what stands for an erased person, whatever their type."""
        for name in self._personal:
            cursor.execute(f"alter table staged alter column {_quoted(name)} type text")

    def _keep(self, cursor: Any, read: int, rows: int, version: str | None, *, is_old: bool) -> None:
        """Write down what has landed, if the source is archived."""
        if self._keeper is None:
            return

        def landed() -> Iterator[int]:
            with cursor.connection.cursor("landed") as numbers:  # at the server: there may be many
                numbers.itersize = 1000  # as many as a Redshift of one node gives
                numbers.execute(
                    f"select _row_no from {self._table} where _account = %s and _day is null"
                    " and _run_seq = %s order by _row_no",
                    [self._account.id, self._run_seq],
                )
                yield from (number for (number,) in numbers)

        reading = self._reading
        self._keeper.keep(
            self._tape,
            Told(
                columns=reading.columns,
                key=reading.key,
                cursor=reading.cursor,
                read=read,
                rows=rows,
                unchanged=is_old,
                version=version,
            ),
            landed,
            table=self._resource.name,
            columns=[Column(name, each.type) for name, each in zip(self._raw, reading.columns, strict=True)],
            personal=self._personal,
        )

    def _stage(self, cursor: Any) -> None:
        """Make ``staged``, where rows are looked at before they land."""
        cursor.execute(f"create temp table staged (like {self._table}) on commit drop")

    def _stream(
        self, cursor: Any, into: str, read: Callable[[Write], None], numbers: Iterator[int] | None = None
    ) -> SetSum:
        """Rows into a table, numbered from 0 on if nothing else is said."""
        account = self._account.id.translate(ESCAPES).replace("%", "%%")
        prefix = f"{self._run_seq}\t%d\t{account}\t\\N\t{self._load_id}\t"
        pipe = self._pipe(prefix.encode(), numbers)
        columns = ", ".join([*SYSTEM_COLUMNS, *map(_quoted, self._raw)])
        copy = f"copy {into} ({columns}) from stdin"
        try:
            pipe.through(read, lambda rows: cursor.copy_expert(copy, rows, size=1 << 30))
        except psycopg2.DataError as error:
            if error is pipe.error:
                raise
            raise self._refusal(error) from None
        return pipe.sum

    def _pipe(self, prefix: bytes, numbers: Iterator[int] | None) -> Pipe:
        return Pipe(prefix, self._check, self._noted, numbers or itertools.count(), self._keeper)

    @property
    def _pseudonyms(self) -> list[str]:
        return list(pseudonym_columns(self._personal).values())

    def _treat(self, cursor: Any, table: str, where: str) -> None:
        """Give personal columns their pseudonyms, seal them if asked for, and blank what is erased."""

        def treat(column: str, kind: Personal, values: list[str]) -> Iterable[Treatment]:
            return self._protection.treatments(kind, values)

        if self._personal:
            remap(cursor, table, self._personal, treat, where)

    def _move(self, cursor: Any) -> None:
        names = [*SYSTEM_COLUMNS, *self._raw, *self._pseudonyms]
        said = dict(zip(names, map(_quoted, names), strict=True))
        if self._replayed:  # its personal columns are text
            kinds = zip(self._raw, self._columns, strict=True)
            said |= {name: f"cast({said[name]} as {each.type})" for name, each in kinds}
        columns = ", ".join(map(_quoted, names))
        cursor.execute(f"insert into {self._table} ({columns}) select {', '.join(said.values())} from staged")

    def _since(self, earlier: Receipt) -> str | None:
        """Where to go on; None, from the beginning, if the receipt is of another cursor or of none."""
        column = self._reading.cursor
        said = json.loads(earlier.version or "{}")
        if column is None or (said.get("column"), said.get("type")) != (column.name, column.type):
            return None
        return self._reading.since(said["cursor"]) if said.get("cursor") else None

    def _version(self) -> str | None:
        if self._replayed:
            return self._replayed.told.version
        column = self._reading.cursor
        if column is None:
            return None
        reached, _ = self._reading.reached()
        if reached is None and self._earlier is not None:
            return self._earlier.version
        return json.dumps({"column": column.name, "type": column.type, "cursor": reached})

    def _drop_known(self, cursor: Any, since: str | None) -> None:
        """Take out of the overlap what is in raw already, as the newest version of its key."""
        key, columns = self._key(), list(map(_quoted, self._raw))
        first = self._first_run(cursor, since)
        cursor.execute("analyze staged")
        cursor.execute(
            f"delete from staged s using (select distinct on ({_of('r', key)}) {_of('r', key)},"
            f" row({_of('r', columns)})::text as said from {self._table} r"
            f" where r._account = %s and r._day is null and r._run_seq >= %s"
            f" and exists (select from ops.commits c where c.run_seq = r._run_seq)"
            f" and exists (select from staged s where {_same('s', 'r', key)})"
            f" order by {_of('r', key)}, r._run_seq desc, r._row_no desc) known"
            f" where {_same('s', 'known', key)} and row({_of('s', columns)})::text = known.said",
            [self._account.id, first],
        )

    def _first_run(self, cursor: Any, since: str | None) -> int:
        """The first run that can hold a row of the overlap.

        A row with a cursor that is neither NULL nor in the future was read by a run that got at least as far.
        """
        column = self._reading.cursor
        if column is None or since is None:
            return 0
        name, kind = self._raw_cursor(column)
        _, clock = self._reading.reached()
        cursor.execute(
            f"select 1 from staged where {name} is null or {name} > cast(%s as {kind}) limit 1", [clock]
        )
        if cursor.fetchone():
            return 0
        cursor.execute(
            f"select coalesce(min(run_seq), 0) from {self._books.schema}.covered join ops.commits using"
            f" (run_seq) where resource = %s and account = %s and {self._of_version('column')} = %s"
            f" and {self._of_version('type')} = %s"
            f" and cast({self._of_version('cursor')} as {kind}) >= cast(%s as {kind})",
            [self._resource.name, self._account.id, column.name, column.type, since],
        )
        return int(cursor.fetchone()[0])

    def _raw_cursor(self, column: Column) -> tuple[str, str]:
        """Name and type that the cursor has in raw."""
        place = self._reading.columns.index(column)
        return _quoted(self._raw[place]), self._columns[place].type

    def _of_version(self, key: str) -> str:
        """SQL for a member of a receipt's version."""
        return f"version::json ->> '{key}'"

    def _take_missed(self, cursor: Any) -> int:
        """Read what a sweep of this run has found and the cursor has not: rows whose cursor was set back."""
        keys_table, key = f'{self._books.schema}."{self._resource.name}{KEYS}"', self._key()
        column = self._reading.cursor
        if column is None:
            return 0
        name, _ = self._raw_cursor(column)
        if not {*key, name} <= set(map(_quoted, self._types(cursor, keys_table))):
            return 0
        self._find_missed(cursor, keys_table, key, name)
        read = 0
        while keys := self._next_missed(cursor, key):
            read += self._stream(
                cursor,
                "staged",
                lambda write, keys=keys: self._reading.rows_of(write, keys),  # type: ignore[misc]
                itertools.count(start := (1 << 40) + read),
            ).rows
            self._treat(cursor, "staged", f"_row_no >= {start}")
        if read:
            self.notes.append(
                f"{read:,} rows of {self._resource.name} had a cursor that was set back or written late by"
                " more than the lag; the sweep of keys has found them and they were read"
            )
        return read

    def _find_missed(self, cursor: Any, keys_table: str, key: list[str], name: str) -> None:
        """Make ``missed``: the keys that the sweep has and raw has not, or not with this cursor ``name``.

        An erased person's have no values.
        """
        cursor.execute(
            f"create temp table missed on commit drop as select {_of('k', key)} from {keys_table} k"
            f" where k._account = %s and k._day is null and k._run_seq = %s and {_all_held('k', key)}"
            f" and not exists (select from staged s where {_same('s', 'k', key)})"
            f" and not exists (select from (select distinct on ({_of('r', key)}) {_of('r', key)}, r.{name}"
            f" from {self._table} r where r._account = %s and r._day is null"
            f" and exists (select from ops.commits c where c.run_seq = r._run_seq)"
            f" order by {_of('r', key)}, r._run_seq desc, r._row_no desc) newest"
            f" where {_same('newest', 'k', key)} and newest.{name} is not distinct from k.{name})",
            [self._account.id, self._run_seq, self._account.id],
        )

    def _next_missed(self, cursor: Any, key: list[str]) -> list[tuple[str, ...]]:
        cursor.execute(
            "delete from missed where ctid = any (array(select ctid from missed limit %s))"
            f" returning {', '.join(f'{k}::text' for k in key)}",
            [KEYS_AT_ONCE],
        )
        return [tuple(map(self._opened, key, row)) for row in cursor.fetchall()]

    def _opened(self, column: str, value: str) -> str:
        """The value of a key, as the source has it."""
        kind = self._personal.get(column.strip('"'))
        return self._protection.revealed(kind, value) if kind else value

    def _said(self, cursor: Any) -> SetSum:
        """What is about to land, counted and hashed as if it had come straight from the source."""
        pipe = Pipe(b"%d", lambda: None, lambda _: None, itertools.count())
        columns = ", ".join(map(_quoted, self._raw))

        def into(rows: Pipe) -> None:
            while rows.read():
                pass

        pipe.through(
            lambda write: cursor.copy_expert(f"copy (select {columns} from staged) to stdout", _Sink(write)),
            into,
        )
        return pipe.sum

    def _key(self) -> list[str]:
        raw = {c.name: name for c, name in zip(self._reading.columns, self._raw, strict=True)}
        return [_quoted(raw[name]) for name in self._reading.key]

    def _refusal(self, error: psycopg2.Error) -> AdstarError:
        # The message may repeat a value, and the context does; its beginning names table, line and column.
        context = (error.diag.context or "").partition(":")[0]
        return LandingError(
            f"the warehouse does not take a row of {self._resource.name} ({context or 'no context'}; SQLSTATE"
            f" {error.pgcode}); nothing of the table counts. A value that the source holds and its type does"
            " not allow, or text that is no UTF-8, has to be put right at the source"
        )


class _Sink:
    def __init__(self, write: Write) -> None:
        self.write = write


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _of(table: str, columns: Sequence[str]) -> str:
    return ", ".join(f"{table}.{column}" for column in columns)


def _all_held(table: str, columns: Sequence[str]) -> str:
    return " and ".join(f"{table}.{column} is not null" for column in columns)


def _same(one: str, other: str, columns: Sequence[str]) -> str:
    return " and ".join(f"{one}.{column} = {other}.{column}" for column in columns)
