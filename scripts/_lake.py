"""Writes the marts and the HTTP feeds into the lake, Iceberg tables that any engine reads. Run by
scripts/lake.

A table's months that have not changed since the last time, by the hash of their rows, are not written again.
All of a table is one commit: who reads it sees the version before or the one behind it.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from typing import Any

from _export import partition_column
from _exporting.postgres import Postgres
from _lakehouse.catalog import Lake, open_lake
from _lakehouse.feeds import FeedSnapshot, feeds
from _lakehouse.tables import LakeTable

from loaders._core import places
from loaders._core.errors import AdstarError, ConfigurationError, UsageError
from loaders._core.warehouse import Target, ensure_started

OK, FAILED, USAGE, PARTIAL = 0, 1, 2, 3


def main(arguments: list[str] | None = None) -> int:
    """Write what the command line says; the exit code: 3 if some tables could not be written, 1 if none."""
    asked = ask(arguments)
    try:
        lake, keep, target = open_lake(), _keep(asked.keep_days), ensure_started(asked.target)
        if target.kind != "postgres":
            raise ConfigurationError(
                "scripts/lake reads a Postgres warehouse; from Redshift scripts/export writes the same months"
                " as Parquet (docs/lake.md)"
            )
        chosen = _chosen(asked.tables, there(target))
    except AdstarError as error:
        print(f"scripts/lake: {error}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED
    print(f"lake at {lake.url}")
    failed = 0
    for namespace, name in chosen:
        began = time.monotonic()
        try:
            rows, months, written = write(lake, target, namespace, name, keep)
        except AdstarError as error:
            failed += 1
            print(f"scripts/lake: {namespace}.{name}: {error}", file=sys.stderr, flush=True)
            continue
        print(
            f"{namespace + '.' + name:40} {rows:>13,} rows  {written} of {months} parts written "
            f" {time.monotonic() - began:.1f} s",
            flush=True,
        )
    return OK if not failed else PARTIAL if failed < len(chosen) else FAILED


def write(lake: Lake, target: Target, namespace: str, name: str, keep: timedelta) -> tuple[int, int, int]:
    """Write one table; rows, months, and months that were written.

    Raises:
        AdstarError: it can't be read or written; the lake's table is as it was.
    """
    table = LakeTable(lake, namespace, name)
    with source(target, namespace, name) as found:
        by = partition_column(name, found.columns, places.home() / "dbt_project")
        told = table.write(found, by if namespace == "marts" else found.by)
    table.tidy(keep)
    return told


@contextmanager
def source(target: Target, namespace: str, name: str) -> Iterator[Any]:
    """One state of a mart or a feed."""
    postgres = Postgres(target)
    if namespace == "marts":
        with postgres.snapshot(_schema(), name) as snapshot:
            yield snapshot
    else:
        with postgres.transaction(name) as cursor:
            yield FeedSnapshot(cursor, name)


def there(target: Target) -> list[tuple[str, str]]:
    """What can be written."""
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        found = [("feeds", name) for name in feeds(cursor)]
    return [("marts", name) for name in Postgres(target).marts(_schema())] + found


def _schema() -> str:
    return f"{os.environ.get('ADSTAR_SCHEMA_PREFIX', '')}marts"


def _chosen(asked: list[str], found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    known = {f"{namespace}.{name}": (namespace, name) for namespace, name in found}
    if not known:
        raise ConfigurationError("there is no mart and no feed: have the loaders run, and `dbt build`?")
    if unknown := sorted(set(asked) - known.keys()):
        raise UsageError(f"there is no {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[name] for name in asked] or found


def _keep(days: str | None) -> timedelta:
    text = days or os.environ.get("ADSTAR_LAKE_KEEP_DAYS") or "7"
    try:
        keep = timedelta(days=float(text))
    except (ValueError, OverflowError):
        keep = timedelta(days=-1)
    if keep < timedelta(0):
        raise ConfigurationError(
            f"ADSTAR_LAKE_KEEP_DAYS (or --keep-days) is {text!r}; it is a number of days"
        )
    return keep


def ask(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/lake", description=__doc__)
    parser.add_argument(
        "tables", nargs="*", metavar="TABLE", help="such as marts.dim_ad or feeds.exchange_rates; else all"
    )
    parser.add_argument("--target", help="of profiles.yml; else ADSTAR_TARGET")
    parser.add_argument(
        "--keep-days",
        metavar="DAYS",
        help="versions replaced longer ago are forgotten; else ADSTAR_LAKE_KEEP_DAYS (7)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
