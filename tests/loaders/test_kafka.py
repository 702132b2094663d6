"""Topics of librdkafka's mock cluster or of a real broker: each message once, whatever dies or is deleted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from loaders._core import broker, command, configure, topics
from loaders._core import follow as following
from loaders._core.declare import Clock
from loaders._core.dry_run import describe
from loaders._core.errors import ConfigurationError
from loaders._core.quarantine import retried
from loaders._core.run import Result, SourceRun
from loaders._core.stream import Rejected, Rows
from loaders._core.text import unescape
from loaders._core.topics import Batch, Budget, Cut, Reading
from loaders._core.warehouse import Target
from loaders.kafka import LOADER, KafkaSettings, Topic, resource
from simulators.kafka_cluster import KafkaCluster
from tests import preloaded
from tests.conftest import ROOT
from tests.loaders.kills import kills

GOOD = b'{"event_id": "e-1", "sent_at": "2026-03-01T12:00:00Z", "value": 1.50}'


class Bench:
    """A topic, what is sent to it, the loader for it, and the warehouse."""

    def __init__(self, target: Target, cluster: Any) -> None:
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
        found.topics = {"events": msgspec.convert({"topic": self.topic, **changes}, Topic)}
        return found

    def run(self, **changes: Any) -> Result:
        return SourceRun(LOADER, self.settings(**changes), self.target, Clock()).execute()

    def retry(self, **changes: Any) -> Result | None:
        settings = self.settings(**changes)
        loader = retried(LOADER.made_for(settings), self.target)
        return loader and SourceRun(loader, settings, self.target, Clock()).execute()

    def start(self, before: str = "", more: str = "", **environment: str) -> subprocess.Popen[str]:
        """A run in a process of its own, which does something else before."""
        code = f"import sys; from loaders._core import command; sys.exit(command.main('kafka'{more}))"
        # What changes modules before others import from them can't have them imported.
        start = subprocess.Popen if before else preloaded.Popen
        return start(
            [sys.executable, "-c", f"{before}\n{code}"],
            cwd=ROOT,
            env={**os.environ, **self.cluster.settings_env(events=self.topic), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        output, _ = process.communicate(timeout=120)
        return process.returncode, output

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


class RealCluster:
    """A broker that is there already, with the verbs of the simulated one."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        self._made: list[str] = []

    settings_env = KafkaCluster.settings_env

    def __enter__(self) -> RealCluster:
        return self

    def __exit__(self, *_: object) -> None:
        for topic in self._made:
            self._admin.delete_topics([topic])[topic].result()

    def create_topic(self, topic: str, partitions: int = 4) -> None:
        self._made.append(topic)
        wait_for(lambda: topic not in self._admin.list_topics().topics)
        self._admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result()

    def delete_topic(self, topic: str) -> None:
        self._made.remove(topic)
        self._admin.delete_topics([topic])[topic].result()

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        place = TopicPartition(topic, partition, before)
        self._admin.delete_records([place])[place].result()


REAL = os.environ.get("KAFKA_BOOTSTRAP", "")
simulated = pytest.mark.skipif(bool(REAL), reason="needs a broker that can be told to refuse")
real = pytest.mark.skipif(not REAL, reason="needs a broker with transactions: set KAFKA_BOOTSTRAP")


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster | RealCluster]:
    with RealCluster(REAL) if REAL else KafkaCluster() as found:
        yield found


@pytest.fixture
def bench(target: Target, cluster: Any) -> Bench:
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
    assert len(bench.aside()) == 7
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


def test_the_broker_is_told_afterwards_and_never_asked(bench: Bench) -> None:
    bench.create(2)
    bench.put(*[GOOD] * 5)
    group = Consumer({"bootstrap.servers": bench.cluster.bootstrap, "group.id": "adstar"})
    places = [TopicPartition(bench.topic, 0), TopicPartition(bench.topic, 1)]
    assert bench.run().outcome == "ok"
    assert group.committed(places, timeout=10)[0].offset == 5
    for wrong in (1, 7):
        group.commit(offsets=[TopicPartition(bench.topic, 0, wrong)], asynchronous=False)
        bench.put(*[GOOD] * 5)
        assert bench.run().outcome == "ok"
    group.close()
    assert bench.rows() == [(0, n) for n in range(15)]


