"""Lands hand-made readings in the raw layer the way the loaders do: rows, receipts, commit.

Only what dbt sees is made here (tables, sets, receipts, `ops.commits`), so that the dbt project can be tested
without vendors, pipelines or time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import yaml

from loaders._core.feeds.declared import Feed
from loaders.facebook_ads import LOADER as FACEBOOK
from loaders.google_ads import LOADER as GOOGLE
from loaders.http_json import LOADER as FEEDS
from loaders.http_json import HttpJsonSettings
from simulators import rates

Row = Mapping[str, Any]
RATES = msgspec.convert(rates.DECLARED | {"url": "http://rates.example/"}, Feed)
LOADERS = {
    loader.name: loader
    for loader in (FACEBOOK, GOOGLE, FEEDS.made_for(HttpJsonSettings(feeds={rates.FEED: RATES})))
}
STAGING = Path(__file__).parents[2] / "dbt_project" / "models" / "staging"
SYSTEM = "_run_seq bigint, _row_no bigint, _account text, _day date, _dlt_load_id text"
COVERED = (
    "resource text, account text, day date, run_seq bigint, data_run_seq bigint, read_at timestamptz,"
    " rows bigint, rows_hash text, totals text, _dlt_load_id text"
)


@dataclass
class Landing:
    """The raw layer of one database, filled run by run. `connection` is psycopg2's, in autocommit mode."""

    connection: Any
    run_seq: int = 0
    newest: dict[tuple[str, str, str, date | None], tuple[int, str]] = field(default_factory=dict)

    def create(self, *sources: str) -> None:
        """Lay out the empty raw tables of the sources, and `ops`."""
        self.execute(
            "create schema if not exists ops",
            "create table if not exists ops.commits"
            " (run_seq bigint, pipeline text, load_id text, committed_at timestamptz)",
        )
        for source in sources:
            self.execute(
                f"create schema if not exists raw_{source}", f"create table raw_{source}.covered ({COVERED})"
            )
            for table, types in raw_tables(source).items():
                columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
                self.execute(
                    f"create table raw_{source}.{table} ({columns}, {SYSTEM})",
                    f"create index on raw_{source}.{table} (_account, _day, _run_seq)",
                )

    def land(
        self,
        source: str,
        read_at: datetime,
        sets: Mapping[tuple[str, str, date | None], Iterable[Row]],
        *,
        commit: bool = True,
    ) -> int:
        """Land one run of a source: `sets` maps (resource, account, day) to rows. Returns its run_seq."""
        self.run_seq += 1
        loader = LOADERS.get(source)
        totals = {resource.name: resource.totals for resource in loader.resources} if loader else {}
        for (resource, account, day), given in sets.items():
            rows = [{name: text(value) for name, value in row.items()} for row in given]
            digest = hashlib.sha256(json.dumps(sorted(map(repr, rows))).encode()).hexdigest()
            held = self.newest.get((source, resource, account, day))
            changed = not rows or held is None or held[1] != digest
            if changed:
                self.rows(source, resource, account, day, rows)
                self.newest[source, resource, account, day] = (self.run_seq, digest)
            summed = {
                name: str(sum((Decimal(row.get(name) or 0) for row in rows), Decimal(0)))
                for name in totals.get(resource, ())
            }
            receipt = (
                *(resource, account, day, self.run_seq, self.newest[source, resource, account, day][0]),
                *(read_at, len(rows), digest, json.dumps(summed) if day else None, str(self.run_seq)),
            )
            self.insert(f"raw_{source}.covered", [receipt])
        if commit:
            self.insert("ops.commits", [(self.run_seq, source, str(self.run_seq), read_at)])
        return self.run_seq

    def rows(
        self, source: str, resource: str, account: str, day: date | None, rows: list[dict[str, Any]]
    ) -> None:
        """Append rows to a raw table."""
        with self.connection.cursor() as cursor:
            for number, row in enumerate(rows):
                values = {
                    **row, "_run_seq": self.run_seq, "_row_no": number, "_account": account, "_day": day,
                    "_dlt_load_id": str(self.run_seq),
                }  # fmt: skip
                cursor.execute(
                    f"insert into raw_{source}.{resource} ({', '.join(values)})"
                    f" values ({', '.join(['%s'] * len(values))})",
                    list(values.values()),
                )

    def insert(self, table: str, rows: list[tuple[Any, ...]]) -> None:
        """Append whole rows to a table."""
        with self.connection.cursor() as cursor:
            for row in rows:
                cursor.execute(f"insert into {table} values ({', '.join(['%s'] * len(row))})", row)

    def execute(self, *statements: str) -> None:
        """Run statements."""
        with self.connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows a query answers."""
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())


def raw_tables(source: str) -> dict[str, dict[str, str]]:
    """The raw tables of a source with the types of their columns: its loader's, else those dbt declares."""
    if source in LOADERS:
        return {each.name: dict.fromkeys(each.columns, "text") for each in LOADERS[source].resources}
    declared = yaml.safe_load((STAGING / source / f"_{source}__sources.yml").read_text())
    return {
        table["name"]: {column["name"]: column["data_type"] for column in table["columns"]}
        for table in declared["sources"][0]["tables"]
        if "columns" in table
    }


def text(value: Any) -> str | None:
    """A value as the landing path writes it: JSON text for lists and objects, the literal for the rest."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(value) if isinstance(value, (list, dict)) else str(value)
