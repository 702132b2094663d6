"""Marts as Parquet: every value comes back, only what has changed is written, no half export is ever seen."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.fs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from psycopg2.extras import execute_values

from loaders._core.warehouse import Target
from tests import preloaded, resident
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import _export
from _exporting import places as export_places
from _exporting import postgres as export_postgres

FACT = """
create table marts.fact_thing (
    date_day date, thing_id bigint, small smallint, number integer, amount numeric(38,9), rate numeric(38,15),
    is_good boolean, note text, kind varchar(20), seen_at timestamptz, ratio double precision, run_seq bigint
)
"""
DIM = (
    "create table marts.dim_thing (thing_key bigint, name text, valid_from timestamptz, valid_to timestamptz)"
)
NO_DATE = "__HIVE_DEFAULT_PARTITION__"
DAY = date(2026, 3, 5)
ROW = (
    DAY,
    1,
    1,
    1,
    Decimal("1.5"),
    Decimal("0.9"),
    True,
    "one",
    "a",
    datetime(2026, 3, 6, tzinfo=UTC),
    0.1,
    7,
)
BEGINNING, END = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
LAST_MOMENT = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
TEXT = 'new\nline, "quoted"; \\N \\. tab\t é 😀 \u2028'
EXTREME = [
    ROW,
    ROW,  # a row that is there twice is two rows
    (date(1, 1, 1), -(2**63), -(2**15), -(2**31), Decimal("-99999999999999999999999999999.999999999"),
     Decimal("99999999999999999999999.999999999999999"), False, "", "", BEGINNING, -1e308, 0),
    (date(9999, 12, 31), 2**63 - 1, 2**15 - 1, 2**31 - 1, Decimal("1e-9"), Decimal("-1e-15"), True, TEXT,
     "NULL", END, 5e-324, 2**40),
    (date(2026, 3, 1), None, None, None, None, None, None, None, None, None, None, None),
    (date(2026, 2, 28), 9007199254740993, 0, 0, Decimal("0"), Decimal("0.1"), None, "\r\n", " ", LAST_MOMENT,
     0.1 + 0.2, 3),
    (None, 4, None, None, None, None, None, "no date", None, datetime(1, 1, 1, tzinfo=UTC), None, 3),
]  # fmt: skip


def run(target: Target, *statements: str) -> list[tuple[Any, ...]]:
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def fill(target: Target, rows: list[tuple[Any, ...]], table: str = "fact_thing") -> None:
    with closing(target.connect()) as connection, connection, connection.cursor() as cursor:
        cursor.execute("set timezone = 'UTC'")
        cursor.execute("begin")
        cursor.execute(f"delete from marts.{table}")
        if rows:
            execute_values(cursor, f"insert into marts.{table} values %s", rows)
        cursor.execute("commit")


def in_table(target: Target, table: str = "fact_thing") -> Counter[tuple[Any, ...]]:
    return Counter(run(target, f"select * from marts.{table}"))


def manifest_of(folder: str | Path, mart: str = "fact_thing") -> dict[str, Any]:
    files, root = pyarrow.fs.FileSystem.from_uri(str(folder))
    with files.open_input_stream(f"{root}/marts/{mart}/manifest.json") as stream:
        return dict(json.load(stream))


def paths_of(manifest: dict[str, Any]) -> dict[str, str]:
    """The files of a manifest, each with its month."""
    return {file["path"]: part["partition"] for part in manifest["parts"] for file in part["files"]}


def in_files(
    folder: str | Path, mart: str = "fact_thing", filesystem: pyarrow.fs.FileSystem | None = None
) -> Counter[tuple[Any, ...]]:
    """The rows that a reader finds who follows the manifest, with nothing of adstar's."""
    files, root = (filesystem, str(folder)) if filesystem else pyarrow.fs.FileSystem.from_uri(str(folder))
    with files.open_input_stream(f"{root}/marts/{mart}/manifest.json") as stream:
        manifest = json.load(stream)
    paths = [f"{root}/marts/{mart}/{path}" for path in paths_of(manifest)]
    table = pyarrow.dataset.dataset(paths, filesystem=files, format="parquet").to_table()
    assert table.num_rows == manifest["rows"]
    assert table.schema.names == [column["name"] for column in manifest["columns"]]
    return Counter(zip(*(column.to_pylist() for column in table.columns), strict=True))


