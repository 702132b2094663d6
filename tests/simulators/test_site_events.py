"""The site's messages: the same whenever asked, of the same people as all else, odd as promised, counted."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any

import pytest

from simulators.business import Business
from simulators.people import People
from simulators.site_events import FIELDS, REQUIRED, STEPS, Message, SiteEvents

FIRST = date(2026, 2, 10)
SINCE = datetime(2026, 2, 5, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
SEEDS = (7, pytest.param(2, marks=pytest.mark.full))
SCALE = 0.5


@cache
def site(seed: int = 7) -> SiteEvents:
    return SiteEvents(People(Business(seed, FIRST, 20, SCALE)))


@cache
def all_sent(seed: int = 7) -> list[Message]:
    return list(site(seed).messages(SINCE, NOW))


def bodies(messages: list[Message]) -> list[dict[str, Any]]:
    """Of the messages that can be used."""
    found = []
    for message in messages:
        try:
            body = json.loads(message.value or b"")
        except ValueError:
            continue
        if isinstance(body, dict) and all(body.get(name) is not None for name in REQUIRED):
            found.append(body)
    return found


def told(messages: list[Message]) -> dict[str, dict[str, Any]]:
    """The events of messages by their ids, each with what its first batch says."""
    found: dict[str, dict[str, Any]] = {}
    for body in bodies(messages):
        for event in body["events"]:
            found.setdefault(event["event_id"], {**event, "batch": body})
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_same_question_has_the_same_answer_and_a_later_end_adds_behind() -> None:
    again = SiteEvents(People(Business(7, FIRST, 20, SCALE)))
    assert list(again.messages(SINCE, NOW + timedelta(days=14)))[: len(all_sent())] == all_sent()
    assert all_sent() == sorted(all_sent(), key=lambda message: message.timestamp)
    half = NOW - timedelta(days=9, hours=3, minutes=7)
    parts = [*again.messages(SINCE, half), *again.messages(half, NOW)]
    assert parts == all_sent()
    assert told(all_sent()).keys().isdisjoint(told(all_sent(2)))


@pytest.mark.parametrize("seed", SEEDS)
def test_visits_are_those_of_the_people_and_carry_their_address(seed: int) -> None:
    ours: Counter[tuple[datetime, str, str]] = Counter()
    for event in told(all_sent(seed)).values():
        batch = event["batch"]
        url = batch["context"]["page"]["url"]
        if event["event_name"] == "page_view" and "account/new" not in url:
            ours[moment(event["occurred_at"]), batch["device_id"], url] += 1
    theirs = Counter((one.at, one.object_id, one.landing_url) for one in site(seed).people.touches(NOW))
    late = theirs - ours
    assert not ours - theirs
    assert late.total() < 0.05 * theirs.total(), "what devices without a network have not told yet"
    later = told(list(site(seed).messages(SINCE, NOW + timedelta(days=5)))).values()
    seen = {(moment(one["occurred_at"]), one["batch"]["device_id"]) for one in later}
    assert {(at, device) for at, device, _ in theirs} <= seen


@pytest.mark.parametrize("seed", SEEDS)
def test_orders_and_sign_ups_are_those_of_the_database(seed: int) -> None:
    events = told(list(site(seed).messages(SINCE, NOW + timedelta(days=5)))).values()
    orders = {one["properties"]["order_id"]: one for one in events if one["event_name"] == "order"}
    known = {str(order.order_id): order for order in site(seed).people.orders(NOW)}
    assert known.keys() <= orders.keys()
    for number, order in known.items():
        event = orders[number]
        assert moment(event["occurred_at"]) == order.at
        assert event["properties"]["currency"] == order.currency
        assert [int(item["product_id"]) for item in event["properties"]["items"]] == [
            line.product_id for line in order.lines
        ]
        paid = sum(item["price"] * item["quantity"] for item in event["properties"]["items"])
        assert paid == pytest.approx(event["properties"]["value"])
    users = {
        one["batch"]["user_id"]: moment(one["occurred_at"])
        for one in events
        if one["event_name"] == "sign_up"
    }
    for person in site(seed).people.persons(NOW):
        if person.user_id:
            assert users[person.user_id] == person.signed_up_at


@pytest.mark.parametrize("seed", SEEDS)
def test_every_visit_by_an_ad_has_its_click_and_its_impressions(seed: int) -> None:
    pixel: defaultdict[str, list[tuple[datetime, str, dict[str, Any]]]] = defaultdict(list)
    for event in told(all_sent(seed)).values():
        batch = event["batch"]
        if event["event_name"] in ("impression", "click"):
            pixel[batch["device_id"]].append(
                (moment(event["occurred_at"]), event["event_name"], batch["context"]["campaign"])
            )
    of_visitors = set()
    for touch in site(seed).people.touches(NOW):
        if not touch.platform:
            continue
        of_visitors.add(touch.object_id)
        before = [
            (name, ad.get("click_id", ""))
            for at, name, ad in pixel[touch.object_id]
            if timedelta(0) < touch.at - at <= timedelta(hours=7) and ad["campaign_id"] == touch.campaign_id
        ]
        assert ("click", touch.click_id) in before
        assert ("impression", "") in before
    others = Counter(name for device in pixel.keys() - of_visitors for _, name, _ in pixel[device])
    assert others["impression"] > 10 * others["click"] > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sample_of_the_pixel_is_bounded_by_what_the_platforms_show(seed: int) -> None:
    business = site(seed).people.business
    shown: Counter[str] = Counter()
    for platform in ("facebook_ads", "google_ads"):
        for account in business.accounts(platform):
            if not account.is_manager:
                for n in range(18):
                    figures = business.account_day(account, FIRST + timedelta(days=n), NOW)
                    shown[account.id] += figures.impressions if figures else 0
    seen = Counter(
        one["batch"]["context"]["campaign"]["account_id"]
        for one in told(all_sent(seed)).values()
        if one["event_name"] == "impression"
    )
    assert seen.keys() == shown.keys()
    assert all(0 < seen[account] < shown[account] / 50 for account in shown)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_collector_is_as_odd_as_collectors_are(seed: int) -> None:
    messages = all_sent(seed)
    usable = bodies(messages)
    assert all(body.keys() == set(FIELDS) for body in usable)
    values = Counter(message.value for message in messages if message.value is not None)
    assert max(count for value, count in values.items() if b'"events":[{' in value) == 2, "sent twice"
    batches = defaultdict(set)
    for body in usable:
        for event in body["events"]:
            batches[event["event_id"]].add(body["batch_id"])
    assert 0.005 < sum(len(of) > 1 for of in batches.values()) / len(batches) < 0.04, "in two batches"
    tombstones = [message for message in messages if message.value is None]
    assert 0 < len(tombstones) < 0.02 * len(messages)
    assert all(message.key for message in tombstones)
    useless = len(messages) - len(tombstones) - len(usable)
    assert 0 < useless < 0.03 * len(messages)
    assert any(message.key is None for message in messages)
    assert all([name for name, _ in message.headers].count("via") == 2 for message in messages)
    delays = [
        moment(body["sent_at"]) - moment(event["occurred_at"]) for body in usable for event in body["events"]
    ]
    assert min(delays) > timedelta(0)
    assert max(delays) > timedelta(days=2), "days late"
    assert sum(delay > timedelta(hours=1) for delay in delays) < 0.04 * len(delays)
    users = defaultdict(set)
    for body in usable:
        users[body["device_id"]].add(body["user_id"])
    assert any(None in seen and len(seen) > 1 for seen in users.values()), "known later"


@pytest.mark.parametrize("seed", SEEDS)
def test_the_ledger_counts_each_event_once_in_its_own_hour(seed: int) -> None:
    """Against the messages themselves, read back as anybody would."""
    ledger = site(seed).ledger(SINCE, NOW)
    assert all(set(steps) <= set(STEPS) for steps in ledger.values())
    events = told(all_sent(seed)).values()
    for name in ("impression", "click", "sign_up", "order"):
        hours = Counter(
            moment(one["occurred_at"]).replace(minute=0, second=0, microsecond=0)
            for one in events
            if one["event_name"] == name
        )
        counted: Counter[datetime] = Counter()
        for (hour, _, _), steps in ledger.items():
            counted[hour] += steps[f"{name}s"]
        assert +counted == hours, name
    on_site = defaultdict(list)
    for one in events:
        if one["event_name"] not in ("impression", "click"):
            on_site[one["batch"]["device_id"]].append(moment(one["occurred_at"]))
    visits = 0
    for times in on_site.values():
        times.sort()
        gaps = [later - earlier for earlier, later in pairwise(times)]
        visits += 1 + sum(gap > timedelta(minutes=30) for gap in gaps)
    assert sum(steps["visits"] for steps in ledger.values()) == visits
    channels = {channel for _, channel, _ in ledger}
    assert channels == {"facebook_ads", "google_ads", "email", "unattributed"}


def test_what_is_told_late_changes_hours_that_were_told_before() -> None:
    before, after = site().ledger(SINCE, NOW - timedelta(days=1)), site().ledger(SINCE, NOW)
    told_then = {key for key in after if key[0] < NOW - timedelta(days=1, hours=8)}
    changed = [key for key in told_then if before.get(key, Counter()) != after[key]]
    assert 0 < len(changed) < 0.05 * len(told_then)
