"""Reads marts out of Postgres and writes them as Parquet. Used by scripts/_export.py.

A mart is read in one transaction, ``repeatable read``, so all of it is of one state. The lock comes first: a
snapshot that is older than the table would see it empty when a build has just put a new one in its place.
Values come as CSV by COPY, which Arrow reads as it arrives: faster than binary COPY by ADBC, where numeric
comes as text and an infinite time turns into some other, while here a value that Arrow has not is an error.
"""

# ruff: noqa: S608  (what is put into statements are names and literals, quoted)

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from _exporting.manifest import NO_DATE, Column, ExportError, File, Part, Shape, State
from _exporting.places import Place, Sink
from loaders._core.crash import kill_point
from loaders._core.warehouse import Target

BLOCK_BYTES = 4 << 20
"""How much Arrow reads at a time, and 32 times that ahead; no row may be larger."""
ROWS_A_GROUP = 100_000
ROWS_A_FILE = 2_000_000
LOCK_SECONDS = 600
"""How long to wait for a build that is just replacing the mart."""
COLUMNS = """
select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns
where table_schema = %s and table_name = %s order by ordinal_position
"""
_WRONG_VALUE = re.compile(r"In CSV column #(\d+): (?:CSV conversion error to [^:]*: )?(.*)", re.DOTALL)