def written(folder: Path) -> set[str]:
    """The Parquet files below a mart's folder, whoever names them."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet")}


@pytest.fixture
def star(target: Target) -> Target:
    run(target, "create schema marts", FACT, DIM)
    fill(target, EXTREME)
    return target


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def export(star: Target, out: Path) -> _export.Export:
    return _export.prepare(to=str(out))


def command(out: str | Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return preloaded.run(
        [sys.executable, str(ROOT / "scripts" / "_export.py"), "--to", str(out), *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


# -- what is in the files
def test_every_type_comes_back_as_it_was(star: Target, out: Path) -> None:
    lives = [
        (1, "é", datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
        (-1, None, None, None),
    ]
    fill(star, lives, "dim_thing")
    done = command(out)
    assert done.returncode == 0, done.stderr
    assert in_files(out) == in_table(star) == Counter(EXTREME)
    assert in_files(out, "dim_thing") == in_table(star, "dim_thing") == Counter(lives)
    manifest = manifest_of(out)
    fact = out / "marts" / "fact_thing"
    types = {column["name"]: column["type"] for column in manifest["columns"]}
    assert types == {
        "date_day": "date", "thing_id": "bigint", "small": "smallint", "number": "integer",
        "amount": "numeric(38,9)", "rate": "numeric(38,15)", "is_good": "boolean", "note": "text",
        "kind": "text", "seen_at": "timestamptz", "ratio": "double precision", "run_seq": "bigint",
    }  # fmt: skip
    months = {"0001-01", "2026-02", "2026-03", "9999-12", NO_DATE}
    assert set(paths_of(manifest).values()) == months
    assert manifest["sums"] == {
        name: f"{amount}"
        for name, amount in zip(
            ("amount", "rate"),
            run(star, "select sum(amount), sum(rate) from marts.fact_thing")[0],
            strict=True,
        )
    }
    for part in manifest["parts"]:
        for file in part["files"]:
            body = (fact / file["path"]).read_bytes()
            assert f"/date_month={part['partition']}/" in file["path"]
            assert (file["bytes"], file["sha256"]) == (len(body), _sha256(body))
            schema = pyarrow.dataset.dataset(fact / file["path"]).schema
            assert schema.field("amount").type == pa.decimal128(38, 9)
            assert schema.field("seen_at").type == pa.timestamp("us", tz="UTC")


def _sha256(body: bytes) -> str:
    import hashlib

    return hashlib.sha256(body).hexdigest()


TEXTS = st.none() | st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


def decimals(scale: int) -> st.SearchStrategy[Decimal]:
    """All numbers that a numeric(38, scale) can hold."""
    exact = Context(prec=38)
    return st.integers(-(10**38) + 1, 10**38 - 1).map(lambda digits: Decimal(digits).scaleb(-scale, exact))


INSTANTS = st.datetimes(timezones=st.just(UTC))
ROWS = st.lists(
    st.tuples(
        st.none() | st.sampled_from([DAY, date(2026, 3, 31), date(2026, 4, 1), date(1970, 1, 1)]),
        st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.integers(-(2**15), 2**15 - 1),
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | decimals(9),
        st.none() | decimals(15),
        st.none() | st.booleans(),
        TEXTS,
        TEXTS,
        st.none() | INSTANTS,
        st.none() | st.floats(allow_nan=False, allow_infinity=True),
        st.none() | st.integers(1, 9),
    ),
    max_size=8,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=ROWS, then=ROWS, kept=st.integers(0, 8))
def test_whatever_the_rows_and_however_they_change_the_files_hold_them(
    star: Target, tmp_path: Path, first: list[tuple[Any, ...]], then: list[tuple[Any, ...]], kept: int
) -> None:
    out = tmp_path / uuid.uuid4().hex
    export = _export.prepare(to=str(out))
    fill(star, first)
    export.run("fact_thing")
    assert in_files(out) == in_table(star)
    before = manifest_of(out)
    fill(star, [*first[:kept], *then])
    export.run("fact_thing")
    assert in_files(out) == in_table(star)

    def by_month(rows: list[tuple[Any, ...]]) -> dict[str, Counter[tuple[Any, ...]]]:
        found: dict[str, Counter[tuple[Any, ...]]] = {}
        for row in rows:
            month = f"{row[0]:%Y-%m}" if row[0] else NO_DATE
            found.setdefault(month, Counter())[row] += 1
        return found

    was, now = by_month(first), by_month([*first[:kept], *then])
    for path, month in paths_of(manifest_of(out)).items():
        if month:
            assert (path in paths_of(before)) == (was.get(month) == now[month])


def test_a_mart_without_rows_is_a_file_that_tells_its_columns(star: Target, out: Path) -> None:
    fill(star, [])
    assert command(out).returncode == 0
    assert in_files(out) == in_files(out, "dim_thing") == Counter()
    fill(star, [ROW])
    assert command(out).returncode == 0
    assert in_files(out) == Counter([ROW])
    assert in_files(out, "dim_thing") == Counter()


def test_a_large_month_is_cut_into_files_in_the_order_of_its_days(
    star: Target, out: Path, export: _export.Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_postgres, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(export_postgres, "ROWS_A_GROUP", 50)
    monkeypatch.setattr(export_postgres, "ROWS_A_FILE", 150)
    run(
        star,
        "delete from marts.fact_thing",
        "insert into marts.fact_thing (date_day, thing_id, note) select date '2026-03-01' + (g * 7 % 31), g,"
        " repeat(E'x\\n\",', g % 50) from generate_series(1, 1000) g",
    )
    export.run("fact_thing")
    assert in_files(out) == in_table(star)
    (part,) = manifest_of(out)["parts"]
    assert len(part["files"]) > 5
    assert all(file["rows"] <= 150 for file in part["files"])
    days = []
    for file in part["files"]:
        parquet = pa.parquet.ParquetFile(out / "marts" / "fact_thing" / file["path"])
        assert parquet.metadata.num_row_groups > 1
        for group in range(parquet.metadata.num_row_groups):
            days += parquet.read_row_group(group, ["date_day"])["date_day"].to_pylist()
    assert days == sorted(days)


def test_a_very_long_text_is_exported_or_refused_but_never_cut(
    star: Target, out: Path, export: _export.Export
) -> None:
    add = "insert into marts.fact_thing (date_day, note) values ('2026-03-01', repeat('x', {}))"
    run(star, add.format(3 << 20))
    export.run("fact_thing")
    assert in_files(out) == in_table(star)
    run(star, add.format(9 << 20))
    with pytest.raises(_export.AdstarError, match="has it a row of more than 4 MB"):
        export.run("fact_thing")


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        (
            "amount",
            "'NaN'",
            r"fact_thing\.amount \(numeric\(38,9\)\) has a value that Parquet can't hold: .*NaN",
        ),
        ("seen_at", "'infinity'", r"fact_thing\.seen_at \(timestamptz\) has a value .*infinity"),
        ("seen_at", "'0044-03-15 BC'", r"fact_thing\.seen_at .*0044-03-15 00:00:00\+00 BC"),
        (
            "date_day",
            "'infinity'",
            r"fact_thing\.date_day has a date outside the years 1 to 9999 \(infinity\)",
        ),
        ("date_day", "'0044-03-15 BC'", r"fact_thing\.date_day has a date outside .* BC"),
        ("note::jsonb", None, r"fact_thing\.note is of type jsonb, which is not exported"),
        ("amount::numeric", None, r"fact_thing\.amount is of type numeric, .* at most 38 digits"),
    ],
)
def test_what_parquet_can_not_hold_is_refused_by_name_and_the_others_are_exported(
    star: Target, out: Path, capfd: pytest.CaptureFixture[str], column: str, value: str | None, told: str
) -> None:
    fill(star, [ROW])
    assert _export.main(["--to", str(out)]) == 0
    fill(star, [(1, "n", None, None)], "dim_thing")
    if value:
        run(star, f"update marts.fact_thing set {column} = {value}")
    else:
        name, kind = column.split("::")
        run(star, f"alter table marts.fact_thing alter {name} type {kind} using null")
    assert _export.main(["--to", str(out)]) == 3
    assert re.search(told, capfd.readouterr().err, re.DOTALL)
    assert in_files(out) == Counter([ROW]), "what was exported before counts"
    assert in_files(out, "dim_thing") == in_table(star, "dim_thing")


# -- only what has changed
def test_what_has_not_changed_is_not_written_again(star: Target, out: Path, export: _export.Export) -> None:
    export.run("fact_thing")
    before, files = manifest_of(out), written(out)
    manifest, new = export.run("fact_thing")
    assert new == []
    assert written(out) == files
    after = manifest_of(out)
    assert after["exported_at"] > before["exported_at"]
    assert after["parts"] == before["parts"]
    assert manifest.export == after["export"] != before["export"]


@pytest.mark.parametrize(
    "change",
    [
        "update marts.fact_thing set amount = amount + 0.000000001 where date_day = '2026-02-28'",
        "update marts.fact_thing set is_good = true where date_day = '2026-02-28'",
        "update marts.fact_thing set note = null where date_day = '2026-02-28'",
        "update marts.fact_thing set note = kind, kind = note where date_day = '2026-02-28'",
        "insert into marts.fact_thing select * from marts.fact_thing where date_day = '2026-02-28'",
    ],
)
def test_only_the_month_that_has_changed_is_written(
    star: Target, out: Path, export: _export.Export, change: str
) -> None:
    export.run("fact_thing")
    before = paths_of(manifest_of(out))
    run(star, change)
    _, (part,) = export.run("fact_thing")
    assert part.partition == "2026-02"
    after = paths_of(manifest_of(out))
    assert {path for path in after if after[path] != "2026-02"} == {
        path for path in before if before[path] != "2026-02"
    }
    assert in_files(out) == in_table(star)


def test_a_month_that_goes_leaves_the_manifest(star: Target, out: Path, export: _export.Export) -> None:
    export.run("fact_thing")
    run(star, "delete from marts.fact_thing where date_day < '1900-01-01'")
    _, new = export.run("fact_thing")
    assert new == []
    assert "0001-01" not in paths_of(manifest_of(out)).values()
    assert in_files(out) == in_table(star)


@pytest.mark.parametrize("change", ["add is_new boolean", "rename small to tiny"])
def test_other_columns_write_everything_anew(
    star: Target, out: Path, export: _export.Export, change: str
) -> None:
    export.run("fact_thing")
    run(star, f"alter table marts.fact_thing {change}")
    manifest, new = export.run("fact_thing")
    assert len(new) == len(manifest.parts) == 5
    assert in_files(out) == in_table(star)


def test_after_a_rollback_the_files_of_before_are_taken(
    star: Target, out: Path, export: _export.Export
) -> None:
    export.run("fact_thing")
    run(star, "create table public.was as table marts.fact_thing", "update marts.fact_thing set small = 5")
    _, new = export.run("fact_thing")
    assert len(new) == 5
    run(star, "truncate marts.fact_thing", "insert into marts.fact_thing table public.was")
    _, new = export.run("fact_thing")
    assert new == []
    assert in_files(out) == in_table(star)


def test_files_that_somebody_has_removed_or_cut_are_written_again(
    star: Target, out: Path, export: _export.Export
) -> None:
    export.run("fact_thing")
    first, second, *_ = sorted(paths_of(manifest_of(out)))
    (out / "marts" / "fact_thing" / first).unlink()
    (out / "marts" / "fact_thing" / second).write_bytes(b"PAR1")
    _, new = export.run("fact_thing")
    assert len(new) == 2
    assert in_files(out) == in_table(star)


# -- killed, overtaken, in the way of a build
@pytest.mark.parametrize("point", [*_export.POINTS, "export.file_written:3", "export.part_noted:2"])
def test_killed_anywhere_the_next_export_goes_on(star: Target, out: Path, point: str) -> None:
    export = replace(_export.prepare(to=str(out)), keep=timedelta(0))
    export.run("fact_thing")
    before = in_table(star)
    run(star, "update marts.fact_thing set small = 9")
    done = command(out, "fact_thing", "--keep-days", "0", ADSTAR_KILL_AT=point)
    assert done.returncode == -signal.SIGKILL, done.stderr
    published = point in ("export.manifest_written", "export.removing")
    assert in_files(out) == (in_table(star) if published else before)
    finished = {path.parent for path in out.rglob("_written.json")}
    kept = {path for folder in finished for path in folder.glob("*.parquet")}
    if point == "export.part_noted:2":
        assert len(kept) == 2

    manifest, new = export.run("fact_thing")
    assert in_files(out) == in_table(star)
    named = {out / "marts" / "fact_thing" / path for path in manifest.paths}
    assert kept <= named, "what was whole is not written twice"
    if not published:
        assert len(new) == 5 - len(finished)
    assert {out / path for path in written(out)} == named, "and nothing else is left"
    assert not [path for path in out.rglob("*") if path.name.endswith((".part", "_written.json"))]


def test_a_killed_export_of_other_rows_does_not_count(
    star: Target, out: Path, export: _export.Export
) -> None:
    assert command(out, "fact_thing", ADSTAR_KILL_AT="export.part_noted:2").returncode == -signal.SIGKILL
    run(star, "update marts.fact_thing set small = 9")
    _, new = export.run("fact_thing")
    assert len(new) == 5
    assert in_files(out) == in_table(star)


class During:
    """An engine in whose snapshot something else happens first."""

    def __init__(self, engine: _export.Engine, happens: Callable[[], Any]) -> None:
        self._engine, self._happens = engine, happens

    @contextmanager
    def snapshot(self, schema: str, mart: str) -> Iterator[Any]:
        with self._engine.snapshot(schema, mart) as snapshot:
            self._happens()
            yield snapshot


def test_the_older_of_two_exports_at_a_time_does_not_publish(
    star: Target, out: Path, export: _export.Export
) -> None:
    def another() -> None:
        run(star, "update marts.fact_thing set small = 11")
        export.run("fact_thing")

    with pytest.raises(export_places.Overtaken, match="another export of fact_thing has published"):
        replace(export, engine=During(export.engine, another)).run("fact_thing")
    assert in_files(out) == in_table(star)


def test_what_a_rule_of_the_bucket_removes_meanwhile_is_not_published(
    star: Target, out: Path, export: _export.Export
) -> None:
    export.run("fact_thing")
    former = manifest_of(out)
    run(star, "delete from marts.fact_thing where date_day is null")

    def removing(*_: Any) -> Iterator[Any]:
        for path in written(out / "marts" / "fact_thing"):
            (out / "marts" / "fact_thing" / path).unlink()
        return iter(())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_postgres.Snapshot, "write", removing)
        with pytest.raises(export_places.PlaceError, match="does a rule of the bucket remove them"):
            export.run("fact_thing")
    assert manifest_of(out) == former


def test_a_build_that_replaces_the_mart_while_the_export_begins_is_exported_whole(
    star: Target, out: Path, export: _export.Export
) -> None:
    """A snapshot from before the new table's rows would see it empty."""
    with closing(star.connect()) as build, build.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("create table marts.fact_new as select * from marts.fact_thing")
        cursor.execute("drop table marts.fact_thing")
        cursor.execute("alter table marts.fact_new rename to fact_thing")
        exporting = threading.Thread(target=export.run, args=("fact_thing",))
        exporting.start()
        waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'"
        while run(star, waiting) == [(0,)]:
            time.sleep(0.02)
        cursor.execute("commit")
        exporting.join()
    assert in_files(out) == Counter(EXTREME)


