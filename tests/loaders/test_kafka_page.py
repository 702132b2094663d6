"""What docs/runbooks/kafka.md says to type works as it stands there."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, get_type_hints

import pytest
from confluent_kafka import Producer

from loaders._core.topics import COLUMNS, ORIGINAL
from loaders._core.warehouse import Target
from loaders.kafka import KafkaSettings, Topic
from simulators.kafka_cluster import KafkaCluster
from tests import preloaded
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "runbooks" / "kafka.md").read_text()
EVENT = {"sent_at": "2026-03-01T12:00:00Z", "device_id": "d-1", "user_id": None, "context": {}, "events": []}


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def query(target: Target, sql: str) -> list[tuple[Any, ...]]:
    connection = target.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()
    finally:
        connection.close()


def test_the_pages_settings_commands_and_queries_work(target: Target, tmp_path: Path) -> None:
    declared, anew = blocks("toml")
    lines = [line.partition("#")[0] for block in blocks("sh") for line in block.splitlines()]
    with KafkaCluster() as cluster:
        cluster.create_topic("site-events", 2)
        producer = Producer({"bootstrap.servers": cluster.bootstrap, "log_level": 0})

        def put(value: bytes) -> None:
            producer.produce("site-events", value)
            assert producer.flush(20) == 0

        (tmp_path / ".dlt").mkdir()
        told = declared.replace("kafka-1:9092,kafka-2:9092", cluster.bootstrap)
        assert told != declared
        (tmp_path / ".dlt" / "config.toml").write_text(told)
        put(json.dumps(EVENT).encode())
        put(b"oops")
        outputs = []
        for line in lines:
            command = [str(Path(sys.executable).with_name("dlt")), *shlex.split(line)[1:]]
            process = preloaded.Popen(
                command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            if "--follow" in line:
                put(json.dumps(EVENT).encode())
                deadline = time.monotonic() + 60
                while query(target, "select count(*) from raw_kafka.site_events") != [(2,)]:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                process.send_signal(signal.SIGTERM)
            output, _ = process.communicate(timeout=120)
            assert process.returncode == 0, output
            outputs.append(output)
        assert "site_events, offsets" in outputs[0]
        assert "1 of 2 records of site_events went to raw_kafka.quarantine" in outputs[1]
        assert "1 rows landed" in outputs[2]
        assert "1 records stay in raw_kafka.quarantine" in outputs[3]
        how_far, how_long = blocks("sql")
        found = query(target, how_far)
        assert [row[:2] for row in found] == [("site-events", "0"), ("site-events", "1")]
        assert sum(int(row[2]) for row in found) == 3
        assert query(target, how_long)[0][0].total_seconds() < 120
        merged = {**_table(declared), **_table(anew)}
        assert merged["incarnation"] == "2"


def _table(text: str) -> dict[str, str]:
    return dict(re.findall(r"^(\w+) = (.*)$", text, re.MULTILINE))


@pytest.mark.parametrize("kind", [Topic, KafkaSettings])
def test_the_page_tells_every_setting(kind: type) -> None:
    names = set(get_type_hints(kind)) if kind is Topic else set(KafkaSettings.__annotations__)
    told = set(re.findall(r"`(\w+)`", "".join(line for line in PAGE.splitlines() if line.startswith("| `"))))
    told.add("bootstrap_servers")
    assert names - {"topics", "api_version"} <= told


def test_the_page_tells_every_column() -> None:
    for name in (*COLUMNS, ORIGINAL):
        assert f"`{name}`" in PAGE
