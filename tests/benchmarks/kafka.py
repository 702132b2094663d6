"""Landing rate of a Kafka topic: the real command against plain COPY of the same rows, in one run.

`python -m tests.benchmarks.kafka --rows 1000000` prints one JSON line: messages a second, the ratio to COPY,
peak memory of the landing processes. The topic is on librdkafka's mock cluster in a process of its own, which
keeps 5 MB of a partition as sent: messages are sent compressed, to as many partitions as it takes.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from confluent_kafka import Producer

from loaders._core.warehouse import ensure_started
from tests.benchmarks.landing import run
from tests.benchmarks.promises import own_warehouse, tell

TOPIC = "site_events"
MESSAGE_BYTES = 1_000
KINDS = ("impression", "page_view", "click", "sign_up", "order")


@contextmanager
def cluster(partitions: int) -> Iterator[str]:
    """A mock cluster in a process of its own with the topic; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulators.kafka_cluster", "--topic", f"{TOPIC}:{partitions}"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())["bootstrap"]
    finally:
        process.terminate()
        process.wait()


def messages(rows: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of 1 kB: site events with a context and a nested list."""
    chance = random.Random(5)
    for number in range(rows):
        device = f"d-{chance.randrange(50_000):05}"
        value = {
            "batch_id": f"{number:012x}",
            "sent_at": f"2026-03-01T12:{number // 60 % 60:02}:{number % 60:02}.{number % 1000:03}Z",
            "device_id": device,
            "user_id": None if number % 3 else f"u-{chance.randrange(10_000)}",
            "context": {"app": "2.3.0", "locale": "de-DE", "page": f"/products/{chance.randrange(500)}"},
            "events": [
                {
                    "event_id": f"{chance.getrandbits(48):012x}",
                    "kind": chance.choice(KINDS),
                    "at": number + n,
                    "value": f"{chance.randrange(9_000) / 100:.2f}",
                    "properties": {"campaign": "spring", "position": n},
                }
                for n in range(5)
            ],
            "padding": "",
        }
        value["padding"] = "x" * max(0, MESSAGE_BYTES - len(json.dumps(value)))
        yield device.encode(), json.dumps(value).encode()


def produce(bootstrap: str, rows: int) -> None:
    """Send them all, by key, in batches of a quarter of a second.

    The simulated broker looks for an offset batch by batch from a partition's first one on, which no real
    one does: with batches of 50 ms that was 28 of the run's 115 s of processor, with these it is 1.
    """
    settings = {"bootstrap.servers": bootstrap, "linger.ms": 250, "compression.type": "zstd", "log_level": 0}
    producer = Producer(settings | {"queue.buffering.max.kbytes": 65_536, "batch.size": 900_000})
    for key, value in messages(rows):
        while True:
            try:
                producer.produce(TOPIC, value, key)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    if producer.flush(120):
        raise SystemExit("not all messages were taken")


def land(bootstrap: str) -> tuple[float, float]:
    """`dlt pipeline kafka run` from an empty state; wall seconds of the whole command, peak MB."""
    return run(
        [str(Path(sys.executable).with_name("dlt")), "pipeline", "kafka", "run"],
        {
            "SOURCES__KAFKA__BOOTSTRAP_SERVERS": bootstrap,
            f"SOURCES__KAFKA__TOPICS__{TOPIC.upper()}__MAX_MESSAGES": "100000000",
            f"SOURCES__KAFKA__TOPICS__{TOPIC.upper()}__MAX_SECONDS": "3600",
        },
    )


def copy(connection: psycopg2.extensions.connection, rows: int) -> float:
    """Rows a second of COPY of the rows that have landed, as text, into another table; nothing else done."""
    with connection, connection.cursor() as cursor:
        buffer = io.BytesIO()
        some = f"(select * from raw_kafka.{TOPIC} limit {rows})"
        cursor.copy_expert(f"copy {some} to stdout (format csv, force_quote *)", buffer)
        buffer.seek(0)
        cursor.execute("drop table if exists public.plain_copy")
        cursor.execute(f"create table public.plain_copy as select * from raw_kafka.{TOPIC} limit 0")
    started = time.perf_counter()
    with connection, connection.cursor() as cursor:
        cursor.copy_expert("copy public.plain_copy from stdin (format csv)", buffer)
        taken = cursor.rowcount
    return taken / (time.perf_counter() - started)


def measure(rows: int, partitions: int) -> dict[str, float | int]:
    """Both, one after the other; every message must be there once."""
    warehouse = ensure_started()
    with cluster(partitions) as bootstrap:
        produce(bootstrap, rows)
        seconds, peak = land(bootstrap)
    with closing(psycopg2.connect(warehouse.dsn)) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "select count(*), count(distinct message_id), avg(octet_length(value))::int,"
                f' count(distinct "partition") from raw_kafka.{TOPIC} join ops.commits on run_seq = _run_seq'
            )
            landed, distinct, size, used = cursor.fetchone()
        if (landed, distinct) != (rows, rows):
            raise SystemExit(f"landed {landed:,}, distinct {distinct:,}, expected {rows:,} of each")
        plain = copy(connection, min(rows, 100_000))
    rate = rows / seconds
    return {
        "rows": rows,
        "bytes": size,
        "partitions": used,
        "rows_per_second": round(rate),
        "peak_mb": round(peak),
        "copy_rows_per_second": round(plain),
        "ratio_to_copy": round(rate / plain, 2),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=96)
    parser.add_argument("--prove", action="store_true", help="fail if a figure is not what was promised")
    options = parser.parse_args(arguments)
    with own_warehouse():
        figures = measure(options.rows, options.partitions)
        promised = {
            "rows_per_second": figures["rows_per_second"] >= 15_000,
            "peak_mb": figures["peak_mb"] < 400,
        }
        tell(figures, promised if options.prove else None)


if __name__ == "__main__":
    main()
