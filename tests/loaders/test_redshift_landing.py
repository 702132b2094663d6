"""Landing on Redshift's stand-in: sets, tables of databases, what is too long for it, and personal data."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import psycopg2
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders._core.databases.declared import Table
from loaders._core.databases.redshift import held_as
from loaders._core.declare import Clock
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.privacy import command as privacy_command
from loaders._core.privacy import keys as privacy_keys
from loaders._core.privacy.person import erase, export
from loaders._core.privacy.scan import scan
from loaders._core.privacy.values import Key, Personal, is_sealed
from loaders._core.quarantine import retried
from loaders._core.redshift import LINE_BYTES, TEXT_BYTES, fitted, lines
from loaders._core.run import Result, SourceRun
from loaders._core.stream import Keyed, Rejected
from loaders._core.text import unescape
from loaders._core.warehouse import Target
from loaders.rds import LOADER as RDS
from loaders.rds import RdsSettings
from simulators import facebook_objects
from simulators.redshift import Redshift
from simulators.redshift.storage import Bucket
from tests import preloaded
from tests.conftest import PRIVACY_KEY, ROOT, drop, recreate
from tests.loaders.vendor import LOADER, Vendor, with_resource

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
TODAY, YESTERDAY = "2026-03-10", "2026-03-09"
LONG = 'Ünïcödé \\ "quoted"\n' * 3_500
KEY = Key(PRIVACY_KEY)
OTHER_KEY = base64.b64encode(bytes(range(40))).decode()


class RedshiftVendor(Vendor):
    """As ``Vendor``, for a warehouse that has no IS DISTINCT FROM."""

    def current(self, resource: str, columns: str) -> list[tuple[Any, ...]]:
        return self.query(
            f"select {columns} from raw_vendor.{resource} r join (select c.*, row_number() over (partition by"
            " account, day order by c.run_seq desc) as age from raw_vendor.covered c join ops.commits k"
            f" on k.run_seq = c.run_seq where resource = '{resource}') c on c.age = 1"
            " and r._account = c.account and r._day = c.day and r._run_seq = c.data_run_seq order by 1, 2"
        )


@pytest.fixture
def vendor(redshift: Target, tmp_path: Path) -> Vendor:
    return RedshiftVendor(tmp_path / "vendor.json", redshift)


@pytest.fixture
def sealing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether personal values land sealed; not, if the test does not say so."""
    sealed = bool(getattr(request, "param", False))
    monkeypatch.setenv("PRIVACY__SEALING", str(sealed).lower())
    return sealed


SEALED = pytest.param(True, id="sealed", marks=pytest.mark.full)
BOTH_WAYS = pytest.mark.parametrize("sealing", [pytest.param(False, id="open"), SEALED], indirect=True)


def waiting(target: Target) -> list[str]:
    """What waits in the target's folder of the bucket beside what dlt has there."""
    bucket, _, folder = str(target.settings["staging_bucket"]).removeprefix("s3://").partition("/")
    found = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=f"{folder}/copied/")
    return [each["Key"] for each in found.get("Contents", [])]


def put_together(vendor: Vendor, where: str) -> dict[str, str]:
    """What is in quarantine, by its key."""
    found: dict[str, bytes] = {}
    for key, part in vendor.query(
        f"select source_key, raw_bytes from raw_vendor.quarantine where {where} order by _run_seq, _row_no"
    ):
        assert len(part) <= TEXT_BYTES
        opened = KEY.unseal(Personal.DOCUMENT, part) if is_sealed(part) else part
        found[key] = found.get(key, b"") + base64.b64decode(opened)
    return {key: text.decode() for key, text in found.items()}


# -- sets


