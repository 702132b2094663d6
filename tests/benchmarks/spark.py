"""The site's events by both paths: the loader and dbt's flattening, and Spark on two cores.

`python -m tests.benchmarks.spark --rows 200000` prints one JSON line. Each path has the same messages,
begins with an empty warehouse and ends with `stg_kafka__site_events`. Seconds are those of the whole commands,
memory is that of reading and of all that it starts, Postgres aside. Spark reads files in place of a topic.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import psycopg2

from loaders._core.warehouse import ensure_started
from simulators.site_events import Message, settings_env
from simulators.topic_files import TopicFiles
from tests.benchmarks.kafka import TOPIC, cluster, messages, produce
from tests.benchmarks.landing import run
from tests.benchmarks.promises import own_warehouse, tell
from tests.conftest import ROOT

FILE = 12_500  # messages of a file; each is one task of Spark's
STAGED = ("stg_kafka__receipts", "stg_kafka__sets", "stg_kafka__twin_sets", "stg_kafka__site_events")
REQUIRED = {f"SOURCES__KAFKA__TOPICS__{TOPIC.upper()}__REQUIRED": '["sent_at", "device_id", "events"]'}


def build(*more: str) -> tuple[float, float]:
    """`dbt run` of the model; seconds, peak MB."""
    places = ["--project-dir", str(ROOT / "dbt_project"), "--profiles-dir", str(ROOT / "profiles")]
    return run(["dbt", "--quiet", "run", "--select", *STAGED, *places, *more])


def count() -> int:
    """Events in the model."""
    with closing(psycopg2.connect(ensure_started().dsn)) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from staging.stg_kafka__site_events")
        return int(cursor.fetchone()[0])


def small(rows: int) -> tuple[dict[str, float], int]:
    """The loader and the build; figures, and how many events there are."""
    with own_warehouse(), cluster(96) as bootstrap:
        produce(bootstrap, rows)
        os.environ.update(settings_env(bootstrap) | REQUIRED)
        ensure_started()
        loaded, peak = run(["dlt", "pipeline", "kafka", "run"])
        built, _ = build()
        told = {
            "loader_seconds": round(loaded, 1),
            "build_seconds": round(built, 1),
            "loader_peak_mb": round(peak),
            "messages_per_second": round(rows / (loaded + built)),
        }
        return told, count()


def spark(rows: int, folder: Path, *more: str) -> tuple[dict[str, float], int]:
    """The job and the build that reads what it has landed."""
    with own_warehouse():
        os.environ.update(settings_env("127.0.0.1:1") | REQUIRED)
        ensure_started()
        places = ["--files", str(folder), "--option", "maxFilesPerTrigger=8"]
        seconds, peak = run([str(ROOT / "scripts" / "spark"), *places, "--master", "local[2]", *more])
        built, _ = build("--vars", "site_events_by: spark")
        told = {
            "spark_seconds": round(seconds, 1),
            "build_seconds": round(built, 1),
            "spark_peak_mb": round(peak),
            "messages_per_second": round(rows / (seconds + built)),
        }
        return told, count()


def measure(rows: int) -> dict[str, object]:
    """Both, one after the other; they must have the same events."""
    figures: dict[str, object] = {"messages": rows}
    figures["small"], events = small(rows)
    with tempfile.TemporaryDirectory(prefix="adstar-topic-") as name:
        files = TopicFiles(Path(name), 96)
        told = (Message(TOPIC, key, [], value, 1_772_345_000_000) for key, value in messages(rows))
        while some := list(islice(told, FILE)):
            files.write(some)
        for label, more in (("spark", ["--no-hours"]), ("spark_with_hours", [])):
            figures[label], found = spark(rows, Path(name), *more)
            if found != events:
                raise SystemExit(f"{label} has {found:,} events, the small path {events:,}")
    return figures | {"events": events}


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=200_000)
    options = parser.parse_args(arguments)
    tell(measure(options.rows))


if __name__ == "__main__":
    main()
