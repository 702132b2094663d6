"""What happened: the figures of every unit of an account on a day, as seen at an hour.

How figures grow after their day ("age": the account-local date of the asking minus the day):

- a platform corrects past days in batches: figures move on the ages in BATCHES and stand still between them
- age 0: the hours of the day that are over, counted in the account's zone
- clicks and spend: about one unit-day in seven is corrected downwards once, in a batch up to age 28
- about one unit-day in a hundred is found invalid in such a batch and vanishes
- Meta conversions: 1-day-click and 1-day-view full at age 1, 7-day-click at 7, 28-day-click at 28
- Google conversions: full at the action's look-back window (1, 30 or 90 days)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from simulators.book import (
    CHANNELS,
    CONVERSION_ACTIONS,
    DEVICES,
    META_LEADS,
    META_PURCHASES,
    NETWORKS,
    SEGMENTS,
    Book,
    Flags,
    Ints,
    Keys,
    end_hour,
    fate_hidden,
    mix,
    three,
    unpaused,
)
from simulators.entities import META_SETTLED_DAYS, Figures, Platform

_COMMON = ("impressions", "clicks", "link_clicks", "spend", "reach")
_META = (
    *("reactions", "likes", "p1", "p7", "p28", "pv"),
    *("pm1", "pm7", "pm28", "pmv", "l1", "l7", "l28", "lv"),
)
_GOOGLE = (
    "view_through",
    *(f"{what}{n}" for n in range(len(CONVERSION_ACTIONS)) for what in ("conv", "value")),
)
COLUMNS: dict[Platform, tuple[str, ...]] = {"facebook_ads": _COMMON + _META, "google_ads": _COMMON + _GOOGLE}
"""Additive columns of a unit-day, in the order of `Units.matrix`.

Facebook: p/l = purchases/leads, pm = purchase money, each exclusive: within 1 day of the click, in days 2
to 7, in days 8 to 28, and v = within 1 day of a view. Google: conversions (hundredths) and value per
conversion action."""


def sums(matrix: Ints, by: Ints) -> tuple[Ints, Ints]:
    """Sum columns of `matrix` with equal values in `by`: the distinct values, ascending, and their sums."""
    order = np.argsort(by, kind="stable")
    values, first = np.unique(by[order], return_index=True)
    if not len(values):
        return values, matrix
    return values, np.add.reduceat(matrix[:, order], first, axis=1)


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
        """How many rows."""
        return len(self.index)

    def column(self, name: str) -> Ints:
        """One additive column by its name in COLUMNS."""
        row: Ints = self.matrix[COLUMNS[self.book.account.platform].index(name)]
        return row

    def where(self, mask: Flags) -> Units:
        """Only the rows where `mask` holds."""
        return Units(self.book, self.day, self.index[mask], self.matrix[:, mask], self.cause[mask])

    def summed(self, by: Ints) -> tuple[Ints, Ints]:
        """Exact sums over equal values of `by` (one per row): the distinct values, and their matrix."""
        return sums(self.matrix, by)


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
        chosen = [n for n, action in enumerate(CONVERSION_ACTIONS) if action[2] or not primary_only]
        out[total] = sum((col[f"conv{n}"] for n in chosen), zero)
        out[value] = sum((col[f"value{n}"] for n in chosen), zero)
    out["view_through_conversions"] = col["view_through"]
    return out


_FIGURE_NAMES = tuple(Figures.__dataclass_fields__)


def figure_rows(platform: Platform, matrix: Ints) -> Iterator[tuple[Any, ...]]:
    """The values of `Figures` of every column of a matrix."""
    cols = figures(platform, matrix)
    return zip(*(cols[name].tolist() for name in _FIGURE_NAMES), strict=True)


def no_units(book: Book, day: date) -> Units:
    """An account-day without rows."""
    nothing = np.zeros((len(COLUMNS[book.account.platform]), 0), dtype=np.int64)
    return Units(book, day, np.zeros(0, dtype=np.int64), nothing, np.zeros(0, dtype=np.int8))


BATCHES = (0, 1, 3, 7, 14, 28, 60, 90)
"""Ages, in days, on which figures move; an assumption, as neither vendor says when it corrects."""


def compute_units(book: Book, day: date, hours: int) -> Units:
    """The unit rows of an account-day as seen at an hour of the account's wall clock."""
    platform = book.account.platform
    today, d = hours // 24, day.toordinal()
    age = max((batch for batch in BATCHES if batch <= today - d), default=today - d)
    start, end = book.ad_start[book.unit_ad], book.ad_end[book.unit_ad]
    index = np.flatnonzero((start <= d) & (d < end + META_SETTLED_DAYS))
    key = book.unit_key[index]
    ads = book.unit_ad[index]
    bits = [mix(key, d, salt) for salt in range(6)]
    delivers = (d < end[index]) & unpaused(book, d)[ads]
    seen = _Seen(book, index, bits, d, delivers, age, hours % 24)
    matrix = _meta_matrix(seen) if platform == "facebook_ads" else _google_matrix(seen)
    keep = matrix.any(axis=0)
    index, matrix = index[keep], matrix[:, keep]
    cause = np.zeros(len(index), dtype=np.int8)
    if platform == "facebook_ads":
        ad = book.unit_ad[index]
        cause[fate_hidden(book)[ad] & (end_hour(book.ad_end, book.ad_key)[ad] <= hours)] = 1
    else:
        kind = book.campaign_kind[book.unit_campaign[index]]
        cause[kind == CHANNELS.index("PERFORMANCE_MAX")] = 2
        cause[kind == CHANNELS.index("SMART")] = 3
    return Units(book, day, index, matrix, cause)


