"""The site's events by both paths: the loader and dbt's flattening, and Spark on two cores.

`python -m tests.benchmarks.spark --rows 200000` prints one JSON line. Each path has the same messages,
begins with an empty warehouse and ends with `stg_kafka__site_events`. Seconds are of whole commands; CPU
seconds, which other work on the machine changes little, those of all that they start and of Postgres; memory
is that of reading and of all that it starts, Postgres aside. Spark reads files in place of a topic.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import psutil
import psycopg2

from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.warehouse import ensure_started
from simulators.site_events import TOPIC, Message, send, settings_env
from simulators.topic_files import TopicFiles
from tests.benchmarks.kafka import cluster
from tests.benchmarks.landing import memory
from tests.benchmarks.promises import own_warehouse, tell
from tests.conftest import ROOT

FILE = 12_500  # messages of a file; each is one task of Spark's
STAGED = ("stg_kafka__receipts", "stg_kafka__sets", "stg_kafka__twin_sets", "stg_kafka__site_events")
PARTITIONS = 96  # of which the mock cluster keeps 5 MB each


def messages(rows: int) -> Iterator[Message]:
    """Batches of three events, about 1 kB each."""
    chance = random.Random(5)
    for number in range(rows):
        device = f"d-{chance.randrange(50_000):05}"
        at = 1_772_345_000_000 + number
        body = {
            "batch_id": f"{number:012x}",
            "sent_at": _text(at),
            "device_id": device,
            "user_id": None if number % 3 else f"u-{chance.randrange(10_000)}",
            "context": {
                "page": {"url": f"https://shop.example/products/{chance.randrange(500)}?campaignid=7"},
                "campaign": {"utm_source": "spring", "utm_medium": "cpc", "gclid": f"g-{number}"},
                "locale": "de-DE",
                "app": {"name": "shop", "version": "2.3.0", "platform": "web"},
            },
            "events": [
                {
                    "event_id": f"{chance.getrandbits(48):012x}-{n}",
                    "event_name": chance.choice(("page_view", "view_item", "order")),
                    "occurred_at": _text(at - 1000 * n),
                    "properties": {
                        "value": chance.randrange(9_000) / 100,
                        "currency": "EUR",
                        "items": [{"product_id": "7", "quantity": 2, "price": 12.5}],
                    },
                }
                for n in range(3)
            ],
        }
        yield Message(TOPIC, device.encode(), [("via", b"edge")], json.dumps(body).encode(), at)


def _text(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat()


def measured(name: str, *command: str) -> dict[str, float]:
    """Run a command; its figures under this name. Looking is rare, since it costs what it measures."""
    postmaster = int((EmbeddedWarehouse().folder / "data" / "postmaster.pid").read_text().split()[0])
    server = psutil.Process(postmaster)
    before, used, peak = _used(server), {}, 0.0
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            used |= _used(server) | _used(psutil.Process(process.pid))
            peak = max(peak, memory(process.pid))
            time.sleep(0.5)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    used |= _used(server)
    return {
        f"{name}_seconds": round(time.perf_counter() - began, 1),
        f"{name}_cpu_seconds": round(sum(each - before.get(one, 0) for one, each in used.items()), 1),
        f"{name}_peak_mb": round(peak),
    }


def _used(parent: psutil.Process) -> dict[tuple[int, float], float]:
    """CPU seconds of a process and of those below it, by number and birth."""
    found = {}
    with suppress(psutil.NoSuchProcess):
        for each in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                used = each.cpu_times()
                found[each.pid, each.create_time()] = used.user + used.system
    return found


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
    with own_warehouse(), cluster(PARTITIONS) as bootstrap:
        send(messages(rows), bootstrap, PARTITIONS)
        os.environ.update(settings_env(bootstrap))
        ensure_started()
        told = measured("read", "dlt", "pipeline", "kafka", "run")
        return told | build(), count()


def spark(rows: int, folder: Path, *more: str) -> tuple[dict[str, float], int]:
    """The job and the build that reads what it has landed."""
    with own_warehouse():
        os.environ.update(settings_env("127.0.0.1:1"))
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
        files = TopicFiles(Path(name), PARTITIONS)
        told = messages(rows)
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
