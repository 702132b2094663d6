"""The job of Spark over a folder of files: the rows of the small path, whatever ends it on the way."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from loaders._core import configure, warehouse
from loaders._core.declare import Clock
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.run import SourceRun
from simulators.kafka_cluster import KafkaCluster
from simulators.site_events import POISON, TOPIC, Message, send, settings_env
from simulators.topic_files import TopicFiles
from tests.conftest import ROOT
from tests.dbt.star import Star, star
from tests.dbt.test_site_funnel import DIMENSIONS
from tests.spark.topic import AT, UNTIL, odd, parts

pytestmark = pytest.mark.full
PAGE = (ROOT / "docs" / "spark.md").read_text()
MODELS = (("staging", "stg_kafka__site_events"), ("marts", "fact_site_event"), ("reports", "rpt_funnel"))
# Which run brought a row, and when, is told of the path and not of the event.
LEFT_OUT = {"run_seq", "read_at"}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


class Bench:
    """A warehouse, and a folder in place of a topic."""

    def __init__(self, built: Star, folder: Path) -> None:
        self.built = built
        self.folder = folder
        self.environment = built.environment | settings_env("127.0.0.1:1")
        self.files = TopicFiles(folder / "topic")
        self.checkpoint = folder / "checkpoint"

    def command(self, *more: str) -> list[str]:
        """The job's, one file a batch."""
        places = ["--files", str(self.files.folder), "--checkpoint", str(self.checkpoint)]
        return ["scripts/spark", *places, "--master", "local[2]", "--option", "maxFilesPerTrigger=1", *more]

    def spark(self, *more: str, code: int = 0, **environment: str) -> str:
        """Run it to its end; what it printed."""
        done = subprocess.run(
            self.command(*more),
            cwd=ROOT,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout[-6000:]
        return done.stdout

    def built_rows(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of the models, without what is left out."""
        query = self.built.landing.query
        found = {}
        for schema, table in MODELS:
            names = query(
                "select column_name from information_schema.columns where table_name ="
                f" '{table}' and table_schema = '{schema}' order by ordinal_position"
            )
            columns = ", ".join(f'"{name}"' for (name,) in names if name not in LEFT_OUT)
            found[table] = query(f"select {columns} from {schema}.{table}")
            found[table].sort(key=str)
        return found

    def aside(self) -> list[tuple[Any, ...]]:
        """What is in quarantine, and why."""
        return self.built.landing.query(
            "select q._account, q.resource, q.source_key, q.reason from raw_kafka.quarantine as q"
            " join ops.commits as k on k.run_seq = q._run_seq order by 3, 4"
        )

    def flat(self) -> dict[str, str]:
        """The message of each event that Spark has landed; none is there twice."""
        rows = self.built.landing.query("select event_id, message_id from raw_kafka.site_events_flat")
        assert len(rows) == len(dict(rows))
        return dict(rows)

    def hours(self) -> dict[tuple[Any, str], int]:
        """As Spark has counted them."""
        rows = self.built.landing.query("select hour_at, event_name, events from raw_kafka.site_event_hours")
        return {(hour, name): int(events) for hour, name, events in rows}

    def hours_of_rows(self) -> dict[tuple[Any, str], int]:
        """As the rows say it."""
        rows = self.built.landing.query(
            "select date_trunc('hour', occurred_at::timestamptz, 'UTC'), event_name, count(*)"
            " from raw_kafka.site_events_flat group by 1, 2"
        )
        return {(hour, name): int(events) for hour, name, events in rows}

    def forget(self) -> None:
        """Drop what has landed."""
        self.built.landing.execute(
            "drop schema if exists raw_kafka cascade", "drop schema if exists ops cascade"
        )


@pytest.fixture(scope="module")
def built(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Star]:
    with star(server, tmp_path_factory.mktemp("spark"), selector="stream") as found:
        yield found


@pytest.fixture
def bench(built: Star, tmp_path: Path) -> Bench:
    found = Bench(built, tmp_path)
    found.forget()
    return found


def land(bench: Bench, messages: list[Message]) -> None:
    """By the loader, from a broker."""
    with KafkaCluster() as cluster:
        cluster.create_topic(TOPIC, 4)
        send(messages, cluster.bootstrap)
        with patch.dict(os.environ, bench.built.environment | settings_env(cluster.bootstrap)):
            loader = configure.available()["kafka"]
            settings = configure.settings_of(loader)
            result = SourceRun(loader, settings, warehouse.resolve(), Clock(UNTIL)).execute()
    assert result.outcome == "ok", result


def test_both_paths_give_equal_rows(bench: Bench) -> None:
    """Duplicates in a batch and across some, late events, tombstones, what nobody can use: all are in it."""
    dbt, told = bench.built.dbt, list(parts())
    bench.built.landing.execute(*DIMENSIONS)
    (line,) = (line for block in blocks("sh") for line in block.splitlines() if line.startswith("dbt build"))
    by_page = [word for word in shlex.split(line, comments=True)[1:] if word not in ("--selector", "stream")]
    for part in told[:3]:
        bench.files.write(part)
    bench.spark("--watermark", "30 days")
    dbt(*by_page, "--full-refresh")
    bench.files.write(told[3])
    assert "batch 3" in bench.spark("--watermark", "30 days")
    dbt(*by_page)
    by_spark, aside = bench.built_rows(), bench.aside()
    for sql in blocks("sql"):
        rows = bench.built.landing.query(sql)
        # Only one of the three has rows: no event was too late, and the hours agree.
        assert bool(rows) == ("ops.commits" in sql), sql

    bench.forget()
    land(bench, [message for part in told for message in part])
    dbt("build", "--full-refresh")
    by_loader = bench.built_rows()
    for table, rows in by_loader.items():
        assert by_spark[table] == rows, table
    assert aside == bench.aside()
    events = len(by_loader["stg_kafka__site_events"])
    assert events == len(by_loader["fact_site_event"]) > 800
    assert len(by_loader["rpt_funnel"]) > 100
    assert len({reason for *_, reason in aside}) >= 4
    print(
        f"figure: {events:,} events and {len(aside)} bad ones of {sum(map(len, told)):,} messages are equal"
    )


def first_told(messages: list[Message]) -> dict[str, str]:
    """By event the message that told it first, read here with nothing of the project's."""
    found: dict[str, str] = {}
    placed: dict[int, int] = {}
    for message in messages:
        partition = message.partition(4)
        offset = placed[partition] = placed.get(partition, -1) + 1
        if message.value and message.value not in POISON:
            for event in json.loads(message.value)["events"]:
                found.setdefault(event["event_id"], f"1:{partition}:{offset}")
    return found


KILLS = (
    "load.file_committed",
    "commit.before:2",
    "commit.inside:1",
    "commit.after:1",
    "load.file_committed:2",
)


def test_kills_lose_nothing_and_repeat_nothing(bench: Bench) -> None:
    """Of the job and of its workers, in every step of a batch; at last Spark's own notes are lost, too."""
    told = list(parts())[:3]
    for part in told:
        bench.files.write(part)
    everything = [message for part in told for message in part]
    wanted = first_told(everything)
    landed, outputs = [], []
    for point in KILLS:
        # A worker that dies fails its batch, and with that the job; the job itself can say nothing.
        code = 1 if point.startswith("load.") else -signal.SIGKILL
        output = bench.spark("--no-hours", code=code, ADSTAR_KILL_AT=point)
        assert ("Python worker exited unexpectedly" in output) == (code == 1), output
        assert ("the next start reads it again [rows]" in output) == (code == 1), output
        assert len(output) < 2_000, output
        landed.append(len(bench.flat()))
        assert bench.flat().items() <= wanted.items()
        outputs.append(output)
    assert len(set(landed)) > 1, "no kill came between two batches"
    outputs.append(bench.spark("--no-hours"))
    assert any("batch 1 has landed already" in output for output in outputs)
    assert bench.flat() == wanted
    aside = bench.aside()
    assert len(aside) == sum(message.value in POISON for message in everything)
    bench.checkpoint.rename(bench.folder / "lost")
    assert "0 events landed" in bench.spark("--watermark", "30 days")
    assert bench.flat() == wanted
    assert bench.aside() == aside
    assert bench.hours() == bench.hours_of_rows()
    left = bench.built.landing.query(
        "select count(*) from information_schema.tables where table_name like 'site_events_waiting%'"
    )
    assert left == [(0,)]
    print(f"figure: {len(KILLS)} kills, {len(wanted):,} events each once")


def told(event: str, occurred_at: str, device: str = "d-1") -> Message:
    body = {
        "batch_id": event, "sent_at": "2026-03-02T00:00:00Z", "device_id": device, "user_id": None,
        "events": [{"event_id": event, "event_name": "click", "occurred_at": occurred_at}],
    }  # fmt: skip
    return Message(TOPIC, device.encode(), [], json.dumps(body).encode(), AT)


def test_what_is_later_than_the_watermark_lands_and_is_told(bench: Bench) -> None:
    bench.files.write([told("new", "2026-03-01T12:10:00Z")])
    bench.files.write([told("late", "2026-03-01T11:30:00Z"), told("new", "2026-03-01T12:10:00Z")])
    bench.spark("--watermark", "2 hours")
    bench.files.write([told("too late", "2026-03-01T08:00:00Z"), told("in time", "2026-03-01T12:59:59Z")])
    output = bench.spark("--watermark", "2 hours")
    assert "1 events came later than 2 hours behind the newest one" in output
    assert bench.flat().keys() == {"new", "late", "in time", "too late"}
    assert {hour.hour: events for (hour, _), events in bench.hours().items()} == {11: 1, 12: 2}
    assert bench.built.landing.query("select sum(dropped) from raw_kafka.site_event_progress") == [(1,)]


def test_it_keeps_running_until_it_is_asked_to_end(bench: Bench) -> None:
    """Alone: a second job is refused. No personal value is anywhere in clear."""
    bench.files.write(list(odd()))
    with subprocess.Popen(
        bench.command("--every", "1"),
        cwd=ROOT,
        env=bench.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout
        for line in process.stdout:
            if "batch 0" in line:
                break
        bench.files.write([told("second", "2026-03-01T12:10:00Z", "Somebody's telephone")])
        output = bench.spark(code=1)
        assert "another run of kafka_spark is at work" in output
        deadline = time.monotonic() + 120
        while "second" not in bench.flat():
            assert time.monotonic() < deadline
            time.sleep(0.2)
        process.terminate()
        assert process.wait(120) == 0
    query = bench.built.landing.query
    assert query("select released from ops.lease where pipeline = 'kafka_spark'") == [(True,)]
    everything = str(query("select f::text from raw_kafka.site_events_flat as f"))
    everything += str(query("select q::text from raw_kafka.quarantine as q"))
    assert "sealed:" in everything
    assert "Somebody" not in everything
    assert query(
        "select count(*) from raw_kafka.site_events_flat where value__device_id__pseudonym is null"
    ) == [(0,)]
