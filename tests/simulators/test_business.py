"""The business behind the simulators: exact sums, determinism, and what is known when."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from simulators.business import (
    COLUMNS,
    GOOGLE_SETTLED_DAYS,
    META_SETTLED_DAYS,
    Account,
    Business,
    Platform,
)

FIRST = date(2026, 1, 1)
NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
PLATFORMS: tuple[Platform, ...] = ("facebook_ads", "google_ads")
ADDITIVE = [
    "impressions", "clicks", "link_clicks", "spend", "conversions_x100", "all_conversions_x100",
    "conversions_value", "all_conversions_value", "view_through_conversions",
]  # fmt: skip


def clients(business: Business) -> list[Account]:
    return [one for platform in PLATFORMS for one in business.accounts(platform) if not one.is_manager]


@pytest.fixture(scope="module")
def business() -> Business:
    return Business(7, FIRST, 60)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("age", [0, 1, 9, 40])
def test_ads_make_campaigns_make_the_account_make_the_ledger(seed: int, age: int) -> None:
    business = Business(seed, FIRST, 60)
    for account in clients(business):
        day = NOW.astimezone(account.zone).date() - timedelta(age)
        ads = business.ad_days(account, day, NOW, hidden=True)
        campaigns = {one.campaign_id: one for one in business.campaign_days(account, day, NOW)}
        whole = business.account_day(account, day, NOW)
        ledger = business.ledger(account, day, NOW)
        assert whole is not None
        for name in ADDITIVE:
            by_campaign: Counter[str] = Counter()
            for ad in ads:
                by_campaign[ad.campaign_id] += getattr(ad, name)
            assert by_campaign == Counter({id_: getattr(one, name) for id_, one in campaigns.items()}), name
            assert sum(by_campaign.values()) == getattr(whole, name), name
        for name in ("impressions", "clicks", "spend"):
            shown = sum(getattr(ad, name) for ad in ads if ad.hidden is None)
            assert ledger.total[name] == getattr(whole, name)
            assert ledger.returned[name] == shown
            assert ledger.total[name] == shown + sum(part[name] for part in ledger.hidden.values())
            assert {id_: part[name] for id_, part in ledger.campaigns.items()} == {
                id_: getattr(one, name) for id_, one in campaigns.items()
            }


def test_the_same_question_has_the_same_answer_in_any_process_order() -> None:
    one, other = Business(5, FIRST, 60), Business(5, FIRST, 60)
    days = [FIRST + timedelta(n) for n in (3, 17, 40)]
    for account in clients(one):
        asked = [one.ad_days(account, day, NOW) for day in days]
        assert asked == [other.ad_days(account, day, NOW) for day in reversed(days)][::-1]
        assert one.ads(account, NOW) == other.ads(account, NOW)


def test_figures_do_not_depend_on_where_the_history_begins_or_ends() -> None:
    short, long = Business(5, date(2026, 2, 1), 20), Business(5, date(2025, 6, 1), 300)
    for account in clients(short):
        same = long.account(account.platform, account.id)
        assert same == account
        day = date(2026, 2, 11)
        assert short.ad_days(account, day, NOW, hidden=True) == long.ad_days(same, day, NOW, hidden=True)
        assert short.ad_days(account, date(2026, 1, 31), NOW) == []


def test_another_seed_is_another_business() -> None:
    a, b = Business(1, FIRST, 60), Business(2, FIRST, 60)
    assert {one.id for one in clients(a)}.isdisjoint({one.id for one in clients(b)})
    assert [a.ledger(one, FIRST, NOW).total for one in clients(a)] != [
        b.ledger(one, FIRST, NOW).total for one in clients(b)
    ]


@pytest.mark.parametrize(
    ("platform", "settled"), [("facebook_ads", META_SETTLED_DAYS), ("google_ads", GOOGLE_SETTLED_DAYS)]
)
def test_a_day_moves_until_it_is_settled_and_never_after(
    business: Business, platform: Platform, settled: int
) -> None:
    day = date(2026, 1, 10)
    for account in clients(business):
        if account.platform != platform:
            continue
        noon = datetime.combine(day, datetime.min.time(), account.zone) + timedelta(hours=12)
        seen = [business.ledger(account, day, noon + timedelta(age)).total for age in range(settled + 30)]
        changes = [age for age in range(1, len(seen)) if seen[age] != seen[age - 1]]
        assert max(changes) <= settled
        assert max(changes) > settled - 5, "the last conversion windows should fill up at the very end"
        assert not business.ledger(account, day, noon + timedelta(settled - 1)).settled
        assert business.ledger(account, day, noon + timedelta(settled)).settled


def test_restatement_goes_both_ways_and_rows_vanish(business: Business) -> None:
    account = business.accounts("facebook_ads")[1]
    lower = vanished = grown = 0
    for n in range(25):
        day = FIRST + timedelta(n)
        soon = datetime.combine(day, datetime.min.time(), account.zone) + timedelta(days=3)
        early = {ad.ad_id: ad for ad in business.ad_days(account, day, soon, hidden=True)}
        late = {ad.ad_id: ad for ad in business.ad_days(account, day, NOW, hidden=True)}
        vanished += len(early.keys() - late.keys())
        for ad_id in early.keys() & late.keys():
            lower += late[ad_id].spend < early[ad_id].spend
            grown += late[ad_id].conversions_x100 > early[ad_id].conversions_x100
            assert late[ad_id].impressions == early[ad_id].impressions
    assert vanished
    assert lower
    assert grown


def test_asking_as_of_an_earlier_instant_gives_what_was_said_then(business: Business) -> None:
    account = business.accounts("facebook_ads")[0]
    day = date(2026, 2, 10)
    then = datetime(2026, 2, 12, 6, tzinfo=UTC)
    said = business.ad_days(account, day, then)
    assert business.ad_days(account, day, NOW) != said
    assert business.ad_days(account, day, then) == said
    assert business.ad_days(account, day, datetime(2026, 2, 9, 6, tzinfo=UTC)) == []


def test_today_grows_by_the_hour_of_the_accounts_own_zone(business: Business) -> None:
    for account in clients(business):
        midnight = datetime(2026, 2, 20, tzinfo=account.zone)
        hours = [
            business.account_day(account, midnight.date(), midnight + timedelta(hours=h)) for h in range(24)
        ]
        counts = [one.impressions if one else 0 for one in hours]
        assert counts[0] == 0
        assert counts == sorted(counts)
        final = business.account_day(account, midnight.date(), midnight + timedelta(days=1))
        assert final is not None
        assert 0 < counts[12] < final.impressions
        assert business.account_day(account, midnight.date(), midnight - timedelta(hours=1)) is None


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_business_has_what_breaks_pipelines(seed: int) -> None:
    business = Business(seed, FIRST, 60)
    facebook, google = business.accounts("facebook_ads"), business.accounts("google_ads")
    assert [(one.currency, one.timezone) for one in facebook] == [
        ("EUR", "Europe/Berlin"), ("USD", "America/Los_Angeles"), ("JPY", "Asia/Tokyo"),
    ]  # fmt: skip
    assert [one.is_manager for one in google] == [True, False, False, False]
    assert [one.currency for one in google[1:]] == ["EUR", "USD", "INR"]
    for accounts in (facebook, google[1:]):
        assert max(Counter(one.name for one in accounts).values()) == 2
    names = [{campaign.name for campaign in business.campaigns(one, NOW)} for one in facebook + google[1:]]
    assert set.intersection(*names), "campaigns of equal name in different accounts"

    statuses = Counter(ad.effective_status for one in facebook for ad in business.ads(one, NOW))
    assert {"ACTIVE", "PAUSED", "DELETED", "ARCHIVED"} <= statuses.keys()
    assert any(ad.hidden for one in facebook for ad in business.ads(one, NOW))
    kinds = {campaign.kind for one in google[1:] for campaign in business.campaigns(one, NOW)}
    assert {"PERFORMANCE_MAX", "SMART", "SEARCH", "DISPLAY"} <= kinds

    hidden = Counter[str]()
    idle_conversions = 0
    gaps: defaultdict[str, set[date]] = defaultdict(set)
    days = [FIRST + timedelta(n) for n in range(50)]
    for one in clients(business):
        for day in days:
            for ad in business.ad_days(one, day, NOW, hidden=True):
                hidden[ad.hidden or "shown"] += 1
                idle_conversions += ad.impressions == 0 and ad.all_conversions_x100 > 0
                if ad.impressions:
                    gaps[ad.ad_id].add(day)
    assert {"shown", "deleted", "performance_max", "smart"} == hidden.keys()
    assert idle_conversions
    assert any(len(seen) < (max(seen) - min(seen)).days + 1 for seen in gaps.values()), (
        "days without delivery"
    )


def test_ids_are_unique_where_the_platforms_say_so_and_only_there(business: Business) -> None:
    for account in clients(business):
        ads, groups = business.ads(account, NOW), business.ad_groups(account, NOW)
        assert len({one.id for one in groups}) == len(groups)
        if account.platform == "facebook_ads":
            assert len({one.id for one in ads}) == len(ads)
            assert min(int(one.id) for one in ads) > 2**53
            continue
        assert len({(one.ad_group_id, one.id) for one in ads}) == len(ads)
        assert len({one.id for one in ads}) < len(ads), "the same ad id in two ad groups"
        keywords = business.keywords(account, NOW)
        assert len({(one.ad_group_id, one.criterion_id) for one in keywords}) == len(keywords)
    everywhere = [
        keyword.criterion_id
        for account in business.accounts("google_ads")
        for keyword in business.keywords(account, NOW)
    ]
    assert len(set(everywhere)) < len(everywhere), "the same criterion id in two ad groups"


def test_entities_change_over_time(business: Business) -> None:
    account = business.accounts("facebook_ads")[1]
    instants = [datetime(2026, 1, 2, tzinfo=UTC) + timedelta(days=n) for n in range(0, 200, 2)]
    history: defaultdict[str, list[tuple[str, str, int | None]]] = defaultdict(list)
    updated: dict[str, datetime] = {}
    for instant in instants:
        for one in business.campaigns(account, instant):
            state = (one.name, one.status, one.daily_budget)
            if history[one.id] and history[one.id][-1] != state:
                assert one.updated_at > updated[one.id], "a change without a new updated_time"
            assert one.updated_at <= instant
            history[one.id].append(state)
            updated[one.id] = one.updated_at
    names = [len({name for name, _, _ in states}) for states in history.values()]
    budgets = [len({budget for _, _, budget in states}) for states in history.values()]
    statuses = {status for states in history.values() for _, status, _ in states}
    assert max(names) > 1
    assert max(budgets) > 1
    assert {"ACTIVE", "PAUSED"} < statuses
    final = [states[-1][1] for states in history.values() if states[-1][1] in ("DELETED", "ARCHIVED")]
    assert final


def test_a_deleted_ad_shows_up_in_reports_until_it_is_deleted(business: Business) -> None:
    account = business.accounts("facebook_ads")[1]
    hidden = [
        ad for ad in business.ads(account, NOW) if ad.hidden and ad.updated_at.date() > date(2026, 1, 20)
    ]
    ad = hidden[0]
    for back in range(1, 20):
        day = ad.updated_at.date() - timedelta(back)
        before = {one.ad_id for one in business.ad_days(account, day, ad.updated_at - timedelta(hours=1))}
        after = {one.ad_id for one in business.ad_days(account, day, ad.updated_at + timedelta(hours=1))}
        if ad.id in before:
            assert ad.id not in after
            return
    pytest.fail("the deleted ad never delivered in the weeks before")


def test_keywords_share_out_their_ad_group_and_search_terms_less_than_that(business: Business) -> None:
    account = business.accounts("google_ads")[2]
    day = date(2026, 1, 20)
    search = {one.id for one in business.campaigns(account, NOW) if one.kind == "SEARCH"}
    groups: Counter[str] = Counter()
    for ad in business.ad_days(account, day, NOW):
        if ad.campaign_id in search:
            groups[ad.ad_group_id] += ad.spend
    keywords: Counter[str] = Counter()
    per_keyword: Counter[tuple[str, str]] = Counter()
    for row in business.keyword_days(account, day, NOW):
        keywords[row.ad_group_id] += row.spend
        per_keyword[row.ad_group_id, row.criterion_id] += row.spend
    assert +keywords == +groups
    terms: Counter[tuple[str, str]] = Counter()
    for term in business.search_term_days(account, day, NOW):
        terms[term.ad_group_id, term.criterion_id] += term.spend
    assert 0 < sum(terms.values()) < sum(per_keyword.values())
    assert all(spend <= per_keyword[key] for key, spend in terms.items())


def test_conversion_rows_overlap_on_facebook_and_add_up_on_google(business: Business) -> None:
    day = date(2026, 1, 20)
    facebook, google = business.accounts("facebook_ads")[1], business.accounts("google_ads")[2]
    purchases = Counter[str]()
    for row in business.conversion_days(facebook, day, NOW, hidden=True):
        purchases[row.action] += row.count_x100
        if row.windows:
            assert row.windows.get("1d_click", 0) <= row.windows.get("28d_click", 0)
    whole = business.account_day(facebook, day, NOW)
    assert whole is not None
    assert purchases["purchase"] == purchases["omni_purchase"] == whole.conversions_x100 > 0
    assert purchases["link_click"] < purchases["post_engagement"] <= purchases["page_engagement"]

    rows = business.conversion_days(google, day, NOW, hidden=True)
    totals = business.account_day(google, day, NOW)
    assert totals is not None
    assert sum(row.count_x100 for row in rows) == totals.all_conversions_x100
    assert sum(row.count_x100 for row in rows if row.primary) == totals.conversions_x100
    assert totals.conversions_x100 < totals.all_conversions_x100


def test_scale_multiplies_rows() -> None:
    small, large = Business(7, FIRST, 60), Business(7, FIRST, 60, scale=40)
    for account in clients(small):
        few = len(small.units(account, FIRST, NOW))
        many = len(large.units(account, FIRST, NOW))
        assert 25 < many / few < 60
        ids = large.book(account).ad_id
        assert account.platform == "google_ads" or len(np.unique(ids)) == len(ids)


def test_a_manager_has_no_figures_and_says_so(business: Business) -> None:
    manager = business.accounts("google_ads")[0]
    assert business.campaigns(manager, NOW) == []
    with pytest.raises(ValueError, match="manager"):
        business.units(manager, FIRST, NOW)


def test_columns_are_whole_numbers(business: Business) -> None:
    for account in clients(business):
        units = business.units(account, FIRST, NOW)
        assert units.matrix.dtype == np.int64
        assert units.matrix.shape == (len(COLUMNS[account.platform]), len(units))
        assert units.matrix.min() >= 0
