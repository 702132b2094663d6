"""What a Google Ads query answers: the business' columns, grouped, filtered, printed as GoogleAdsRow JSON.

A field's JSON type is that of the vendor's REST discovery document: int64 and its like are strings, doubles
are numbers without a trailing ".0", enums are names, and unset fields are left out.
"""

from __future__ import annotations

import base64
import json
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simulators import business as world
from simulators.business import Account, Business, Ints, Units
from simulators.gaql import Condition, GaqlError, Query

Mask = npt.NDArray[np.bool_]
Values = Sequence[Any] | Ints | npt.NDArray[np.float64]

ATTRIBUTED = {
    "customer": (),
    "customer_client": ("customer",),
    "conversion_action": ("customer",),
    "campaign": ("campaign_budget", "customer"),
    "ad_group": ("campaign", "customer"),
    "ad_group_ad": ("ad_group", "campaign", "customer"),
    "ad_group_criterion": ("ad_group", "campaign", "customer"),
    "keyword_view": ("ad_group_criterion", "ad_group", "campaign", "customer"),
    "search_term_view": ("ad_group", "campaign", "customer"),
}
"""Resources that may stand in FROM, and whose fields may be selected with them."""
REPORTS = {"customer", "campaign", "ad_group", "ad_group_ad", "keyword_view", "search_term_view"}
"""Resources with metrics."""
CONVERSION_METRICS = {
    f"metrics.{name}"
    for name in ("conversions", "conversions_value", "all_conversions", "all_conversions_value")
}
"""The only metrics that go with a conversion segment."""
_DEVICE_SEGMENTS = {"segments.device", "segments.ad_network_type"}
_KEYWORD_SEGMENTS = {"segments.keyword.info.text", "segments.keyword.info.match_type",
                     "segments.keyword.ad_group_criterion"}  # fmt: skip
_TERM_SEGMENTS = _KEYWORD_SEGMENTS | {"segments.search_term_match_type"}
ACTION_SEGMENTS = {"segments.conversion_action", "segments.conversion_action_name",
                    "segments.conversion_action_category"}  # fmt: skip
SEGMENTS = {
    "customer": ACTION_SEGMENTS,
    "campaign": ACTION_SEGMENTS | _DEVICE_SEGMENTS,
    "ad_group": ACTION_SEGMENTS | _DEVICE_SEGMENTS,
    "ad_group_ad": ACTION_SEGMENTS | _DEVICE_SEGMENTS,
    "keyword_view": ACTION_SEGMENTS | _KEYWORD_SEGMENTS,
    "search_term_view": ACTION_SEGMENTS | _TERM_SEGMENTS,
}
"""Segments besides the date that go with each report."""
_SUB_TYPES = {"SMART": "SMART_CAMPAIGN"}
_CHANNEL_NETWORKS = np.array(world.NETWORKS, dtype=object)
_DEVICES = np.array(world.DEVICES, dtype=object)
_COLUMNS = world.COLUMNS["google_ads"]
_ACTIONS = sum(name.startswith("conv") for name in _COLUMNS)


class States:
    """A customer's entities as of an instant, by their ids."""

    def __init__(self, business: Business, account: Account, as_of: datetime) -> None:
        """Nothing is computed before it is asked for."""
        self.business, self.account, self.as_of = business, account, as_of

    @cached_property
    def campaign(self) -> dict[Any, Any]:
        """Campaigns by id."""
        return {int(c.id): c for c in self.business.campaigns(self.account, self.as_of)}

    @cached_property
    def ad_group(self) -> dict[Any, Any]:
        """Ad groups by id."""
        return {int(g.id): g for g in self.business.ad_groups(self.account, self.as_of)}

    @cached_property
    def ad(self) -> dict[Any, Any]:
        """Ads by ad group and id: an id alone may stand in several ad groups."""
        ads = self.business.ads(self.account, self.as_of)
        return {(int(ad.ad_group_id), int(ad.id)): ad for ad in ads}

    @cached_property
    def criterion(self) -> dict[Any, Any]:
        """Keywords by ad group and criterion id."""
        keywords = self.business.keywords(self.account, self.as_of)
        return {(int(k.ad_group_id), int(k.criterion_id)): k for k in keywords}

    @cached_property
    def action(self) -> dict[Any, Any]:
        """Conversion actions by id."""
        return {int(a.id): a for a in self.business.conversion_actions(self.account)}


