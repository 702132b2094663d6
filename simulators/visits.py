"""Clicks that become visits, and purchases that become orders: what ties people to ads.

Everything is drawn from the settled figures of a unit and day (see `business`). About one click in 230
becomes a visit that the shop sees; the rest bounce, block scripts or are the same thumb twice. Of the
purchases that a platform claims for clicks, those become an order that fall on a visit of that ad and are not
lost by lot; what is left over is what platforms claim too much.

About a quarter of the visits are of somebody who was first seen on one of the 24 days before. Who that is
depends on that day's first visits alone, never on its returning ones, so that all of a person's life follows
from the days since its first visit, whenever the history begins.
"""

from __future__ import annotations

import base64
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import NamedTuple
from urllib.parse import urlencode

import numpy as np

from simulators.book import (
    ACCOUNTS,
    DEVICES,
    NETWORKS,
    Ints,
    campaign_name,
    criterion_id,
    instant,
    keyword_choice,
    mix,
    spread,
    three,
)
from simulators.business import GOOGLE_SETTLED_DAYS, Account, Business, Units
from simulators.figures import placement
from simulators.shop import Dice, Evidence

VISIT_SHARE = 1 / 230
RETURNING = 0.25
RETURN_DAYS = 24
ORDER_SHARE = 0.2
ORGANIC_A_DAY = 0.8
"""Persons without any ad, for each of a day's accounts at scale 1."""
SETTLED = timedelta(days=GOOGLE_SETTLED_DAYS + 2)
META_LAGS = (0, 0, 0, 1, 1, 2, 3, 4, 5, 6)
"""Days from click to purchase, within Meta's seven."""
GOOGLE_LAG_SECONDS = 40 * 86_400
DECISION_SECONDS = 300
"""Nobody buys faster after a click."""
SHOP = "https://shop.example/"


class Click(NamedTuple):
    """A click that became a visit; `unit` and `nth` tell it from others of its account and day."""

    key: int
    at: int
    """seconds since 1970, as all instants here"""
    account: Account
    day: date
    unit: int
    nth: int
    returning: bool


class Arrival(NamedTuple):
    """Somebody's first visit, with or without a click, to the shop of an account's market."""

    key: int
    at: int
    account: Account


class Purchase(NamedTuple):
    """A purchase that a platform claims for a click and that took place."""

    key: int
    at: int
    click: Click


@dataclass(frozen=True, slots=True)
class ClickView:
    """A row of Google's click_view; without an ad or a keyword their ids are empty."""

    gclid: str
    campaign_id: str
    ad_group_id: str
    ad_id: str
    criterion_id: str
    device: str
    network: str


@dataclass(frozen=True)
class Landing:
    """Where a click leads, and what of it is to be read there."""

    campaign_id: str
    ad_group_id: str
    ad_id: str
    click_id: str
    url: str
    utm: tuple[str, str, str, str]
    evidence: Evidence


