"""One advertiser, computed instead of stored.

Every figure is a pure function of (seed, entity, day, as_of): nothing is kept between two calls, a later
`first_day` or another `days` changes no figure of a day that both contain, and asking "as of" an earlier instant
gives what the platform showed then. Entities come in generations on an absolute calendar (an ad slot is filled by
one ad after the other), so the business neither runs dry nor needs an end.

The smallest thing that has figures is a *unit*: a Facebook ad, a Google ad in one device and network, or an unnamed
part of a Google campaign that has no ads to show (Performance Max, Smart). A campaign's day is the exact sum of its
units, an account's day the exact sum of its campaigns. All arithmetic is in integers: money in minor units of the
account's currency (cents; whole yen), Google's fractional conversions in hundredths.

How figures grow after their day (`as_of`'s account-local date minus the day, "age"):

- age 0: the hours of the day that are over, counted in the account's zone
- clicks and spend: about one unit-day in seven is corrected downwards once, on an age of 1 to 28
- about one unit-day in a hundred is found invalid on such an age and vanishes
- Meta conversions: 1-day-click and 1-day-view full at age 1, 7-day-click at 7, 28-day-click at 28
- Google conversions: full at the action's look-back window (1, 30 or 90 days)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

Platform = Literal["facebook_ads", "google_ads"]
Ints = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float64]

GENESIS = date(2020, 1, 1).toordinal()
"""No entity is older; generations are counted from here."""
AHEAD_DAYS = 400
"""How far after `first_day + days` the clock may move before nothing new happens any more."""
META_SETTLED_DAYS = 28
GOOGLE_SETTLED_DAYS = 90


# --------------------------------------------------------------------------------------------------- records
@dataclass(frozen=True, slots=True)
class Account:
    """An ad account. `id` is digits only (Facebook's `act_` prefix is the wire's business)."""

    platform: Platform
    index: int
    id: str
    name: str
    currency: str
    timezone: str
    minor_per_unit: int
    created_at: datetime
    is_manager: bool = False
    manager_id: str | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The IANA zone whose midnight separates the account's days."""
        return ZoneInfo(self.timezone)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as of an instant. Statuses and kinds are the platform's own words; budgets in minor units."""

    account_id: str
    id: str
    name: str
    status: str
    effective_status: str
    kind: str
    """Facebook: objective. Google: advertising_channel_type."""
    bidding: str
    budget_id: str
    daily_budget: int | None
    lifetime_budget: int | None
    has_ads: bool
    """False for Performance Max and Smart: spend without ad groups, ads, or ad rows."""
    start_day: date
    end_day: date
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AdGroup:
    """A Facebook ad set or a Google ad group as of an instant."""

    account_id: str
    id: str
    campaign_id: str
    name: str
    status: str
    effective_status: str
    kind: str
    """Facebook: optimization_goal. Google: ad group type."""
    daily_budget: int | None
    bid: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Ad:
    """An ad as of an instant. Google's `id` is unique only within its ad group."""

    account_id: str
    id: str
    ad_group_id: str
    campaign_id: str
    name: str
    status: str
    effective_status: str
    kind: str
    hidden: bool
    """Deleted, and its rows appear in no ad-level report any more, filtered or not."""
    creative_id: str
    final_url: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Keyword:
    """A Google keyword criterion. Equal text and match type have equal ids, in whatever ad group."""

    account_id: str
    criterion_id: str
    ad_group_id: str
    campaign_id: str
    text: str
    match_type: str
    status: str
    quality_score: int | None


@dataclass(frozen=True, slots=True)
class ConversionAction:
    """A Google conversion action; `primary` ones count in `conversions`, all in `all_conversions`."""

    account_id: str
    id: str
    name: str
    category: str
    primary: bool
    lookback_days: int
    status: str = "ENABLED"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one row reports. Money in minor units, `*_x100` in hundredths of a conversion."""

    impressions: int
    clicks: int
    link_clicks: int
    spend: int
    reach: int
    conversions_x100: int
    all_conversions_x100: int
    conversions_value: int
    all_conversions_value: int
    view_through_conversions: int


@dataclass(frozen=True, slots=True)
class AdDay(Figures):
    """One ad (Google: in one device and network) on one account-local day."""

    campaign_id: str
    ad_group_id: str
    ad_id: str
    device: str | None
    network: str | None
    hidden: str | None
    """Why no ad-level report has this row: None, 'deleted', 'performance_max' or 'smart'."""


@dataclass(frozen=True, slots=True)
class CampaignDay(Figures):
    """The exact sum of a campaign's units on one day, hidden ones included."""

    campaign_id: str


@dataclass(frozen=True, slots=True)
class KeywordDay(Figures):
    """One keyword on one day; an ad group's keywords sum to its ads."""

    campaign_id: str
    ad_group_id: str
    criterion_id: str
    text: str
    match_type: str


@dataclass(frozen=True, slots=True)
class SearchTermDay(Figures):
    """One search term under one keyword on one day; about a tenth of a keyword is withheld for privacy."""

    campaign_id: str
    ad_group_id: str
    criterion_id: str
    text: str
    match_type: str
    search_term: str
    search_term_match_type: str
    status: str


@dataclass(frozen=True, slots=True)
class ConversionDay:
    """Conversions of one kind of one ad on one day; device and network as in `AdDay`.

    Facebook: `action` is an action type (they overlap, never add them up), `count_x100` the default attribution
    (7-day click + 1-day view), `windows` whole conversions per attribution window. Google: `action` is a
    conversion action's id, `windows` is empty, `primary` says whether it counts in `conversions`.
    """

    campaign_id: str
    ad_group_id: str
    ad_id: str
    device: str | None
    network: str | None
    hidden: str | None
    action: str
    primary: bool
    count_x100: int
    value: int
    windows: dict[str, int] = field(default_factory=dict)
    window_values: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Totals:
    """What a platform must say of one account-day: `returned` by ad rows, `hidden` by cause, and together."""

    account_id: str
    day: date
    total: dict[str, int]
    returned: dict[str, int]
    hidden: dict[str, dict[str, int]]
    campaigns: dict[str, dict[str, int]]
    ad_rows: int
    settled: bool


# --------------------------------------------------------------------------------------------------- hashing
_M1, _M2, _GOLD = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB), np.uint64(0x9E3779B97F4A7C15)


def _mix(*parts: Any) -> Keys:
    """Hash integers or integer arrays (broadcast) to 64 bits: splitmix64's finaliser after every part."""
    with np.errstate(over="ignore"):
        state: Any = np.uint64(0x243F6A8885A308D3)
        for part in parts:
            state = (state ^ np.asarray(part).astype(np.uint64)) + _GOLD
            state = (state ^ (state >> np.uint64(30))) * _M1
            state = (state ^ (state >> np.uint64(27))) * _M2
            state = state ^ (state >> np.uint64(31))
    return np.atleast_1d(state)


