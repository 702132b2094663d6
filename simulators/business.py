"""One advertiser, computed instead of stored.

Every figure is a pure function of (seed, entity, day, as_of): nothing is kept between two calls but caches,
another `first_day` or other `days` change no figure of a day that both contain, and asking "as of" an earlier
instant gives what the platform showed then.

The smallest thing that has figures is a *unit*: a Facebook ad, a Google ad in one device and network, or an
unnamed part of a Google campaign that has no ads to show (Performance Max, Smart). A campaign's day is the
exact sum of its units, an account's day the exact sum of its campaigns. What is summed are integers: money in
minor units of the account's currency (cents; whole yen), Google's fractional conversions in hundredths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import chain
from typing import Any, TypeVar

import numpy as np

from simulators.book import (
    ACCOUNTS,
    ACTION_WINDOWS,
    CONVERSION_ACTIONS,
    DEVICES,
    KEYWORD_TEXTS,
    KEYWORDS_PER_GROUP,
    MATCH_TYPES,
    META_LEADS,
    META_PURCHASES,
    NETWORKS,
    PLATFORM_NUMBER,
    SEGMENTS,
    TERM_SHARES,
    TERM_TAILS,
    Book,
    Ints,
    States,
    action_id,
    ad_kind,
    ad_name,
    campaign_name,
    criterion_id,
    group_kind,
    group_name,
    instant,
    keyword_choice,
    local_hours,
    make_book,
    mix,
)
from simulators.entities import (
    GOOGLE_SETTLED_DAYS,
    META_SETTLED_DAYS,
    Account,
    Ad,
    AdDay,
    AdGroup,
    Campaign,
    CampaignDay,
    ConversionAction,
    ConversionDay,
    Figures,
    Keyword,
    KeywordDay,
    Platform,
    SearchTermDay,
    Totals,
)
from simulators.figures import (
    CAUSES,
    COLUMNS,
    Units,
    compute_units,
    figure_rows,
    figures,
    meta_actions,
    meta_default,
    meta_windows,
    no_units,
    sums,
    unit_names,
)

__all__ = [
    "ACTION_WINDOWS",
    "CAUSES",
    "COLUMNS",
    "CONVERSION_ACTIONS",
    "DEVICES",
    "GOOGLE_SETTLED_DAYS",
    "KEYWORDS_PER_GROUP",
    "KEYWORD_TEXTS",
    "MATCH_TYPES",
    "META_LEADS",
    "META_PURCHASES",
    "META_SETTLED_DAYS",
    "NETWORKS",
    "SEGMENTS",
    "TERM_SHARES",
    "TERM_TAILS",
    "Account",
    "Ad",
    "AdDay",
    "AdGroup",
    "Book",
    "Business",
    "Campaign",
    "CampaignDay",
    "ConversionAction",
    "ConversionDay",
    "Figures",
    "Ints",
    "Keyword",
    "KeywordDay",
    "Platform",
    "SearchTermDay",
    "States",
    "Totals",
    "Units",
    "action_id",
    "criterion_id",
    "figures",
    "keyword_choice",
    "mix",
    "sums",
]


Record = TypeVar("Record")


def _record(kind: Callable[..., Record], *parts: Iterable[Any]) -> Record:
    return kind(*chain(*parts))


class Business:
    """The advertiser that both platforms report on.

    `first_day` is the first account-local day with figures; figures never end. `scale` multiplies the number
    of campaigns (1 is about 110 Facebook and 200 Google unit rows a day). `days` only says how far ahead
    entities are laid out (`first_day + days + 400`).
    """

    def __init__(self, seed: int, first_day: date, days: int, scale: float = 1.0) -> None:
        """Nothing is computed before it is asked for."""
        self.seed, self.first_day, self.days, self.scale = seed, first_day, days, scale
        self._accounts = {platform: self._make_accounts(platform) for platform in ACCOUNTS}
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
        book, now = self.book(account), local_hours(account, as_of)
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
                    name=campaign_name(slot, int(book.campaign_gen[at]), int(states.campaign_version[at])),
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
                    created_at=instant(account, int(states.campaign_created[at])),
                    updated_at=instant(account, int(states.campaign_updated[at])),
                )
            )
        return out

    def ad_groups(self, account: Account, as_of: datetime) -> list[AdGroup]:
        """Every ad set / ad group created until `as_of`, deleted ones included."""
        if account.is_manager:
            return []
        book, now = self.book(account), local_hours(account, as_of)
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
                    name=group_name(int(book.group_number[at]), int(states.group_version[at])),
                    status=states.group_status[at],
                    effective_status=states.group_effective[at],
                    kind=group_kind(google, kind),
                    daily_budget=int(states.group_budget[at]) if own_budget else None,
                    bid=int(states.group_bid[at]) if google or int(book.group_number[at]) == 2 else None,
                    created_at=instant(account, int(states.group_created[at])),
                    updated_at=instant(account, int(states.group_updated[at])),
                )
            )
        return out

    def ads(self, account: Account, as_of: datetime) -> list[Ad]:
        """Every ad created until `as_of`, deleted and hidden ones included."""
        if account.is_manager:
            return []
        book, now = self.book(account), local_hours(account, as_of)
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
                    name=ad_name(slot, gen, int(states.ad_version[at])),
                    status=states.ad_status[at],
                    effective_status=states.ad_effective[at],
                    kind=ad_kind(google, kind, slot),
                    hidden=bool(states.ad_hidden[at]),
                    creative_id=str(ad_id + 1_000_000_000_000) if not google else str(ad_id),
                    final_url=f"https://shop.example/{'g' if google else 'f'}/{slot}?v={gen}",
                    created_at=instant(account, int(states.ad_created[at])),
                    updated_at=instant(account, int(states.ad_updated[at])),
                )
            )
        return out

    def keywords(self, account: Account, as_of: datetime) -> list[Keyword]:
        """Every keyword of a Google account's search ad groups (4 each)."""
        if account.is_manager or account.platform != "google_ads":
            return []
        book, now = self.book(account), local_hours(account, as_of)
        states = self._state_cache(book.account, now)
        out = []
        for at in np.flatnonzero(states.group_created <= now).tolist():
            if book.kinds[int(book.campaign_kind[int(book.group_campaign[at])])] != "SEARCH":
                continue
            for text, match in keyword_choice(book)[at].tolist():
                out.append(
                    Keyword(
                        account_id=account.id,
                        criterion_id=criterion_id(text, match),
                        ad_group_id=str(book.group_id[at]),
                        campaign_id=str(book.campaign_id[int(book.group_campaign[at])]),
                        text=KEYWORD_TEXTS[text],
                        match_type=MATCH_TYPES[match],
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
            ConversionAction(account.id, action_id(account, n), name, category, primary, lookback)
            for n, (name, category, primary, lookback) in enumerate(CONVERSION_ACTIONS)
        ]

    # ---- figures
    def units(self, account: Account, day: date, as_of: datetime) -> Units:
        """All unit rows of an account-day as of an instant, as columns, hidden ones included: the fast way.

        Raises ValueError for a manager account.
        """
        hours = local_hours(account, as_of)
        return self._unit_cache(account, day, hours)

    def ad_days(self, account: Account, day: date, as_of: datetime, *, hidden: bool = False) -> list[AdDay]:
        """Rows with delivery or conversions; `hidden` adds those that no ad-level report shows."""
        units = self.units(account, day, as_of)
        if not hidden:
            units = units.where(units.cause == 0)
        return [
            _record(AdDay, row, names)
            for row, names in zip(figure_rows(account.platform, units.matrix), unit_names(units), strict=True)
        ]

    def campaign_days(self, account: Account, day: date, as_of: datetime) -> list[CampaignDay]:
        """One row per campaign with delivery or conversions: the exact sum of its units."""
        units = self.units(account, day, as_of)
        campaigns, matrix = units.summed(units.book.unit_campaign[units.index])
        ids = units.book.campaign_id[campaigns].tolist()
        rows = figure_rows(account.platform, matrix)
        return [_record(CampaignDay, row, (str(id_),)) for row, id_ in zip(rows, ids, strict=True)]

    def account_day(self, account: Account, day: date, as_of: datetime) -> Figures | None:
        """The exact sum of the account's campaigns; None on a day without any row."""
        units = self.units(account, day, as_of)
        if not len(units):
            return None
        return Figures(*next(figure_rows(account.platform, units.matrix.sum(axis=1, keepdims=True))))

    def conversion_days(
        self, account: Account, day: date, as_of: datetime, *, hidden: bool = False
    ) -> list[ConversionDay]:
        """Conversions per unit and action (non-zero ones); also on days without delivery."""
        units = self.units(account, day, as_of)
        if not hidden:
            units = units.where(units.cause == 0)
        out: list[ConversionDay] = []
        names = list(unit_names(units))
        if account.platform == "google_ads":
            for n, (_, _, primary, _) in enumerate(CONVERSION_ACTIONS):
                counts, values = units.column(f"conv{n}").tolist(), units.column(f"value{n}").tolist()
                out.extend(
                    ConversionDay(*name, action_id(account, n), primary, count, value)
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
        """Keyword rows of a Google account: search ad groups divided over their keywords, nothing lost."""
        return [_record(KeywordDay, row, names) for row, names, _ in self._keyword_parts(account, day, as_of)]

    def search_term_days(self, account: Account, day: date, as_of: datetime) -> list[SearchTermDay]:
        """Search-term rows: three terms per keyword, the rest (about a tenth) withheld."""
        out = []
        for _, names, column in self._keyword_parts(account, day, as_of):
            text = names[3]
            done = np.zeros_like(column)
            for tail, share in zip(TERM_TAILS, TERM_SHARES, strict=True):
                upto = column * share // 1000
                part, done = upto - done, upto
                if not part.any():
                    continue
                row = next(figure_rows("google_ads", part[:, None]))
                match = "EXACT" if not tail and names[4] == "EXACT" else "BROAD"
                out.append(
                    _record(SearchTermDay, row, names, (text + tail, match, "NONE" if tail else "ADDED"))
                )
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
        """Entities as of an instant by id; `kind` is campaign, adset or ad."""
        return self._entity_cache(account, kind, local_hours(account, as_of))

    def _by_id(self, account: Account, kind: str, hours: int) -> dict[str, Any]:
        as_of = instant(account, hours)
        lists: dict[str, Callable[[Account, datetime], list[Any]]] = {
            "campaign": self.campaigns,
            "adset": self.ad_groups,
            "ad": self.ads,
        }
        listed = lists[kind](account, as_of)
        return {one.id: one for one in listed}

    def states(self, account: Account, as_of: datetime) -> States:
        """Statuses and versions of the account's whole book as of an instant."""
        return self._state_cache(account, local_hours(account, as_of))

    # ---- how it is made
    def book(self, account: Account) -> Book:
        """The account's entities of all times as columns."""
        key = (account.platform, account.id)
        if key not in self._books:
            self._books[key] = make_book(account, self.seed, self.first_day, self.days, self.scale)
        return self._books[key]

    def _make_accounts(self, platform: Platform) -> list[Account]:
        created = datetime(2018, 5, 4, 9, 30, tzinfo=UTC)
        digits = 15 if platform == "facebook_ads" else 10
        ids = [
            str(
                10 ** (digits - 1)
                + int(mix(self.seed, PLATFORM_NUMBER[platform], 11, n)[0] % (9 * 10 ** (digits - 1)))
            )
            for n in range(4)
        ]
        google = platform == "google_ads"
        accounts = [
            Account(
                platform, n, ids[n], name, currency, zone, minor, created, False, ids[3] if google else None
            )
            for n, (name, currency, zone, minor) in enumerate(ACCOUNTS[platform])
        ]
        if google:
            accounts.insert(
                0, Account(platform, 3, ids[3], "Lumen Group MCC", "EUR", "Europe/Berlin", 100, created, True)
            )
        return accounts

    def _compute_units(self, account: Account, day: date, hours: int) -> Units:
        if account.is_manager:
            raise ValueError(
                f"the manager account {account.id} has no figures of its own; ask for one of its clients"
            )
        book = self.book(account)
        if day < self.first_day or day.toordinal() > hours // 24:
            return no_units(book, day)
        return compute_units(book, day, hours)

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
        choice = keyword_choice(book)
        weights = 1 + (mix(book.group_key[groups][:, None], 22, np.arange(KEYWORDS_PER_GROUP)) % np.uint64(9))
        upto = np.cumsum(weights.astype(np.int64), axis=1)
        for at, group in enumerate(groups.tolist()):
            column, whole = matrix[:, at], int(upto[at, -1])
            done = np.zeros_like(column)
            for nth in range(KEYWORDS_PER_GROUP):
                reached = column * upto[at, nth] // whole
                part, done = reached - done, reached
                if not part.any():
                    continue
                text, match = choice[group, nth].tolist()
                names = (
                    str(book.campaign_id[book.group_campaign[group]]),
                    str(book.group_id[group]),
                    criterion_id(text, match),
                    KEYWORD_TEXTS[text],
                    MATCH_TYPES[match],
                )
                yield next(figure_rows("google_ads", part[:, None])), names, part
