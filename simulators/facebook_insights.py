"""Meta's insights: the parameters of a report, and its rows as JSON text, page by page.

Rows come day by day and are made when their page is asked for: a report of millions of rows costs no memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from simulators.business import (
    ACTION_WINDOWS,
    COLUMNS,
    META_LEADS,
    META_PURCHASES,
    Account,
    Book,
    Business,
    Ints,
    Units,
    sums,
)


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


LEVELS = ("account", "campaign", "adset", "ad")
RETENTION_MONTHS = 37
NO_DATA_WINDOWS = _names(
    """
    7d_view 28d_view 1d_ev dda skan_view skan_click skan_click_second_postback
    skan_view_second_postback skan_click_third_postback skan_view_third_postback
    """
)
_OTHER_FIELDS = _names(
    """
    unique_clicks unique_ctr cost_per_action_type cost_per_unique_click outbound_clicks conversions
    conversion_values purchase_roas website_purchase_roas unique_actions video_play_actions
    social_spend video_p25_watched_actions video_p50_watched_actions video_p75_watched_actions
    video_p100_watched_actions video_30_sec_watched_actions quality_ranking canvas_avg_view_time
    inline_post_engagement cost_per_inline_link_click inline_link_click_ctr full_view_reach
    """
)


def _last(n: int, today: date) -> tuple[date, date]:
    return today - timedelta(n), today - timedelta(1)


_PRESETS: Mapping[str, Callable[[date], tuple[date, date]]] = {
    "today": lambda d: (d, d),
    "yesterday": lambda d: (d - timedelta(1), d - timedelta(1)),
    "this_month": lambda d: (d.replace(day=1), d),
    "last_month": lambda d: (
        (d.replace(day=1) - timedelta(1)).replace(day=1),
        d.replace(day=1) - timedelta(1),
    ),
    **{f"last_{n}d": partial(_last, n) for n in (3, 7, 14, 28, 30, 90)},
}


class BadQuery(Exception):
    """A report that Meta refuses: HTTP 400 with this text and code."""

    def __init__(self, message: str, code: int = 100) -> None:
        """`code` is Meta's error code."""
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Filter:
    """One element of `filtering`, on a field that the simulator knows."""

    field: str
    operator: str
    values: tuple[str, ...]

    def holds(self, value: str) -> bool:
        """Whether an object's own value passes."""
        match self.operator:
            case "IN" | "EQUAL":
                return value in self.values
            case "NOT_IN" | "NOT_EQUAL":
                return value not in self.values
            case "CONTAIN":
                return self.values[0] in value
            case "GREATER_THAN":
                return float(value) > float(self.values[0])
            case "LESS_THAN":
                return float(value) < float(self.values[0])
        raise BadQuery(f"(#100) Operator {self.operator} is not supported for filtering field {self.field}")


@dataclass(frozen=True)
class Query:
    """A report as asked for: one per (account, parameters, instant)."""

    account: Account
    node: tuple[str, str] | None
    """("campaign" | "adset" | "ad", id) if asked below an object"""
    level: str
    fields: tuple[str, ...]
    buckets: tuple[tuple[date, date], ...]
    windows: tuple[str, ...]
    filters: tuple[Filter, ...]
    as_of: datetime

    @property
    def resource(self) -> str:
        """The name that faults and logs know it by."""
        return f"insights_{self.level}"


def json_param(params: Mapping[str, str], name: str) -> Any:
    """A parameter that is JSON; None if absent. Raises BadQuery if it is no JSON."""
    if not params.get(name):
        return None
    try:
        return msgspec.json.decode(params[name])
    except msgspec.DecodeError as error:
        raise BadQuery(f"(#100) param {name} must be valid JSON") from error


def list_param(params: Mapping[str, str], name: str) -> list[str]:
    """A parameter that is a JSON list, or names with commas between them."""
    text = params.get(name, "")
    if text.startswith("["):
        return [str(one) for one in json_param(params, name)]
    return [one.strip() for one in text.split(",") if one.strip()]


