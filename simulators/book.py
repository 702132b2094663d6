"""Who exists: an account's campaigns, ad groups and ads of all times as columns, and their states at an hour.

Entities come in generations on an absolute calendar: a slot is filled by one campaign or ad after the other,
each with a hash of its own from which everything else about it follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simulators.entities import GOOGLE_SETTLED_DAYS, Account, Platform

Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

GENESIS = date(2020, 1, 1).toordinal()
"""No entity is older; generations are counted from here."""
AHEAD_DAYS = 400
"""How far after `first_day + days` the clock may move before nothing new happens any more."""


# ---- hashing
_M1, _M2, _GOLD = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)


def mix(*parts: Any) -> Keys:
    """Hash integers or integer arrays (broadcast) to 64 bits: splitmix64's finaliser after every part."""
    with np.errstate(over="ignore"):
        state: Any = np.uint64(0x243F6A8885A308D3)
        for part in parts:
            state = (state ^ np.asarray(part).astype(np.uint64)) + _GOLD
            state = (state ^ (state >> np.uint64(30))) * _M1
            state = (state ^ (state >> np.uint64(27))) * _M2
            state = state ^ (state >> np.uint64(31))
    return np.atleast_1d(state)


def three(bits: Keys) -> tuple[Floats, Floats, Floats]:
    """Three uniform numbers in [0, 1) out of one hash."""
    mask, unit = np.uint64(0x1FFFFF), np.float64(1.0 / 0x200000)
    return (
        (bits & mask) * unit,
        ((bits >> np.uint64(21)) & mask) * unit,
        ((bits >> np.uint64(42)) & mask) * unit,
    )


def between(bits: Keys, low: int, high: int) -> Ints:
    """Integers from low to high, both inclusive."""
    return low + (bits % np.uint64(high - low + 1)).astype(np.int64)


def spread(counts: Ints) -> tuple[Ints, Ints]:
    """For `counts` children per parent: each child's parent and its number below that parent."""
    parent = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
    return parent, number


# ---- the world
PLATFORM_NUMBER = {"facebook_ads": 1, "google_ads": 2}
ACCOUNTS: dict[Platform, list[tuple[str, str, str, int]]] = {
    "facebook_ads": [
        ("Nordwind Möbel", "EUR", "Europe/Berlin", 100),
        ("Lumen Outdoor", "USD", "America/Los_Angeles", 100),
        ("Lumen Outdoor", "JPY", "Asia/Tokyo", 1),
    ],
    "google_ads": [
        ("Nordwind Möbel", "EUR", "Europe/Berlin", 100),
        ("Lumen Outdoor", "USD", "America/Los_Angeles", 100),
        ("Lumen Outdoor", "INR", "Asia/Kolkata", 100),
    ],
}
CAMPAIGN_SLOTS = {"facebook_ads": (5, 6, 4), "google_ads": (6, 6, 6)}
_THEMES = (
    "Brand | Always on", "Prospecting — lookalike 1 %", "Retargeting 🛒 30d", 'Sale "0.10" off',
    "Winter Überraschung", "App \\ Install", "Catalogue, dynamic", "新規 獲得", "Video/Reach",
    "Newsletter <signup>", "Loyalty & more",
)  # fmt: skip
OBJECTIVES = ("OUTCOME_SALES", "OUTCOME_TRAFFIC", "OUTCOME_LEADS", "OUTCOME_SALES", "OUTCOME_ENGAGEMENT")
CHANNELS = ("PERFORMANCE_MAX", "SMART", "SEARCH", "SEARCH", "DISPLAY", "SEARCH")
WITHOUT_ADS = {"PERFORMANCE_MAX": "performance_max", "SMART": "smart"}
DEVICES = ("MOBILE", "DESKTOP", "TABLET")
NETWORKS = ("SEARCH", "SEARCH_PARTNERS", "CONTENT", "MIXED")
SEGMENTS = ((0, 0), (1, 0), (0, 1), (2, 0))
_WORDS = ("sofa", "garden chair", "oak table", "standing desk", "hiking boots", "tent", "rain jacket", "lamp",
          "büro stuhl", "bookshelf", "camping stove", "backpack")  # fmt: skip
