"""What ads return: what the star says of spend, orders, revenue and the funnel is so, every morning.

The business' side is `simulators.returns`, which knows nothing of the star's SQL. In short here; `-m full`
runs three seeds for 40 days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from simulators.returns import returns
from simulators.site_events import STEPS
from tests.end_to_end.chain import RUN_COLUMNS, Chain, Dump, chain

Funnel = dict[tuple[datetime, str, str], Counter[str]]
Told = dict[str, tuple[Decimal, int, Decimal]]
ROAS = """
    select channel, sum(spend_reporting), sum(orders), sum(net_revenue_reporting)
    from reports.rpt_campaign_roas where attribution_model = 'last_touch' group by channel
"""


@pytest.fixture(scope="module")
def shop(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    with chain(server, tmp_path_factory.mktemp("returns"), people=True, days=8, scale=0.5) as found:
        yield found


def test_each_morning_the_ledger_confirms_what_ads_return(shop: Chain) -> None:
    confirmed(shop, mornings=2)


def test_daily_runs_and_a_rebuild_from_raw_make_the_same_star(shop: Chain) -> None:
    rebuilt_alike(shop)


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
        built = found.dbt("build", "--exclude", "tag:wall_clock", "test_type:unit")
        assert not built.failed, built.output
        assert in_the_star(found) == by_the_business(found)
        assert funnel_in_the_star(found) == funnel_by_the_ledger(found)
    return sum(orders for _, orders, _ in in_the_star(found).values())


def funnel_in_the_star(found: Chain) -> Funnel:
    rows = found.rows(
        f"select hour_at, channel, coalesce(campaign_id, ''), {', '.join(STEPS)} from reports.rpt_funnel"
    )
    told: Funnel = {}
    for hour, channel, campaign, *counts in rows:  # a campaign that was renamed within the hour has two
        key = (hour.astimezone(UTC), channel, campaign)
        told[key] = told.get(key, Counter()) + Counter(dict(zip(STEPS, counts, strict=True)))
    return told


def funnel_by_the_ledger(found: Chain) -> Funnel:
    assert found.shop is not None
    return found.shop.site.ledger(found.shop.sent_since, found.shop.sent_until)


def in_the_star(found: Chain) -> Told:
    cents = Decimal("0.01")
    rows = found.rows(ROAS)
    return {
        channel: (spend.quantize(cents), int(n), kept.quantize(cents)) for channel, spend, n, kept in rows
    }


def by_the_business(found: Chain) -> Told:
    state = found.simulator.state
    assert state.people is not None
    zone = ZoneInfo(state.clevertap_timezone)
    told = returns(state.business, state.people, state.now, zone)
    return {name: (in_cents(one.spend), one.orders, in_cents(one.revenue)) for name, one in told.items()}


def in_cents(exact: Fraction) -> Decimal:
    return Decimal(round(exact * 100)).scaleb(-2)


def rebuilt_alike(found: Chain) -> None:
    daily: Dump = found.dump(without=RUN_COLUMNS)
    expected = {"dim_user", "fact_sales", "fact_user_event", "fact_user_login", "fact_site_event"}
    assert expected <= daily.keys()
    found.forget_all_but_raw()
    built = found.build_models()
    assert built.code == 0, built.output
    assert found.dump(without=RUN_COLUMNS) == daily