_IDENTITY = {
    "campaign": ("campaign",),
    "ad_group": ("ad_group",),
    "ad": ("ad_group", "ad"),
    "criterion": ("ad_group", "criterion"),
    "action": ("action",),
}


@dataclass(frozen=True)
class Rows:
    """Rows as columns: `keys` identify them (ids; `day` as ordinal), `matrix` holds the additive figures."""

    states: States
    size: int
    keys: dict[str, Any]
    matrix: Ints
    clients: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def figures(self) -> dict[str, Ints]:
        """The business' figures of these rows."""
        return world.figures("google_ads", self.matrix)

    def of(self, entity: str) -> list[Any]:
        """Each row's entity."""
        held = getattr(self.states, entity)
        columns = [self.keys[key].tolist() for key in _IDENTITY[entity]]
        return [held[key] for key in (columns[0] if len(columns) == 1 else zip(*columns, strict=True))]

    def take(self, index: Ints | Mask) -> Rows:
        """Only the rows at `index`, in its order."""
        keys = {name: column[index] for name, column in self.keys.items()}
        kept = np.arange(self.size)[index]
        clients = [self.clients[at] for at in kept] if self.clients else []
        return Rows(self.states, len(kept), keys, self.matrix[:, index], clients)


# --- fields


@dataclass(frozen=True)
class Field:
    """How a field is computed and printed: `parts` are one column for each placeholder of `text`."""

    text: str
    parts: Callable[[Rows], list[Values]]
    path: tuple[str, ...] = ()
    metric: bool = False


def _plain(text: str, values: Callable[[Rows], Values], **more: Any) -> Field:
    return Field(text, lambda rows: [values(rows)], **more)


def _id(key: str) -> Field:
    return _plain('"%d"', lambda rows: rows.keys[key])


def _name(kind: str, *keys: str) -> Field:
    """A resource name such as customers/1/adGroupAds/2~3."""

    def parts(rows: Rows) -> list[Values]:
        customer = np.full(rows.size, int(rows.states.account.id))
        return [customer, *(rows.keys[key] for key in keys)]

    return Field(f'"customers/%d/{kind}/' + "~".join(["%d"] * len(keys)) + '"', parts)


def _of(entity: str, value: str | Callable[[Any], Any], text: str = "%s", **more: Any) -> Field:
    """An attribute of an entity: by default printed as a JSON string."""
    get = operator.attrgetter(value) if isinstance(value, str) else value
    return _plain(text, lambda rows: [get(one) for one in rows.of(entity)], **more)


def _customer(value: str | Callable[[Account], Any], text: str = "%s") -> Field:
    get = operator.attrgetter(value) if isinstance(value, str) else value
    return _plain(text, lambda rows: [get(rows.states.account)] * rows.size)


def _client(name: str, text: str = "%s") -> Field:
    return _plain(text, lambda rows: [client[name] for client in rows.clients])


def _metric(text: str, values: Callable[[Rows], Values]) -> Field:
    return _plain(text, values, metric=True)


def _count(name: str) -> Field:
    return _metric('"%d"', lambda rows: rows.figures[name])


def _money(name: str) -> Field:
    return _metric("%.15g", lambda rows: rows.figures[name] / rows.states.account.minor_per_unit)


