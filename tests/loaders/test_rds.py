"""Tables of a real second Postgres database: types, versions, edges of the cursor, sweeps, kills, errors."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import psycopg2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loaders._core.databases.copying import Pipe
from loaders._core.databases.declared import Table, TableOf, address
from loaders._core.databases.postgres import PostgresDatabase
from loaders._core.declare import Clock
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.privacy.values import Key, Personal
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target
from loaders.rds import LOADER, RdsSettings
from tests import preloaded
from tests.conftest import PRIVACY_KEY, ROOT, drop, recreate
from tests.loaders.kills import kills

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
    undo: list[Callable[[], None]] = field(default_factory=list)

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

    def newest(
        self, columns: str = "id, name, price, updated_at", table: str = "items"
    ) -> list[tuple[Any, ...]]:
        """The newest version of each row, as staging takes it, without what a sweep saw gone."""
        swept = self.query("select to_regclass(%s) is not null", [f"raw_rds.{table}__keys"])[0][0]
        gone = (
            f"""and not exists (
                select from (select run_seq, data_run_seq from raw_rds.covered join ops.commits using
                (run_seq)
                    where resource = '{table}__keys' order by run_seq desc limit 1) s
                where r._run_seq <= s.run_seq and not exists (
                    select from raw_rds.{table}__keys k where k._run_seq = s.data_run_seq and k.id = r.id))"""
            if swept
            else ""
        )
        return self.query(
            f"select {columns} from (select distinct on (id) * from raw_rds.{table} join ops.commits c"
            f" on c.run_seq = _run_seq order by id, _run_seq desc, _row_no desc) r where true {gone} order"
            f" by id"
        )

    def agrees(self, columns: str = "id, name, price, updated_at") -> bool:
        return self.newest(columns) == self.source(f"select {columns} from shop.items order by id")


@pytest.fixture(scope="module")
def application(server: EmbeddedWarehouse) -> Iterator[str]:
    name = f"app_{uuid.uuid4().hex[:12]}"
    recreate(server, name)
    yield f"postgresql://adstar:{server.password}@127.0.0.1:{server.port}/{name}"
    drop(server, name)


@pytest.fixture
def shop(application: str, target: Target) -> Iterator[Shop]:
    made = Shop(application, target)
    made.tables = {"items": Table(schema="shop", cursor="updated_at", sweep_days=0)}
    made.do("drop schema if exists shop cascade;" + ITEMS)
    yield made
    for undo in made.undo:
        undo()


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


# -- types ----------------------------------------------------------------------------------------

KINDS = {
    "small": "smallint",
    "number": "integer",
    "big": "bigint",
    "exact": "numeric(38,10)",
    "price": "numeric(12,2)",
    "free": "numeric",
    "single": "real",
    "double": "double precision",
    "said": "text",
    "code": "character(4)",
    "short": "character varying(50)",
    "uid": "uuid",
    "doc": "jsonb",
    "note": "json",
    "day": "date",
    "at": "timestamp without time zone",
    "at_zone": "timestamp with time zone",
    "clock": "time without time zone",
    "span": "interval",
    "flag": "boolean",
    "raw": "bytea",
    "numbers": "integer[]",
    "texts": "text[]",
    "address": "inet",
    "bits": "bit(3)",
}
TEXT = st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=12)
DIGITS = st.integers(-(10**38) + 1, 10**38 - 1)
VALUES = {
    "small": st.integers(-(2**15), 2**15 - 1),
    "number": st.integers(-(2**31), 2**31 - 1),
    "big": st.integers(-(2**63), 2**63 - 1),
    "exact": DIGITS.map(lambda n: f"{n}e-10"),
    "price": st.sampled_from(["0.10", "-9999999999.99", "NaN"]),
    "free": st.sampled_from(["1.500", "-0.00", "1e50", "Infinity", "NaN"]),
    "single": st.floats(width=32).map(str),
    "double": st.floats().map(str),
    "said": TEXT,
    "code": st.sampled_from(["", "a", "abcd", "é"]),
    "short": TEXT,
    "uid": st.uuids().map(str),
    "doc": DIGITS.map(lambda n: f'{{"n": {n}.{abs(n)}, "big": 9007199254740993, "t": "a\\tb\\\\"}}'),
    "note": st.sampled_from(['{"b":1,  "a":1.0, "a":2}', "[]", "null"]),
    "day": st.sampled_from(["2026-02-28", "0044-03-15 BC", "infinity", "5874897-12-31"]),
    "at": st.sampled_from(["2026-03-29 02:30:00.123456", "-infinity", "0001-01-01 00:00:00 BC"]),
    "at_zone": st.sampled_from(["2026-03-29 02:30:00.000001+05:45", "infinity", "1900-01-01 00:00:00+00"]),
    "clock": st.sampled_from(["00:00:00", "24:00:00", "12:34:56.789012"]),
    "span": st.sampled_from(["1 year -3 days +04:05:06.000001", "-1 mon", "0"]),
    "flag": st.booleans(),
    "raw": st.binary(max_size=20),
    "numbers": st.sampled_from(["{}", "{1,NULL,3}", "{{1,2},{3,4}}"]),
    "texts": st.sampled_from(["{}", '{"a,b","\\"",NULL,"NULL","\\\\N"}']),
    "address": st.sampled_from(["10.0.0.1", "2001:db8::/32"]),
    "bits": st.sampled_from(["101", "000"]),
}
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | value for name, value in VALUES.items()}), min_size=1
)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(rows=ROWS)
def test_every_value_and_type_comes_through(shop: Shop, rows: list[dict[str, Any]]) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in KINDS.items())
    shop.do(f"drop table if exists shop.kinds; create table shop.kinds (id serial primary key, {columns})")
    casts = ", ".join(f"cast(%s as {kind})" for kind in KINDS.values())
    for row in rows:
        shop.do(
            f"insert into shop.kinds ({', '.join(KINDS)}) values ({casts})",
            [row[name] for name in KINDS],
        )
    shop.tables = {"kinds": Table(schema="shop")}
    assert shop.run().outcome == "ok"
    # One connection's text of each value against the other's: what their client makes of it does not matter.
    text = f"select id, {', '.join(f'{name}::text' for name in KINDS)} from "
    newest = "(select max(data_run_seq) from raw_rds.covered)"
    assert shop.query(f"{text} raw_rds.kinds where _run_seq = {newest} order by id") == shop.source(
        f"{text} shop.kinds order by id"
    )
    kept = dict(
        shop.query(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = 'raw_rds.kinds'::regclass and attnum > 0"
        )
    )
    expected = {**KINDS, "id": "integer", "short": "character varying"}  # a limit is no part of a value
    assert {name: kept[name] for name in expected} == expected


def test_types_that_only_the_source_has_land_as_text(shop: Shop) -> None:
    shop.do(
        "create type shop.mood as enum ('glad', 'sad'); create domain shop.cents as numeric(10,2) check"
        " (value > 0);"
        "create table shop.odd (id int primary key, mood shop.mood, moods shop.mood[], cents shop.cents,"
        ' cash money, pair point, period tstzrange, "Camel Case" int);'
        "insert into shop.odd values (1, 'sad', '{glad,sad}', 1.10, 12.34, '(1,2)', '[2026-01-01,)', 7)"
    )
    shop.tables = {"odd": Table(schema="shop")}
    assert shop.landed() == {"odd": 1}
    assert shop.query(
        "select mood, moods, cents::text, cash::text, pair, period, camel_case from raw_rds.odd"
    ) == [("sad", "{glad,sad}", "1.10", "12.34", "(1,2)", '["2026-01-01 00:00:00+00",)', 7)]


def test_an_empty_text_is_not_null(shop: Shop) -> None:
    add(shop, 1, name="")
    shop.do("insert into shop.items values (2, null, null, now())")
    shop.landed()
    assert shop.newest("id, name") == [(1, ""), (2, None)]


def test_a_changed_type_lands_in_a_new_column_and_is_reported(shop: Shop) -> None:
    add(shop, 1)
    shop.landed()
    shop.do("alter table shop.items alter price type text using 'about ' || price, add extra int[]")
    add(shop, 2)
    result = shop.run()
    assert result.outcome == "ok"
    assert "price of items is text now and was numeric(12,2)" in (result.message or "")
    assert "price__text" in (result.message or "")
    assert shop.query("select message from ops.run_resources where message like '%%price__text%%'")
    assert shop.query("select id, price, price__text, extra from raw_rds.items order by _run_seq, id") == [
        (1, Decimal("1.50"), None, None),
        (1, None, "about 1.50", None),
        (2, None, "1.50", None),
    ]
    # Said once; and what turns back goes back.
    assert shop.run().message is None
    shop.do("alter table shop.items alter price type numeric(12,2) using 3, drop extra")
    add(shop, 3)
    assert shop.run().message is None
    assert shop.query("select price, price__text, extra from raw_rds.items where id = 3") == [
        (Decimal("1.50"), None, None)
    ]


def test_a_renamed_column_is_a_vanished_and_a_new_one(shop: Shop) -> None:
    add(shop, 1)
    shop.landed()
    shop.do("alter table shop.items rename name to title")
    assert shop.landed() == {"items": 1}, "within the lag it has a value in a column that is new"
    assert shop.landed() == {"items": 0}
    assert shop.newest("id, name, title") == [(1, None, "x")]


# -- the cursor's edge ----------------------------------------------------------------------------


def test_rows_with_the_same_cursor_are_not_lost(shop: Shop) -> None:
    at = "timestamptz '2026-03-01 00:00:00+00'"
    shop.tables = {"items": replace_table(shop, lag=0)}
    add(shop, 1, at=at)
    shop.landed()
    add(shop, 2, 3, at=at)
    assert shop.landed() == {"items": 2}
    assert shop.landed() == {"items": 0}
    assert shop.agrees()


def test_a_transaction_that_commits_after_a_later_one_was_read_is_not_lost(shop: Shop) -> None:
    with closing(psycopg2.connect(shop.dsn)) as slow, slow.cursor() as cursor:
        cursor.execute("insert into shop.items values (1, 'slow', 1, now())")  # stamped now, committed later
        add(shop, 2)
        assert shop.landed() == {"items": 1}
        add(shop, 3)
        assert shop.landed() == {"items": 1}
        slow.commit()
    assert shop.landed() == {"items": 1}
    assert shop.agrees()


def test_rows_without_a_cursor_are_read_every_time_and_land_when_they_change(shop: Shop) -> None:
    add(shop, 1, 2, at="null")
    assert shop.landed() == {"items": 2}
    assert shop.landed() == {"items": 0}
    add(shop, 3)
    shop.do("update shop.items set name = 'z' where id = 2")
    assert shop.landed() == {"items": 2}
    assert shop.landed() == {"items": 0}
    assert shop.agrees()


def test_a_cursor_far_in_the_future_does_not_hide_what_comes_before_it(shop: Shop) -> None:
    add(shop, 1, at="timestamptz '2999-01-01'")
    shop.landed()
    add(shop, 2)
    assert shop.landed() == {"items": 1}
    for _ in range(3):
        assert shop.landed() == {"items": 0}
    assert shop.agrees()


def test_a_value_that_goes_back_to_what_it_was_is_a_version(shop: Shop) -> None:
    at = "timestamptz '2026-03-01 00:00:00+00'"
    for name in ("a", "b", "a"):
        add(shop, 1, at=at, name=name)
        assert shop.landed() == {"items": 1}
    assert shop.agrees()


def test_a_cursor_that_moves_backwards_is_seen_within_the_lag_and_else_by_the_sweep(shop: Shop) -> None:
    shop.tables = {"items": replace_table(shop, sweep_days=7)}
    add(shop, 1, 2, 3)
    assert shop.landed() == {"items": 3, "items__keys": 3}
    add(shop, 1, at="now() - interval '200 s'", name="a little back")
    assert shop.landed() == {"items": 1}
    add(shop, 2, at="now() - interval '2 days'", name="far back")
    add(shop, 4, at="now() - interval '2 days'", name="late by days")
    assert shop.landed() == {"items": 0}
    result = shop.run(days=7)
    assert {r.resource: r.rows_landed for r in result.records} == {"items": 2, "items__keys": 4}
    assert "2 rows of items had a cursor that was set back" in (result.message or "")
    assert shop.agrees()
    assert shop.landed(days=7) == {"items": 0, "items__keys": 0}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("bigint", ("5", "6", "4")),
        ("date", ("date '2026-03-01'", "date '2026-03-02'", "date '2026-03-01'")),
        ("timestamp", ("now() - interval '9 s'", "now()", "now() - interval '5 s'")),
        ("numeric(20,3)", ("5.5", "6.5", "5")),
    ],
)
def test_cursors_of_other_types(shop: Shop, kind: str, values: tuple[str, str, str]) -> None:
    shop.do(f"alter table shop.items alter updated_at type {kind} using null")
    shop.tables = {"items": replace_table(shop, lag=100_000 if kind == "date" else 10)}
    for number, value in enumerate(values):
        add(shop, number, at=value)
        assert shop.landed() == {"items": 1}, value
    assert shop.landed() == {"items": 0}
    assert shop.agrees()


def test_another_cursor_reads_everything_once_and_lands_nothing_twice(shop: Shop) -> None:
    shop.do("alter table shop.items add changed_at timestamptz default now()")
    add(shop, 1, 2)
    shop.landed()
    shop.tables = {"items": replace_table(shop, cursor="changed_at")}
    result = shop.run()
    assert [(r.rows_read, r.rows_landed) for r in result.records] == [(2, 0)]
    assert shop.query("select version::json ->> 'column' from raw_rds.covered order by run_seq") == [
        ("updated_at",),
        ("changed_at",),
    ]


def test_raw_does_not_grow_while_the_same_rows_lie_in_the_lag(shop: Shop) -> None:
    shop.tables = {"items": replace_table(shop, lag=10**8)}
    add(shop, *range(1, 30))
    shop.landed()
    for number in range(3):
        add(shop, 1, name=f"again {number}")
        assert shop.landed() == {"items": 1}
    assert shop.query("select count(*) from raw_rds.items") == [(32,)]
    assert shop.query(
        "select rows, run_seq = data_run_seq from raw_rds.covered where resource = 'items' order by run_seq"
    ) == [(29, True), (1, True), (1, True), (1, True)]


# -- deletes, whole tables, chunks ----------------------------------------------------------------


def test_deletes_are_seen_by_the_sweep_and_what_comes_back_lives(shop: Shop) -> None:
    shop.tables = {"items": replace_table(shop, sweep_days=2)}
    add(shop, 1, 2, 3)
    shop.landed()
    shop.do("delete from shop.items where id = 2")
    assert shop.landed(days=1) == {"items": 0}, "not yet"
    assert shop.landed(days=1) == {"items": 0, "items__keys": 2}
    assert shop.agrees()
    add(shop, 2)
    assert shop.landed(days=1) == {"items": 1}
    assert shop.agrees()
    shop.do("delete from shop.items")
    assert shop.landed(days=1) == {"items": 0, "items__keys": 0}
    assert shop.newest() == []


def test_a_table_without_cursor_lands_whole_when_something_changed(shop: Shop) -> None:
    shop.do("create table shop.colours (name text, note text)")
    shop.tables = {"colours": Table(schema="shop")}
    assert shop.landed() == {"colours": 0}
    shop.do("insert into shop.colours values ('red', ''), ('red', ''), ('blue', null)")
    assert shop.landed() == {"colours": 3}
    assert shop.landed() == {"colours": 0}
    # Another order is no change; another row is, and so is one less of two equal ones.
    shop.do("delete from shop.colours where name = 'blue'; insert into shop.colours values ('blue', null)")
    assert shop.landed() == {"colours": 0}
    shop.do(
        "delete from shop.colours where ctid = (select ctid from shop.colours where name = 'red' limit 1)"
    )
    assert shop.landed() == {"colours": 2}
    assert shop.query(
        "select rows, data_run_seq - min(run_seq) over () from raw_rds.covered order by run_seq"
    ) == [(0, 0), (3, 1), (3, 1), (3, 1), (2, 4)]


@pytest.mark.parametrize("analysed", [True, False])
def test_a_whole_table_is_read_in_chunks_and_is_all_there(shop: Shop, analysed: bool) -> None:
    shop.do("insert into shop.items select g, 'x', g, now() from generate_series(1, 5000) g")
    shop.do("delete from shop.items where id % 3 = 0")
    if analysed:
        shop.do("analyze shop.items")
    shop.tables = {"items": replace_table(shop, chunk_rows=500)}
    statements = watched(shop)
    assert shop.landed() == {"items": 3334}
    assert len([s for s in statements if "ctid" in s]) > 3
    assert shop.agrees()


def test_a_partitioned_table_and_a_view_are_read_as_one(shop: Shop) -> None:
    shop.do(
        "create table shop.parts (id int primary key, note text) partition by range (id);"
        "create table shop.low partition of shop.parts for values from (0) to (10);"
        "create table shop.high partition of shop.parts for values from (10) to (100000);"
        "insert into shop.parts select g, 'x' from generate_series(1, 5000) g; analyze shop.parts;"
        "create view shop.seen as select * from shop.parts where id <= 20"
    )
    shop.tables = {
        "parts": Table(schema="shop", chunk_rows=100),
        "low": Table(schema="shop"),
        "seen": Table(schema="shop", primary_key=("id",)),
    }
    assert shop.landed() == {"parts": 5000, "low": 9, "seen": 20}


def test_all_tables_are_of_one_moment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.do("create table shop.other (id int primary key, note text)")
    shop.tables = {"items": replace_table(shop), "other": Table(schema="shop")}
    add(shop, 1)
    stream = PostgresDatabase.stream

    def and_then(self: Any, write: Any, table: Any, since: Any) -> None:
        stream(self, write, table, since)
        if table.table == "items":
            shop.do("insert into shop.other values (1, 'after the first table was read')")

    with monkeypatch.context() as patch:
        patch.setattr(PostgresDatabase, "stream", and_then)
        assert shop.landed() == {"items": 1, "other": 0}
    assert shop.landed() == {"items": 0, "other": 1}


# -- what the source notices ----------------------------------------------------------------------


def opened(shop: Shop, **options: Any) -> Any:
    place = address(shop.dsn, "sources.rds.dsn")
    return closing(PostgresDatabase(place, options.get("statement", 60), options.get("lock", 1)))


def watched(shop: Shop) -> list[str]:
    """The statements of later copies, as they are made."""
    statements: list[str] = []
    copy = PostgresDatabase._copy

    def noting(self: Any, write: Any, table: Any, where: str) -> None:
        statements.append(where)
        copy(self, write, table, where)

    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setattr(PostgresDatabase, "_copy", noting)
    shop.undo.append(monkeypatch.undo)
    return statements


def test_an_error_inside_the_source_is_said_to_be_there(shop: Shop) -> None:
    shop.do("create view shop.broken as select 1 as id, 'anna'::text::int as note")
    shop.tables = {"broken": Table(schema="shop")}
    message = shop.run().message or ""
    assert "reading shop.broken failed at the source" in message
    assert "22P02" in message
    assert "anna" not in message


def test_reading_locks_nothing_and_can_write_nothing(shop: Shop) -> None:
    add(shop, 1)
    with opened(shop) as database:
        table = TableOf(
            database, "items", shop.tables["items"], where="sources.rds.tables.items", sweep=False
        )
        rows: list[bytes] = []
        table.rows(rows.append)
        assert len(rows) == 1
        held = shop.source(
            "select distinct mode from pg_locks join pg_stat_activity using (pid)"
            " where application_name = 'adstar' and locktype = 'relation' and datname = current_database()"
        )
        assert held == [("AccessShareLock",)]
        with database.connection.cursor() as cursor:
            cursor.execute("show statement_timeout")
            assert cursor.fetchone() == ("1min",)
            cursor.execute("show transaction_isolation")
            assert cursor.fetchone() == ("repeatable read",)
            with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
                cursor.execute("update shop.items set name = 'written'")
    assert shop.source("select name from shop.items") == [("x",)]


def test_a_table_that_somebody_alters_is_not_waited_for_long(shop: Shop) -> None:
    add(shop, 1)
    shop.options = {"lock_timeout_seconds": 0.2}
    with closing(psycopg2.connect(shop.dsn)) as other, other.cursor() as cursor:
        cursor.execute("lock table shop.items in access exclusive mode")
        result = shop.run()
    assert result.outcome == "failed"
    assert "shop.items is held by somebody" in (result.message or "")
    assert shop.landed() == {"items": 1}


def test_a_statement_that_takes_too_long_is_ended_and_says_what_to_set(shop: Shop) -> None:
    shop.do("create view shop.slow as select 1 as id, pg_sleep(30)::text as note")
    shop.tables = {"slow": Table(schema="shop")}
    shop.options = {"statement_timeout_seconds": 0.3}
    result = shop.run()
    assert result.outcome == "failed"
    for part in ("shop.slow", "statement_timeout_seconds under [sources.rds]", "chunk_rows"):
        assert part in (result.message or "")


def test_a_login_that_may_only_read_is_enough(shop: Shop) -> None:
    add(shop, 1)
    role = f"reader_{uuid.uuid4().hex[:8]}"
    shop.do(f"create role {role} login password 'only-reads'; grant usage on schema shop to {role}")
    dsn = shop.dsn
    try:
        shop.dsn = dsn.replace(dsn.split("//")[1].split("@")[0], f"{role}:only-reads")
        result = shop.run()
        assert result.outcome == "failed"
        assert f"grant select on shop.items to {role}" in (result.message or "")
        with closing(psycopg2.connect(dsn)) as owner, owner, owner.cursor() as cursor:
            cursor.execute(f"grant select on shop.items to {role}")
        assert shop.landed() == {"items": 1}
        with opened(shop) as database, database.connection.cursor() as cursor, pytest.raises(psycopg2.Error):
            cursor.execute("delete from shop.items")
    finally:
        shop.dsn = dsn
        shop.do(f"drop owned by {role}; drop role {role}")


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "instead", "said"),
    [
        ("password", "wr0ng-pass%2Fword", "password authentication failed"),
        ("host", "127.0.0.1:1", "Connection refused"),
        ("database", "no_such_database", 'database "no_such_database" does not exist'),
    ],
)
def test_a_database_that_is_not_reached_is_named_and_its_password_is_not(
    shop: Shop, part: str, instead: str, said: str
) -> None:
    password = shop.dsn.split(":")[2].split("@")[0]
    old = {
        "password": password,
        "host": shop.dsn.split("@")[1].split("/")[0],
        "database": shop.dsn.split("/")[-1],
    }
    shop.dsn = shop.dsn.replace(old[part], instead)
    result = shop.run()
    message = result.message or ""
    assert result.outcome == "failed"
    assert said in message
    assert "dsn under [sources.rds]" in message
    for hidden in (password, instead if part == "password" else password, "wr0ng-pass/word"):
        assert hidden not in message
        assert hidden not in str(shop.query("select message from ops.runs"))


@pytest.mark.parametrize(
    "dsn", ["", "localhost/shop", "postgresql://u:s3cr3t@h:p0rt/db", "oracle://u:s3cr3t@h/d"]
)
def test_an_address_that_is_none_is_not_repeated(shop: Shop, dsn: str) -> None:
    shop.dsn = dsn
    message = shop.run().message or ""
    assert "sources.rds.dsn is no address" in message
    assert "s3cr3t" not in message
    assert "p0rt" not in message


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"table": "itmes"}, ["no table shop.itmes", "there are shop.items"]),
        (
            {"cursor": "update_at"},
            ["no column 'update_at'", "updated_at", "cursor under [sources.rds.tables.items]"],
        ),
        ({"primary_key": ("ident",)}, ["no column 'ident'", "it has id", "primary_key"]),
        ({"cursor": "name"}, ["cursor name of shop.items is text", "rises when a row changes"]),
    ],
)
def test_a_wrong_table_or_column_is_named_with_what_there_is(
    shop: Shop, changes: dict[str, Any], said: list[str]
) -> None:
    shop.tables = {"items": replace_table(shop, **changes)}
    result = shop.run()
    assert result.outcome == "failed"
    for part in said:
        assert part in (result.message or "")


def test_a_cursor_without_a_key_is_refused(shop: Shop) -> None:
    shop.do("alter table shop.items drop constraint items_pkey")
    message = shop.run().message or ""
    assert "shop.items has no primary key" in message
    assert "primary_key under [sources.rds.tables.items]" in message


def test_no_table_declared_says_how_to(shop: Shop) -> None:
    shop.tables = {}
    assert "[sources.rds.tables.<name>]" in (shop.run().message or "")


def test_a_connection_that_breaks_in_the_middle_lands_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.do("insert into shop.items select g, repeat('x', 200), g, now() from generate_series(1, 60000) g")
    shop.do("create table shop.first (id int primary key); insert into shop.first values (1)")
    shop.tables = {"first": Table(schema="shop"), "items": replace_table(shop)}
    read = Pipe.read

    def and_cut(self: Pipe, size: int = -1) -> bytes:
        batch = read(self, size)
        if self.sum.rows > 20_000:
            shop.do("select pg_terminate_backend(pid) from pg_stat_activity where query like 'copy (%items%'")
        return batch

    with monkeypatch.context() as patch:
        patch.setattr(Pipe, "read", and_cut)
        result = shop.run()
    assert result.outcome == "failed"
    assert "broke while shop.items was read" in (result.message or "")
    assert shop.query("select to_regclass('raw_rds.items')") == [(None,)]
    assert shop.landed() == {"first": 1, "items": 60_000}
    assert shop.query("select count(*) from raw_rds.first") == [(1,)], "the failed run's row is gone"


def test_a_row_that_the_warehouse_refuses_is_not_repeated_in_the_message(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(shop, 1, name="anna@example.com")
    monkeypatch.setattr(
        PostgresDatabase,
        "stream",
        lambda self, write, table, since: write(b"1\tanna@example.com\tmuch\t\\N\n"),
    )
    message = shop.run().message or ""
    assert "does not take a row of items" in message
    assert "line 1, column price" in message
    assert "anna" not in message
    assert "much" not in message


# -- kills ----------------------------------------------------------------------------------------

POINTS = ["read.first_page", "read.file_written", "load.done", "commit.inside", "commit.after"]
QUICK = [("read.file_written", True), ("commit.inside", False)]
KILLS = kills(QUICK, POINTS, ("of a later run", "of the first run"))


@pytest.mark.parametrize(("point", "first"), KILLS)
def test_killed_at_any_point_the_next_run_has_every_row_once(shop: Shop, point: str, first: bool) -> None:
    shop.tables = {"items": replace_table(shop, sweep_days=1)}
    add(shop, 1, 2)
    if not first:
        shop.landed()
        shop.now += timedelta(days=1)
        add(shop, 2, 3, name="y")
        shop.do("delete from shop.items where id = 1")
    process = preloaded.run(
        [str(Path(sys.executable).with_name("dlt")), "pipeline", "rds", "run"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        env={
            **os.environ,
            "SOURCES__RDS__DSN": shop.dsn,
            "SOURCES__RDS__DATABASE": "shop",
            "SOURCES__RDS__TABLES__ITEMS__SCHEMA": "shop",
            "SOURCES__RDS__TABLES__ITEMS__CURSOR": "updated_at",
            "SOURCES__RDS__TABLES__ITEMS__SWEEP_DAYS": "1",
            "ADSTAR_NOW": shop.now.isoformat(),
            "ADSTAR_KILL_AT": point,
        },
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    counted = shop.query("select count(*) from ops.commits") == [(1 if first else 2,)]
    assert counted == (point == "commit.after")
    assert shop.run().outcome == "ok"
    assert shop.agrees()
    assert shop.query("select count(*) from raw_rds.items") == [(2 if first else 4,)]
    assert shop.query("select id, count(*) from raw_rds.items group by 1, name having count(*) > 1") == []


def test_a_run_that_lost_its_lease_leaves_nothing_that_counts(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(shop, 1)
    read = Pipe.read

    def and_lose(self: Pipe, size: int = -1) -> bytes:
        shop.query("update ops.lease set run_seq = run_seq + 1, holder = 'another:1:0:0' returning 1")
        return read(self, size)

    with monkeypatch.context() as patch:
        patch.setattr(Pipe, "read", and_lose)
        assert shop.run().outcome == "failed"
    assert shop.query("select count(*) from ops.commits") == [(0,)]
    shop.query("delete from ops.lease returning 1")
    assert shop.landed() == {"items": 1}
    assert shop.query("select count(*) from raw_rds.items") == [(1,)]


def replace_table(shop: Shop, **changes: Any) -> Table:
    return msgspec.structs.replace(shop.tables["items"], **changes)


# -- personal columns -----------------------------------------------------------------------------


@pytest.mark.parametrize("sealing", [False, True])
def test_personal_columns_land_with_pseudonyms_and_sealed_if_wanted(
    shop: Shop, sealing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sealing:
        monkeypatch.setenv("PRIVACY__SEALING", "true")
    shop.do(
        "create table shop.users (user_id uuid primary key, email text, note text, updated_at timestamptz);"
        "insert into shop.users select md5(g::text)::uuid, E'Anna' || g || E'\\\\\\t@Example.com', null,"
        " now() from generate_series(1, 3) g;"
        "insert into shop.users values (md5('4')::uuid, null, E'a\\nb', now())"
    )
    personal = {"email": Personal.EMAIL, "user_id": Personal.USER_ID}
    shop.tables = {
        "users": Table(
            schema="shop", cursor="updated_at", sweep_days=1, primary_key=("user_id",), personal=personal
        )
    }
    assert shop.landed() == {"users": 4, "users__keys": 4}
    assert shop.landed() == {"users": 0}
    rows = shop.query("select email, email__pseudonym, user_id, user_id__pseudonym, note from raw_rds.users")
    assert {row[4] for row in rows} == {None, "a\nb"}
    assert sum(row[0] is None and row[1] is None for row in rows) == 1
    assert len({row[3] for row in rows}) == 4
    key = Key(PRIVACY_KEY)
    people = {key.pseudonym(Personal.EMAIL, f"Anna{n}\\\t@Example.com") for n in (1, 2, 3)}
    assert {row[1] for row in rows if row[1]} == people
    emails = sorted(row[0] for row in rows if row[0])
    if sealing:
        assert all(text.startswith("sealed:") for text in emails)
        assert all(row[2].startswith("sealed:") for row in rows)
    else:
        assert emails == [f"Anna{n}\\\t@Example.com" for n in (1, 2, 3)]
    shop.do("update shop.users set note = 'changed', updated_at = now() where email like 'Anna2%%'", [])
    shop.do("delete from shop.users where email like 'Anna3%%'", [])
    assert shop.landed(days=1) == {"users": 1, "users__keys": 3}