@simulated
def test_that_the_broker_can_not_be_told_is_a_warning(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.create(1)
    bench.put(GOOD)
    bench.cluster.refuse(8, *[30] * 3)  # OffsetCommit: GROUP_AUTHORIZATION_FAILED
    assert (bench.run().outcome, bench.rows()) == ("ok", [(0, 0)])
    assert "could not be told" in caplog.text


def test_a_run_takes_what_its_budget_allows_in_as_many_packages_as_it_takes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topics, "PACKAGE", 40)
    monkeypatch.setattr(topics, "AT_ONCE", 30)
    bench.create(2)
    for partition in range(2):
        bench.put(*[GOOD] * 70, partition=partition)
    result = bench.run(max_messages=100)
    assert (result.outcome, result.packages, len(bench.rows())) == ("ok", 3, 100)
    assert bench.run(max_messages=100).outcome == "ok"
    assert bench.rows() == [(p, n) for p in range(2) for n in range(70)]
    assert [read for read, *_ in bench.counted()] == [40, 40, 20, 40]


def test_only_what_is_new_from_the_first_run_on(bench: Bench) -> None:
    bench.create(2)
    bench.put(GOOD, GOOD)
    assert bench.run(start="latest").outcome == "ok"
    bench.put(GOOD)
    bench.put(GOOD, partition=1)
    assert bench.run(start="latest").outcome == "ok"
    assert bench.rows() == [(0, 2), (1, 0)]


def test_a_topic_that_is_not_there_is_left_out(bench: Bench) -> None:
    bench.create(1)
    bench.put(GOOD)
    chosen = bench.settings()
    chosen.topics = {**chosen.topics, "orders": Topic(topic="there-is-none")}
    result = SourceRun(LOADER, chosen, bench.target, Clock()).execute()
    assert (result.outcome, bench.rows()) == ("partial", [(0, 0)])
    assert "account there-is-none: there is no such topic" in (result.message or "")


def test_personal_fields_have_pseudonyms(bench: Bench) -> None:
    bench.create(1)
    bench.put(b'{"user_id": "u-1"}', b'{"user_id": "u-1"}', key=b"u-1")
    assert bench.run(personal={"user_id": "user_id"}, personal_key="user_id").outcome == "ok"
    found = bench.rows("value__user_id__pseudonym, key__pseudonym")
    assert found[0] == found[1]
    assert found[0][0] == found[0][1] != "u-1"


