"""What ads cost and what came of it, worked out from the business and its people alone.

The star says the same of what was landed (rpt_campaign_roas); nothing of its SQL is used here. Of a person
the shop only sees what a device told it, so this too counts visits by what they tell, and a device as a
person's once somebody has identified on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from simulators.business import Business, Platform
from simulators.people import Event, Order, People
from simulators.rates import BASE, rate
from simulators.shop import MINOR_PER_UNIT

PLATFORMS: tuple[Platform, ...] = ("facebook_ads", "google_ads")
LAST_TOUCH = timedelta(days=30)
UNATTRIBUTED = "unattributed"
_ZERO = Fraction(0)


@dataclass
class Return:
    """A channel's spend, and the orders that its visit was the last before; money exactly, in euros."""

    spend: Fraction = _ZERO
    orders: int = 0
    revenue: Fraction = _ZERO
    """what was ordered, less what was paid back until now"""


def returns(business: Business, people: People, now: datetime, zone: ZoneInfo) -> dict[str, Return]:
    """By channel; `unattributed` are orders without a visit that told where it came from.

    Args:
        now: what is known at this instant.
        zone: CleverTap's: the days of events are its.
    """
    found: defaultdict[str, Return] = defaultdict(Return)
    for channel, spend in _spend(business, now):
        found[channel].spend += spend
    visits = _visits(people, now, zone)
    roots = _roots(people, now)
    for order in people.orders(now):
        before = [
            (event.at, event)
            for event in visits.get(roots.get(order.user_id, order.user_id), ())
            if event.at <= order.at < event.at + LAST_TOUCH
        ]
        last = max(before, key=lambda one: one[0])[1] if before else None
        channel = _channel(last) if last else UNATTRIBUTED
        found[channel].orders += 1
        found[channel].revenue += _euros(business.seed, order, now)
    return dict(found)


def _spend(business: Business, now: datetime) -> Iterator[tuple[str, Fraction]]:
    for platform in PLATFORMS:
        for account in business.accounts(platform):
            if account.is_manager:
                continue
            day, today = business.first_day, now.astimezone(account.zone).date()
            while day <= today:
                minor = business.ledger(account, day, now).total["spend"]
                told = Fraction(minor, account.minor_per_unit)
                yield platform, told / _rate(business.seed, account.currency, day, now)
                day += timedelta(days=1)


def _visits(people: People, now: datetime, zone: ZoneInfo) -> dict[str, list[Event]]:
    """The visits of each user that told where they came from."""
    today, roots = now.astimezone(zone).date(), _roots(people, now)
    told = [event for event in people.events(now) if event.at.astimezone(zone).date() <= today]
    owners = {event.object_id: event.identity for event in told if event.identity}
    found: defaultdict[str, list[Event]] = defaultdict(list)
    for event in told:
        user = event.identity or owners.get(event.object_id)
        if event.name == "UTM Visited" and user:
            found[roots.get(user, user)].append(event)
    return found


def _roots(people: People, now: datetime) -> dict[str, str]:
    """The user that each merged one has become."""
    return {one.user_id: one.merged_into for one in people.persons(now) if one.merged_into}


def _channel(visit: Event) -> str:
    """What a visit says of where it came from."""
    told = visit.session_props
    if "gclid" in told or "campaignid=" in told["landing_url"]:
        return "google_ads"
    if "fbclid" in told:
        return "facebook_ads"
    if told.get("utm_medium") == "cpc":
        return {"google": "google_ads", "facebook": "facebook_ads"}[told["utm_source"]]
    return str(told["utm_medium"])


def _euros(seed: int, order: Order, now: datetime) -> Fraction:
    kept = Fraction(order.total - order.refund, MINOR_PER_UNIT[order.currency])
    return kept / _rate(seed, order.currency, order.at.astimezone(UTC).date(), now)


def _rate(seed: int, currency: str, day: date, now: datetime) -> Fraction:
    """Units of a currency for a euro on a day; the day's before where it is not told yet."""
    if currency == BASE:
        return Fraction(1)
    published = now.astimezone(UTC).date() - timedelta(days=1)
    return Fraction(rate(seed, currency, min(day, published)))
