"""The fields of the Google Ads API that the simulator knows: where a value comes from, how it is printed.

A field's JSON type is that of the vendor's REST discovery document: int64 and its like are strings, doubles
are numbers without a trailing ".0", enums are names, and unset fields are left out.
"""

from __future__ import annotations

import base64
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from simulators import business as world
from simulators.business import Account, Business, Ints

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
    "click_view": ("ad_group", "campaign", "customer"),
}
"""Resources that may stand in FROM, and whose fields may be selected with them."""
REPORTS = {"customer", "campaign", "ad_group", "ad_group_ad", "keyword_view", "search_term_view",
           "click_view"}  # fmt: skip
"""Resources with metrics."""
CONVERSION_METRICS = {
    f"metrics.{name}"
    for name in ("conversions", "conversions_value", "all_conversions", "all_conversions_value")
}
"""The only metrics that go with a conversion segment."""
DEVICE_SEGMENTS = {"segments.device", "segments.ad_network_type"}
KEYWORD_SEGMENTS = {"segments.keyword.info.text", "segments.keyword.info.match_type",
                     "segments.keyword.ad_group_criterion"}  # fmt: skip
TERM_SEGMENTS = KEYWORD_SEGMENTS | {"segments.search_term_match_type"}
ACTION_SEGMENTS = {"segments.conversion_action", "segments.conversion_action_name",
                    "segments.conversion_action_category"}  # fmt: skip
SEGMENTS = {
    "customer": ACTION_SEGMENTS,
    "campaign": ACTION_SEGMENTS | DEVICE_SEGMENTS,
    "ad_group": ACTION_SEGMENTS | DEVICE_SEGMENTS,
    "ad_group_ad": ACTION_SEGMENTS | DEVICE_SEGMENTS,
    "keyword_view": ACTION_SEGMENTS | KEYWORD_SEGMENTS,
    "search_term_view": ACTION_SEGMENTS | TERM_SEGMENTS,
    "click_view": DEVICE_SEGMENTS,
}
"""Segments besides the date that go with each report."""
_SUB_TYPES = {"SMART": "SMART_CAMPAIGN"}
_SERVING = {"ENABLED": "SERVING", "PAUSED": "SUSPENDED", "REMOVED": "ENDED"}
_TERMS = [text + tail for text in world.KEYWORD_TEXTS for tail in world.TERM_TAILS]
_TERM_CODES = [base64.urlsafe_b64encode(term.encode()).decode().rstrip("=") for term in _TERMS]


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
    """Rows as columns: `keys` identify them (ids; `day` as ordinal), `matrix` holds the additive figures.

    `records` are rows of what is no entity: customers of a hierarchy; clicks, some without an ad group.
    """

    states: States
    size: int
    keys: dict[str, Any]
    matrix: Ints
    records: list[dict[str, Any]] = field(default_factory=list)
    _entities: dict[str, list[Any]] = field(default_factory=dict)

    @cached_property
    def figures(self) -> dict[str, Ints]:
        """The business' figures of these rows."""
        return world.figures("google_ads", self.matrix)

    def of(self, entity: str) -> list[Any]:
        """Each row's entity."""
        if entity not in self._entities:
            held = getattr(self.states, entity)
            columns = [self.keys[key].tolist() for key in IDENTITY[entity]]
            keys = columns[0] if len(columns) == 1 else zip(*columns, strict=True)
            self._entities[entity] = [None if key is None else held[key] for key in keys]
        return self._entities[entity]

    def take(self, index: Ints | npt.NDArray[np.bool_]) -> Rows:
        """Only the rows at `index`, in its order."""
        keys = {name: column[index] for name, column in self.keys.items()}
        kept = np.arange(self.size)[index]
        records = [self.records[at] for at in kept] if self.records else []
        return Rows(self.states, len(kept), keys, self.matrix[:, index], records)


IDENTITY = {
    "campaign": ("campaign",),
    "ad_group": ("ad_group",),
    "ad": ("ad_group", "ad"),
    "criterion": ("ad_group", "criterion"),
    "action": ("action",),
}
"""Which keys name an entity."""


# --- values


@dataclass(frozen=True)
class Constant:
    """The same value in every row."""

    value: Any


@dataclass(frozen=True)
class Coded:
    """A value of `table` in every row."""

    index: Ints
    table: Sequence[str]


Values = Constant | Coded | Ints | npt.NDArray[np.float64] | list[Any]


@dataclass(frozen=True)
class Field:
    """How a field is printed and computed: `parts` gives the values for each placeholder of `text`.

    A `text` of just "%s" is a JSON value; any other is JSON already.
    """

    text: str
    parts: Callable[[Rows], Sequence[Values]]

    def values(self, rows: Rows) -> list[Any]:
        """The field's values one by one, for comparing: numbers, texts, or None."""
        columns = [plain(part, rows.size) for part in self.parts(rows)]
        if len(columns) == 1:
            return columns[0]
        return [self.text.strip('"') % row for row in zip(*columns, strict=True)]