class AdDay:
    """The visits of one account's ads on one day, and what their clicks led to."""

    def __init__(self, business: Business, account: Account, day: date) -> None:
        """Nothing is computed before it is asked for."""
        self.business, self.account, self.day = business, account, day
        self._landings: dict[int, Landing] = {}
        self.begin, self.end = midnight(account, day), midnight(account, day + timedelta(days=1))

    @cached_property
    def units(self) -> Units:
        """The settled figures."""
        return self.business.units(self.account, self.day, datetime.fromtimestamp(self.end, UTC) + SETTLED)

    @cached_property
    def clicks(self) -> list[Click]:
        """The clicks that became visits, by unit."""
        units, number = self.units, self.day.toordinal()
        keys = units.book.unit_key[units.index]
        clicks = units.column("clicks")
        some = np.floor(clicks * VISIT_SHARE + three(mix(keys, number, 301))[0]).astype(np.int64)
        parent, nth = spread(np.minimum(some, clicks))
        visit = mix(keys[parent], number, 302, nth)
        when, again, _ = three(mix(visit, 1))
        at = self.begin + (when * (self.end - self.begin)).astype(np.int64)
        return [
            Click(key, second, self.account, self.day, unit, n, back)
            for key, second, unit, n, back in zip(
                visit.tolist(), at.tolist(), units.index[parent].tolist(), nth.tolist(),
                (again < RETURNING).tolist(), strict=True,
            )
        ]  # fmt: skip

    @cached_property
    def by_unit(self) -> dict[int, list[Click]]:
        """The visits of each unit that has any."""
        found = defaultdict(list)
        for click in self.clicks:
            found[click.unit].append(click)
        return dict(found)

    @cached_property
    def first_visits(self) -> list[Click]:
        """Those that bring somebody new."""
        return [click for click in self.clicks if not click.returning]

    @cached_property
    def organic(self) -> list[Arrival]:
        """Those who come on this day without an ad."""
        business, account = self.business, self.account
        if self.day < business.first_day:
            return []
        dice = Dice(int(mix(business.seed, 304, int(account.id), self.day.toordinal())[0]))
        many = int(2 * ORGANIC_A_DAY * business.scale * dice.unit("organic") + 0.5)
        return [
            Arrival(
                dice.bits("key", n), self.begin + int(dice.unit("at", n) * (self.end - self.begin)), account
            )
            for n in range(many)
        ]

    @cached_property
    def newcomers(self) -> list[int]:
        """The keys of all whom this day brings."""
        return [one.key for one in self.first_visits] + [one.key for one in self.organic]

    @cached_property
    def slots(self) -> list[tuple[int, Dice]]:
        """A draw for each purchase claimed for clicks that is not lost by lot, with its unit."""
        units = self.units
        google = self.account.platform == "google_ads"
        count: Ints = units.column("conv0") // 100 if google else units.column("p1") + units.column("p7")
        parent, nth = spread(count)
        keys = mix(units.book.unit_key[units.index][parent], self.day.toordinal(), 303, nth)
        kept = three(mix(keys, 2))[0] < ORDER_SHARE
        of = units.index[parent][kept].tolist()
        return [(unit, Dice(key)) for unit, key in zip(of, keys[kept].tolist(), strict=True)]

    def landing(self, click: Click) -> Landing:
        """The page that a click of this day leads to."""
        found = self._landings.get(click.key)
        if found is None:
            found = self._landings[click.key] = self._led(click)
        return found

    def ids(self, unit: int) -> tuple[str, str, str]:
        """A unit's campaign, ad group and ad; the latter two are empty in campaigns that report no ads."""
        book = self.units.book
        ad, campaign = int(book.unit_ad[unit]), int(book.unit_campaign[unit])
        if not book.campaign_has_ads[campaign]:
            return str(book.campaign_id[campaign]), "", ""
        return str(book.campaign_id[campaign]), str(book.group_id[book.ad_group[ad]]), str(book.ad_id[ad])

    def _led(self, click: Click) -> Landing:
        book, dice = self.units.book, Dice(click.key)
        ad, campaign = int(book.unit_ad[click.unit]), int(book.unit_campaign[click.unit])
        has_ad = bool(book.campaign_has_ads[campaign])
        google = self.account.platform == "google_ads"
        ids = self.ids(click.unit)
        kind, slot, gen = "g" if google else "f", int(book.ad_slot[ad]), int(book.ad_gen[ad])
        base = f"{SHOP}{kind}/{slot}?v={gen}" if has_ad else f"{SHOP}?v=1"
        draw = dice.unit("landing")
        click_id = ""
        evidence: Evidence = ""
        tags: dict[str, str] = {}
        if google and draw < 0.8:
            click_id, evidence, tags = gclid(dice), "gclid", {"gad_source": "1"}
        elif google and draw < 0.88:
            evidence = "url_ids"
            tags = dict(zip(("campaignid", "adgroupid", "adid"), ids, strict=True))
        elif google and draw < 0.94:
            evidence = "utm_name"
            tags = {
                "utm_source": "google",
                "utm_medium": "cpc",
                "utm_campaign": self._campaign_name(campaign),
            }
        elif not google and draw < 0.9:
            click_id = fbclid(dice) if draw < 0.85 else ""
            evidence = "utm_ids"
            tags = {
                "utm_source": "facebook",
                "utm_medium": "cpc",
                "utm_campaign": ids[0],
                "utm_content": ids[2],
            }
        elif not google and draw < 0.95:
            click_id = fbclid(dice)
        if click_id:
            tags = tags | {"gclid" if google else "fbclid": click_id}
        return _landing(base, ids, click_id, tags, evidence)

    def click_view(self, click: Click) -> ClickView:
        """What Google says of a click."""
        units = self.units
        book, ids = units.book, self.landing(click)
        group = int(book.unit_group[click.unit])
        criterion = ""
        if book.kinds[int(book.campaign_kind[book.group_campaign[group]])] == "SEARCH":
            text, match = Dice(click.key).pick("keyword", keyword_choice(book)[group].tolist())
            criterion = criterion_id(text, match)
        at = int(np.searchsorted(units.index, click.unit))
        device, network = (int(column[at]) for column in placement(units))
        return ClickView(
            ids.click_id, ids.campaign_id, ids.ad_group_id, ids.ad_id, criterion,
            DEVICES[device], NETWORKS[network],
        )  # fmt: skip

    def _campaign_name(self, campaign: int) -> str:
        """The campaign's name as the day began."""
        book = self.units.book
        states = self.business.states(self.account, instant(self.account, self.day.toordinal() * 24))
        version = int(states.campaign_version[campaign])
        return campaign_name(int(book.campaign_slot[campaign]), int(book.campaign_gen[campaign]), version)