def filters(params: Mapping[str, str]) -> tuple[Filter, ...]:
    """The `filtering` parameter. Raises BadQuery if it has not Meta's form."""
    out = []
    for one in json_param(params, "filtering") or []:
        try:
            value = one["value"]
            values = value if isinstance(value, list) else [value]
            out.append(Filter(one["field"], one["operator"].upper(), tuple(str(each) for each in values)))
        except (KeyError, TypeError, AttributeError) as error:
            raise BadQuery("(#100) param filtering must be an array of {field, operator, value}") from error
    return tuple(out)


def parse(
    account: Account, node: tuple[str, str] | None, params: Mapping[str, str], as_of: datetime
) -> Query:
    """The report that the parameters ask for. Raises BadQuery where Meta answers 400."""
    level = params.get("level") or (node[0] if node else "account")
    if level not in LEVELS:
        raise BadQuery(f"(#100) level must be one of the following values: {', '.join(LEVELS)}")
    if list_param(params, "breakdowns"):
        raise BadQuery("(#100) This simulator has no breakdowns")
    fields = tuple(list_param(params, "fields")) or ("account_id", "impressions", "spend")
    unknown = [name for name in fields if name not in FIELDS and name not in _OTHER_FIELDS]
    if unknown:
        raise BadQuery(
            f"(#100) {', '.join(unknown)} are not valid for fields param. please check https://developers."
            "facebook.com/docs/marketing-api/reference/ads-insights/ for all valid values"
        )
    windows = list_param(params, "action_attribution_windows")
    bad = [one for one in windows if one not in ACTION_WINDOWS and one not in NO_DATA_WINDOWS | {"default"}]
    if bad:
        raise BadQuery(f"(#100) action_attribution_windows has values that do not exist: {', '.join(bad)}")
    return Query(
        account,
        node,
        level,
        tuple(dict.fromkeys(fields)),
        tuple(_buckets(params, as_of.astimezone(account.zone).date())),
        tuple(one for one in ACTION_WINDOWS if one in windows),
        filters(params),
        as_of,
    )


