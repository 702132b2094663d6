"""Tables of a database in the archive: made again without the database, and without who was erased."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psycopg2
import pytest

from loaders import rds
from loaders._core.archive import tables
from loaders._core.archive.rebuild import Rebuild
from loaders._core.databases.declared import Table
from loaders._core.declare import Clock
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.privacy.person import erase
from loaders._core.privacy.values import Personal
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target
from tests.conftest import drop, recreate
from tests.loaders.test_archive import archived, query

NOON = datetime.fromisoformat("2026-03-10T12:00:00+00:00")
ANN = "ann.smith@example.com"
HERS = (ANN, "4915112345678", "Ann Smith", "device-000077")
PEOPLE = """
create table users (
    user_id bigint primary key, email text, phone bigint, full_name varchar(40), device varchar(20),
    born date, about jsonb, note text, updated_at timestamptz
);
insert into users select n, 'p' || n || E'\\\\\\t@example.com', 4930000000 + n, 'Person ' || n,
    'device-' || n, '1990-01-01', jsonb_build_object('n', n), E'a\\nb\\\\' || n, '2026-03-09 10:00+00'
    from generate_series(1, 12) n;
insert into users values (77, 'Ann.Smith@example.com', 4915112345678, 'Ann Smith', 'device-000077',
    '1984-02-29', '{"mail": "ann.smith@example.com"}', null, '2026-03-09 11:00+00');
create table orders (
    order_id uuid primary key, user_id bigint, price numeric(12,2), note text, meta jsonb,
    updated_at timestamptz
);
insert into orders select md5(n::text)::uuid, n % 14, n * 1.10, 'for ' || n, null, '2026-03-09 10:00+00'
    from generate_series(1, 60) n;
insert into orders values (md5('ann')::uuid, 77, 12.30, 'call ann.smith@example.com on +49 or 4915112345678',
    '{"phone": 4915112345678, "tags": ["x"]}', '2026-03-09 10:00+00');
create table shops (id int, place text);
insert into shops values (1, 'Ulm'), (2, null);
"""
PERSONAL = {
    "user_id": Personal.USER_ID,
    "email": Personal.EMAIL,
    "phone": Personal.PHONE,
    "full_name": Personal.NAME,
    "device": Personal.DEVICE_ID,
    "born": Personal.DOCUMENT,
    "about": Personal.DOCUMENT,
}


@dataclass
class Shop:
    """An application's database, archived and landed in a warehouse."""

    server: EmbeddedWarehouse
    name: str
    target: Target
    now: datetime = NOON
    tables: dict[str, Table] = field(default_factory=dict)
    is_archived: bool = True

    def do(self, statements: str) -> None:
        connection = self.server.connect(self.name)
        with closing(connection), connection, connection.cursor() as cursor:
            cursor.execute(statements)

    def run(self, days: int = 0) -> Result:
        self.now += timedelta(days=days)
        place = f"adstar:{self.server.password}@127.0.0.1:{self.server.port}/{self.name}"
        given = rds.RdsSettings(dsn=f"postgresql://{place}", tables=self.tables)
        given.archive = self.is_archived
        return SourceRun(rds.LOADER, given, self.target, Clock(self.now)).execute()

    def land(self, days: int = 0) -> dict[str, int]:
        """A run, which must go well: rows landed by raw table."""
        result = self.run(days)
        assert result.outcome == "ok", result.message
        return {record.resource: record.rows_landed for record in result.records}

    def raw(self) -> dict[str, list[str]]:
        """Every row of raw, but its package's name; of Redshift's stand-in, what it keeps it as."""
        found: dict[str, list[str]] = {}
        connection = self.server.connect(self.target.database)
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("select table_name from information_schema.tables where table_schema = 'raw_rds'")
            for (table,) in cursor.fetchall():
                if not table.startswith("_dlt"):
                    cursor.execute(
                        f"select (row_to_json(t)::jsonb - '_dlt_load_id')::text from raw_rds.{table} t"
                    )
                    found[table] = sorted(text for (text,) in cursor.fetchall())
        return found

    def forget(self) -> None:
        """The warehouse is lost."""
        recreate(self.server, self.target.database)

    def rebuild(self) -> Result:
        return Rebuild(rds.LOADER, self.target, clock=Clock()).execute()


