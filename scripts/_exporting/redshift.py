"""Has Redshift write marts to S3 by UNLOAD, and reads what it says of that. Used by scripts/_export.py.

What the parts of a mart hold, and the UNLOADs of those that have changed, are asked in one transaction, which
sees one state of the warehouse (https://docs.aws.amazon.com/redshift/latest/dg/c_serial_isolation.html). The
statement is the macro ``unload``'s. Redshift compresses Parquet with Snappy, writes times without their zone
(they are UTC), and tells no checksum: such files have none in the manifest.
"""

# ruff: noqa: S608  (what is put into statements are names and literals, quoted)

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from itertools import groupby
from typing import Any

import msgspec
import psycopg2
import pyarrow.parquet as pq

from _exporting.manifest import FOLDER, Column, ExportError, File, Part, Shape, State
from _exporting.places import Bucket, Place
from _exporting.postgres import columns, figures_of, newest_publish, quoted, state_of, tables
from loaders._core import places
from loaders._core.crash import kill_point
from loaders._core.errors import ConfigurationError
from loaders._core.warehouse import Target

_MONTH = re.compile(rf"/{FOLDER}=([^/]+)/")


class _Counted(msgspec.Struct):
    content_length: int
    record_count: int


class _Entry(msgspec.Struct):
    url: str
    meta: _Counted


class _Unloaded(msgspec.Struct):
    """What UNLOAD's ``manifest verbose`` says.

    https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD_command_examples.html
    """

    entries: list[_Entry]


class Redshift:
    """The marts of a Redshift warehouse, which go to S3 only."""

    def __init__(self, target: Target, place: Place) -> None:
        """Nothing is asked for yet.

        Raises:
            ConfigurationError: the place is no bucket.
        """
        if not isinstance(place, Bucket):
            raise ConfigurationError(
                f"Redshift unloads to S3 only, and the place is {place.url}; set ADSTAR_EXPORT_URL (or --to)"
                " to s3://bucket/prefix"
            )
        if not os.environ.get("ADSTAR_REDSHIFT_IAM_ROLE"):
            raise ConfigurationError(
                "ADSTAR_REDSHIFT_IAM_ROLE is not set: UNLOAD writes to S3 with a role of the cluster; name it"
                " (arn:aws:iam::<account>:role/<name>), or `default` for the cluster's default role"
            )
        self._target = target
        self._dbt: Any = None

    def marts(self, schema: str) -> list[str]:
        """As ``Postgres.marts``."""
        with self._transaction("the marts") as cursor:
            return tables(cursor, schema)

    @contextmanager
    def snapshot(self, schema: str, mart: str) -> Iterator[Snapshot]:
        """As ``Postgres.snapshot``."""
        with self._transaction(mart) as cursor:
            yield Snapshot(cursor, schema, mart, self._statement)

    @contextmanager
    def _transaction(self, what: str) -> Iterator[Any]:
        try:
            with closing(self._target.connect()) as connection:
                connection.autocommit = True
                with connection.cursor() as cursor:
                    cursor.execute("set timezone to 'UTC'")
                    cursor.execute("begin")
                    yield cursor
                    cursor.execute("commit")
        except psycopg2.Error as error:
            raise ExportError(f"Redshift can't export {what}: {str(error).strip()}") from None

    def _statement(self, mart: str, to: str, partitioned_by: str | None, months: list[str]) -> str:
        """The UNLOAD, as the project's macro writes it."""
        if self._dbt is None:
            from dbt.cli.main import dbtRunner  # noqa: PLC0415  (takes seconds, and often nothing has changed)

            self._dbt = dbtRunner()
        arguments = {"mart": mart, "to": to, "months": months, "only_print": True}
        if partitioned_by:
            arguments["partitioned_by"] = partitioned_by
        command = [
            "--quiet",
            "--no-use-colors",
            "run-operation",
            "unload_mart",
            "--args",
            json.dumps(arguments),
        ]
        project = [
            "--project-dir",
            str(places.home() / "dbt_project"),
            "--profiles-dir",
            str(places.profiles()),
        ]
        with redirect_stdout(io.StringIO()) as said:
            ended = self._dbt.invoke([*command, *project, "--target", self._target.name])
        if not ended.success:
            raise ConfigurationError(
                f"dbt could not write the UNLOAD of {mart}: {ended.exception or said.getvalue().strip()}"
            )
        return said.getvalue().strip()


