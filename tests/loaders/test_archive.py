"""The archive: what is in it, what is not, and what a rebuild makes of packages that never counted."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import sys
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3
import msgspec
import pytest
from moto.server import ThreadedMotoServer

from loaders._core import configure
from loaders._core.archive import store as stores
from loaders._core.archive.configured import recorder_of, settings_again, settings_without_secrets, store_of
from loaders._core.archive.rebuild import Rebuild
from loaders._core.archive.tape import Package, read_package
from loaders._core.declare import Clock
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.errors import ConfigurationError
from loaders._core.feeds.declared import Feed
from loaders._core.http import Http
from loaders._core.lease import LeaseLost
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target
from loaders.http_json import LOADER, HttpJsonSettings
from tests import preloaded
from tests.conftest import ROOT, recreate
from tests.loaders.wire import Answer, Ask, vendor

SECRET = "s3cr3t-l1ght+/=and-more"
DATED = {"params": {"from": "{since}", "to": "{until}"}, "date": "date"}


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHIVE__URL", str(tmp_path / "archive"))
    return tmp_path / "archive"


def run(target: Target, day: int = 10, **feeds: dict[str, Any]) -> Result:
    settings = HttpJsonSettings(feeds={name: msgspec.convert(feed, Feed) for name, feed in feeds.items()})
    settings.window_days, settings.deadline_seconds = 2, 20.0
    return SourceRun(LOADER, settings, target, clock(day)).execute()


def clock(day: int) -> Clock:
    return Clock(datetime.fromisoformat(f"2026-03-{day:02}T12:00:00+00:00"))


def rebuild(target: Target) -> Result:
    return Rebuild(LOADER, target, clock=Clock()).execute()


def query(target: Target, sql: str) -> list[tuple[Any, ...]]:
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def raw(target: Target, schemas: str = r"raw\_%") -> dict[str, list[tuple[Any, ...]]]:
    """Every table of raw, receipts included, as text in order, but a row's number and its package's name."""
    found = {}
    for schema, table, columns in query(
        target,
        "select table_schema, table_name, string_agg(format('%I::text', column_name), ', '"
        " order by column_name) from information_schema.columns"
        f" where table_schema like '{schemas}' and left(table_name, 4) <> '_dlt'"
        " and column_name not in ('_row_no', '_dlt_load_id') group by 1, 2",
    ):
        found[f"{schema}.{table}"] = sorted(
            query(target, f'select {columns} from {schema}."{table}"'), key=repr
        )
    return found


def archived(target: Target, source: str) -> str:
    """As ``archived_bytes``, as text."""
    return archived_bytes(target, source).decode("utf-8", "replace")


def archived_bytes(target: Target, source: str) -> bytes:
    """All that the archive says of a source, decrypted."""
    store = store_of(target)
    assert store
    folder = f"{source}/packages"
    bodies = [b"".join(store.body(source, each)) for each in store.addresses(source)]
    listed = [msgspec.json.encode(read_package(store, folder, each)) for each in store.names(folder)]
    return b"\n".join([*bodies, *listed])


def receipts(target: Target) -> list[tuple[Any, ...]]:
    return query(
        target,
        "select resource, account, day, run_seq, data_run_seq, read_at, rows, rows_hash, totals, version"
        " from raw_http_json.covered order by 1, 2, 3, 4",
    )


def packages(target: Target) -> dict[str, Package]:
    store = store_of(target)
    assert store
    folder = "http_json/packages"
    return {name: read_package(store, folder, name) for name in store.names(folder)}


def records(ask: Ask) -> list[dict[str, Any]]:
    days = [f"2026-03-{day:02}" for day in range(1, 28)]
    return [
        {"date": day, "rate": "1.0840", "of": 7}
        for day in days
        if ask.query.get("from", day) <= day <= ask.query.get("to", day)
    ]


def test_a_body_is_kept_as_it_came_with_what_was_asked_and_no_secret_anywhere(
    target: Target, archive: Path
) -> None:
    exact = b'{ "items" : [ {"date":"2026-03-09","rate": 1.0840} ],\n "next": "/p?key=%s" }'

    def answer(ask: Ask) -> Answer:
        packed = gzip.compress(exact % SECRET.encode())
        return Answer(packed, headers={"Content-Encoding": "gzip", "ETag": '"v1"', "Set-Cookie": "s=1"})

    with vendor(answer) as server:
        done = run(
            target,
            rates={**DATED, "url": f"{server.url}/rates", "records": "items", "auth": "query"}
            | {"auth_name": "key", "secret": SECRET},
        )
    assert done.outcome == "ok", done.message
    (package,) = packages(target).values()
    (told,) = package.answers
    assert (told.method, told.status, told.account, told.resource) == ("GET", 200, "rates", "rates")
    assert told.url == f"{server.url}/rates?from=2026-03-08&to=2026-03-10"
    assert dict(told.headers)["etag"] == '"v1"'
    assert "set-cookie" not in dict(told.headers)
    assert told.read_at == clock(10).now()
    assert (package.run_seq, package.pipeline) == (1, "http_json")
    store = store_of(target)
    assert store
    kept = b"".join(store.body("http_json", told.body))
    assert kept == exact % (b"*" * len(SECRET))
    assert len(kept) == told.bytes
    assert SECRET not in msgspec.json.encode(package).decode()
    everything = b"".join(path.read_bytes() for path in archive.rglob("*") if path.is_file())
    for plain in (SECRET.encode(), b"rate", b"2026", b"http"):
        assert plain not in everything


def test_what_has_not_changed_is_kept_once(target: Target, archive: Path) -> None:
    with vendor(lambda ask: [{"date": "2026-03-08", "rate": "1"}]) as server:
        for day in (10, 10, 10):
            assert run(target, day, stores={"url": f"{server.url}/stores"}).outcome == "ok"
    assert len(packages(target)) == 3
    assert len([path for path in archive.rglob("*/bodies/*/*") if path.is_file()]) == 1


FORMS = {
    "rates": DATED,
    "sheet": {"format": "csv", "columns": ["name"]},
    "lines": {"format": "ndjson"},
    "paged": {"paging": "cursor", "page_param": "cursor", "next": "next", "records": "items"},
    "conditional": {},
}


def served(ask: Ask) -> Any:
    name = ask.path.strip("/")
    if name == "sheet":
        return Answer(
            gzip.compress(b"name;n\nann;1\n".replace(b";", b",")), headers={"Content-Type": "text/csv"}
        )
    if name == "lines":
        return '{"a": 0.10}\n{"a": 2}\n'
    if name == "paged":
        at = int(ask.query.get("cursor", "0"))
        return {"items": [{"n": at}], "next": str(at + 1) if at < 3 else None}
    if name == "conditional":
        tag = {"ETag": '"same"'}
        return Answer("", 304, tag) if "if-none-match" in ask.headers else Answer([{"id": 1}], 200, tag)
    return records(ask)


def test_feeds_of_every_form_are_made_again_from_the_archive_alone(
    target: Target, archive: Path, server: EmbeddedWarehouse
) -> None:
    tables = ["covered", *FORMS]

    def raw() -> dict[str, Any]:
        rows = {t: query(target, f"select * from raw_http_json.{t}") for t in tables[1:]}
        return {
            t: sorted([each[:1] + each[2:4] + each[5:] for each in found], key=repr)
            for t, found in rows.items()
        }

    flaky = iter([Answer("no", 503), *[None] * 100])
    with vendor(lambda ask: next(flaky) or served(ask)) as asked:
        feeds = {name: {"url": f"{asked.url}/{name}", **told} for name, told in FORMS.items()}
        for day in (10, 11, 12):
            assert run(target, day, **feeds).outcome == "ok"
    before, told, commits = raw(), receipts(target), query(target, "select run_seq, run_id from ops.commits")
    assert len(before["paged"]) == 4
    assert len(before["rates"]) == 5
    recreate(server, target.database)
    done = rebuild(target)
    assert (done.outcome, done.message) == ("ok", None)
    assert raw() == before
    assert receipts(target) == told
    assert query(target, "select run_seq, run_id from ops.commits") == commits
    assert query(target, "select distinct outcome from ops.runs") == [("ok",)]
    assert rebuild(target).message == "the warehouse has every package of the archive"
    with vendor(served) as asked:
        assert run(target, 13, rates={"url": f"{asked.url}/rates", **DATED}).outcome == "ok"
    assert max(query(target, "select run_seq from ops.commits")) == (4,)


def test_a_run_that_failed_or_was_overtaken_does_not_count(
    target: Target, archive: Path, server: EmbeddedWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from loaders._core import lease

    with vendor(records) as asked:
        feed = {"url": f"{asked.url}/rates", **DATED}
        assert run(target, 10, rates=feed).outcome == "ok"
        told = receipts(target)
        with patch.object(lease.Lease, "commit", side_effect=LeaseLost("another run has taken over")):
            assert run(target, 11, rates=feed).outcome == "failed"
        with patch.object(lease.Lease, "commit", side_effect=OSError("the line is dead")):
            assert run(target, 12, rates=feed).outcome == "failed"
        states = [name.rpartition(".")[2] for name in packages(target)]
        assert states == ["counted", "failed", "prepared"]
        assert run(target, 13, rates=feed).outcome == "ok"  # finds out what became of the one before
        told = receipts(target)
    states = [name.rpartition(".")[2] for name in packages(target)]
    assert states == ["counted", "failed", "failed", "counted"]
    committed = "select run_seq from ops.commits order by 1"
    numbers = query(target, committed)
    counted = set(numbers)
    recreate(server, target.database)
    assert rebuild(target).outcome == "ok"
    assert set(query(target, committed)) == counted
    sets = {row[:5] for row in receipts(target)}
    assert sets == {row[:5] for row in told if (row[3],) in counted}


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda path: path.unlink(), "is missing from the archive"),
        (lambda path: path.write_bytes(path.read_bytes()[:-3]), "is damaged"),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"\0", b"\1", 1)), "is damaged"),
        (lambda path: path.write_bytes(b"other"), "is damaged"),
    ],
)
def test_a_missing_or_damaged_object_is_named(
    target: Target, archive: Path, server: EmbeddedWarehouse, harm: Any, says: str
) -> None:
    with vendor(records) as asked:
        assert run(target, 10, rates={"url": f"{asked.url}/rates", **DATED}).outcome == "ok"
    (body,) = [path for path in archive.rglob("*/bodies/*/*") if path.is_file()]
    harm(body)
    recreate(server, target.database)
    done = rebuild(target)
    assert done.outcome == "failed"
    assert says in str(done.message)
    assert str(body) in str(done.message)
    assert query(target, "select * from ops.commits") == []


def test_a_rebuild_that_can_not_be_complete_is_refused(
    target: Target, archive: Path, server: EmbeddedWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with vendor(records) as asked:
        feed = {"url": f"{asked.url}/rates", **DATED}
        assert run(target, 10, rates=feed).outcome == "ok"
        recreate(server, target.database)
        with monkeypatch.context() as without:
            without.delenv("ARCHIVE__URL")
            assert "there is no archive" in str(rebuild(target).message)
            for day in (11, 12):
                assert run(target, day, rates=feed).outcome == "ok"
    done = rebuild(target)
    assert done.outcome == "refused"
    made_room = re.search(r"first: (.*)$", str(done.message))
    assert made_room
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(made_room[1])
    assert rebuild(target).outcome == "ok"


def test_settings_come_back_without_their_secrets() -> None:
    feed = msgspec.convert(
        {"url": "https://x.example/a", "auth": "bearer", "secret": SECRET, "columns": ["a"]}, Feed
    )
    settings = HttpJsonSettings(feeds={"rates": feed})
    settings.window_days = 5
    held = settings_without_secrets(settings)
    assert SECRET not in json.dumps(held)
    again: Any = settings_again(LOADER, held)
    assert again.window_days == 5
    assert again.feeds["rates"].columns == ("a",)
    assert again.feeds["rates"].secret != SECRET


def test_a_source_is_archived_as_settings_say(
    target: Target, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaders = configure.available()
    facebook = loaders["facebook_ads"]
    settings = facebook.settings()
    assert type(recorder_of(facebook, settings, target)).__name__ == "Tape"
    settings.archive = True
    assert type(recorder_of(facebook, settings, target)).__name__ == "Recorder"
    feeds = HttpJsonSettings(feeds={})
    assert type(recorder_of(LOADER, feeds, target)).__name__ == "Recorder"
    feeds.archive = False
    assert type(recorder_of(LOADER, feeds, target)).__name__ == "Tape"
    other = facebook.settings()
    other.archive = True
    with pytest.raises(ConfigurationError, match="archive is true under"):
        recorder_of(replace(facebook, archived=None), other, target)
    messages = loaders["sqs"].settings()
    assert type(recorder_of(loaders["sqs"], messages, target)).__name__ == "Tape"
    messages.archive = True
    assert type(recorder_of(loaders["sqs"], messages, target)).__name__ == "Recorder"
    monkeypatch.delenv("ARCHIVE__URL")
    with pytest.raises(ConfigurationError, match="ARCHIVE__URL"):
        recorder_of(facebook, settings, target)
    monkeypatch.setenv("ARCHIVE__URL", "nowhere://x")
    with pytest.raises(ConfigurationError, match="nowhere"):
        recorder_of(facebook, settings, target)


def test_on_s3_it_is_encrypted_there_as_well(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    try:
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_DEFAULT_REGION": "eu-west-3",
            "AWS_ACCESS_KEY_ID": "k",
            "AWS_SECRET_ACCESS_KEY": "s",
            "ARCHIVE__URL": "s3://kept/archive",
        }.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("s3")
        client.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
        with vendor(records) as asked:
            feed = {"url": f"{asked.url}/rates", **DATED}
            assert run(target, 10, rates=feed).outcome == "ok"
            monkeypatch.setenv("ARCHIVE__KMS_KEY_ID", "alias/adstar")
            assert run(target, 11, rates=feed).outcome == "ok"
        listed = client.list_objects_v2(Bucket="kept")["Contents"]
        heads = [client.head_object(Bucket="kept", Key=each["Key"]) for each in listed]
        assert {head["ServerSideEncryption"] for head in heads} == {"AES256", "aws:kms"}
        told = receipts(target)
        query(target, "drop schema raw_http_json cascade; delete from ops.commits; select 1")
        assert rebuild(target).outcome == "ok"
        assert receipts(target) == told
    finally:
        moto.stop()


@pytest.mark.parametrize("point", stores.POINTS)
def test_killed_at_the_archive_the_next_run_and_a_rebuild_are_whole(
    target: Target, archive: Path, server: EmbeddedWarehouse, point: str
) -> None:
    with vendor(records) as asked:
        url = f"{asked.url}/rates?from={{since}}&to={{until}}"
        variables = {
            "SOURCES__HTTP_JSON__FEEDS__RATES__URL": url,
            "SOURCES__HTTP_JSON__FEEDS__RATES__DATE": "date",
            "SOURCES__HTTP_JSON__WINDOW_DAYS": "2",
        }

        def start(day: int, **more: str) -> int:
            environment = {**os.environ, **variables, **more, "ADSTAR_NOW": clock(day).now().isoformat()}
            command = [Path(sys.executable).parent / "dlt", "pipeline", "http_json", "run"]
            return preloaded.run(command, cwd=ROOT, env=environment, check=False).returncode

        assert start(10, ADSTAR_KILL_AT=point) == -signal.SIGKILL
        assert run(target, 11, rates={"url": f"{asked.url}/rates", **DATED}).outcome == "ok"
    committed = query(target, "select run_seq from ops.commits order by 1")
    assert len(committed) == (2 if point == "archive.counted" else 1)
    among = "raw_http_json.rates join ops.commits on run_seq = _run_seq"
    rows = f"select date, run_seq from {among} order by 2, 1"
    before, told = query(target, rows), receipts(target)
    recreate(server, target.database)
    assert rebuild(target).outcome == "ok"
    assert query(target, rows) == before
    assert receipts(target) == [row for row in told if (row[3],) in committed]


def test_the_token_of_oauth_is_no_answer_to_keep() -> None:
    with Http("http://127.0.0.1:1", archived=False) as http:
        assert type(http._tape).__name__ == "Tape"
