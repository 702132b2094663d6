"""The people behind the clicks: who comes, signs up, logs in, buys, and sends goods back.

Everything is a pure function of the business' seed and of the days since a person's first visit; `until` asks
for what has happened before an instant, so that asking for an earlier one gives a part of the same. A later
`first_day` leaves out whom the days before brought, second accounts included, and changes nothing else.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from simulators.business import Account, Business
from simulators.lives import Life
from simulators.shop import (
    Device,
    Event,
    Login,
    Order,
    OrderLine,
    Person,
    Product,
    Touch,
    make_products,
)
from simulators.visits import AdDay, Arrival, Click, ClickView, Purchase, Visits, listed_at

__all__ = [
    "ClickView",
    "Device",
    "Event",
    "Login",
    "Order",
    "OrderLine",
    "People",
    "Person",
    "Product",
    "Touch",
]
BLOCK_DAYS = 32
"""Lives are worked out for so many days at a time."""


class People:
    """Everybody who comes to the shop; nothing is computed before it is asked for."""

    def __init__(self, business: Business) -> None:
        """Nothing of `business` is changed."""
        self.business = business
        self._visits = Visits(business)
        self._products = make_products(business.seed)
        self._world = _World(date.min, [])

    def persons(self, until: datetime) -> list[Person]:
        """Who came before `until`, as they were then, by first visit."""
        end = until.timestamp()
        return [life.person(end) for life in self._until(until).lives if life.born_at < end]

    def touches(self, until: datetime) -> list[Touch]:
        """Visits, through ads and without, in time order."""
        return [touch for touch in self._until(until).touches if touch.at < until]

    def events(self, until: datetime) -> list[Event]:
        """CleverTap's events that were uploaded before `until`, in the order of the devices' times."""
        return [event for event in self._until(until).events if event.uploaded_at < until]

    def orders(self, until: datetime) -> list[Order]:
        """Orders as they were at `until`, in time order."""
        return [_as_of(order, until) for order in self._until(until).orders if order.at < until]

    def logins(self, until: datetime) -> list[Login]:
        """Messages of the login queue, in time order; some come twice under two message ids."""
        return [login for login in self._until(until).logins if login.at < until]

    def products(self) -> list[Product]:
        """The shop's products, which never change."""
        return list(self._products)

    def click_views(self, account: Account, day: date, until: datetime) -> list[ClickView]:
        """What Google's click_view lists at `until` of an account's day: clicks with a gclid."""
        if day < self.business.first_day or account.is_manager or account.platform != "google_ads":
            return []
        ad_day, end = self._visits.day(account, day), until.timestamp()
        return [
            ad_day.click_view(click)
            for click in ad_day.clicks
            if listed_at(click) < end
            and ad_day.landing(click).evidence == "gclid"
            and self._visits.owner(click) is not None
        ]

    def lives(self, until: datetime) -> list[Life]:
        """Everybody, worked out so far that nothing before `until` can still change, if not further."""
        return self._until(until).lives

    def ad_days(self) -> Iterator[AdDay]:
        """The days of all accounts, so far as lives are worked out."""
        first = self.business.first_day
        for n in range(max(0, (self._world.last - first).days + 1)):
            for account in self._visits.accounts:
                yield self._visits.day(account, first + timedelta(days=n))

    def ledger(self, until: datetime) -> dict[str, Any]:
        """Totals at `until` in Python's own integers; money in minor units by currency.

        `by_ad` counts orders by the click that they are due to; its keys are platform, account, campaign, ad
        group and ad, joined by `/`, and `` for none.
        """
        persons, orders = self.persons(until), self.orders(until)
        revenue: Counter[str] = Counter()
        refunds: Counter[str] = Counter()
        by_ad: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for order in orders:
            total = 0
            for line in order.lines:
                total += line.quantity * line.unit_price
            revenue[order.currency] += total
            refunds[order.currency] += order.refund
            of_ad = by_ad[ad_path(order.touch)]
            of_ad["orders"] += 1
            of_ad[order.currency] += total
        touches = self.touches(until)
        return {
            "persons": len(persons),
            "sign_ups": sum(one.signed_up_at is not None for one in persons),
            "merged": sum(one.merged_into is not None for one in persons),
            "touches": len(touches),
            "paid_touches": sum(touch.platform != "" for touch in touches),
            "events": len(self.events(until)),
            "logins": len(self.logins(until)),
            "orders": len(orders),
            "refunded_orders": sum(order.refund > 0 for order in orders),
            "revenue": dict(revenue),
            "refunds": dict(+refunds),
            "by_ad": {path: dict(part) for path, part in by_ad.items()},
        }

    def _until(self, until: datetime) -> _World:
        """All lives, worked out at least so far that nothing before `until` can still change."""
        needed = until.astimezone(UTC).date() + timedelta(days=2)
        if self._world.last < needed:
            blocks = (needed - self.business.first_day).days // BLOCK_DAYS + 1
            last = self.business.first_day + timedelta(days=blocks * BLOCK_DAYS)
            self._world = _World(last, self._lives(last))
        return self._world

    def _lives(self, last: date) -> list[Life]:
        """Everybody whom a day until `last` brings, by first visit."""
        clicks: defaultdict[int, list[Click]] = defaultdict(list)
        bought: defaultdict[int, list[Purchase]] = defaultdict(list)
        arrivals: list[Arrival] = []
        for account in self._visits.accounts:
            for n in range((last - self.business.first_day).days + 1):
                day = self.business.first_day + timedelta(days=n)
                ad_day = self._visits.day(account, day)
                arrivals += ad_day.organic
                for click in ad_day.clicks:
                    if not click.returning:
                        arrivals.append(Arrival(click.key, click.at, account))
                    if (owner := self._visits.owner(click)) is not None:
                        clicks[owner].append(click)
                for purchase in self._visits.purchases(account, day):
                    if (owner := self._visits.owner(purchase.click)) is not None:
                        bought[owner].append(purchase)
        lives = []
        for arrival in arrivals:
            of = arrival.key
            life = Life(arrival, self._visits, clicks.get(of, []), bought.get(of, []), self._products)
            lives.append(life)
            if (twin := life.twin()) is not None:
                lives.append(twin)
        return sorted(lives, key=lambda life: (life.born_at, life.number))


class _World:
    """What everybody does, in time order, worked out for the days until `last`."""

    def __init__(self, last: date, lives: list[Life]) -> None:
        self.last, self.lives = last, lives
        self.touches = sorted(
            (one for life in lives for one in life.touches), key=lambda one: (one.at, one.object_id)
        )
        self.events = sorted(
            (one for life in lives for one in life.events), key=lambda one: (one.at, one.object_id)
        )
        self.orders = sorted((one for life in lives for one in life.orders), key=lambda one: one.order_id)
        self.logins = sorted(
            (one for life in lives for one in life.logins), key=lambda one: (one.at, one.message_id)
        )


def _as_of(order: Order, until: datetime) -> Order:
    """An order without the refund that it has not had yet."""
    if order.refunded_at is None or order.refunded_at < until:
        return order
    return replace(order, status="paid", refund=0, refunded_at=None, updated_at=order.at)


def ad_path(touch: Touch | None) -> str:
    """The ad that an order is due to, as the ledger names it."""
    if touch is None:
        return ""
    return "/".join((touch.platform, touch.account_id, touch.campaign_id, touch.ad_group_id, touch.ad_id))
