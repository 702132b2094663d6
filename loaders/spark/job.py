"""The job: Spark Structured Streaming from a topic, or from files like one, into the warehouse.

Run by scripts/spark with a `Plan` on its standard input. Two queries read the same source: `rows` lands each
event once, whenever it comes, and `hours` counts events by the hour in which they happened, with a watermark
behind which it forgets. No row goes through what forgets, so late events land all the same.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from loaders._core import redact
from loaders._core.errors import AdstarError
from loaders._core.stopping import STOPPING
from loaders.spark.flatten import Flattener, occurred
from loaders.spark.plan import Plan
from loaders.spark.sink import Sink, written

_log = logging.getLogger("adstar.spark")
OK, FAILED = 0, 1
MESSAGE = (
    "key binary, value binary, topic string, partition int, offset long, timestamp timestamp,"
    " timestampType int, headers array<struct<key: string, value: binary>>"
)
"""What Spark's Kafka source gives, and files have in its place.

https://spark.apache.org/docs/latest/streaming/structured-streaming-kafka-integration.html
"""
_CAUSE = re.compile(r"[\w.]*(?:Error|Exception): [^\n]*")
_LONG = 400  # letters of a cause
COLUMNS = ("key", "value", "partition", "offset", "timestamp", "timestampType", "headers")


class Stopped(Exception):
    """The job was asked to end: a batch is not begun any more."""


def main() -> int:
    """Run the plan of the standard input; the exit code."""
    logging.basicConfig(format="%(message)s", level=logging.INFO, stream=sys.stdout)
    for noisy in ("py4j", "pyspark"):  # what goes wrong is told once, at the end
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    redact.install()
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    redact.secret(plan.secrets.password)
    for value in plan.secrets.source.values():
        redact.secret(value)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: STOPPING.set())
    try:
        with Sink(plan.target(), plan.topic) as sink:
            return Job(plan, sink).run()
    except AdstarError as error:
        print(f"scripts/spark: {error}", file=sys.stderr)
    except PySparkException as error:  # it can't begin
        print(f"scripts/spark: {_told(error)}", file=sys.stderr)
    return FAILED


class Job:
    """One plan at work."""

    def __init__(self, plan: Plan, sink: Sink) -> None:
        """Nothing is begun yet."""
        self._plan, self._sink = plan, sink
        self._query_id = ""
        self._error: Exception | None = None
        self._has_id = threading.Event()
        self._noted = -1

    def run(self) -> int:
        """Until all there is has been read, or until it is asked to end."""
        spark = session()
        try:
            queries = [self._rows(self._source(spark))]
            self._query_id = queries[0].id
            self._has_id.set()
            if self._plan.counts_hours:
                queries.append(self._hours(self._source(spark)))
            while any(query.isActive for query in queries):
                failed = any(query.exception() for query in queries)
                for query in queries:
                    if query.isActive and (failed or (STOPPING.is_set() and _is_idle(query))):
                        query.stop()
                self._tell_progress(queries[1:])
                time.sleep(0.2)
            for query in queries:
                self._raise(query)
            self._tell_progress(queries[1:])
        finally:
            spark.stop()
        return OK

    # -- rows ---------------------------------------------------------------------------------------

    def _rows(self, messages: DataFrame) -> Any:
        return self._started("rows", messages, self._land)

    def _land(self, messages: DataFrame, batch_id: int) -> None:
        """One batch; Spark gives it again if it does not know that it was done."""
        self._has_id.wait()
        began = time.monotonic()
        batch = f"{self._query_id}:{batch_id}"
        if self._sink.has(batch):
            _log.info("batch %d has landed already", batch_id)
            return
        self._sink.empty()
        work = partial(_written, self._plan, self._sink.tombstones(), self._sink.waiting)
        told = messages.mapInArrow(work, "events long, rejected long").collect()
        landed = self._sink.take(batch)
        seconds = time.monotonic() - began
        _log.info(
            "batch %d: %d events landed, %d were there, %d messages aside, %.1f s",
            batch_id,
            landed.events,
            sum(row.events for row in told) - landed.events,
            landed.rejected,
            seconds,
        )

    # -- hours --------------------------------------------------------------------------------------

    def _hours(self, messages: DataFrame) -> Any:
        """Events by hour and name, each counted once, while the watermark has not passed them."""
        events = messages.mapInArrow(
            partial(_occurred, self._plan), "event_id string, event_name string, event_at timestamp"
        )
        counted = (
            events.withWatermark("event_at", self._plan.watermark)
            .dropDuplicatesWithinWatermark(["event_id"])
            .groupBy(F.window("event_at", "1 hour").alias("hour"), "event_name")
            .count()
        )
        return self._started("hours", counted, self._count)

    def _count(self, hours: DataFrame, batch_id: int) -> None:
        found = hours.select(F.unix_seconds("hour.start").alias("at"), "event_name", "count").collect()
        self._sink.count((row["at"], row["event_name"], row["count"]) for row in found)

    def _tell_progress(self, queries: list[Any]) -> None:
        for query in queries:
            for progress in query.recentProgress:
                if progress["batchId"] > self._noted:
                    self._noted = progress["batchId"]
                    if dropped := self._sink.note(progress):
                        _log.warning(
                            "%d events came later than %s behind the newest one: they have landed, and are"
                            " not counted in their hours",
                            dropped,
                            self._plan.watermark,
                        )

    # -- both ---------------------------------------------------------------------------------------

    def _source(self, spark: SparkSession) -> DataFrame:
        plan = self._plan
        reader = spark.readStream.format(plan.source).options(**plan.options, **plan.secrets.source)
        if plan.source != "kafka":
            reader = reader.schema(MESSAGE)
        return reader.load().select(*COLUMNS)

    def _started(self, name: str, frame: DataFrame, each: Any) -> Any:
        every = self._plan.every
        trigger: dict[str, Any] = (
            {"availableNow": True} if every is None else {"processingTime": f"{every} seconds"}
        )
        return (
            frame.writeStream.queryName(name)
            .outputMode("append" if name == "rows" else "update")
            .option("checkpointLocation", f"{self._plan.checkpoint.rstrip('/')}/{name}")
            .trigger(**trigger)
            .foreachBatch(partial(self._kept, each))
            .start()
        )

    def _kept(self, each: Any, frame: DataFrame, batch_id: int) -> None:
        """Keep what goes wrong in a batch: Spark tells of it as text only."""
        if STOPPING.is_set():
            raise Stopped
        try:
            each(frame, batch_id)
        except Exception as error:
            self._error = error
            raise

    def _raise(self, query: Any) -> None:
        """What a query has failed with, as an error of ours."""
        error = query.exception()
        if error is None or (STOPPING.is_set() and Stopped.__name__ in str(error)):
            return
        if isinstance(self._error, AdstarError):
            raise self._error
        raise AdstarError(
            f"{_told(self._error or error)}; nothing of that batch has landed, the next start reads it again",
            where=query.name,
        )


def session() -> SparkSession:
    """Spark, with what the job relies on; other settings come from the command line."""
    spark = (
        SparkSession.builder.appName("adstar site events")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.execution.arrow.maxRecordsPerBatch", "2000")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel(os.environ.get("ADSTAR_SPARK_LOG", "OFF"))
    return spark


def _written(
    plan: Plan, tombstones: tuple[str, ...], waiting: str, batches: Iterator[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    flattener = Flattener(plan.cut(), plan.protection(tombstones))
    return written(
        plan.target(), waiting, lambda: (rows for batch in batches for rows in flattener.rows(batch))
    )


def _occurred(plan: Plan, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    flattener = Flattener(plan.cut(), plan.protection())
    return (occurred(rows) for batch in batches for rows in flattener.rows(batch))


def _is_idle(query: Any) -> bool:
    """Whether it is between two batches."""
    return not query.status["isTriggerActive"]


def _told(error: Exception) -> str:
    """What matters of an error of Spark's, which brings along where it passed: its causes, without places."""
    found = _CAUSE.findall(str(error)) or [str(error) or repr(error)]
    return " / ".join(each[:_LONG] for each in dict.fromkeys(found[:1] + found[-1:]))


if __name__ == "__main__":
    sys.exit(main())