class Snapshot:
    """A mart as it stands in a transaction."""

    def __init__(self, cursor: Any, schema: str, mart: str, statement: Callable[..., str]) -> None:
        """Look at its columns, and at what was published last."""
        self.columns = columns(cursor, schema, mart)
        self.publish = newest_publish(cursor, schema)
        self._cursor = cursor
        self._mart = mart
        self._table = f"{quoted(schema)}.{quoted(mart)}"
        self._statement = statement

    def states(self, partitioned_by: str | None) -> list[State]:
        """As of Postgres; the hash of a row is 60 bits of an md5, as Redshift has none of whole rows."""
        row = " || ',' || ".join(_as_text(column) for column in self.columns)
        figures = [f"sum(strtol(substring(md5({row}), 1, 15), 16))", *figures_of(self.columns)]
        month = f"to_char({quoted(partitioned_by)}, 'YYYY-MM')" if partitioned_by else "cast(null as varchar)"
        grouped = " group by 1 order by 1" if partitioned_by else ""
        self._cursor.execute(
            f"select {month} as month, count(*), {', '.join(figures)} from {self._table}{grouped}"
        )
        return [
            state_of(self._mart, self.columns, partitioned_by, name, told)
            for name, *told in self._cursor.fetchall()
        ]

    def write(
        self, states: list[State], partitioned_by: str | None, place: Place, folder: str, export: str
    ) -> Iterator[Part]:
        """As of Postgres. One UNLOAD writes the changed months of a year: what a kill can lose."""
        for year, months in groupby(states, key=lambda state: (state.partition or "whole").partition("-")[0]):
            together = list(months)
            if not any(state.rows for state in together):
                yield from (self._empty(state, partitioned_by, place, folder, export) for state in together)
                continue
            below = f"{export}/{year}"
            wanted = [state.partition for state in together if state.partition]
            to = f"{place.url}/{folder}/{below}/"
            self._cursor.execute(self._statement(self._mart, to, partitioned_by, wanted))
            kill_point("export.file_written")
            found = self._unloaded(place, folder, f"{below}/manifest")
            for state in together:
                files = tuple(found.pop(state.partition, ()))
                if sum(file.rows for file in files) != state.rows:
                    raise ExportError(
                        f"{self._mart} has {state.rows} rows in {state.partition or 'all'}, and UNLOAD"
                        f" wrote {sum(file.rows for file in files)}; nothing of it is published. Run"
                        " scripts/export again"
                    )
                yield Part.of(state, files)
            if found:
                raise ExportError(
                    f"UNLOAD wrote what was not asked for of {self._mart}: {', '.join(map(str, found))}"
                )

    def _unloaded(self, place: Place, folder: str, path: str) -> dict[str | None, list[File]]:
        """The files that an UNLOAD's own manifest names, by month."""
        told = place.read(f"{folder}/{path}")
        where = f"{place.url}/{folder}/"
        try:
            entries = msgspec.json.decode(told[0] if told else b"", type=_Unloaded).entries
        except msgspec.DecodeError as error:
            raise ExportError(
                f"UNLOAD has left no manifest that can be read: {error}", where=where + path
            ) from None
        found: dict[str | None, list[File]] = {}
        for entry in entries:
            month = _MONTH.search(entry.url)
            file = File(
                path=entry.url.removeprefix(where),
                rows=entry.meta.record_count,
                bytes=entry.meta.content_length,
            )
            found.setdefault(month[1] if month else None, []).append(file)
        return found

    def _empty(
        self, state: State, partitioned_by: str | None, place: Place, folder: str, export: str
    ) -> Part:
        """A file without rows, which tells the columns; UNLOAD may write none."""
        schema = Shape(columns=self.columns, partitioned_by=partitioned_by).schema
        path = f"{export}/{state.folder}0000.parquet"
        with place.create(f"{folder}/{path}") as sink:
            pq.write_table(schema.empty_table(), sink)
        return Part.of(state, (File(path=path, rows=0, bytes=sink.bytes, sha256=sink.sha256),))


def _as_text(column: Column) -> str:
    """A column as a text that no other value has, and that holds no comma; NULL as the empty one."""
    name = quoted(column.name)
    if column.type == "text":
        return f"coalesce(md5({name}), '')"
    if column.type == "boolean":  # which Redshift casts to no text
        return f"case when {name} then 't' when not {name} then 'f' else '' end"
    return f"coalesce(cast({name} as varchar), '')"
