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
    held, told, current = raw_rows(base)
    assert held == told < 3 * current


@pytest.mark.full
@pytest.mark.parametrize("days", [30, 365], ids="of-{}-days".format)
def test_40_daily_runs_leave_raw_below_three_times_its_current_rows(
    server: EmbeddedWarehouse, tmp_path: Path, days: int
) -> None:
    """All reports and entities together, on a year, and on an account so young that all of it is re-read."""
    with chain(server, tmp_path, seed=7, days=days, now=MORNING - timedelta(days=RUNS)) as lived:
        lived.land_days(RUNS)
        held, told, current = raw_rows(lived)
    print(f"figure: raw holds {held:,} rows, {held / current:.2f} times the current ones")
    assert held == told < 3 * current


def raw_rows(lived: Chain) -> tuple[int, int, int]:
    """How many rows raw holds, how many it must (a set as often as it was told anew), how many count now."""
    held = told = current = 0
    for source in PLATFORMS:
        for resource, anew, newest in lived.rows(
            "select resource, sum(rows) filter (where data_run_seq = run_seq)::bigint,"
            " sum(rows) filter (where recency = 1)::bigint from (select *, row_number() over"
            " (partition by resource, account, day order by run_seq desc) as recency"
            f" from raw_{source}.covered join ops.commits using (run_seq)) as sets group by resource"
        ):
            ((rows,),) = lived.rows(f"select count(*) from raw_{source}.{resource}")
            held, told, current = held + rows, told + int(anew), current + int(newest)
    return held, told, current
