"""What the shop's site, its app and the pixel of its ads tell a Kafka topic: batches of a device's events.

They are the business' own: visits are those of `lives` (and so CleverTap's and the ads'), orders those of the
shop's database, sign-ups those of its users; what a device without a network did is told as late as CleverTap
hears of it. Who signs up opens a page of its own for that.

Impressions and clicks are what a pixel on a sample of the places sees: every click that became a visit, with
the impressions before it, and of all others one in `SAMPLED`. So they are fewer than what a platform counts.
The ledger counts these, no platform's.

Messages are a pure function of the people and of time: a later end adds messages behind the others.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

import numpy as np
from confluent_kafka import Producer

from simulators.book import mix, spread, three
from simulators.lives import DAY, NEVER, OFFLINE, UTM, Life
from simulators.people import People
from simulators.shop import MINOR_PER_UNIT, Dice, Product, Touch
from simulators.visits import SHOP, AdDay

TOPIC = "site_events"
REQUIRED = ("batch_id", "sent_at", "device_id", "events")
FIELDS = ("batch_id", "sent_at", "device_id", "user_id", "context", "events")
PERSONAL = {"device_id": "device_id", "user_id": "user_id"}
SAMPLED = 2_000
RETENTION = timedelta(days=7)
"""How long a topic keeps what is sent, if nothing else is said (Kafka's `log.retention.hours`)."""
SESSION = timedelta(minutes=30)
"""A device that has done nothing for so long begins another session with what it does next."""
STEPS = ("impressions", "clicks", "visits", "sign_ups", "orders")
FORM = f"{SHOP}account/new"
TOGETHER = 20_000
"""Milliseconds after which what comes next goes into another batch."""
SENT_TWICE, TOLD_AGAIN, FORGOTTEN, USELESS = 0.02, 0.02, 1 / 150, 1 / 101
"""Shares of the batches: the same bytes again; an event of it in another batch; followed by a tombstone; by a
message that nobody can use."""
POISON = (
    b"\x00\x00\x00\x00\x07\x0csite",
    b'{"batch_id": "4',
    b'["ping"]',
    b'{"batch_id": "1", "events": null}',
)
HEADERS = (("content-type", b"application/json"), ("via", b"edge"), ("via", b"collector"))
_LANGUAGES = {"DE": "de-DE", "AT": "de-AT", "FR": "fr-FR", "GB": "en-GB", "US": "en-US", "JP": "ja-JP"}


class Message(NamedTuple):
    """A message for Kafka; `timestamp` in milliseconds since 1970, a `value` of None is a tombstone."""

    topic: str
    key: bytes | None
    headers: list[tuple[str, bytes]]
    value: bytes | None
    timestamp: int

    def partition(self, partitions: int) -> int:
        """Where it goes in a topic of so many: what has one key goes to one place, always to the same."""
        return crc32(self.key or b"") % partitions


class Source(NamedTuple):
    """Where a visit's address says it came from: the channel, and the campaign if the address has its id."""

    channel: str
    campaign_id: str = ""
    click_id: str = ""


UNATTRIBUTED = Source("unattributed")


@dataclass(frozen=True, slots=True)
class SiteEvent:
    """An event; `at` in milliseconds since 1970, `source` what its batch's context says, for the ledger."""

    event_id: str
    name: str
    at: int
    properties: dict[str, Any]
    device_id: str
    source: Source = UNATTRIBUTED


@dataclass(frozen=True, slots=True)
class Batch:
    """Events that are sent together; times in milliseconds since 1970."""

    dice: Dice
    number: int
    sent: int
    device_id: str
    user_id: str
    context: dict[str, Any]
    events: tuple[SiteEvent, ...]

    @property
    def value(self) -> bytes:
        """The body of the message."""
        body = {
            "batch_id": self.dice.uuid("batch", self.number),
            "sent_at": _iso(self.sent),
            "device_id": self.device_id,
            "user_id": self.user_id or None,
            "context": self.context,
            "events": [
                {
                    "event_id": event.event_id,
                    "event_name": event.name,
                    "occurred_at": _iso(event.at),
                    "properties": event.properties,
                }
                for event in self.events
            ],
        }
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class _Page:
    """What the events of a visit have in common."""

    device: Any
    user_ids: tuple[tuple[int, str], ...]
    touch: Touch | None
    url: str
    locale: str
    late: int


class SiteEvents:
    """All messages of the site's collector, and what an hourly funnel of them must show."""

    def __init__(self, people: People) -> None:
        """Nothing is computed before it is asked for."""
        self.people = people
        self._last: object = None
        self._sent: list[tuple[int, int, Message, Batch | None]] = []

    def messages(self, since: datetime, until: datetime) -> Iterator[Message]:
        """What is sent from `since` on and before `until`, in the order of sending."""
        return (message for _, _, message, _ in self._between(since, until))

    def events(self, since: datetime, until: datetime) -> list[SiteEvent]:
        """The different events of the messages that can be used, in the order in which they happened."""
        found = {
            event.event_id: event
            for _, _, _, batch in self._between(since, until)
            if batch
            for event in batch.events
        }
        return sorted(found.values(), key=lambda event: (event.at, event.event_id))

    def ledger(self, since: datetime, until: datetime) -> dict[tuple[datetime, str, str], Counter[str]]:
        """The funnel of what is sent in this time: `STEPS` by hour (UTC), channel and campaign's id or ``.

        Each counts in the hour in which it happened, however late it was told; a visit in that in which it
        began. Sign-ups and orders are those of the channel and campaign that their visit came from: what the
        first page says that says anything, and where that has a click's id, what the pixel says of it.
        """
        found: defaultdict[tuple[datetime, str, str], Counter[str]] = defaultdict(Counter)
        visits: defaultdict[str, list[SiteEvent]] = defaultdict(list)
        clicked: dict[tuple[str, str], Source] = {}
        for event in self.events(since, until):
            if event.name in ("impression", "click"):
                found[_hour(event.at), event.source.channel, event.source.campaign_id][f"{event.name}s"] += 1
                if event.source.click_id:
                    clicked[event.device_id, event.source.click_id] = event.source
            else:
                visits[event.device_id].append(event)
        for device, events in visits.items():
            for session in _sessions(events):
                told = next((one.source for one in session if one.source != UNATTRIBUTED), UNATTRIBUTED)
                told = clicked.get((device, told.click_id), told) if told.click_id else told
                of = told.channel, told.campaign_id
                found[_hour(session[0].at), *of]["visits"] += 1
                for event in session:
                    if event.name in ("sign_up", "order"):
                        found[_hour(event.at), *of][f"{event.name}s"] += 1
        return dict(found)

    def _between(self, since: datetime, until: datetime) -> list[tuple[int, int, Message, Batch | None]]:
        lives = self.people.lives(until)
        if self._last is not lives:
            self._last, self._sent = lives, self._all(lives)
        first, end = (int(moment.timestamp() * 1000) for moment in (since, until))
        at = [one[0] for one in self._sent]
        return self._sent[bisect_left(at, first) : bisect_left(at, end)]

    def _all(self, lives: list[Life]) -> list[tuple[int, int, Message, Batch | None]]:
        batches = [batch for life in lives for batch in _told(life, self.people.products())]
        for ad_day in self.people.ad_days():
            batches += _seen(ad_day)
        found = [sent for batch in batches for sent in _messages(batch)]
        return sorted(found, key=lambda one: one[:2])


# ---- messages
def _messages(batch: Batch) -> Iterator[tuple[int, int, Message, Batch | None]]:
    """The message of a batch, and what follows it now and then; each with its place in time."""
    dice, number, key = batch.dice, batch.number, batch.device_id.encode()
    headers = [("trace-id", dice.hex("trace", number).encode()), *HEADERS]

    def sent(after: int, what: int, value: bytes | None, key: bytes | None, of: Batch | None) -> Any:
        at = batch.sent + after
        return at, dice.bits("place", number * 8 + what), Message(TOPIC, key, headers, value, at), of

    yield sent(0, 0, batch.value, key, batch)
    if dice.unit("sent twice", number) < SENT_TWICE:
        yield sent(dice.whole("sent again", 1_000, 20_000, number), 1, batch.value, key, batch)
    if dice.unit("told again", number) < TOLD_AGAIN:
        again = Batch(
            Dice(dice.bits("again", number)),
            number,
            batch.sent + dice.whole("told later", 30_000, 7_200_000, number),
            batch.device_id,
            batch.user_id,
            batch.context,
            batch.events[-1:],
        )
        yield sent(again.sent - batch.sent, 2, again.value, key, again)
    if dice.unit("forgotten", number) < FORGOTTEN:
        yield sent(dice.whole("forgotten at", 1_000, 90_000, number), 3, None, key, None)
    if dice.unit("useless", number) < USELESS:
        value = dice.pick("poison", POISON, number)
        yield sent(dice.whole("useless at", 0, 9_000, number), 4, value, None, None)


# ---- the pixel
def _seen(ad_day: AdDay) -> Iterator[Batch]:
    """Of the impressions and clicks that brought no visit, those in the sample."""
    units, number = ad_day.units, ad_day.day.toordinal()
    keys = units.book.unit_key[units.index]
    some = np.floor(units.column("impressions") / SAMPLED + three(mix(keys, number, 401))[0])
    clicks = np.floor(units.column("clicks") / SAMPLED + three(mix(keys, number, 402))[0])
    parent, nth = spread(np.minimum(some.astype(np.int64), units.column("impressions")))
    drawn = mix(keys[parent], number, 403, nth)
    clicked = nth < clicks[parent]
    for key, unit, is_clicked in zip(
        drawn.tolist(), units.index[parent].tolist(), clicked.tolist(), strict=True
    ):
        dice = Dice(key)
        at = (ad_day.begin + int(dice.unit("at") * (ad_day.end - ad_day.begin))) * 1000
        device = f"__p{dice.hex('device')}"
        platform, account = ad_day.account.platform, ad_day.account.id
        ids = platform, account, *ad_day.ids(unit)
        yield _pixel("impression", at + dice.whole("ms", 0, 999), device, ids, dice=dice, number=0)
        if is_clicked:
            at += dice.whole("clicks", 1_000, 20_000)
            yield _pixel("click", at, device, ids, dice=dice, number=1)


def _pixel(
    name: str, at: int, device: str, ids: tuple[str, ...], *, dice: Dice, number: int, click_id: str = ""
) -> Batch:
    """An impression or a click, told at once; `ids` of platform, account, campaign, ad group and ad."""
    names = ("platform", "account_id", "campaign_id", "ad_group_id", "ad_id")
    campaign = dict(zip(names, (one or None for one in ids), strict=True))
    if click_id:
        campaign["click_id"] = click_id
    context = {
        "page": {"url": f"https://news.example/{dice.whole('page', 1, 999, number)}", "referrer": None},
        "campaign": campaign,
        "locale": None,
        "app": {"name": "pixel", "version": "3", "platform": "web"},
    }
    event = SiteEvent(dice.uuid("seen", number), name, at, {}, device, Source(ids[0], ids[2], click_id))
    return Batch(
        dice, 1000 + number, at + dice.whole("told", 100, 3_000, number), device, "", context, (event,)
    )


# ---- visits
def _told(life: Life, products: list[Product]) -> Iterator[Batch]:
    """All that a person's devices tell."""
    for session, touch in zip(life.sessions, life.touches, strict=True):
        dice, used = session.dice, session.used
        if session.click is not None:
            yield from _clicked(touch, dice)
        late = dice.whole("offline", 600, 4 * DAY) * 1000 if dice.unit("is offline") < OFFLINE else 0
        page = _Page(used.device, life.known_as(used), touch, touch.landing_url, life.locale, late)
        found: list[tuple[int, str, dict[str, Any]]] = [(session.at * 1000, "page_view", {})]
        for n in range(dice.whole("views", 0, 2)):
            product = dice.pick("viewed", products, n)
            item = {"product_id": str(product.product_id), "quantity": 1, "price": product.price / 100}
            at = (session.at + 5 + 7 * n) * 1000 + dice.whole("ms", 0, 999, n)
            found.append((at, "view_item", {"currency": "EUR", "items": [item]}))
        if (order := session.order) is not None:
            units = MINOR_PER_UNIT[order.currency]
            bought = {
                "order_id": str(order.order_id),
                "value": order.total / units if units > 1 else order.total,
                "currency": order.currency,
                "items": [
                    {
                        "product_id": str(line.product_id),
                        "quantity": line.quantity,
                        "price": line.unit_price / units if units > 1 else line.unit_price,
                    }
                    for line in order.lines
                ],
            }
            found.append((int(order.at.timestamp()) * 1000, "order", bought))
        yield from _batches(found, page, dice)
    up = life.signed_up_at
    if up == NEVER:
        return
    dice = Dice(life.dice.bits("signs up on"))
    used = next(one for one in life.used if one.identified_at == up)
    page = _Page(used.device, life.known_as(used), None, FORM, life.locale, 0)
    opened = up * 1000 - dice.whole("fills in", 21_000, 59_000)
    method = life.dice.pick("method", ("email", "google"))
    yield from _batches([(opened, "page_view", {}), (up * 1000, "sign_up", {"method": method})], page, dice)


def _clicked(touch: Touch, dice: Dice) -> Iterator[Batch]:
    """The click that led to a visit, and the impressions before it."""
    visited = int(touch.at.timestamp()) * 1000
    clicked = visited - dice.whole("leads", 300, 2_000)
    ids = (touch.platform, touch.account_id, touch.campaign_id, touch.ad_group_id, touch.ad_id)
    device = touch.object_id
    for n in range(dice.whole("seen", 1, 4)):
        before = dice.whole("seen before", 60, 6 * 3600, n) if n else dice.whole("looks at", 2, 20)
        yield _pixel("impression", clicked - before * 1000, device, ids, dice=dice, number=n)
    yield _pixel("click", clicked, device, ids, dice=dice, number=9, click_id=touch.click_id)


def _batches(found: list[tuple[int, str, dict[str, Any]]], page: _Page, dice: Dice) -> Iterator[Batch]:
    """Events of a visit as they are sent: what comes soon after the first goes with it, under one name."""
    source = _source(page.touch)
    device = page.device.object_id
    parts: list[tuple[str, list[SiteEvent]]] = []
    for n, (at, name, properties) in enumerate(found):
        event = SiteEvent(dice.uuid("event", n), name, at, properties, device, source)
        user = next((user for since, user in reversed(page.user_ids) if at >= since * 1000), "")
        if parts and parts[-1][0] == user and at - parts[-1][1][0].at <= TOGETHER:
            parts[-1][1].append(event)
        else:
            parts.append((user, [event]))
    for number, (user, events) in enumerate(parts):
        sent = events[-1].at + page.late + dice.whole("sent", 200, 8_000, number)
        yield Batch(dice, number, sent, device, user, _context(page), tuple(events))


def _context(page: _Page) -> dict[str, Any]:
    device, touch = page.device, page.touch
    campaign: dict[str, str] = {}
    if touch is not None:
        told = (touch.utm_source, touch.utm_medium, touch.utm_campaign, touch.utm_content)
        campaign = {name: value for name, value in zip(UTM, told, strict=True) if value}
        if touch.click_id:
            campaign["gclid" if touch.platform == "google_ads" else "fbclid"] = touch.click_id
    return {
        "page": {"url": page.url, "referrer": None},
        "campaign": campaign or None,
        "locale": _LANGUAGES.get(page.locale, "en"),
        "app": {
            "name": "shop",
            "version": device.app_version or None,
            "platform": device.platform.lower(),
        },
    }


def _source(touch: Touch | None) -> Source:
    """What a landing address tells; the touch's own ids are true even where it does not."""
    if touch is None:
        return UNATTRIBUTED
    asked = parse_qs(urlsplit(touch.landing_url).query)
    if touch.utm_medium == "email":
        return Source("email")
    tells = touch.click_id or touch.utm_source or "campaignid" in asked
    if not tells:
        return UNATTRIBUTED
    has_id = touch.evidence in ("url_ids", "utm_ids")
    return Source(touch.platform, touch.campaign_id if has_id else "", touch.click_id)


def _sessions(events: Iterable[SiteEvent]) -> Iterator[list[SiteEvent]]:
    """Events of one device, in order, by visit."""
    session: list[SiteEvent] = []
    for event in events:
        if session and event.at - session[-1].at > SESSION.total_seconds() * 1000:
            yield session
            session = []
        session.append(event)
    if session:
        yield session


def _hour(at: int) -> datetime:
    return datetime.fromtimestamp(at // 3_600_000 * 3600, UTC)


def _iso(at: int) -> str:
    moment = datetime.fromtimestamp(at // 1000, UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{at % 1000:03d}Z"


# ---- Kafka
def send(messages: Iterable[Message], bootstrap: str, partitions: int = 4) -> int:
    """Send them in their order; how many. What has one key goes to one partition, always to the same.

    So sending all of it anew to an empty cluster gives each message the offset that it had before.
    """
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5, "log_level": 0})
    count = 0
    for message in messages:
        while True:
            try:
                producer.produce(
                    message.topic,
                    message.value,
                    message.key,
                    partition=message.partition(partitions),
                    timestamp=message.timestamp,
                    headers=list(message.headers),
                )
                break
            except BufferError:  # the brokers have to catch up
                producer.poll(0.1)
        count += 1
    if left := producer.flush(60):
        raise OSError(f"{left} messages were not taken by {bootstrap}")
    return count


def settings_env(bootstrap: str, incarnation: int = 1) -> dict[str, str]:
    """The environment that makes `dlt pipeline kafka run` read the topic, `incarnation` times made anew."""
    table = "SOURCES__KAFKA__TOPICS__SITE_EVENTS__"
    return {
        "SOURCES__KAFKA__BOOTSTRAP_SERVERS": bootstrap,
        f"{table}TOPIC": TOPIC,
        f"{table}INCARNATION": str(incarnation),
        f"{table}REQUIRED": json.dumps(REQUIRED),
        f"{table}FIELDS": json.dumps(FIELDS),
        f"{table}PERSONAL": json.dumps(PERSONAL),
        f"{table}PERSONAL_KEY": "device_id",
    }
