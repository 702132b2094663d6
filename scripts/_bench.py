"""Runs the benchmarks and writes docs/benchmarks.md. Run by scripts/bench."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import psutil

from loaders._core import places

HEAD = """# Benchmarks

Written by `scripts/bench`, which measures what it is asked for (`landing`, `databases`, `building`, `lake`)
and leaves the rest.
"""
SECTIONS = {
    "landing": """
## Landing

The insights feed of Facebook Ads, read over HTTP and landed by `dlt pipeline facebook_ads run`; beside it, in
the same run and into the same server, a plain dlt resource of dicts on the same pages as dlt is shipped, and
`COPY FROM STDIN` of the same rows with nothing else done.
""",
    "databases": """
## Databases

A table of 15 columns of another Postgres, landed by `dlt pipeline rds run`; beside it, in the same run and
into the same server, `psql \\copy` to `psql \\copy` with nothing else done, sling and ingestr. Ours and the
pipe ran twice, the better time counts. Of ours every value and type is equal, or there would be no figure.
""",
    "building": """
## Building

`dbt build` on a year of ad-days, every set of the last weeks present in superseded versions too: everything
once, then after the next day's run, which reads 28 days again.
""",
    "lake": """
## Lake

A year of ad-days of 12 columns, written by the lake's own writer and asked through `scripts/sql`'s DuckDB:
what each campaign cost and brought in that year. Of some of the rows the same as NDJSON, as a vendor sends
them, and three questions to both; the best of three. The processor's seconds are the query's on both cores.
""",
}


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], help="all if none is named")
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 3_000_000], help="landing")
    parser.add_argument("--database-rows", type=int, nargs="*", default=[3_000_000], help="databases")
    parser.add_argument("--lake-rows", type=int, nargs="*", default=[10_000_000], help="lake")
    parser.add_argument("--ad-days", type=int, nargs="*", default=[1_000_000, 10_000_000], help="building")
    asked = parser.parse_args()
    sizes = {"landing": asked.rows, "databases": asked.database_rows, "building": asked.ad_days}
    sizes["lake"] = asked.lake_rows
    page = places.home() / "docs" / "benchmarks.md"
    former = {part.partition("\n")[0].lower(): f"\n## {part}" for part in page.read_text().split("\n## ")[1:]}
    for name in asked.sections or SECTIONS:
        former[name] = SECTIONS[name] + told() + markdown([measure(name, size) for size in sizes[name]])
        page.write_text(HEAD + "".join(f"{former[each].rstrip()}\n" for each in SECTIONS if each in former))


def told() -> str:
    """When and where it is measured."""
    memory = round(psutil.virtual_memory().total / 2**30)
    system = f"{platform.system()} {platform.machine()}"
    return (
        f"\nOn {datetime.now(UTC).date()}: {os.cpu_count()} cores, {memory} GB, {system}, Python"
        f" {platform.python_version()}.\n\n"
    )


COMMANDS = {
    "landing": ("tests.benchmarks.landing", "--rows"),
    "databases": ("tests.benchmarks.database", "--peers", "--rows"),
    "building": ("tests.benchmarks.build", "--ad-days"),
    "lake": ("tests.benchmarks.lake", "--rows"),
}


def measure(section: str, size: int) -> dict[str, Any]:
    """Run one benchmark in a process of its own; returns its figures."""
    command = [sys.executable, "-m", *COMMANDS[section], str(size)]
    print(" ".join(["python", *command[1:]]), flush=True)
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=places.home())
    line = ran.stdout.splitlines()[-1]
    print(line, flush=True)
    figures: dict[str, Any] = json.loads(line)
    return figures


def markdown(figures: Sequence[dict[str, Any]]) -> str:
    """A table with one column for each size."""
    if not figures:
        return "Not measured."
    rows = [
        [
            name.replace("_", " "),
            *(each[name] if isinstance(each[name], str) else f"{each[name]:,}" for each in figures),
        ]
        for name in figures[0]
    ]
    lines = [rows[0], ["---", *["---:"] * len(figures)], *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
