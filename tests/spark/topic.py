"""A topic for the job of Spark: the simulator's messages, and by hand what it does not tell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime

from simulators.business import Business
from simulators.people import People
from simulators.site_events import TOPIC, Message, SiteEvents

SINCE = datetime(2026, 2, 20, tzinfo=UTC)
UNTIL = datetime(2026, 3, 1, 6, tzinfo=UTC)
AT = 1_772_345_000_000
EXACT = '[{"product_id": "7", "quantity": 2, "price": 12.50, "of": {"n": [1, 2.0]}}, {"quantity": "3"}]'
ODD = (
    # numbers that a double does not hold, goods within goods
    '{"event_id": "exact", "event_name": "order", "occurred_at": "2026-03-01T05:00:00.123456Z", "properties":'
    ' {"order_id": 900719925474099301, "value": 12345678901234567.89, "currency": "EUR", "items": '
    + EXACT
    + "}}",
    '{"event_id": 17, "event_name": "order", "occurred_at": "2026-03-01T05:00:01+01:00", "properties":'
    ' {"value": "0.10", "items": [{"quantity": 2.0}, {"quantity": null}, 5, null, {"quantity": "many"}]}}',
    # no id, no time, no properties, no object, no event at all
    '{"event_name": "click", "occurred_at": "soon"}',
    '{"event_id": "timeless", "properties": "none", "other": {"deep": []}}',
    '{"event_id": "listless", "occurred_at": null, "properties": {"items": {"quantity": 1}, "value": "a"}}',
    '"ping"',
    "null",
    '{"event_id": "Zürich \ue000 \\"1\\"", "event_name": "", "properties": {"items": []}}',
    # what JSON may spell and no text of Postgres holds
    r'{"event_id": "\u0000", "event_name": "half \ud83d", "properties":'
    r' {"order_id": "\ude00 \ud83d\ude00 \\u0000", "items": [{"name": "\u0000", "quantity": 2}]}}',
)
CONTEXTS = (
    None,
    "no object",
    {},
    {"page": "none", "campaign": {"gclid": "g-1", "utm_source": None}, "locale": 5, "app": []},
    {"page": {"url": "https://shop.example/?a=1&b=%20"}, "campaign": {"click_id": "c", "fbclid": "f"}},
)


def parts() -> Iterator[list[Message]]:
    """Messages in the order of sending, in four parts; some come in two of them."""
    told = list(SiteEvents(People(Business(7, date(2026, 2, 20), 8, 0.2))).messages(SINCE, UNTIL))
    third = len(told) // 3
    yield told[:third]
    yield told[third : 2 * third] + told[third - 20 : third]
    yield told[2 * third :]
    yield [*odd(), *told[:30]]


def odd() -> Iterator[Message]:
    """What is declared, in every odd form, and what is not."""
    for number, context in enumerate(CONTEXTS):
        body = {
            "batch_id": str(number),
            "sent_at": "2026-03-01T05:10:00Z" if number else "",
            "device_id": "odd",
        }
        rest = {"user_id": f"u-{number}" if number % 2 else None, "context": context}
        head = json.dumps({**body, **rest}, ensure_ascii=False)[:-1]
        value = f'{head}, "events": [{", ".join(ODD if number == 1 else [ODD[number]])}]}}'
        yield _message(value.encode(), AT + number)
    head = '{"batch_id": "9", "sent_at": "2026-03-01T05:10:00Z", "device_id": " ODD ", "events": '
    for events in ("[]", '"none"', '{"event_id": "alone"}', "7", '"[1, 2]"', "null"):
        yield _message(f"{head}{events}}}".encode(), AT)
    for value in (b"", b"\xff\xfe", b"[]", b'{"batch_id": 1}', b"null", None):
        yield Message(TOPIC, None, [], value, AT)


def _message(value: bytes, at: int) -> Message:
    return Message(TOPIC, b"odd", [("via", b"edge"), ("via", b"\xff")], value, at)