def _landing(
    base: str, ids: tuple[str, str, str], click_id: str, tags: dict[str, str], evidence: Evidence
) -> Landing:
    utm = (
        tags.get("utm_source", ""),
        tags.get("utm_medium", ""),
        tags.get("utm_campaign", ""),
        tags.get("utm_content", ""),
    )
    shown = {name: value for name, value in tags.items() if value}
    return Landing(*ids, click_id, f"{base}&{urlencode(shown)}" if shown else base, utm, evidence)


NOWHERE = Landing("", "", "", "", SHOP, ("", "", "", ""), "")
"""The shop's own address, typed or found."""


def newsletter(campaign: str) -> Landing:
    """A link in a newsletter."""
    tags = {"utm_source": "newsletter", "utm_medium": "email", "utm_campaign": campaign}
    return _landing(f"{SHOP}?v=1", ("", "", ""), "", tags, "")


def _base64(dice: Dice, name: str, words: int) -> str:
    raw = b"".join(dice.bits(name, n).to_bytes(8, "big") for n in range(words))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def gclid(dice: Dice) -> str:
    """Google's name for a click."""
    return f"Cj0KCQiA{_base64(dice, 'gclid', 9)}EALw_wcB"


def fbclid(dice: Dice) -> str:
    """Meta's name for a click."""
    return f"IwAR{_base64(dice, 'fbclid', 6)}"


def listed_at(click: Click) -> int:
    """When Google's click_view has a click: within three hours, one in thirty within two days."""
    dice = Dice(click.key)
    return click.at + dice.whole("listed", 0, 48 * 3600 if dice.unit("late") < 1 / 30 else 3 * 3600)


def midnight(account: Account, day: date) -> int:
    """When an account's day begins."""
    return int(datetime.combine(day, datetime.min.time(), account.zone).timestamp())


class Visits:
    """All visits through ads, whose they are, and which purchases they led to."""

    def __init__(self, business: Business) -> None:
        """Nothing is computed before it is asked for; days are kept."""
        self.business = business
        self.accounts = [
            account
            for platform in ACCOUNTS
            for account in business.accounts(platform)
            if not account.is_manager
        ]
        self._days: dict[tuple[str, date], AdDay] = {}

    def day(self, account: Account, day: date) -> AdDay:
        """One account's day; before the business' first nothing happens."""
        found = self._days.get((account.id, day))
        if found is None:
            found = self._days[account.id, day] = AdDay(self.business, account, day)
        return found

    def landing(self, click: Click) -> Landing:
        """Where a click leads."""
        return self.day(click.account, click.day).landing(click)

    def owner(self, click: Click) -> int | None:
        """The key of the person who clicked; None if that one's first visit lies before the history."""
        if not click.returning:
            return click.key
        dice = Dice(click.key)
        before = click.day - timedelta(days=dice.whole("days ago", 1, RETURN_DAYS))
        known: list[int] = []
        for account in self._sharing(click.account):
            known += self.day(account, before).newcomers
        return dice.pick("who", known) if known else None

    def purchases(self, account: Account, day: date) -> list[Purchase]:
        """The orders that are due to clicks: Google's by the day of the click, Meta's by their own."""
        google = account.platform == "google_ads"
        ad_day = self.day(account, day)
        found = []
        for unit, dice in ad_day.slots:
            of = ad_day if google else self.day(account, day - timedelta(days=dice.pick("lag", META_LAGS)))
            clicks = of.by_unit.get(unit, [])
            if not clicks:
                continue
            click = dice.pick("which", clicks)
            lag = dice.unit("when")
            if google:
                at = click.at + DECISION_SECONDS + int(lag**3 * GOOGLE_LAG_SECONDS)
            else:
                begin = max(ad_day.begin, click.at + DECISION_SECONDS)
                at = begin + int(lag * (ad_day.end - begin))
            if google or at < ad_day.end:
                found.append(Purchase(dice.bits("order"), at, click))
        return found

    def _sharing(self, account: Account) -> list[Account]:
        """The accounts whose visitors also click on this one's ads: those of the same zone."""
        return [one for one in self.accounts if one.timezone == account.timezone]