def plain(part: Values, size: int) -> list[Any]:
    """Values one by one."""
    match part:
        case Constant(value):
            return [value] * size
        case Coded(index, table):
            return [table[at] for at in index.tolist()]
        case np.ndarray():
            return list(part.tolist())
    return part


def _one(text: str, values: Callable[[Rows], Values]) -> Field:
    return Field(text, lambda rows: [values(rows)])


def _id(key: str) -> Field:
    return _one('"%d"', lambda rows: rows.keys[key])


def _own(rows: Rows) -> Constant:
    return Constant(rows.states.account.id)


def _name(kind: str, *keys: str) -> Field:
    """A resource name such as customers/1/adGroupAds/2~3."""
    text = f'"customers/%s/{kind}/' + "~".join(["%d"] * len(keys)) + '"'
    return Field(text, lambda rows: [_own(rows), *(rows.keys[key] for key in keys)])


def _of(entity: str, value: str | Callable[[Any], Any], text: str = "%s") -> Field:
    """An attribute of an entity."""
    get = operator.attrgetter(value) if isinstance(value, str) else value
    return _one(text, lambda rows: [None if one is None else get(one) for one in rows.of(entity)])


def _customer(value: str) -> Field:
    return _one("%s", lambda rows: Constant(getattr(rows.states.account, value)))


def _always(value: Any) -> Field:
    return _one("%s", lambda _: Constant(value))


def _record(name: str, text: str = "%s") -> Field:
    return _one(text, lambda rows: [record[name] for record in rows.records])


def _coded(key: str, table: Sequence[str]) -> Field:
    return _one("%s", lambda rows: Coded(rows.keys[key], table))


def _count(name: str) -> Field:
    return _one('"%d"', lambda rows: rows.figures[name])


def _conversions(name: str) -> Field:
    return _one("%.15g", lambda rows: rows.figures[name] / 100)


def _money(name: str) -> Field:
    return _one("%.15g", lambda rows: rows.figures[name] / rows.states.account.minor_per_unit)