def test_rows_land_as_they_are_and_unchanged_sets_as_receipts(vendor: Vendor) -> None:
    rows = [
        {
            "id": "1",
            "spend": "0.10",
            "clicks": 3,
            "text": 'a\tb\\N "c"\n',
            "many": [1, {"x": None}],
            "no": None,
        },
        {"id": "2", "spend": "1e3", "clicks": 9007199254740993, "text": "", "many": '["a text"'},
    ]
    vendor.data["days"] = {"1": {YESTERDAY: rows, TODAY: []}}
    assert vendor.run().outcome == "ok"
    first, second = vendor.current("days", "id, spend, clicks, text, json_serialize(many), no")
    assert first[:4] == ("1", "0.10", "3", 'a\tb\\N "c"\n')
    assert second[:4] == ("2", "1e3", "9007199254740993", "")
    assert [json.loads(row[4]) for row in (first, second)] == [[1, {"x": None}], '["a text"']
    assert {first[5], second[5]} == {None}
    record = next(record for record in vendor.run().records if record.resource == "days")
    assert (record.sets_landed, record.sets_unchanged) == (0, 3)
    rows[0]["spend"] = "0.20"
    assert vendor.run().outcome == "ok"
    assert vendor.current("days", "id, spend") == [("1", "0.20"), ("2", "1e3")]
    assert vendor.query("select count(*) from raw_vendor.days") == [(4,)]


@pytest.mark.parametrize(
    ("point", "counts"),
    [("load.done", False), pytest.param("commit.after", True, marks=pytest.mark.full)],
)
def test_killed_the_next_plain_run_is_right(vendor: Vendor, point: str, counts: bool) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: [{"id": "1", "spend": "1", "clicks": "1"}]}}
    assert start(vendor)[0] == 0
    vendor.data["days"]["1"][YESTERDAY][0]["spend"] = "2"
    code, output = start(vendor, ADSTAR_KILL_AT=point)
    assert code == -signal.SIGKILL, output
    assert vendor.current("days", "id, spend") == [("1", "2" if counts else "1")]
    shutil.rmtree(os.environ["ADSTAR_STATE"])
    code, output = start(vendor)
    assert code == 0, output
    assert vendor.current("days", "id, spend") == [("1", "2")]