def test_somebody_who_holds_the_mart_for_ever_is_told_of(
    star: Target, export: _export.Export, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_postgres, "LOCK_SECONDS", 1)
    with closing(star.connect()) as other, other.cursor() as cursor:
        cursor.execute("begin")
        cursor.execute("lock table marts.fact_thing in access exclusive mode")
        with pytest.raises(
            _export.AdstarError, match="fact_thing can't be read: somebody has held it for 1 s"
        ):
            export.run("fact_thing")


def test_a_reader_beside_exports_sees_whole_versions_only(
    star: Target, out: Path, export: _export.Export
) -> None:
    def turn(number: int) -> None:
        """All rows of all months say the same number."""
        with closing(star.connect()) as connection, connection, connection.cursor() as cursor:
            cursor.execute("begin")
            cursor.execute("delete from marts.fact_thing")
            cursor.execute(
                "insert into marts.fact_thing (date_day, number) select date '2026-01-01' + g, %s"
                " from generate_series(0, 150) g",
                [number],
            )
            cursor.execute("commit")

    turn(0)
    export.run("fact_thing")
    ended = threading.Event()
    seen: set[int] = set()
    wrong: list[Any] = []

    def read() -> None:
        while not ended.is_set():
            try:
                rows = in_files(out)
                numbers = {row[3] for row in rows}
                seen.update(numbers)
                if len(numbers) != 1 or rows.total() != 151:
                    wrong.append((numbers, rows.total()))
            except (OSError, AssertionError) as error:
                wrong.append(error)

    def build() -> None:
        for number in range(1, 1000):
            if ended.is_set():
                return
            turn(number)

    threads = [threading.Thread(target=read), threading.Thread(target=build)]
    for thread in threads:
        thread.start()
    for _ in range(12):
        export.run("fact_thing")
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(seen) > 2


