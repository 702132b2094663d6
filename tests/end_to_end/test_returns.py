"""What ads return: what the star says of spend, orders, revenue and the funnel is so, every morning.

The business' side is `simulators.returns`, which knows nothing of the star's SQL. In short here; `-m full`
runs three seeds for 40 days.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from tests.end_to_end.chain import RUN_COLUMNS, Chain, Dump, chain
from tests.end_to_end.fixtures import Shops
from tests.end_to_end.ledger import (
    by_the_business,
    funnel_by_the_ledger,
    funnel_in_the_star,
    in_the_star,
)


def test_each_morning_the_ledger_confirms_what_ads_return(shops: Shops) -> None:
    assert len(shops.mornings) == 2
    for morning in shops.mornings:
        assert morning.star == morning.business
        assert morning.funnel == morning.ledger


@pytest.mark.full
@pytest.mark.parametrize("seed", [7, 11, 42])
def test_forty_mornings(server: EmbeddedWarehouse, tmp_path: Path, seed: int) -> None:
    with chain(server, tmp_path, database="journey_base", people=True, seed=seed, days=30) as found:
        orders = confirmed(found, mornings=40)
        rebuilt_alike(found)
    print(f"seed {seed}: 40 mornings, {orders:,} orders, every channel's spend, orders and revenue confirmed")


def confirmed(found: Chain, *, mornings: int) -> int:
    """Land, build and compare so many mornings; how many orders there are on the last."""
    for number in range(mornings):
        if number:
            found.next_day()
        results = found.land()
        assert {result.outcome for result in results} == {"ok"}, results
        built = found.dbt("build", "--exclude", "tag:wall_clock")
        assert not built.failed, built.output
        assert in_the_star(found) == by_the_business(found)
        assert funnel_in_the_star(found) == funnel_by_the_ledger(found)
    return sum(orders for _, orders, _ in in_the_star(found).values())


def rebuilt_alike(found: Chain) -> None:
    daily: Dump = found.dump(without=RUN_COLUMNS)
    expected = {"dim_user", "fact_sales", "fact_user_event", "fact_user_login", "fact_site_event"}
    assert expected <= daily.keys()
    found.forget_all_but_raw()
    built = found.build_models()
    assert built.code == 0, built.output
    assert found.dump(without=RUN_COLUMNS) == daily