def test_fields_without_end_go_aside_and_the_others_land(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create(1)
    bench.put(GOOD, json.dumps({f"f{n}": n for n in range(1600)}).encode(), GOOD)
    assert bench.run().outcome == "ok"
    assert bench.rows() == [(0, 0), (0, 2)]
    ((reason,),) = bench.aside("reason")
    assert reason == "it has a new field, and its table 1,500 columns already"


# ---- what dies


KILLS = kills([("load.file_committed", True), ("commit.inside", False), ("commit.after", True)])


@pytest.mark.parametrize(("point", "wiped"), KILLS)
def test_killed_at_any_point_the_next_run_has_all_once(bench: Bench, point: str, wiped: bool) -> None:
    bench.create(3)
    for partition in range(2):
        bench.put(*[GOOD] * 20, b"oops", partition=partition)
    assert bench.run().outcome == "ok"
    for partition in range(3):
        bench.put(*[GOOD] * 20, b"oops", None, partition=partition)
    code, output = bench.finish(bench.start(ADSTAR_KILL_AT=point))
    assert code == -signal.SIGKILL, output
    bench.put(GOOD, partition=2)
    if wiped:
        shutil.rmtree(os.environ["ADSTAR_STATE"])
    code, output = bench.finish(bench.start())
    assert (code, "kafka ok" in output) == (0, True), output
    landed = [tuple(map(int, key.split(":")[1:])) for (key,) in bench.rows("message_id") + bench.aside()]
    assert sorted(landed) == [(p, n) for p, end in enumerate((43, 43, 23)) for n in range(end)]
    assert len(bench.aside()) == 5


PAUSE = """
import os, time
from loaders._core.lease import Lease
commit = Lease.commit
def paused(self, write):
    open(os.environ["GATE"], "w").close()
    while os.path.exists(os.environ["GATE"]):
        time.sleep(0.02)
    commit(self, write)
Lease.commit = paused
"""


def test_a_consumer_that_was_thought_dead_changes_nothing_when_it_wakes(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Kafka calls a zombie after a rebalance: it has read, others have gone on, and then it lands."""
    monkeypatch.setenv("ADSTAR_LEASE_SECONDS", "1")
    bench.create(2)
    bench.put(*[GOOD] * 9, b"oops")
    gate = tmp_path / "gate"
    zombie = bench.start(PAUSE, GATE=str(gate))
    wait_for(gate.exists)
    os.kill(zombie.pid, signal.SIGSTOP)
    time.sleep(1.5)
    bench.put(*[GOOD] * 5)
    bench.put(*[GOOD] * 5, partition=1)
    code, output = bench.finish(bench.start())
    assert code == 0, output
    gate.unlink()
    os.kill(zombie.pid, signal.SIGCONT)
    code, output = bench.finish(zombie)
    assert (code, "has taken over" in output) == (1, True), output
    expected = [(0, n) for n in range(15) if n != 9] + [(1, n) for n in range(5)]
    assert (bench.rows(), bench.aside()) == (expected, [("1:0:9",)])
    assert bench.run().outcome == "ok"
    assert (bench.rows(), bench.aside()) == (expected, [("1:0:9",)])


# ---- kept running


LATE = """
select extract(epoch from max(committed_at - to_timestamp("timestamp"::bigint / 1000.0)))::float
from raw_kafka.events join ops.commits on run_seq = _run_seq
"""


@pytest.mark.parametrize("asked", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.full)])
def test_followed_it_lands_what_comes_until_it_is_asked_to_end(bench: Bench, asked: signal.Signals) -> None:
    bench.create(2)
    bench.put(GOOD)
    process = bench.start(more=", follow_seconds=0.5")
    wait_for(lambda: bench.query("select to_regclass('ops.commits')") != [(None,)])
    wait_for(lambda: bench.query("select count(*) from ops.commits") != [(0,)])
    for n in range(1, 4):
        bench.put(GOOD, partition=n % 2)
        wait_for(lambda n=n: len(bench.rows()) == n + 1)
    process.send_signal(asked)
    code, output = bench.finish(process)
    assert (code, "kafka ok, 1 rows landed in" in output) == (0, True), output
    assert bench.query("select distinct outcome from ops.runs") == [("ok",)]
    assert bench.query("select released from ops.lease") == [(True,)]
    assert bench.query(f"{LATE} where run_seq > 1")[0][0] < 20
    assert bench.rows() == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_asked_to_end_it_lands_what_it_has_and_reads_no_further(bench: Bench) -> None:
    before = "from loaders._core import follow, topics\ntopics.AT_ONCE = 1\nimport os, signal\n"
    before += "take = topics.Cut.documents\ndef ending(self, batch):\n"
    before += "    os.kill(os.getpid(), signal.SIGTERM)\n    follow.STOPPING.wait()\n"
    before += "    yield from take(self, batch)\n"
    bench.create(1)
    bench.put(*[GOOD] * 5)
    process = bench.start(f"{before}topics.Cut.documents = ending", more=", follow_seconds=9")
    assert bench.finish(process)[0] == 0
    assert bench.rows() == [(0, 0)]


@pytest.mark.parametrize("point", ["extract.done", "load.job_started"])
def test_asked_to_end_while_dlt_is_at_work_it_ends_after_the_batch(bench: Bench, point: str) -> None:
    """dlt takes signals for itself."""
    before = "import os, signal\nfrom loaders._core import crash, destination, landing\n"
    before += f"asked = []\ndef kill(name):\n    if name == {point!r} and not asked:\n"
    before += "        asked.append(os.kill(os.getpid(), signal.SIGTERM))\n"
    before += "landing.kill_point = destination.kill_point = kill"
    bench.create(1)
    bench.put(*[GOOD] * 5)
    process = bench.start(before, more=", follow_seconds=600")
    code, output = bench.finish(process)
    assert (code, bench.rows()) == (0, [(0, n) for n in range(5)]), output


def test_what_fails_again_and_again_ends(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Result] = []

    def run() -> list[Result]:
        # one in a while is no reason to end
        runs.append(Result("kafka", "ok" if len(runs) == 3 else "failed"))
        return runs[-1:]

    assert following.follow(Console(quiet=True), 0.01, run)[0].outcome == "failed"
    assert len(runs) == 4 + following.PATIENCE


def test_only_streams_are_followed(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setenv("SOURCES__FACEBOOK_ADS__ACCESS_TOKEN", "token")
    assert command.main("facebook_ads", follow_seconds=1) == command.USAGE
    assert "facebook_ads can't be followed" in capsys.readouterr().err


def test_on_redshift_it_is_the_same(redshift: Target, cluster: Any) -> None:
    bench = Bench(redshift, cluster)
    bench.create(2)
    for partition in range(2):
        bench.put(GOOD, b"oops", None, b'{"event_id": "e-2", "list": [1.0, {"a": "b"}]}', partition=partition)
        assert bench.run().outcome == "ok"
    columns = "message_id, key is null, value is null, value__event_id, value_encoding"
    assert bench.rows(columns) == [
        (f"1:{p}:{n}", True, event is None, event, event and "utf-8")
        for p in range(2)
        for n, event in ((0, "e-1"), (2, None), (3, "e-2"))
    ]
    assert bench.aside() == [("1:0:1",), ("1:1:1",)]
    assert bench.query(
        "select json_serialize(value__list) from raw_kafka.events where value__list is not null"
    )[0] == ('[1.0,{"a":"b"}]',)
    assert bench.retry(format="bytes") is not None
    assert len(bench.rows()) == 8


# ---- what is deleted, and what is made anew


def test_what_retention_took_is_told_loudly_and_the_rest_lands(bench: Bench) -> None:
    bench.create(2)
    bench.put(*[GOOD] * 3)
    assert bench.run().outcome == "ok"
    bench.put(*[GOOD] * 10)
    bench.put(*[GOOD] * 4, partition=1)
    bench.cluster.delete_records(bench.topic, 0, 8)
    bench.cluster.delete_records(bench.topic, 1, 1)
    result = bench.run()
    assert result.outcome == "partial"
    for message in (
        result.message,
        *bench.query("select message from ops.runs order by started_at desc limit 1")[0],
        *bench.query("select message from ops.run_resources where resource = 'events' order by run_seq")[1],
    ):
        assert "partition 0 from 3 to 7; partition 1 from 0 to 0" in (message or "")
    assert bench.rows() == [(0, n) for n in (0, 1, 2, *range(8, 13))] + [(1, n) for n in (1, 2, 3)]
    assert bench.run().outcome == "ok"
    newest = bench.query(
        'select "partition", next_offset, lost_from, lost_before from raw_kafka.offsets'
        " where _run_seq = (select max(_run_seq) from raw_kafka.offsets) order by 1"
    )
    assert newest == [("0", "13", "3", "8"), ("1", "4", "0", "1")]


def test_what_is_deleted_while_it_is_read_is_told_as_loudly(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.create(1)
    bench.put(*[GOOD] * 10)
    seek, seeks = broker.PartitionLog.seek, []

    def late(log: broker.PartitionLog, positions: Mapping[int, int]) -> None:
        if not seeks:
            bench.cluster.delete_records(bench.topic, 0, 6)
        seeks.append(dict(positions))
        seek(log, positions)

    monkeypatch.setattr(broker.PartitionLog, "seek", late)
    result = bench.run()
    assert (result.outcome, bench.rows()) == ("partial", [(0, n) for n in range(6, 10)])
    assert "partition 0 from 0 to 5" in (result.message or "")
    assert seeks == [{0: 0}, {0: 6}, {}]


@pytest.mark.parametrize("has_ids", [True, False])
def test_a_topic_made_anew_is_never_taken_for_the_old_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, has_ids: bool
) -> None:
    if not has_ids:
        monkeypatch.setattr(broker.Broker, "topic_id", lambda *_: "")
    bench.create(2)
    bench.put(*[GOOD] * 9)
    assert bench.run().outcome == "ok"
    bench.cluster.delete_topic(bench.topic)
    bench.create(2)
    bench.producer.poll(0)
    bench.producer = Producer({"bootstrap.servers": bench.cluster.bootstrap, "log_level": 0})
    bench.put(*[GOOD] * (20 if has_ids else 5))
    for _ in range(2):
        result = bench.run()
        assert result.outcome == "failed"
        assert "made anew" in (result.message or "")
        assert "set incarnation = 2" in (result.message or "")
        assert ("its id is another one" if has_ids else "up to offset 8") in (result.message or "")
    assert len(bench.rows()) == 9
    assert bench.run(incarnation=2).outcome == "ok"
    bench.put(GOOD)
    assert bench.run(incarnation=2).outcome == "ok"
    new = 21 if has_ids else 6
    assert [n for (n,) in bench.rows("message_id") if n.startswith("2:")] == [f"2:0:{n}" for n in range(new)]
    assert bench.query("select count(*), count(distinct message_id) from raw_kafka.events") == [
        (9 + new, 9 + new)
    ]
    result = bench.run()
    assert "incarnation 1 is set, but 2 was read already" in (result.message or "")


def test_a_topic_with_fewer_partitions_is_another_one(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker.Broker, "topic_id", lambda *_: "")
    bench.create(3)
    assert bench.run().outcome == "ok"
    bench.cluster.delete_topic(bench.topic)
    bench.create(1)
    assert "it has no partition 1, 2 any more" in (bench.run().message or "")


@real
def test_what_a_transaction_took_back_never_lands_and_its_marks_hold_nobody_up(bench: Bench) -> None:
    bench.create(1)
    producer = Producer({"bootstrap.servers": bench.cluster.bootstrap, "transactional.id": bench.topic})
    producer.init_transactions()
    for turn in range(4):
        producer.begin_transaction()
        for _ in range(3):
            producer.produce(bench.topic, GOOD, partition=0)
        (producer.abort_transaction if turn % 2 else producer.commit_transaction)()
    assert bench.run().outcome == "ok"
    assert bench.rows() == [(0, n) for n in (0, 1, 2, 8, 9, 10)]
    assert bench.query("select next_offset from raw_kafka.offsets") == [("16",)]


# ---- every log there can be, without a broker


class Paper:
    """A log on paper: of each partition the offsets that are there, with gaps, and where it ends."""

    where = "paper"

    def __init__(self) -> None:
        self.offsets: dict[int, list[int]] = {}
        self.bounds: dict[int, tuple[int, int]] = {}
        self.at: dict[int, int] = {}

    def partitions(self) -> tuple[str, dict[int, tuple[int, int]]]:
        return "", dict(self.bounds)

    def seek(self, positions: Mapping[int, int]) -> None:
        self.at = dict(positions)

    def take(self, count: int, wait: float) -> Batch:
        batch = Batch()
        for partition, at in self.at.items():
            if at < self.bounds[partition][0]:
                batch.gone.add(partition)
                continue
            for offset in [n for n in self.offsets[partition] if n >= at][: count - len(batch)]:
                batch.partitions.append(partition)
                batch.offsets.append(offset)
                self.at[partition] = offset + 1
            if not [n for n in self.offsets[partition] if n >= self.at[partition]]:
                batch.ends[partition] = self.at[partition] = self.bounds[partition][1]
        count = len(batch)
        batch.times, batch.kinds, batch.keys, batch.headers = ([None] * count for _ in range(4))
        batch.values = [b"x"] * count
        return batch

    def tell(self, positions: Mapping[int, int]) -> None:
        pass


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(0, 2), st.lists(st.booleans(), max_size=12)),
        st.tuples(st.just("delete"), st.integers(0, 2), st.integers(0, 15)),
        st.tuples(st.just("read"), st.integers(1, 9), st.booleans()),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_whatever_a_log_holds_each_message_is_read_once_or_told_as_lost(steps: list[Any]) -> None:
    """Gaps, ends beyond the last message, partitions made later, deletions and failed landings."""
    log, rows = Paper(), []
    landed: list[tuple[int, int]] = []
    lost: set[tuple[int, int]] = set()
    ever: set[tuple[int, int]] = set()
    for kind, number, more in [*steps, ("read", 100, True)]:
        if kind == "add":
            low, high = log.bounds.get(number, (0, 0))
            new = [high + n for n, there in enumerate(more) if there]
            log.offsets.setdefault(number, []).extend(new)
            log.bounds[number] = (low, high + len(more))
            ever |= {(number, offset) for offset in new}
        elif kind == "delete" and number in log.bounds:
            low, high = log.bounds[number]
            log.bounds[number] = (min(high, low + more), high)
            log.offsets[number] = [n for n in log.offsets[number] if n >= log.bounds[number][0]]
        elif kind == "read":
            reading = Reading(log, Budget(max_messages=number), Cut("paper", 1, "bytes"))
            found = [
                tuple(map(int, name.split(":")[1:]))
                for document in reading.read(rows)
                if isinstance(document, Rows)
                for name in document.page.columns[("message_id",)].to_pylist()
            ]
            if not more:
                continue  # it was not landed, or does not count
            landed += found
            before = {row["partition"]: row for row in rows}
            told = json.loads(reading.offsets())
            if number == 100:  # to the end, also where no message is
                assert all(row["next_offset"] == row["high_watermark"] for row in told)
            for row in told:
                begin, end = int(row["lost_from"] or 0), int(row["lost_before"] or 0)
                if not rows:  # nothing is owed that was gone before the first run
                    end = log.bounds[row["partition"]][0]
                lost |= {(row["partition"], n) for n in range(begin, end)}
            rows = [{k: v if v is None else str(v) for k, v in row.items()} for row in told]
            assert all(
                int(row["next_offset"]) >= int(before.get(row["partition"], row)["next_offset"])
                for row in rows
            )
    assert len(landed) == len(set(landed))
    for partition in log.bounds:
        mine = [n for p, n in landed if p == partition]
        assert mine == sorted(mine)
    left = {(p, n) for p, offsets in log.offsets.items() for n in offsets}
    assert ever - set(landed) - lost - left == set()
    if not any(kind == "read" and number < 100 for kind, number, _ in steps):
        assert left <= set(landed)


BYTES = st.one_of(
    st.none(),
    st.binary(max_size=20),
    st.text(max_size=8).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
HEADERS = st.none() | st.lists(st.tuples(st.text("ab\0\ue000é", max_size=3), BYTES), min_size=1, max_size=4)
JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab_", max_size=2), inner, max_size=3)
    ),
    max_leaves=5,
).map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def _read(text: str | None, how: str | None) -> bytes | None:
    if text is None:
        return None
    return b64decode(text) if how == "base64" else unescape(text).encode()


@pytest.mark.parametrize("form", ["json", "text", "bytes"])
@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(BYTES, HEADERS, BYTES | JSONS), min_size=1, max_size=8))
def test_any_bytes_come_back_out_of_what_lands_or_goes_aside(form: str, sent: list[Any]) -> None:
    batch = Batch(
        [0] * len(sent), list(range(len(sent))), [5] * len(sent), ["create_time"] * len(sent),
        *([each[n] for each in sent] for n in range(3)),
    )  # fmt: skip
    cut = Cut("t", 1, form)
    for turn in range(2):  # what was learnt from the first changes nothing
        found: dict[int, Any] = {}
        for document in cut.documents(batch):
            if isinstance(document, Rejected):
                record = json.loads(document.record)
                headers = record["headers"] and [
                    (name, None if value is None else b64decode(value)) for name, value in record["headers"]
                ]
                key, value = (None if record[n] is None else b64decode(record[n]) for n in ("key", "value"))
                found[record["offset"]] = (key, headers, value)
                assert isinstance(cut.judge(document.record), Rejected)
                assert form != "bytes"
                continue
            assert isinstance(document, Rows)
            told = {
                path[0]: column.to_pylist()
                for path, column in document.page.columns.items()
                if len(path) == 1
            }
            for n in range(document.page.rows):
                headers = told["headers"][n] and [
                    (
                        unescape(each["name"]),
                        b64decode(each["base64"]) if "base64" in each else _read(each["value"], None),
                    )
                    for each in json.loads(told["headers"][n])
                ]
                found[int(told["offset"][n])] = (
                    _read(told["key"][n], told["key_encoding"][n]),
                    headers,
                    _read(told["value"][n], told["value_encoding"][n]),
                )
                rejected = document.reject(n, "why")
                assert json.loads(rejected.record)["offset"] == int(told["offset"][n])
        assert [found[n] for n in range(len(sent))] == [tuple(each) for each in sent], turn


# ---- settings


def wrong(told: str, **changes: Any) -> None:
    chosen = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    chosen.topics = {"events": Topic()}
    for name, value in changes.items():
        setattr(chosen, name, value)
    with pytest.raises(ConfigurationError, match=told), LOADER.connect(chosen, Clock()):
        pass


def test_settings_that_can_not_be_are_told_before_anything_is_read() -> None:
    wrong("no broker is named: put bootstrap_servers", bootstrap_servers="")
    wrong("two tables for the topic events", topics={"events": Topic(), "other": Topic(topic="events")})
    wrong("can't set group.id: this loader does", client={"group.id": "x"})
    wrong("sasl.password is a secret and has no place", client={"sasl.password": "x" * 9})
    wrong("no-such-setting", client={"no-such-setting": "x"})
    wrong("see .sources.kafka.", security_protocol="carrier pigeon")
    wrong("see .sources.kafka.", security_protocol="ssl", ssl_ca_location="/nowhere.pem")
    with pytest.raises(ConfigurationError, match="how far topics were read"):
        resource("offsets", Topic(), None)


def test_a_broker_that_does_not_answer_is_named_and_no_secret_with_it(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "ASKING_SECONDS", 2.0)
    chosen = KafkaSettings(bootstrap_servers="127.0.0.1:1", security_protocol="sasl_plaintext")
    chosen.sasl_mechanism, chosen.sasl_username, chosen.sasl_password = "PLAIN", "user", "secret-of-kafka"
    chosen.topics = {"events": Topic()}
    result = SourceRun(LOADER, chosen, target, Clock()).execute()
    assert result.outcome == "failed"
    assert "no answer from 127.0.0.1:1" in (result.message or "")
    assert "secret-of-kafka" not in (result.message or "")


def test_settings_come_from_files_and_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BOOTSTRAP_SERVERS": "a:1,b:2",
        "SASL_PASSWORD": "secret-of-kafka",
        "CLIENT": '{"socket.timeout.ms": 5000}',
        "TOPICS__SITE_EVENTS__REQUIRED": '["event_id"]',
        "TOPICS__SITE_EVENTS__START": "latest",
    }.items():
        monkeypatch.setenv(f"SOURCES__KAFKA__{name}", value)
    assert configure.is_configured(LOADER)
    found = configure.settings_of(LOADER)
    assert isinstance(found, KafkaSettings)
    assert found.topics == {"site_events": Topic(required=("event_id",), start="latest")}
    assert broker._options(found) == {
        "bootstrap.servers": "a:1,b:2", "sasl.password": "secret-of-kafka", "socket.timeout.ms": 5000,
    }  # fmt: skip
    monkeypatch.setenv("SOURCES__KAFKA__TOPICS__SITE_EVENTS__START", "yesterday")
    with pytest.raises(ConfigurationError, match="It is one of earliest, latest"):
        configure.settings_of(LOADER)


def test_a_dry_run_tells_the_topics_and_reads_nothing(bench: Bench) -> None:
    bench.create(1)
    bench.put(GOOD)
    lines = "\n".join(describe(LOADER, bench.settings(), bench.target, Clock(), None))
    assert f"account {bench.topic}: events, offsets" in lines
    assert bench.query("select count(*) from pg_tables where schemaname = 'raw_kafka'") == [(0,)]