@pytest.fixture(params=["target", pytest.param("redshift", marks=pytest.mark.full)])
def shop(
    request: pytest.FixtureRequest,
    server: EmbeddedWarehouse,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Shop]:
    target: Target = request.getfixturevalue(request.param)
    monkeypatch.setenv("ARCHIVE__URL", str(tmp_path / "archive"))
    name = f"app_{uuid.uuid4().hex[:12]}"
    recreate(server, name)
    made = Shop(server, name, target)
    of_orders = {"user_id": Personal.USER_ID}
    made.tables = {
        "users": Table(cursor="updated_at", sweep_days=1, personal=PERSONAL),
        "orders": Table(cursor="updated_at", sweep_days=0, personal=of_orders),
        "shops": Table(),
    }
    made.do(PEOPLE)
    yield made
    drop(server, name)


@pytest.mark.parametrize("sealing", [False, True])
def test_tables_are_made_again_when_neither_warehouse_nor_database_is_there(
    shop: Shop, sealing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVACY__SEALING", str(sealing).lower())
    monkeypatch.setattr(tables, "_BATCH", 300)
    assert shop.land() == {"users__keys": 13, "users": 13, "orders": 61, "shops": 2}
    # Changed, come with an old cursor (the sweep sees it), deleted, a column more; the rest is known.
    shop.do(
        "update users set note = 'new', updated_at = '2026-03-10 11:00+00' where user_id in (3, 5);"
        "insert into users values (50, null, null, null, null, null, null, E'\\\\N', '2020-01-01');"
        "delete from users where user_id = 9; alter table orders add column colour text;"
        "update orders set colour = 'red', updated_at = '2026-03-09 10:00+00' where price < 3"
    )
    assert shop.land(days=1) == {"users__keys": 13, "users": 3, "orders": 2, "shops": 0}
    shop.do("truncate shops; update orders set updated_at = '2026-03-11 11:59+00' where price > 60")
    assert shop.land(days=1) == {"users__keys": 0, "users": 0, "orders": 6, "shops": 0}
    before, commits = shop.raw(), query(shop.target, "select run_seq, run_id from ops.commits order by 1")
    shop.forget()
    shop.do("alter table users rename to gone")
    done = shop.rebuild()
    assert (done.outcome, done.message) == ("ok", None)
    assert shop.raw() == before
    assert query(shop.target, "select run_seq, run_id from ops.commits order by 1") == commits
    assert shop.rebuild().message == "the warehouse has every package of the archive"
    # And it goes on from there.
    shop.do("alter table gone rename to users; insert into shops values (3, 'Bonn')")
    assert shop.land(days=1) == {"users__keys": 0, "users": 0, "orders": 0, "shops": 1}


@pytest.mark.parametrize("sealing", [False, True])
def test_a_person_is_in_no_row_of_the_archive_and_a_rebuild_is_what_the_erasure_left(
    shop: Shop, sealing: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sealing:
        monkeypatch.setenv("PRIVACY__SEALING", "true")
    shop.land()
    shop.do("update users set note = 'called', updated_at = '2026-03-10 11:00+00' where user_id in (4, 77)")
    shop.land(days=1)
    before = archived(shop.target, "rds")
    for text in HERS:
        assert text in before, text
    done = erase(shop.target, {Personal.EMAIL: ANN})
    assert done.left == []
    assert done.archive["rds"] >= 2
    after = archived(shop.target, "rds").lower()
    for text in (*HERS, "1984-02-29"):
        assert text.lower() not in after, text
    for text in ("p4\\\\\\t@example.com", "4930000004", "Person 4", "1990-01-01", "\ta\\nb\\\\4\t", "12.30"):
        assert text.lower() in after, text
    assert erase(shop.target, {Personal.EMAIL: ANN}).archive == {"rds": 0}
    columns = ", ".join(
        f"{name}::text, {name}__pseudonym" for name in PERSONAL if name not in ("born", "about")
    )
    told = (
        f"select _run_seq, _row_no, {columns}, born::text, note from raw_rds.users order by 1, 2",
        "select _run_seq, _row_no, order_id::text, user_id::text, user_id__pseudonym, price"
        " from raw_rds.orders order by 1, 2",
        "select resource, run_seq, data_run_seq, rows, rows_hash, version from raw_rds.covered order by 1, 2",
    )
    erased = [query(shop.target, each) for each in told]
    assert sum(row[2] is None for row in erased[0]) == 2
    shop.forget()
    rebuilt = shop.rebuild()
    assert rebuilt.outcome == "ok", rebuilt.message
    assert [query(shop.target, each) for each in told] == erased
    assert "have another hash than then" in str(rebuilt.message)
    meta = "meta::text" if shop.target.kind == "postgres" else "json_serialize(meta)"
    ((note, meta),) = query(shop.target, f"select note, {meta} from raw_rds.orders where price = 12.30")
    assert note.count("erased:") == 2
    assert json.loads(meta)["phone"].startswith("erased:")
    # The database still has her: what lands next is blanked as well.
    shop.do("update users set note = 'again', updated_at = '2026-03-11 11:59+00' where user_id = 77")
    assert shop.land(days=1)["users"] == 1
    assert query(
        shop.target, "select count(*) from raw_rds.users where phone is null and note = 'again'"
    ) == [(1,)]


def test_what_landed_before_it_was_archived_is_read_once_more(shop: Shop) -> None:
    """Or a rebuild would have increments without what they build on, and sets that are as one it has not."""
    shop.is_archived = False
    shop.land()
    shop.is_archived = True
    assert shop.land(days=1) == {"users__keys": 13, "users": 13, "orders": 61, "shops": 2}
    assert shop.land(days=1) == {"users__keys": 0, "users": 0, "orders": 0, "shops": 0}
    shop.is_archived = False
    shop.do("update users set note = 'unseen', updated_at = '2026-03-12 10:00+00' where user_id = 3")
    assert shop.land(days=1)["users"] == 1
    shop.is_archived = True
    shop.do("update users set note = 'seen', updated_at = '2026-03-13 10:00+00' where user_id = 4")
    assert shop.land(days=1)["users"] == 13
    newest = (
        "select user_id, note from (select user_id, note, row_number() over (partition by user_id order by"
        " _run_seq desc, _row_no desc) as age from raw_rds.users) as versions where age = 1 order by 1"
    )
    before = query(shop.target, newest)
    shop.forget()
    assert shop.rebuild().outcome == "ok"
    assert query(shop.target, newest) == before
    assert len(before) == 13


def test_a_column_declared_personal_later_and_odd_numbers_do_not_hinder_a_rebuild(shop: Shop) -> None:
    declared = shop.tables["users"]
    shop.tables["users"] = msgspec.structs.replace(declared, personal={"email": Personal.EMAIL})
    shop.do("update orders set meta = '{\"n\": [4915112345678.0, -4915112345678, 1.10]}' where price = 12.30")
    shop.land()
    shop.tables["users"] = declared
    shop.land(days=1)
    shop.do("update users set updated_at = '2026-03-12 10:00+00' where user_id = 77")
    shop.land(days=1)
    erase(shop.target, {Personal.EMAIL: ANN})
    after = archived(shop.target, "rds").lower()
    for text in ("ann smith", ANN, "device-000077"):
        assert text not in after, text
    shop.forget()
    rebuilt = shop.rebuild()
    assert rebuilt.outcome == "ok", rebuilt.message
    assert query(shop.target, "select distinct phone from raw_rds.users where email is null") == [(None,)]


def test_a_row_that_the_archive_lost_is_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.land()
    shop.forget()
    rows = tables.Replayed.rows

    def all_but_one(self: tables.Replayed, write: Any) -> None:
        found: list[bytes] = []
        rows(self, found.append)
        for row in found[1:]:
            write(row)

    monkeypatch.setattr(tables.Replayed, "rows", all_but_one)
    done = shop.rebuild()
    assert done.outcome == "failed"
    assert "had 13 when it was read from rds" in str(done.message)
    with pytest.raises(psycopg2.errors.UndefinedTable):
        query(shop.target, "select * from raw_rds.users")
