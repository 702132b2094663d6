"""What the simulated people are made of: the records they leave, the shop's products, and plausible persons.

Money is in whole minor units (cents; whole yen and none of its parts), instants are aware and in UTC.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, TypeVar
from zlib import crc32

Thing = TypeVar("Thing")
System = Literal["Android", "iOS", "Web"]
Status = Literal["paid", "refunded", "partly_refunded"]
MINOR_PER_UNIT = {"EUR": 100, "USD": 100, "GBP": 100, "INR": 100, "JPY": 1}
_FOR_EURO_CENT = {"EUR": 100, "USD": 108, "GBP": 85, "INR": 9_000, "JPY": 16_000}
"""Prices, no exchange rates: hundredths of a hundredth of the currency for a cent."""


# ---- hashing
_MASK = (1 << 64) - 1


@cache
def _code(name: str) -> int:
    return crc32(name.encode())


class Dice:
    """Draws out of one hash, each by its name: the same name gives the same draw, in whatever order."""

    __slots__ = ("key",)

    def __init__(self, key: int) -> None:
        """`key` has 64 bits."""
        self.key = key

    def bits(self, name: str, n: int = 0) -> int:
        """64 bits: splitmix64's finaliser over key, name and number."""
        x = (self.key + _code(name) * 0x9E3779B97F4A7C15 + n * 0xD1342543DE82EF95) & _MASK
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
        return x ^ (x >> 31)

    def unit(self, name: str, n: int = 0) -> float:
        """A number in [0, 1)."""
        return (self.bits(name, n) >> 11) / (1 << 53)

    def whole(self, name: str, low: int, high: int, n: int = 0) -> int:
        """An integer from `low` to `high`, both inclusive."""
        return low + self.bits(name, n) % (high - low + 1)

    def pick(self, name: str, of: Sequence[Thing], n: int = 0) -> Thing:
        """One of several; listed twice is twice as likely."""
        return of[self.bits(name, n) % len(of)]

    def uuid(self, name: str, n: int = 0) -> str:
        """A random-looking UUID as text."""
        both = self.bits(name, n) << 64 | self.bits(f"{name} again", n)
        return str(uuid.UUID(int=both, version=4))

    def hex(self, name: str, n: int = 0) -> str:
        """32 hexadecimal digits."""
        return f"{self.bits(name, n):016x}{self.bits(f'{name} again', n):016x}"


# ---- records
@dataclass(frozen=True, slots=True)
class Device:
    """A phone, or a browser (`Web`); `object_id` is CleverTap's name for it, `device_id` the queue's."""

    object_id: str
    platform: System
    os_version: str
    make: str
    model: str
    app_version: str
    device_id: str


@dataclass(frozen=True, slots=True)
class Person:
    """A person as of an instant; who has not signed up has no user id, and nobody knows name or address.

    A person with `merged_into` is the second account of the one with that user id. `devices` are those used
    so far. `updated_at` moves whenever another field of an account changes.
    """

    number: int
    user_id: str
    name: str
    email: str
    phone: str
    country: str
    city: str
    locale: str
    currency: str
    plan: str
    devices: tuple[Device, ...]
    first_seen_at: datetime
    signed_up_at: datetime | None
    merged_into: str | None
    marketing_consent: bool
    updated_at: datetime
    ip: str


Evidence = Literal["gclid", "url_ids", "utm_ids", "utm_name", ""]


@dataclass(frozen=True, slots=True)
class Touch:
    """A visit: `person` is a number. Without a click on an ad `platform` and the ids are empty.

    The ids are true even where the landing URL does not show them; `evidence` says what of it leads to the
    ad (`gclid`: through click_view; `url_ids`: campaignid, adgroupid, adid; `utm_ids`: Meta's url_tags) or to
    the campaign (`utm_name`), if anything. In Performance Max and Smart a click has a campaign only.
    """

    at: datetime
    person: int
    object_id: str
    platform: str
    account_id: str
    campaign_id: str
    ad_group_id: str
    ad_id: str
    click_id: str
    landing_url: str
    utm_source: str
    utm_medium: str
    utm_campaign: str
    utm_content: str
    evidence: Evidence = ""


