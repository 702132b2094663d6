"""Rate of writing a fact as Parquet: the real command against `psql \\copy` of the same table to a CSV file.

`python -m tests.benchmarks.export --rows 1000000` prints one JSON line: rows a second of both and their
ratio, the peak memory of the export's process, and the seconds of an export when nothing has changed and when
one month has. Both read the same table of one server and write to one disk, in turn, twice; the better time
of each counts. Afterwards the files of the manifest are compared with the table: rows, and sums of spend.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow.compute as pc
import pyarrow.dataset

from loaders._core.warehouse import ensure_started
from tests.benchmarks.database import psql
from tests.benchmarks.landing import run
from tests.benchmarks.promises import own_warehouse, tell
from tests.conftest import ROOT

MART = "fact_ad_performance"
_FILL = f"""
create schema marts;
create table marts.{MART} as select
    date '2025-01-01' + (g * 365 / {{rows}})::int as date_day, g % 7 as account_key, g * 7919 as campaign_key,
    g * 104729 as ad_group_key, g * 1299709 as ad_key,
    (array['facebook_ads', 'google_ads'])[1 + g % 2] as platform,
    'act_' || 10000000 + g % 7 as account_id, (120210000000000000 + g % 1000)::text as campaign_id,
    (120220000000000000 + g % 5000)::text as ad_group_id, (120230000000000000 + g % 30000)::text as ad_id,
    'ad'::text as row_kind, g % 100000 as impressions, g % 1000 as clicks,
    case when g % 2 = 0 then g % 500 end as link_clicks, (g % 1000000 / 7.0)::numeric(38,9) as spend,
    'USD'::text as currency_code, (g % 1000000 / 7.7)::numeric(38,9) as spend_reporting,
    'EUR'::text as reporting_currency_code, 0.909090909090909::numeric(38,15) as exchange_rate,
    case when g % 2 = 0 then g % 90000 end as reach, null::text as remainder_cause,
    null::text as remainder_evidence, g % 365 < 330 as is_settled, g / 100000 as run_seq,
    timestamptz '2026-01-01 06:00+00' + g * interval '1 ms' as read_at
from (select generate_series(1, {{rows}}::bigint) as g) as numbers
"""


def export(to: Path) -> tuple[float, float]:
    """`scripts/export` without its set-up; wall seconds of the whole command, peak MB."""
    return run([sys.executable, str(ROOT / "scripts" / "_export.py"), MART, "--to", str(to)])


def copy(dsn: str, file: Path) -> float:
    """Seconds of `psql \\copy` to a CSV file."""
    started = time.perf_counter()
    subprocess.run([psql(), dsn, "-qc", f"\\copy marts.{MART} to '{file}' csv header"], check=True)
    return time.perf_counter() - started


def differences(dsn: str, folder: Path) -> list[str]:
    """What the files have otherwise than the table."""
    manifest = json.loads((folder / "manifest.json").read_text())
    paths = [str(folder / file["path"]) for part in manifest["parts"] for file in part["files"]]
    rows, spend = 0, {"spend": 0, "spend_reporting": 0}
    for batch in pyarrow.dataset.dataset(paths).to_batches(columns=list(spend)):
        rows += batch.num_rows
        spend = {name: total + pc.sum(batch[name]).as_py() for name, total in spend.items()}
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(f"select count(*), sum(spend), sum(spend_reporting) from marts.{MART}")
        told = zip(("rows", *spend), cursor.fetchone() or (), (rows, *spend.values()), strict=True)
    return [name for name, before, after in told if before != after]


def measure(rows: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Both in turn, then an export of nothing and one of a month."""
    dsn = ensure_started("embedded").dsn
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_FILL.format(rows=rows))
            cursor.execute(f"create index on marts.{MART} (date_day, account_key)")
            cursor.execute(f"vacuum analyze marts.{MART}")
    exports, copies = [], []
    for _ in range(rounds):
        shutil.rmtree(folder / "out", ignore_errors=True)
        copies.append(copy(dsn, folder / "copy.csv"))
        exports.append(export(folder / "out"))
    out = folder / "out" / "marts" / MART
    size = sum(path.stat().st_size for path in out.rglob("*.parquet"))
    nothing, _ = export(folder / "out")
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"update marts.{MART} set clicks = clicks + 1 where date_day = date '2025-12-24'")
    month, _ = export(folder / "out")
    if wrong := differences(dsn, out):
        raise SystemExit(f"not as in the table: {', '.join(wrong)}")
    seconds = min(seconds for seconds, _ in exports)
    return {
        "rows": rows,
        "rows_per_second": round(rows / seconds),
        "seconds": round(seconds, 1),
        "peak_mb": round(max(peak for _, peak in exports)),
        "parquet_mb": round(size / 1e6, 1),
        "psql_copy_csv_rows_per_second": round(rows / min(copies)),
        "psql_copy_csv_mb": round((folder / "copy.csv").stat().st_size / 1e6, 1),
        "ratio_to_psql_copy_csv": round(min(copies) / seconds, 2),
        "nothing_changed_seconds": round(nothing, 1),
        "one_month_changed_seconds": round(month, 1),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--prove", action="store_true", help="fail if a figure is not what was promised")
    options = parser.parse_args(arguments)
    with own_warehouse() as state:
        figures = measure(options.rows, options.rounds, state)
        tell(figures, {"peak_mb": figures["peak_mb"] < 500} if options.prove else None)


if __name__ == "__main__":
    main()
