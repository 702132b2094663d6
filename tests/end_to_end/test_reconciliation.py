"""The star agrees with the platforms, day after day, and again when it is rebuilt from raw alone.

Three witnesses: the fact, the platform's own account totals as they landed, and the simulators' ledger, which
knows nothing of either.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from simulators.rates import rate
from tests.end_to_end.chain import MORNING, Chain, chain, told

SEEDS = (7, 11, 42)
YEAR, RUNS = 365, 40


@pytest.fixture(scope="module", params=SEEDS, ids="seed-{}".format)
def year(
    request: pytest.FixtureRequest, server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Chain]:
    """A year: its first 325 days read at once, then 40 daily runs with restatement; dbt every eighth time."""
    folder = tmp_path_factory.mktemp("year")
    first_run = MORNING - timedelta(days=RUNS)
    with chain(server, folder, seed=request.param, days=YEAR - RUNS, now=first_run) as made:
        for number in range(RUNS):
            made.land_days(1)
            if number % 8 == 0:
                built = made.build_models()
                assert built.code == 0, built.failed
            made.next_day()
        made.land_days(1)
        built = made.dbt("build")
        assert built.code == 0, built.failed
        yield made


def assert_agreement(lived: Chain) -> None:
    """Every account-day: the fact, the platform's total and the ledger, wherever the day is over."""
    accounts = {(account.platform, account.id): account for account in lived.accounts()}
    business, now = lived.simulator.business, lived.simulator.now
    seen = set()
    for platform, account_id, day, state, read_at, *figures in lived.rows(
        "select platform, account_id, date_day, state, last_read_at, fact_impressions, fact_clicks,"
        " fact_spend, control_impressions, control_clicks, control_spend from reports.rpt_reconciliation"
    ):
        account = accounts[platform, account_id]
        where = (platform, account_id, str(day))
        seen.add(where)
        fact, control = tuple(figures[:3]), tuple(figures[3:])
        is_over = read_at.astimezone(account.zone).date() > day
        assert (state == "matched") == is_over, (where, state)
        if is_over:
            assert fact == control == told(lived, account, day, read_at), where
        # What a platform no longer changes must be known as it now stands, not as it stood when last read.
        if business.ledger(account, day, now).settled:
            assert fact == told(lived, account, day, now), where
    for (platform, account_id), account in accounts.items():
        day = business.first_day
        while day <= now.astimezone(account.zone).date():
            assert (platform, account_id, str(day)) in seen
            day += timedelta(days=1)


def assert_rebuild_is_identical(lived: Chain) -> None:
    """All tables, all columns, after everything above raw was dropped."""
    before = lived.dump()
    lived.forget_all_but_raw()
    built = lived.build_models("--full-refresh")
    assert built.code == 0, built.failed
    assert lived.dump() == before
    assert_agreement(lived)


def test_every_account_day_agrees_with_the_platform_and_with_the_ledger(base: Chain) -> None:
    assert_agreement(base)


def test_every_amount_is_converted_with_the_rate_that_the_feed_told(base: Chain) -> None:
    """Today's is not out yet: yesterday's stands in."""
    seed, newest = base.simulator.business.seed, base.simulator.now.date() - timedelta(days=1)
    converted = 0
    for fact, money in ("fact_ad_performance", "spend"), ("fact_ad_conversion", "conversion_value"):
        for currency, day, amount, reported in base.rows(
            f"select currency_code, date_day, {money}, {money}_reporting from marts.{fact}"
            f" where {money} is not null"
        ):
            worth = (1 / rate(seed, currency, min(day, newest))).quantize(Decimal(10) ** -15)
            assert reported == round(amount * worth, 9), (fact, currency, day)
            converted += currency != "EUR" and amount != 0
    assert converted > 1000


def test_nothing_is_found_wrong_with_plain_days(base: Chain) -> None:
    """No test has anything to tell, not even those that only warn; but the clock here is a simulated one."""
    tables = base.rows(
        "select table_name from information_schema.tables"
        " where table_schema = 'test_failures' and table_name not like 'dbt_expectations%'"
    )
    assert tables
    found = {table: base.rows(f'select * from test_failures."{table}" limit 3') for (table,) in tables}
    assert {table: rows for table, rows in found.items() if rows} == {}


@pytest.mark.full
def test_every_account_day_of_a_year_agrees_after_40_daily_runs(year: Chain) -> None:
    assert_agreement(year)
    report(year)


@pytest.mark.full
def test_a_rebuild_of_the_year_from_raw_alone_gives_the_identical_star(year: Chain) -> None:
    assert_rebuild_is_identical(year)
    report(year)


def report(lived: Chain) -> None:
    """Say the figure that the proof quotes."""
    ((days, spend, impressions, clicks),) = lived.rows(
        "select count(*), sum(abs(spend_difference)), sum(abs(impressions_difference)),"
        " sum(abs(clicks_difference)) from reports.rpt_reconciliation where state <> 'unsettled'"
    )
    print(
        f"figure: {days:,} settled account-days, differences: spend {spend:.2f}, impressions {impressions},"
        f" clicks {clicks}"
    )
