"""The people behind the clicks: bound by settled figures, the same whenever asked, odd as promised."""

from __future__ import annotations

import re
import time
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from simulators.business import GOOGLE_SETTLED_DAYS, Account, Business
from simulators.people import Order, People, Touch
from simulators.server import Simulator
from simulators.shop import MINOR_PER_UNIT

FIRST = date(2026, 1, 1)
NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
SEEDS = (7, pytest.param(2, marks=pytest.mark.full))


@cache
def people(seed: int = 7) -> People:
    return People(Business(seed, FIRST, 60))


def accounts(business: Business) -> list[Account]:
    both = [*business.accounts("facebook_ads"), *business.accounts("google_ads")]
    return [account for account in both if not account.is_manager]


def everything(of: People, until: datetime) -> dict[str, list[Any]]:
    return {
        "persons": of.persons(until),
        "touches": of.touches(until),
        "events": of.events(until),
        "orders": of.orders(until),
        "logins": of.logins(until),
    }


# --- the same whenever asked --------------------------------------------------------------------------------


def test_the_same_question_has_the_same_answer_and_another_seed_another() -> None:
    again = People(Business(7, FIRST, 60))
    again.touches(NOW + timedelta(days=70))  # worked out further ahead, and in another order
    assert everything(again, NOW) == everything(people(), NOW)
    assert again.products() == people().products()
    assert {one.number for one in people(2).persons(NOW)}.isdisjoint(one.number for one in again.persons(NOW))


def test_who_comes_later_does_not_depend_on_where_the_history_begins_or_ends() -> None:
    late = date(2026, 1, 25)
    short = everything(People(Business(7, late, 90)), NOW)
    begins = datetime(2026, 1, 26, tzinfo=UTC)
    assert short["persons"] == [one for one in people().persons(NOW) if one in short["persons"]]
    since = {one.number for one in people().persons(NOW) if one.first_seen_at > begins}
    shared = since & {one.number for one in short["persons"]}
    assert 500 < len(shared) > 0.97 * len(since), "but for second accounts of those who came before"
    for what, ours in everything(people(), NOW).items():
        if what in {"touches", "events", "orders"}:
            of = [one for one in ours if one.person in shared]
            assert of == [one for one in short[what] if one.person in shared], what


@pytest.mark.parametrize("days", [0, 40, *(pytest.param(days, marks=pytest.mark.full) for days in (1, 17))])
def test_an_earlier_instant_is_a_part_of_a_later_one(days: int) -> None:
    then = datetime(2026, 1, 9, 13, 30, tzinfo=UTC) + timedelta(days=days)
    early, late = everything(People(Business(7, FIRST, 60)), then), everything(people(), NOW)
    assert early["touches"] == [one for one in late["touches"] if one.at < then]
    assert early["logins"] == [one for one in late["logins"] if one.at < then]
    assert early["events"] == [one for one in late["events"] if one.uploaded_at < then]
    assert [one.order_id for one in early["orders"]] == [
        one.order_id for one in late["orders"] if one.at < then
    ]
    for was, became in zip(early["orders"], late["orders"], strict=False):
        assert (was.at, was.lines, was.user_id, was.touch) == (
            became.at,
            became.lines,
            became.user_id,
            became.touch,
        )
        assert was == became or (was.status, was.refund, was.updated_at) == ("paid", 0, was.at)
        assert was.updated_at < then
    assert [one.number for one in early["persons"]] == [
        one.number for one in late["persons"] if one.first_seen_at < then
    ]
    became_of = {one.number: one for one in late["persons"]}
    for person in early["persons"]:
        assert person.updated_at < then
        assert person == became_of[person.number] or person.updated_at <= became_of[person.number].updated_at
        assert became_of[person.number].devices[: len(person.devices)] == person.devices


# --- bound by what the ads report ---------------------------------------------------------------------------


