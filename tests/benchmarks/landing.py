"""Landing rate of the insights feed: the real command against dlt's default path and against plain COPY.

`python -m tests.benchmarks.landing --rows 1000000` prints one JSON line: rows a second, ratios, peak
memory of the landing processes. All three take the same pages from the same server process, in one run, into
one server.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path

import psutil
import psycopg2

from loaders._core.warehouse import ensure_started
from tests.benchmarks import feed
from tests.benchmarks.promises import own_warehouse, tell
from tests.ports import free_port

DLT_DEFAULT_ROWS = 40_000
_DLT_DEFAULT = """
import json, sys, urllib.request
import dlt

@dlt.resource(name="insights", write_disposition="append")
def insights(url):
    while url:
        with urllib.request.urlopen(url) as answer:
            page = json.load(answer)
        yield page["data"]
        url = page["paging"].get("next")

dlt.pipeline(
    "as_shipped", destination=dlt.destinations.postgres(sys.argv[2]), dataset_name="as_shipped",
    pipelines_dir=sys.argv[3],
).run(insights(sys.argv[1]))
"""


def run(command: Sequence[str], environment: dict[str, str] | None = None) -> tuple[float, float]:
    """Run a process to its end; return (wall seconds, peak MB of it and of all that it starts)."""
    together, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.25):  # a look walks all their memory: twenty a second took a tenth of the time
            together.append(memory(process.pid))

    started = time.perf_counter()
    process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=subprocess.DEVNULL)
    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    ended.set()
    watching.join()
    if os.waitstatus_to_exitcode(status):
        raise SystemExit(f"{' '.join(command)} failed")
    scale = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes there, in kB here
    # That one is exact, but of the largest process alone.
    return seconds, max(*together, usage.ru_maxrss * scale / 1e6)


def memory(parent: int) -> float:
    """MB that a process and those it has started have in memory now; what they share counts once."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(parent)
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                try:
                    total += each.memory_full_info().pss
                except (AttributeError, psutil.AccessDenied):  # not Linux
                    total += each.memory_info().rss
    return total / 1e6


class Feed:
    """The feed's server process for `rows` rows."""

    def __init__(self, rows: int) -> None:
        self.port = free_port()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.feed", str(rows), str(self.port)]
        )

    def __enter__(self) -> Feed:
        for _ in range(200):
            try:
                import urllib.request

                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v/1").close()
                return self
            except OSError:
                time.sleep(0.05)
        raise SystemExit("the feed did not start")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait()


def land(rows: int) -> tuple[float, float]:
    """`dlt pipeline facebook_ads run` from an empty state; wall seconds of the whole command, peak MB."""
    with Feed(rows) as server:
        return run(
            [str(Path(sys.executable).with_name("dlt")), "pipeline", "facebook_ads", "run"],
            {
                "SOURCES__FACEBOOK_ADS__BASE_URL": f"http://127.0.0.1:{server.port}",
                "SOURCES__FACEBOOK_ADS__ACCESS_TOKEN": "token",
                "SOURCES__FACEBOOK_ADS__WINDOW_DAYS": "1",
                "ADSTAR_NOW": f"{feed.DAY}T12:00:00+00:00",
            },
        )


def dlt_default(dsn: str, state: str) -> float:
    """Rows a second of a plain dlt resource of dicts on the same pages, settings as shipped."""
    with Feed(DLT_DEFAULT_ROWS) as server:
        first = f"http://127.0.0.1:{server.port}/v26.0/1/insights"
        seconds, _ = run([sys.executable, "-c", _DLT_DEFAULT, first, dsn, f"{state}/as_shipped"])
    return DLT_DEFAULT_ROWS / seconds


def copy(connection: psycopg2.extensions.connection, rows: int) -> float:
    """Rows a second of COPY FROM STDIN of the same rows, all columns text, nothing else done."""
    names = list(feed.record("0"))
    with tempfile.TemporaryFile() as file:
        file.writelines(_csv(rows))
        file.seek(0)
        with connection, connection.cursor() as cursor:
            cursor.execute("drop table if exists public.plain_copy")
            cursor.execute(f"create table public.plain_copy ({', '.join(f'{name} text' for name in names)})")
        started = time.perf_counter()
        with connection, connection.cursor() as cursor:
            cursor.copy_expert("copy public.plain_copy from stdin (format csv)", file)
        return rows / (time.perf_counter() - started)


def _csv(rows: int) -> Iterator[bytes]:
    import csv

    for page in range(rows // feed.PAGE_ROWS):
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL)
        for row in json.loads(b"[%s]" % feed.records(page)):
            writer.writerow([v if isinstance(v, str) else json.dumps(v) for v in row.values()])
        yield text.getvalue().encode()


def measure(rows: int, state: str) -> tuple[float, float, float, float]:
    """Rows a second of the loader, COPY and dlt's default, in turn, and the loader's peak MB.

    The empty strings of the feed must have come through.
    """
    warehouse = ensure_started()
    with closing(psycopg2.connect(warehouse.dsn)) as connection:
        plain = copy(connection, rows)
        default = dlt_default(warehouse.dsn, state)
        seconds, peak = land(rows)
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "select count(*), count(*) filter (where adset_name = ''), count(distinct ad_id)"
                " from raw_facebook_ads.insights_ad"
            )
            landed = cursor.fetchone()
            if landed != (rows, rows, rows):
                raise SystemExit(f"landed rows, empty strings, ids: {landed}, expected {rows} of each")
    return rows / seconds, plain, default, peak


def best(rounds: Sequence[tuple[float, float, float, float]], rows: int) -> dict[str, float | int]:
    """A machine that others use is slow and fast by turns: of each the best round counts, but of memory."""
    rate, plain, default = (max(each) for each in list(zip(*rounds, strict=True))[:3])
    return {
        "rows": rows,
        "rows_per_second": round(rate),
        "peak_mb": round(max(peak for *_, peak in rounds)),
        "copy_rows_per_second": round(plain),
        "dlt_default_rows_per_second": round(default),
        "ratio_to_copy": round(rate / plain, 3),
        "ratio_to_dlt_default": round(rate / default, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--prove", action="store_true", help="fail if a figure is not what was promised")
    parser.add_argument("--rounds", type=int, default=3, help="each from an empty warehouse")
    options = parser.parse_args(arguments)
    rounds = []
    for _ in range(options.rounds):
        with own_warehouse() as state:
            rounds.append(measure(options.rows, str(state)))
    figures = best(rounds, options.rows)
    promised = {
        "ratio_to_copy": figures["rows_per_second"] >= 0.3 * figures["copy_rows_per_second"],
        "ratio_to_dlt_default": figures["rows_per_second"] >= 12 * figures["dlt_default_rows_per_second"],
        "peak_mb": figures["peak_mb"] < 400,
    }
    tell(figures, promised if options.prove else None)


if __name__ == "__main__":
    main()