def _floor(today: date) -> date:
    months = today.year * 12 + today.month - 1 - RETENTION_MONTHS
    return date(months // 12, months % 12 + 1, min(today.day, 28))


def _spans(params: Mapping[str, str], today: date) -> list[tuple[date, date]]:
    """The time ranges asked for; the last 30 days if none."""
    one = json_param(params, "time_range")
    ranges = json_param(params, "time_ranges") or ([one] if one else None)
    if ranges:
        try:
            return [(date.fromisoformat(each["since"]), date.fromisoformat(each["until"])) for each in ranges]
        except (KeyError, TypeError, ValueError) as error:
            raise BadQuery('(#100) time_range must be {"since":"YYYY-MM-DD","until":"YYYY-MM-DD"}') from error
    preset = params.get("date_preset", "last_30d")
    if preset == "maximum":
        return [(_floor(today), today)]
    if preset not in _PRESETS:
        raise BadQuery(f"(#100) date_preset {preset} does not exist in this simulator")
    return [_PRESETS[preset](today)]


def _buckets(params: Mapping[str, str], today: date) -> Iterator[tuple[date, date]]:
    step = params.get("time_increment", "all_days").strip('"')
    if step not in ("all_days", "monthly") and not (step.isdigit() and 1 <= int(step) <= 90):
        raise BadQuery("(#100) time_increment must be an integer between 1 and 90, monthly or all_days")
    for since, until in _spans(params, today):
        if since > until:
            raise BadQuery("(#100) Parameter time_range: since must not be after until")
        if since < _floor(today):
            raise BadQuery(
                "(#3018) The start date of the time range cannot be beyond 37 months from the current date",
                3018,
            )
        day = since
        while day <= until:
            if step == "all_days":
                last = until
            elif step == "monthly":
                last = min((day.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1), until)
            else:
                last = min(day + timedelta(int(step) - 1), until)
            yield day, last
            day = last + timedelta(1)


# --------------------------------------------------------------------------------------------------- rows
@dataclass(frozen=True)
class Table:
    """The rows of one bucket: which entity each is (index into its level's columns of the book), and sums."""

    book: Book
    entity: Ints
    matrix: Ints
    since: date
    until: date


class Insights:
    """Reports out of a business."""

    def __init__(self, business: Business) -> None:
        """Tables of the last few buckets are kept, for the pages that follow."""
        self._business = business
        self._tables: OrderedDict[tuple[Any, ...], Table] = OrderedDict()

    def page(
        self, query: Query, cursor: int, limit: int, dress: Dress, withheld: Mapping[str, Any] | None = None
    ) -> tuple[list[str], int | None]:
        """Up to `limit` rows from `cursor` on as JSON text, and the next page's cursor or None at the end.

        A cursor is bucket << 40 | row.
        """
        bucket, row = cursor >> 40, cursor & (1 << 40) - 1
        out: list[str] = []
        while bucket < len(query.buckets):
            table = self._table(query, bucket, withheld)
            if row < len(table.entity):
                if len(out) == limit:
                    return out, bucket << 40 | row
                upto = min(len(table.entity), row + limit - len(out))
                out += self._rows(query, table, slice(row, upto), dress)
                row = upto
            if row >= len(table.entity):
                bucket, row = bucket + 1, 0
        return out, None

    def exceeds(self, query: Query, rows: int) -> bool:
        """Whether the whole report has more than `rows` rows."""
        count = 0
        for bucket in range(len(query.buckets)):
            count += len(self._table(query, bucket, None).entity)
            if count > rows:
                return True
        return False

    def _table(self, query: Query, bucket: int, withheld: Mapping[str, Any] | None) -> Table:
        key = (
            query.account.id, query.node, query.level, query.buckets[bucket], query.filters, query.as_of,
            repr(withheld),
        )  # fmt: skip
        if key in self._tables:
            self._tables.move_to_end(key)
            return self._tables[key]
        table = self._tables[key] = self._compute(query, *query.buckets[bucket], withheld)
        while len(self._tables) > 8:
            self._tables.popitem(last=False)
        return table

    def _compute(self, query: Query, since: date, until: date, withheld: Mapping[str, Any] | None) -> Table:
        today = query.as_of.astimezone(query.account.zone).date()
        days = [since + timedelta(n) for n in range((min(until, today) - since).days + 1)]
        book = self._business.book(query.account)
        parts = [
            self._shown(query, self._business.units(query.account, day, query.as_of), day, withheld)
            for day in days
        ]
        index = np.concatenate([np.zeros(0, dtype=np.int64), *(part.index for part in parts)])
        matrix = np.concatenate(
            [np.zeros((len(COLUMNS["facebook_ads"]), 0), dtype=np.int64), *(part.matrix for part in parts)],
            axis=1,
        )
        if query.level == "ad" and len(days) == 1:
            return Table(book, book.unit_ad[index], matrix, since, until)
        entity = {
            "ad": book.unit_ad,
            "adset": book.unit_group,
            "campaign": book.unit_campaign,
            "account": np.zeros(len(book.unit_ad), dtype=np.int64),
        }[query.level][index]
        values, summed = sums(matrix, entity)
        # people reached by two ads are counted once: less than the sum, so that adding reach up shows
        several = np.unique(entity, return_counts=True)[1] > 1
        reach = COLUMNS["facebook_ads"].index("reach")
        summed[reach] -= several * (summed[reach] // 7)
        return Table(book, values, summed, since, until)

    def _shown(self, query: Query, units: Units, day: date, withheld: Mapping[str, Any] | None) -> Units:
        book = units.book
        mask = np.ones(len(units), dtype=np.bool_)
        if query.level == "ad":
            mask &= units.cause == 0
            if not any(one.field == "ad.effective_status" for one in query.filters):
                status = self._business.states(query.account, query.as_of).ad_effective
                mask &= status[book.unit_ad[units.index]] != "DELETED"
            if (
                withheld is not None
                and withheld.get("day", day.isoformat()) == day.isoformat()
                and len(units)
            ):
                ids = book.campaign_id[book.unit_campaign[units.index]]
                mask &= ids != int(withheld.get("campaign") or ids[mask].min(initial=ids.max()))
        if query.node:
            kind, id_ = query.node
            mask &= _ids(book, kind)[_of(book, kind)[units.index]] == int(id_)
        for one in query.filters:
            mask &= self._passes(query, one, book)[units.index] if len(units) else True
        return units.where(mask)

    def _passes(self, query: Query, one: Filter, book: Book) -> npt.NDArray[np.bool_]:
        """Per unit of the book: whether it passes a filter on an object's id or status."""
        kind, _, name = one.field.rpartition(".")
        kind = kind or query.level
        if kind not in ("campaign", "adset", "ad") or name not in ("id", "effective_status"):
            raise BadQuery(f"(#100) Filtering field {one.field} is not supported by this simulator")
        if name == "id":
            values = _ids(book, kind).astype(str).astype(object)
        else:
            states = self._business.states(query.account, query.as_of)
            values = {
                "campaign": states.campaign_status,
                "adset": states.group_effective,
                "ad": states.ad_effective,
            }[kind]
        verdict = {value: one.holds(value) for value in set(values.tolist())}
        passing = np.array([verdict[value] for value in values.tolist()], dtype=np.bool_)
        return passing[_of(book, kind)]

    def _rows(self, query: Query, table: Table, part: slice, dress: Dress) -> list[str]:
        book, entity = table.book, table.entity[part]
        col = dict(zip(COLUMNS["facebook_ads"], table.matrix[:, part].tolist(), strict=True))
        row = _Row(self._business, query, book, entity, col, len(entity))
        same, cells = f'"date_start":"{table.since}","date_stop":"{table.until}"{dress.extra}', []
        for name in query.fields:
            if name in ("date_start", "date_stop") or name not in FIELDS or not dress.keeps(name):
                continue
            if name in CONSTANT:
                same = f"{dress.column(name, FIELDS[name](row))[0]},{same}"
            else:
                cells.append(dress.column(name, FIELDS[name](row)))
        rows = [",".join(filter(None, each)) for each in zip(*cells, strict=True)] or [""] * row.count
        return [f"{{{own},{same}}}" if own else f"{{{same}}}" for own in rows]


@dataclass(frozen=True)
class Dress:
    """What faults do to the fields of rows."""

    new: Mapping[str, Any] | None = None
    vanished: Mapping[str, Any] | None = None
    changed: Mapping[str, Any] | None = None

    @property
    def extra(self) -> str:
        """The added field as JSON text with a comma before it."""
        if self.new is None:
            return ""
        value = msgspec.json.encode(self.new.get("value", "1")).decode()
        return f',"{self.new.get("field", "new_metric")}":{value}'

    def keeps(self, name: str) -> bool:
        """False for the vanished field."""
        return self.vanished is None or self.vanished.get("field", "clicks") != name

    def column(self, name: str, cells: list[str]) -> list[str]:
        """The cells of a field, retyped if it is the changed one."""
        if self.changed is None or self.changed.get("field", "clicks") != name:
            return cells
        head = len(name) + 3
        if "value" in self.changed:
            value = msgspec.json.encode(self.changed["value"]).decode()
            return [f'"{name}":{value}' for _ in cells]
        return [cell and f'"{name}":[{cell[head:]}]' for cell in cells]

    def object(self, one: dict[str, Any]) -> dict[str, Any]:
        """The same for an entity."""
        if self.new is not None:
            one = {**one, self.new.get("field", "new_metric"): self.new.get("value", "1")}
        if self.vanished is not None:
            one = {name: value for name, value in one.items() if self.keeps(name)}
        if self.changed is not None and (name := self.changed.get("field", "name")) in one:
            one = {**one, name: self.changed.get("value", [one[name]])}
        return one


@dataclass(frozen=True)
class _Row:
    """Columns of one page's part of a table, from which fields write their cells."""

    business: Business
    query: Query
    book: Book
    entity: Ints
    col: dict[str, list[int]]
    count: int


def _ids(book: Book, kind: str) -> Ints:
    return {"campaign": book.campaign_id, "adset": book.group_id, "ad": book.ad_id}[kind]


def _of(book: Book, kind: str) -> Ints:
    """Each unit's entity of a kind."""
    return {"campaign": book.unit_campaign, "adset": book.unit_group, "ad": book.unit_ad}[kind]


def _entity_of(row: _Row, kind: str) -> Ints | None:
    """Each row's entity of a kind; None if the level is above it."""
    level = row.query.level
    if LEVELS.index(kind) > LEVELS.index(level):
        return None
    if kind == level:
        return row.entity
    if level == "ad":
        return (row.book.ad_campaign if kind == "campaign" else row.book.ad_group)[row.entity]
    return row.book.group_campaign[row.entity]


def _id(kind: str) -> Callable[[_Row], list[str]]:
    def cells(row: _Row) -> list[str]:
        entity = _entity_of(row, kind)
        if entity is None:
            return [""] * row.count
        return [f'"{kind}_id":"{one}"' for one in _ids(row.book, kind)[entity].tolist()]

    return cells


def _from_object(name: str, kind: str, get: Callable[[Any], str]) -> Callable[[_Row], list[str]]:
    def cells(row: _Row) -> list[str]:
        entity = _entity_of(row, kind)
        if entity is None:
            return [""] * row.count
        listed: dict[str, Any] = row.business.by_id(row.query.account, kind, row.query.as_of)
        ids = _ids(row.book, kind)[entity].tolist()
        return [
            f'"{name}":{msgspec.json.encode(get(listed[str(one)])).decode()}' if str(one) in listed else ""
            for one in ids
        ]

    return cells


def _constant(name: str, get: Callable[[Account], str]) -> Callable[[_Row], list[str]]:
    """One cell for all rows of an account."""

    def cells(row: _Row) -> list[str]:
        return [f'"{name}":{msgspec.json.encode(get(row.query.account)).decode()}']

    return cells


def _metric(name: str, column: str) -> Callable[[_Row], list[str]]:
    def cells(row: _Row) -> list[str]:
        return [f'"{name}":"{value}"' for value in row.col[column]]

    return cells


def _money(minor: int, per_unit: int) -> str:
    return str(minor) if per_unit == 1 else f"{minor // 100}.{minor % 100:02d}"


def _spend(row: _Row) -> list[str]:
    if row.query.account.minor_per_unit == 1:
        return [f'"spend":"{value}"' for value in row.col["spend"]]
    return [f'"spend":"{value // 100}.{value % 100:02d}"' for value in row.col["spend"]]


def _ratio(
    name: str, above: str, below: str, factor: int, *, money: bool = False
) -> Callable[[_Row], list[str]]:
    """Omitted where the denominator is zero; up to six decimals."""

    def cells(row: _Row) -> list[str]:
        scale = factor / (row.query.account.minor_per_unit if money else 1)
        return [
            f'"{name}":"{f"{top * scale / bottom:.6f}".rstrip("0").rstrip(".")}"' if bottom else ""
            for top, bottom in zip(row.col[above], row.col[below], strict=True)
        ]

    return cells


_PURCHASES = tuple(f'{{"action_type":"{kind}"' for kind in META_PURCHASES)
_LEADS = tuple(f'{{"action_type":"{kind}"' for kind in META_LEADS)


class _Texts(dict[Any, str]):
    """Texts by value, each made once per page: most rows of a page have small and equal counts."""

    def __init__(self, make: Callable[[Any], str]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> str:
        text = self[key] = self._make(key)
        return text


def _actions(row: _Row) -> list[str]:
    """Every action type of each row that has any; in no stable order, as on the real platform."""
    col, windows = row.col, row.query.windows
    at_once = _Texts(lambda value: _at_once(value, windows))
    windowed = _Texts(lambda counts: _windowed(counts, windows, str))
    purchases = zip(*(col[name] for name in ("p1", "p7", "p28", "pv")), strict=True)
    leads = zip(*(col[name] for name in ("l1", "l7", "l28", "lv")), strict=True)
    out = []
    for click, reaction, like, bought, led in zip(
        col["link_clicks"], col["reactions"], col["likes"], purchases, leads, strict=True
    ):
        parts = []
        if click:
            parts.append('{"action_type":"link_click"' + at_once[click])
        if reaction:
            parts.append('{"action_type":"post_reaction"' + at_once[reaction])
        if like:
            parts.append('{"action_type":"like"' + at_once[like])
        if post := click + reaction:
            parts.append('{"action_type":"post_engagement"' + at_once[post])
        if every := post + like:
            parts.append('{"action_type":"page_engagement"' + at_once[every])
        if tail := windowed[bought]:
            parts += [head + tail for head in _PURCHASES]
        if tail := windowed[led]:
            parts += [head + tail for head in _LEADS]
        if turn := every % 3:
            parts = parts[turn:] + parts[:turn]
        out.append('"actions":[' + ",".join(parts) + "]" if parts else "")
    return out


def _action_values(row: _Row) -> list[str]:
    windows, per_unit = row.query.windows, row.query.account.minor_per_unit
    out = []
    for counts in zip(*(row.col[name] for name in ("pm1", "pm7", "pm28", "pmv")), strict=True):
        tail = _windowed(counts, windows, lambda minor: _money(minor, per_unit)) if any(counts) else ""
        parts = [head + tail for head in _PURCHASES] if tail else []
        out.append(f'"action_values":[{",".join(parts)}]' if parts else "")
    return out


def _at_once(value: int, windows: tuple[str, ...]) -> str:
    """The end of an element for what counts at once: click windows say the same, a view window nothing."""
    keys = "".join(f',"{window}":"{value}"' for window in windows if window.endswith("click"))
    return f',"value":"{value}"{keys}}}'


def _windowed(counts: Any, windows: tuple[str, ...], write: Callable[[int], str]) -> str:
    """The end of an action's element, or "" where nothing that was asked for has a value."""
    one, seven, month, view = counts
    by_window = {"1d_click": one, "7d_click": one + seven, "28d_click": one + seven + month, "1d_view": view}
    default = one + seven + view
    head = f',"value":"{write(default)}"' if default else ""
    keys = "".join(f',"{window}":"{write(by_window[window])}"' for window in windows if by_window[window])
    return f"{head}{keys}}}" if head or keys else ""


FIELDS: dict[str, Callable[[_Row], list[str]]] = {
    "account_id": _constant("account_id", lambda account: account.id),
    "account_name": _constant("account_name", lambda account: account.name),
    "account_currency": _constant("account_currency", lambda account: account.currency),
    "campaign_id": _id("campaign"),
    "adset_id": _id("adset"),
    "ad_id": _id("ad"),
    "campaign_name": _from_object("campaign_name", "campaign", lambda one: one.name),
    "adset_name": _from_object("adset_name", "adset", lambda one: one.name),
    "ad_name": _from_object("ad_name", "ad", lambda one: one.name),
    "objective": _from_object("objective", "campaign", lambda one: one.kind),
    "optimization_goal": _from_object("optimization_goal", "adset", lambda one: one.kind),
    "buying_type": _constant("buying_type", lambda _: "AUCTION"),
    "attribution_setting": _constant("attribution_setting", lambda _: "7d_click_1d_view"),
    "impressions": _metric("impressions", "impressions"),
    "clicks": _metric("clicks", "clicks"),
    "inline_link_clicks": _metric("inline_link_clicks", "link_clicks"),
    "reach": _metric("reach", "reach"),
    "spend": _spend,
    "frequency": _ratio("frequency", "impressions", "reach", 1),
    "ctr": _ratio("ctr", "clicks", "impressions", 100),
    "cpc": _ratio("cpc", "spend", "clicks", 1, money=True),
    "cpm": _ratio("cpm", "spend", "impressions", 1000, money=True),
    "cpp": _ratio("cpp", "spend", "reach", 1000, money=True),
    "actions": _actions,
    "action_values": _action_values,
    "date_start": lambda row: [""] * row.count,
    "date_stop": lambda row: [""] * row.count,
}
CONSTANT = {"account_id", "account_name", "account_currency", "buying_type", "attribution_setting"}
"""Fields that every row of an account says alike: one cell, not one per row."""


def _own_date(name: str, get: Callable[[Any], datetime]) -> Callable[[_Row], list[str]]:
    """The date (as recorded: without a time of day) of the level's own object; not of the row."""

    def cells(row: _Row) -> list[str]:
        if row.query.level == "account":
            return [""] * row.count
        return _from_object(name, row.query.level, lambda one: get(one).date().isoformat())(row)

    return cells


FIELDS["created_time"] = _own_date("created_time", lambda one: one.created_at)
FIELDS["updated_time"] = _own_date("updated_time", lambda one: one.updated_at)