def quoted(name: str) -> str:
    """A name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


class Postgres:
    """The marts of a Postgres warehouse."""

    def __init__(self, target: Target) -> None:
        """Nothing is asked for yet."""
        self._target = target

    def marts(self, schema: str) -> list[str]:
        """The tables of a schema that this login may read, without those that dbt is just making."""
        with self.transaction("the marts") as cursor:
            return tables(cursor, schema)

    @contextmanager
    def snapshot(self, schema: str, mart: str) -> Iterator[Snapshot]:
        """One state of a mart, for as long as the block lasts; a build that replaces the mart waits for it.

        Raises:
            ExportError: the mart can't be read, or has a column that Parquet can't hold.
        """
        with self.transaction(mart) as cursor:
            cursor.execute(f"lock table {quoted(schema)}.{quoted(mart)} in access share mode")
            yield Snapshot(cursor, schema, mart)

    @contextmanager
    def transaction(self, what: str) -> Iterator[Any]:
        """A cursor in a transaction that sees one state.

        Raises:
            ExportError: what is read in it can't be.
        """
        with closing(self._target.connect()) as connection, connection.cursor() as cursor:
            connection.set_client_encoding("UTF8")
            try:
                cursor.execute("set timezone = 'UTC'")
                cursor.execute("set datestyle = 'ISO, YMD'")
                cursor.execute(f"set lock_timeout = '{LOCK_SECONDS}s'")
                cursor.execute("begin isolation level repeatable read, read only")
                yield cursor
            except psycopg2.errors.LockNotAvailable:
                raise ExportError(
                    f"{what} can't be read: somebody has held it for {LOCK_SECONDS} s, such as a build or a"
                    " person with an open transaction; export when that has ended"
                ) from None
            except psycopg2.Error as error:
                raise ExportError(f"{what} can't be read: {str(error).strip()}") from None


class Snapshot:
    """A mart as it stands in a transaction."""

    def __init__(self, cursor: Any, schema: str, mart: str) -> None:
        """Look at its columns, and at what was published last."""
        self.columns = columns(cursor, schema, mart)
        self.publish = newest_publish(cursor, schema)
        self._cursor = cursor
        self._mart = mart
        self._table = f"{quoted(schema)}.{quoted(mart)}"

    def states(self, partitioned_by: str | None) -> list[State]:
        """What each part holds now, by month of a date column, or the whole mart.

        The token is the number of rows and the sum of their 64-bit hashes: equal for equal rows in any order,
        and a row that is there twice counts twice. Two states that differ have equal tokens once in 2^64.
        """
        month = (
            f"date_trunc('month', {quoted(partitioned_by)}::timestamp)"
            if partitioned_by
            else "null::timestamp"
        )
        figures = ["sum(hash_record_extended(adstar_row, 0)::numeric)", *figures_of(self.columns)]
        self._cursor.execute(
            f"select case when {month} between '0001-01-01' and '9999-12-31' then to_char({month}, 'YYYY-MM')"
            f" else {month}::text end, count(*), {', '.join(figures)} from {self._table} as adstar_row"
            + (f" group by {month} order by {month}" if partitioned_by else "")
        )
        return [
            state_of(self._mart, self.columns, partitioned_by, name, told)
            for name, *told in self._cursor.fetchall()
        ]

    def write(
        self, states: list[State], partitioned_by: str | None, place: Place, folder: str, export: str
    ) -> Iterator[Part]:
        """Write parts, one after the other; each is given when it is whole.

        Args:
            folder: of the mart.
            export: the folder below it, into which to write.

        Raises:
            ExportError: a value has no place in Parquet.
        """
        shape = Shape(columns=self.columns, partitioned_by=partitioned_by)
        for state in states:
            files: list[File] = []
            with self.batches(state, shape) as batches:
                first = next(batches, None)
                while first is not None or not files:  # what has no rows is a file that tells the columns
                    path = f"{export}/{state.folder}{len(files):04}.parquet"
                    with place.create(f"{folder}/{path}") as sink:
                        first, rows = _write(sink, shape, first, batches)
                    files.append(File(path=path, rows=rows, bytes=sink.bytes, sha256=sink.sha256))
                    kill_point("export.file_written")
            if (rows := sum(file.rows for file in files)) != state.rows:
                raise ExportError(
                    f"{self._mart} has {state.rows} rows in {state.partition or 'all'}, but {rows} were read:"
                    " is it a view of what changes while it is read? Make it a table"
                )
            yield Part.of(state, tuple(files))

    @contextmanager
    def batches(self, state: State, shape: Shape) -> Iterator[Iterator[pa.RecordBatch]]:
        """The rows of a part, as they come; COPY writes into a pipe in a thread of its own."""
        if not state.rows:
            yield iter(())
            return
        names = ", ".join(quoted(column.name) for column in self.columns)
        query = f"select {names} from {self._table} as adstar_row{_condition(state, shape.partitioned_by)}"
        receiving, sending = os.pipe()
        failures: list[BaseException] = []

        def copy() -> None:
            try:
                with open(sending, "wb", buffering=1 << 20) as pipe:
                    self._cursor.copy_expert(f"copy ({query}) to stdout (format csv)", pipe)
            except BaseException as error:
                failures.append(error)

        copying = threading.Thread(target=copy, name="copy", daemon=True)
        with open(receiving, "rb") as pipe:
            copying.start()
            try:
                yield self._parsed(pipe, shape)
            except BaseException:
                self._cursor.connection.cancel()
                raise
            finally:
                while pipe.read(1 << 20):  # or COPY waits for ever for somebody to read
                    pass
                copying.join()
        if failures:
            raise failures[0]

    def _parsed(self, pipe: Any, shape: Shape) -> Iterator[pa.RecordBatch]:
        options = {
            "read_options": pyarrow.csv.ReadOptions(column_names=shape.schema.names, block_size=BLOCK_BYTES),
            "parse_options": pyarrow.csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            # COPY writes NULL as nothing, an empty text as "".
            "convert_options": pyarrow.csv.ConvertOptions(
                column_types=shape.schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        }
        try:
            yield from pyarrow.csv.open_csv(pipe, **options)
        except pa.ArrowInvalid as error:
            wrong = _WRONG_VALUE.match(str(error))
            if not wrong:
                large = f"has it a row of more than {BLOCK_BYTES >> 20} MB?"
                raise ExportError(f"{self._mart} can't be exported: {error}; {large}") from None
            column = self.columns[int(wrong[1])]
            raise ExportError(
                f"{self._mart}.{column.name} ({column.type}) has a value that Parquet can't hold: {wrong[2]}."
                " Find out where it comes from, correct it in the model or its source, and build again"
            ) from None


def tables(cursor: Any, schema: str) -> list[str]:
    """The tables of a schema that this login may read, without those that dbt is just making."""
    cursor.execute("select table_name from information_schema.tables where table_schema = %s", [schema])
    return sorted(name for (name,) in cursor.fetchall() if "__dbt_" not in name)


def columns(cursor: Any, schema: str, mart: str) -> tuple[Column, ...]:
    """The columns of a mart, in their order."""
    cursor.execute(COLUMNS, [schema, mart])
    return tuple(Column.of(mart, *found) for found in cursor.fetchall())


def newest_publish(cursor: Any, schema: str) -> int | None:
    """The number of the newest publish that the marts may have come by; None where there are none."""
    books = schema.removesuffix("marts") + "published"
    if "publishes" not in tables(cursor, books):
        return None
    cursor.execute(f"select max(number) from {quoted(books)}.publishes where outcome = 'published'")
    (number,) = cursor.fetchone()
    return None if number is None else int(number)


def figures_of(found: tuple[Column, ...]) -> list[str]:
    """What is asked of a part beside its hash: its newest run, and the sum of each amount."""
    run_seq = any(column.name == "run_seq" for column in found)
    newest = "max(run_seq)" if run_seq else "cast(null as bigint)"
    return [newest, *(f"sum({quoted(column.name)})" for column in found if column.is_amount)]


def state_of(
    mart: str, found: tuple[Column, ...], partitioned_by: str | None, month: str | None, told: list[Any]
) -> State:
    """What a part holds, of an answer of the warehouse.

    Args:
        month: as ``2026-03``.
        told: number of rows, sum of their hashes, and what ``figures_of`` asks for.

    Raises:
        ExportError: the month is none of the years 1 to 9999.
    """
    rows, hashes, run_seq, *sums = told
    if month is not None and not re.fullmatch(r"\d{4}-\d\d", month):
        raise ExportError(
            f"{mart}.{partitioned_by} has a date outside the years 1 to 9999 ({month}); correct it in the"
            " model or its source, and build again"
        )
    amounts = [column.name for column in found if column.is_amount]
    return State(
        partition=(month or NO_DATE) if partitioned_by else None,
        rows=rows,
        token=f"{rows}:{hashes or 0}",
        run_seq=run_seq,
        sums={name: f"{amount or 0}" for name, amount in zip(amounts, sums, strict=True)},
    )


def _condition(state: State, partitioned_by: str | None) -> str:
    if not partitioned_by:
        return ""
    column = quoted(partitioned_by)
    if state.partition == NO_DATE:
        return f" where {column} is null"
    first = f"date '{state.partition}-01'"
    after = f"cast({first} + interval '1 month' as date)"
    return f" where {column} >= {first} and {column} < {after} order by {column}"


def _write(
    sink: Sink, shape: Shape, first: pa.RecordBatch | None, batches: Iterator[pa.RecordBatch]
) -> tuple[pa.RecordBatch | None, int]:
    """Write a file; the batch that no longer goes into it, and the number of rows that do."""
    by = shape.partitioned_by
    order = [pq.SortingColumn(shape.schema.get_field_index(by))] if by else None
    rows = 0
    with pq.ParquetWriter(sink, shape.schema, compression="zstd", sorting_columns=order) as writer:
        group: list[pa.RecordBatch] = []
        while first is not None and (not rows or rows + first.num_rows <= ROWS_A_FILE):
            group.append(first)
            rows += first.num_rows
            first = next(batches, None)
            if first is None or sum(batch.num_rows for batch in group) >= ROWS_A_GROUP:
                writer.write_table(pa.Table.from_batches(group), row_group_size=2 * ROWS_A_GROUP)
                group = []
        if group:
            writer.write_table(pa.Table.from_batches(group), row_group_size=2 * ROWS_A_GROUP)
    return first, rows
