"""The archive by age: what goes, what has to stay, and that raw is made of the rest."""

from __future__ import annotations

import uuid
from contextlib import closing, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from loaders import kafka, sqs
from loaders._core import lease, queues
from loaders._core.archive.configured import store_of
from loaders._core.archive.rebuild import Rebuild
from loaders._core.archive.retention import Expired, expire
from loaders._core.archive.store import Store
from loaders._core.archive.tape import read_package
from loaders._core.declare import Clock
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.lease import LeaseLost
from loaders._core.privacy.person import leases
from loaders._core.warehouse import Target
from simulators.kafka_cluster import KafkaCluster
from simulators.queue import LoginQueue
from tests.conftest import recreate
from tests.loaders.test_archive import clock, packages, query, rebuild, run
from tests.loaders.test_archive_databases import Shop, shop
from tests.loaders.test_kafka import GOOD
from tests.loaders.test_kafka import Bench as Topics
from tests.loaders.test_privacy import dlt
from tests.loaders.test_sqs import GOOD as GOOD_LOGIN
from tests.loaders.test_sqs import Bench as Queues
from tests.loaders.wire import Answer, Ask, vendor

__all__ = ["shop"]


@pytest.fixture(autouse=True)
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHIVE__URL", str(tmp_path / "archive"))
    monkeypatch.setenv("ARCHIVE__ALL", "true")
    return tmp_path / "archive"


def opened(target: Target) -> Store:
    store = store_of(target)
    assert store
    return store


def test_what_a_304_stands_for_stays(target: Target, server: EmbeddedWarehouse) -> None:
    now = 0

    def served(ask: Ask) -> Any:
        tag = {"ETag": '"same"'}
        if ask.path == "/still":
            return Answer("", 304, tag) if "if-none-match" in ask.headers else Answer([{"id": 1}], 200, tag)
        return [{"day": now}]

    with vendor(served) as vendors:
        feeds = {name: {"url": f"{vendors.url}/{name}"} for name in ("moving", "still")}
        for now in (1, 2, 3, 20):
            assert run(target, now, **feeds).outcome == "ok"
    store, before = opened(target), clock(10).now()
    bodies = len(store.addresses("http_json"))
    for apply in (False, True):
        ((source, found),) = expire(store, target, before, apply=apply)
        assert (source, found.packages, found.bodies, found.kept) == ("http_json", 2, 2, 1)
        assert "304" in found.why
    assert len(store.addresses("http_json")) == bodies - 2
    assert [package.run_seq for package in packages(target).values()] == [1, 4]
    ((_, again),) = expire(store, target, before, apply=True)
    assert (again.packages, again.bodies, again.kept) == (0, 0, 1)
    recreate(server, target.database)
    result = rebuild(target)
    assert (result.outcome, result.message) == ("ok", None)
    assert query(target, "select day from raw_http_json.moving order by _run_seq") == [("1",), ("20",)]
    assert query(target, "select id from raw_http_json.still") == [("1",)]


@pytest.mark.parametrize("how", ["unreadable", "overtaken"])
def test_an_answer_that_never_counted_is_not_what_a_304_stands_for(
    target: Target, server: EmbeddedWarehouse, how: str
) -> None:
    now = 0

    def served(ask: Ask) -> Any:
        if ask.path == "/moving":
            return [{"day": now}]
        if now == 2:
            return Answer('"down for maintenance"' if how == "unreadable" else [{"id": 2}])
        tag = {"ETag": '"same"'}
        return Answer("", 304, tag) if "if-none-match" in ask.headers else Answer([{"id": 1}], 200, tag)

    with vendor(served) as vendors:
        feeds = {name: {"url": f"{vendors.url}/{name}"} for name in ("moving", "still")}
        for now, outcome in {1: "ok", 2: "partial" if how == "unreadable" else "failed", 3: "ok"}.items():
            overtaken = patch.object(lease.Lease, "commit", side_effect=LeaseLost("by another"))
            with overtaken if outcome == "failed" else nullcontext():
                assert run(target, now, **feeds).outcome == outcome
    list(expire(opened(target), target, clock(3).now(), apply=True))
    assert [package.run_seq for package in packages(target).values()] == [1, 3]
    recreate(server, target.database)
    result = rebuild(target)
    assert (result.outcome, result.message) == ("ok", None)
    assert query(target, "select id from raw_http_json.still") == [("1",)]


def test_a_message_that_came_again_lands_where_only_its_second_coming_is_left(
    target: Target, server: EmbeddedWarehouse
) -> None:
    with LoginQueue(name=f"login-{uuid.uuid4().hex[:8]}") as served:
        queue = Queues(target, served)
        queue.put(GOOD_LOGIN)
        with patch.object(queues.Reading, "delete", return_value=False):
            assert queue.run().outcome == "ok"
        queue.come_again()
        queue.put(GOOD_LOGIN)
        assert queue.run().outcome == "ok"
        assert queue.counted() == [(1, 1, 0, 0), (2, 1, 0, 1)]
        before = queue.rows()
        store = opened(target)
        newest = read_package(store, "sqs/packages", store.names("sqs/packages")[-1])
        ((_, found),) = expire(store, target, newest.begun_at, apply=True)
        assert (found.packages, found.kept) == (1, 0)
        recreate(server, target.database)
        result = Rebuild(sqs.LOADER, target, clock=Clock()).execute()
        assert (result.outcome, result.message) == ("ok", None)
        assert queue.rows() == before
        assert queue.query("select rows from raw_sqs.covered where resource = 'login_queue'") == [(2,)]


