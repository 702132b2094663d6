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

PAGE = """# Benchmarks

Written by `scripts/bench` on {date}: {cores} cores, {memory} GB, {system}, Python {python}.

## Landing

The insights feed of Facebook Ads, read over HTTP and landed by `dlt pipeline facebook_ads run`; beside it, in
the same run and into the same server, a plain dlt resource of dicts on the same pages as dlt is shipped, and
`COPY FROM STDIN` of the same rows with nothing else done.

{landing}

## Building

`dbt build` on a year of ad-days, every set of the last weeks present in superseded versions too: everything
once, then after the next day's run, which reads 28 days again.

{building}
"""


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rows", type=int, nargs="*", default=[1_000_000, 3_000_000], help="landing")
    parser.add_argument("--ad-days", type=int, nargs="*", default=[1_000_000, 10_000_000], help="building")
    asked = parser.parse_args()
    landing = [measure("landing", "--rows", rows) for rows in asked.rows]
    building = [measure("build", "--ad-days", ad_days) for ad_days in asked.ad_days]
    text = PAGE.format(
        date=datetime.now(UTC).date(),
        cores=os.cpu_count(),
        memory=round(psutil.virtual_memory().total / 2**30),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        landing=markdown(landing),
        building=markdown(building),
    )
    (places.home() / "docs" / "benchmarks.md").write_text(text)


def measure(benchmark: str, option: str, size: int) -> dict[str, Any]:
    """Run one benchmark in a process of its own; returns its figures."""
    command = [sys.executable, "-m", f"tests.benchmarks.{benchmark}", option, str(size)]
    print(" ".join(["python", *command[1:]]), flush=True)
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=places.home())
    line = ran.stdout.splitlines()[-1]
    print(line, flush=True)
    figures: dict[str, Any] = json.loads(line)
    return figures


def markdown(figures: Sequence[dict[str, Any]]) -> str:
    """A table with one column for each size."""
    if not figures:
        return "Not measured in this run."
    rows = [[name.replace("_", " "), *(f"{each[name]:,}" for each in figures)] for name in figures[0]]
    lines = [rows[0], ["---", *["---:"] * len(figures)], *rows[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