# -- a place that fails
def test_a_full_disk_leaves_the_former_export(star: Target, out: Path) -> None:
    fill(star, [ROW])
    assert command(out, "fact_thing").returncode == 0
    run(
        star,
        "insert into marts.fact_thing (date_day, note)"
        " select '2026-03-02', md5(g::text) || md5(g::text || 'x')"
        " from generate_series(1, 50000) g",
    )
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "_export.py"), "--to", str(out), "fact_thing"],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert re.search(
        r"fact_thing: can't write .*/date_month=2026-03/0000.parquet: File too large", done.stderr
    )
    assert "it goes on with what is missing" in done.stderr
    assert "Traceback" not in done.stderr
    assert in_files(out) == Counter([ROW])
    assert command(out, "fact_thing").returncode == 0
    assert in_files(out) == in_table(star)


def test_a_folder_that_can_not_be_made_is_told_of(star: Target, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = command(tmp_path / "file" / "out", "fact_thing")
    assert done.returncode == 1
    assert re.search(r"can't read .*/file/out/marts/fact_thing/manifest.json: Not a directory", done.stderr)


def test_a_manifest_that_is_none_is_not_overwritten(star: Target, out: Path) -> None:
    manifest = out / "marts" / "fact_thing" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    done = command(out, "fact_thing")
    assert done.returncode == 1
    assert "this is no manifest of an export" in done.stderr
    assert str(manifest) in done.stderr
    assert manifest.read_text() == "{}"


# -- how long files stay
def test_files_stay_for_a_time_after_they_were_left_out(
    star: Target, out: Path, export: _export.Export
) -> None:
    morning = datetime(2026, 3, 1, 6, tzinfo=UTC)

    def at(days: float, small: int) -> dict[str, Any]:
        run(star, f"update marts.fact_thing set small = {small} where date_day >= '2026-01-01'")
        replace(export, now=lambda: morning + timedelta(days=days), keep=timedelta(days=2)).run("fact_thing")
        return manifest_of(out)

    fact = out / "marts" / "fact_thing"
    abandoned = fact / "20260101T000000000000Z-00000000" / "date_month=2026-03" / "0000.parquet"
    running = fact / "20260228T180000000000Z-00000000" / "date_month=2026-03" / "0000.parquet"
    for path in (abandoned, running):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"of an export that was killed, or still runs")
    foreign = fact / "notes" / "mine.txt"
    foreign.parent.mkdir()
    foreign.write_text("somebody else's")
    first = at(0, 1)
    assert not abandoned.exists()
    assert running.exists(), "what began within the days to keep may be going on"
    second = at(10, 2)
    third = at(11, 3)
    # The first stopped to count on day 10, however old its files are.
    assert set(paths_of(first)) | set(paths_of(second)) | set(paths_of(third)) == written(fact)
    fourth = at(12.5, 4)
    assert set(paths_of(second)) | set(paths_of(third)) | set(paths_of(fourth)) == written(fact)
    at(30, 4)
    assert set(paths_of(fourth)) | set(paths_of(third)) | set(paths_of(second)) >= written(fact)
    at(40, 4)
    assert set(paths_of(fourth)) == written(fact)
    assert set(paths_of(first)) & set(paths_of(fourth)), "months that never changed are the first export's"
    assert in_files(out) == in_table(star)
    assert foreign.exists()


