"""Batches land once: what the job's driver and workers do to the warehouse, without Spark."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders._core.lease import Lease, LeaseLost, LeaseTaken
from loaders._core.warehouse import Target
from loaders.spark.flatten import Flattener
from loaders.spark.plan import FLAT, PIPELINE
from loaders.spark.sink import Sink, written
from simulators.site_events import Message
from simulators.topic_files import TopicFiles
from tests.conftest import ROOT
from tests.spark.test_spark_flatten import PLAN
from tests.spark.topic import odd

sys.path.insert(0, str(ROOT / "scripts"))
import _spark


@pytest.fixture
def prepared(target: Target) -> Target:
    _spark.prepare(target)
    return target


def query(target: Target, sql: str) -> list[tuple[Any, ...]]:
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())


def write(target: Target, sink: Sink, folder: Path, messages: list[Message]) -> list[dict[str, int]]:
    """As a task of Spark's."""
    TopicFiles(folder, 1).write(messages)

    def rows() -> Iterator[pa.RecordBatch]:
        flattener = Flattener(PLAN.cut(), PLAN.protection())
        for batch in pq.read_table(folder).to_batches():
            yield from flattener.rows(batch)

    return pa.Table.from_batches(written(target, sink.waiting, rows)).to_pylist()


def test_a_batch_lands_once_however_often_its_tasks_ran(prepared: Target, tmp_path: Path) -> None:
    messages = list(odd())
    with Sink(prepared, "site_events") as sink:
        sink.empty()
        told = [write(prepared, sink, tmp_path / name, messages) for name in ("a", "again")]
        assert told == [[{"events": 15, "rejected": 6}]] * 2
        first = sink.take("query:0")
        assert (first.events, first.rejected) == (12, 6)
        assert sink.has("query:0")
        assert not sink.has("query:1")
        second = sink.take("query:1")
        assert (second.events, second.rejected) == (0, 0)
    found = query(prepared, f"select event_id, message_id, _account from raw_kafka.{FLAT}")
    assert len(found) == 12
    assert ("exact", "3:0:0", "site_events") in found
    commits = "select run_seq, load_id from ops.commits order by 1"
    (one, _), (two, name) = query(prepared, commits)
    assert (one < two, name) == (True, "query:1")
    assert query(prepared, f"select distinct _run_seq from raw_kafka.{FLAT}") == [(one,)]


def test_values_come_as_they_were(prepared: Target, tmp_path: Path) -> None:
    """Quotes, line breaks, empty texts and none: all that COPY might change."""
    value = (
        b'{"batch_id": "", "sent_at": "2026-03-01T05:10:00Z", "device_id": "d", "events": [{"event_id":'
        b' "a,\\"b\\"\\r\\n\\\\N", "event_name": "", "properties": {"order_id": null, "items": "[1,\\n2]"}}]}'
    )
    with Sink(prepared, "site_events") as sink:
        write(prepared, sink, tmp_path / "a", [Message("site_events", None, [], value, 1)])
        sink.take("query:0")
    columns = "event_id, event_name, order_id, items, value__batch_id, item_count"
    found = query(prepared, f"select {columns} from raw_kafka.{FLAT}")
    assert found == [('a,"b"\r\n\\N', "", None, "[1,\n2]", "", "2")]


def test_one_job_at_a_time_and_none_that_was_taken_over(
    prepared: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Sink(prepared, "site_events") as sink:
        with pytest.raises(LeaseTaken), Sink(prepared, "site_events"):
            pass
        write(prepared, sink, tmp_path / "a", list(odd()))
        monkeypatch.setenv("ADSTAR_LEASE_SECONDS", "-1")  # silent for long enough
        with Lease(prepared, PIPELINE), pytest.raises(LeaseLost):
            sink.take("query:0")
    assert query(prepared, f"select count(*) from raw_kafka.{FLAT}") == [(0,)]
    assert query(prepared, "select count(*) from ops.commits") == [(0,)]


def test_what_a_killed_job_left_is_removed(prepared: Target) -> None:
    left = "select table_name from information_schema.tables where table_name like 'site_events_waiting%'"
    with closing(prepared.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("create table raw_kafka.site_events_waiting_7 (a int)")
    with Sink(prepared, "site_events") as sink:
        assert query(prepared, left) == [(sink.waiting,)]
    assert query(prepared, left) == []
