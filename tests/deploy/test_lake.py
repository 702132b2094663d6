"""The lake: every value comes back, only what changed is written, and readers see whole versions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pytest
from moto.server import ThreadedMotoServer

from loaders._core.errors import ConfigurationError, UsageError
from loaders._core.ops import Books
from loaders._core.warehouse import Target
from tests import preloaded
from tests.benchmarks.database import psql
from tests.conftest import ROOT
from tests.deploy.test_export import DIM, EXTREME, FACT, ROW, fill, in_table, run

sys.path.insert(0, str(ROOT / "scripts"))
import _lake
import _sql
from _lakehouse import catalog as lake_catalog
from _lakehouse import server as lake_server
from _lakehouse import tables as lake_tables

PASSWORD = "a-password-of-tests"
KEEP = timedelta(days=7)


@pytest.fixture
def lake(target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> lake_catalog.Lake:
    run(target, "create schema marts", FACT, DIM)
    monkeypatch.setenv("ADSTAR_LAKE_URL", str(tmp_path / "lake"))
    return lake_catalog.open_lake()


def rows(lake: lake_catalog.Lake, query: str, moment: datetime | None = None) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in _sql.answer(lake, query, moment).read_all().to_pylist()]


def write(lake: lake_catalog.Lake, target: Target, name: str = "fact_thing") -> tuple[int, int, int]:
    return _lake.write(lake, target, "marts", name, KEEP)


def test_every_value_comes_back_typed(lake: lake_catalog.Lake, target: Target) -> None:
    fill(target, EXTREME)
    told, months, written = write(lake, target)
    assert (told, written) == (len(EXTREME), months)
    assert Counter(rows(lake, "select * from marts.fact_thing")) == in_table(target)
    table = lake.catalog.load_table(("marts", "fact_thing"))
    kinds = {field.name: str(field.field_type) for field in table.schema().fields}
    assert kinds["amount"] == "decimal(38, 9)"
    assert kinds["seen_at"] == "timestamptz"
    assert kinds["date_day"] == "date"
    assert {str(field.transform) for field in table.spec().fields} == {"month"}
    paths = [task.file for task in table.scan().plan_files()]
    assert all(file.lower_bounds and file.file_path.endswith(".parquet") for file in paths)


def test_only_months_that_changed_are_written_and_yesterday_stays_readable(
    lake: lake_catalog.Lake, target: Target
) -> None:
    march, april = ROW, (date(2026, 4, 1), 2, *ROW[2:])
    fill(target, [march, april])
    assert write(lake, target) == (2, 2, 2)
    files = {
        task.file.file_path for task in lake.catalog.load_table(("marts", "fact_thing")).scan().plan_files()
    }
    yesterday = datetime.now(UTC)
    time.sleep(0.01)
    assert write(lake, target) == (2, 2, 0)
    later = (date(2026, 4, 2), 3, *ROW[2:])
    fill(target, [march, april, later])
    assert write(lake, target) == (3, 2, 1)
    now = {
        task.file.file_path for task in lake.catalog.load_table(("marts", "fact_thing")).scan().plan_files()
    }
    assert len(now & files) == 1
    query = "select thing_id from marts.fact_thing order by 1"
    assert rows(lake, query) == [(1,), (2,), (3,)]
    assert rows(lake, query, yesterday) == [(1,), (2,)]
    with pytest.raises(UsageError, match="no version of"):
        rows(lake, query, yesterday - timedelta(days=2))
    fill(target, [later])
    assert write(lake, target)[2] == 1
    assert rows(lake, query) == [(3,)]
    fill(target, [])
    write(lake, target)
    assert rows(lake, query) == []


def test_a_mart_of_another_shape_is_written_anew(lake: lake_catalog.Lake, target: Target) -> None:
    fill(target, [ROW])
    write(lake, target)
    run(
        target,
        "alter table marts.fact_thing drop column small",
        "alter table marts.fact_thing add extra text",
    )
    run(target, "alter table marts.fact_thing alter column number type bigint")
    assert write(lake, target) == (1, 1, 1)
    assert rows(lake, "select number, extra, amount from marts.fact_thing") == [(1, None, Decimal("1.5"))]
    assert set(rows(lake, "select * from marts.fact_thing")) == set(in_table_sorted(lake, target))


def in_table_sorted(lake: lake_catalog.Lake, target: Target) -> list[tuple[Any, ...]]:
    names = [field.name for field in lake.catalog.load_table(("marts", "fact_thing")).schema().fields]
    return run(target, f"select {', '.join(names)} from marts.fact_thing")


def test_what_expires_is_removed_and_what_counts_stays(
    lake: lake_catalog.Lake, target: Target, tmp_path: Path
) -> None:
    for number in range(4):
        fill(target, [(*ROW[:1], number, *ROW[2:])])
        write(lake, target)
    before = len(list((tmp_path / "lake").rglob("*.parquet")))
    assert before == 4
    orphan = tmp_path / "lake" / "marts" / "fact_thing" / "data" / "left-by-a-killed-run.parquet"
    orphan.write_bytes(b"half")
    removed = lake_tables.LakeTable(
        lake, "marts", "fact_thing", lambda: datetime.now(UTC) + timedelta(days=8)
    ).tidy(KEEP)
    assert removed >= 4
    assert not orphan.exists()
    assert len(list((tmp_path / "lake").rglob("*.parquet"))) == 1
    assert rows(lake, "select thing_id from marts.fact_thing") == [(3,)]
    fill(target, [ROW])
    write(lake, target)
    assert rows(lake, "select thing_id from marts.fact_thing") == [(1,)]


def test_sql_reads_the_lake_and_nothing_else(lake: lake_catalog.Lake, target: Target, tmp_path: Path) -> None:
    fill(target, [ROW])
    write(lake, target)
    write(lake, target, "dim_thing")
    assert rows(lake, "select count(*) from marts.fact_thing f left join marts.dim_thing d on true") == [(1,)]
    assert rows(lake, "select * from marts.dim_thing") == []
    with pytest.raises(UsageError, match=r"no marts\.nothing; it has marts\.dim_thing"):
        rows(lake, "select * from marts.nothing")
    with pytest.raises(UsageError, match="no query"):
        rows(lake, "selct 1")
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    for other in (f"select * from read_csv('{secret}')", f"copy (select 1) to '{tmp_path}/out.csv'"):
        with pytest.raises(UsageError):
            rows(lake, other)
    assert not (tmp_path / "out.csv").exists()


def test_the_commands_say_what_they_did_and_what_is_wrong(
    lake: lake_catalog.Lake,
    target: Target,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fill(target, [ROW])
    assert _lake.main([]) == 0
    assert "marts.fact_thing" in capsys.readouterr().out
    assert _sql.main(["select thing_id, note from marts.fact_thing", "--csv"]) == 0
    assert capsys.readouterr().out == '"thing_id","note"\n1,"one"\n'
    assert _sql.main(["select amount from marts.fact_thing"]) == 0
    assert "1.500000000" in capsys.readouterr().out
    assert _sql.main(["select nothing from marts.fact_thing"]) == 2
    assert _sql.main(["select 1", "--as-of", "yesterday"]) == 2
    assert _lake.main(["marts.nothing"]) == 2
    assert "there are marts.dim_thing, marts.fact_thing" in capsys.readouterr().err
    assert _lake.main(["--keep-days", "x"]) == 1
    run(target, "alter table marts.dim_thing add odd interval")
    assert _lake.main([]) == 3
    assert "marts.dim_thing.odd is of type interval" in capsys.readouterr().err.replace(
        "dim_thing: dim_thing", "dim_thing: marts.dim_thing"
    )
    monkeypatch.setenv("ADSTAR_LAKE_CATALOG", "nonsense")
    assert _lake.main([]) == 1
    assert "ADSTAR_LAKE_CATALOG" in capsys.readouterr().err


def start(**variables: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(ROOT / "scripts" / "_lake.py"), "marts.fact_thing"]
    return preloaded.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("point", lake_tables.POINTS[:3])
def test_killed_anywhere_the_table_is_one_whole_version_and_the_next_run_heals(
    lake: lake_catalog.Lake, target: Target, point: str
) -> None:
    query = "select thing_id from marts.fact_thing order by 1"
    fill(target, [ROW])
    write(lake, target)
    fill(target, [(*ROW[:1], 8, *ROW[2:]), (date(2026, 4, 1), 9, *ROW[2:])])
    assert start(ADSTAR_KILL_AT=point).wait() == -signal.SIGKILL
    assert rows(lake, query) == ([(8,), (9,)] if point == "lake.committed" else [(1,)])
    write(lake, target)
    assert rows(lake, query) == [(8,), (9,)]


def read_in_a_loop(lake: lake_catalog.Lake, stop: threading.Event, seen: list[Any]) -> None:
    while not stop.is_set():
        seen.append(
            rows(lake, "select number, count(*), count(distinct date_day) from marts.fact_thing group by 1")
        )


def versions(
    lake: lake_catalog.Lake, target: Target, commits: int, kill_every: int
) -> tuple[int, int, list[Any]]:
    """Commit version after version while readers read; commits, kills, and all that was read."""
    stop, seen = threading.Event(), []
    days = [date(2026, month, 1) for month in (1, 2, 3)]

    def fill_with(version: int) -> None:
        fill(target, [(day, n, 1, version, *ROW[4:]) for day in days for n in range(50)])

    fill_with(0)
    write(lake, target)
    readers = [threading.Thread(target=read_in_a_loop, args=(lake, stop, seen)) for _ in range(2)]
    for reader in readers:
        reader.start()
    done = kills = 0
    try:
        for version in range(1, commits + 1):
            fill_with(version)
            if version % kill_every == 0:
                point = ("lake.file_written:2", "lake.files_written", "lake.committed")[kills % 3]
                assert start(ADSTAR_KILL_AT=point).wait() == -signal.SIGKILL
                kills += 1
            write(lake, target)
            done += 1
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    return done, kills, seen


def is_whole(read: list[tuple[Any, ...]]) -> bool:
    """One version, all of its rows, of all months."""
    return len(read) == 1 and read[0][1:] == (150, 3)


def test_readers_see_whole_versions_while_commits_and_kills_go_on(
    lake: lake_catalog.Lake, target: Target
) -> None:
    done, kills, seen = versions(lake, target, commits=4, kill_every=2)
    assert (done, kills) == (4, 2)
    assert len(seen) > 4
    assert all(map(is_whole, seen))
    assert [read[0][0] for read in seen[-1:]] == [4] or seen[-1][0][0] >= 3


@pytest.mark.full
def test_readers_see_whole_versions_during_100_commits_and_20_kills(
    lake: lake_catalog.Lake, target: Target
) -> None:
    done, kills, seen = versions(lake, target, commits=100, kill_every=5)
    assert (done, kills) == (100, 20)
    assert all(map(is_whole, seen))
    numbers = {read[0][0] for read in seen}
    print(
        f"figure: {done} commits, {kills} kills, {len(seen):,} readings of {len(numbers)} versions, all whole"
    )


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
    }.items():
        monkeypatch.setenv(name, value)
    yield
    moto.stop()


@pytest.mark.parametrize("catalog", ["", "glue"])
def test_on_s3_with_either_catalogue(
    target: Target, aws: None, monkeypatch: pytest.MonkeyPatch, catalog: str
) -> None:
    boto3.client("s3").create_bucket(
        Bucket=f"lake{catalog}", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"}
    )
    monkeypatch.setenv("ADSTAR_LAKE_URL", f"s3://lake{catalog}/star")
    monkeypatch.setenv("ADSTAR_LAKE_CATALOG", catalog)
    run(target, "create schema marts", FACT, DIM)
    fill(target, EXTREME)
    lake = lake_catalog.open_lake()
    write(lake, target)
    fill(target, [ROW])
    write(lake, target)
    assert rows(lake, "select thing_id, amount from marts.fact_thing") == [(1, Decimal("1.5"))]
    assert _lake.write(lake, target, "marts", "fact_thing", timedelta(0))[2] == 0
    assert rows(lake, "select count(*) from marts.fact_thing") == [(1,)]
    if catalog:
        (told,) = boto3.client("glue").get_tables(DatabaseName="marts")["TableList"]
        assert told["Parameters"]["table_type"] == "ICEBERG"
        assert told["Parameters"]["metadata_location"].startswith(
            f"s3://lake{catalog}/star/marts/fact_thing/"
        )


def test_a_feed_is_typed_as_settings_say_and_its_newest_rows_are_there(
    lake: lake_catalog.Lake, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    books = Books(target, "http_json")
    books.prepare()
    books.ensure_table("rates", ["date", "rate", "email"])
    run(
        target,
        "insert into raw_http_json.rates values"
        " (1, 0, 'rates', '2026-03-01', 'x', '2026-03-01', '1.10', 'a@b'),"
        " (1, 1, 'rates', '2026-03-02', 'x', '2026-03-02', '1.20', 'a@b'),"
        " (2, 0, 'rates', '2026-03-02', 'x', '2026-03-02', '1.25', 'a@b'),"
        " (2, 0, 'rates', '2026-03-02', 'x', '2026-03-02', '1.25', 'a@b'),"  # a file that was loaded twice
        " (3, 0, 'rates', '2026-03-02', 'x', '2026-03-02', '9', 'a@b')",  # never committed
        "insert into raw_http_json.covered (resource, account, day, run_seq, data_run_seq) values"
        " ('rates', 'rates', '2026-03-01', 1, 1), ('rates', 'rates', '2026-03-02', 1, 1),"
        " ('rates', 'rates', '2026-03-01', 2, 1), ('rates', 'rates', '2026-03-02', 2, 2),"
        " ('rates', 'rates', '2026-03-02', 3, 3)",
        "insert into ops.commits (run_seq, pipeline, load_id, committed_at) values"
        " (1, 'http_json', 'a', now()), (2, 'http_json', 'b', now())",
        "insert into ops.personal_columns values ('http_json', 'rates', 'email', 'email')",
    )
    monkeypatch.setenv("LAKE__FEEDS__RATES", '{"date": "date", "rate": "numeric(38,9)"}')
    assert ("feeds", "rates") in _lake.there(target)
    assert _lake.write(lake, target, "feeds", "rates", KEEP) == (2, 1, 1)
    assert rows(lake, "select * from feeds.rates order by date") == [
        (date(2026, 3, 1), date(2026, 3, 1), Decimal("1.10")),
        (date(2026, 3, 2), date(2026, 3, 2), Decimal("1.25")),
    ]
    assert _lake.write(lake, target, "feeds", "rates", KEEP)[2] == 0
    monkeypatch.setenv("LAKE__FEEDS__RATES", '{"rate": "money"}')
    with pytest.raises(ConfigurationError, match=r"lake\.feeds\.rates\.rate is 'money'"):
        _lake.write(lake, target, "feeds", "rates", KEEP)
    monkeypatch.setenv("LAKE__FEEDS__RATES", '{"rat": "text"}')
    with pytest.raises(ConfigurationError, match=r"names rat; the feed has date, rate"):
        _lake.write(lake, target, "feeds", "rates", KEEP)


@contextmanager
def served(lake: lake_catalog.Lake) -> Iterator[dict[str, Any]]:
    with lake_server.Server(lake, "127.0.0.1", 0, PASSWORD) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield {"host": "127.0.0.1", "port": server.server_address[1], "user": "ann", "password": PASSWORD}
        finally:
            server.shutdown()
            thread.join()


def test_bi_tools_read_the_lake_as_a_postgres(lake: lake_catalog.Lake, target: Target) -> None:
    fill(target, EXTREME)
    write(lake, target)
    columns = "date_day, thing_id, number, amount, is_good, note, seen_at, ratio"
    query = f"select {columns} from marts.fact_thing where date_day < '9999-01-01' or date_day is null"
    wanted = Counter(run(target, query))
    with served(lake) as place:
        plain = psycopg2.connect(dbname="lake", sslmode="disable", **place)
        with closing(plain) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            assert Counter(cursor.fetchall()) == wanted
            cursor.execute("select table_name from information_schema.tables where table_schema = 'marts'")
            assert ("fact_thing",) in cursor.fetchall()
            cursor.execute("show transaction isolation level")
            with pytest.raises(psycopg2.Error, match=r"the lake has no marts\.nothing"):
                cursor.execute("select * from marts.nothing")
            connection.rollback()
            with pytest.raises(psycopg2.Error):
                cursor.execute("select * from read_csv('/etc/hostname')")
        # psql sends what has \\bind behind it as an extended query.
        command = "select count(*) from marts.fact_thing where note = $1 \\bind one \\g"
        where = f"postgresql://ann@127.0.0.1:{place['port']}/lake?sslmode=disable"
        asked = subprocess.run(
            [psql(), "-X", "-A", "-t", where],
            input=command,
            env={**os.environ, "PGPASSWORD": PASSWORD},
            capture_output=True,
            text=True,
            check=True,
        )
        assert (asked.stdout, asked.stderr) == ("2\n", "")
        with pytest.raises(psycopg2.OperationalError, match="ADSTAR_SQL_PASSWORD"):
            psycopg2.connect(dbname="lake", sslmode="disable", **place | {"password": "wrong"})


def test_nobody_serves_the_password_in_the_open(lake: lake_catalog.Lake) -> None:
    with pytest.raises(ConfigurationError, match="ADSTAR_SQL_CERTIFICATE"):
        lake_server.Server(lake, "0.0.0.0", 0, PASSWORD)
    with pytest.raises(ConfigurationError, match="12 or more"):
        lake_server.Server(lake, "127.0.0.1", 0, "short")