def unit_names(units: Units) -> Iterator[tuple[str, str, str, str | None, str | None, str | None]]:
    """Per row: campaign, ad group and ad id, device, network, and why no ad-level report has it."""
    book, index = units.book, units.index
    google = book.account.platform == "google_ads"
    display = np.array([k == "DISPLAY" for k in book.kinds])[book.campaign_kind[book.unit_campaign[index]]]
    for campaign, group, ad, segment, cause, content in zip(
        book.campaign_id[book.unit_campaign[index]].tolist(),
        book.group_id[book.unit_group[index]].tolist(),
        book.ad_id[book.unit_ad[index]].tolist(),
        book.unit_segment[index].tolist(),
        units.cause.tolist(),
        display.tolist(),
        strict=True,
    ):
        device, network = SEGMENTS[segment]
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


def placement(units: Units) -> tuple[Ints, Ints]:
    """Each unit's device and network as numbers in DEVICES and NETWORKS, as `unit_names` has them by name."""
    book, index = units.book, units.index
    segment = book.unit_segment[index]
    devices, networks = np.array(SEGMENTS, dtype=np.int64).T
    display = np.array([kind == "DISPLAY" for kind in book.kinds])
    content = display[book.campaign_kind[book.unit_campaign[index]]]
    mixed = units.cause >= 2
    device = np.where(content | mixed, segment, devices[segment]) % len(DEVICES)
    network = np.where(content, NETWORKS.index("CONTENT"), networks[segment])
    return device, np.where(mixed, NETWORKS.index("MIXED"), network)


@dataclass(frozen=True)
class _Seen:
    """Units on a day, and when they are looked at: `age` in days, `hour` of the account's wall clock."""

    book: Book
    index: Ints
    bits: list[Keys]
    day: int
    delivers: Flags
    age: int
    hour: int


def _floor(x: npt.NDArray[np.floating[Any]]) -> Ints:
    whole: Ints = np.floor(x).astype(np.int64)
    return whole


def _delivery(seen: _Seen) -> tuple[dict[str, Any], Flags, float]:
    """Impressions, clicks, spend, reach; which units vanished; the part of the day that is over."""
    rate = {name: column[seen.index] for name, column in seen.book.unit_rates.items()}
    bits, age = seen.bits, seen.age
    u0, u1, u2 = three(bits[0])
    u3, u4, u5 = three(bits[1])
    u6, u7, _ = three(bits[2])
    over = seen.hour / 24 if age == 0 else 1.0
    weekday = (1.0, 0.95, 1.0, 1.05, 1.1, 0.8, 0.7)[seen.day % 7]
    delivers = seen.delivers & (u0 >= 0.06)
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


def _meta_matrix(seen: _Seen) -> Ints:
    col, vanished, over = _delivery(seen)
    bits, age = seen.bits, seen.age
    rate, clicks = col["rate"], col["link_clicks"]
    a0, a1, a2 = three(bits[3])
    b0, b1, b2 = three(bits[4])
    c0, c1, c2 = three(bits[5])
    col["reactions"] = _floor(col["impressions"] * 0.002 + a0 * (col["impressions"] > 0))
    col["likes"] = _floor(col["impressions"] * 0.0001 + a1 * 0.6 * (col["impressions"] > 0))
    # a purchase is dated by the purchase, so it also falls on days on which nothing is shown
    stray = ~col["delivers"] & (a2 < 0.04) & (age * 24 + seen.hour >= 12)
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
    for by in ("1", "7", "28", "v"):
        col[f"pm{by}"] = col[f"p{by}"] * price
    matrix = np.stack([col[name] for name in COLUMNS["facebook_ads"]])
    matrix[:, vanished] = 0
    return matrix


def _google_matrix(seen: _Seen) -> Ints:
    col, vanished, over = _delivery(seen)
    bits, age = seen.bits, seen.age
    rate, clicks = col["rate"], col["clicks"]
    draws = three(bits[3]) + three(bits[4])
    col["view_through"] = _floor(col["impressions"] * 0.0005 + draws[5] * 0.6 * (col["impressions"] > 0))
    stray = ~col["delivers"] & (draws[4] < 0.04) & (age * 24 + seen.hour >= 12)
    base = _floor(clicks * 0.94) * 100
    rates = (rate["buy"], rate["lead"], rate["buy"] * 0.3, rate["buy"] * 6)
    for n, (_, _, _, lookback) in enumerate(CONVERSION_ACTIONS):
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
    """Facebook action types of a row: exclusive counts and money (1d click, 2-7d, 8-28d click, 1d view).

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