def test_names_of_exports_rise_whatever_the_clock_says(
    star: Target, out: Path, export: _export.Export
) -> None:
    export.run("fact_thing")
    before = manifest_of(out)
    replace(export, now=lambda: datetime(2001, 1, 1, tzinfo=UTC)).run("fact_thing")
    assert manifest_of(out)["export"] > before["export"]


# -- what is asked for
def test_marts_of_a_prefix_and_those_that_are_named(
    star: Target, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(star, "create schema mine_marts", "create table mine_marts.dim_mine as select 1 as mine_key")
    monkeypatch.setenv("ADSTAR_SCHEMA_PREFIX", "mine_")
    assert _export.main(["--to", str(out)]) == 0
    assert [path.name for path in (out / "mine_marts").iterdir()] == ["dim_mine"]
    assert _export.main(["--to", str(out), "dim_thing"]) == 2
    assert "mine_marts has no dim_thing; it has dim_mine" in capsys.readouterr().err
    monkeypatch.setenv("ADSTAR_SCHEMA_PREFIX", "nobodys_")
    assert _export.main(["--to", str(out)]) == 1
    assert "has `dbt build` run" in capsys.readouterr().err


def test_the_default_place_is_below_the_state_folder(star: Target) -> None:
    assert _export.main(["dim_thing"]) == 0
    assert (Path(os.environ["ADSTAR_STATE"]) / "export" / "marts" / "dim_thing" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("setting", "value", "told"),
    [
        ("ADSTAR_EXPORT_URL", "gs://bucket/x", "'gs://bucket/x' is no place for an export"),
        ("ADSTAR_EXPORT_URL", "s3:///x", "names no bucket"),
        ("ADSTAR_EXPORT_KEEP_DAYS", "some", "is 'some'; it is a number of days"),
        ("ADSTAR_EXPORT_KEEP_DAYS", "-1", "is '-1'; it is a number of days"),
    ],
)
def test_wrong_settings_are_named(
    star: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str,
    value: str, told: str,
) -> None:  # fmt: skip
    monkeypatch.setenv(setting, value)
    assert _export.main([]) == 1
    assert told in capsys.readouterr().err


def test_a_model_says_by_which_date_it_is_split(
    star: Target, out: Path, export: _export.Export, tmp_path: Path
) -> None:
    models = tmp_path / "models" / "marts"
    models.mkdir(parents=True)
    text = "models:\n  - name: dim_thing\n    config: {meta: {export_by: born_date}}\n"
    (models / "dim_thing.yml").write_text(text)
    declared = replace(export, project=tmp_path)
    with pytest.raises(_export.ConfigurationError, match="exported by born_date, which is no date of it"):
        declared.run("dim_thing")
    run(star, "alter table marts.dim_thing add born_date date", "insert into marts.dim_thing values (1, 'a')")
    declared.run("dim_thing")
    assert manifest_of(out, "dim_thing")["partitioned_by"] == "born_date"
    export.run("dim_thing")
    assert manifest_of(out, "dim_thing")["partitioned_by"] is None


def test_the_models_of_the_star_are_split_by_the_date_of_what_happened() -> None:
    def by(mart: str, *names: str) -> str | None:
        columns = tuple(_export.Column(name, "date") for name in names)
        return _export.partition_column(mart, columns, ROOT / "dbt_project")

    assert by("fact_ad_performance", "date_day") == "date_day"
    assert by("fact_sales", "sold_date") == "sold_date"
    assert by("fact_user_login", "create_date") == "create_date"
    assert by("bridge_user_campaign_touch", "date_day") == "date_day"
    assert by("dim_date", "date_day", "week_start_date") is None


def test_the_manifest_names_the_publish(star: Target, out: Path, export: _export.Export) -> None:
    assert export.run("fact_thing")[0].publish is None
    run(
        star,
        "create schema published",
        "create table published.publishes (number bigint, outcome varchar(16))",
        "insert into published.publishes values (3, 'published'), (4, 'failed')",
    )
    export.run("fact_thing")
    assert manifest_of(out)["publish"] == 3


# -- S3
@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, pyarrow.fs.S3FileSystem, Any]]:
    """A bucket on moto's server: its name, a reader of files and a client."""
    import boto3

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    name = f"lake-{uuid.uuid4().hex[:8]}"
    client = boto3.client("s3")
    client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    files = pyarrow.fs.S3FileSystem(
        access_key="key", secret_key="secret", endpoint_override=endpoint, region="eu-central-1"
    )
    yield name, files, client
    server.stop()


