"""A real MySQL or MariaDB as the source, where its server is on this machine; else all of it is skipped."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest

from loaders._core.databases.declared import Table
from loaders._core.declare import Clock
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target
from loaders.rds import LOADER, RdsSettings
from tests.ports import free_port

SERVER = shutil.which("mariadbd") or shutil.which("mysqld")
pytestmark = pytest.mark.skipif(
    SERVER is None,
    reason="neither mariadbd nor mysqld is on PATH: reading MySQL is NOT tested on this machine",
)
COLUMNS = {
    # column: (its type there, a value as SQL, its type in raw, the value's text in raw)
    "tiny": ("tinyint", "-128", "smallint", "-128"),
    "flag": ("tinyint(1)", "1", "smallint", "1"),
    "small": ("smallint unsigned", "65535", "integer", "65535"),
    "number": ("int unsigned", "4294967295", "bigint", "4294967295"),
    "big": ("bigint", "-9223372036854775808", "bigint", "-9223372036854775808"),
    "huge": ("bigint unsigned", "18446744073709551615", "numeric(20,0)", "18446744073709551615"),
    "exact": ("decimal(38,10)", "1234567890123456789012345678.0123456789", "numeric(38,10)", None),
    "single": ("float", "0.123456789", "real", "0.12345679"),
    "ratio": ("double", "0.1", "double precision", "0.1"),
    "said": ("varchar(50)", "'tab\\\\t back\\\\\\\\ é 🙂'", "text", "tab\\t back\\\\ é 🙂".encode().decode()),
    "empty": ("text", "''", "text", ""),
    "nothing": ("text", "null", "text", None),
    "mood": ("enum('glad','sad')", "'sad'", "text", "sad"),
    "day": ("date", "'2026-02-28'", "date", "2026-02-28"),
    "no_day": ("date", "'0000-00-00'", "date", None),
    "at": ("datetime(6)", "'2026-03-29 02:30:00.123456'", "timestamp without time zone", None),
    "at_zone": ("timestamp(6)", "'2026-03-29 02:30:00.000001'", "timestamp with time zone", None),
    "span": ("time", "'-838:59:59'", "interval", "-838:59:59"),
    "raw": ("blob", "x'00ff5c'", "bytea", "\\x00ff5c"),
    "born": ("year", "1999", "smallint", "1999"),
}


class Shop:
    """The server's database, and runs into the warehouse."""

    def __init__(self, port: int, target: Target) -> None:
        self.port, self.target = port, target
        self.tables: dict[str, Table] = {"items": Table(cursor="updated_at", sweep_days=1)}

    def do(self, *statements: str) -> None:
        with closing(self.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def connect(self) -> Any:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user="root", database="shop", autocommit=True, sql_mode=""
        )

    def run(self, now: str = "2026-03-10") -> Result:
        settings = RdsSettings(dsn=f"mysql://root:@127.0.0.1:{self.port}/shop", tables=self.tables)
        return SourceRun(
            LOADER, settings, self.target, Clock(datetime.fromisoformat(now).replace(tzinfo=UTC))
        ).execute()

    def landed(self, now: str = "2026-03-10") -> dict[str, int]:
        result = self.run(now)
        assert result.outcome == "ok", result.message
        return {record.resource: record.rows_landed for record in result.records}

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with closing(self.target.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall())


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder, number = tmp_path_factory.mktemp("mysql"), free_port()
    data = folder / "data"
    assert SERVER is not None
    common = [
        f"--datadir={data}",
        f"--pid-file={folder / 'pid'}",
        f"--socket={folder / 'socket'}",
        "--user=root",
    ]
    if installer := shutil.which("mariadb-install-db"):
        options = [
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            "--user=root",
        ]
        subprocess.run([installer, *options], check=True, capture_output=True)
    else:
        subprocess.run(
            [SERVER, "--no-defaults", "--initialize-insecure", *common], check=True, capture_output=True
        )
    listening = [f"--port={number}", "--bind-address=127.0.0.1"]
    with (Path(folder) / "log").open("wb") as log:
        process = subprocess.Popen([SERVER, "--no-defaults", *common, *listening], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                pymysql.connect(host="127.0.0.1", port=number, user="root").close()
                break
            except pymysql.err.OperationalError:
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
        yield number
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def shop(port: int, target: Target) -> Shop:
    with closing(pymysql.connect(host="127.0.0.1", port=port, user="root")) as connection:
        connection.cursor().execute("drop database if exists shop")
        connection.cursor().execute("create database shop character set utf8mb4")
    made = Shop(port, target)
    made.do(
        "create table items (id bigint primary key, name text, updated_at timestamp(6) default now(6)"
        " on update now(6))"
    )
    return made


def test_every_type_comes_through(shop: Shop) -> None:
    columns = ", ".join(f"{name} {kind} null" for name, (kind, *_) in COLUMNS.items())
    values = ", ".join(value for _, value, *_ in COLUMNS.values())
    shop.do("set time_zone = '+00:00'", f"create table kinds (id int primary key, {columns})")
    with closing(shop.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("set time_zone = '+00:00'")
        cursor.execute(f"insert into kinds values (1, {values})")
    shop.tables = {"kinds": Table()}
    assert shop.landed() == {"kinds": 1}
    kept = dict(
        shop.query(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute"
            " where attrelid = 'raw_rds.kinds'::regclass and attnum > 0"
        )
    )
    assert {name: kept[name] for name in COLUMNS} == {name: kind for name, (_, _, kind, _) in COLUMNS.items()}
    row = shop.query(f"select {', '.join(f'{name}::text' for name in COLUMNS)} from raw_rds.kinds")[0]
    same = {"exact": COLUMNS["exact"][1], "at": "2026-03-29 02:30:00.123456"}
    same["at_zone"] = "2026-03-29 02:30:00.000001+00"
    expected = {name: same.get(name, text) for name, (_, _, _, text) in COLUMNS.items()}
    found = dict(zip(COLUMNS, row, strict=True))
    assert found.pop("said").endswith("é 🙂")
    del expected["said"]
    assert found == expected


def test_changes_equal_cursors_and_deletes(shop: Shop) -> None:
    shop.do("insert into items values (1, 'a', '2026-03-01'), (2, '', '2026-03-01'), (3, null, null)")
    assert shop.landed() == {"items": 3, "items__keys": 3}
    assert shop.landed() == {"items": 0}
    shop.do(
        "insert into items values (4, 'same moment', '2026-03-01')",
        "update items set name = 'b' where id = 1",
        "delete from items where id = 2",
    )
    assert shop.landed() == {"items": 2}
    assert shop.landed("2026-03-11") == {"items": 0, "items__keys": 3}
    newest = "select distinct on (id) id, name from raw_rds.items order by id, _run_seq desc, _row_no desc"
    assert shop.query(newest) == [(1, "b"), (2, ""), (3, None), (4, "same moment")]


def test_it_writes_nothing_and_names_what_is_missing(shop: Shop) -> None:
    shop.tables = {"itmes": Table()}
    message = shop.run().message or ""
    assert "no table shop.itmes" in message
    assert "shop.items" in message