def _three(bits: Keys) -> tuple[Floats, Floats, Floats]:
    """Three uniform numbers in [0, 1) out of one hash."""
    mask, unit = np.uint64(0x1FFFFF), 1.0 / 0x200000
    return (
        (bits & mask) * unit,
        ((bits >> np.uint64(21)) & mask) * unit,
        ((bits >> np.uint64(42)) & mask) * unit,
    )


def _between(bits: Keys, low: int, high: int) -> Ints:
    """Integers from low to high, both inclusive."""
    return (low + (bits % np.uint64(high - low + 1))).astype(np.int64)


def _spread(counts: Ints) -> tuple[Ints, Ints]:
    """For `counts` children per parent: each child's parent and its number below that parent."""
    parent = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(parent)) - np.repeat(np.cumsum(counts) - counts, counts)
    return parent, number


# --------------------------------------------------------------------------------------------------- the world
_SEED_NAMES = {"facebook_ads": 1, "google_ads": 2}
_ACCOUNTS: dict[Platform, list[tuple[str, str, str, int]]] = {
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
_CAMPAIGN_SLOTS = {"facebook_ads": (5, 6, 4), "google_ads": (6, 6, 6)}
_THEMES = (
    "Brand | Always on", "Prospecting – lookalike 1 %", "Retargeting 🛒 30d", 'Sale "0.10" off', "Winter Überraschung",
    "App \\ Install", "Catalogue, dynamic", "新規 獲得", "Video/Reach", "Newsletter <signup>", "Loyalty & more",
)  # fmt: skip
_OBJECTIVES = ("OUTCOME_SALES", "OUTCOME_TRAFFIC", "OUTCOME_LEADS", "OUTCOME_SALES", "OUTCOME_ENGAGEMENT")
_CHANNELS = ("PERFORMANCE_MAX", "SMART", "SEARCH", "SEARCH", "DISPLAY", "SEARCH")
_HIDDEN_KIND = {"PERFORMANCE_MAX": "performance_max", "SMART": "smart"}
DEVICES = ("MOBILE", "DESKTOP", "TABLET")
NETWORKS = ("SEARCH", "SEARCH_PARTNERS", "CONTENT", "MIXED")
_SEGMENTS = ((0, 0), (1, 0), (0, 1), (2, 0))
_WORDS = ("sofa", "garden chair", "oak table", "standing desk", "hiking boots", "tent", "rain jacket", "lamp",
          "büro stuhl", "bookshelf", "camping stove", "backpack")  # fmt: skip
_TWISTS = ("", " cheap", " buy online", " near me", " 2026")
_TEXTS = tuple(word + twist for word in _WORDS for twist in _TWISTS)
_MATCH_TYPES = ("EXACT", "PHRASE", "BROAD")
_TERM_TAILS = ("", " sale", " reviews")
_TERM_SHARES = (500, 750, 900)
_KEYWORDS_PER_GROUP = 4
_CONVERSION_ACTIONS = (
    ("Purchase", "PURCHASE", True, 90),
    ("Lead form", "SUBMIT_LEAD_FORM", True, 30),
    ("Phone call", "PHONE_CALL_LEAD", True, 30),
    ("Page view", "PAGE_VIEW", False, 1),
)
META_PURCHASES = ("purchase", "omni_purchase", "offsite_conversion.fb_pixel_purchase")
"""The same purchases under three names."""
META_LEADS = ("lead", "offsite_conversion.fb_pixel_lead")
ACTION_WINDOWS = ("1d_click", "7d_click", "28d_click", "1d_view")

_COMMON = ("impressions", "clicks", "link_clicks", "spend", "reach")
_META = ("reactions", "likes",          "p1", "p7", "p28", "pv", "pm1", "pm7", "pm28", "pmv", "l1", "l7", "l28", "lv")  # fmt: skip
_GOOGLE = (
    "view_through",
    *(f"{what}{n}" for n in range(len(_CONVERSION_ACTIONS)) for what in ("conv", "value")),
)
COLUMNS: dict[Platform, tuple[str, ...]] = {"facebook_ads": _COMMON + _META, "google_ads": _COMMON + _GOOGLE}
"""Additive columns of a unit-day, in the order of `Units.matrix`.

Facebook: p/l = purchases/leads, pm = purchase money, each exclusive: within 1 day of the click, in days 2 to 7,
in days 8 to 28, and v = within 1 day of a view. Google: conversions (hundredths) and value per conversion action."""


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
        return _OBJECTIVES if self.account.platform == "facebook_ads" else _CHANNELS

    @cached_property
    def unit_campaign(self) -> Ints:
        """Each unit's campaign."""
        return self.ad_campaign[self.unit_ad]

    @cached_property
    def unit_group(self) -> Ints:
        """Each unit's ad group."""
        return self.ad_group[self.unit_ad]

    @cached_property
    def campaign_has_ads(self) -> npt.NDArray[np.bool_]:
        """False where the platform shows neither ad groups nor ads."""
        kind_has = np.array([kind not in _HIDDEN_KIND for kind in self.kinds])
        return kind_has[self.campaign_kind]

    @cached_property
    def unit_rates(self) -> dict[str, Floats]:
        """Each unit's own level: daily impressions, click rate, price per thousand, conversion rates."""
        level, ctr, cpm = _three(_mix(self.unit_key, 101))
        buy, lead, basket = _three(_mix(self.unit_key, 102))
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


@dataclass(frozen=True)
class Units:
    """The unit rows of one account-day: `index` into the book's units, one column of `matrix` per unit."""

    book: Book
    day: date
    index: Ints
    matrix: Ints
    """shape (len(COLUMNS[platform]), len(index))"""
    cause: npt.NDArray[np.int8]
    """0 shown by ad-level reports, 1 deleted, 2 performance_max, 3 smart"""

    def __len__(self) -> int:
        return len(self.index)

    def column(self, name: str) -> Ints:
        """One additive column by its name in COLUMNS."""
        return self.matrix[COLUMNS[self.book.account.platform].index(name)]

    def where(self, mask: npt.NDArray[np.bool_]) -> Units:
        """Only the rows where `mask` holds."""
        return Units(self.book, self.day, self.index[mask], self.matrix[:, mask], self.cause[mask])

    def summed(self, by: Ints) -> tuple[Ints, Ints]:
        """Exact sums over equal values of `by` (one per row): the distinct values, and their matrix."""
        values, inverse = np.unique(by, return_inverse=True)
        matrix = np.zeros((len(self.matrix), len(values)), dtype=np.int64)
        np.add.at(matrix, (slice(None), inverse), self.matrix)
        return values, matrix


CAUSES = (None, "deleted", "performance_max", "smart")


def figures(platform: Platform, matrix: Ints) -> dict[str, Ints]:
    """The columns of `Figures` out of a unit matrix (or sums of it)."""
    names = COLUMNS[platform]
    col = {name: matrix[at] for at, name in enumerate(names)}
    out = {name: col[name] for name in _COMMON}
    zero = np.zeros(matrix.shape[1], dtype=np.int64)
    if platform == "facebook_ads":
        purchases = (col["p1"] + col["p7"] + col["pv"]) * 100
        out["conversions_x100"] = out["all_conversions_x100"] = purchases
        out["conversions_value"] = out["all_conversions_value"] = col["pm1"] + col["pm7"] + col["pmv"]
        out["view_through_conversions"] = col["pv"]
        return out
    for total, value, primary_only in (
        ("conversions_x100", "conversions_value", True),
        ("all_conversions_x100", "all_conversions_value", False),
    ):
        chosen = [n for n, action in enumerate(_CONVERSION_ACTIONS) if action[2] or not primary_only]
        out[total] = sum((col[f"conv{n}"] for n in chosen), zero)
        out[value] = sum((col[f"value{n}"] for n in chosen), zero)
    out["view_through_conversions"] = col["view_through"]
    return out


_FIGURE_NAMES = tuple(Figures.__dataclass_fields__)


def _figure_rows(platform: Platform, matrix: Ints) -> Iterator[tuple[int, ...]]:
    cols = figures(platform, matrix)
    return zip(*(cols[name].tolist() for name in _FIGURE_NAMES), strict=True)


class Business:
    """The advertiser that both platforms report on.

    `first_day` is the first account-local day with figures; figures never end. `scale` multiplies the number of
    campaigns (1 is about 110 Facebook and 200 Google unit rows a day). `days` only says how far ahead entities are
    laid out (`first_day + days + 400`).
    """

    def __init__(self, seed: int, first_day: date, days: int, scale: float = 1.0) -> None:
        self.seed, self.first_day, self.days, self.scale = seed, first_day, days, scale
        self._accounts = {platform: self._make_accounts(platform) for platform in _ACCOUNTS}
        self._books: dict[tuple[Platform, str], Book] = {}
        # about 5.5 kB of figures per account-day at scale 1; keep the cache near 200 MB
        self._unit_cache = lru_cache(maxsize=max(4, min(4096, int(36_000 / scale))))(self._compute_units)
        self._entity_cache = lru_cache(maxsize=16)(self._by_id)
        self._state_cache = lru_cache(maxsize=8)(lambda account, hours: States(self.book(account), hours))

    # ---- accounts and entities
    def accounts(self, platform: Platform) -> list[Account]:
        """All accounts of a platform; Google's manager first (`is_manager`)."""
        return list(self._accounts[platform])

    def account(self, platform: Platform, account_id: str) -> Account:
        """The account with these digits. Raises KeyError if there is none."""
        for account in self._accounts[platform]:
            if account.id == account_id:
                return account
        raise KeyError(account_id)

    def campaigns(self, account: Account, as_of: datetime) -> list[Campaign]:
        """Every campaign created until `as_of`, deleted ones included."""
        if account.is_manager:
            return []
        book, now = self.book(account), _local_hours(account, as_of)
        states = self._state_cache(book.account, now)
        alive = np.flatnonzero(states.campaign_created <= now)
        google = account.platform == "google_ads"
        out = []
        for at in alive.tolist():
            slot = int(book.campaign_slot[at])
            kind = book.kinds[int(book.campaign_kind[at])]
            budget = int(states.campaign_budget[at])
            by_campaign = google or slot % 2 == 0
            lifetime = not google and slot % 5 == 4
            status = states.campaign_status[at]
            out.append(
                Campaign(
                    account_id=account.id,
                    id=str(book.campaign_id[at]),
                    name=_campaign_name(slot, int(book.campaign_gen[at]), int(states.campaign_version[at])),
                    status=status,
                    effective_status=status,
                    kind=kind,
                    bidding="MAXIMIZE_CONVERSION_VALUE" if google else "LOWEST_COST_WITHOUT_CAP",
                    budget_id=str(int(book.campaign_id[at]) + 5_000_000_000),
                    daily_budget=budget if by_campaign and not lifetime else None,
                    lifetime_budget=budget * 90 if lifetime else None,
                    has_ads=bool(book.campaign_has_ads[at]),
                    start_day=date.fromordinal(int(book.campaign_start[at])),
                    end_day=date.fromordinal(int(book.campaign_end[at]) - 1),
                    created_at=_instant(account, int(states.campaign_created[at])),
                    updated_at=_instant(account, int(states.campaign_updated[at])),
                )
            )
        return out

    def ad_groups(self, account: Account, as_of: datetime) -> list[AdGroup]:
        """Every ad set / ad group created until `as_of`, deleted ones included."""
        if account.is_manager:
            return []
        book, now = self.book(account), _local_hours(account, as_of)
        states = self._state_cache(book.account, now)
        google = account.platform == "google_ads"
        shown = (states.group_created <= now) & book.campaign_has_ads[book.group_campaign]
        out = []
        for at in np.flatnonzero(shown).tolist():
            campaign = int(book.group_campaign[at])
            own_budget = not google and int(book.campaign_slot[campaign]) % 2 == 1
            kind = book.kinds[int(book.campaign_kind[campaign])]
            out.append(
                AdGroup(
                    account_id=account.id,
                    id=str(book.group_id[at]),
                    campaign_id=str(book.campaign_id[campaign]),
                    name=_group_name(int(book.group_number[at]), int(states.group_version[at])),
                    status=states.group_status[at],
                    effective_status=states.group_effective[at],
                    kind=_group_kind(google, kind),
                    daily_budget=int(states.group_budget[at]) if own_budget else None,
                    bid=int(states.group_bid[at]) if google or int(book.group_number[at]) == 2 else None,
                    created_at=_instant(account, int(states.group_created[at])),
                    updated_at=_instant(account, int(states.group_updated[at])),
                )
            )
        return out

    def ads(self, account: Account, as_of: datetime) -> list[Ad]:
        """Every ad created until `as_of`, deleted and hidden ones included."""
        if account.is_manager:
            return []
        book, now = self.book(account), _local_hours(account, as_of)
        states = self._state_cache(book.account, now)
        google = account.platform == "google_ads"
        shown = (states.ad_created <= now) & book.campaign_has_ads[book.ad_campaign]
        out = []
        for at in np.flatnonzero(shown).tolist():
            slot, gen = int(book.ad_slot[at]), int(book.ad_gen[at])
            ad_id = int(book.ad_id[at])
            kind = book.kinds[int(book.campaign_kind[int(book.ad_campaign[at])])]
            out.append(
                Ad(
                    account_id=account.id,
                    id=str(ad_id),
                    ad_group_id=str(book.group_id[int(book.ad_group[at])]),
                    campaign_id=str(book.campaign_id[int(book.ad_campaign[at])]),
                    name=_ad_name(slot, gen, int(states.ad_version[at])),
                    status=states.ad_status[at],
                    effective_status=states.ad_effective[at],
                    kind=_ad_kind(google, kind, slot),
                    hidden=bool(states.ad_hidden[at]),
                    creative_id=str(ad_id + 1_000_000_000_000) if not google else str(ad_id),
                    final_url=f"https://shop.example/{'g' if google else 'f'}/{slot}?v={gen}",
                    created_at=_instant(account, int(states.ad_created[at])),
                    updated_at=_instant(account, int(states.ad_updated[at])),
                )
            )
        return out

    def keywords(self, account: Account, as_of: datetime) -> list[Keyword]:
        """Every keyword of a Google account's search ad groups (4 each)."""
        if account.is_manager or account.platform != "google_ads":
            return []
        book, now = self.book(account), _local_hours(account, as_of)
        states = self._state_cache(book.account, now)
        out = []
        for at in np.flatnonzero(states.group_created <= now).tolist():
            if book.kinds[int(book.campaign_kind[int(book.group_campaign[at])])] != "SEARCH":
                continue
            for text, match in self._keyword_choice(book)[at].tolist():
                out.append(
                    Keyword(
                        account_id=account.id,
                        criterion_id=_criterion_id(text, match),
                        ad_group_id=str(book.group_id[at]),
                        campaign_id=str(book.campaign_id[int(book.group_campaign[at])]),
                        text=_TEXTS[text],
                        match_type=_MATCH_TYPES[match],
                        status="PAUSED" if text % 11 == 0 else "ENABLED",
                        quality_score=None if text % 7 == 0 else 1 + text % 10,
                    )
                )
        return out

    def conversion_actions(self, account: Account) -> list[ConversionAction]:
        """A Google account's conversion actions; Facebook has none (its action types need no definition)."""
        if account.is_manager or account.platform != "google_ads":
            return []
        return [
            ConversionAction(account.id, _action_id(account, n), name, category, primary, lookback)
            for n, (name, category, primary, lookback) in enumerate(_CONVERSION_ACTIONS)
        ]

    # ---- figures
    def units(self, account: Account, day: date, as_of: datetime) -> Units:
        """All unit rows of an account-day as of an instant, as columns (the fast way; hidden ones included)."""
        hours = _local_hours(account, as_of)
        return self._unit_cache(account, day, hours)

    def ad_days(self, account: Account, day: date, as_of: datetime, *, hidden: bool = False) -> list[AdDay]:
        """Rows with delivery or conversions. `hidden=True` adds those that no ad-level report shows (see AdDay)."""
        units = self.units(account, day, as_of)
        if not hidden:
            units = units.where(units.cause == 0)
        return [
            AdDay(*row, *names)
            for row, names in zip(
                _figure_rows(account.platform, units.matrix), self._unit_names(units), strict=True
            )
        ]

    def campaign_days(self, account: Account, day: date, as_of: datetime) -> list[CampaignDay]:
        """One row per campaign with delivery or conversions: the exact sum of its units."""
        units = self.units(account, day, as_of)
        campaigns, matrix = units.summed(units.book.unit_campaign[units.index])
        ids = units.book.campaign_id[campaigns].tolist()
        rows = _figure_rows(account.platform, matrix)
        return [CampaignDay(*row, str(id_)) for row, id_ in zip(rows, ids, strict=True)]

    def account_day(self, account: Account, day: date, as_of: datetime) -> Figures | None:
        """The exact sum of the account's campaigns; None on a day without any row."""
        units = self.units(account, day, as_of)
        if not len(units):
            return None
        return Figures(*next(_figure_rows(account.platform, units.matrix.sum(axis=1, keepdims=True))))

    def conversion_days(
        self, account: Account, day: date, as_of: datetime, *, hidden: bool = False
    ) -> list[ConversionDay]:
        """Conversions per unit and action (non-zero ones); also on days without delivery."""
        units = self.units(account, day, as_of)
        if not hidden:
            units = units.where(units.cause == 0)
        out: list[ConversionDay] = []
        names = list(self._unit_names(units))
        if account.platform == "google_ads":
            for n, (_, _, primary, _) in enumerate(_CONVERSION_ACTIONS):
                counts, values = units.column(f"conv{n}").tolist(), units.column(f"value{n}").tolist()
                out.extend(
                    ConversionDay(*name, _action_id(account, n), primary, count, value)
                    for name, count, value in zip(names, counts, values, strict=True)
                    if count
                )
            return out
        for at, name in enumerate(names):
            column = dict(zip(COLUMNS["facebook_ads"], units.matrix[:, at].tolist(), strict=True))
            for action, (counts_, money) in meta_actions(column).items():
                out.append(
                    ConversionDay(
                        *name,
                        action,
                        True,
                        meta_default(counts_) * 100,
                        meta_default(money),
                        meta_windows(counts_),
                        meta_windows(money),
                    )
                )
        return out

    def keyword_days(self, account: Account, day: date, as_of: datetime) -> list[KeywordDay]:
        """Keyword rows of a Google account: each search ad group's ads divided over its keywords, nothing lost."""
        return [KeywordDay(*row, *names) for row, names, _ in self._keyword_parts(account, day, as_of)]

    def search_term_days(self, account: Account, day: date, as_of: datetime) -> list[SearchTermDay]:
        """Search-term rows: three terms per keyword, the rest (about a tenth) withheld."""
        out = []
        for _, names, column in self._keyword_parts(account, day, as_of):
            text = names[3]
            done = np.zeros_like(column)
            for tail, share in zip(_TERM_TAILS, _TERM_SHARES, strict=True):
                upto = column * share // 1000
                part, done = upto - done, upto
                if not part.any():
                    continue
                row = next(_figure_rows("google_ads", part[:, None]))
                match = "EXACT" if not tail and names[4] == "EXACT" else "BROAD"
                out.append(SearchTermDay(*row, *names, text + tail, match, "NONE" if tail else "ADDED"))
        return out

    def ledger(self, account: Account, day: date, as_of: datetime) -> Totals:
        """What the platform's totals of an account-day must be: exact Python integers.

        Independent of the sums that the servers report: unit by unit straight to the account, in Python's own
        integers, never through numpy's sums or through campaigns.
        """
        units = self.units(account, day, as_of)
        names = COLUMNS[account.platform]
        total = dict.fromkeys(names, 0)
        returned = dict.fromkeys(names, 0)
        hidden: dict[str, dict[str, int]] = {}
        campaigns: dict[str, dict[str, int]] = {}
        ids = units.book.campaign_id[units.book.unit_campaign[units.index]].tolist()
        rows = 0
        for values, cause, campaign_id in zip(
            units.matrix.T.tolist(), units.cause.tolist(), ids, strict=True
        ):
            reason = CAUSES[cause]
            part = returned if reason is None else hidden.setdefault(reason, dict.fromkeys(names, 0))
            of_campaign = campaigns.setdefault(str(campaign_id), dict.fromkeys(names, 0))
            rows += reason is None
            for name, value in zip(names, values, strict=True):
                total[name] += value
                part[name] += value
                of_campaign[name] += value
        age = (as_of.astimezone(account.zone).date() - day).days
        limit = META_SETTLED_DAYS if account.platform == "facebook_ads" else GOOGLE_SETTLED_DAYS
        return Totals(account.id, day, total, returned, hidden, campaigns, rows, age >= limit)

    def by_id(self, account: Account, kind: str, as_of: datetime) -> dict[str, Any]:
        """Entities as of an instant by id; `kind` is campaign, adset or ad. Kept while the account's hour lasts."""
        return self._entity_cache(account, kind, _local_hours(account, as_of))

    def _by_id(self, account: Account, kind: str, hours: int) -> dict[str, Any]:
        as_of = _instant(account, hours)
        listed: list[Any] = {"campaign": self.campaigns, "adset": self.ad_groups, "ad": self.ads}[kind](
            account, as_of
        )
        return {one.id: one for one in listed}

    def states(self, account: Account, as_of: datetime) -> States:
        """Statuses and versions of the account's whole book as of an instant."""
        return self._state_cache(account, _local_hours(account, as_of))

    # ---- how it is made
    def book(self, account: Account) -> Book:
        """The account's entities of all times as columns."""
        key = (account.platform, account.id)
        if key not in self._books:
            self._books[key] = self._make_book(account)
        return self._books[key]

    def _make_accounts(self, platform: Platform) -> list[Account]:
        created = datetime(2018, 5, 4, 9, 30, tzinfo=UTC)
        digits = 15 if platform == "facebook_ads" else 10
        ids = [
            str(
                10 ** (digits - 1)
                + int(_mix(self.seed, _SEED_NAMES[platform], 11, n)[0] % (9 * 10 ** (digits - 1)))
            )
            for n in range(4)
        ]
        google = platform == "google_ads"
        accounts = [
            Account(
                platform, n, ids[n], name, currency, zone, minor, created, False, ids[3] if google else None
            )
            for n, (name, currency, zone, minor) in enumerate(_ACCOUNTS[platform])
        ]
        if google:
            accounts.insert(
                0, Account(platform, 3, ids[3], "Lumen Group MCC", "EUR", "Europe/Berlin", 100, created, True)
            )
        return accounts

    def _make_book(self, account: Account) -> Book:
        platform, number = account.platform, account.index
        google = platform == "google_ads"
        first = self.first_day.toordinal() - GOOGLE_SETTLED_DAYS
        last = self.first_day.toordinal() + self.days + AHEAD_DAYS
        salt = _mix(self.seed, _SEED_NAMES[platform], number)[0]

        slots = np.arange(max(1, round(_CAMPAIGN_SLOTS[platform][number] * self.scale)))
        slot_key = _mix(salt, 1, slots)
        period = _between(_mix(slot_key, 1), 150, 500)
        phase = GENESIS - _between(_mix(slot_key, 2), 0, 500) % period
        lo, hi = (first - phase) // period, (last - phase) // period
        parent, nth = _spread(hi - lo + 1)
        c_slot, c_gen = slots[parent], lo[parent] + nth
        c_start = phase[parent] + c_gen * period[parent]
        c_end = c_start + period[parent]
        c_key = _mix(slot_key[parent], 3, c_gen)
        c_seq = c_slot * 64 + c_gen % 64
        kinds = len(_CHANNELS) if google else len(_OBJECTIVES)

        has_ads = np.array(
            [not google or k not in _HIDDEN_KIND for k in (_CHANNELS if google else _OBJECTIVES)]
        )
        c_kind = c_slot % kinds
        g_count = np.where(has_ads[c_kind], _between(_mix(c_key, 4), 2, 3), 1)
        g_parent, g_nth = _spread(g_count)
        g_key = _mix(c_key[g_parent], 5, g_nth)
        g_seq = c_seq[g_parent] * 4 + g_nth

        s_count = _between(_mix(g_key, 6), 3, 4) if not google else _between(_mix(g_key, 6), 2, 3)
        s_parent, s_nth = _spread(s_count)
        # Google: the first ad of every group of a campaign is the same ad, so the same id in several groups
        shared = google & (s_nth == 0)
        s_key = np.where(shared, _mix(c_key[g_parent[s_parent]], 7), _mix(g_key[s_parent], 7, s_nth))
        a_period = _between(_mix(s_key, 8), 35, 150)
        a_phase = GENESIS - _between(_mix(s_key, 9), 0, 150) % a_period
        s_campaign = g_parent[s_parent]
        lo = (np.maximum(c_start[s_campaign], first) - a_phase) // a_period
        hi = (np.minimum(c_end[s_campaign] - 1, last) - a_phase) // a_period
        a_parent, a_nth = _spread(np.maximum(hi - lo + 1, 0))
        a_gen = lo[a_parent] + a_nth
        a_campaign, a_group = s_campaign[a_parent], s_parent[a_parent]
        a_start = np.maximum(a_phase[a_parent] + a_gen * a_period[a_parent], c_start[a_campaign])
        a_end = np.minimum(a_phase[a_parent] + (a_gen + 1) * a_period[a_parent], c_end[a_campaign])
        a_slot = s_nth[a_parent]
        a_key = _mix(g_key[a_group], 10, a_slot, a_gen)
        of_group = np.where(shared[a_parent], c_seq[a_campaign] * 4, g_seq[a_group])
        a_seq = (of_group * 8 + a_slot) * 256 + a_gen % 256

        u_count = _between(_mix(a_key, 11), 1, 4) if google else np.ones(len(a_key), dtype=np.int64)
        u_ad, u_nth = _spread(u_count)
        tag = (self.seed * 31 + number) % 100
        if google:
            ids = (10**10 + tag * 10**8 + c_seq, 10**11 + tag * 10**9 + g_seq, 7 * 10**11 + a_seq)
        else:
            base = 120_200_000_000_000_000 + tag * 10**11
            ids = (base + 10**13 + c_seq, base + 2 * 10**13 + g_seq, base + 3 * 10**13 + a_seq)
        return Book(
            account, self.seed, c_slot, c_gen, c_start, c_end, c_key, ids[0], c_kind,
            g_parent, g_nth, g_key, ids[1],
            a_group, a_campaign, a_slot, a_gen, a_start, a_end, a_key, ids[2],
            u_ad, u_nth, _mix(a_key[u_ad], 12, u_nth),
        )  # fmt: skip

    def _compute_units(self, account: Account, day: date, hours: int) -> Units:
        book = self.book(account) if not account.is_manager else None
        platform = account.platform
        today, d = hours // 24, day.toordinal()
        age = today - d
        if book is None or age < 0 or day < self.first_day:
            empty = np.zeros((len(COLUMNS[platform]), 0), dtype=np.int64)
            book = book or self.book(self._accounts[platform][-1])
            return Units(book, day, np.zeros(0, dtype=np.int64), empty, np.zeros(0, dtype=np.int8))
        start, end = book.ad_start[book.unit_ad], book.ad_end[book.unit_ad]
        index = np.flatnonzero((start <= d) & (d < end + META_SETTLED_DAYS))
        key = book.unit_key[index]
        ads = book.unit_ad[index]
        bits = [_mix(key, d, salt) for salt in range(6)]
        delivers = (d < end[index]) & _unpaused(book, d)[ads]
        matrix = (
            _meta_matrix(book, index, bits, d, delivers, age, hours % 24)
            if platform == "facebook_ads"
            else (_google_matrix(book, index, bits, d, delivers, age, hours % 24))
        )
        keep = matrix.any(axis=0)
        index, matrix = index[keep], matrix[:, keep]
        cause = np.zeros(len(index), dtype=np.int8)
        if platform == "facebook_ads":
            ad = book.unit_ad[index]
            cause[_fate_hidden(book)[ad] & (_end_hour(book.ad_end, book.ad_key)[ad] <= hours)] = 1
        else:
            kind = book.campaign_kind[book.unit_campaign[index]]
            cause[kind == _CHANNELS.index("PERFORMANCE_MAX")] = 2
            cause[kind == _CHANNELS.index("SMART")] = 3
        return Units(book, day, index, matrix, cause)

    def _unit_names(self, units: Units) -> Iterator[tuple[str, str, str, str | None, str | None, str | None]]:
        book, index = units.book, units.index
        google = book.account.platform == "google_ads"
        display = np.array([k == "DISPLAY" for k in book.kinds])[
            book.campaign_kind[book.unit_campaign[index]]
        ]
        for campaign, group, ad, segment, cause, content in zip(
            book.campaign_id[book.unit_campaign[index]].tolist(),
            book.group_id[book.unit_group[index]].tolist(),
            book.ad_id[book.unit_ad[index]].tolist(),
            book.unit_segment[index].tolist(),
            units.cause.tolist(),
            display.tolist(),
            strict=True,
        ):
            device, network = _SEGMENTS[segment]
            net = "CONTENT" if content else NETWORKS[network]
            if cause >= 2:
                net = "MIXED"
            yield (
                str(campaign),
                str(group),
                str(ad),
                DEVICES[(segment if content or cause >= 2 else device) % 3] if google else None,
                net if google else None,
                CAUSES[cause],
            )

    def _keyword_choice(self, book: Book) -> npt.NDArray[np.int64]:
        """(group, keyword, [text, match type]); texts differ within a group."""
        nth = np.arange(_KEYWORDS_PER_GROUP)
        text = (
            _mix(book.group_key, 21)[:, None] % np.uint64(len(_TEXTS)) + (nth * 7).astype(np.uint64)
        ) % np.uint64(len(_TEXTS))
        return np.stack([text.astype(np.int64), (text.astype(np.int64) + nth) % 3], axis=2)

    def _keyword_parts(
        self, account: Account, day: date, as_of: datetime
    ) -> Iterator[tuple[tuple[int, ...], tuple[str, str, str, str, str], Ints]]:
        if account.is_manager or account.platform != "google_ads":
            return
        units = self.units(account, day, as_of)
        book = units.book
        is_search = np.array([k == "SEARCH" for k in book.kinds])
        units = units.where(is_search[book.campaign_kind[book.unit_campaign[units.index]]])
        groups, matrix = units.summed(book.unit_group[units.index])
        choice = self._keyword_choice(book)
        weights = 1 + (
            _mix(book.group_key[groups][:, None], 22, np.arange(_KEYWORDS_PER_GROUP)) % np.uint64(9)
        )
        upto = np.cumsum(weights.astype(np.int64), axis=1)
        for at, group in enumerate(groups.tolist()):
            column, whole = matrix[:, at], int(upto[at, -1])
            done = np.zeros_like(column)
            for nth in range(_KEYWORDS_PER_GROUP):
                reached = column * upto[at, nth] // whole
                part, done = reached - done, reached
                if not part.any():
                    continue
                text, match = choice[group, nth].tolist()
                names = (
                    str(book.campaign_id[book.group_campaign[group]]),
                    str(book.group_id[group]),
                    _criterion_id(text, match),
                    _TEXTS[text],
                    _MATCH_TYPES[match],
                )
                yield next(_figure_rows("google_ads", part[:, None])), names, part


# --------------------------------------------------------------------------------------------------- figures
def _floor(x: Floats) -> Ints:
    return np.floor(x).astype(np.int64)


def _delivery(
    book: Book, index: Ints, bits: list[Keys], d: int, delivers: npt.NDArray[np.bool_], age: int, hour: int
) -> tuple[dict[str, Any], npt.NDArray[np.bool_], float]:
    """Impressions, clicks, spend, reach of a day at an age; which units vanished; the part of the day that is over."""
    rate = {name: column[index] for name, column in book.unit_rates.items()}
    u0, u1, u2 = _three(bits[0])
    u3, u4, u5 = _three(bits[1])
    u6, u7, _ = _three(bits[2])
    over = hour / 24 if age == 0 else 1.0
    weekday = (1.0, 0.95, 1.0, 1.05, 1.1, 0.8, 0.7)[d % 7]
    delivers = delivers & (u0 >= 0.06)
    impressions = np.where(delivers, _floor(rate["level"] * weekday * (0.5 + u1)), 0)
    impressions = _floor(impressions * over)
    clicks = np.minimum(_floor(impressions * rate["ctr"] + u2 * (impressions > 0)), impressions)
    spend = _floor(impressions * rate["cpm"] / 1000 + u3 * (impressions > 0))
    correction = 1 + _floor(u4 * META_SETTLED_DAYS)
    late = age < correction
    overstated = (u5 < 0.15) & late & (impressions > 0)
    vanished = (u5 > 0.99) & ~late
    columns = {
        "impressions": impressions,
        "clicks": np.minimum(clicks + overstated * (clicks // 16 + 1), impressions),
        "link_clicks": _floor(clicks * 0.8),
        "spend": spend + overstated * (spend // 32 + 1),
        "reach": np.where(impressions > 0, np.maximum(_floor(impressions * (0.6 + 0.35 * u6)), 1), 0),
        "rate": rate,
        "u": u7,
        "delivers": delivers,
    }
    return columns, vanished, over


def _meta_matrix(
    book: Book, index: Ints, bits: list[Keys], d: int, delivers: npt.NDArray[np.bool_], age: int, hour: int
) -> Ints:
    col, vanished, over = _delivery(book, index, bits, d, delivers, age, hour)
    rate, clicks = col["rate"], col["link_clicks"]
    a0, a1, a2 = _three(bits[3])
    b0, b1, b2 = _three(bits[4])
    c0, c1, c2 = _three(bits[5])
    col["reactions"] = _floor(col["impressions"] * 0.002 + a0 * (col["impressions"] > 0))
    col["likes"] = _floor(col["impressions"] * 0.0001 + a1 * 0.6 * (col["impressions"] > 0))
    # a purchase is dated by the purchase, so it also falls on days on which nothing is shown
    stray = ~col["delivers"] & (a2 < 0.04) & (age * 24 + hour >= 12)
    ripe = {1: min(1.0, (age + 1) / 2) * over, 7: min(1.0, (age + 1) / 8) * over, 28: min(1.0, age / 28)}
    for kind, click_rate, draw in (
        ("p", rate["buy"], (b0, b1, b2, c0)),
        ("l", rate["lead"], (c1, c2, b0, b1)),
    ):
        some = clicks > 0
        final = {
            1: _floor(clicks * click_rate + draw[0] * some * 0.35),
            7: _floor(clicks * click_rate * 0.5 + draw[1] * some * 0.25) + (stray if kind == "p" else 0),
            28: _floor(clicks * click_rate * 0.4 + draw[2] * some * 0.25),
        }
        for window in (1, 7, 28):
            col[f"{kind}{window}"] = _floor(
                final[window] * ripe[window] + draw[3] * 0.999 * (final[window] > 0)
            )
        col[f"{kind}28"] *= ripe[28] > 0
        views = _floor(col["impressions"] * click_rate * 0.002 + draw[3] * 0.5 * (col["impressions"] > 0))
        col[f"{kind}v"] = _floor(views * ripe[1] + 0.5)
    price = 1 + _floor(rate["basket"] * (0.5 + col["u"]))
    for window in ("1", "7", "28", "v"):
        col[f"pm{window}"] = col[f"p{window}"] * price
    matrix = np.stack([col[name] for name in COLUMNS["facebook_ads"]])
    matrix[:, vanished] = 0
    return matrix


def _google_matrix(
    book: Book, index: Ints, bits: list[Keys], d: int, delivers: npt.NDArray[np.bool_], age: int, hour: int
) -> Ints:
    col, vanished, over = _delivery(book, index, bits, d, delivers, age, hour)
    rate, clicks = col["rate"], col["clicks"]
    draws = _three(bits[3]) + _three(bits[4])
    col["view_through"] = _floor(col["impressions"] * 0.0005 + draws[5] * 0.6 * (col["impressions"] > 0))
    stray = ~col["delivers"] & (draws[4] < 0.04) & (age * 24 + hour >= 12)
    base = _floor(clicks * 0.94) * 100
    rates = (rate["buy"], rate["lead"], rate["buy"] * 0.3, rate["buy"] * 6)
    for n, (_, _, _, lookback) in enumerate(_CONVERSION_ACTIONS):
        ripe = over * min(1.0, 0.4 + 0.6 * age / lookback)
        final = _floor(base * rates[n]) + (draws[n] < 0.2) * (clicks > 0) * _floor(100 * draws[(n + 1) % 4])
        if n == 0:
            final = final + stray * 100
        col[f"conv{n}"] = _floor(final * ripe + draws[n] * 0.999 * (final > 0))
        money = rate["basket"] * (0.5 + col["u"]) if n == 0 else rate["basket"] * (0.05 if n == 1 else 0.0)
        col[f"value{n}"] = _floor(col[f"conv{n}"] * money / 100)
    matrix = np.stack([col[name] for name in COLUMNS["google_ads"]])
    matrix[:, vanished] = 0
    return matrix


def meta_actions(
    column: dict[str, int],
) -> dict[str, tuple[tuple[int, int, int, int], tuple[int, int, int, int]]]:
    """Facebook action types of one row: exclusive counts and money by (1d click, 2-7d click, 8-28d click, 1d view).

    Overlapping on purpose, as on the real platform: one purchase is listed three times, and page engagement
    contains post engagement, which contains link clicks.
    """
    none = (0, 0, 0, 0)
    clicks = column["link_clicks"]
    post = clicks + column["reactions"]
    purchase = (column["p1"], column["p7"], column["p28"], column["pv"])
    money = (column["pm1"], column["pm7"], column["pm28"], column["pmv"])
    lead = (column["l1"], column["l7"], column["l28"], column["lv"])
    every = {
        "link_click": ((clicks, 0, 0, 0), none),
        "post_reaction": ((column["reactions"], 0, 0, 0), none),
        "like": ((column["likes"], 0, 0, 0), none),
        "post_engagement": ((post, 0, 0, 0), none),
        "page_engagement": ((post + column["likes"], 0, 0, 0), none),
        **dict.fromkeys(META_PURCHASES, (purchase, money)),
        **dict.fromkeys(META_LEADS, (lead, none)),
    }
    return {action: parts for action, parts in every.items() if any(parts[0])}


def meta_default(parts: tuple[int, int, int, int]) -> int:
    """The default attribution: 7-day click and 1-day view."""
    return parts[0] + parts[1] + parts[3]


def meta_windows(parts: tuple[int, int, int, int]) -> dict[str, int]:
    """Counts per attribution window (click windows contain the shorter ones); empty windows are left out."""
    one, seven, month, view = parts
    windows = {
        "1d_click": one, "7d_click": one + seven, "28d_click": one + seven + month, "1d_view": view,
    }  # fmt: skip
    return {name: count for name, count in windows.items() if count}


# --------------------------------------------------------------------------------------------------- entity states
def _local_hours(account: Account, as_of: datetime) -> int:
    """Whole hours of the account's wall clock since day 0 of the calendar."""
    local = as_of.astimezone(account.zone)
    return local.toordinal() * 24 + local.hour


def _instant(account: Account, hours: int) -> datetime:
    day, hour = divmod(hours, 24)
    return datetime.combine(date.fromordinal(day), datetime.min.time(), account.zone) + timedelta(hours=hour)


def _end_hour(end: Ints, key: Keys) -> Ints:
    """When an entity is switched off for good: in the evening of its last day."""
    return end * 24 - _between(_mix(key, 31), 1, 6)


def _fate(book: Book) -> Ints:
    return (book.ad_slot + book.ad_gen) % 8


def _fate_hidden(book: Book) -> npt.NDArray[np.bool_]:
    return np.asarray(_fate(book) == 2)


def _pauses(key: Keys, share: int) -> tuple[Ints, Ints, Ints]:
    """Recurring pauses in hours (period, phase, length); length 0 for all but one in `share`."""
    period = _between(_mix(key, 32), 30, 90) * 24
    phase = _between(_mix(key, 33), 0, 90 * 24)
    length = np.where(_mix(key, 34) % np.uint64(share) == 0, _between(_mix(key, 35), 60, 200), 0)
    return period, phase, length


def _unpaused(book: Book, d: int) -> npt.NDArray[np.bool_]:
    """Per ad: neither it nor its parents are paused for the whole of day `d`."""

    def whole_day(key: Keys, share: int) -> npt.NDArray[np.bool_]:
        period, phase, length = _pauses(key, share)
        return np.asarray((d * 24 - phase) % period + 24 <= length)

    campaigns, groups = whole_day(book.campaign_key, 3), whole_day(book.group_key, 4)
    return ~(whole_day(book.ad_key, 4) | campaigns[book.ad_campaign] | groups[book.ad_group])


class States:
    """Statuses, names' and budgets' versions of all entities of a book at one hour, as columns like the book's."""

    def __init__(self, book: Book, now: int) -> None:
        """`now` in whole hours of the account's wall clock."""
        google = book.account.platform == "google_ads"
        active = "ENABLED" if google else "ACTIVE"
        gone = ("PAUSED", "REMOVED", "REMOVED") if google else ("PAUSED", "ARCHIVED", "DELETED")

        self.campaign_created = book.campaign_start * 24 - 12
        end = _end_hour(book.campaign_end, book.campaign_key)
        over, until = end <= now, np.minimum(end, now)
        paused, moved = self._paused(book.campaign_key, 3, now)
        fate = np.array(gone, dtype=object)[(book.campaign_slot + book.campaign_gen) % 3]
        self.campaign_status = np.where(over, fate, np.where(paused, "PAUSED", active))
        self.campaign_version, renamed = self._versions(
            book.campaign_key, 41, 40, 120, self.campaign_created, until
        )
        budgets, changed = self._versions(book.campaign_key, 42, 15, 50, self.campaign_created, until)
        self.campaign_budget = _budget(book.campaign_key, budgets)
        self.campaign_updated = np.maximum.reduce(
            [self.campaign_created, np.where(over, end, moved), renamed, changed]
        )

        parent = book.group_campaign
        until = until[parent]
        self.group_created = self.campaign_created[parent] + 1
        paused, moved = self._paused(book.group_key, 4, until)
        self.group_status = np.where(paused, "PAUSED", active).astype(object)
        self.group_version, renamed = self._versions(book.group_key, 43, 60, 200, self.group_created, until)
        budgets, changed = self._versions(book.group_key, 44, 20, 60, self.group_created, until)
        self.group_budget = _budget(book.group_key, budgets)
        self.group_bid = _budget(book.group_key, budgets) // 20 + 1
        self.group_updated = np.maximum.reduce([self.group_created, moved, renamed, changed])
        above = self.campaign_status[parent]
        self.group_effective = self._effective(self.group_status, above, "CAMPAIGN_PAUSED", google)

        self.ad_created = book.ad_start * 24 - _between(_mix(book.ad_key, 36), 1, 8)
        end = _end_hour(book.ad_end, book.ad_key)
        over = end <= now
        which = _fate(book)
        names = ("PAUSED", "REMOVED", "REMOVED", "PAUSED", "PAUSED", "REMOVED", "PAUSED", "REMOVED")
        if not google:
            names = ("PAUSED", "DELETED", "DELETED", "ARCHIVED", "PAUSED", "DELETED", "ARCHIVED", "DELETED")
        paused, moved = self._paused(book.ad_key, 4, now)
        self.ad_status = np.where(
            over, np.array(names, dtype=object)[which], np.where(paused, "PAUSED", active)
        ).astype(object)
        self.ad_hidden = over & _fate_hidden(book) & (not google)
        self.ad_version, renamed = self._versions(
            book.ad_key, 45, 30, 90, self.ad_created, np.minimum(end, now)
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
    def _paused(key: Keys, share: int, now: Ints | int) -> tuple[npt.NDArray[np.bool_], Ints]:
        """Whether paused now, and when it was last paused or resumed (hours; 0 if never)."""
        period, phase, length = _pauses(key, share)
        into = (now - phase) % period
        paused = into < length
        moved = np.where(length == 0, 0, np.where(paused, now - into, now - into + length))
        return np.asarray(paused), moved

    @staticmethod
    def _versions(key: Keys, salt: int, low: int, high: int, created: Ints, now: Ints) -> tuple[Ints, Ints]:
        """How often something has changed since creation, and when last (hours; 0 if never)."""
        period = _between(_mix(key, salt), low, high) * 24 + _between(_mix(key, salt, 1), 0, 23)
        version = np.maximum((now - created) // period, 0)
        return version, np.where(version > 0, created + version * period, 0)


def _budget(key: Keys, version: Ints) -> Ints:
    base = _between(_mix(key, 46), 10, 200)
    factor = np.array([100, 120, 90, 150, 80])[version % 5]
    return np.asarray(base * factor, dtype=np.int64)


def _campaign_name(slot: int, gen: int, version: int) -> str:
    name = _THEMES[slot % len(_THEMES)]
    if slot >= len(_THEMES):
        name += f" #{slot}"
    if gen % 2:
        name += f" / wave {gen}"
    return name if not version else f"{name} (v{version + 1})"


def _group_name(number: int, version: int) -> str:
    name = ("DE+AT 25-54", "Broad", "Interest: outdoor ⛺")[number]
    return name if not version else f"{name} v{version + 1}"


def _ad_name(slot: int, gen: int, version: int) -> str:
    name = f"{('Carousel', 'Static', 'Video 15s', 'Collection')[slot]} {gen:03d}"
    return name if not version else f"{name} - copy {version}"


def _group_kind(google: bool, kind: str) -> str:
    if google:
        return "DISPLAY_STANDARD" if kind == "DISPLAY" else "SEARCH_STANDARD"
    return {"OUTCOME_TRAFFIC": "LINK_CLICKS", "OUTCOME_LEADS": "LEAD_GENERATION"}.get(
        kind, "OFFSITE_CONVERSIONS"
    )


def _ad_kind(google: bool, kind: str, slot: int) -> str:
    if google:
        return "RESPONSIVE_DISPLAY_AD" if kind == "DISPLAY" else "RESPONSIVE_SEARCH_AD"
    return ("SHARE", "PHOTO", "VIDEO", "SHARE")[slot]


def _criterion_id(text: int, match: int) -> str:
    return str(302_000_000_000 + text * 10 + match)


def _action_id(account: Account, n: int) -> str:
    return str(900_000_000 + (int(account.id) % 1_000_000) * 10 + n)
