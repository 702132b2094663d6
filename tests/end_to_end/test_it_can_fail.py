"""What must turn `dbt build` red does, and the account and the day are named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import pytest

from simulators.business import Account
from tests.end_to_end.chain import Built, Chain

Place = tuple[Account, date]
Damage = Callable[[Chain, Account, date], None]

REPORTS = {
    "facebook_ads": ("raw_facebook_ads.insights_ad", "spend"),
    "google_ads": ("raw_google_ads.ad_group_ad_day", "metrics__cost_micros"),
}
CENT = {"facebook_ads": "0.01", "google_ads": "10000"}


def landed_page_deleted(chain: Chain, account: Account, day: date) -> None:
    """Half of the rows of a set, in the order they came in."""
    table, _ = REPORTS[account.platform]
    chain.rows(
        f"delete from {table} where ctid in (select ctid from {table} where _account = %s and _day = %s"  # noqa: S608
        f" order by _run_seq desc, _row_no limit (select (count(*) + 1) / 2 from {table}"
        " where _account = %s and _day = %s))",
        [account.id, day, account.id, day],
    )


def row_doubled(chain: Chain, account: Account, day: date) -> None:
    """A row of the current set again, as another row."""
    table, _ = REPORTS[account.platform]
    columns = [name for (name,) in chain.rows(
        "select column_name from information_schema.columns where table_schema || '.' || table_name = %s", [table]
    )]  # fmt: skip
    given = ", ".join(f'"{name}"' for name in columns)
    taken = ", ".join("_row_no + 1000000" if name == "_row_no" else f'"{name}"' for name in columns)
    chain.rows(
        f"insert into {table} ({given}) select {taken} from {table} where _account = %s and _day = %s"  # noqa: S608
        " order by _run_seq desc limit 1",
        [account.id, day],
    )


def cent_changed(chain: Chain, account: Account, day: date) -> None:
    """One row of the current set costs a cent more."""
    table, spend = REPORTS[account.platform]
    chain.rows(
        f"update {table} set {spend} = ({spend}::numeric + {CENT[account.platform]})::text where ctid ="  # noqa: S608
        f" (select ctid from {table} where _account = %s and _day = %s order by _run_seq desc limit 1)",
        [account.id, day],
    )


def ads_withheld(chain: Chain, account: Account, day: date) -> None:
    """The platform leaves out all ads of a campaign that none of its deleted ads can explain."""
    business, now = chain.simulator.business, chain.simulator.now
    ads = business.ads(account, now)
    excused = {ad.campaign_id for ad in ads if ad.status == "DELETED" or ad.effective_status == "DELETED"}
    excused |= {campaign.id for campaign in business.campaigns(account, now) if not campaign.has_ads}
    with_spend = {row.campaign_id for row in business.ad_days(account, day, now) if row.spend}
    campaign = min(with_spend - excused)
    chain.simulator.fault(
        "withhold_ads", platform=account.platform, account=account.id, campaign=campaign, day=day.isoformat()
    )
    chain.land(account.platform)


DAMAGES: list[Damage] = [landed_page_deleted, row_doubled, cent_changed, ads_withheld]


def assert_red(chain: Chain, built: Built, places: list[Place]) -> None:
    """The build failed, and what its tests have stored names every place."""
    assert built.code == 1
    stored = [name for (name,) in chain.rows(
        "select table_name from information_schema.tables where table_schema = 'test_failures'"
    )]  # fmt: skip
    failures = " ".join(
        str(line) for name in stored for (line,) in chain.rows(f'select t::text from test_failures."{name}" as t')  # noqa: S608
    )
    lines = failures.split(") (")
    for account, day in places:
        assert any(account.id in line and day.isoformat() in line for line in lines), (account, day, built.failed)


def places(chain: Chain) -> list[Place]:
    """A place for each damage, all different, on settled days of which both platforms tell."""
    facebook = chain.accounts("facebook_ads")[0]
    google = chain.accounts("google_ads")[0]
    today = chain.simulator.now.date()
    return [(facebook, today - timedelta(days=2)), (google, today - timedelta(days=3)),
            (facebook, today - timedelta(days=4)), (google, today - timedelta(days=5))]  # fmt: skip


def test_each_damage_turns_the_build_red_and_is_named(journey: Chain) -> None:
    """All four at once, each at its own place, so that one build tells of all."""
    chosen = places(journey)
    for damage, (account, day) in zip(DAMAGES, chosen, strict=True):
        damage(journey, account, day)
    assert_red(journey, journey.dbt("build"), chosen)


@pytest.mark.full
@pytest.mark.parametrize("platform", ["facebook_ads", "google_ads"])
@pytest.mark.parametrize("rebuilt", [False, True], ids=["incremental", "rebuilt"])
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.replace("_", " "))
def test_a_damage_alone_turns_the_build_red(journey: Chain, damage: Damage, platform: str, rebuilt: bool) -> None:
    account, day = next(place for place in places(journey) if place[0].platform == platform)
    damage(journey, account, day)
    built = journey.dbt("build", *(["--full-refresh"] if rebuilt else []))
    assert_red(journey, built, [(account, day)])
    named = [text for text in built.failed.values() if text]
    print(f"figure: red, {len(named)} tests fail, {account.id} and {day} named")
