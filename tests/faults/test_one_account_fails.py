"""One account that can't be read: the others land, the exit code says so, and nothing of it is retired."""

from __future__ import annotations

from typing import Any

from simulators.business import Platform
from tests.end_to_end.chain import PLATFORMS, Chain

DIMENSIONS = ("dim_account", "dim_campaign", "dim_ad_group", "dim_ad")


def test_the_others_land_and_nothing_is_retired(journey: Chain) -> None:
    """One account of each platform is refused on the next day."""
    refused = {platform: journey.accounts(platform)[0].id for platform in PLATFORMS}
    before = {platform: star_of(journey, platform, account) for platform, account in refused.items()}
    journey.next_day()
    journey.simulator.fault("forbidden_account", account=list(refused.values()))
    code, output = journey.run()
    assert code == 3, output
    for account in refused.values():
        assert f"account {account}" in output

    today = journey.simulator.now
    for platform, account in refused.items():
        read = {
            name
            for (name,) in journey.rows(
                f"select distinct account from raw_{platform}.covered join ops.commits using (run_seq)"
                " where day is not null and read_at = %s",
                [today],
            )
        }
        assert read == {other.id for other in journey.accounts(platform)} - {account}

    built = journey.build_models()
    assert built.code == 0, built.failed
    for platform, account in refused.items():
        assert star_of(journey, platform, account) == before[platform]
    missing = journey.rows(
        "select distinct account_id from reports.rpt_coverage where state in ('stale', 'missing', 'lost')"
    )
    assert {account for (account,) in missing} >= set(refused.values())


def star_of(chain: Chain, platform: Platform, account: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the star that are about the account."""
    tables = [*DIMENSIONS, "fact_ad_performance", "fact_ad_conversion"]
    return {
        table: chain.rows(
            f"select to_jsonb(line)::text from marts.{table} as line"
            " where platform = %s and account_id = %s order by 1",
            [platform, account],
        )
        for table in tables
    }
