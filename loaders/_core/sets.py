"""Rows of an account, kept on disk as whole sets until the account has been read to its end.

A set is what one reading says about one (resource, account, day), or about all entities of an account. While
pages come in, finished Parquet files are written, and of each set the number of rows, a hash that does
not depend on their order, and exact totals are kept in memory. What comes again is forgotten, back to the
last point at which all was whole. Then the set is compared with its newest committed receipt: equal ones
land a receipt only, so their rows are taken out of the files again.
"""

from __future__ import annotations

import decimal
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path as FilePath

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from loaders._core.declare import STATED, Account, Resource, Window
from loaders._core.errors import BadBody
from loaders._core.naming import ColumnNames, TooManyColumns
from loaders._core.privacy.values import Protection, pseudonym_columns
from loaders._core.records import Page, RecordReader
from loaders._core.stream import Loss, OfDay, Version
from loaders._core.text import MARK

_log = logging.getLogger(__name__)
# A file is loaded whole in memory, and each costs some statements: as large as memory allows.
FILE_ROWS = 20_000
FILE_BYTES = 32 << 20  # of the documents its rows came in
# What is taken apart at once, by us and by the driver that loads: beyond this only memory grows.
BLOCK_ROWS = 2_000
Day = date | None

_EXACT = decimal.Context(
    prec=2_000,
    Emax=decimal.MAX_EMAX,
    Emin=decimal.MIN_EMIN,
    traps=[decimal.Inexact, decimal.InvalidOperation],
)
_SYSTEM_FIELDS = [
    pa.field("_run_seq", pa.int64()),
    pa.field("_row_no", pa.int64()),
    pa.field("_account", pa.string()),
    pa.field("_day", pa.date32()),
    pa.field("_dlt_load_id", pa.string()),
]


@dataclass(frozen=True)
class Receipt:
    """What ``covered`` keeps of a set.

    Attributes:
        totals: exact sums by raw column as JSON, if any.
        version: what the reader said of it with ``stream.Version``, if anything.
    """

    resource: str
    account: str
    day: Day
    run_seq: int
    data_run_seq: int
    read_at: datetime
    rows: int
    rows_hash: str
    totals: str | None
    version: str | None = None


@dataclass
class SetSum:
    """What is known of a set that is being read; ``lanes`` add up its rows' hashes, modulo 2^64 each."""

    rows: int = 0
    lanes: np.ndarray = field(default_factory=lambda: np.zeros(2, np.uint64))
    totals: dict[str, decimal.Decimal | None] = field(default_factory=dict)

    @property
    def rows_hash(self) -> str:
        """The set's hash, independent of the order of its rows."""
        return "".join(f"{int(lane):016x}" for lane in self.lanes)

    def totals_text(self) -> str:
        """The totals as JSON; null for a column that holds what can't be summed."""
        return json.dumps(
            {name: None if value is None else plain(value) for name, value in self.totals.items()}
        )


def plain(value: decimal.Decimal) -> str:
    """A decimal without exponent and trailing zeros."""
    text = format(value, "f")
    return (text.rstrip("0").rstrip(".") if "." in text else text) or "0"


@dataclass(frozen=True)
class SpooledFile:
    """A finished Parquet file of raw rows; ``index`` is the upper half of their ``_row_no``."""

    path: FilePath
    rows: int
    days: frozenset[Day]
    index: int = -1


@dataclass(frozen=True)
class _Point:
    """All that a spool held when its documents were whole."""

    sums: dict[Day, SetSum] = field(default_factory=dict)
    files: int = 0
    pending: tuple[pa.Table, ...] = ()
    pending_rows: int = 0
    pending_bytes: int = 0
    rows: int = 0
    escaped: int = 0


