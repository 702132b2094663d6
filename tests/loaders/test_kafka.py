"""Topics of librdkafka's mock cluster or of a real broker: each message once, whatever dies or is deleted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from base64 import b64decode
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from loaders._core.declare import Clock
from loaders._core.quarantine import retried
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target
from loaders.kafka import LOADER, KafkaSettings, Topic
from simulators.kafka_cluster import KafkaCluster
from tests.conftest import ROOT

GOOD = b'{"event_id": "e-1", "sent_at": "2026-03-01T12:00:00Z", "value": 1.50}'


class Bench:
    """A topic, what is sent to it, the loader for it, and the warehouse."""

    def __init__(self, target: Target, cluster: KafkaCluster) -> None:
        self.target, self.cluster = target, cluster
        self.topic = f"events-{uuid.uuid4().hex[:8]}"
        self.producer = Producer({"bootstrap.servers": cluster.bootstrap, "linger.ms": 1, "log_level": 0})

    def create(self, partitions: int = 4) -> None:
        self.cluster.create_topic(self.topic, partitions)

    def put(self, *values: bytes | None, partition: int = 0, **more: Any) -> None:
        for value in values:
            self.producer.produce(self.topic, value, partition=partition, **more)
        assert self.producer.flush(20) == 0

    def settings(self, **changes: Any) -> KafkaSettings:
        found = KafkaSettings(bootstrap_servers=self.cluster.bootstrap)
        found.topics = {"events": Topic(**{"topic": self.topic, **changes})}
        return found

    def run(self, **changes: Any) -> Result:
        return SourceRun(LOADER, self.settings(**changes), self.target, Clock()).execute()

    def retry(self, **changes: Any) -> Result | None:
        settings = self.settings(**changes)
        loader = retried(LOADER.made_for(settings), self.target)
        return loader and SourceRun(loader, settings, self.target, Clock()).execute()

    def start(self, **environment: str) -> subprocess.Popen[str]:
        """A run in a process of its own."""
        code = "import sys; from loaders._core import command; sys.exit(command.main('kafka'))"
        return subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, **self.cluster.settings_env(events=self.topic), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.target.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()

    def rows(self, columns: str = '"partition"::int, "offset"::int') -> list[tuple[Any, ...]]:
        """All that counts, every row."""
        return self.query(
            f"select {columns} from raw_kafka.events join ops.commits on run_seq = _run_seq"
            ' order by "partition"::int, "offset"::bigint'
        )

    def aside(self, columns: str = "source_key") -> list[tuple[Any, ...]]:
        return self.query(
            f"select {columns} from raw_kafka.quarantine join ops.commits on run_seq = _run_seq order by 1"
        )

    def counted(self) -> list[tuple[Any, ...]]:
        """Read, landed, in quarantine: each package's, oldest first."""
        return self.query(
            "select rows_read, rows_landed, rows_quarantined from ops.run_resources"
            " where resource = 'events' order by run_seq"
        )


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with KafkaCluster() as found:
        yield found


@pytest.fixture
def bench(target: Target, cluster: KafkaCluster) -> Bench:
    return Bench(target, cluster)


def test_a_message_lands_as_it_was_sent(bench: Bench) -> None:
    bench.create(2)
    headers = [("trace", b"a"), ("trace", b"b"), ("none", None), ("bytes", b"\xff\x00"), ("empty", b"")]
    value = b'{"id": 12345678901234567890123, "price":2.30,\n "n\\u00e9": null, "list": [1.0, {"a": 2}],'
    value += b' "\xc3\xa9": "\\u00e9"}'
    bench.put(value, partition=1, key=b"k", headers=headers, timestamp=1_772_366_400_123)
    assert bench.run().outcome == "ok"
    columns = (
        'message_id, topic, "partition", "offset", "timestamp", timestamp_type, key, key_encoding, value,'
        " value_encoding, value__id, value__price, value__list, headers, _account, _day"
    )
    ((*row, said, account, day),) = bench.rows(columns)
    assert row == [
        "1:1:0", bench.topic, "1", "0", "1772366400123", "create_time", "k", "utf-8", value.decode(),
        "utf-8", "12345678901234567890123", "2.30", '[1.0, {"a": 2}]',
    ]  # fmt: skip
    assert json.loads(said) == [
        {"name": "trace", "value": "a"},
        {"name": "trace", "value": "b"},
        {"name": "none", "value": None},
        {"name": "bytes", "base64": "/wA="},
        {"name": "empty", "value": ""},
    ]
    assert (account, day) == (bench.topic, None)


def test_tombstones_empty_values_and_null_keys_are_told_apart(bench: Bench) -> None:
    bench.create(1)
    bench.put(None, b"", b"x", key=b"k")
    bench.put(b"y")
    bench.put(b"z", key=b"")
    assert bench.run(format="text").outcome == "ok"
    assert bench.rows("value, value_encoding, key, key_encoding, headers") == [
        (None, None, "k", "utf-8", None),
        ("", "utf-8", "k", "utf-8", None),
        ("x", "utf-8", "k", "utf-8", None),
        ("y", "utf-8", None, None, None),
        ("z", "utf-8", "", "utf-8", None),
    ]


def test_what_is_not_as_declared_goes_aside_and_comes_back(bench: Bench) -> None:
    bench.create(1)
    bad = [b"oops", b"[1]", b"", b"null", b"\xff{}", b'{"a": 1},{"b": 2}', b'{"other": 1}']
    bench.put(GOOD, *bad, None, GOOD, key=b"\x00\x01", headers=[("h", b"\xfe")])
    assert bench.run(required=("event_id",)).outcome == "ok"
    assert bench.rows('"offset", value is null, value__event_id') == [
        ("0", False, "e-1"), ("8", True, None), ("9", False, "e-1"),
    ]  # fmt: skip
    reasons = dict(bench.aside("split_part(source_key, ':', 3)::int, reason"))
    assert reasons == {
        1: "the value is not JSON, from character 0 of 4",
        2: "the value is JSON, but no object",
        3: "the value is not JSON, from character 0 of 0",
        4: "the value is JSON, but no object",
        5: "the value is not UTF-8, from byte 0 of 3",
        6: "the value is not JSON, from character 8 of 17",
        7: "the value lacks event_id",
    }
    assert bench.counted() == [(10, 3, 7)]
    result = bench.retry()
    assert result is not None
    assert bench.rows('"offset", key, value, value__other, headers')[1] == (
        "7", "AAE=", '{"other": 1}', "1", '[{"name": "h", "base64": "/g=="}]',
    )  # fmt: skip
    assert bench.query("select source_key from raw_kafka.quarantine_resolved") == [("1:0:7",)]
    assert bench.retry(format="bytes") is not None
    landed = dict(bench.rows('"offset"::int, value'))
    assert {n: b64decode(landed[n + 1]) for n in range(6)} == dict(enumerate(bad[:6]))
    assert bench.retry() is None


def test_each_run_goes_on_where_the_warehouse_ends(bench: Bench) -> None:
    bench.create(3)
    for turn in range(3):
        for partition in range(2):
            bench.put(*[GOOD] * (turn + 2), partition=partition)
        assert bench.run().outcome == "ok"
    assert bench.rows() == [(p, n) for p in range(2) for n in range(9)]
    assert bench.counted() == [(4, 4, 0), (6, 6, 0), (8, 8, 0)]
