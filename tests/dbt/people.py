"""A few days of a handful of people, small enough to check by hand, with every trap dim_user must avoid.

Ann browses on device d1, then signs up; Cat does so on d3, is found by then only, and is merged into Ann. Bob
and Fay signed up with one telephone, and share the tablet d2. Nobody ever says who d9 is. Lea is a lead that
only CleverTap knows, by Ann's e-mail address. Dan's sign-up and order were committed late. Gus logs in, and
no table has him. Pair 1 and 2 are leads with one address. Values that landing would make pseudonyms of are
written as `key:<what>`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

Row = dict[str, Any]
Sets = dict[tuple[str, str, date | None], list[Row]]
DATABASE, QUEUE = "shop", "login-queue"
TEN = datetime(2026, 3, 1, 10, tzinfo=UTC)


def pseudonym(value: str | None) -> str | None:
    """What stands for a personal value."""
    return None if value is None else f"key:{value}"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    """A moment of March 2026, in UTC."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC)


def user(name: str, signed_up: datetime, *, updated: datetime | None = None, **fields: Any) -> Row:
    """A row of shop.users as it lands; `email`, `phone` and `merged_into` are names of values."""
    fields = {"email": f"mail-{name}", "phone": f"phone-{name}", "merged_into": None} | fields
    personal = {"user_id": name} | {each: fields.pop(each) for each in ("email", "phone", "merged_into")}
    return {
        **{f"{field}__pseudonym": pseudonym(value) for field, value in personal.items()},
        "email": f"{name}@example.com", "last_ip": "199.172.111.135", "last_ip__pseudonym": pseudonym("ip"),
        "country": "DE", "plan": "free", "marketing_consent": True,
        "signed_up_at": signed_up, "updated_at": updated or signed_up, **fields,
    }  # fmt: skip


def order(number: int, name: str, ordered: datetime, currency: str, **fields: Any) -> Row:
    """A row of shop.orders as it lands."""
    return {
        "order_id": number, "user_id__pseudonym": pseudonym(name), "ordered_at": ordered,
        "currency": currency, "status": "paid", "refund_amount": 0, "updated_at": ordered, **fields,
    }  # fmt: skip


def line(number: int, order_id: int, product: int, quantity: int, price: str, updated: datetime) -> Row:
    """A row of shop.order_items as it lands."""
    return {
        "order_line_id": number, "order_id": order_id, "product_id": product,
        "quantity": quantity, "unit_price": price, "updated_at": updated,
    }  # fmt: skip


def event(moment: datetime, device: str, name: str | None = None, **fields: Any) -> Row:
    """A record of CleverTap as it lands: `ts` in the project's zone, which is UTC here."""
    email = fields.pop("email", None)
    return {
        "ts": f"{moment:%Y%m%d%H%M%S}", "event_props": "{}",
        "profile__object_id__pseudonym": pseudonym(device), "profile__identity__pseudonym": pseudonym(name),
        "profile__email__pseudonym": pseudonym(email),
        "profile__email": f"{name}@example.com" if name else None,
        "profile__platform": "Android", "profile__app_version": "1.2", "profile__make": "Fair",
        **fields,
    }  # fmt: skip


def login(message: str, sent: datetime, name: str, **fields: Any) -> Row:
    """A message of the queue as it lands."""
    return {
        "message_id": message, "attributes__sent_timestamp": f"{sent.timestamp() * 1000:.0f}",
        "body__user_id__pseudonym": pseudonym(name), "body__ip": "199.172.111.135",
        "body__ip__pseudonym": pseudonym("ip"), "body__device_id__pseudonym": pseudonym(f"phone-of-{name}"),
        "body__app_version": "2.3.0", "body__device_type": "ios", "body__locale": "DE", **fields,
    }  # fmt: skip


def keys(column: str, values: Iterable[Any]) -> list[Row]:
    """A key sweep."""
    return [{column: value} for value in values]


def events(*, cat_is_known: bool) -> Sets:
    """CleverTap's first days; the third one in the form to come, once Cat has signed up."""
    sets: Sets = {
        ("events", "App Launched", date(2026, 3, 1)): [
            event(at(1, 8), "d1"),
            event(at(1, 8), "d1"),  # the same twice: it may have happened twice
            event(at(1, 9), "d3"),
            event(at(1, 9), "d9"),
            event(at(1, 11), "d1", "ann"),
        ],
        ("events", "App Launched", date(2026, 3, 2)): [
            event(at(2, 8), "d2", "bob"),
            event(at(2, 9), "d2"),  # Bob's: he was seen last
            event(at(2, 10), "d2", "fay"),
            event(at(2, 11), "d2"),  # Fay's
            event(at(2, 12), "d7", "lea", email="mail-ann"),
        ],
    }
    utm = "session_props__utm_"
    sets["events", "UTM Visited", date(2026, 3, 1)] = [
        event(at(1, 8), "d1", session_props__gclid="Cj0K1"),  # Ann, not signed up yet, by the ad of a click
        event(at(1, 9), "d9", **{f"{utm}source": "spring", f"{utm}medium": "email"}),
    ]
    sets["events", "UTM Visited", date(2026, 3, 2)] = [
        event(at(2, 8), "d2", "bob", **{f"{utm}source": "facebook", f"{utm}medium": "cpc",
              f"{utm}campaign": "11", f"{utm}content": "1101"}),
    ]  # fmt: skip
    if cat_is_known:
        new = {
            "ts": "2026-03-03T12:00:00", "profile__make": None, "profile__manufacturer": "Fair",
            "profile__os": {"version": "14"},
        }  # fmt: skip
        sets["events", "App Launched", date(2026, 3, 3)] = [event(at(3, 12), "d3", "cat", **new)]
    return sets


