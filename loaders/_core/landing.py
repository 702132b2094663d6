"""One load package: what was spooled becomes rows of raw, and counts once it is committed.

dlt carries the package: it imports the finished Parquet files, keeps the schema and its own tables, and
loads. Tables, columns and indexes are made here beforehand, because dlt makes no table that got no row
and no column that is all null.

Files of sets that were never there before need not wait for the end of reading: they go ahead, in packages
of their own, and bear the load id of the package that brings their receipts.
"""

from __future__ import annotations

import ctypes
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import dlt
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.runtime.collector_base import Collector
from dlt.extract.source import DltSource

from loaders._core import places, redshift
from loaders._core.ahead import Ahead, Waiting
from loaders._core.crash import kill_point
from loaders._core.declare import Loader
from loaders._core.destination import LandingError, connections, require_driver
from loaders._core.naming import ColumnNames
from loaders._core.ops import COVERED_COLUMNS, Books
from loaders._core.redshift import Misfit
from loaders._core.sets import Receipt, SpooledFile, write
from loaders._core.warehouse import Target

# Two: one leaves a core idle.
LOAD_WORKERS = 2
# Arrow's own pool keeps what was freed: a sixth of a large run's memory, which `_trim` could not give back.
pa.set_memory_pool(pa.system_memory_pool())
_COLUMN_TYPES = {
    "_run_seq": "bigint",
    "_row_no": "bigint",
    "_day": "date",
    "day": "date",
    "run_seq": "bigint",
    "data_run_seq": "bigint",
    "rows": "bigint",
    "read_at": "timestamp",
}
_COVERED_SCHEMA = pa.schema(
    [
        ("resource", pa.string()),
        ("account", pa.string()),
        ("day", pa.date32()),
        ("run_seq", pa.int64()),
        ("data_run_seq", pa.int64()),
        ("read_at", pa.timestamp("us", "UTC")),
        ("rows", pa.int64()),
        ("rows_hash", pa.string()),
        ("totals", pa.string()),
        ("version", pa.string()),
        ("_dlt_load_id", pa.string()),
    ]
)


@dataclass
class Harvest:
    """What one package shall land: files by raw table, and the receipts."""

    files: dict[str, list[SpooledFile]] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)