class ResourceSpool:
    """Takes the pages of one resource of one account; gives files and sums.

    Args:
        folder: where its files are written.
        numbers: gives each file a number that no other file of the run_seq has; row numbers are made of it.
        protection: what treats the personal columns, after the set's hash and totals are known: another key
            makes no other set.

    Attributes:
        day: of which day the documents added next are, where only the source's reader can tell.
        reader: takes documents apart.
    """

    def __init__(
        self,
        resource: Resource,
        account: Account,
        window: Window | None,
        *,
        names: ColumnNames,
        folder: FilePath,
        run_seq: int,
        load_id: str,
        numbers: Iterator[int],
        protection: Protection | None = None,
    ) -> None:
        self.resource = resource
        self.account = account
        self.sums: dict[Day, SetSum] = {}
        self.files: list[SpooledFile] = []
        self.rows = 0
        self.escaped = 0
        self.versions: dict[Day, Version] = {}
        self.known = 0  # records that came again
        self.rejected = 0  # records in quarantine
        self.losses: list[str] = []  # what the reader could not read any more
        self.aside: ResourceSpool | None = None  # its records in quarantine
        self.day: Day = None
        self._numbers = numbers
        self._protection = protection or Protection()
        self._pseudonyms = frozenset(pseudonym_columns(resource.personal).values())
        self._window = window
        self._names = names
        self._folder = folder
        self._run_seq = run_seq
        self._load_id = load_id
        self.reader = RecordReader(resource.records, resource.opens)
        self._pending: list[pa.Table] = []
        self._pending_rows = 0
        self._pending_bytes = 0
        self._point = _Point()

    def add(self, body: bytes, page: Page | None = None) -> int:
        """Take one document; the number of its records.

        Args:
            page: the document as ``reader`` reads it, if that was done already.

        Raises:
            BadBody: it can't be read, or has a row without a day or of a day that was not asked for.
        """
        return self.add_page(page or self.reader.read(body), len(body))

    def add_page(self, page: Page, size: int) -> int:
        """As ``add``, of a document that was taken apart and had so many bytes."""
        table = self._table(page) if page.rows else None
        self.rows += page.rows
        self.escaped += page.escaped
        if table is not None:
            self._pending.append(table)
            self._pending_rows += page.rows
            self._pending_bytes += size
        while self._pending_rows >= FILE_ROWS or self._pending_bytes >= FILE_BYTES:
            self._write()
        return page.rows

    def hear(self, said: Version | OfDay | Loss) -> None:
        """Note what the reader says of what it gives."""
        if isinstance(said, Version):
            self.versions.update(dict.fromkeys(said.days, said))
        elif isinstance(said, OfDay):
            self.day = said.day
        else:
            _log.warning("%s of account %s: %s", self.resource.name, self.account.id, said.text)
            self.losses.append(said.text)

    def keep(self) -> None:
        """What was added so far is whole."""
        self._point = _Point(
            _copies(self.sums),
            len(self.files),
            tuple(self._pending),
            self._pending_rows,
            self._pending_bytes,
            self.rows,
            self.escaped,
        )

    def forget(self) -> list[SpooledFile]:
        """Take back what was added since ``keep``; the files that hold nothing of worth any more."""
        point = self._point
        dropped = self.files[point.files :]
        del self.files[point.files :]
        self.sums, self._pending = _copies(point.sums), list(point.pending)
        self._pending_rows, self._pending_bytes = point.pending_rows, point.pending_bytes
        self.rows, self.escaped = point.rows, point.escaped
        return dropped

    def finish(self) -> None:
        """Write what is left."""
        if self._pending:
            self._write()

    def _table(self, page: Page) -> pa.Table:
        columns = {}
        for path, column in page.columns.items():
            try:
                columns[self._names.name(path)] = column
            except TooManyColumns:
                if column.null_count < page.rows:
                    raise
        self._names.nested |= {self._names.name(path) for path in page.nested}
        if self.resource.day == STATED:  # No path in a record has this name: it is a system column.
            columns[STATED[0]] = pa.repeat(pa.scalar(self.day, pa.date32()), page.rows)
        if not columns:  # Records without fields are rows all the same.
            return pa.table({"_": pa.nulls(page.rows)})
        return pa.table(columns)

    def _write(self) -> None:
        pages = self._take(FILE_ROWS)
        table = pa.concat_tables(pages, promote_options="default").combine_chunks()
        del pages

        index = next(self._numbers)
        empty = pa.nulls(table.num_rows, pa.string())
        present = set(table.column_names)
        order = [name for name in self._names.order if name not in self._pseudonyms]
        columns = [_one(table[name]) if name in present else empty for name in order]
        days = self._days(table, columns, order)
        self._sum(columns, order, days)

        system = [
            pa.repeat(pa.scalar(self._run_seq, pa.int64()), table.num_rows),
            pa.array((index << 32) + np.arange(table.num_rows, dtype=np.int64)),
            pa.repeat(pa.scalar(self.account.id, pa.string()), table.num_rows),
            days,
            pa.repeat(pa.scalar(self._load_id, pa.string()), table.num_rows),
        ]
        landed = self._protection.columns(self.resource.personal, dict(zip(order, columns, strict=True)))
        fields = [pa.field(name, pa.string()) for name in landed]
        whole = pa.table([*system, *landed.values()], schema=pa.schema([*_SYSTEM_FIELDS, *fields]))
        path = self._folder / f"{self.resource.name}.{index}.parquet"
        write(whole, path)
        held = frozenset(pc.unique(days).to_pylist())
        self.files.append(SpooledFile(path, whole.num_rows, held, index))

    def _take(self, rows: int) -> list[pa.Table]:
        """The first pages, so many rows in all or fewer; what is left shares no memory with most of them."""
        taken, left = [], rows
        while self._pending and left:
            page = self._pending.pop(0)
            taken.append(page.slice(0, left))
            if page.num_rows > left:
                self._pending.insert(0, page.slice(left))
            left -= taken[-1].num_rows
        remaining = self._pending_rows - (rows - left)
        self._pending_bytes = self._pending_bytes * remaining // self._pending_rows
        self._pending_rows = remaining
        return taken

    def _days(self, table: pa.Table, columns: list[pa.Array], order: list[str]) -> pa.Array:
        if not self.resource.day:
            return pa.nulls(table.num_rows, pa.date32())
        if self.resource.day == STATED:
            name, texts = STATED[0], _one(table[STATED[0]])
        else:
            name = self._names.name(self.resource.day)
            texts = columns[order.index(name)] if name in order else pa.nulls(table.num_rows, pa.string())
        coded = texts.dictionary_encode()
        where = f"{self.resource.name} of account {self.account.id}"
        if coded.null_count:
            raise BadBody(f"a row has no {name}", where=where)
        try:
            dictionary = pc.cast(coded.dictionary, pa.date32())
        except pa.ArrowInvalid:
            raise BadBody(f"a row's {name} is no date: {_no_date(coded.dictionary)}", where=where) from None
        if self._window is not None:
            for day in dictionary.to_pylist():
                if not self._window.since <= day <= self._window.until:
                    asked = f"{self._window.since} to {self._window.until}"
                    raise BadBody(f"a row is of {day}, asked for were {asked}", where=where)
        return dictionary.take(coded.indices)

    def _sum(self, columns: list[pa.Array], order: list[str], days: pa.Array) -> None:
        lanes = _row_hashes(columns, len(days))
        coded = days.dictionary_encode(null_encoding="encode")
        codes = coded.indices.to_numpy()
        totals = {name: columns[order.index(name)] for name in self.resource.totals if name in order}
        for code, day in enumerate(coded.dictionary.to_pylist()):
            chosen = codes == code
            total = self.sums.setdefault(
                day, SetSum(totals=dict.fromkeys(self.resource.totals, decimal.Decimal(0)))
            )
            total.rows += int(np.count_nonzero(chosen))
            total.lanes = total.lanes + lanes[chosen].sum(axis=0, dtype=np.uint64)
            mask = pa.array(chosen)
            for name, texts in totals.items():
                total.totals[name] = _add(total.totals[name], texts.filter(mask))