_TWISTS = ("", " cheap", " buy online", " near me", " 2026")
KEYWORD_TEXTS = tuple(word + twist for word in _WORDS for twist in _TWISTS)
MATCH_TYPES = ("EXACT", "PHRASE", "BROAD")
TERM_TAILS = ("", " sale", " reviews")
TERM_SHARES = (500, 750, 900)
KEYWORDS_PER_GROUP = 4
CONVERSION_ACTIONS = (
    ("Purchase", "PURCHASE", True, 90),
    ("Lead form", "SUBMIT_LEAD_FORM", True, 30),
    ("Phone call", "PHONE_CALL_LEAD", True, 30),
    ("Page view", "PAGE_VIEW", False, 1),
)
META_PURCHASES = ("purchase", "omni_purchase", "offsite_conversion.fb_pixel_purchase")
"""The same purchases under three names."""
META_LEADS = ("lead", "offsite_conversion.fb_pixel_lead")
ACTION_WINDOWS = ("1d_click", "7d_click", "28d_click", "1d_view")


@dataclass(frozen=True)
class Book:
    """An account's entities of all times as columns; children stand in the order of their parents."""

    account: Account
    seed: int
    campaign_slot: Ints
    campaign_gen: Ints
    campaign_start: Ints
    campaign_end: Ints
    campaign_key: Keys
    campaign_id: Ints
    campaign_kind: Ints
    group_campaign: Ints
    group_number: Ints
    group_key: Keys
    group_id: Ints
    ad_group: Ints
    ad_campaign: Ints
    ad_slot: Ints
    ad_gen: Ints
    ad_start: Ints
    ad_end: Ints
    ad_key: Keys
    ad_id: Ints
    unit_ad: Ints
    unit_segment: Ints
    unit_key: Keys

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Names behind `campaign_kind`."""
        return OBJECTIVES if self.account.platform == "facebook_ads" else CHANNELS

    @cached_property
    def unit_campaign(self) -> Ints:
        """Each unit's campaign."""
        return self.ad_campaign[self.unit_ad]

    @cached_property
    def unit_group(self) -> Ints:
        """Each unit's ad group."""
        return self.ad_group[self.unit_ad]

    @cached_property
    def campaign_has_ads(self) -> Flags:
        """False where the platform shows neither ad groups nor ads."""
        kind_has = np.array([kind not in WITHOUT_ADS for kind in self.kinds])
        return kind_has[self.campaign_kind]

    @cached_property
    def unit_rates(self) -> dict[str, Floats]:
        """Each unit's own level: daily impressions, click rate, price per thousand, conversion rates."""
        level, ctr, cpm = three(mix(self.unit_key, 101))
        buy, lead, basket = three(mix(self.unit_key, 102))
        tier = np.array([60.0, 250.0, 900.0, 2500.0, 7000.0])[(level * 5).astype(np.int64)]
        price = {"JPY": 90.0, "INR": 40.0}.get(self.account.currency, 1.0) * self.account.minor_per_unit / 100
        return {
            "level": tier * (0.6 + (level * 5 % 1)),
            "ctr": 0.004 + 0.03 * ctr,
            "cpm": (250 + 1100 * cpm) * price,
            "buy": 0.002 + 0.02 * buy,
            "lead": np.where(lead < 0.4, 0.015, 0.0),
            "basket": (2500 + 9000 * basket) * price,
        }


