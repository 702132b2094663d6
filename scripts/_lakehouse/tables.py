"""Writes a table of the lake: one commit of Iceberg with whole months in place of those that have changed.

Each month that has changed is written anew, in files of about 128 MB before compression, sorted by date and
keys: so there are never many small files, and none needs compaction later. What a killed run has written is
named by no snapshot, and removed with what expires. Used by scripts/_lake.py.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from _exporting.manifest import NO_DATE, Column, Shape, State
from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, NoSuchTableError
from pyiceberg.io.pyarrow import write_file
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import PartitionField, PartitionFieldValue, PartitionKey, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import Table, Transaction, WriteTask
from pyiceberg.table.sorting import SortField, SortOrder
from pyiceberg.transforms import IdentityTransform, MonthTransform
from pyiceberg.types import (
    BooleanType,
    DateType,
    DecimalType,
    DoubleType,
    IcebergType,
    IntegerType,
    LongType,
    NestedField,
    StringType,
    TimestampType,
    TimestamptzType,
)

from _lakehouse.catalog import STATES, Lake, LakeError
from loaders._core.crash import kill_point

POINTS = ("lake.file_written", "lake.files_written", "lake.committed", "lake.removing")
"""Where a test may have the process killed."""
FILE_BYTES = 128 << 20  # of Arrow's memory; a third to a tenth of it on disk
MONTH = "date_month"
_SORTED_BY = 2  # keys beside the date
_TYPES: dict[str, IcebergType] = {
    "smallint": IntegerType(),
    "integer": IntegerType(),
    "bigint": LongType(),
    "boolean": BooleanType(),
    "text": StringType(),
    "double precision": DoubleType(),
    "date": DateType(),
    "timestamp": TimestampType(),
    "timestamptz": TimestamptzType(),
}
_PROPERTIES = {
    "write.parquet.compression-codec": "zstd",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
    "write.target-file-size-bytes": str(FILE_BYTES),
}


class Source(Protocol):
    """One state of what is written, as ``export_postgres.Snapshot``."""

    columns: tuple[Column, ...]

    def states(self, partitioned_by: str | None) -> list[State]:
        """What its months hold."""

    def batches(self, state: State, shape: Shape) -> Any:
        """A context manager that gives the rows of a month."""


class LakeTable:
    """A table of the lake.

    Args:
        now: the clock, in UTC.
    """

    def __init__(
        self, lake: Lake, namespace: str, name: str, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """Nothing is asked for yet."""
        self._lake = lake
        self.identifier = (namespace, name)
        self._now = now

    def write(self, source: Source, partitioned_by: str | None) -> tuple[int, int, int]:
        """Bring the table to the source's state, in one commit; none if it has it.

        Returns:
            Rows in all, months in all, months that were written.

        Raises:
            LakeError: somebody else has committed meanwhile.
        """
        shape = Shape(columns=source.columns, partitioned_by=partitioned_by)
        states = source.states(partitioned_by)
        wanted = {_key(state): state.token for state in states}
        table = self._loaded()
        former = _states(table)
        if table and _described(table.schema()) != _described(schema_of(shape)):
            former = {}  # all months are of the former shape
        changed = [state for state in states if former.get(_key(state)) != state.token]
        told = (sum(state.rows for state in states), len(states), len(changed))
        if table and former == wanted:
            return told
        try:
            with self._transaction(table, shape) as transaction:
                _reshape(transaction, shape)
                going = [] if table is None else _files(table, {_key(state) for state in changed}, wanted)
                coming = list(self._written(transaction, source, shape, changed))
                kill_point("lake.files_written")
                with transaction.update_snapshot({STATES: json.dumps(wanted)}).overwrite() as update:
                    for file in going:
                        update.delete_data_file(file)
                    for file in coming:
                        update.append_data_file(file)
        except (CommitFailedException, CommitStateUnknownException) as error:
            name = ".".join(self.identifier)
            raise LakeError(
                f"{name} could not be committed ({error}); another scripts/lake may have committed meanwhile:"
                " let one run at a time, and run it again"
            ) from None
        kill_point("lake.committed")
        return told

    def tidy(self, keep: timedelta) -> int:
        """Forget versions that were replaced longer ago than ``keep``; remove files that no version names.

        Returns:
            How many files were removed.
        """
        table = self._loaded()
        if table is None:
            return 0
        since = self._now() - keep
        ends = [(each, after.timestamp_ms) for each, after in _pairs(table)]
        doomed = [each.snapshot_id for each, end in ends if end / 1000 <= since.timestamp()]
        if doomed:
            table.maintenance.expire_snapshots().by_ids(doomed).commit()
            table = table.refresh()
        files = self._lake.files()
        old = [
            path
            for path, about in files.find(table.location(), detail=True).items()
            if (about.get("LastModified") or datetime.fromtimestamp(about.get("mtime", 0), UTC)) <= since
        ]
        # Which files a version names stands in manifests, and reading those of all versions costs seconds.
        named = _named(table) if old else set()
        removed = 0
        for path in old:
            if _path(path) not in named:
                files.rm_file(path)
                removed += 1
                kill_point("lake.removing")
        return removed

    def _loaded(self) -> Table | None:
        try:
            return self._lake.catalog.load_table(self.identifier)
        except NoSuchTableError:
            return None

    def _transaction(self, table: Table | None, shape: Shape) -> Transaction:
        if table is not None:
            return table.transaction()
        self._lake.catalog.create_namespace_if_not_exists(self.identifier[0])
        schema = schema_of(shape)
        by = shape.partitioned_by
        spec = PartitionSpec()
        if by:
            at = schema.find_field(by).field_id
            spec = PartitionSpec(
                PartitionField(source_id=at, field_id=1000, transform=MonthTransform(), name=MONTH)
            )
        keys = [
            SortField(source_id=schema.find_field(n).field_id, transform=IdentityTransform())
            for n in _order(shape)
        ]
        return self._lake.catalog.create_table_transaction(
            self.identifier,
            schema,
            location=f"{self._lake.url}/{'/'.join(self.identifier)}",
            partition_spec=spec,
            sort_order=SortOrder(*keys),
            properties=_PROPERTIES,
        )

    def _written(
        self, transaction: Transaction, source: Source, shape: Shape, states: Iterable[State]
    ) -> Iterator[DataFile]:
        metadata, of = transaction.table_metadata, uuid.uuid4()
        numbers = iter(range(1_000_000))
        spec = metadata.spec()
        for state in states:
            key = None
            if state.partition is not None and spec.fields:
                value = None if state.partition == NO_DATE else _ordinal(state.partition)
                key = PartitionKey([PartitionFieldValue(spec.fields[0], value)], spec, metadata.schema())
            with source.batches(state, shape) as batches:
                for rows in _large(batches):
                    ordered = _as_iceberg(rows).sort_by([(name, "ascending") for name in _order(shape)])
                    task = WriteTask(
                        of, next(numbers), metadata.schema(), ordered.to_batches(), partition_key=key
                    )
                    yield from write_file(transaction._table.io, metadata, iter([task]))
                    kill_point("lake.file_written")


def schema_of(shape: Shape) -> Schema:
    """The columns as Iceberg has them."""
    return Schema(
        *(
            NestedField(number, column.name, _type(column), required=False)
            for number, column in enumerate(shape.columns, 1)
        )
    )


def _type(column: Column) -> IcebergType:
    if column.type.startswith("numeric"):
        kind: Any = column.arrow
        return DecimalType(kind.precision, kind.scale)
    return _TYPES[column.type]


def _described(schema: Schema) -> list[tuple[str, str]]:
    return [(field.name, str(field.field_type)) for field in schema.fields]


def _reshape(transaction: Transaction, shape: Shape) -> None:
    """Give the table the columns of the shape; one of another type is another column."""
    there = dict(_described(transaction.table_metadata.schema()))
    wanted = dict(_described(schema_of(shape)))
    if there == wanted:
        return
    if gone := [name for name, kind in there.items() if wanted.get(name) != kind]:
        with transaction.update_schema(allow_incompatible_changes=True) as update:
            for name in gone:
                update.delete_column(name)
    with transaction.update_schema() as update:
        for column in shape.columns:
            if there.get(column.name) != wanted[column.name]:
                update.add_column(column.name, _type(column))


def _order(shape: Shape) -> list[str]:
    names = [column.name for column in shape.columns]
    keys = [name for name in names if name.endswith("_key")][:_SORTED_BY]
    return (
        list(dict.fromkeys([*([shape.partitioned_by] if shape.partitioned_by else []), *keys])) or names[:1]
    )


def _as_iceberg(rows: pa.Table) -> pa.Table:
    """Iceberg knows no numbers of 16 bits."""
    fields = [field.with_type(pa.int32()) if field.type == pa.int16() else field for field in rows.schema]
    return rows.cast(pa.schema(fields))


def _large(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    size = 0
    for batch in batches:
        held.append(batch)
        size += batch.nbytes
        if size >= FILE_BYTES:
            yield pa.Table.from_batches(held)
            held, size = [], 0
    if held:
        yield pa.Table.from_batches(held)


def _key(state: State) -> str:
    return state.partition or ""


def _ordinal(month: str) -> int:
    """Months since January 1970, as Iceberg numbers them."""
    year, number = month.split("-")
    return (int(year) - 1970) * 12 + int(number) - 1


def _states(table: Table | None) -> dict[str, str]:
    snapshot = table.current_snapshot() if table else None
    if snapshot is None or snapshot.summary is None:
        return {}
    return dict(json.loads(snapshot.summary.get(STATES) or "{}"))


def _files(table: Table, changed: set[str], wanted: dict[str, str]) -> list[DataFile]:
    """The files of months that are written anew, or are no more."""
    kept = {_ordinal(key) if key not in ("", NO_DATE) else key for key in wanted.keys() - changed}
    going = []
    for task in table.scan().plan_files():
        partition = task.file.partition
        of: Any = "" if not len(partition) else NO_DATE if partition[0] is None else partition[0]
        if of not in kept:
            going.append(task.file)
    return going


def _pairs(table: Table) -> list[tuple[Any, Any]]:
    """The versions that were replaced, each with the one that did it."""
    ordered = sorted(table.snapshots(), key=lambda each: (each.timestamp_ms, each.sequence_number or 0))
    return list(pairwise(ordered))


def _named(table: Table) -> set[str]:
    """Every file that a version of the table needs."""
    named = {table.metadata_location, *(log.metadata_file for log in table.metadata.metadata_log)}
    for snapshot in table.snapshots():
        named.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            if manifest.manifest_path not in named:  # versions share them
                named.add(manifest.manifest_path)
                named |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
    return {_path(each) for each in named}


def _path(url: str) -> str:
    """The same for ``s3://bucket/key``, ``bucket/key`` and ``file:///folder``."""
    parts = urlsplit(url)
    return unquote(f"{parts.netloc}{parts.path}").lstrip("/")