def clicks() -> Sets:
    """Google's clicks of the first day, by an ad whose id two ad groups have."""
    day = date(2026, 3, 1)
    click = {
        "segments__date": day.isoformat(), "customer__id": "901", "campaign__id": "31", "ad_group__id": "42",
        "click_view__gclid": "Cj0K1", "click_view__ad_group_ad": "customers/901/adGroupAds/42~77",
    }  # fmt: skip
    return {("click_view", "901", day): [click]}


def first() -> dict[str, Sets]:
    """What was there on the morning of the third of March, by source."""
    return {
        "rds": {
            ("users", DATABASE, None): [
                user("ann", TEN), user("cat", at(3, 5)),
                user("bob", TEN, phone="family"), user("fay", at(2, 10), phone="family"),
            ],
            ("products", DATABASE, None): [
                {"product_id": 1, "name": "Shirt", "category": "Tops", "color": "red", "size": "M",
                 "price": "7.00", "updated_at": TEN},
            ],
            ("orders", DATABASE, None): [
                order(100, "ann", at(1, 12), "EUR"), order(101, "bob", at(2, 12), "JPY"),
                order(102, "ann", at(2, 13), "EUR"),
            ],
            ("order_items", DATABASE, None): [
                line(1, 100, 1, 1, "7", at(1, 12)), line(2, 100, 1, 1, "7", at(1, 12)),
                line(3, 100, 2, 2, "3.5", at(1, 12)), line(4, 101, 1, 1, "500", at(2, 12)),
                line(5, 102, 1, 1, "7", at(2, 13)),
                line(7, 104, 1, 1, "7", at(2, 13)),  # its order never comes
            ],
            ("orders__keys", DATABASE, None): keys("order_id", [100, 101, 102]),
            ("order_items__keys", DATABASE, None): keys("order_line_id", [1, 2, 3, 4, 5, 7]),
        },
        "clevertap": {
            **events(cat_is_known=False),
            ("profiles", "App Launched", date(2026, 3, 1)): [
                {"identity__pseudonym": pseudonym("ann"), "email__pseudonym": pseudonym("mail-ann"),
                 "object_id__pseudonym": pseudonym("d1")},
            ],
        },
        "sqs": {
            ("login_queue", QUEUE, None): [
                login("m1", at(2, 20), "ann", body__app_version="1.10"),
                login("m2", at(2, 20, 1), "gus"),
                login("m3", at(2, 20, 2), "gus"),  # the producer sent it again: another id, the same login
            ],
        },
    }  # fmt: skip


def second() -> dict[str, Sets]:
    """What a later run found: what changed, what was committed late, what was delivered again."""
    return {
        "rds": {
            ("users", DATABASE, None): [
                user("cat", at(3, 5), updated=at(3, 20), merged_into="ann"),
                user("ann", TEN, updated=at(3, 20), plan="pro", marketing_consent=False),
                user("dan", at(2, 7)),
            ],
            ("orders", DATABASE, None): [
                order(100, "ann", at(1, 12), "EUR", status="partly_refunded", refund_amount="10.00",
                      refunded_at=at(3, 9), updated_at=at(3, 9)),
                # Changed within the second in which it was read before.
                order(101, "bob", at(2, 12), "JPY", status="refunded", refund_amount="500",
                      refunded_at=at(2, 12)),
                order(103, "dan", at(2, 7, 30), "EUR"),
            ],
            ("order_items", DATABASE, None): [line(6, 103, 1, 3, "7", at(2, 7, 30))],
            ("orders__keys", DATABASE, None): keys("order_id", [100, 101, 103]),
            ("order_items__keys", DATABASE, None): keys("order_line_id", [1, 2, 3, 4, 6, 7]),
        },
        "clevertap": {
            **events(cat_is_known=True),
            ("profiles", "App Launched", date(2026, 3, 1)): [
                {"identity__pseudonym": pseudonym("ann"), "email__pseudonym": pseudonym("mail-new"),
                 "object_id__pseudonym": pseudonym("d1")},
                *({"identity__pseudonym": pseudonym(name), "email__pseudonym": pseudonym("mail-pair")}
                  for name in ("pair1", "pair2")),
            ],
        },
        "sqs": {
            ("login_queue", QUEUE, None): [
                login("m5", at(3, 21), "gus"),
                login("m1", at(2, 20), "ann", body__app_version="1.10"),  # delivered again
                login("m4", at(3, 20), "bob", body__app_version="0.96", body__locale=None),  # sent before m5
            ],
        },
    }  # fmt: skip