def make_book(account: Account, seed: int, first_day: date, days: int, scale: float) -> Book:
    """Lay out an account's entities, from 90 days before `first_day` until 400 after its `days`."""
    platform, number = account.platform, account.index
    google = platform == "google_ads"
    first = first_day.toordinal() - GOOGLE_SETTLED_DAYS
    last = first_day.toordinal() + days + AHEAD_DAYS
    salt = mix(seed, PLATFORM_NUMBER[platform], number)[0]

    slots = np.arange(max(1, round(CAMPAIGN_SLOTS[platform][number] * scale)))
    slot_key = mix(salt, 1, slots)
    period = between(mix(slot_key, 1), 150, 500)
    phase = GENESIS - between(mix(slot_key, 2), 0, 500) % period
    lo, hi = (first - phase) // period, (last - phase) // period
    parent, nth = spread(hi - lo + 1)
    c_slot, c_gen = slots[parent], lo[parent] + nth
    c_start = phase[parent] + c_gen * period[parent]
    c_end = c_start + period[parent]
    c_key = mix(slot_key[parent], 3, c_gen)
    c_seq = c_slot * 64 + c_gen % 64
    kinds = len(CHANNELS) if google else len(OBJECTIVES)

    has_ads = np.array([not google or k not in WITHOUT_ADS for k in (CHANNELS if google else OBJECTIVES)])
    c_kind = c_slot % kinds
    g_count = np.where(has_ads[c_kind], between(mix(c_key, 4), 2, 3), 1)
    g_parent, g_nth = spread(g_count)
    g_key = mix(c_key[g_parent], 5, g_nth)
    g_seq = c_seq[g_parent] * 4 + g_nth

    s_count = between(mix(g_key, 6), 3, 4) if not google else between(mix(g_key, 6), 2, 3)
    s_parent, s_nth = spread(s_count)
    # Google: the first ad of every group of a campaign is the same ad, so the same id in several groups
    shared = google & (s_nth == 0)
    s_key = np.where(shared, mix(c_key[g_parent[s_parent]], 7), mix(g_key[s_parent], 7, s_nth))
    a_period = between(mix(s_key, 8), 35, 150)
    a_phase = GENESIS - between(mix(s_key, 9), 0, 150) % a_period
    s_campaign = g_parent[s_parent]
    lo = (np.maximum(c_start[s_campaign], first) - a_phase) // a_period
    hi = (np.minimum(c_end[s_campaign] - 1, last) - a_phase) // a_period
    a_parent, a_nth = spread(np.maximum(hi - lo + 1, 0))
    a_gen = lo[a_parent] + a_nth
    a_campaign, a_group = s_campaign[a_parent], s_parent[a_parent]
    a_start = np.maximum(a_phase[a_parent] + a_gen * a_period[a_parent], c_start[a_campaign])
    a_end = np.minimum(a_phase[a_parent] + (a_gen + 1) * a_period[a_parent], c_end[a_campaign])
    a_slot = s_nth[a_parent]
    a_key = mix(g_key[a_group], 10, a_slot, a_gen)
    of_group = np.where(shared[a_parent], c_seq[a_campaign] * 4, g_seq[a_group])
    a_seq = (of_group * 8 + a_slot) * 256 + a_gen % 256

    u_count = between(mix(a_key, 11), 1, 4) if google else np.ones(len(a_key), dtype=np.int64)
    u_ad, u_nth = spread(u_count)
    tag = (seed * 31 + number) % 100
    if google:
        ids = (10**10 + tag * 10**8 + c_seq, 10**11 + tag * 10**9 + g_seq, 7 * 10**11 + a_seq)
    else:
        base = 120_200_000_000_000_000 + tag * 10**11
        ids = (base + 10**13 + c_seq, base + 2 * 10**13 + g_seq, base + 3 * 10**13 + a_seq)
    return Book(
        account, seed, c_slot, c_gen, c_start, c_end, c_key, ids[0], c_kind,
        g_parent, g_nth, g_key, ids[1],
        a_group, a_campaign, a_slot, a_gen, a_start, a_end, a_key, ids[2],
        u_ad, u_nth, mix(a_key[u_ad], 12, u_nth),
    )  # fmt: skip


# ---- states
def local_hours(account: Account, as_of: datetime) -> int:
    """Whole hours of the account's wall clock since day 0 of the calendar."""
    local = as_of.astimezone(account.zone)
    return local.toordinal() * 24 + local.hour


def instant(account: Account, hours: int) -> datetime:
    """The instant at which the account's wall clock shows that many hours."""
    day, hour = divmod(hours, 24)
    return datetime.combine(date.fromordinal(day), datetime.min.time(), account.zone) + timedelta(hours=hour)


def end_hour(end: Ints, key: Keys) -> Ints:
    """When an entity is switched off for good: in the evening of its last day."""
    return end * 24 - between(mix(key, 31), 1, 6)


def _fate(book: Book) -> Ints:
    return (book.ad_slot + book.ad_gen) % 8


def fate_hidden(book: Book) -> Flags:
    """Per ad: whether its rows are no longer reported once it is deleted."""
    return np.asarray(_fate(book) == 2)