def start(vendor: Vendor, **environment: str) -> tuple[int, str]:
    vendor.write()
    done = preloaded.run(
        [sys.executable, "-m", "tests.loaders.vendor", str(vendor.file)],
        cwd=ROOT,
        env={**os.environ, "ADSTAR_NOW": vendor.now, **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout + done.stderr


# -- what Redshift can't hold


@BOTH_WAYS
@pytest.mark.usefixtures("sealing")
def test_what_is_too_long_goes_to_quarantine_whole_and_its_row_lands(vendor: Vendor) -> None:
    document = {"story": "x" * 40_000, "more": [{"text": LONG}]}
    just = "é" * (TEXT_BYTES // 2)
    rows = [
        {"id": "1", "spend": "1.5", "clicks": "1", "body": LONG, "spec": document, "name": "Ann"},
        {"id": "2", "spend": "2.5", "clicks": "1", "body": just, "spec": {"story": "short"}, "name": "Bob"},
    ]
    vendor.data["days"] = {"1": {YESTERDAY: rows}}
    loader = with_resource("days", personal={"name": Personal.NAME})
    result = vendor.run(loader)
    assert result.outcome == "ok"
    assert "2 values of days went to raw_vendor.quarantine" in str(result.message)
    first, second = vendor.current("days", "id, spend, body, json_serialize(spec)")
    assert first == ("1", "1.5", None, None)
    assert (*second[:3], json.loads(second[3])) == ("2", "2.5", just, {"story": "short"})
    counted = "select rows_read, rows_landed, rows_quarantined from ops.run_resources where resource = 'days'"
    assert vendor.query(counted) == [(2, 2, 2)]
    run_seq, row_no = vendor.query("select _run_seq, _row_no from raw_vendor.days where id = '1'")[0]
    held = put_together(vendor, "resource = 'days'")
    assert held[f"value:{run_seq}.{row_no}.body"] == LONG
    assert json.loads(held[f"value:{run_seq}.{row_no}.spec"]) == document
    reasons = [row[0] for row in vendor.query("select reason from raw_vendor.quarantine order by _row_no")]
    size = len(LONG.encode())
    assert (
        reasons[0]
        == f"body has {size:,} bytes, and a text of Redshift holds 65,535 (part 1 of {-(-size // 36_000)})"
    )
    # The set is what the source said it is: the same again lands nothing, here or there.
    again = vendor.run(loader)
    assert again.message is None
    assert vendor.query("select count(*) from raw_vendor.quarantine") == [(len(reasons),)]
    assert retried(LOADER, vendor.target) is None


def test_a_row_that_is_too_long_for_copy_lands_without_its_longest_values(vendor: Vendor) -> None:
    wide = {f"f{number}": "\u0001" * 60_000 for number in range(14)} | {"f20": "y" * 100}
    vendor.data["days"] = {"1": {YESTERDAY: [{"id": "1", "spend": "1", "clicks": "1", **wide}]}}
    result = vendor.run()
    assert result.outcome == "ok", result.message
    held = put_together(vendor, "resource = 'days'")
    assert set(held.values()) == {"\u0001" * 60_000}
    (row,) = vendor.query(f"select {', '.join(wide)} from raw_vendor.days")
    assert sum(value is None for value in row) == len(held) == 3
    assert row[-1] == "y" * 100


def test_lines_are_never_longer_than_copy_takes() -> None:
    wide = {f"c{number}": pa.array(['"' * 65_000, "short"]) for number in range(80)}
    table = pa.table({"_run_seq": [1, 1], "_row_no": [0, 1], **wide})
    kept, misfits = fitted(table)
    first, _ = lines(kept, ()).splitlines()
    assert LINE_BYTES - 140_000 < len(first) < LINE_BYTES
    assert kept.slice(1).equals(table.slice(1))
    assert {(m.run_seq, m.row_no) for m in misfits} == {(1, 0)}


@given(
    st.recursive(
        st.text(st.one_of(st.sampled_from("\0\\u\ud83d\ude00"), st.characters(exclude_characters="\ue000"))),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
    )
)
def test_documents_stay_documents_whatever_their_strings_spell(value: Any) -> None:
    """SUPER can hold no U+0000 and no half pair: they become what raw has in their place."""
    (line,) = lines(pa.table({"document": [json.dumps([value])]}), {"document"}).splitlines()
    held = json.loads(line)["document"]
    assert isinstance(held, list)
    for text in strings(held):
        assert "\0" not in text
        text.encode()  # raises of half a pair
    assert unescaped(held) == json.loads(json.dumps([value]))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    else:
        for each in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from strings(each)


def unescaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: unescaped(each) for name, each in value.items()}
    return [unescaped(each) for each in value] if isinstance(value, list) else unescape(value)


def test_a_long_record_of_the_quarantine_comes_back_whole(vendor: Vendor) -> None:
    good = {"id": "m1", "spend": "1", "clicks": "1", "body": "b" * 60_000 + LONG[:4_000]}
    taking = [False]

    def judge(record: bytes) -> Keyed | Rejected:
        key = json.loads(record)["id"]
        return Keyed(key, record) if taking[0] or key == "m3" else Rejected(key, "not yet", record)

    def read(api: Any, account: Any, window: Any) -> Iterator[Any]:
        yield judge(json.dumps(good).encode())
        yield judge(json.dumps({**good, "id": "m2", "body": "short"}).encode())
        yield judge(json.dumps({**good, "id": "m3", "body": LONG}).encode())

    loader = with_resource("entities", read=read, records=(), key="id", judge=judge)
    result = vendor.run(loader)
    assert result.outcome == "ok"
    assert "2 of 3 records of entities went to" in str(result.message)
    assert "1 values of entities went to" in str(result.message)
    counts = (
        "select rows_read, rows_landed, rows_quarantined from ops.run_resources where resource = 'entities'"
    )
    assert vendor.query(counts) == [(3, 1, 3)]
    taking[0] = True
    again = retried(loader, vendor.target)
    assert again is not None
    assert vendor.run(again).outcome == "ok"
    assert vendor.query("select id, len(body) from raw_vendor.entities order by id") == [
        ("m1", len(good["body"])),
        ("m2", 5),
        ("m3", None),
    ]
    # A single value is no record that could come back.
    assert retried(loader, vendor.target) is None


def test_staging_builds_beside_a_creative_that_is_too_long(
    server: EmbeddedWarehouse,
    stand_in: tuple[Redshift, Bucket],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from tests.end_to_end.chain import chain  # slow to import

    plain = facebook_objects.creative
    told: dict[str, Any] = {}

    def creative(one: Any) -> dict[str, Any]:
        found = plain(one)
        if found["id"] == told.setdefault("id", found["id"]):
            found |= {"body": LONG, "object_story_spec": {"link_data": {"message": "y" * 70_000}}}
        return found

    monkeypatch.setitem(facebook_objects.EDGES, "adcreatives", ("AdCreative", creative))
    with chain(
        server,
        tmp_path,
        database="journey_redshift",
        stand_in=stand_in,
        selector="ads",
        days=2,
        seed=7,
        scale=0.3,
    ) as made:
        (result,) = made.land("facebook_ads")
        assert result.outcome == "ok"
        assert "2 values of adcreatives went to raw_facebook_ads.quarantine" in str(result.message)
        built = made.dbt("run", "--select", "+stg_facebook_ads__creatives")
        assert built.code == 0, built.failed
        found = made.rows(
            "select creative_id, body, object_story_spec from staging.stg_facebook_ads__creatives"
            " where is_current"
        )
    assert len(found) > 2
    assert [(body, spec) for name, body, spec in found if name == told["id"]] == [(None, None)]
    assert all(body and spec for name, body, spec in found if name != told["id"])


# -- tables of a database


class Shop:
    """An application's database, and runs from it to the stand-in."""

    def __init__(self, dsn: str, target: Target) -> None:
        self.dsn, self.target = dsn, target
        self.tables = {"items": Table(schema="shop", cursor="updated_at", sweep_days=0)}
        self.now = NOON

    def do(self, statement: str, values: Any = None) -> None:
        with closing(psycopg2.connect(self.dsn)) as connection, connection, connection.cursor() as cursor:
            cursor.execute(statement, values)

    def run(self, days: float = 0) -> Result:
        self.now += timedelta(days=days)
        given = RdsSettings(dsn=self.dsn, tables=self.tables)
        given.database = "shop"
        return SourceRun(RDS, given, self.target, Clock(self.now)).execute()

    def landed(self, days: float = 0) -> dict[str, int]:
        result = self.run(days)
        assert result.outcome == "ok", result.message
        assert waiting(self.target) == []
        return {record.resource: record.rows_landed for record in result.records}

    def query(self, text: str) -> list[tuple[Any, ...]]:
        with closing(self.target.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(text)
            return list(cursor.fetchall())

    def add(self, *ids: int, name: str = "x", at: str = "now()") -> None:
        for number in ids:
            self.do(
                f"insert into shop.items values (%s, %s, 1.50, {at}) on conflict (id) do update set"
                " name = excluded.name, updated_at = excluded.updated_at",
                [number, name],
            )


@pytest.fixture
def shop(server: EmbeddedWarehouse, redshift: Target) -> Iterator[Shop]:
    name = f"app_{uuid.uuid4().hex[:12]}"
    recreate(server, name)
    made = Shop(f"postgresql://adstar:{server.password}@127.0.0.1:{server.port}/{name}", redshift)
    made.do(
        "create schema shop; create table shop.items"
        " (id bigint primary key, name text, price numeric(12,2), updated_at timestamptz)"
    )
    yield made
    drop(server, name)


def test_values_of_every_type_are_the_same_there(shop: Shop) -> None:
    shop.do(
        """
        create table shop.types (
            id int primary key, flag boolean, small smallint, big bigint, r4 real, r8 double precision,
            money numeric(38,4), free numeric, day date, at timestamp, at_zone timestamptz, words text,
            word varchar(9), fixed char(3), name uuid, doc json, docb jsonb, bytes bytea, span interval,
            hour time, list int[], net inet
        );
        insert into shop.types values (
            1, true, -32768, 9223372036854775807, 0.1, 0.1, 12345678901234567890123456789012.1234, 0.1,
            '2026-02-28', '2026-03-01 01:02:03.123456', '2026-03-01 01:02:03+05',
            E'tab\\t line\\n back\\\\ \\r "quoted" \\\\N é', '',
            'ab', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a" :\n [1, "x\\ny"]}', '"text"', '\\x00ff',
            '1 day 02:00', '23:59:59.5', '{1,2}', '10.0.0.1'
        );
        insert into shop.types (id, flag) values (2, null), (3, false);
        """
    )
    shop.tables = {"types": Table(schema="shop")}
    assert shop.landed() == {"types": 3}
    (row,) = shop.query(
        "select flag, small, big, r4, r8, money, free, day, at, at_zone, words, word, fixed, name,"
        " bytes, span, hour, list, net, json_serialize(doc), json_serialize(docb) from raw_rds.types"
        " where id = 1"
    )
    assert [json.loads(document) for document in row[-2:]] == [{"a": [1, "x\ny"]}, "text"]
    assert row[:-2] == (
        True,
        -32768,
        9223372036854775807,
        pytest.approx(0.1),
        0.1,
        Decimal("12345678901234567890123456789012.1234"),
        Decimal("0.1"),
        datetime(2026, 2, 28).date(),
        datetime(2026, 3, 1, 1, 2, 3, 123456),
        datetime(2026, 2, 28, 20, 2, 3, tzinfo=UTC),
        'tab\t line\n back\\ \r "quoted" \\N é',
        "",
        "ab ",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "\\x00ff",
        "1 day 02:00:00",
        "23:59:59.5",
        "{1,2}",
        "10.0.0.1",
    )
    assert shop.query("select flag, big, words, doc from raw_rds.types where id > 1 order by id") == [
        (None, None, None, None),
        (False, None, None, None),
    ]
    assert shop.landed() == {"types": 0}
    kinds = dict(shop.query("select column_name, data_type from svv_columns where table_name = 'types'"))
    assert (kinds["doc"], kinds["money"], kinds["at"]) == ("super", "numeric", "timestamp without time zone")


@pytest.mark.parametrize(
    ("kind", "held"),
    [
        ("numeric(38,10)", "numeric(38,10)"),
        ("numeric(50,10)", "numeric(38,10)"),
        ("numeric(50,45)", "numeric(38,37)"),
        ("numeric", "numeric(38,18)"),
        ("numeric(3,-2)", "numeric(5,0)"),
        ("numeric(2,4)", "numeric(4,4)"),
        ("jsonb", "super"),
        ("uuid", "varchar(65535)"),
        ("integer[]", "varchar(65535)"),
        ("timestamp with time zone", "timestamp with time zone"),
    ],
)
def test_a_type_is_kept_or_what_redshift_has_for_it(kind: str, held: str) -> None:
    assert held_as(kind) == held


def test_versions_land_once_and_what_was_set_back_is_found(shop: Shop) -> None:
    shop.tables = {"items": Table(schema="shop", cursor="updated_at", sweep_days=1)}
    shop.add(1, 2, 3)
    assert shop.landed() == {"items__keys": 3, "items": 3}
    assert shop.landed(0.1) == {"items": 0}
    shop.add(2, 4, name="y")
    assert shop.landed(0.1) == {"items": 2}
    shop.add(5, name="late", at="now() - interval '3 days'")
    shop.do("delete from shop.items where id = 1")
    assert shop.landed(0.1) == {"items": 0}
    result = shop.run(1)
    assert {r.resource: r.rows_landed for r in result.records} == {"items__keys": 4, "items": 1}
    assert "1 rows of items had a cursor that was set back" in str(result.message)
    assert shop.query("select id, name from raw_rds.items order by _run_seq, _row_no") == [
        (1, "x"),
        (2, "x"),
        (3, "x"),
        (2, "y"),
        (4, "y"),
        (5, "late"),
    ]
    # What the receipts say of a set is what is there.
    assert shop.query(
        "select sum(rows) from raw_rds.covered where resource = 'items' and run_seq = data_run_seq"
    ) == [(6,)]


@pytest.mark.parametrize(
    "points",
    [
        ["read.file_written"],
        pytest.param(["read.first_page", "read.file_written", "commit.inside"], marks=pytest.mark.full),
    ],
)
def test_a_killed_run_leaves_nothing_that_counts(shop: Shop, points: list[str]) -> None:
    shop.add(1, 2)
    shop.landed()
    shop.add(2, 3, name="y")
    for point in points:
        process = preloaded.run(
            [
                sys.executable,
                "-c",
                "import sys; from tests.loaders.test_redshift_landing import Shop\n"
                "from loaders._core import warehouse\n"
                "print(Shop(sys.argv[1], warehouse.resolve()).run().message)",
                shop.dsn,
            ],
            cwd=ROOT,
            env={**os.environ, "ADSTAR_KILL_AT": point},
            check=False,
            capture_output=True,
            text=True,
        )
        assert process.returncode == -signal.SIGKILL, process.stdout + process.stderr
    counting = (
        "select id, name from raw_rds.items where _run_seq in (select run_seq from ops.commits) order by 1, 2"
    )
    assert shop.query(counting) == [(1, "x"), (2, "x")]
    assert shop.landed() == {"items": 2}
    assert shop.query(counting) == [(1, "x"), (2, "x"), (2, "y"), (3, "y")]
    assert shop.query("select count(*) from raw_rds.items") == [(4,)]


def test_a_value_that_its_type_can_not_hold_is_no_loss(shop: Shop) -> None:
    shop.do(
        "create table shop.odd (id int primary key, free numeric, day date, words text);"
        f"insert into shop.odd values (1, 0.{'3' * 30}, '2026-01-01', 'a'), (2, 1.5, 'infinity', null),"
        " (3, 'NaN', '0044-03-15 BC', repeat('w', 70000))"
    )
    shop.tables = {"odd": Table(schema="shop")}
    result = shop.run()
    assert result.outcome == "ok", result.message
    assert "5 values of odd went to raw_rds.quarantine" in str(result.message)
    assert shop.query("select id, free, day, words from raw_rds.odd order by id") == [
        (1, None, datetime(2026, 1, 1).date(), "a"),
        (2, Decimal("1.5"), None, None),
        (3, None, None, None),
    ]
    assert shop.query("select rows_landed, rows_quarantined from ops.run_resources") == [(3, 5)]
    held = [
        base64.b64decode(part).decode()
        for (part,) in shop.query(
            "select raw_bytes from raw_rds.quarantine where reason like '% that its type on Redshift %'"
        )
    ]
    assert sorted(held) == ["0." + "3" * 30, "0044-03-15 BC", "NaN", "infinity"]
    assert shop.landed() == {"odd": 0}
    shop.do("create table shop.bad (id numeric primary key); insert into shop.bad values ('NaN')")
    shop.tables = {"bad": Table(schema="shop")}
    result = shop.run()
    assert (result.outcome, "a row of bad has a key" in str(result.message)) == ("failed", True)


def test_a_column_that_changes_its_type_lands_in_another(shop: Shop) -> None:
    shop.add(1)
    shop.landed()
    shop.do("alter table shop.items alter price type bigint; alter table shop.items add extra jsonb")
    shop.do("update shop.items set updated_at = now() + interval '1 second', extra = '[1]'")
    result = shop.run()
    assert "column price of items is bigint now and was numeric(12,2)" in str(result.message)
    assert shop.query(
        "select price, price__bigint, json_serialize(extra) from raw_rds.items order by _run_seq"
    ) == [(Decimal("1.50"), None, None), (None, 2, "[1]")]


@BOTH_WAYS
def test_personal_columns_of_a_table_are_treated_on_their_way(shop: Shop, sealing: bool) -> None:
    personal = {"name": Personal.EMAIL}
    shop.tables = {"items": Table(schema="shop", cursor="updated_at", sweep_days=1, personal=personal)}
    shop.add(1, name="ann@example.com")
    shop.add(2, name="bob@example.com")
    assert shop.landed() == {"items__keys": 2, "items": 2}
    for name, told in shop.query("select name, name__pseudonym from raw_rds.items"):
        value = KEY.unseal(Personal.EMAIL, name) if sealing else name
        assert told == KEY.pseudonym(Personal.EMAIL, value)
    assert erase(shop.target, {Personal.EMAIL: "ann@example.com"}).left == []
    # What is read again is what is there: nobody's.
    assert shop.landed(2)["items"] == 0
    shop.do("update shop.items set price = 2, updated_at = now()")
    assert shop.landed()["items"] == 2
    assert shop.query("select count(*), count(name), count(name__pseudonym) from raw_rds.items") == [
        (4, 2, 4)
    ]


# -- personal data

PERSONAL = {
    "email": Personal.EMAIL,
    "user_id": Personal.USER_ID,
    "device": Personal.DEVICE_ID,
    "ip": Personal.IP,
    "props": Personal.DOCUMENT,
}


def person(number: int, **values: Any) -> dict[str, Any]:
    return {
        "id": f"r{number}",
        "spend": "1",
        "clicks": "1",
        "email": f"Planted.{number}@Example.com",
        "user_id": f"user-{number:06}",
        "device": f"DEVICE-{number:06}",
        "ip": f"203.0.113.{number}",
        "props": {"contact": f"planted.{number}@example.com"},
    } | values


def planted_in(target: Target, *numbers: int) -> list[str]:
    """Which of these people's values stand in any text of the warehouse, documents and base64 among them."""
    found = []
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE'"
            " and left(table_schema, 3) <> 'pg_' and table_schema <> 'information_schema'"
        )
        for schema, table in cursor.fetchall():
            cursor.execute(f'select * from "{schema}"."{table}"')
            text = json.dumps(cursor.fetchall(), default=str).lower()
            for number in numbers:
                told = [
                    value for value in person(number).values() if isinstance(value, str) and len(value) > 8
                ]
                told += [base64.b64encode(raw_bytes(number)).decode()[:-3]]
                found += [f"{schema}.{table}: {value}" for value in told if value.lower() in text]
    return found


def raw_bytes(number: int) -> bytes:
    return f'{{"user": "user-{number:06}", broken'.encode()


@pytest.fixture
def people(vendor: Vendor, sealing: bool) -> Vendor:
    """Three people in raw; two in the quarantine, the first in ops and marts, the third with a long text."""
    long = {"padding": "z" * 70_000}  # names nobody: it is theirs because their row is
    vendor.data["days"] = {
        "1": {YESTERDAY: [person(1), person(2), person(3, props=long)], TODAY: [person(1, email=None)]}
    }
    result = vendor.run(with_people())
    assert result.outcome == "ok", result.message
    with closing(vendor.target.connect()) as connection, connection.cursor() as cursor:
        for number in (1, 2):
            text = base64.b64encode(raw_bytes(number)).decode()
            text = KEY.seal(Personal.DOCUMENT, text) if sealing else text
            cursor.execute(
                "insert into raw_vendor.quarantine (resource, source_key, raw_bytes) values ('days', %s, %s)",
                [f"m{number}", text],
            )
        cursor.execute("create schema marts")
        cursor.execute(
            "create table marts.dim_user (user_key bigint, email_pseudonym varchar(64), note super)"
        )
        cursor.execute(
            "insert into marts.dim_user select 1, %s, json_parse(%s)",
            [KEY.pseudonym(Personal.EMAIL, person(1)["email"]), '{"wrote":["as PLANTED.1@example.com"]}'],
        )
        cursor.execute("update ops.runs set message = 'account Planted.1@example.com; see the log'")
    return vendor


def with_people() -> Any:
    return with_resource("days", personal=PERSONAL)


@BOTH_WAYS
def test_after_an_erasure_nothing_is_left_and_money_still_adds_up(people: Vendor) -> None:
    money = (
        "select sum(cast(spend as numeric(18, 2))), count(*), count(user_id__pseudonym) from raw_vendor.days"
    )
    before = people.query(money)
    done = erase(people.target, {Personal.EMAIL: "planted.1@example.com"})
    assert done.left == []
    assert (done.pseudonyms, done.rows) == (3, {"raw_vendor.days": 2})
    assert {"ops.runs.message", "marts.dim_user.note", "raw_vendor.quarantine.raw_bytes"} <= set(done.texts)
    assert planted_in(people.target, 1) == []
    assert people.query(money) == before
    (note,) = people.query("select json_serialize(note) from marts.dim_user")[0]
    assert json.loads(note) == {"wrote": ["as [erased]"]}
    assert people.query("select count(email), count(props), count(ip) from raw_vendor.days") == [(2, 1, 2)]
    again = erase(people.target, {Personal.EMAIL: "planted.1@example.com"})
    assert (again.rows, again.texts, again.left) == ({}, {}, [])
    # The same days again, restated: it does not come back.
    people.data["days"]["1"][YESTERDAY][0]["spend"] = "2"
    assert people.run(with_people()).outcome == "ok"
    assert planted_in(people.target, 1) == []
    assert waiting(people.target) == []


def test_a_long_value_goes_with_the_person_of_its_row(people: Vendor, tmp_path: Path) -> None:
    held = "select count(raw_bytes) from raw_vendor.quarantine where source_key like 'value:%'"
    parts = people.query(held)[0][0]
    assert parts >= 2
    rows = export(people.target, {Personal.USER_ID: "user-000003"}, tmp_path / "person.jsonl")
    told = [json.loads(line) for line in (tmp_path / "person.jsonl").read_text().splitlines()]
    assert rows == len(told)
    assert Counter(row["table"] for row in told) == {"raw_vendor.days": 1, "raw_vendor.quarantine": parts}
    done = erase(people.target, {Personal.USER_ID: "user-000003"})
    assert done.left == []
    assert people.query(held) == [(0,)]
    assert planted_in(people.target, 3) == []


def test_revealing_is_noted_before_it_is_known(people: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    pseudonym = str(KEY.pseudonym(Personal.EMAIL, "planted.2@example.com"))
    assert privacy_command.reveal(people.target, pseudonym, "ticket 42") == "Planted.2@Example.com"
    audit = "select who, action, reason, pseudonym, column_name from ops.privacy_audit"
    expected = ("adstar", "reveal", "ticket 42", pseudonym, "raw_vendor.days.email")
    assert people.query(audit) == [expected]
    monkeypatch.setattr(privacy_keys.Ring, "revealed", lambda *_: pytest.fail("known"))
    with pytest.raises(BaseException, match="known"):
        privacy_command.reveal(people.target, pseudonym, "ticket 43")
    assert len(people.query(audit)) == 2


@BOTH_WAYS
def test_rotation_makes_pseudonyms_and_ciphertexts_anew(
    people: Vendor, monkeypatch: pytest.MonkeyPatch, sealing: bool
) -> None:
    monkeypatch.setenv("PRIVACY__KEY", OTHER_KEY)
    monkeypatch.setenv("PRIVACY__PREVIOUS_KEYS", PRIVACY_KEY)
    privacy_command.rotate(people.target, lambda text: None)
    new = Key(OTHER_KEY)
    rows = people.query(
        "select id, email, email__pseudonym, ip__pseudonym,"
        " case when is_varchar(props) then cast(props as varchar) else json_serialize(props) end"
        " from raw_vendor.days"
    )
    for name, email, pseudonym, ip, props in rows:
        number = int(name[1:])
        expected = None if email is None else person(number)["email"]
        assert pseudonym == new.pseudonym(Personal.EMAIL, expected)
        assert (new.unseal(Personal.EMAIL, email) if sealing and email else email) == expected
        assert ip == new.pseudonym(Personal.IP, f"203.0.113.{number}")
        if props:
            assert (
                json.loads(new.unseal(Personal.DOCUMENT, props) if sealing else props)
                == person(number)["props"]
            )
    for (part,) in people.query("select raw_bytes from raw_vendor.quarantine"):
        base64.b64decode(new.unseal(Personal.DOCUMENT, part) if sealing else part, validate=True)
    people.data["days"]["1"][TODAY][0]["spend"] = "9"
    result = people.run(with_people())
    assert result.outcome == "ok", result.message


def test_sealing_from_a_rotation_on_seals_documents_as_well(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: [person(1)]}}
    vendor.run(with_people())
    monkeypatch.setenv("PRIVACY__KEY", OTHER_KEY)
    monkeypatch.setenv("PRIVACY__PREVIOUS_KEYS", PRIVACY_KEY)
    monkeypatch.setenv("PRIVACY__SEALING", "true")
    privacy_command.rotate(vendor.target, lambda text: None)
    (email, props), *_ = vendor.query("select email, cast(props as varchar) from raw_vendor.days")
    assert Key(OTHER_KEY).unseal(Personal.EMAIL, email) == person(1)["email"]
    assert json.loads(Key(OTHER_KEY).unseal(Personal.DOCUMENT, props)) == person(1)["props"]


def test_personal_values_go_by_age(people: Vendor) -> None:
    held = "select count(email), count(props), count(email__pseudonym) from raw_vendor.days"
    with closing(people.target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("update ops.commits set committed_at = dateadd(day, -400, getdate())")
    said: list[str] = []
    privacy_command.retention(people.target, 365, apply=False, say=said.append)
    assert "raw_vendor.days: 4 rows older than 365 days would be blanked" in said
    assert people.query(held) == [(3, 3, 3)]
    privacy_command.retention(people.target, 365, apply=True, say=said.append)
    assert people.query(held) == [(0, 0, 3)]
    assert ("retention", "older than 365 days: 4 rows") in people.query(
        "select action, reason from ops.privacy_audit"
    )


def test_the_scan_names_what_nobody_declared(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: [person(1)]}}
    assert vendor.run(with_people()).outcome == "ok"
    assert scan(vendor.target) == []
    undeclared = {"contact": "a@example.org", "payload": {"from": "203.0.113.9"}, "first_name": "Ann"}
    vendor.data["days"] = {"1": {YESTERDAY: [person(1, **undeclared)]}}
    assert vendor.run(with_people()).outcome == "ok"
    assert {finding.column.rpartition(".")[2] for finding in scan(vendor.target)} == set(undeclared)