def test_to_s3_and_back(star: Target, bucket: tuple[str, pyarrow.fs.S3FileSystem, Any]) -> None:
    name, files, client = bucket
    done = command(f"s3://{name}/star")
    assert done.returncode == 0, done.stderr
    assert in_files(f"{name}/star", filesystem=files) == in_table(star)
    assert in_files(f"{name}/star", "dim_thing", filesystem=files) == Counter()

    def keys() -> set[str]:
        return {found["Key"] for found in client.list_objects_v2(Bucket=name)["Contents"]}

    before = {key for key in keys() if key.endswith(".parquet")}
    assert command(f"s3://{name}/star").returncode == 0
    assert {key for key in keys() if key.endswith(".parquet")} == before
    run(star, "update marts.fact_thing set small = 3 where date_day = '2026-02-28'")
    killed = command(f"s3://{name}/star", "fact_thing", ADSTAR_KILL_AT="export.copy_written")
    assert killed.returncode == -signal.SIGKILL
    done = command(f"s3://{name}/star", "fact_thing", "--keep-days", "0", ADSTAR_EXPORT_KMS_KEY_ID="a-key")
    assert "0 of 5 parts written" in done.stdout
    assert in_files(f"{name}/star", filesystem=files) == in_table(star)
    fact = [key for key in keys() if key.startswith("star/marts/fact_thing/") and key.endswith(".parquet")]
    assert len(fact) == 5
    told = client.head_object(Bucket=name, Key="star/marts/fact_thing/manifest.json")
    assert (told["ServerSideEncryption"], told["SSEKMSKeyId"]) == ("aws:kms", "a-key")


