"""Which rows a Google Ads query answers: the business' units and entities, grouped, filtered and ordered."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import cache
from typing import Any

import numpy as np

from simulators import business as world
from simulators.business import Ints, Units
from simulators.figures import placement
from simulators.gaql import Condition, GaqlError, Query
from simulators.google_fields import (
    ACTION_SEGMENTS,
    DEVICE_SEGMENTS,
    FIELDS,
    IDENTITY,
    KEYWORD_SEGMENTS,
    TERM_SEGMENTS,
    Rows,
    States,
)
from simulators.visits import ClickView

_COLUMNS = world.COLUMNS["google_ads"]
_ENTITY = {
    "ad_group_ad": "ad",
    "ad_group_criterion": "criterion",
    "keyword_view": "criterion",
    "conversion_action": "action",
}

Keys = dict[str, Ints]


def entities(states: States, resource: str) -> Rows:
    """One row for each entity of `resource`, removed ones included, without figures."""
    keys: dict[str, Ints] = {}
    size = 1
    entity = _ENTITY.get(resource, resource)
    if entity in IDENTITY:
        held = getattr(states, entity)
        size = len(held)
        columns = [[key] if isinstance(key, int) else list(key) for key in held]
        ids = np.array(columns, dtype=np.int64).reshape(size, len(IDENTITY[entity]))
        keys = {name: ids[:, at] for at, name in enumerate(IDENTITY[entity])}
        if entity not in {"campaign", "action"}:
            keys["campaign"] = np.array([int(one.campaign_id) for one in held.values()], dtype=np.int64)
    elif resource != "customer":
        size = 0
    return Rows(states, size, keys, _no_figures(size))


def clients(states: States, hierarchy: list[dict[str, Any]]) -> Rows:
    """One row for each customer of a hierarchy."""
    return Rows(states, len(hierarchy), {}, _no_figures(len(hierarchy)), hierarchy)


def clicks(states: States, views: list[ClickView], day: date) -> Rows:
    """One row for each click of a day that Google tells of."""
    above = f"customers/{states.account.id}"
    records: list[dict[str, Any]] = [
        {
            "resource_name": f"{above}/clickViews/{day}~{view.gclid}",
            "gclid": view.gclid,
            "ad_group_ad": f"{above}/adGroupAds/{view.ad_group_id}~{view.ad_id}" if view.ad_id else None,
            "keyword": f"{above}/adGroupCriteria/{view.ad_group_id}~{view.criterion_id}"
            if view.criterion_id
            else None,
        }
        for view in views
    ]
    keys: dict[str, Any] = {
        "day": np.full(len(views), day.toordinal()),
        "campaign": np.array([int(view.campaign_id) for view in views], dtype=np.int64),
        "ad_group": np.array([int(view.ad_group_id or 0) or None for view in views], dtype=object),
        "device": np.array([world.DEVICES.index(view.device) for view in views], dtype=np.int64),
        "network": np.array([world.NETWORKS.index(view.network) for view in views], dtype=np.int64),
    }
    matrix = _no_figures(len(views))
    matrix[_COLUMNS.index("clicks")] = 1
    return Rows(states, len(views), keys, matrix, records)


def joined(states: States, parts: list[Rows]) -> Rows:
    """All rows of several parts, one after the other."""
    parts = [part for part in parts if part.size] or parts[:1] or [Rows(states, 0, {}, _no_figures(0))]
    keys = {name: np.concatenate([part.keys[name] for part in parts]) for name in parts[0].keys}
    matrix = np.concatenate([part.matrix for part in parts], axis=1)
    return Rows(states, matrix.shape[1], keys, matrix, [one for part in parts for one in part.records])


def _no_figures(size: int) -> Ints:
    return np.zeros((len(_COLUMNS), size), dtype=np.int64)


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
    """Exact sums over equal keys."""
    whole = joined(states, parts)
    if not whole.keys:
        return replace(
            whole, size=min(whole.size, 1), matrix=_sums(whole.matrix, np.zeros(whole.size, np.int64))[1]
        )
    code = np.unique(np.stack(list(whole.keys.values())), axis=1, return_inverse=True)[1].reshape(-1)
    first, matrix = _sums(whole.matrix, code)
    return Rows(states, len(first), {name: column[first] for name, column in whole.keys.items()}, matrix)


def _day(states: States, resource: str, wanted: set[str], day: date) -> Rows:
    """The rows of one day, each key once."""
    units = states.business.units(states.account, day, states.as_of)
    if resource in {"keyword_view", "search_term_view"}:
        keys, matrix = _keywords(units)
        if resource == "search_term_view":
            keys, matrix = _terms(keys, matrix)
            if not wanted & TERM_SEGMENTS:
                names = ("campaign", "ad_group", "text", "tail")
                merged = _merged(states, [Rows(states, matrix.shape[1], {n: keys[n] for n in names}, matrix)])
                keys, matrix = merged.keys, merged.matrix
        elif not wanted & KEYWORD_SEGMENTS:
            keys = {name: keys[name] for name in ("campaign", "ad_group", "criterion")}
    else:
        if resource in {"ad_group", "ad_group_ad"}:
            units = units.where(units.cause == 0)
        keys, matrix = _unit_rows(units, resource, wanted)
    if wanted & ACTION_SEGMENTS:
        keys, matrix = _by_action(states, keys, matrix)
    return Rows(states, matrix.shape[1], keys, matrix)


def _unit_rows(units: Units, resource: str, wanted: set[str]) -> tuple[Keys, Ints]:
    """Units summed up to `resource`, and to device and network where these are asked for."""
    book, index = units.book, units.index
    if resource == "customer":
        return {}, _sums(units.matrix, np.zeros(len(index), dtype=np.int64))[1]
    level = {"campaign": book.unit_campaign, "ad_group": book.unit_group, "ad_group_ad": book.unit_ad}[
        resource
    ]
    keys: Keys = {"campaign": book.campaign_id[book.unit_campaign[index]]}
    if resource != "campaign":
        keys["ad_group"] = book.group_id[book.unit_group[index]]
    if resource == "ad_group_ad":
        keys["ad"] = book.ad_id[book.unit_ad[index]]
    code = level[index]
    if wanted & DEVICE_SEGMENTS:
        for name, column in zip(("device", "network"), placement(units), strict=True):
            if f"segments.{'ad_network_type' if name == 'network' else name}" in wanted:
                keys[name], code = column, code * 8 + column
    first, matrix = _sums(units.matrix, code)
    return {name: column[first] for name, column in keys.items()}, matrix


def _sums(matrix: Ints, code: Ints) -> tuple[Ints, Ints]:
    """Exact sums over the columns of equal `code`: where each code first occurs, and the summed columns."""
    if not len(code):
        return code, matrix
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(code[order]) != 0])
    return order[starts], np.add.reduceat(matrix[:, order], starts, axis=1)


@cache
def _criterion_ids() -> Ints:
    """Criterion ids by number of text and of match type."""
    texts, matches = range(len(world.KEYWORD_TEXTS)), range(len(world.MATCH_TYPES))
    return np.array([[int(world.criterion_id(text, match)) for match in matches] for text in texts])


def _keywords(units: Units) -> tuple[Keys, Ints]:
    """`Business.keyword_days` as columns: every search ad group's figures divided over its keywords."""
    book = units.book
    search = np.array([kind == "SEARCH" for kind in book.kinds])
    units = units.where(search[book.campaign_kind[book.unit_campaign[units.index]]])
    groups, matrix = units.summed(book.unit_group[units.index])
    number = np.arange(world.KEYWORDS_PER_GROUP)
    weights = 1 + (world.mix(book.group_key[groups][:, None], 22, number) % np.uint64(9)).astype(np.int64)
    upto = np.cumsum(weights, axis=1)
    parts = np.diff(matrix[:, :, None] * upto // upto[:, -1:], axis=2, prepend=0).reshape(len(matrix), -1)
    text, match = (column.reshape(-1) for column in np.moveaxis(world.keyword_choice(book)[groups], 2, 0))
    keys = {
        "campaign": np.repeat(book.campaign_id[book.group_campaign[groups]], len(number)),
        "ad_group": np.repeat(book.group_id[groups], len(number)),
        "criterion": _criterion_ids()[text, match],
        "text": text,
        "match": match,
    }
    some = parts.any(axis=0)
    return {name: column[some] for name, column in keys.items()}, parts[:, some]


def _terms(keys: Keys, matrix: Ints) -> tuple[Keys, Ints]:
    """`Business.search_term_days` as columns: three terms a keyword, the rest withheld."""
    shares = np.array(world.TERM_SHARES, dtype=np.int64)
    parts = np.diff(matrix[:, :, None] * shares // 1000, axis=2, prepend=0).reshape(len(matrix), -1)
    some = parts.any(axis=0)
    tail = np.tile(np.arange(len(shares)), matrix.shape[1])
    wide = {name: np.repeat(column, len(shares)) for name, column in keys.items()} | {"tail": tail}
    return {name: column[some] for name, column in wide.items()}, parts[:, some]


def _by_action(states: States, keys: Keys, matrix: Ints) -> tuple[Keys, Ints]:
    """Every row once for each conversion action, with that action's conversions and nothing else."""
    ids = np.array(list(states.action), dtype=np.int64)
    size = matrix.shape[1]
    wide = np.zeros((len(matrix), size * len(ids)), dtype=np.int64)
    for number in range(len(ids)):
        for name in (f"conv{number}", f"value{number}"):
            at = _COLUMNS.index(name)
            wide[at, number * size : (number + 1) * size] = matrix[at]
    some = wide.any(axis=0)
    repeated = {name: np.tile(column, len(ids)) for name, column in keys.items()}
    keys = repeated | {"action": np.repeat(ids, size)}
    return {name: column[some] for name, column in keys.items()}, wide[:, some]


# --- conditions and order


def check_condition(term: Condition) -> None:
    """Whether the operator and its operands go with the field; raises `GaqlError`."""
    _test(term)
    if FIELDS[term.field].text == "%s" or "/" in FIELDS[term.field].text or "LIKE" in term.operator:
        return
    for operand in term.values:
        try:
            float(operand)
        except ValueError:
            raise GaqlError("BAD_NUMBER", f"Error in query: {operand} is not a number.") from None


def matching(rows: Rows, query: Query) -> Rows:
    """The rows that meet WHERE; `segments.date` is met already."""
    for term in query.where:
        if term.field != "segments.date" and rows.size:
            test = _test(term)
            rows = rows.take(np.array([test(value) for value in FIELDS[term.field].values(rows)], dtype=bool))
    return rows


def ordered(rows: Rows, query: Query) -> Rows:
    """The rows in the order that ORDER BY asks for."""
    order = list(range(rows.size))
    for name, descending in reversed(query.order):
        values = FIELDS[name].values(rows)
        order.sort(key=lambda at: (values[at] is not None, values[at]), reverse=descending)
    return rows.take(np.array(order, dtype=np.int64)) if query.order else rows


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
    return (value, float(text)) if isinstance(value, int | float | np.number) else (value, text)
