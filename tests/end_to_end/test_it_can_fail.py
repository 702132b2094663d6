"""What must turn `dbt build` red does, and the account and the day are named."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from simulators.business import Account
from tests.end_to_end.chain import PLATFORMS, Built, Chain

Place = tuple[Account, date]
Damage = Callable[[Chain, Account, date], None]

REPORTS = {
    "facebook_ads": ("raw_facebook_ads.insights_ad", "spend"),
    "google_ads": ("raw_google_ads.ad_group_ad_day", "metrics__cost_micros"),
}
EMPTIED = {
    "facebook_ads": ["insights_ad", "insights_campaign"],
    "google_ads": ["ad_group_ad_day", "campaign_day"],
}
CENT = {"facebook_ads": "0.01", "google_ads": "10000"}


def landed_page_deleted(chain: Chain, account: Account, day: date) -> None:
    """Half of the rows of a set, in the order they came in."""
    table, _ = REPORTS[account.platform]
    chain.rows(
        f"delete from {table} where ctid in (select ctid from {table} where _account = %s and _day = %s"
        f" order by _run_seq desc, _row_no limit (select (count(*) + 1) / 2 from {table}"
        " where _account = %s and _day = %s))",
        [account.id, day, account.id, day],
    )


def row_doubled(chain: Chain, account: Account, day: date) -> None:
    """A row of the current set again, as another row."""
    table, _ = REPORTS[account.platform]
    found = chain.rows(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0", [table]
    )
    columns = [name for (name,) in found]
    given = ", ".join(f'"{name}"' for name in columns)
    taken = ", ".join("_row_no + 1000000" if name == "_row_no" else f'"{name}"' for name in columns)
    chain.rows(
        f"insert into {table} ({given}) select {taken} from {table} where _account = %s and _day = %s"
        " order by _run_seq desc limit 1",
        [account.id, day],
    )


def cent_changed(chain: Chain, account: Account, day: date) -> None:
    """One row of the current set costs a cent more."""
    table, spend = REPORTS[account.platform]
    chain.rows(
        f"update {table} set {spend} = ({spend}::numeric + {CENT[account.platform]})::text where ctid ="
        f" (select ctid from {table} where _account = %s and _day = %s order by _run_seq desc limit 1)",
        [account.id, day],
    )


def ads_withheld(chain: Chain, account: Account, day: date) -> None:
    """From the next run on, the platform leaves out all ads of a campaign."""
    campaign = next(found for *place, found in unexcused(chain) if place == [account, day])
    also(chain, "withhold_ads", account, campaign=campaign, day=day.isoformat())


def nothing_told(chain: Chain, account: Account, day: date) -> None:
    """From the next run on, success with zero rows, where the platform's own total says otherwise."""
    also(chain, "empty_success", account, resource=EMPTIED[account.platform])


def also(chain: Chain, fault: str, account: Account, **options: Any) -> None:
    """Switch a fault on for one more account."""
    faults = chain.simulator.state.faults
    rule = {"platform": account.platform, "account": account.id, **options}
    faults.set(fault, [*faults.active().get(fault, []), rule])


def unexcused(chain: Chain) -> Iterator[tuple[Account, date, str]]:
    """Account-days with a campaign that has spend which neither its kind nor a deleted ad could explain."""
    business, now = chain.simulator.business, chain.simulator.now
    for account in chain.accounts():
        has_ads = {campaign.id for campaign in business.campaigns(account, now) if campaign.has_ads}
        ads = business.ads(account, now)
        for back in range(2, 7):
            day = now.date() - timedelta(days=back)
            excused = {
                ad.campaign_id
                for ad in ads
                if account.platform == "facebook_ads"
                and "DELETED" in (ad.status, ad.effective_status)
                and ad.updated_at.date() + timedelta(days=30) >= day
            }
            spending = {row.campaign_id for row in business.ad_days(account, day, now) if row.spend}
            yield from ((account, day, campaign) for campaign in sorted(spending & has_ads - excused))


TOLD: list[Damage] = [ads_withheld, nothing_told]
LANDED: list[Damage] = [landed_page_deleted, row_doubled, cent_changed]


def assert_red(chain: Chain, built: Built, places: list[Place]) -> None:
    """The build failed, and what its tests have stored names every place."""
    assert built.code == 1
    tables = chain.rows(
        "select table_name from information_schema.tables where table_schema = 'test_failures'"
    )
    lines = [
        line
        for (table,) in tables
        for (line,) in chain.rows(f'select line::text from test_failures."{table}" as line')
    ]
    for account, day in places:
        named = any(account.id in line and day.isoformat() in line for line in lines)
        assert named, (account, day, built.failed)


def place(chain: Chain, damage: Damage, platform: str, but: Collection[Place] = ()) -> Place:
    """A settled account-day for a damage, none of those that are taken; nothing_told needs an account."""
    today = chain.simulator.now.date()
    *accounts, last = (account for account in chain.accounts() if account.platform == platform)
    if damage is nothing_told:
        return last, today - timedelta(days=2)
    if damage is ads_withheld:
        return next((account, day) for account, day, _ in unexcused(chain) if account in accounts)
    free = ((account, today - timedelta(days=back)) for back in range(2, 7) for account in accounts)
    return next(found for found in free if found not in but)


@pytest.mark.full
def test_each_damage_turns_the_build_red_and_is_named(journey: Chain) -> None:
    """All at once on each platform, every one at its own place, so that one build tells of all."""
    taken: list[Place] = []

    def do(damages: list[Damage]) -> None:
        for platform in PLATFORMS:
            for damage in damages:
                taken.append(place(journey, damage, platform, taken))
                damage(journey, *taken[-1])

    do(TOLD)
    journey.land()
    do(LANDED)
    # In a build, the first tests that fail keep the rest from being run.
    journey.build_models()
    assert_red(journey, journey.dbt("test"), taken)


@pytest.mark.full
@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("rebuilt", [False, True], ids=["incremental", "rebuilt"])
@pytest.mark.parametrize("damage", LANDED + TOLD, ids=lambda damage: damage.__name__.replace("_", " "))
def test_a_damage_alone_turns_the_build_red(
    journey: Chain, damage: Damage, platform: str, rebuilt: bool
) -> None:
    account, day = place(journey, damage, platform)
    damage(journey, account, day)
    if damage in TOLD:
        journey.land()
    built = journey.dbt("build", *(["--full-refresh"] if rebuilt else []))
    assert_red(journey, built, [(account, day)])
    print(f"figure: red, {len(built.failed)} tests fail, {account.id} and {day} named")


@pytest.mark.full
@pytest.mark.parametrize("fault", ["vanished_field", "changed_type"])
def test_without_a_field_that_the_star_needs_the_build_is_red(journey: Chain, fault: str) -> None:
    journey.next_day()
    journey.simulator.fault(fault, field="spend", resource="insights_ad", platform="facebook_ads")
    code, output = journey.run()
    assert code == 0, output
    built = journey.dbt("build")
    assert built.code == 1
    assert "assert_required_fields_are_delivered" in built.failed
    assert "field=spend" in built.output
    print(f"figure: {fault}: red, the field is named")