def settled(business: Business, account: Account, day: date) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Clicks and click purchases of each ad on a day, out of the platform's rows."""
    as_of = datetime.combine(day, datetime.min.time(), UTC) + timedelta(days=GOOGLE_SETTLED_DAYS + 3)
    found: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])

    def key(row: Any) -> tuple[str, str, str]:
        whole = row.hidden in {"performance_max", "smart"}
        return (row.campaign_id, "" if whole else row.ad_group_id, "" if whole else row.ad_id)

    for ad in business.ad_days(account, day, as_of, hidden=True):
        found[key(ad)][0] += ad.clicks
    purchase = business.conversion_actions(account)[0].id if account.platform == "google_ads" else "purchase"
    parts: Counter[tuple[str, str, str]] = Counter()
    for row in business.conversion_days(account, day, as_of, hidden=True):
        if row.action == purchase:
            # Google's are hundredths of a unit in one device and network, so each unit is rounded by itself
            parts[key(row)] += row.windows.get("7d_click", 0) if row.windows else row.count_x100 // 100
    for ad_key, count in parts.items():
        found[ad_key][1] += count
    return {ad_key: (clicks, purchases) for ad_key, (clicks, purchases) in found.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_no_ad_has_more_visits_than_clicks_or_more_orders_than_purchases(seed: int) -> None:
    business = people(seed).business
    by_id = {account.id: account for account in accounts(business)}
    visits: Counter[tuple[str, date, tuple[str, str, str]]] = Counter()
    orders: Counter[tuple[str, date, tuple[str, str, str]]] = Counter()

    def place(touch: Touch, at: datetime) -> tuple[str, date, tuple[str, str, str]]:
        day = at.astimezone(by_id[touch.account_id].zone).date()
        return touch.account_id, day, (touch.campaign_id, touch.ad_group_id, touch.ad_id)

    for touch in people(seed).touches(NOW):
        if touch.platform:
            visits[place(touch, touch.at)] += 1
    for order in people(seed).orders(NOW):
        if order.touch is not None:
            # Google dates a purchase by its click, Meta by itself
            dated = order.touch.at if order.touch.platform == "google_ads" else order.at
            orders[place(order.touch, dated)] += 1
    figures = {
        (account, day): settled(business, by_id[account], day)
        for account, day, _ in visits.keys() | orders.keys()
    }
    assert all(count <= figures[account, day][ad][0] for (account, day, ad), count in visits.items())
    assert all(count <= figures[account, day][ad][1] for (account, day, ad), count in orders.items())
    assert max(orders.values()) > 1
    claimed = sum(purchases for day in figures.values() for _, purchases in day.values())
    assert claimed > 1.5 * sum(orders.values()), "platforms claim more than there is"


@pytest.mark.parametrize("seed", SEEDS)
def test_orders_follow_sign_up_and_click(seed: int) -> None:
    up = {one.user_id: one.signed_up_at for one in people(seed).persons(NOW) if one.signed_up_at}
    by_person = {one.number: one for one in people(seed).persons(NOW)}
    touches = set(people(seed).touches(NOW))
    for order in people(seed).orders(NOW):
        assert up[order.user_id] < order.at
        assert by_person[order.person].currency == order.currency
        assert order.touch is None or (order.touch in touches and order.touch.at < order.at)
        assert order.touch is None or order.touch.person == order.person


@pytest.mark.parametrize("seed", SEEDS)
def test_sizes_and_shares_are_those_of_the_contract(seed: int) -> None:
    found = everything(people(seed), NOW)
    assert 2_000 <= len(found["persons"]) <= 4_000
    assert 10_000 <= len(found["events"]) <= 21_000
    assert 400 <= len(found["orders"]) <= 1_000
    assert 1_000 <= len(found["logins"]) <= 4_000
    first: dict[int, Touch] = {}
    for touch in found["touches"]:
        first.setdefault(touch.person, touch)
    assert 0.05 < sum(not touch.platform for touch in first.values()) / len(first) < 0.2
    assert 0.005 < sum(one.merged_into is not None for one in found["persons"]) / len(found["persons"]) < 0.03


def test_sixty_days_take_seconds() -> None:
    fresh = People(Business(3, FIRST, 60))
    began = time.process_time()
    fresh.events(NOW)
    first = time.process_time() - began
    began = time.process_time()
    fresh.events(NOW - timedelta(days=1))
    assert first < 6, "about 2 s on an idle machine"
    assert time.process_time() - began < 0.5, "lives are worked out once"


# --- odd as promised ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_touches_lead_to_ads_in_every_way_and_in_none(seed: int) -> None:
    touches = people(seed).touches(NOW)
    assert touches == sorted(touches, key=lambda touch: touch.at)
    paid = [touch for touch in touches if touch.platform]
    assert {(touch.platform, touch.evidence) for touch in paid} == {
        ("google_ads", "gclid"), ("google_ads", "url_ids"), ("google_ads", "utm_name"), ("google_ads", ""),
        ("facebook_ads", "utm_ids"), ("facebook_ads", ""),
    }  # fmt: skip
    assert any(not touch.ad_id and touch.campaign_id for touch in paid), "campaigns without ads"
    ids = [touch.click_id for touch in paid if touch.click_id]
    assert len(ids) == len(set(ids))
    campaigns = {
        campaign.name
        for account in accounts(people(seed).business)
        for day in range(0, 62, 4)
        for campaign in people(seed).business.campaigns(
            account, datetime(2025, 12, 31, tzinfo=UTC) + timedelta(days=day)
        )
    }
    for touch in touches:
        query = {name: values[0] for name, values in parse_qs(urlsplit(touch.landing_url).query).items()}
        utm = [query.get(f"utm_{name}", "") for name in ("source", "medium", "campaign", "content")]
        assert utm == [touch.utm_source, touch.utm_medium, touch.utm_campaign, touch.utm_content]
        if touch.evidence == "gclid":
            assert re.fullmatch(r"Cj0KCQiA[\w-]{90,}", query["gclid"])
            assert query["gclid"] == touch.click_id
        elif touch.evidence == "url_ids":
            assert query["campaignid"] == touch.campaign_id
            assert (query.get("adgroupid", ""), query.get("adid", "")) == (touch.ad_group_id, touch.ad_id)
        elif touch.evidence == "utm_ids":
            assert (touch.utm_campaign, touch.utm_content) == (touch.campaign_id, touch.ad_id)
            assert query.get("fbclid", "") == touch.click_id
        elif touch.evidence == "utm_name":
            assert touch.utm_campaign in campaigns
    several = Counter(touch.person for touch in paid)
    assert max(several.values()) > 1, "people come back through another ad"
    platforms = defaultdict(set)
    for touch in paid:
        platforms[touch.person].add(touch.platform)
    assert any(len(both) == 2 for both in platforms.values()), "both platforms may claim the same order"


@pytest.mark.parametrize("seed", SEEDS)
def test_persons_are_as_untidy_as_people_are(seed: int) -> None:
    persons = people(seed).persons(NOW)
    users = [one for one in persons if one.user_id]
    by_id = {one.user_id: one for one in users}
    assert len(by_id) == len(users)
    visitors = [one for one in persons if not one.user_id]
    assert visitors
    assert {(one.name, one.email, one.phone, one.signed_up_at) for one in visitors} == {("", "", "", None)}
    merged = [one for one in users if one.merged_into]
    assert merged
    for one in merged:
        assert one.merged_into in by_id
        assert by_id[one.merged_into].merged_into is None
        assert by_id[one.merged_into].country == one.country
    assert {one.currency for one in users} == {"EUR", "USD", "JPY", "INR", "GBP"}
    assert any(not one.name.isascii() for one in users)
    assert all(re.fullmatch(r"[\w.]+@example\.(com|org|net)", one.email, re.IGNORECASE) for one in users)
    assert any(one.email != one.email.lower() for one in users)
    assert len({one.email.lower() for one in users}) > 0.99 * len(users)
    assert all(re.fullmatch(r"\+\d{10,14}", one.phone) for one in users)
    assert any(len(one.devices) > 1 for one in users)
    assert {device.platform for one in persons for device in one.devices} == {"Android", "iOS", "Web"}
    objects = [device.object_id for one in persons for device in one.devices]
    assert len(objects) == len(set(objects))
    assert all(
        one.ip.startswith(("192.0.2.", "198.51.100.", "203.0.113.", "198.18.", "198.19.")) for one in persons
    )

    month_ago = {one.user_id: one for one in people(seed).persons(NOW - timedelta(days=30)) if one.user_id}
    changed = Counter(
        field
        for user_id, was in month_ago.items()
        for field in ("email", "plan", "city", "name", "marketing_consent", "merged_into")
        if getattr(was, field) != getattr(by_id[user_id], field)
    )
    assert changed.keys() == {"email", "plan", "city", "name", "marketing_consent", "merged_into"}
    assert all(
        by_id[user_id].updated_at > was.updated_at for user_id, was in month_ago.items()
        if (was.email, was.plan, was.city, was.name) != (
            by_id[user_id].email, by_id[user_id].plan, by_id[user_id].city, by_id[user_id].name)
    )  # fmt: skip
    consents = {user_id: one.marketing_consent for user_id, one in month_ago.items()}
    assert any(consents[user_id] and not by_id[user_id].marketing_consent for user_id in consents)
    assert max(Counter(one.updated_at for one in users).values()) > 1, "equal timestamps"


@pytest.mark.parametrize("seed", SEEDS)
def test_devices_are_anonymous_late_and_wrong_about_the_time(seed: int) -> None:
    events = people(seed).events(NOW)
    assert {event.name for event in events} == {
        "App Launched", "UTM Visited", "Product Viewed", "Signed Up", "Charged", "Notification Sent",
    }  # fmt: skip
    assert events == sorted(events, key=lambda event: event.at)
    identities = defaultdict(set)
    for event in events:
        identities[event.object_id].add(event.identity)
    assert any(seen == {""} for seen in identities.values()), "never identifies"
    assert any("" in seen and len(seen) > 1 for seen in identities.values()), "identifies later"
    assert any(len(seen - {""}) > 1 for seen in identities.values()), "merged: another identity"
    delays = [event.uploaded_at - event.at for event in events]
    assert any(delay > timedelta(days=1) for delay in delays), "late uploads, or a clock that is behind"
    assert any(delay < timedelta(0) for delay in delays), "a clock that is ahead"
    assert sum(timedelta(0) < delay < timedelta(minutes=3) for delay in delays) > 0.9 * len(delays)
    kinds = {type(event.event_props["Product ID"]) for event in events if event.name == "Product Viewed"}
    assert kinds == {str, int}, "one property, two types"
    charged = {event.event_props["Charged ID"]: event for event in events if event.name == "Charged"}
    orders = {str(order.order_id): order for order in people(seed).orders(NOW)}
    assert charged.keys() <= orders.keys()
    assert len(charged) > 0.97 * len(orders)
    for order_id, event in charged.items():
        order = orders[order_id]
        assert event.event_props["Currency"] == order.currency
        assert round(event.event_props["Amount"] * MINOR_PER_UNIT[order.currency]) == order.total
    visited = [event.session_props for event in events if event.name == "UTM Visited"]
    assert any("gclid" in props for props in visited)
    assert any("fbclid" in props for props in visited)


@pytest.mark.parametrize("seed", SEEDS)
def test_logins_come_twice_and_orders_go_back(seed: int) -> None:
    logins = people(seed).logins(NOW)
    assert len({login.message_id for login in logins}) == len(logins)
    bodies = Counter(
        (one.user_id, one.app_version, one.device_type, one.ip, one.locale, one.device_id, one.at.date())
        for one in logins
    )
    assert max(bodies.values()) > 1
    assert {login.device_type for login in logins} == {"android", "ios"}
    assert {login.app_version.count(".") for login in logins} == {1, 2}
    assert 0.2 < sum(login.locale is None for login in logins) / len(logins) < 0.4
    orders = people(seed).orders(NOW)
    assert {order.status for order in orders} == {"paid", "refunded", "partly_refunded"}
    for order in orders:
        assert 0 <= order.refund <= order.total
        assert (order.refund == order.total) == (order.status == "refunded")
        assert (order.refunded_at is None) == (order.status == "paid") == (order.refund == 0)
    assert {order.currency for order in orders} == {"EUR", "USD", "JPY", "INR", "GBP"}
    assert any(order.touch is None for order in orders)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ledger_is_the_sum_of_the_records(seed: int) -> None:
    ledger = people(seed).ledger(NOW)
    found = everything(people(seed), NOW)

    def path(order: Order) -> str:
        touch = order.touch
        if touch is None:
            return ""
        return f"{touch.platform}/{touch.account_id}/{touch.campaign_id}/{touch.ad_group_id}/{touch.ad_id}"

    revenue: dict[str, int] = {}
    refunds: dict[str, int] = {}
    by_ad: dict[str, dict[str, int]] = {}
    for order in found["orders"]:
        total = sum(line.quantity * line.unit_price for line in order.lines)
        revenue[order.currency] = revenue.get(order.currency, 0) + total
        if order.refund:
            refunds[order.currency] = refunds.get(order.currency, 0) + order.refund
        part = by_ad.setdefault(path(order), {"orders": 0})
        part["orders"] += 1
        part[order.currency] = part.get(order.currency, 0) + total
    assert (ledger["revenue"], ledger["refunds"], ledger["by_ad"]) == (revenue, refunds, by_ad)
    for what in ("persons", "touches", "events", "orders", "logins"):
        assert ledger[what] == len(found[what])
    assert ledger["sign_ups"] == len([one for one in found["persons"] if one.user_id])
    assert ledger["merged"] == len([one for one in found["persons"] if one.merged_into])
    assert ledger["paid_touches"] == len([one for one in found["touches"] if one.platform])
    assert ledger["refunded_orders"] == len([one for one in found["orders"] if one.status != "paid"])
    assert all(type(amount) is int for amount in ledger["revenue"].values())


@pytest.mark.parametrize("seed", SEEDS)
def test_google_lists_the_clicks_whose_visits_carry_a_gclid(seed: int) -> None:
    business = people(seed).business
    later = NOW + timedelta(days=3)
    listed: dict[str, tuple[str, str, str]] = {}
    late = keywords = 0
    for account in business.accounts("google_ads"):
        for n in range(-1, 60):
            day = FIRST + timedelta(days=n)
            for view in people(seed).click_views(account, day, later):
                assert view.gclid not in listed
                listed[view.gclid] = (view.campaign_id, view.ad_group_id, view.ad_id)
                keywords += view.criterion_id != ""
            midnight = datetime.combine(day + timedelta(days=1), datetime.min.time(), account.zone)
            soon = people(seed).click_views(account, day, midnight + timedelta(hours=3))
            whole = people(seed).click_views(account, day, midnight + timedelta(days=3))
            assert set(soon) <= set(whole)
            late += len(whole) - len(soon)
    assert late
    assert 0 < keywords < len(listed)
    touched = {
        touch.click_id: (touch.campaign_id, touch.ad_group_id, touch.ad_id)
        for touch in people(seed).touches(later)
        if touch.evidence == "gclid" and touch.at < NOW - timedelta(days=2)
    }
    assert touched.items() <= listed.items()


def test_people_come_with_the_business_and_not_with_recordings(tmp_path: Path) -> None:
    columns = (
        "ad_id,xyz_campaign_id,fb_campaign_id,age,gender,interest,Impressions,Clicks,Spent,Total_Conversion,"
        "Approved_Conversion"
    )
    table = tmp_path / "ads.csv"
    table.write_text(f"{columns}\n1,2,3,30-34,M,15,100,1,1.5,1,0\n")
    assert Simulator(days=3, now=NOW).state.people is not None
    assert Simulator(days=3, now=NOW, ads_csv=table, ads_csv_day=FIRST).state.people is None