def _no_date(texts: pa.Array) -> str:
    """The first of them, and not all of it: in place of days there may be what is nobody's business."""
    for text in texts:
        try:
            pc.cast(text, pa.date32())
        except pa.ArrowInvalid:
            return f"{text.as_py()[:40]!r}" + "..." * (len(text.as_py()) > 40)
    return "?"


def keep_days(file: SpooledFile, days: Iterable[Day]) -> SpooledFile | None:
    """The file with the rows of these days only; None if that is none. Written anew if it holds others."""
    kept = frozenset(days) & file.days
    if kept == file.days:
        return file
    if not kept:
        file.path.unlink()
        return None
    # Memory, not a map of the file: that one is about to be replaced.
    table = pq.read_table(file.path, memory_map=False)
    table = table.filter(
        pc.is_in(table["_day"], value_set=pa.array(sorted(d for d in kept if d), pa.date32()))
    )
    write(table, file.path)
    return replace(file, rows=table.num_rows, days=kept)


def write(table: pa.Table, path: FilePath) -> None:
    """A Parquet file that is there whole or not at all."""
    part = path.with_suffix(".part")
    pq.write_table(
        table,
        part,
        compression="lz4",
        use_dictionary=False,
        write_statistics=False,
        row_group_size=BLOCK_ROWS,
    )
    part.replace(path)


