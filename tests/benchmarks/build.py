"""Times `dbt build`: everything once, then after the next day's reading, at a chosen number of ad-days.

`python -m tests.benchmarks.build --ad-days 1000000` prints one JSON line with seconds and ratios.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path

import psycopg2

from loaders._core.warehouse import ensure_started
from tests.benchmarks.promises import own_warehouse, tell
from tests.benchmarks.raw_year import RawYear

LAST_DAY = date(2026, 6, 30)


def dbt_build(*arguments: str) -> float:
    """Run `dbt build` in a process of its own; return wall seconds. A red build ends the benchmark."""
    dbt = Path(sys.executable).with_name("dbt")
    started = time.perf_counter()
    subprocess.run([dbt, "--quiet", "build", *arguments], check=True)
    return time.perf_counter() - started


def measure(ad_days: int, days: int) -> dict[str, float | int]:
    """Build a year of `ad_days` rows in full, then incrementally after one more day and a 28-day re-read."""
    warehouse = ensure_started()
    with closing(psycopg2.connect(warehouse.dsn)) as connection:
        year = RawYear(connection, ads=ad_days // days, days=days, last_day=LAST_DAY)
        year.create()
        full = dbt_build("--full-refresh")
        tomorrow = LAST_DAY + timedelta(days=1)
        year.land(3, tomorrow - timedelta(days=27), tomorrow, tomorrow)
        incremental = dbt_build()
        with connection.cursor() as cursor:
            cursor.execute("select count(*) from marts.fact_ad_performance")
            (fact_rows,) = cursor.fetchone() or (0,)
            cursor.execute("select count(*) from marts.fact_ad_conversion")
            (conversion_rows,) = cursor.fetchone() or (0,)
    return {
        "ad_days": ad_days,
        "fact_rows": fact_rows,
        "conversion_rows": conversion_rows,
        "full_seconds": round(full, 1),
        "incremental_seconds": round(incremental, 1),
        "incremental_share_of_full": round(incremental / full, 3),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ad-days", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--full-below", type=float, help="fail if the full build takes this many seconds")
    parser.add_argument(
        "--next-below", type=float, help="fail if the next day's build takes this many seconds"
    )
    parser.add_argument(
        "--share-below", type=float, help="fail if the next day's has this share of the full one"
    )
    options = parser.parse_args(arguments)
    now = f"{LAST_DAY + timedelta(days=3)}T00:00:00+00:00"
    with own_warehouse(ADSTAR_NOW=now) as state:
        os.environ["DBT_TARGET_PATH"] = str(state / "target")
        figures = measure(options.ad_days, options.days)
        limits = {
            "full_seconds": options.full_below,
            "incremental_seconds": options.next_below,
            "incremental_share_of_full": options.share_below,
        }
        tell(figures, {name: figures[name] < limit for name, limit in limits.items() if limit})


if __name__ == "__main__":
    main()
