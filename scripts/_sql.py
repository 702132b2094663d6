"""Answers a SELECT on the lake through DuckDB, here or on S3. Run by scripts/sql.

The tables are marts.<name> and feeds.<name>. Each one that a query names is a view on the Parquet files that
Iceberg's catalogue names for it at that moment, so a query sees whole versions, of now or of a moment before.
No extension of DuckDB is needed, and none is loaded from anywhere.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb
from _lakehouse.catalog import Lake, LakeError, as_of, open_lake

from loaders._core.errors import AdstarError, UsageError

OK, FAILED, USAGE = 0, 1, 2
_PARAMETER = re.compile(r"\$\d+")
_CATALOGUES = ("information_schema.", "pg_catalog.")


def connect(lake: Lake, query: str, moment: datetime | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory in which the tables that a query names are there, and nothing else is.

    Args:
        moment: the versions of then; None for the newest.

    Raises:
        UsageError: the query names what there is not, or is no query.
        LakeError: the lake can't be read.
    """
    connection = duckdb.connect(config={"autoinstall_known_extensions": "false"})
    try:
        named = connection.get_table_names(_PARAMETER.sub("null", query), qualified=True)
    except duckdb.Error as error:
        raise UsageError(f"this is no query: {error}") from None
    known = {f"{namespace}.{name}": (namespace, name) for namespace, name in lake.names()}
    if lake.url.startswith("s3://"):
        connection.register_filesystem(lake.files())
    paths: list[str] = []
    asked = {each.partition(" AS ")[0].replace('"', "").lower() for each in named}
    if any(name in query.lower() for name in _CATALOGUES):  # which tables there are
        asked |= known.keys()
    for name in sorted(asked):
        if name in known:
            paths += _view(connection, lake, known[name], moment)
        elif "." in name and not name.startswith(_CATALOGUES):
            raise UsageError(
                f"the lake has no {name}; it has {', '.join(known) or 'nothing: run scripts/lake'}"
            )
    # Whoever may ask the lake may not read other files of this machine.
    connection.execute("set allowed_paths = ?", [paths])
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def _view(
    connection: duckdb.DuckDBPyConnection, lake: Lake, of: tuple[str, str], moment: datetime | None
) -> list[str]:
    """Make the view of a table; the files it reads."""
    table = lake.catalog.load_table(of)
    files = [task.file.file_path for task in table.scan(snapshot_id=as_of(table, moment)).plan_files()]
    namespace, name = (f'"{each}"' for each in of)
    connection.execute(f"create schema if not exists {namespace}")
    if files:
        listed = ", ".join("'" + each.replace("'", "''") + "'" for each in files)
        connection.execute(
            f"create view {namespace}.{name} as select *"  # noqa: S608  (names and paths of the catalogue)
            f" from read_parquet([{listed}], hive_partitioning = false)"
        )
    else:
        empty = table.schema().as_arrow().empty_table()
        connection.register("adstar_empty", empty)
        connection.execute(f"create table {namespace}.{name} as select * from adstar_empty")  # noqa: S608
        connection.unregister("adstar_empty")
    return files


def answer(lake: Lake, query: str, moment: datetime | None = None, parameters: Sequence[Any] = ()) -> Any:
    """The answer to a query, as an Arrow reader of batches.

    Args:
        parameters: what stands for ``$1`` and so on.

    Raises:
        UsageError, LakeError: as ``connect``, or DuckDB refuses the query.
    """
    connection = connect(lake, query, moment)
    try:
        asked = connection.sql(query, params=list(parameters)) if parameters else connection.sql(query)
        if asked is None:
            raise UsageError("this is no query: write a SELECT")
        return asked.to_arrow_reader(100_000)
    except duckdb.IOException as error:
        raise LakeError(f"a file of the lake can't be read: {error}") from None
    except duckdb.Error as error:
        raise UsageError(str(error)) from None


def _printed(query: str, lake: Lake, moment: datetime | None, as_csv: bool) -> None:
    batches: Iterable[Any] = answer(lake, query, moment)
    if as_csv:
        import pyarrow.csv  # noqa: PLC0415

        reader: Any = batches
        with pyarrow.csv.CSVWriter(sys.stdout.buffer, reader.schema) as writer:
            for batch in reader:
                writer.write_batch(batch)
    else:
        from rich.console import Console  # noqa: PLC0415
        from rich.table import Table  # noqa: PLC0415

        reader = batches
        shown = Table(*reader.schema.names, box=None, header_style="bold")
        for batch in reader:
            for row in batch.to_pylist():
                shown.add_row(*("" if value is None else str(value) for value in row.values()))
        Console(soft_wrap=True, width=None if sys.stdout.isatty() else 1000).print(shown, markup=False)


def main(arguments: list[str] | None = None) -> int:
    """Answer the query of the command line; the exit code: 1 without a lake, 2 for a wrong query."""
    parser = argparse.ArgumentParser(prog="scripts/sql", description=__doc__)
    parser.add_argument("query", nargs="?", help='such as "select count(*) from marts.fact_ad_performance"')
    parser.add_argument("--as-of", metavar="MOMENT", help="as the lake was then: 2026-03-01T06:00:00+00:00")
    parser.add_argument("--csv", action="store_true", help="write CSV, not a table for people")
    parser.add_argument(
        "--serve",
        metavar="HOST:PORT",
        help="serve BI tools as a Postgres does, such as 127.0.0.1:5439; password: ADSTAR_SQL_PASSWORD",
    )
    asked = parser.parse_args(arguments)
    if (asked.query is None) == (asked.serve is None):
        parser.error("give a query, or --serve")
    try:
        if asked.serve:
            from _lakehouse.server import serve  # noqa: PLC0415

            serve(open_lake(), asked.serve)
            return OK
        _printed(asked.query, open_lake(), _moment(asked.as_of), asked.csv)
    except AdstarError as error:
        print(f"scripts/sql: {error}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED
    return OK


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--as-of is {text!r}; write a moment such as 2026-03-01T06:00:00+00:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    sys.exit(main())