def test_whenever_it_is_broken_off_the_rest_can_be_made_again(
    target: Target, server: EmbeddedWarehouse
) -> None:
    def served(ask: Ask) -> Any:
        tag = {"ETag": '"same"'}
        return Answer("", 304, tag) if "if-none-match" in ask.headers else Answer([{"id": 1}], 200, tag)

    with vendor(served) as vendors:
        for now in (1, 2, 3):
            assert run(target, now, still={"url": f"{vendors.url}/still"}).outcome == "ok"
    remove, told, noted = Store.remove, [], []

    def dies(store: Store, path: str) -> None:
        if len(told) == left:
            raise OSError("the network is gone")
        told.append(path)
        remove(store, path)

    before = clock(20).now()
    for left in (1, 2):
        told.clear()
        expired = expire(opened(target), target, before, apply=True, note=lambda *it: noted.append(it[0]))
        with patch.object(Store, "remove", dies), pytest.raises(OSError, match="the network"):
            list(expired)
        assert len(told) == left
        recreate(server, target.database)
        assert rebuild(target).outcome == "ok"
    assert noted == ["http_json"] * 2


@pytest.mark.parametrize("apply", [False, True])
def test_a_source_that_is_read_meanwhile_keeps_what_it_has(target: Target, apply: bool) -> None:
    with vendor(lambda ask: [{"id": 1}]) as vendors:
        assert run(target, 1, stores={"url": f"{vendors.url}/stores"}).outcome == "ok"
    before = clock(20).now()
    with lease.Lease(target, "http_json"):
        if not apply:
            assert [found.packages for _, found in expire(opened(target), target, before, apply=False)] == [1]
            return
        with pytest.raises(lease.LeaseTaken):
            list(expire(opened(target), target, before, apply=True))
    assert len(packages(target)) == 1


def test_a_source_that_is_in_the_archive_alone_is_leased_by_an_erasure_too(target: Target) -> None:
    with vendor(lambda ask: [{"id": 1}]) as vendors:
        assert run(target, 1, stores={"url": f"{vendors.url}/stores"}).outcome == "ok"
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("delete from ops.lease")
        with leases(target, cursor, opened(target)), pytest.raises(lease.LeaseTaken):
            lease.Lease(target, "http_json").__enter__()


def test_messages_go_by_age_and_a_topic_is_read_on(target: Target, server: EmbeddedWarehouse) -> None:
    with KafkaCluster() as cluster:
        topic = Topics(target, cluster)
        topic.create(1)
        for count in (3, 2):
            topic.put(*[GOOD] * count)
            assert topic.run().outcome == "ok"
        store = opened(target)
        newest = read_package(store, "kafka/packages", store.names("kafka/packages")[-1])
        store.keep_bytes("kafka", b"of a run that was killed")
        assert list(expire(store, target, newest.begun_at - timedelta(days=1), apply=True)) == [
            ("kafka", Expired(packages=0, bodies=1))
        ]
        ((_, found),) = expire(store, target, newest.begun_at, apply=True)
        assert (found.packages, found.kept) == (1, 0)
        assert found.bodies > 0
        recreate(server, target.database)
        assert Rebuild(kafka.LOADER, target, clock=Clock()).execute().outcome == "ok"
        assert topic.rows() == [(0, 3), (0, 4)]
        topic.put(GOOD)
        assert topic.run().outcome == "ok"
        assert topic.rows() == [(0, 3), (0, 4), (0, 5)]


@pytest.mark.parametrize("shop", ["target"], indirect=True)
def test_of_a_database_nothing_goes(shop: Shop) -> None:
    shop.land()
    store = opened(shop.target)
    bodies = store.addresses("rds")
    ((source, found),) = expire(store, shop.target, shop.now + timedelta(days=900), apply=True)
    assert (source, found.packages, found.bodies, found.kept) == ("rds", 0, 0, 1)
    assert "database" in found.why
    assert store.addresses("rds") == bodies


def test_the_command_counts_before_it_removes_and_notes_what_it_did(
    target: Target, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vendor(lambda ask: [{"id": 1}]) as vendors:
        assert run(target, 10, stores={"url": f"{vendors.url}/stores"}).outcome == "ok"
    monkeypatch.setenv("ADSTAR_NOW", "2026-06-01T00:00:00+00:00")
    arguments = ["retention", "--older-than", "30", "--archive"]
    told = dlt(*arguments)
    assert told.returncode == 0, told.stderr
    assert "archive of http_json: 1 packages, 1 bodies older than 30 days would be removed" in told.stdout
    assert len(packages(target)) == 1
    assert dlt("retention", "--older-than", "300", "--archive", "--apply").stdout == ""
    assert "bodies older than 30 days removed" in dlt(*arguments, "--apply").stdout
    assert packages(target) == {}
    assert [path for path in archive.rglob("bodies/*/*") if path.is_file()] == []
    noted = "select action, reason, column_name from ops.privacy_audit"
    assert query(target, noted) == [
        ("retention", "older than 30 days: 1 packages, 1 bodies", "archive of http_json")
    ]
    told = dlt(*arguments, ARCHIVE__URL="")
    assert (told.returncode, "there is no archive" in told.stderr) == (2, True)
