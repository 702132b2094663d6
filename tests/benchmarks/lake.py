"""Size and speed of the lake against raw JSON, and of a year's campaign query through scripts/sql.

`python -m tests.benchmarks.lake --rows 10000000` prints one JSON line. A year of ad-days is written by the
lake's own writer; `--json-rows` of them are written as NDJSON as well, plain and as gzip, and three questions
that analysts ask are put to both by the same DuckDB, three times each; the best counts. Answers of both must
be equal.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import _sql
from _exporting.manifest import Column, State
from _lakehouse import catalog as lake_catalog
from _lakehouse import tables as lake_tables

from tests.benchmarks.promises import tell

COLUMNS = (
    Column("date_day", "date"),
    Column("platform", "text"),
    Column("account_id", "text"),
    Column("campaign_id", "text"),
    Column("ad_id", "text"),
    Column("campaign_key", "bigint"),
    Column("ad_key", "bigint"),
    Column("impressions", "bigint"),
    Column("clicks", "bigint"),
    Column("spend", "numeric(38,9)"),
    Column("currency_code", "text"),
    Column("is_settled", "boolean"),
)
QUESTIONS = {
    "campaigns_of_a_year": "select campaign_id, sum(spend::decimal(38, 9)) as spend, sum(clicks) as clicks"
    " from {table} group by 1 order by 2 desc, 1 limit 10",
    "a_week_of_an_account": "select date_day::date as day, sum(spend::decimal(38, 9)) as spend from {table}"
    " where account_id = 'act_10000003' and date_day between date '2025-06-02' and date '2025-06-08'"
    " group by 1 order by 1",
    "platforms_by_month": "select platform, month(date_day::date) as month, sum(impressions)::bigint as shown"
    " from {table} group by 1, 2 order by 1, 2",
}


class Year:
    """A year of ad-days, as ``lake_tables.Source``; the same for the same number of rows."""

    columns = COLUMNS

    def __init__(self, rows: int) -> None:
        self.a_day = max(1, rows // 365)

    def states(self, partitioned_by: str | None) -> list[State]:
        """Twelve months."""
        days = [date(2025, 1, 1) + timedelta(days=n) for n in range(365)]
        months = sorted({f"{day:%Y-%m}" for day in days})
        of = {month: sum(f"{day:%Y-%m}" == month for day in days) * self.a_day for month in months}
        return [State(partition=month, rows=of[month], token=f"{of[month]}") for month in months]

    @contextmanager
    def batches(self, state: State, shape: Any) -> Iterator[Iterator[pa.RecordBatch]]:
        """The days of a month."""
        year, month = map(int, str(state.partition).split("-"))
        first = date(year, month, 1)
        days = (first + timedelta(days=n) for n in range(31))
        yield (self._day(day) for day in days if day.month == month)

    def _day(self, day: date) -> pa.RecordBatch:
        random = np.random.default_rng(day.toordinal())
        ads = np.arange(self.a_day)
        campaign = ads % 1000
        shown = random.integers(1, 100_000, self.a_day)
        spend = pa.array(random.integers(0, 10**7, self.a_day)).cast(pa.decimal128(19, 0))
        cents = pa.compute.divide(spend.cast(pa.decimal128(25, 4)), pa.scalar(100, pa.decimal128(3, 0)))

        def text(prefix: int, numbers: Any) -> pa.Array:
            return pa.array(prefix + numbers).cast(pa.string())

        arrays = [
            pa.repeat(pa.scalar(day, pa.date32()), self.a_day),
            pa.array(np.array(["facebook_ads", "google_ads"])[ads % 2]),
            pa.compute.binary_join_element_wise("act_", text(10_000_000, campaign % 7), ""),
            text(120210000000000000, campaign),
            text(120230000000000000, ads),
            pa.array(campaign * 104_729),
            pa.array(ads * 1_299_709),
            pa.array(shown),
            pa.array(shown // 50),
            cents.cast(pa.decimal128(38, 9)),
            pa.repeat("USD", self.a_day),
            pa.repeat(day.month < 12, self.a_day),
        ]
        return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in COLUMNS])


def best(query: str, connect: Any) -> tuple[float, list[Any]]:
    """Best seconds of three, and the answer."""
    seconds, found = [], []
    for _ in range(3):
        began = time.perf_counter()
        connection = connect(query)
        found = connection.sql(query).fetchall()
        seconds.append(time.perf_counter() - began)
    return min(seconds), found


def measured(rows: int, json_rows: int, folder: Path) -> dict[str, Any]:
    """All figures."""
    lake = lake_catalog.open_lake(
        {"ADSTAR_LAKE_URL": str(folder / "lake"), "ADSTAR_LAKE_CATALOG": f"sqlite:///{folder}/lake.db"}
    )
    told: dict[str, Any] = {"rows": rows, "json_rows": json_rows}
    for name, number in (("fact_large", rows), ("fact_small", json_rows)):
        began = time.perf_counter()
        lake_tables.LakeTable(lake, "marts", name).write(Year(number), "date_day")
        told[f"seconds_to_write_{name.removeprefix('fact_')}"] = round(time.perf_counter() - began, 1)
    size = sum(path.stat().st_size for path in (folder / "lake/marts/fact_small").rglob("*.parquet"))
    query = "select * from marts.fact_small"
    for kind in ("", ".gz"):
        of = _sql.connect(lake, query)
        with (folder / f"raw.json{kind}").open("wb") as file:
            written(of.sql(query).to_arrow_reader(50_000), file, packed=bool(kind))
    plain, packed = (folder / "raw.json").stat().st_size, (folder / "raw.json.gz").stat().st_size
    told |= {
        "parquet_mb": round(size / 1e6, 1),
        "json_mb": round(plain / 1e6, 1),
        "json_gz_mb": round(packed / 1e6, 1),
        "json_over_parquet": round(plain / size, 1),
        "json_gz_over_parquet": round(packed / size, 1),
    }
    for name, text in QUESTIONS.items():
        parquet, one = best(text.format(table="marts.fact_small"), lambda query: _sql.connect(lake, query))
        raw = f"read_ndjson('{folder}/raw.json')"
        slow, other = best(text.format(table=raw), lambda query: duckdb.connect())
        assert one == other, name
        told |= {f"{name}_seconds": round(parquet, 3), f"{name}_of_json_seconds": round(slow, 3)}
    year, before = QUESTIONS["campaigns_of_a_year"].format(table="marts.fact_large"), time.process_time()
    seconds, _ = best(year, lambda query: _sql.connect(lake, query))
    processor = (time.process_time() - before) / 3
    told["year_query_seconds"] = round(seconds, 3)
    told["year_query_processor_seconds"] = round(processor, 3)
    told["load_average"] = round(os.getloadavg()[0], 1)  # of other work on this machine as well
    return told


def written(reader: Any, file: Any, *, packed: bool) -> None:
    """Rows as NDJSON, as a vendor's answer has them: numbers of money as texts."""
    import gzip

    out = gzip.GzipFile(fileobj=file, mode="wb", compresslevel=6, mtime=0) if packed else file
    for batch in reader:
        out.write("".join(json.dumps(row, default=str) + "\n" for row in batch.to_pylist()).encode())
    if packed:
        out.close()


def main() -> None:
    """Measure, print, and with --prove fail if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--json-rows", type=int, default=500_000)
    parser.add_argument("--prove", action="store_true", help="fail unless the year's query is below a second")
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="adstar-lake-"))
    try:
        told = measured(asked.rows, asked.json_rows, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    promised = {
        "year_query_seconds": told["year_query_seconds"] < 1,
        "json_over_parquet": told["json_over_parquet"] >= 5,
    }
    tell(told, promised if asked.prove else None)


if __name__ == "__main__":
    main()