def test_two_exports_to_s3_at_a_time(star: Target, bucket: tuple[str, pyarrow.fs.S3FileSystem, Any]) -> None:
    name, files, _ = bucket
    export = _export.prepare(to=f"s3://{name}")
    for _ in range(2):  # a manifest that is new, and one that is replaced
        with pytest.raises(export_places.Overtaken):
            replace(export, engine=During(export.engine, lambda: export.run("fact_thing"))).run("fact_thing")
    assert in_files(name, filesystem=files) == in_table(star)


def test_a_bucket_that_is_gone_is_told_of(
    star: Target, bucket: tuple[str, pyarrow.fs.S3FileSystem, Any]
) -> None:
    done = command("s3://no-such-bucket-here/star", "dim_thing")
    assert done.returncode == 1
    place = "s3://no-such-bucket-here/star/marts/dim_thing/manifest.json"
    assert re.search(f"can't read {place}: .*NoSuchBucket", done.stderr)
    assert "Traceback" not in done.stderr


# -- Redshift
@pytest.fixture
def in_redshift(redshift: Target, state_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Target:
    """The same star in Redshift's stand-in; dbt has parsed the project."""
    monkeypatch.setenv("DBT_TARGET_PATH", str(state_folder / "target-export"))
    monkeypatch.setenv("ADSTAR_EXPORT_KMS_KEY_ID", "a-key")
    resident.parse(os.environ, target="redshift")
    text = FACT.replace(" text", " varchar(65535)")
    run(redshift, "create schema marts", text, DIM.replace(" text", " varchar(65535)"))
    fill(redshift, EXTREME)
    fill(redshift, [(1, "it's 100%", BEGINNING, END), (-1, None, None, None)], "dim_thing")
    run(redshift, "create table marts.fact_nothing (date_day date, thing_id bigint)")
    return redshift


@pytest.mark.full
def test_what_redshift_unloads_is_the_mart(
    in_redshift: Target, stand_in: tuple[Any, Any], tmp_path: Path
) -> None:
    _, storage = stand_in
    place = f"{storage.name}/{tmp_path.name}"
    files = pyarrow.fs.S3FileSystem(
        access_key="a", secret_key="b", endpoint_override=storage.endpoint, region="eu-central-1"
    )

    def found(mart: str = "fact_thing") -> Counter[tuple[Any, ...]]:
        """Redshift writes instants without saying that they are UTC."""
        rows = in_files(place, mart, files)
        return Counter(
            tuple(value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in row)
            for row in rows.elements()
        )

    def manifest() -> dict[str, Any]:
        with files.open_input_stream(f"{place}/marts/fact_thing/manifest.json") as stream:
            return dict(json.load(stream))

    done = command(f"s3://{place}")
    assert done.returncode == 0, done.stderr
    assert found() == in_table(in_redshift) == Counter(EXTREME)
    assert found("dim_thing") == in_table(in_redshift, "dim_thing")
    assert found("fact_nothing") == Counter()
    first = manifest()
    assert set(paths_of(first).values()) == {"0001-01", "2026-02", "2026-03", "9999-12", NO_DATE}
    assert {path.split("/")[1] for path in paths_of(first)} == {"0001", "2026", "9999", NO_DATE}
    assert first["source"]["kind"] == "redshift"

    done = command(f"s3://{place}")
    assert "0 of 5 parts written" in done.stdout, done.stdout + done.stderr
    assert manifest()["parts"] == first["parts"]

    run(in_redshift, "update marts.fact_thing set small = 4 where date_day = '2026-02-28'")
    run(in_redshift, "update marts.fact_thing set note = null where date_day is null")
    killed = command(f"s3://{place}", "fact_thing", ADSTAR_KILL_AT="export.part_noted")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert manifest()["export"] > first["export"]
    done = command(f"s3://{place}", "fact_thing")
    assert "1 of 5 parts written" in done.stdout, done.stdout + done.stderr
    assert found() == in_table(in_redshift)
    changed = set(paths_of(manifest()).items()) - set(paths_of(first).items())
    assert {month for _, month in changed} == {"2026-02", NO_DATE}


def test_redshift_needs_a_bucket_and_a_role(
    in_redshift: Target, stand_in: tuple[Any, Any], out: Path
) -> None:
    done = command(out, "dim_thing")
    assert done.returncode == 1
    assert "Redshift unloads to S3 only" in done.stderr
    done = command(f"s3://{stand_in[1].name}/x", "dim_thing", ADSTAR_REDSHIFT_IAM_ROLE="")
    assert done.returncode == 1
    assert "ADSTAR_REDSHIFT_IAM_ROLE is not set: UNLOAD writes to S3 with a role" in done.stderr


# -- the page
def test_the_runbook_s_example_reads_an_export(star: Target, out: Path) -> None:
    fill(star, [ROW, (date(2026, 4, 1), *ROW[1:])])
    assert command(out).returncode == 0
    page = (ROOT / "docs" / "runbooks" / "export.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert "s3://my-bucket/star/marts/fact_ad_performance" in example
    example = example.replace("s3://my-bucket/star/marts/fact_ad_performance", f"{out}/marts/fact_thing")
    example = example.replace('"spend"', '"amount"')
    found: dict[str, Any] = {}
    exec(example, found)
    assert found["april"].num_rows == 1
    assert found["fact"].to_table().num_rows == 2