def _micros(minor: Any, account: Account) -> Any:
    return minor * (1_000_000 // account.minor_per_unit)


def _cost(rows: Rows) -> Ints:
    return np.asarray(_micros(rows.figures["spend"], rows.states.account))


def _ratio(above: Callable[[Rows], Ints], below: str) -> Field:
    """A quotient; left out where it is undefined."""

    def values(rows: Rows) -> list[float | None]:
        pairs = zip(above(rows).tolist(), rows.figures[below].tolist(), strict=True)
        return [a / b if b else None for a, b in pairs]

    return _one("%.15g", values)


def _days(rows: Rows) -> Values:
    days = rows.keys["day"]
    first, last = (int(days.min()), int(days.max())) if rows.size else (1, 1)
    table = [date.fromordinal(day).isoformat() for day in range(first, last + 1)]
    return Constant(table[0]) if first == last else Coded(days - first, table)


def _term(rows: Rows) -> Ints:
    return np.asarray(rows.keys["text"] * len(world.TERM_TAILS) + rows.keys["tail"])


def _term_match(rows: Rows) -> Values:
    exact = (rows.keys["tail"] == 0) & (rows.keys["match"] == world.MATCH_TYPES.index("EXACT"))
    return Coded(exact.astype(np.int64), ("BROAD", "EXACT"))


def _budget(rows: Rows) -> list[int]:
    return [_micros(campaign.daily_budget, rows.states.account) for campaign in rows.of("campaign")]


def _bid(rows: Rows) -> list[int | None]:
    account = rows.states.account
    return [None if group.bid is None else _micros(group.bid, account) for group in rows.of("ad_group")]


_BUDGET_NAME = Field(
    '"customers/%s/campaignBudgets/%s"',
    lambda rows: [_own(rows), [campaign.budget_id for campaign in rows.of("campaign")]],
)
_TERM_NAME = Field(
    '"customers/%s/searchTermViews/%d~%d~%s"',
    lambda rows: [_own(rows), rows.keys["campaign"], rows.keys["ad_group"], Coded(_term(rows), _TERM_CODES)],
)
FIELDS: dict[str, Field] = {
    "customer.resource_name": _one('"customers/%s"', _own),
    "customer.id": _one('"%s"', _own),
    "customer.descriptive_name": _customer("name"),
    "customer.currency_code": _customer("currency"),
    "customer.time_zone": _customer("timezone"),
    "customer.manager": _customer("is_manager"),
    "customer.test_account": _always(False),
    "customer.status": _always("ENABLED"),
    "customer_client.resource_name": _record("resource_name"),
    "customer_client.client_customer": _record("client_customer"),
    "customer_client.id": _record("id", '"%s"'),
    "customer_client.level": _record("level", '"%d"'),
    "customer_client.manager": _record("manager"),
    "customer_client.descriptive_name": _record("descriptive_name"),
    "customer_client.currency_code": _record("currency_code"),
    "customer_client.time_zone": _record("time_zone"),
    "customer_client.status": _record("status"),
    "customer_client.hidden": _record("hidden"),
    "customer_client.test_account": _record("test_account"),
    "campaign.resource_name": _name("campaigns", "campaign"),
    "campaign.id": _id("campaign"),
    "campaign.name": _of("campaign", "name"),
    "campaign.status": _of("campaign", "status"),
    "campaign.serving_status": _of("campaign", lambda c: _SERVING[c.status]),
    "campaign.advertising_channel_type": _of("campaign", "kind"),
    "campaign.advertising_channel_sub_type": _of("campaign", lambda c: _SUB_TYPES.get(c.kind)),
    "campaign.bidding_strategy_type": _of("campaign", "bidding"),
    "campaign.start_date_time": _of("campaign", lambda c: f"{c.start_day} 00:00:00"),
    "campaign.end_date_time": _of("campaign", lambda c: f"{c.end_day} 23:59:59"),
    "campaign.campaign_budget": _BUDGET_NAME,
    "campaign_budget.resource_name": _BUDGET_NAME,
    "campaign_budget.id": _of("campaign", lambda c: int(c.budget_id), '"%d"'),
    "campaign_budget.amount_micros": _one('"%d"', _budget),
    "campaign_budget.status": _of("campaign", lambda c: "REMOVED" if c.status == "REMOVED" else "ENABLED"),
    "campaign_budget.delivery_method": _always("STANDARD"),
    "campaign_budget.explicitly_shared": _always(False),
    "ad_group.resource_name": _name("adGroups", "ad_group"),
    "ad_group.id": _id("ad_group"),
    "ad_group.name": _of("ad_group", "name"),
    "ad_group.status": _of("ad_group", "status"),
    "ad_group.type": _of("ad_group", "kind"),
    "ad_group.cpc_bid_micros": _one('"%d"', _bid),
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
    "ad_group_criterion.type": _always("KEYWORD"),
    "ad_group_criterion.negative": _always(False),
    "ad_group_criterion.keyword.text": _of("criterion", "text"),
    "ad_group_criterion.keyword.match_type": _of("criterion", "match_type"),
    "ad_group_criterion.quality_info.quality_score": _of("criterion", "quality_score", "%d"),
    "keyword_view.resource_name": _name("keywordViews", "ad_group", "criterion"),
    "search_term_view.resource_name": _TERM_NAME,
    "search_term_view.search_term": _one("%s", lambda r: Coded(_term(r), _TERMS)),
    "search_term_view.ad_group": _name("adGroups", "ad_group"),
    "search_term_view.status": _coded("tail", ("ADDED", *["NONE"] * (len(world.TERM_TAILS) - 1))),
    "click_view.resource_name": _record("resource_name"),
    "click_view.gclid": _record("gclid"),
    "click_view.ad_group_ad": _record("ad_group_ad"),
    "click_view.keyword": _record("keyword"),
    "conversion_action.resource_name": _name("conversionActions", "action"),
    "conversion_action.id": _id("action"),
    "conversion_action.name": _of("action", "name"),
    "conversion_action.category": _of("action", "category"),
    "conversion_action.status": _of("action", "status"),
    "conversion_action.type": _always("WEBPAGE"),
    "conversion_action.primary_for_goal": _of("action", "primary"),
    "conversion_action.include_in_conversions_metric": _of("action", "primary"),
    "conversion_action.counting_type": _always("ONE_PER_CLICK"),
    "conversion_action.click_through_lookback_window_days": _of("action", "lookback_days", '"%d"'),
    "conversion_action.view_through_lookback_window_days": _one('"%d"', lambda _: Constant(1)),
    "segments.date": _one("%s", _days),
    "segments.device": _coded("device", world.DEVICES),
    "segments.ad_network_type": _coded("network", world.NETWORKS),
    "segments.conversion_action": _name("conversionActions", "action"),
    "segments.conversion_action_name": _of("action", "name"),
    "segments.conversion_action_category": _of("action", "category"),
    "segments.keyword.info.text": _coded("text", world.KEYWORD_TEXTS),
    "segments.keyword.info.match_type": _coded("match", world.MATCH_TYPES),
    "segments.keyword.ad_group_criterion": _name("adGroupCriteria", "ad_group", "criterion"),
    "segments.search_term_match_type": _one("%s", _term_match),
    "metrics.impressions": _count("impressions"),
    "metrics.clicks": _count("clicks"),
    "metrics.interactions": _count("clicks"),
    "metrics.cost_micros": _one('"%d"', _cost),
    "metrics.conversions": _conversions("conversions_x100"),
    "metrics.conversions_value": _money("conversions_value"),
    "metrics.all_conversions": _conversions("all_conversions_x100"),
    "metrics.all_conversions_value": _money("all_conversions_value"),
    "metrics.view_through_conversions": _count("view_through_conversions"),
    "metrics.ctr": _ratio(lambda r: r.figures["clicks"], "impressions"),
    "metrics.average_cpc": _ratio(_cost, "clicks"),
}
"""Every field that the simulator knows. The real API knows many more; here they are UNRECOGNIZED_FIELD."""