@dataclass(frozen=True, slots=True)
class Event:
    """A CleverTap event: `at` by the device's own clock, `uploaded_at` by the true one, often later."""

    name: str
    at: datetime
    object_id: str
    identity: str
    person: int
    event_props: dict[str, Any]
    session_props: dict[str, Any]
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of an order; `unit_price` in minor units of the order's currency."""

    order_line_id: int
    product_id: int
    quantity: int
    unit_price: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order as of an instant. `touch` is the click that it is due to, None if it is due to none."""

    order_id: int
    user_id: str
    at: datetime
    currency: str
    lines: tuple[OrderLine, ...]
    status: Status
    refund: int
    refunded_at: datetime | None
    updated_at: datetime
    person: int
    touch: Touch | None

    @property
    def total(self) -> int:
        """Minor units before any refund."""
        return sum(line.quantity * line.unit_price for line in self.lines)


@dataclass(frozen=True, slots=True)
class Login:
    """A message of the login queue."""

    message_id: str
    at: datetime
    user_id: str
    app_version: str
    device_type: str
    ip: str
    locale: str | None
    device_id: str


@dataclass(frozen=True, slots=True)
class Product:
    """A product; `price` in euro cents."""

    product_id: int
    name: str
    category: str
    color: str
    size: str
    price: int


# ---- the shop
_GOODS = (
    ("Sofa", 42_000, ("2-seater", "3-seater")), ("Oak table", 31_000, ("160 cm", "200 cm")),
    ("Bürostuhl", 17_000, ("S", "L")), ("Bookshelf", 9_900, ("80 cm", "120 cm")),
    ("Floor lamp", 5_900, ("",)), ("Tent", 22_000, ("2P", "4P")),
    ("Hiking boots", 12_500, ("38", "41", "44")), ("Rain jacket", 8_900, ("S", "M", "L")),
    ("Backpack", 7_500, ("30 l", "60 l")), ("Camping stove", 4_500, ("",)),
)  # fmt: skip
_SERIES = ("Nord", "Fjäll", 'Lumen "One"', "Søl")
_COLORS = ("black", "oak", "moss green", "blau", "sand")
_CATEGORIES = {
    "Furniture": {"Sofa", "Oak table", "Bürostuhl", "Bookshelf", "Floor lamp"},
    "Outdoor": {"Tent", "Hiking boots", "Rain jacket", "Backpack", "Camping stove"},
}


def make_products(seed: int) -> list[Product]:
    """The shop's products, the same at all times."""
    dice = Dice(seed)
    products: list[Product] = []
    for good, base, sizes in _GOODS:
        category = next(name for name, goods in _CATEGORIES.items() if good in goods)
        for series in _SERIES:
            for size in sizes:
                n = len(products)
                price = base * dice.whole("price", 70, 160, n) // 10_000 * 100 + dice.pick(
                    "cents", (0, 90, 99), n
                )
                products.append(
                    Product(
                        1001 + n, f"{good} {series}", category, dice.pick("color", _COLORS, n), size, price
                    )
                )
    return products


