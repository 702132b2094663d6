"""Re-reading the same weeks every day doesn't pile up: what has not changed lands only a receipt."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from tests.end_to_end.chain import MORNING, PLATFORMS, Chain, chain

RUNS = 40


def test_a_second_day_lands_little_of_what_it_reads(base: Chain) -> None:
    read, landed = base.rows(
        "select sum(rows_read), sum(rows_landed) from ops.run_resources join ops.runs using (run_id)"
        " where ops.runs.started_at = (select max(started_at) from ops.runs)"
    )[0]
    assert 0 < landed < read
    assert sum(line[2] for line in raw_rows(base)) < 3 * sum(line[3] for line in raw_rows(base))


@pytest.mark.full
@pytest.mark.parametrize("days", [30, 365], ids="of-{}-days".format)
def test_40_daily_runs_leave_raw_below_three_times_its_current_rows(
    server: EmbeddedWarehouse, tmp_path: Path, days: int
) -> None:
    """All reports and entities together, on a year, and on an account so young that all of it is re-read."""
    with chain(server, tmp_path, seed=7, days=days, now=MORNING - timedelta(days=RUNS)) as lived:
        lived.land_days(RUNS)
        found = raw_rows(lived)
    for source, resource, rows, newest in found:
        print(f"{source} {resource}: {rows:,} rows, {newest:,} current, {rows / max(newest, 1):.2f}")
    held, current = sum(line[2] for line in found), sum(line[3] for line in found)
    print(f"figure: raw holds {held:,} rows, {held / current:.2f} times the current ones")
    assert held < 3 * current


def raw_rows(lived: Chain) -> list[tuple[str, str, int, int]]:
    """Of every raw table: source, resource, how many rows it holds, how many its newest sets have."""
    found: list[tuple[str, str, int, int]] = []
    for source in PLATFORMS:
        newest = lived.rows(
            "select resource, sum(rows)::bigint from (select distinct on (resource, account, day)"
            f" resource, rows from raw_{source}.covered join ops.commits using (run_seq)"
            " order by resource, account, day, run_seq desc) as sets group by resource order by resource"
        )
        for resource, current in newest:
            ((held,),) = lived.rows(f"select count(*) from raw_{source}.{resource}")
            found.append((source, resource, held, int(current)))
    return found