def _copies(sums: dict[Day, SetSum]) -> dict[Day, SetSum]:
    return {day: replace(total, totals=dict(total.totals)) for day, total in sums.items()}


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _add(total: decimal.Decimal | None, texts: pa.Array) -> decimal.Decimal | None:
    """``total`` and the sum of these numbers, exactly; None if one of them is no number."""
    if total is None:
        return None
    try:
        part = pc.sum(pc.cast(texts, pa.decimal128(38, 9)), min_count=0).as_py()
        return _EXACT.add(total, part)
    except pa.ArrowInvalid:
        pass
    try:
        for text in texts.drop_null().to_pylist():
            value = decimal.Decimal(text)
            if not value.is_finite():
                return None
            total = _EXACT.add(total, value)
    except (decimal.DecimalException, ValueError):
        return None
    return total


def _row_hashes(columns: list[pa.Array], rows: int) -> np.ndarray:
    """128 bits for each row, as two numbers; the same whatever empty columns stand at the end.

    The values of a row are joined by U+0000, which no value holds; null is a bare U+E000, which no value
    holds either, because ``text.escape`` follows it by four digits. Those two are cut off at the end, so an
    empty text must not look like them.
    """
    if not columns:
        return np.zeros((rows, 2), np.uint64)
    blocks = range(0, rows, BLOCK_ROWS)
    return np.concatenate([_hashes([column.slice(at, BLOCK_ROWS) for column in columns]) for at in blocks])


def _hashes(columns: list[pa.Array]) -> np.ndarray:
    marked = [_mark_empty(column) for column in columns]
    joined = pc.binary_join_element_wise(*marked, "\x00", null_handling="replace", null_replacement=MARK)
    trimmed = pc.utf8_rtrim(joined, characters="\x00" + MARK)
    ends = np.frombuffer(trimmed.buffers()[1], np.int32)[
        trimmed.offset : trimmed.offset + len(trimmed) + 1
    ].tolist()
    data = memoryview(trimmed.buffers()[2] or b"")
    # Twenty times as fast as a cryptographic hash: nobody gains by two equal sets.
    digest = xxhash.xxh3_128_digest
    digests = b"".join([digest(data[start:end]) for start, end in pairwise(ends)])
    return np.frombuffer(digests, np.dtype("<u8")).reshape(-1, 2)


def _mark_empty(column: pa.Array) -> pa.Array:
    if column.null_count < len(column) and pc.min(pc.binary_length(column)).as_py() == 0:
        return pc.if_else(pc.equal(column, ""), MARK + "z", column)
    return column