def _micros(minor: Any, account: Account) -> Any:
    return minor * (1_000_000 // account.minor_per_unit)


def _cost(rows: Rows) -> Ints:
    return np.asarray(_micros(rows.figures["spend"], rows.states.account))


def _ratio(above: Callable[[Rows], Ints], below: str) -> Field:
    """A quotient; left out where it is undefined."""

    def values(rows: Rows) -> list[float | None]:
        pairs = zip(above(rows).tolist(), rows.figures[below].tolist(), strict=True)
        return [a / b if b else None for a, b in pairs]

    return _metric("%.15g", values)


def _days(rows: Rows) -> list[str]:
    return [date.fromordinal(day).isoformat() for day in rows.keys["day"].tolist()]


def _texts(column: str, table: Sequence[str]) -> Callable[[Rows], Values]:
    return lambda rows: [table[at] for at in rows.keys[column].tolist()]


def _term(rows: Rows) -> list[str]:
    pairs = zip(rows.keys["text"].tolist(), rows.keys["tail"].tolist(), strict=True)
    return [world.KEYWORD_TEXTS[text] + world.TERM_TAILS[tail] for text, tail in pairs]


def _term_name(rows: Rows) -> list[str]:
    customer = rows.states.account.id
    columns = (rows.keys["campaign"].tolist(), rows.keys["ad_group"].tolist(), _term(rows))
    return [
        f"customers/{customer}/searchTermViews/{campaign}~{group}~"
        + base64.urlsafe_b64encode(term.encode()).decode().rstrip("=")
        for campaign, group, term in zip(*columns, strict=True)
    ]


def _term_match(rows: Rows) -> list[str]:
    pairs = zip(rows.keys["match"].tolist(), rows.keys["tail"].tolist(), strict=True)
    return ["EXACT" if not tail and world.MATCH_TYPES[match] == "EXACT" else "BROAD" for match, tail in pairs]


def _serving(campaign: Any) -> str:
    return {"ENABLED": "SERVING", "PAUSED": "SUSPENDED", "REMOVED": "ENDED"}[campaign.status]


def _budget_name(rows: Rows) -> list[str]:
    customer = rows.states.account.id
    return [f"customers/{customer}/campaignBudgets/{campaign.budget_id}" for campaign in rows.of("campaign")]


def _budget(value: Callable[[Any], Any], text: str) -> Field:
    return _of("campaign", value, text)


def _cpc(rows: Rows) -> list[int | None]:
    account = rows.states.account
    return [None if group.bid is None else _micros(group.bid, account) for group in rows.of("ad_group")]


FIELDS: dict[str, Field] = {
    "customer.resource_name": _plain('"customers/%d"', lambda r: np.full(r.size, int(r.states.account.id))),
    "customer.id": _plain('"%d"', lambda r: np.full(r.size, int(r.states.account.id))),
    "customer.descriptive_name": _customer("name"),
    "customer.currency_code": _customer("currency"),
    "customer.time_zone": _customer("timezone"),
    "customer.manager": _customer("is_manager"),
    "customer.test_account": _customer(lambda _: False),
    "customer.status": _customer(lambda _: "ENABLED"),
    "customer_client.resource_name": _client("resource_name"),
    "customer_client.client_customer": _client("client_customer"),
    "customer_client.id": _client("id", '"%s"'),
    "customer_client.level": _client("level", '"%d"'),
    "customer_client.manager": _client("manager"),
    "customer_client.descriptive_name": _client("descriptive_name"),
    "customer_client.currency_code": _client("currency_code"),
    "customer_client.time_zone": _client("time_zone"),
    "customer_client.status": _client("status"),
    "customer_client.hidden": _client("hidden"),
    "customer_client.test_account": _client("test_account"),
    "campaign.resource_name": _name("campaigns", "campaign"),
    "campaign.id": _id("campaign"),
    "campaign.name": _of("campaign", "name"),
    "campaign.status": _of("campaign", "status"),
    "campaign.serving_status": _of("campaign", _serving),
    "campaign.advertising_channel_type": _of("campaign", "kind"),
    "campaign.advertising_channel_sub_type": _of("campaign", lambda c: _SUB_TYPES.get(c.kind)),
    "campaign.bidding_strategy_type": _of("campaign", "bidding"),
    "campaign.start_date_time": _of("campaign", lambda c: f"{c.start_day} 00:00:00"),
    "campaign.end_date_time": _of("campaign", lambda c: f"{c.end_day} 23:59:59"),
    "campaign.campaign_budget": _plain("%s", _budget_name),
    "campaign_budget.resource_name": _plain("%s", _budget_name),
    "campaign_budget.id": _of("campaign", lambda c: int(c.budget_id), '"%d"'),
    "campaign_budget.amount_micros": _plain(
        '"%d"', lambda r: [_micros(c.daily_budget, r.states.account) for c in r.of("campaign")]
    ),
    "campaign_budget.status": _of("campaign", lambda c: "REMOVED" if c.status == "REMOVED" else "ENABLED"),
    "campaign_budget.delivery_method": _of("campaign", lambda _: "STANDARD"),
    "campaign_budget.explicitly_shared": _of("campaign", lambda _: False),
    "ad_group.resource_name": _name("adGroups", "ad_group"),
    "ad_group.id": _id("ad_group"),
    "ad_group.name": _of("ad_group", "name"),
    "ad_group.status": _of("ad_group", "status"),
    "ad_group.type": _of("ad_group", "kind"),
    "ad_group.cpc_bid_micros": _plain('"%d"', _cpc),
    "ad_group.campaign": _name("campaigns", "campaign"),
    "ad_group_ad.resource_name": _name("adGroupAds", "ad_group", "ad"),
    "ad_group_ad.status": _of("ad", "status"),
    "ad_group_ad.ad_group": _name("adGroups", "ad_group"),
    "ad_group_ad.ad.resource_name": _name("ads", "ad"),
    "ad_group_ad.ad.id": _id("ad"),
    "ad_group_ad.ad.name": _of("ad", "name"),
    "ad_group_ad.ad.type": _of("ad", "kind"),
    "ad_group_ad.ad.final_urls": _of("ad", lambda ad: [ad.final_url]),
    "ad_group_criterion.resource_name": _name("adGroupCriteria", "ad_group", "criterion"),
    "ad_group_criterion.criterion_id": _id("criterion"),
    "ad_group_criterion.ad_group": _name("adGroups", "ad_group"),
    "ad_group_criterion.status": _of("criterion", "status"),
    "ad_group_criterion.type": _of("criterion", lambda _: "KEYWORD"),
    "ad_group_criterion.negative": _of("criterion", lambda _: False),
    "ad_group_criterion.keyword.text": _of("criterion", "text"),
    "ad_group_criterion.keyword.match_type": _of("criterion", "match_type"),
    "ad_group_criterion.quality_info.quality_score": _of("criterion", "quality_score", "%d"),
    "keyword_view.resource_name": _name("keywordViews", "ad_group", "criterion"),
    "search_term_view.resource_name": _plain("%s", _term_name),
    "search_term_view.search_term": _plain("%s", _term),
    "search_term_view.ad_group": _name("adGroups", "ad_group"),
    "search_term_view.status": _plain(
        "%s", lambda r: ["NONE" if tail else "ADDED" for tail in r.keys["tail"].tolist()]
    ),
    "conversion_action.resource_name": _name("conversionActions", "action"),
    "conversion_action.id": _id("action"),
    "conversion_action.name": _of("action", "name"),
    "conversion_action.category": _of("action", "category"),
    "conversion_action.status": _of("action", "status"),
    "conversion_action.type": _of("action", lambda _: "WEBPAGE"),
    "conversion_action.primary_for_goal": _of("action", "primary"),
    "conversion_action.include_in_conversions_metric": _of("action", "primary"),
    "conversion_action.counting_type": _of("action", lambda _: "ONE_PER_CLICK"),
    "conversion_action.click_through_lookback_window_days": _of("action", "lookback_days", '"%d"'),
    "conversion_action.view_through_lookback_window_days": _of("action", lambda _: 1, '"%d"'),
    "segments.date": _plain("%s", _days),
    "segments.device": _plain("%s", lambda r: _DEVICES[r.keys["device"]].tolist()),
    "segments.ad_network_type": _plain("%s", lambda r: _CHANNEL_NETWORKS[r.keys["network"]].tolist()),
    "segments.conversion_action": _name("conversionActions", "action"),
    "segments.conversion_action_name": _of("action", "name"),
    "segments.conversion_action_category": _of("action", "category"),
    "segments.keyword.info.text": _plain("%s", _texts("text", world.KEYWORD_TEXTS)),
    "segments.keyword.info.match_type": _plain("%s", _texts("match", world.MATCH_TYPES)),
    "segments.keyword.ad_group_criterion": _name("adGroupCriteria", "ad_group", "criterion"),
    "segments.search_term_match_type": _plain("%s", _term_match),
    "metrics.impressions": _count("impressions"),
    "metrics.clicks": _count("clicks"),
    "metrics.interactions": _count("clicks"),
    "metrics.cost_micros": _metric('"%d"', _cost),
    "metrics.conversions": _metric("%.15g", lambda r: r.figures["conversions_x100"] / 100),
    "metrics.conversions_value": _money("conversions_value"),
    "metrics.all_conversions": _metric("%.15g", lambda r: r.figures["all_conversions_x100"] / 100),
    "metrics.all_conversions_value": _money("all_conversions_value"),
    "metrics.view_through_conversions": _count("view_through_conversions"),
    "metrics.ctr": _ratio(lambda r: r.figures["clicks"], "impressions"),
    "metrics.average_cpc": _ratio(_cost, "clicks"),
}
"""Every field that the simulator knows. The real API knows many more; here they are UNRECOGNIZED_FIELD."""


# --- which rows


def entities(states: States, resource: str) -> Rows:
    """One row for each entity of `resource`, removed ones included, without figures."""
    keys: dict[str, Ints] = {}
    size = 1
    entity = {"ad_group_ad": "ad", "ad_group_criterion": "criterion", "keyword_view": "criterion",
              "conversion_action": "action"}.get(resource, resource)  # fmt: skip
    if entity in _IDENTITY:
        held = getattr(states, entity)
        size = len(held)
        columns = [[key] if isinstance(key, int) else list(key) for key in held]
        ids = np.array(columns, dtype=np.int64).reshape(size, len(_IDENTITY[entity]))
        keys = {name: ids[:, at] for at, name in enumerate(_IDENTITY[entity])}
        if entity not in {"campaign", "action"}:
            keys["campaign"] = np.array([int(one.campaign_id) for one in held.values()], dtype=np.int64)
    elif resource != "customer":
        size = 0
    return Rows(states, size, keys, np.zeros((len(_COLUMNS), size), dtype=np.int64))


def clients(states: States, hierarchy: list[dict[str, Any]]) -> Rows:
    """One row for each customer of a hierarchy."""
    return Rows(
        states, len(hierarchy), {}, np.zeros((len(_COLUMNS), len(hierarchy)), dtype=np.int64), hierarchy
    )


def joined(states: States, parts: list[Rows]) -> Rows:
    """All rows of several parts, one after the other."""
    parts = [part for part in parts if part.size] or [
        Rows(states, 0, {}, np.zeros((len(_COLUMNS), 0), np.int64))
    ]
    keys = {name: np.concatenate([part.keys[name] for part in parts]) for name in parts[0].keys}
    matrix = np.concatenate([part.matrix for part in parts], axis=1)
    return Rows(states, matrix.shape[1], keys, matrix, [one for part in parts for one in part.clients])


def report(states: States, query: Query, since: date, until: date) -> Iterator[Rows]:
    """The rows with metrics: one `Rows` a day where the date is selected, else one over all days."""
    if states.account.is_manager:
        return
    wanted = set(query.segments)
    day, parts = since, []
    while day <= until:
        rows = _day(states, query.resource, wanted, day)
        day += timedelta(days=1)
        if "segments.date" not in wanted:
            parts.append(rows)
        elif rows.size:
            yield replace(rows, keys=rows.keys | {"day": np.full(rows.size, day.toordinal() - 1)})
    if "segments.date" not in wanted:
        if not wanted and query.resource != "search_term_view":
            parts.append(entities(states, query.resource))
        yield _merged(states, [part for part in parts if part.size])


def nonzero(rows: Rows, query: Query) -> Rows:
    """Without rows whose selected metrics are all zero, as the API does wherever a segment is selected."""
    if not query.metrics or not query.segments:
        return rows
    keep = np.zeros(rows.size, dtype=bool)
    for name in query.metrics:
        (values,) = FIELDS[name].parts(rows)
        keep |= np.array([bool(v) for v in values]) if isinstance(values, list) else np.asarray(values) != 0
    return rows.take(keep)


def _merged(states: States, parts: list[Rows]) -> Rows:
    if not parts:
        return Rows(states, 0, {}, np.zeros((len(_COLUMNS), 0), dtype=np.int64))
    names = list(parts[0].keys)
    matrix = np.concatenate([part.matrix for part in parts], axis=1)
    if not names:
        return Rows(states, 1, {}, matrix.sum(axis=1, keepdims=True))
    keys = np.stack([np.concatenate([part.keys[name] for part in parts]) for name in names])
    return _grouped(states, names, keys, matrix)


def _grouped(states: States, names: list[str], keys: Ints, matrix: Ints) -> Rows:
    """Exact sums of `matrix` over equal columns of `keys`."""
    distinct, inverse = np.unique(keys, axis=1, return_inverse=True)
    summed = np.zeros((len(matrix), distinct.shape[1]), dtype=np.int64)
    for row, figures in zip(summed, matrix, strict=True):
        np.add.at(row, inverse.reshape(-1), figures)
    return Rows(states, distinct.shape[1], dict(zip(names, distinct, strict=True)), summed)


def _day(states: States, resource: str, wanted: set[str], day: date) -> Rows:
    units = states.business.units(states.account, day, states.as_of)
    if resource in {"keyword_view", "search_term_view"}:
        names, keys, matrix = _keywords(units)
        unasked: set[str] = set()
        if resource == "search_term_view":
            names, keys, matrix = _terms(names, keys, matrix)
            unasked = set() if wanted & _TERM_SEGMENTS else {"criterion", "match"}
        elif not wanted & _KEYWORD_SEGMENTS:
            unasked = {"text", "match"}
        keep = [at for at, name in enumerate(names) if name not in unasked]
        names, keys = [names[at] for at in keep], keys[keep]
    else:
        if resource in {"ad_group", "ad_group_ad"}:
            units = units.where(units.cause == 0)
        names, keys = _unit_keys(units, resource, wanted)
        matrix = units.matrix
    if wanted & ACTION_SEGMENTS:
        names, keys, matrix = _by_action(states, names, keys, matrix)
    if not names:
        summed = matrix.sum(axis=1, keepdims=True)
        return Rows(states, int(matrix.shape[1] > 0), {}, summed[:, : int(matrix.shape[1] > 0)])
    return _grouped(states, names, keys, matrix)


def _unit_keys(units: Units, resource: str, wanted: set[str]) -> tuple[list[str], Ints]:
    book, index = units.book, units.index
    keys: dict[str, Ints] = {}
    if resource != "customer":
        keys["campaign"] = book.campaign_id[book.unit_campaign[index]]
    if resource in {"ad_group", "ad_group_ad"}:
        keys["ad_group"] = book.group_id[book.unit_group[index]]
    if resource == "ad_group_ad":
        keys["ad"] = book.ad_id[book.unit_ad[index]]
    if wanted & _DEVICE_SEGMENTS:
        device, network = _placement(units)
        keys |= {"device": device} if "segments.device" in wanted else {}
        keys |= {"network": network} if "segments.ad_network_type" in wanted else {}
    stacked = np.stack(list(keys.values())) if keys else np.zeros((0, len(index)), dtype=np.int64)
    return list(keys), stacked


def _placement(units: Units) -> tuple[Ints, Ints]:
    """Each unit's device and network, as `Business.ad_days` has them by name."""
    book, index = units.book, units.index
    segment = book.unit_segment[index]
    devices, networks = np.array(world.SEGMENTS, dtype=np.int64).T
    content = np.array([kind == "DISPLAY" for kind in book.kinds])[
        book.campaign_kind[book.unit_campaign[index]]
    ]
    mixed = units.cause >= 2
    device = np.where(content | mixed, segment, devices[segment]) % len(world.DEVICES)
    network = np.where(content, world.NETWORKS.index("CONTENT"), networks[segment])
    return device, np.where(mixed, world.NETWORKS.index("MIXED"), network)


def _keywords(units: Units) -> tuple[list[str], Ints, Ints]:
    """`Business.keyword_days` as columns: every search ad group's figures divided over its keywords."""
    book = units.book
    search = np.array([kind == "SEARCH" for kind in book.kinds])
    units = units.where(search[book.campaign_kind[book.unit_campaign[units.index]]])
    groups, matrix = units.summed(book.unit_group[units.index])
    number = np.arange(world.KEYWORDS_PER_GROUP)
    weights = 1 + (world.mix(book.group_key[groups][:, None], 22, number) % np.uint64(9)).astype(np.int64)
    upto = np.cumsum(weights, axis=1)
    parts = _differences(matrix[:, :, None] * upto // upto[:, -1:])
    texts, matches = np.moveaxis(world.keyword_choice(book)[groups], 2, 0)
    ids = np.array(
        [[int(world.criterion_id(t, m)) for m in range(3)] for t in range(len(world.KEYWORD_TEXTS))]
    )
    per_group = (book.campaign_id[book.group_campaign[groups]], book.group_id[groups])
    repeated = [np.repeat(column, len(number)) for column in per_group]
    per_keyword = [column.reshape(-1) for column in (ids[texts, matches], texts, matches)]
    keys = np.stack([*repeated, *per_keyword])
    flat = parts.reshape(len(matrix), -1)
    some = flat.any(axis=0)
    return ["campaign", "ad_group", "criterion", "text", "match"], keys[:, some], flat[:, some]


def _terms(names: list[str], keys: Ints, matrix: Ints) -> tuple[list[str], Ints, Ints]:
    """`Business.search_term_days` as columns: three terms a keyword, the rest withheld."""
    shares = np.array(world.TERM_SHARES, dtype=np.int64)
    flat = _differences(matrix[:, :, None] * shares // 1000).reshape(len(matrix), -1)
    tails = np.tile(np.arange(len(shares)), keys.shape[1])
    wide = np.concatenate([np.repeat(keys, len(shares), axis=1), tails[None]])
    some = flat.any(axis=0)
    return [*names, "tail"], wide[:, some], flat[:, some]


def _differences(cumulated: Ints) -> Ints:
    return np.diff(cumulated, axis=2, prepend=0)


def _by_action(states: States, names: list[str], keys: Ints, matrix: Ints) -> tuple[list[str], Ints, Ints]:
    """Every row once for each conversion action, with that action's conversions and nothing else."""
    ids = list(states.action)
    wide = np.zeros((len(matrix), matrix.shape[1] * _ACTIONS), dtype=np.int64)
    for number in range(_ACTIONS):
        place = slice(number * matrix.shape[1], (number + 1) * matrix.shape[1])
        for what in ("conv", "value"):
            at = _COLUMNS.index(f"{what}{number}")
            wide[at, place] = matrix[at]
    actions = np.repeat(np.array(ids, dtype=np.int64), matrix.shape[1])
    return [*names, "action"], np.concatenate([np.tile(keys, (1, _ACTIONS)), actions[None]]), wide


# --- conditions and order


def matching(rows: Rows, query: Query) -> Rows:
    """The rows that meet WHERE; `segments.date` is met already."""
    for term in query.where:
        if term.field != "segments.date" and rows.size:
            test = _test(term)
            rows = rows.take(np.array([test(value) for value in comparable(rows, term.field)], dtype=bool))
    return rows


def ordered(rows: Rows, query: Query) -> Rows:
    """The rows in the order that ORDER BY asks for."""
    order = list(range(rows.size))
    for name, descending in reversed(query.order):
        values = comparable(rows, name)
        order.sort(key=lambda at: (values[at] is not None, values[at]), reverse=descending)
    return rows.take(np.array(order, dtype=np.int64)) if query.order else rows


def comparable(rows: Rows, name: str) -> list[Any]:
    """A field's values for comparing: numbers, texts, or None."""
    known = FIELDS[name]
    columns = [list(part) for part in known.parts(rows)]
    if len(columns) == 1:
        return columns[0]
    return [known.text.strip('"') % values for values in zip(*columns, strict=True)]


def _test(term: Condition) -> Callable[[Any], bool]:
    wanted = term.values
    simple = {"=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
              ">=": operator.ge}  # fmt: skip
    if term.operator in simple:
        return lambda value: value is not None and bool(simple[term.operator](*_alike(value, wanted[0])))
    if term.operator == "BETWEEN":
        low, high = wanted
        return lambda v: v is not None and _alike(v, low)[0] >= _alike(v, low)[1] and (
            _alike(v, high)[0] <= _alike(v, high)[1]
        )  # fmt: skip
    if term.operator in {"IN", "NOT IN"}:
        return lambda value: (
            any(operator.eq(*_alike(value, one)) for one in wanted) is (term.operator == "IN")
        )
    if term.operator in {"IS NULL", "IS NOT NULL"}:
        return lambda value: (value is None) is (term.operator == "IS NULL")
    if term.operator in {"LIKE", "NOT LIKE", "REGEXP_MATCH", "NOT REGEXP_MATCH"}:
        like = "LIKE" in term.operator
        pattern = ".*".join(map(re.escape, wanted[0].split("%"))) if like else wanted[0]
        found = re.compile(pattern, re.IGNORECASE if like else 0)
        return lambda value: bool(found.fullmatch(str(value))) is not term.operator.startswith("NOT")
    raise GaqlError(
        "OPERATOR_FIELD_MISMATCH", f"Error in query: {term.operator} cannot be used on {term.field}."
    )


def _alike(value: Any, text: str) -> tuple[Any, Any]:
    """A value and the operand of a condition as the same type."""
    if isinstance(value, bool):
        return value, text.upper() == "TRUE"
    if isinstance(value, int | float | np.number):
        try:
            return value, float(text)
        except ValueError:
            raise GaqlError("BAD_NUMBER", f"Error in query: {text} is not a number.") from None
    return value, text


# --- JSON


@dataclass
class _Printed:
    """JSON of one value in every row: `text` with a placeholder for each column; None where it is unset."""

    text: str
    columns: list[Sequence[Any]]
    optional: bool = False


def camel(name: str) -> str:
    """A snake_case name as the REST interface writes it."""
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


def rendered(rows: Rows, names: Sequence[str], change: Changes) -> list[str]:
    """Each row as the JSON of a GoogleAdsRow with the fields `names`."""
    tree: dict[str, Any] = {}
    for name in names:
        printed = change.of(name, lambda name=name: _printed(rows, FIELDS[name]))  # type: ignore[misc]
        if printed is not None:
            _put(tree, [camel(part) for part in name.split(".")], printed)
    for path, value in change.added.items():
        _put(tree, list(path), _Printed("%s", [[value] * rows.size]))
    whole = _object(tree, rows.size)
    if whole.optional or not whole.columns:
        return [text or "{}" for text in (whole.columns[0] if whole.columns else ["{}"] * rows.size)]
    return [whole.text % values for values in zip(*whole.columns, strict=True)]


@dataclass
class Changes:
    """What a fault changes about the rows: fields left out, sent as something else, and added (by path)."""

    vanished: set[str] = field(default_factory=set)
    retyped: dict[str, str | None] = field(default_factory=dict)
    added: dict[tuple[str, ...], str] = field(default_factory=dict)

    def of(self, name: str, printed: Callable[[], _Printed]) -> _Printed | None:
        """The field as it is sent; None if it isn't. A retyped field without a value is a list of itself."""
        if _named(name, self.vanished):
            return None
        value = printed()
        for wanted, instead in self.retyped.items():
            if _named(name, {wanted}):
                size = len(value.columns[0])
                return (
                    _Printed("%s", [[instead] * size]) if instead else replace(value, text=f"[{value.text}]")
                )
        return value


def _named(name: str, wanted: set[str]) -> bool:
    return bool({name, name.rpartition(".")[2], name.replace(".", "__")} & wanted)


def _printed(rows: Rows, known: Field) -> _Printed:
    columns: list[Sequence[Any]] = []
    parts = known.parts(rows)
    for part in parts:
        column = part.tolist() if isinstance(part, np.ndarray) else part
        columns.append(_encoded(column) if known.text == "%s" else column)
    if len(columns) == 1 and None in columns[0]:
        return _Printed("%s", [[None if v is None else known.text % v for v in columns[0]]], optional=True)
    return _Printed(known.text, columns)


def _encoded(values: Sequence[Any]) -> list[str | None]:
    """JSON texts; equal values are encoded once."""
    known: dict[Any, str | None] = {None: None}
    texts = []
    for value in values:
        key = tuple(value) if isinstance(value, list) else value
        if key not in known:
            known[key] = json.dumps(value, ensure_ascii=False)
        texts.append(known[key])
    return texts


def _put(tree: dict[str, Any], path: list[str], printed: _Printed) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = printed


def _object(tree: dict[str, Any], size: int) -> _Printed:
    """An object out of its members; it is unset where all of them are."""
    members = {key: _object(value, size) if isinstance(value, dict) else value for key, value in tree.items()}
    always = {key: value for key, value in members.items() if not value.optional}
    maybe = {key: value for key, value in members.items() if value.optional}
    if not always:
        lists = [
            [None if v is None else f'"{key}":{v}' for v in member.columns[0]]
            for key, member in maybe.items()
        ]
        texts = [",".join(text for text in row if text) for row in zip(*lists, strict=True)]
        return _Printed("%s", [[f"{{{text}}}" if text else None for text in texts]], optional=True)
    text = ",".join(f'"{key}":{value.text}' for key, value in always.items())
    columns = [column for value in always.values() for column in value.columns]
    columns += [
        ["" if v is None else f',"{key}":{v}' for v in value.columns[0]] for key, value in maybe.items()
    ]
    return _Printed("{" + text + "%s" * len(maybe) + "}", columns)
