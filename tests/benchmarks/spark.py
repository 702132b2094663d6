"""The site's events by both paths: the loader and dbt's flattening, and Spark on two cores.

`python -m tests.benchmarks.spark --rows 200000` prints one JSON line. Each path has the same messages,
begins with an empty warehouse and ends with `stg_kafka__site_events`. Seconds are of whole commands; CPU
seconds, which other work on the machine changes little, those of all that they start and of Postgres; memory
is that of reading and of all that it starts, Postgres aside. Spark reads files in place of a topic.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

import psutil
import psycopg2

from loaders._core.embedded import EmbeddedWarehouse
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


class Cpu:
    """CPU seconds of all that this process starts, and of the warehouse, within a `with`."""

    def __init__(self) -> None:
        self._seen: dict[tuple[int, float], float] = {}
        self._before: dict[tuple[int, float], float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Cpu:
        self._look()
        self._before = dict(self._seen)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._look()

    @property
    def seconds(self) -> float:
        return sum(used - self._before.get(one, 0) for one, used in self._seen.items())

    def _watch(self) -> None:
        while not self._ended.wait(0.1):
            self._look()

    def _look(self) -> None:
        postmaster = int((EmbeddedWarehouse().folder / "data" / "postmaster.pid").read_text().split()[0])
        roots = [psutil.Process(), psutil.Process(postmaster)]
        for process in (roots[1], *(child for root in roots for child in root.children(recursive=True))):
            with suppress(psutil.NoSuchProcess):
                used = process.cpu_times()
                self._seen[process.pid, process.create_time()] = used.user + used.system


def measured(name: str, *command: str) -> dict[str, float]:
    """Run a command; its figures under this name."""
    with Cpu() as cpu:
        seconds, peak = run(command)
    return {
        f"{name}_seconds": round(seconds, 1),
        f"{name}_cpu_seconds": round(cpu.seconds, 1),
        f"{name}_peak_mb": round(peak),
    }


def build(*more: str) -> dict[str, float]:
    """`dbt run` of the model."""
    places = ["--project-dir", str(ROOT / "dbt_project"), "--profiles-dir", str(ROOT / "profiles")]
    return measured("build", "dbt", "--quiet", "run", "--select", *STAGED, *places, *more)


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
        return measured("read", "dlt", "pipeline", "kafka", "run") | build(), count()


def spark(rows: int, folder: Path, *more: str) -> tuple[dict[str, float], int]:
    """The job and the build that reads what it has landed."""
    with own_warehouse():
        os.environ.update(settings_env("127.0.0.1:1") | REQUIRED)
        ensure_started()
        places = ["--files", str(folder), "--option", "maxFilesPerTrigger=8"]
        command = [sys.executable, str(ROOT / "scripts" / "_spark.py"), *places, "--master", "local[2]"]
        told = measured("read", *command, *more)
        return told | build("--vars", "site_events_by: spark"), count()


def measure(rows: int) -> dict[str, object]:
    """Both, one after the other; they must have the same events."""
    subprocess.run([str(ROOT / "scripts" / "spark"), "--help"], check=True, stdout=subprocess.DEVNULL)
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
