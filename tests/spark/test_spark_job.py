"""The job of Spark over a folder of files: the rows of the small path, whatever ends it on the way."""

from __future__ import annotations

import os
import subprocess
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
from simulators.site_events import TOPIC, Message, send, settings_env
from simulators.topic_files import TopicFiles
from tests.conftest import ROOT
from tests.dbt.star import Star, star
from tests.spark.topic import UNTIL, parts

pytestmark = pytest.mark.full
STAGED = ("stg_kafka__receipts", "stg_kafka__sets", "stg_kafka__twin_sets", "stg_kafka__site_events")
BY_SPARK = ("--vars", "site_events_by: spark")
# Which run brought a row, and when, is told of the path and not of the event.
LEFT_OUT = {"run_seq", "read_at"}


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

    def staged(self) -> list[tuple[Any, ...]]:
        """All rows of the model, without what is left out."""
        query = self.built.landing.query
        names = query(
            "select column_name from information_schema.columns where table_schema = 'staging'"
            " and table_name = 'stg_kafka__site_events' order by ordinal_position"
        )
        columns = ", ".join(f'"{name}"' for (name,) in names if name not in LEFT_OUT)
        return query(f"select {columns} from staging.stg_kafka__site_events order by event_id")

    def aside(self) -> list[tuple[Any, ...]]:
        """What is in quarantine, and why."""
        return self.built.landing.query(
            "select q._account, q.resource, q.source_key, q.reason from raw_kafka.quarantine as q"
            " join ops.commits as k on k.run_seq = q._run_seq order by 3, 4"
        )

    def flat(self) -> list[tuple[Any, ...]]:
        """What Spark has landed, runs and ciphertext aside (a person's is the same each time)."""
        return self.built.landing.query(
            "select event_id, message_id, element_no, items, value__device_id, value__user_id"
            " from raw_kafka.site_events_flat order by 1"
        )

    def forget(self) -> None:
        """Drop what has landed."""
        self.built.landing.execute(
            "drop schema if exists raw_kafka cascade", "drop schema if exists ops cascade"
        )


@pytest.fixture(scope="module")
def built(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Star]:
    with star(server, tmp_path_factory.mktemp("spark")) as found:
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
    for part in told[:3]:
        bench.files.write(part)
    bench.spark()
    dbt("run", "--select", *STAGED, *BY_SPARK, "--full-refresh")
    bench.files.write(told[3])
    assert "batch 3" in bench.spark()
    dbt("run", "--select", *STAGED, *BY_SPARK)
    by_spark, aside = bench.staged(), bench.aside()

    bench.forget()
    land(bench, [message for part in told for message in part])
    dbt("run", "--select", *STAGED, "--full-refresh")
    by_loader = bench.staged()
    assert dict.fromkeys(by_spark) == dict.fromkeys(by_loader)
    assert by_spark == by_loader
    assert aside == bench.aside()
    assert len(by_spark) > 800
    assert len({reason for *_, reason in aside}) >= 4
    print(
        f"figure: {len(by_spark):,} events and {len(aside)} bad messages of {sum(map(len, told)):,} are equal"
    )