def price_in(currency: str, cents: int) -> int:
    """What a price in euro cents is in minor units of a currency."""
    return max(1, cents * _FOR_EURO_CENT[currency] * MINOR_PER_UNIT[currency] // 10_000)


# ---- plausible persons
COUNTRIES = {
    "DE": ("EUR", "+4915", 9, ("Berlin", "Köln", "München", "Halle (Saale)")),
    "AT": ("EUR", "+43660", 7, ("Wien", "Graz")),
    "FR": ("EUR", "+337", 8, ("Paris", "Saint-Étienne")),
    "GB": ("GBP", "+447700", 6, ("London", "Stoke-on-Trent")),
    "US": ("USD", "+1555", 7, ("Portland", "Coeur d'Alene", "Austin")),
    "JP": ("JPY", "+8190", 8, ("東京", "大阪")),
    "IN": ("INR", "+9198", 8, ("Pune", "मुंबई")),
}
"""Currency, beginning of phone numbers, how many digits follow, and cities."""
MARKETS = {
    "EUR": ("DE", "DE", "DE", "AT", "FR", "GB"),
    "USD": ("US", "US", "US", "US", "GB"),
    "JPY": ("JP",),
    "INR": ("IN",),
}
"""Where those come from who click on an account's ads, by its currency."""
_LATIN = (
    (("Jürgen", "juergen"), ("Zoë", "zoe"), ("Anna", "anna"), ("Łukasz", "lukasz"), ("François", "francois"),
     ("Ayşe", "ayse"), ("Mary Ann", "maryann"), ("Olu", "olu"), ("Siân", "sian"), ("Peter", "peter")),
    (("Müller", "mueller"), ("O'Neill", "oneill"), ("Smith", "smith"), ("García", "garcia"),
     ("Çelik", "celik"), ("Wójcik", "wojcik"), ("von der Heide", "vonderheide"), ("Dupont", "dupont"),
     ("Ng", "ng"), ("Straße", "strasse")),
)  # fmt: skip
_NAMES = {
    "JP": (
        (("花子", "hanako"), ("太郎", "taro"), ("さくら", "sakura"), ("健", "ken")),
        (("佐藤", "sato"), ("鈴木", "suzuki"), ("髙橋", "takahashi"), ("渡邉", "watanabe")),
    ),
    "IN": (
        (("प्रिया", "priya"), ("Arjun", "arjun"), ("Lakshmi", "lakshmi"), ("Rahul", "rahul")),
        (("शर्मा", "sharma"), ("Patel", "patel"), ("Iyer", "iyer"), ("Singh", "singh")),
    ),
}


def name_of(dice: Dice, country: str, number: int, version: int = 0) -> tuple[str, str, str]:
    """Name, e-mail and phone. A later version has another family name and address, the first name stays."""
    firsts, lasts = _NAMES.get(country, _LATIN)
    first, ascii_first = dice.pick("first name", firsts)
    last, ascii_last = dice.pick("last name", lasts, version)
    name = f"{last} {first}" if country == "JP" else f"{first} {last}"
    domain = dice.pick("domain", ("example.com", "example.org", "example.net"), version)
    email = f"{ascii_first}.{ascii_last}{number % 1_000_000}@{domain}"
    if dice.unit("shouts") < 0.04:  # people type what they like
        email = email[0].upper() + email[1:].replace("@example", "@Example")
    _, prefix, digits, _ = COUNTRIES[country]
    return name, email, prefix + str(dice.bits("phone") % 10**digits).zfill(digits)


def ip_of(dice: Dice, n: int = 0) -> str:
    """An address of the ranges for documentation (RFC 5737) or, these being few, benchmarks (RFC 2544)."""
    if dice.unit("documentation", n) < 0.1:
        net = dice.pick("net", ("192.0.2", "198.51.100", "203.0.113"), n)
        return f"{net}.{dice.whole('host', 1, 254, n)}"
    host = dice.bits("host", n)
    return f"198.{18 + host % 2}.{host // 2 % 256}.{host // 512 % 256}"


_PHONES = {
    "Android": (("Xiaomi", "M2006C3MII", "10"), ("Samsung", "SM-S921B", "14"), ("Google", "Pixel 8", "15")),
    "iOS": (("Apple", "iPhone14,5", "17.6.1"), ("Apple", "iPhone16,1", "18.2")),
    "Web": (("Chrome", "Windows", "131.0"), ("Safari", "macOS", "18.1"), ("Firefox", "Linux", "133.0")),
}
_VERSIONS = ("2.3.0", "2.2.8", "1.1", "0.96", "3.7", "2.10.1")


def device_of(dice: Dice, n: int) -> Device:
    """The n-th device of a person; the first is a browser every other time."""
    systems: tuple[System, ...] = (
        ("Web", "Web", "Android", "iOS") if n == 0 else ("Android", "Android", "iOS")
    )
    system = dice.pick("system", systems, n)
    make, model, version = dice.pick("device", _PHONES[system], n)
    digits = str(dice.bits("device id", n) % 10**9).zfill(9)
    return Device(
        object_id=("__w" if system == "Web" else "__g") + dice.hex("object", n),
        platform=system,
        os_version=version,
        make=make,
        model=model,
        app_version="" if system == "Web" else dice.pick("app", _VERSIONS, n),
        device_id=f"{digits[:3]}-{digits[3:5]}-{digits[5:]}",
    )
