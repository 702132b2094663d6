"""A run on which much goes wrong that must not stop it: refused accounts, and answers in another form.

One account of each platform can't be read: the others land, the exit code says so, and nothing is retired.
Fields appear, vanish and change their type: everything lands, a value never seen before in a column of its
own, and a dbt test names the field.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from simulators.business import Platform
from tests.end_to_end.chain import PLATFORMS, Built, Chain, copied

NEW = "0.10"
DIMENSIONS = ("dim_account", "dim_campaign", "dim_ad_group", "dim_ad")


@dataclass(frozen=True)
class Morning:
    chain: Chain
    refused: dict[Platform, str]
    before: dict[str, Any]
    code: int
    output: str
    built: Built


@pytest.fixture(scope="module")
def morning(
    base: Chain, server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Morning]:
    with copied(base, server, tmp_path_factory.mktemp("morning")) as chain:
        refused = {platform: chain.accounts(platform)[0].id for platform in PLATFORMS}
        before = {account: star_of(chain, account) for account in refused.values()}
        chain.next_day()
        fault = chain.simulator.fault
        fault("forbidden_account", account=list(refused.values()))
        fault("new_field", field="brand_new", value=NEW, resource=["insights_ad", "campaign_day"])
        fault("vanished_field", field="buying_type", resource="campaigns")
        fault("changed_type", field="start_time", resource="adsets")
        code, output = chain.run()
        yield Morning(chain, refused, before, code, output, chain.dbt("build"))


def test_the_exit_code_says_that_accounts_were_left_out_and_names_them(morning: Morning) -> None:
    assert morning.code == 3, morning.output
    for account in morning.refused.values():
        assert f"account {account}" in morning.output


def test_all_other_accounts_land(morning: Morning) -> None:
    for platform, account in morning.refused.items():
        read = morning.chain.rows(
            f"select distinct account from raw_{platform}.covered join ops.commits using (run_seq)"
            " where day is not null and read_at = %s",
            [morning.chain.simulator.now],
        )
        others = {other.id for other in morning.chain.accounts(platform)} - {account}
        assert {name for (name,) in read} == others


def test_nothing_of_the_refused_accounts_is_retired(morning: Morning) -> None:
    assert morning.built.code == 0, morning.built.failed
    for account in morning.refused.values():
        assert star_of(morning.chain, account) == morning.before[account]


def test_coverage_names_the_day_that_was_not_read(morning: Morning) -> None:
    missing = morning.chain.rows(
        "select distinct platform, account_id from reports.rpt_coverage where state = 'missing'"
    )
    assert set(missing) == set(morning.refused.items())


def test_values_of_every_form_land_as_they_came(morning: Morning) -> None:
    rows = morning.chain.rows
    for table, column in (
        ("facebook_ads.insights_ad", "brand_new"),
        ("google_ads.campaign_day", "metrics__brand_new"),
    ):
        newest = f"where _run_seq = (select max(_run_seq) from raw_{table})"
        assert rows(f"select distinct {column} from raw_{table} {newest}") == [(NEW,)]
        assert rows(f"select count({column}) from raw_{table} where _run_seq <= 2") == [(0,)]
    newest = "where _run_seq = (select max(_run_seq) from raw_facebook_ads.campaigns)"
    assert rows(f"select count(*) > 0, count(buying_type) from raw_facebook_ads.campaigns {newest}") == [
        (True, 0)
    ]
    newest = "where _run_seq = (select max(_run_seq) from raw_facebook_ads.adsets)"
    for (text,) in rows(f"select start_time from raw_facebook_ads.adsets {newest}"):
        (was,) = json.loads(text)
        assert isinstance(was, str)


def test_a_dbt_test_names_every_field_that_drifted(morning: Morning) -> None:
    named = morning.chain.rows(
        "select distinct platform, resource, field, drift from test_failures.assert_fields_are_as_declared"
    )
    assert set(named) == {
        ("facebook_ads", "insights_ad", "brand_new", "new"),
        ("google_ads", "campaign_day", "metrics__brand_new", "new"),
        ("facebook_ads", "campaigns", "buying_type", "vanished"),
        ("facebook_ads", "adsets", "start_time", "another shape"),
    }
    assert "field=buying_type" in morning.built.output


def star_of(chain: Chain, account: str) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the star that are about the account."""
    tables = [*DIMENSIONS, "fact_ad_performance", "fact_ad_conversion"]
    return {
        table: chain.rows(
            f"select to_jsonb(line)::text from marts.{table} as line where account_id = %s order by 1",
            [account],
        )
        for table in tables
    }
