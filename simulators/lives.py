"""One person's life with the shop: devices, visits, sign-up, changes, orders, logins, and all events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from simulators.shop import (
    COUNTRIES,
    MARKETS,
    MINOR_PER_UNIT,
    Device,
    Dice,
    Event,
    Login,
    Order,
    OrderLine,
    Person,
    Product,
    Status,
    Touch,
    device_of,
    ip_of,
    name_of,
    price_in,
)
from simulators.visits import NOWHERE, Arrival, Click, Landing, Purchase, Visits, newsletter

DAY = 86_400
SIGNS_UP = 0.36
"""Of those who buy nothing through an ad; who buys has signed up."""
TWIN = 0.05
"""Of those who sign up: they do it again on another device, and the accounts are merged later."""
SKEWED = 0.015
SKEWS = (93_600, -10_800, -172_800, 5_400)
"""Of the devices, and by how many seconds their clocks are wrong."""
OFFLINE = 0.03
REFUNDED = 0.09
SENT_TWICE = 0.03
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content")
LETTERS = ("spring-2026", "Größe L", "back")
NEVER = 1 << 40
"""Seconds since 1970 that nobody lives to see."""


def moment(seconds: int) -> datetime:
    """The instant so many seconds after 1970 began."""
    return datetime.fromtimestamp(seconds, UTC)


@dataclass(frozen=True, slots=True)
class _Used:
    """A device: since when it is used, when its user first identified on it, how wrong its clock is."""

    device: Device
    since: int
    identified_at: int
    skew: int


@dataclass(frozen=True, slots=True)
class _Session:
    at: int
    used: _Used
    click: Click | None
    dice: Dice
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """What events of a visit have in common: device, session properties, seconds without a network."""

    used: _Used
    props: dict[str, Any] = field(default_factory=dict)
    late: int = 0


class Life:
    """All that a person ever does; `number` names the person, instants are seconds since 1970."""

    def __init__(
        self,
        arrival: Arrival,
        visits: Visits,
        clicks: list[Click],
        purchases: list[Purchase],
        products: list[Product],
        *,
        original: Life | None = None,
    ) -> None:
        """`original` makes it the second account of somebody, which begins with the sign-up."""
        self.dice = Dice(arrival.key)
        self.number = arrival.key >> 22
        self.born_at = arrival.at
        self.original = original
        self._arrival, self._visits, self._products = arrival, visits, products
        self._clicks = sorted(clicks, key=lambda click: (click.at, click.key))
        self._purchases = sorted(purchases, key=lambda one: (one.at, one.key))
        self.country: str = (original or self).dice.pick("country", MARKETS[arrival.account.currency])
        self.currency, _, _, self._cities = COUNTRIES[self.country]
        self.user_id = self.dice.uuid("user")

    # ---- who it is
    @cached_property
    def signed_up_at(self) -> int:
        """By plan, or on the way to the first purchase; NEVER for those who only look."""
        dice, at = self.dice, NEVER
        if self.original is not None or dice.unit("signs up") < SIGNS_UP:
            soon = self.original is not None or dice.unit("soon") < 0.6
            at = self.born_at + dice.whole("waits", 90, 1200 if soon else 20 * DAY)
        if self._purchases:
            at = min(at, max(self.born_at + 60, self._purchases[0].at - dice.whole("form", 60, 240)))
        return at

    @cached_property
    def merged_at(self) -> int:
        """When a second account becomes part of the first."""
        return self.signed_up_at + self.dice.whole("merged", 3 * DAY, 20 * DAY) if self.original else NEVER

    def twin(self) -> Life | None:
        """The same person's second account, for the few who have one."""
        if self.signed_up_at == NEVER or self.dice.unit("twin") >= TWIN:
            return None
        at = self.signed_up_at + self.dice.whole("twin waits", 2 * DAY, 15 * DAY)
        arrival = Arrival(self.dice.bits("twin's key"), at, self._arrival.account)
        return Life(arrival, self._visits, [], [], self._products, original=self)

    @cached_property
    def used(self) -> list[_Used]:
        """The devices by first use. The one of the sign-up identifies then, others later or never."""
        dice, found = self.dice, []
        for n in range(1 if self.original else dice.pick("devices", (1, 1, 2, 2, 3))):
            since = self.born_at + (dice.whole("since", 3600, 25 * DAY, n) if n else 0)
            identified = self.signed_up_at
            if n and identified != NEVER:
                draw = dice.unit("identifies", n)
                wait = 0 if draw < 0.6 else dice.whole("identified", 0, 10 * DAY, n)
                identified = NEVER if draw >= 0.9 else max(since, identified) + wait
            skew = dice.pick("skew", SKEWS, n) if dice.unit("is skewed", n) < SKEWED else 0
            found.append(_Used(device_of(dice, n), since, identified, skew))
        return sorted(found, key=lambda used: used.since)

    @cached_property
    def _changes(self) -> list[tuple[int, str, Any]]:
        """What becomes of an account's fields: when, which, and the new value."""
        dice, up = self.dice, self.signed_up_at
        if up == NEVER:
            return []
        found: list[tuple[int, str, Any]] = []

        def perhaps(what: str, share: float, field: str, value: Any) -> None:
            if dice.unit(what) < share:
                found.append((up + dice.whole(f"{what} at", DAY, 40 * DAY), field, value))

        renamed, address, _ = name_of(dice, self.country, self.number, 1)
        perhaps("marries", 0.03, "name", renamed)
        perhaps("new address", 0.06, "email", address)
        perhaps("moves", 0.06, "city", dice.pick("city", self._cities, 1))
        perhaps("withdraws", 0.12, "marketing_consent", False)
        if dice.unit("upgrades") < 0.2:  # a nightly job, so that many change at the same instant
            night = (up // DAY + dice.whole("upgrades at", 1, 30)) * DAY + 2 * 3600
            found.append((night, "plan", dice.pick("new plan", ("plus", "plus", "family"))))
        if self.original is not None:
            found.append((self.merged_at, "merged_into", self.original.user_id))
        return sorted(found, key=lambda change: change[0])

    def person(self, end: float) -> Person:
        """As of an instant."""
        dice, known = self.dice, self.signed_up_at < end
        name, email, phone = name_of((self.original or self).dice, self.country, self.number)
        fields: dict[str, Any] = {
            "name": name, "email": email, "phone": phone, "city": dice.pick("city", self._cities),
            "plan": "free", "marketing_consent": dice.unit("consents") < 0.7, "merged_into": None,
        }  # fmt: skip
        updated = self.signed_up_at if known else self.born_at
        for at, what, value in self._changes:
            if at < end and fields[what] != value:
                fields[what], updated = value, at
        if not known:
            fields |= {"name": "", "email": "", "phone": "", "plan": "", "marketing_consent": False}
        return Person(
            number=self.number,
            user_id=self.user_id if known else "",
            country=self.country,
            locale=self.locale,
            currency=self.currency,
            devices=tuple(used.device for used in self.used if used.since < end),
            first_seen_at=moment(self.born_at),
            signed_up_at=moment(self.signed_up_at) if known else None,
            updated_at=moment(updated),
            ip=ip_of(dice),
            **fields,
        )

    def known_as(self, used: _Used) -> tuple[tuple[int, str], ...]:
        """Since when which user id is known on a device."""
        if used.identified_at == NEVER:
            return ()
        if self.original is None:
            return ((used.identified_at, self.user_id),)
        return (used.identified_at, self.user_id), (self.merged_at, self.original.user_id)

    @property
    def locale(self) -> str:
        """The country that the app is set to; some live elsewhere."""
        return (
            self.country if self.dice.unit("abroad") >= 0.1 else self.dice.pick("abroad", ("RU", "BR", "PH"))
        )

    # ---- what it does
    def _device(self, at: int, dice: Dice) -> _Used:
        return dice.pick("device", [used for used in self.used if used.since <= at])

    def _by_ad(self, click: Click) -> _Session:
        dice = Dice(click.key)
        return _Session(click.at, self._device(click.at, dice), click, dice)

    @cached_property
    def sessions(self) -> list[_Session]:
        """Visits through ads, without ads, and to buy."""
        dice = self.dice
        found = [self._by_ad(click) for click in self._clicks]
        own: dict[int, int] = {}
        if not any(click.at == self.born_at for click in self._clicks):
            own[0] = self.born_at
        if dice.unit("comes back") < 0.5:
            own[1] = self.born_at + int(dice.unit("returns") ** 1.5 * 50 * DAY)
        if self.signed_up_at != NEVER:  # counted from the sign-up, before which nothing may depend on it
            own[2] = self.signed_up_at + int(dice.unit("returns", 1) ** 1.5 * 50 * DAY)
        for n, at in own.items():
            visit = Dice(dice.bits("visit", n))
            found.append(_Session(at, self._device(at, visit), None, visit))
        for order, begun in zip(self.orders, self._order_begun, strict=True):
            visit = Dice(dice.bits("to buy", order.order_id))
            found.append(_Session(begun, self._device(begun, visit), None, visit, order))
        return sorted(found, key=lambda session: session.at)

    @cached_property
    def _bought(self) -> list[tuple[int, Dice, Click | None]]:
        """When orders are placed, and the clicks they are due to."""
        found: list[tuple[int, Dice, Click | None]] = [
            (one.at, Dice(one.key), one.click) for one in self._purchases
        ]
        if self.signed_up_at != NEVER:
            for n in range(2):
                if self.dice.unit("buys unasked", n) < 0.08:
                    at = self.signed_up_at + self.dice.whole("buys at", 900, 50 * DAY, n)
                    if at < self.merged_at:
                        found.append((at, Dice(self.dice.bits("unasked", n)), None))
        return sorted(found, key=lambda one: (one[0], one[1].key))

    @property
    def _order_begun(self) -> list[int]:
        """When the visits begin that end in an order."""
        return [max(self.born_at, at - dice.whole("looks", 30, 240)) for at, dice, _ in self._bought]

    @cached_property
    def orders(self) -> list[Order]:
        """Orders as they end up, by time."""
        found = []
        for at, dice, click in self._bought:
            number = (at - 1_577_836_800) * 1000 + dice.bits(
                "number"
            ) % 1000  # rises with time, like a sequence
            lines = tuple(
                OrderLine(
                    number * 10 + n,
                    product.product_id,
                    dice.pick("quantity", (1, 1, 1, 2, 3), n),
                    price_in(self.currency, product.price),
                )
                for n, product in enumerate(self._basket(dice))
            )
            total = sum(line.quantity * line.unit_price for line in lines)
            refund, status, updated = 0, "paid", at
            if dice.unit("refunded") < REFUNDED:
                updated = at + dice.whole("refunded at", 3600, 35 * DAY)
                partly = total > 1 and dice.unit("partly") < 0.5
                refund = total * dice.whole("percent", 10, 90) // 100 or 1 if partly else total
                status = "partly_refunded" if partly else "refunded"
            state: Status = status  # type: ignore[assignment]
            found.append(
                Order(
                    number, self.user_id, moment(at), self.currency, lines, state, refund,
                    moment(updated) if refund else None, moment(updated), self.number,
                    self._touch(self._by_ad(click)) if click else None,
                )
            )  # fmt: skip
        return found

    def _basket(self, dice: Dice) -> list[Product]:
        many = dice.pick("lines", (1, 1, 1, 2, 2, 3))
        return [dice.pick("product", self._products, n) for n in range(many)]

    # ---- what is seen of it
    def _landing(self, session: _Session) -> Landing:
        """Where an ad leads; without one the shop's first page, at times from a newsletter."""
        if session.click is not None:
            return self._visits.landing(session.click)
        if session.order is None and session.dice.unit("from") < 0.25:
            return newsletter(session.dice.pick("letter", LETTERS))
        return NOWHERE

    def _touch(self, session: _Session) -> Touch:
        landing, click = self._landing(session), session.click
        return Touch(
            moment(session.at),
            self.number,
            session.used.device.object_id,
            click.account.platform if click else "",
            click.account.id if click else "",
            landing.campaign_id,
            landing.ad_group_id,
            landing.ad_id,
            landing.click_id,
            landing.url,
            *landing.utm,
            landing.evidence,
        )

    @property
    def touches(self) -> list[Touch]:
        """Visits by time."""
        return [self._touch(session) for session in self.sessions]

    @property
    def events(self) -> Iterator[Event]:
        """What the devices tell CleverTap."""
        for session in self.sessions:
            yield from self._told(session)
        up = self.signed_up_at
        if up == NEVER:
            return
        told = _Told(next(one for one in self.used if one.identified_at == up))
        yield self._event("Signed Up", up, {"Method": self.dice.pick("method", ("email", "google"))}, told)
        letters = self.dice.whole("letters", 0, 2) if self.dice.unit("consents") < 0.7 else 0
        for n in range(letters):
            at = up + self.dice.whole("letter", DAY, 40 * DAY, n)
            yield self._event("Notification Sent", at, {"Campaign": LETTERS[n]}, told)

    def _told(self, session: _Session) -> Iterator[Event]:
        """The events of a visit; what a device tells without a network arrives days later."""
        landing, used, dice, at = self._landing(session), session.used, session.dice, session.at
        late = dice.whole("offline", 600, 4 * DAY) if dice.unit("is offline") < OFFLINE else 0
        props = {
            "session_source": "Direct" if not landing.utm[0] else "Campaign",
            "landing_url": landing.url,
            **{name: value for name, value in zip(UTM, landing.utm, strict=True) if value},
        }
        if landing.click_id:
            props["gclid" if landing.click_id.startswith("Cj0K") else "fbclid"] = landing.click_id
        told, version = _Told(used, props, late), used.device.app_version
        yield self._event("App Launched", at, {"Version": version} if version else {}, told)
        if landing.utm[0] or landing.click_id or landing.evidence:
            yield self._event("UTM Visited", at + 1, {}, told)
        for n in range(dice.whole("views", 0, 2)):
            product = dice.pick("viewed", self._products, n)
            # the phones' app sends the id as text, the web site as a number
            number = str(product.product_id) if version else product.product_id
            viewed = {"Product ID": number, "Category": product.category, "Price": product.price / 100}
            yield self._event("Product Viewed", at + 5 + 7 * n, viewed, told)
        if (order := session.order) is not None:
            units = MINOR_PER_UNIT[order.currency]
            charged = {
                "Charged ID": str(order.order_id),
                "Amount": order.total / units if units > 1 else order.total,
                "Currency": order.currency,
                "Items": len(order.lines),
            }
            yield self._event("Charged", int(order.at.timestamp()), charged, told)

    def _event(self, name: str, at: int, props: dict[str, Any], within: _Told) -> Event:
        used = within.used
        identity = "" if at < used.identified_at else self.user_id
        if self.original is not None and at >= self.merged_at:
            identity = self.original.user_id
        told = at + within.late + self.dice.whole("told", 1, 90, at)
        return Event(
            name=name,
            at=moment(at + used.skew),
            object_id=used.device.object_id,
            identity=identity,
            person=self.number,
            event_props=props,
            session_props=within.props,
            uploaded_at=moment(told),
        )

    @property
    def logins(self) -> Iterator[Login]:
        """Logins in the app, as browsers keep whom they know; a producer's retry has another message id."""
        dice, apps = self.dice, [one for one in self.used if one.device.platform != "Web"]
        if self.signed_up_at == NEVER or not apps:
            return
        for n in range(dice.whole("logins", 1, 6)):
            at = self.signed_up_at + int(dice.unit("login", n) * 55 * DAY)
            known = [one for one in apps if one.identified_at <= at]
            if not known or at >= self.merged_at:
                continue
            device = dice.pick("logs in on", known, n).device
            message = Login(
                message_id=dice.uuid("message", n),
                at=moment(at),
                user_id=self.user_id,
                app_version=device.app_version,
                device_type=device.platform.lower(),
                ip=ip_of(dice, n // 2),
                locale=None if dice.unit("no locale", n) < 0.29 else self.locale,
                device_id=device.device_id,
            )
            yield message
            if dice.unit("sent twice", n) < SENT_TWICE:
                again = moment(at + dice.whole("sent again", 1, 20, n))
                yield replace(message, message_id=dice.uuid("message again", n), at=again)