def _pauses(key: Keys, share: int) -> tuple[Ints, Ints, Ints]:
    """Recurring pauses in hours (period, phase, length); length 0 for all but one in `share`."""
    period = between(mix(key, 32), 30, 90) * 24
    phase = between(mix(key, 33), 0, 90 * 24)
    length = np.where(mix(key, 34) % np.uint64(share) == 0, between(mix(key, 35), 60, 200), 0)
    return period, phase, length


def unpaused(book: Book, d: int) -> Flags:
    """Per ad: neither it nor its parents are paused for the whole of day `d`."""

    def whole_day(key: Keys, share: int) -> Flags:
        period, phase, length = _pauses(key, share)
        return np.asarray((d * 24 - phase) % period + 24 <= length)

    campaigns, groups = whole_day(book.campaign_key, 3), whole_day(book.group_key, 4)
    return ~(whole_day(book.ad_key, 4) | campaigns[book.ad_campaign] | groups[book.ad_group])


class States:
    """Statuses, and versions of names and budgets, of a book's entities at one hour, as columns."""

    def __init__(self, book: Book, now: int) -> None:
        """`now` in whole hours of the account's wall clock."""
        google = book.account.platform == "google_ads"
        active = "ENABLED" if google else "ACTIVE"
        gone = ("PAUSED", "REMOVED", "REMOVED") if google else ("PAUSED", "ARCHIVED", "DELETED")

        self.campaign_created = book.campaign_start * 24 - 12
        end = end_hour(book.campaign_end, book.campaign_key)
        over, until = end <= now, np.minimum(end, now)
        paused, moved = self._paused(book.campaign_key, 3, now)
        fate = np.array(gone, dtype=object)[(book.campaign_slot + book.campaign_gen) % 3]
        self.campaign_status = np.where(over, fate, np.where(paused, "PAUSED", active))
        self.campaign_version, renamed = self._versions(
            book.campaign_key, 41, (40, 120), self.campaign_created, until
        )
        budgets, changed = self._versions(book.campaign_key, 42, (15, 50), self.campaign_created, until)
        self.campaign_budget = _budget(book.campaign_key, budgets)
        self.campaign_updated = np.maximum.reduce(
            [self.campaign_created, np.where(over, end, moved), renamed, changed]
        )

        parent = book.group_campaign
        until = until[parent]
        self.group_created = self.campaign_created[parent] + 1
        paused, moved = self._paused(book.group_key, 4, until)
        self.group_status = np.where(paused, "PAUSED", active).astype(object)
        self.group_version, renamed = self._versions(book.group_key, 43, (60, 200), self.group_created, until)
        budgets, changed = self._versions(book.group_key, 44, (20, 60), self.group_created, until)
        self.group_budget = _budget(book.group_key, budgets)
        self.group_bid = _budget(book.group_key, budgets) // 20 + 1
        self.group_updated = np.maximum.reduce([self.group_created, moved, renamed, changed])
        above = self.campaign_status[parent]
        self.group_effective = self._effective(self.group_status, above, "CAMPAIGN_PAUSED", google)

        self.ad_created = book.ad_start * 24 - between(mix(book.ad_key, 36), 1, 8)
        end = end_hour(book.ad_end, book.ad_key)
        over = end <= now
        which = _fate(book)
        names = ("PAUSED", "REMOVED", "REMOVED", "PAUSED", "PAUSED", "REMOVED", "PAUSED", "REMOVED")
        if not google:
            names = ("PAUSED", "DELETED", "DELETED", "ARCHIVED", "PAUSED", "DELETED", "ARCHIVED", "DELETED")
        paused, moved = self._paused(book.ad_key, 4, now)
        self.ad_status = np.where(
            over, np.array(names, dtype=object)[which], np.where(paused, "PAUSED", active)
        ).astype(object)
        self.ad_hidden = over & fate_hidden(book) & (not google)
        self.ad_version, renamed = self._versions(
            book.ad_key, 45, (30, 90), self.ad_created, np.minimum(end, now)
        )
        self.ad_updated = np.maximum.reduce([self.ad_created, np.where(over, end, moved), renamed])
        own = self._effective(self.ad_status, self.group_status[book.ad_group], "ADSET_PAUSED", google)
        self.ad_effective = self._effective(own, above[book.ad_group], "CAMPAIGN_PAUSED", google)

    @staticmethod
    def _effective(own: Any, above: Any, when_paused: str, google: bool) -> Any:
        """What a parent's status makes of a child's own one."""
        if google:
            return own
        out = np.where((own == "ACTIVE") & (above == "PAUSED"), when_paused, own)
        out = np.where((above == "ARCHIVED") & (own != "DELETED"), "ARCHIVED", out)
        return np.where(above == "DELETED", "DELETED", out).astype(object)

    @staticmethod
    def _paused(key: Keys, share: int, now: Ints | int) -> tuple[Flags, Ints]:
        """Whether paused now, and when it was last paused or resumed (hours; 0 if never)."""
        period, phase, length = _pauses(key, share)
        into = (now - phase) % period
        paused = into < length
        moved = np.where(length == 0, 0, np.where(paused, now - into, now - into + length))
        return np.asarray(paused), moved

    @staticmethod
    def _versions(key: Keys, salt: int, days: tuple[int, int], created: Ints, now: Ints) -> tuple[Ints, Ints]:
        """How often something has changed since creation, and when last (hours; 0 if never)."""
        period = between(mix(key, salt), *days) * 24 + between(mix(key, salt, 1), 0, 23)
        version = np.maximum((now - created) // period, 0)
        return version, np.where(version > 0, created + version * period, 0)


def _budget(key: Keys, version: Ints) -> Ints:
    base = between(mix(key, 46), 10, 200)
    factor = np.array([100, 120, 90, 150, 80])[version % 5]
    return np.asarray(base * factor, dtype=np.int64)


def campaign_name(slot: int, gen: int, version: int) -> str:
    """A campaign's name; every account's first one is called the same, for good."""
    if slot == 0:
        return _THEMES[0]
    name = _THEMES[slot % len(_THEMES)]
    if slot >= len(_THEMES):
        name += f" #{slot}"
    if gen % 2:
        name += f" / wave {gen}"
    return name if not version else f"{name} (v{version + 1})"


def group_name(number: int, version: int) -> str:
    """An ad group's name."""
    name = ("DE+AT 25-54", "Broad", "Interest: outdoor ⛺")[number]
    return name if not version else f"{name} v{version + 1}"


def ad_name(slot: int, gen: int, version: int) -> str:
    """An ad's name."""
    name = f"{('Carousel', 'Static', 'Video 15s', 'Collection')[slot]} {gen:03d}"
    return name if not version else f"{name} - copy {version}"


def group_kind(google: bool, kind: str) -> str:
    """Meta's optimization goal or Google's ad group type under a campaign of this kind."""
    if google:
        return "DISPLAY_STANDARD" if kind == "DISPLAY" else "SEARCH_STANDARD"
    return {"OUTCOME_TRAFFIC": "LINK_CLICKS", "OUTCOME_LEADS": "LEAD_GENERATION"}.get(
        kind, "OFFSITE_CONVERSIONS"
    )


def ad_kind(google: bool, kind: str, slot: int) -> str:
    """Meta's creative object type or Google's ad type."""
    if google:
        return "RESPONSIVE_DISPLAY_AD" if kind == "DISPLAY" else "RESPONSIVE_SEARCH_AD"
    return ("SHARE", "PHOTO", "VIDEO", "SHARE")[slot]


def criterion_id(text: int, match: int) -> str:
    """Equal text and match type make an equal id, in whatever ad group."""
    return str(302_000_000_000 + text * 10 + match)


def action_id(account: Account, n: int) -> str:
    """The id of an account's n-th conversion action."""
    return str(900_000_000 + (int(account.id) % 1_000_000) * 10 + n)


def keyword_choice(book: Book) -> Ints:
    """(group, keyword, [text, match type]); texts differ within a group."""
    nth = np.arange(KEYWORDS_PER_GROUP)
    text = (
        mix(book.group_key, 21)[:, None] % np.uint64(len(KEYWORD_TEXTS)) + (nth * 7).astype(np.uint64)
    ) % np.uint64(len(KEYWORD_TEXTS))
    return np.stack([text.astype(np.int64), (text.astype(np.int64) + nth) % 3], axis=2)