class Landing:
    """The working folder of one pipeline, emptied at the beginning: what a killed run left is read again.

    Args:
        names: columns of each raw table; added to while reading.
        noted: called with (files noted, files in all) as they are loaded.
    """

    def __init__(
        self,
        loader: Loader,
        target: Target,
        books: Books,
        names: dict[str, ColumnNames],
        noted: Callable[[int, int], None] = lambda done, total: None,
    ) -> None:
        self.loader = loader
        self._target = target
        self._books = books
        self._names = names
        self._noted = noted
        self.folder = places.state() / "dlt"
        self._ahead_folder = places.state() / "dlt_ahead"
        self._ahead = Ahead(self._load_ahead)
        self._widths: dict[str, int] = {}
        self._retracted: dict[str, list[int]] = {}
        self.spool = places.state() / "spool" / loader.name
        # Redshift takes JSON by name (see redshift.py); ADBC, to Postgres, takes Parquet.
        self._format: Literal["parquet", "jsonl"] = "parquet" if target.kind == "postgres" else "jsonl"
        if target.kind == "postgres":
            require_driver()
        self.clear()

    def clear(self) -> None:
        """Forget everything pending."""
        for folder in (self.folder / self.loader.name, self._ahead_folder / self.loader.name, self.spool):
            shutil.rmtree(folder, ignore_errors=True)
        self.spool.mkdir(parents=True)

    def hand_over(self, table: str, file: SpooledFile) -> None:
        """This file may be loaded while reading goes on: it lands whatever the rest of its sets says.

        Raises:
            LandingError: a file handed over before could not be loaded.
        """
        # Redshift loads many files at once, each package at a price; and its locks are the table's.
        if self._target.kind != "postgres":
            return
        columns = self._names[table].order
        if self._widths.get(table) != len(columns):
            self._books.ensure_table(table, columns)
            self._widths[table] = len(columns)
        try:
            self._ahead.offer(table, file)
        except Exception as error:
            raise LandingError(f"loading beside reading has failed: {error}") from error

    def fit(self, files: Iterable[SpooledFile]) -> list[Misfit]:
        """Take out of files that shall land what the warehouse can't hold: on Redshift, long texts."""
        if self._target.kind == "postgres":
            return []
        return [misfit for file in files for misfit in redshift.fit(file)]

    def discard(self, table: str, files: Iterable[SpooledFile]) -> None:
        """Forget files that were read in vain; what of them is loaded already goes before the commit."""
        for file in files:
            if self._ahead.withdraw(file):
                file.path.unlink(missing_ok=True)
            else:
                self._retracted.setdefault(table, []).append(file.index)

    def land(self, run_seq: int, read: Callable[[str], Harvest]) -> tuple[str, Harvest] | None:
        """Read and load one package.

        Args:
            run_seq: what the rows are numbered with.
            read: called once with the package's load id while dlt extracts.

        Returns:
            The load id and what was landed; None if there was nothing, not even a receipt.

        Raises:
            LandingError: dlt would have landed something in another way than we gave it.
            Whatever ``read`` raises.
        """
        # A pipeline for each package: its schema then says no more than this package does.
        pipeline = self._pipeline(self.folder)
        harvest = Harvest()
        self._ahead = Ahead(self._load_ahead)
        self._retracted = {}
        try:
            pipeline.extract(self._source(read, harvest), loader_file_format=self._format)
        except Exception:
            self._ahead.stop()
            # It would never count, but every failing try of a backfill would leave as much behind.
            with suppress(Exception):
                for table in self._widths:
                    self._books.retract(table, run_seq)
            raise
        finally:
            self._ahead.stop()
        kill_point("extract.done")
        for table, files in self._retracted.items():
            self._books.retract(table, run_seq, files)
        if not harvest.receipts:
            return None
        load_id = self._normalize(pipeline)
        kill_point("normalize.done")
        self._make_tables()
        kill_point("load.tables_ready")
        self._load(pipeline, load_id, LOAD_WORKERS)
        for name in self._names:
            self._books.ensure_index(name)
        kill_point("load.done")
        for file in self.spool.iterdir():
            file.unlink()
        return load_id, harvest

    def _load_ahead(self, files: Sequence[Waiting]) -> None:
        """A package of files alone, carried in the working folder of another pipeline."""
        pipeline = self._pipeline(self._ahead_folder)
        by_table: dict[str, list[SpooledFile]] = {}
        for table, file in files:
            by_table.setdefault(table, []).append(file)

        def rows(table: str) -> Iterator[Any]:
            return self._imports(table, by_table[table])

        pipeline.extract(self._dlt_source(rows, list(by_table)), loader_file_format="parquet")
        # One worker: reading keeps the other core busy.
        self._load(pipeline, self._normalize(pipeline), workers=1)
        pipeline.drop()
        for _, file in files:
            file.path.unlink()

    def _normalize(self, pipeline: dlt.Pipeline) -> str:
        pipeline.normalize(workers=1)
        load_id = _only(pipeline.list_normalized_load_packages())
        self._assert_format(pipeline, load_id)
        return load_id

    def _load(self, pipeline: dlt.Pipeline, load_id: str, workers: int) -> None:
        try:
            pipeline.load(workers=workers, raise_on_failed_jobs=True)
        finally:
            connections.close()
            _trim()
        if pipeline.list_normalized_load_packages():
            raise LandingError(f"load package {load_id} is still pending after loading")

    def _pipeline(self, folder: Path) -> dlt.Pipeline:
        os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
        # dlt would keep the files of every package that has landed: a copy of raw that nobody guards.
        os.environ.setdefault("LOAD__DELETE_COMPLETED_JOBS", "true")
        pipeline = dlt.pipeline(
            pipeline_name=self.loader.name,
            pipelines_dir=str(folder),
            destination=self._target.destination(),
            staging=self._target.staging(),
            dataset_name=self._books.schema,
            progress=_Jobs(self._noted),
        )
        # No cursor of ours lives in dlt's state, so there is none to keep.
        pipeline.config.restore_from_destination = False
        logging.getLogger("dlt").setLevel(logging.ERROR)
        return pipeline

    def _source(self, read: Callable[[str], Harvest], harvest: Harvest) -> Any:
        def gather() -> None:
            if not harvest.receipts:
                load_id = dlt.current.load_package_state()["load_id"]
                found = read(load_id)
                self._ahead.finish()
                for table, files in found.files.items():
                    harvest.files[table] = [file for file in files if not self._ahead.has_loaded(file)]
                harvest.receipts = found.receipts
                if harvest.receipts:
                    harvest.files["covered"] = [self._write_receipts(found.receipts, load_id)]
                if self._format == "jsonl":
                    self._make_tables()  # they say how a file is written

        gathered: list[bool] = []

        def rows(table: str) -> Iterator[Any]:
            if not gathered:
                gathered.append(True)
                gather()
            for item in self._imports(table, harvest.files.get(table, [])):
                yield item
                kill_point("extract.receipts" if table == "covered" else "extract.first_file")

        return self._dlt_source(rows, [*self._names, "covered"])

    def _dlt_source(self, rows: Callable[[str], Iterator[Any]], tables: list[str]) -> Any:
        resources = [
            dlt.resource(rows, name=name, write_disposition="append", file_format=self._format)(name)
            for name in tables
        ]
        return DltSource(dlt.Schema(self.loader.name), self.loader.name, resources)

    def _imports(self, table: str, files: Sequence[SpooledFile]) -> Iterator[Any]:
        for number, file in enumerate(files):
            hints = dlt.mark.make_hints(columns=self._columns(table, file)) if number == 0 else None
            as_lines = self._format == "jsonl"
            finished = redshift.as_lines(file, self._books.documents(table)) if as_lines else file
            yield dlt.mark.with_file_import(str(finished.path), self._format, file.rows, hints=hints)

    def _columns(self, table: str, file: SpooledFile) -> Any:
        names = list(pq.read_schema(file.path).names)
        names += [n for n in self._names[table].order if n not in names] if table in self._names else []
        return [{"name": n, "data_type": _COLUMN_TYPES.get(n, "text"), "nullable": True} for n in names]

    def _write_receipts(self, receipts: list[Receipt], load_id: str) -> SpooledFile:
        rows = [
            {**{name: getattr(r, name) for name in COVERED_COLUMNS}, "_dlt_load_id": load_id}
            for r in receipts
        ]
        path = self.spool / "covered.parquet"
        write(pa.Table.from_pylist(rows, schema=_COVERED_SCHEMA), path)
        return SpooledFile(path, len(rows), frozenset())

    def _assert_format(self, pipeline: dlt.Pipeline, load_id: str) -> None:
        for job in pipeline.get_load_package_info(load_id).jobs["new_jobs"]:
            parsed = job.job_file_info
            if parsed.file_format != self._format and not parsed.table_name.startswith("_dlt"):
                raise LandingError(f"dlt has made a {parsed.file_format} file of {parsed.table_name}")

    def _make_tables(self) -> None:
        for name, columns in self._names.items():
            self._books.ensure_table(name, columns.order, columns.nested)


class _Jobs(Collector):
    """Passes on how many files are loaded."""

    def __init__(self, noted: Callable[[int, int], None]) -> None:
        super().__init__()
        self._noted = noted
        self._done = self._total = 0

    def update(  # noqa: PLR0917  (dlt's)
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str | None = None,
    ) -> None:
        if name != "Jobs" or label is not None:
            return
        self._total = total or self._total
        if inc and total is None:
            self._done += inc
            kill_point("load.job_noted")
        self._noted(self._done, self._total)

    def _start(self, step: str) -> None:
        self._done = self._total = 0

    def _stop(self) -> None:
        pass


def _trim() -> None:
    """Give freed memory back: glibc keeps what each thread that loaded a file has freed."""
    with suppress(OSError, AttributeError, TypeError):  # other systems have no such call
        ctypes.CDLL(None).malloc_trim(0)


def _only(load_ids: Any) -> str:
    if len(load_ids) != 1:
        raise LandingError(f"expected one load package, dlt has {list(load_ids)}")
    return str(load_ids[0])
