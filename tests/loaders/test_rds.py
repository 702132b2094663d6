"""Tables of a real second Postgres database: types, versions, edges of the cursor, sweeps, kills, errors."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders import rds
from loaders._core.database import Table
from loaders._core.declare import Clock
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target
from loaders.rds import LOADER, RdsSettings
from tests.conftest import ROOT, _administer

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
ITEMS = """
create schema shop;
create table shop.items (
    id bigint primary key, name text, price numeric(12,2), updated_at timestamptz
);
"""


@dataclass
class Shop:
    """An application's database, the warehouse, and runs from one to the other."""

    dsn: str
    target: Target
    tables: dict[str, Table] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    now: datetime = NOON

    def do(self, statement: str, values: Any = None) -> None:
        with closing(psycopg2.connect(self.dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values)

    def run(self, days: float = 0) -> Result:
        self.now += timedelta(days=days)
        given = RdsSettings(dsn=self.dsn, tables=self.tables)
        given.database = "shop"
        for name, value in self.options.items():
            setattr(given, name, value)
        return SourceRun(LOADER, given, self.target, Clock(self.now)).execute()

    def landed(self, days: float = 0) -> dict[str, int]:
        """Run, which must go well; rows landed by raw table."""
        result = self.run(days)
        assert result.outcome == "ok", result.message
        return {record.resource: record.rows_landed for record in result.records}

    def query(self, text: str, values: Any = None) -> list[tuple[Any, ...]]:
        with closing(self.target.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(text, values)
            return list(cursor.fetchall())

    def source(self, text: str) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall())

    def newest(self, columns: str = "id, name, price, updated_at", table: str = "items") -> list[tuple[Any, ...]]:
        """The newest version of each row, as staging takes it, without what a sweep saw gone."""
        swept = self.query("select to_regclass(%s) is not null", [f"raw_rds.{table}__keys"])[0][0]
        gone = (
            f"""and not exists (
                select from (select run_seq, data_run_seq from raw_rds.covered join ops.commits using (run_seq)
                    where resource = '{table}__keys' order by run_seq desc limit 1) s
                where r._run_seq <= s.run_seq and not exists (
                    select from raw_rds.{table}__keys k where k._run_seq = s.data_run_seq and k.id = r.id))"""
            if swept
            else ""
        )
        return self.query(
            f"select {columns} from (select distinct on (id) * from raw_rds.{table} join ops.commits c"
            f" on c.run_seq = _run_seq order by id, _run_seq desc, _row_no desc) r where true {gone} order by id"
        )

    def agrees(self, columns: str = "id, name, price, updated_at") -> bool:
        return self.newest(columns) == self.source(f"select {columns} from shop.items order by id")


@pytest.fixture
def shop(server: EmbeddedWarehouse, target: Target) -> Iterator[Shop]:
    name = f"app_{uuid.uuid4().hex[:12]}"
    _administer(server, f'create database "{name}"')
    made = Shop(f"postgresql://adstar:{server.password}@127.0.0.1:{server.port}/{name}", target)
    made.tables = {"items": Table(schema="shop", cursor="updated_at", sweep_days=0)}
    made.do(ITEMS)
    yield made
    _administer(server, f'drop database "{name}" with (force)')


def add(shop: Shop, *ids: int, at: str = "now()", name: str = "x") -> None:
    for number in ids:
        shop.do(
            "insert into shop.items values (%s, %s, 1.50, " + at + ") on conflict (id) do update"
            " set name = excluded.name, updated_at = excluded.updated_at",
            [number, name],
        )


def test_first_all_then_what_changed_and_nothing_twice(shop: Shop) -> None:
    add(shop, 1, 2, 3)
    assert shop.landed() == {"items": 3}
    assert shop.landed() == {"items": 0}
    add(shop, 2, 4, name="y")
    assert shop.landed() == {"items": 2}
    assert shop.agrees()
    assert shop.query("select count(*) from raw_rds.items") == [(5,)]
    assert shop.query("select distinct _account, _day from raw_rds.items") == [("shop", None)]
