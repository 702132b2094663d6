"""The star agrees with the platforms, day after day, and again when it is rebuilt from raw alone.

Three witnesses: the fact, the platform's own account totals as they landed, and the simulators' ledger, which
knows nothing of either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from tests.end_to_end.chain import MORNING, Chain, chain, told


@dataclass(frozen=True)
class Size:
    seed: int
    days: int
    runs: int
    scale: float
    build_every: int

    @property
    def name(self) -> str:
        return f"seed {self.seed}, {self.days} days, {self.runs} runs"


SMALL = Size(seed=7, days=12, runs=3, scale=0.2, build_every=2)
YEARS = [Size(seed=seed, days=325, runs=40, scale=1.0, build_every=8) for seed in (7, 11, 42)]


@pytest.fixture(
    scope="module",
    params=[SMALL, *(pytest.param(size, marks=pytest.mark.full) for size in YEARS)],
    ids=lambda size: size.name,
)
def lived(
    request: pytest.FixtureRequest, server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chain]:
    """So many daily runs with restatement, and dbt now and then, so that the last build is incremental."""
    size: Size = request.param
    folder = tmp_path_factory.mktemp("lived")
    with chain(server, folder, seed=size.seed, days=size.days, scale=size.scale, now=MORNING) as made:
        for number in range(1, size.runs + 1):
            made.land_days(1)
            if number == size.runs:
                built = made.dbt("build")
                assert built.code == 0, built.failed
            elif number % size.build_every == 0:
                built = made.build_models()
                assert built.code == 0, built.failed
            if number < size.runs:
                made.next_day()
        yield made


def test_every_settled_account_day_agrees_with_the_platform_and_with_the_ledger(lived: Chain) -> None:
    agrees(lived)


def agrees(lived: Chain) -> None:
    accounts = {(account.platform, account.id): account for account in lived.accounts()}
    seen = set()
    for platform, account_id, day, state, read_at, *figures in lived.rows(
        "select platform, account_id, date_day, state, last_read_at, fact_impressions, fact_clicks, fact_spend,"
        " control_impressions, control_clicks, control_spend from reports.rpt_reconciliation"
    ):
        account = accounts[platform, account_id]
        where = (platform, account_id, day)
        seen.add(where)
        fact, control = tuple(figures[:3]), tuple(figures[3:])
        is_over = read_at.astimezone(account.zone).date() > day
        assert (state == "matched") == is_over, (where, state)
        if is_over:
            assert fact == control == told(lived, account, day, read_at.astimezone(UTC)), where
        if lived.simulator.business.ledger(account, day, lived.simulator.now).settled:
            assert fact == told(lived, account, day, lived.simulator.now), where
    business, now = lived.simulator.business, lived.simulator.now
    expected = {
        (platform, account_id, day)
        for (platform, account_id), account in accounts.items()
        for ordinal in range(business.first_day.toordinal(), now.astimezone(account.zone).date().toordinal() + 1)
        for day in [business.first_day.fromordinal(ordinal)]
    }
    assert seen == expected


def test_a_rebuild_from_raw_alone_gives_the_identical_star(lived: Chain) -> None:
    before = lived.dump()
    lived.forget_all_but_raw()
    built = lived.build_models("--full-refresh")
    assert built.code == 0, built.failed
    assert lived.dump() == before
    agrees(lived)
