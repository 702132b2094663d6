"""Google Ads Query Language: text to a `Query`, with the API's own error codes.

Grammar: https://developers.google.com/google-ads/api/docs/query/grammar. Whether a field exists is decided by
whoever answers the query.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

OPERATORS = ("NOT REGEXP_MATCH", "REGEXP_MATCH", "CONTAINS ANY", "CONTAINS ALL", "CONTAINS NONE",
             "NOT LIKE", "LIKE", "NOT IN", "IN", "IS NOT NULL", "IS NULL", "BETWEEN", "DURING",
             "!=", "<=", ">=", "=", "<", ">")  # fmt: skip
_LISTS = {"IN", "NOT IN", "CONTAINS ANY", "CONTAINS ALL", "CONTAINS NONE"}
_TOKEN = re.compile(
    r"""\s+ | (?P<text>'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*") | (?P<number>-?\d+(?:\.\d+)?\b)
      | (?P<word>[A-Za-z_][\w.]*) | (?P<symbol>!=|<=|>=|[=<>(),]) | (?P<bad>.)""",
    re.VERBOSE,
)
_PARAMETERS = {"include_drafts", "omit_unselected_resource_names"}


class GaqlError(ValueError):
    """A query that the API refuses. `family` and `code` are those of the API's `errorCode` object."""

    def __init__(self, code: str, message: str, family: str = "queryError") -> None:
        """Most codes are of the family `queryError`."""
        super().__init__(message)
        self.family, self.code = family, code


@dataclass(frozen=True)
class Condition:
    """One term of WHERE: `values` holds the operands as text, none for IS NULL and two for BETWEEN."""

    field: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Query:
    """A parsed query. `order` holds (field, descending)."""

    fields: tuple[str, ...]
    resource: str
    where: tuple[Condition, ...] = ()
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    parameters: dict[str, bool] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The selected `metrics.*` fields."""
        return tuple(name for name in self.fields if name.startswith("metrics."))

    @property
    def segments(self) -> tuple[str, ...]:
        """The selected `segments.*` fields."""
        return tuple(name for name in self.fields if name.startswith("segments."))

    def dates(self, today: date) -> tuple[date | None, date | None]:
        """The inclusive range that the conditions on `segments.date` leave; None = that side is open.

        `today` is the customer's own day. Raises `GaqlError` on a malformed date or unknown DURING literal.
        """
        since: date | None = None
        until: date | None = None
        for term in self.where:
            if term.field != "segments.date":
                continue
            low, high = _bounds(term, today)
            since = low if since is None else max(since, low or since)
            until = high if until is None else min(until, high or until)
        return since, until


def parse(text: str) -> Query:
    """Parse `text`; raises `GaqlError` with the code that the API gives."""
    return _Parser(list(_tokens(text))).query()


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        kind, value = match.lastgroup, match.group()
        if kind == "bad":
            if value in "'\"":
                raise GaqlError("STRING_NOT_TERMINATED", f"Error in query: string not terminated: {value}.")
            raise GaqlError("BAD_SYMBOL", f"Error in query: unexpected symbol {value}.")
        if kind == "text":
            yield kind, re.sub(r"\\(.)", r"\1", value[1:-1])
        elif kind:
            yield kind, value


class _Parser:
    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self.tokens, self.at = tokens, 0

    def query(self) -> Query:
        if not self.take("SELECT"):
            raise GaqlError("EXPECTED_SELECT", "Error in query: expected SELECT clause.")
        fields = tuple(self.names())
        if not self.take("FROM"):
            raise GaqlError("EXPECTED_FROM", "Error in query: expected FROM clause.")
        resource = self.word()
        where = tuple(self.conditions()) if self.take("WHERE") else ()
        order = tuple(self.ordering()) if self.take("ORDER") else ()
        limit = self.limit() if self.take("LIMIT") else None
        parameters = dict(self.parameters()) if self.take("PARAMETERS") else {}
        if self.at < len(self.tokens):
            raise GaqlError(
                "UNEXPECTED_INPUT", f"Error in query: unexpected input {self.tokens[self.at][1]}."
            )
        return Query(fields, resource, where, order, limit, parameters)

    def take(self, *words: str) -> bool:
        """Step over `words` (keywords in any case, or symbols) when they come next."""
        ahead = self.tokens[self.at : self.at + len(words)]
        if len(ahead) < len(words) or any(
            kind not in {"word", "symbol"} or value.upper() != word
            for (kind, value), word in zip(ahead, words, strict=True)
        ):
            return False
        self.at += len(words)
        return True

    def next(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise GaqlError("UNEXPECTED_END_OF_QUERY", "Error in query: unexpected end of query.")
        self.at += 1
        return self.tokens[self.at - 1]

    def word(self) -> str:
        kind, value = self.next()
        if kind != "word":
            raise GaqlError("UNEXPECTED_INPUT", f"Error in query: unexpected input {value}.")
        return value

    def names(self) -> Iterator[str]:
        yield self.word()
        while self.take(","):
            yield self.word()

    def conditions(self) -> Iterator[Condition]:
        yield self.condition()
        while self.take("AND"):
            yield self.condition()

    def condition(self) -> Condition:
        name = self.word()
        for operator in OPERATORS:
            if self.take(*operator.split()):
                return Condition(name, operator, tuple(self.operands(operator)))
        raise GaqlError("BAD_OPERATOR", f"Error in query: expected an operator after {name}.")

    def operands(self, operator: str) -> Iterator[str]:
        if operator in {"IS NULL", "IS NOT NULL"}:
            return
        if operator in _LISTS:
            if not self.take("("):
                raise GaqlError("EXPECTED_LIST", f"Error in query: {operator} expects a list in parentheses.")
            if self.take(")"):
                raise GaqlError("PROHIBITED_EMPTY_LIST_IN_CONDITION", "Error in query: empty list.")
            yield self.value()
            while self.take(","):
                yield self.value()
            if not self.take(")"):
                raise GaqlError("EXPECTED_LIST", "Error in query: list not closed.")
            return
        yield self.value()
        if operator == "BETWEEN":
            if not self.take("AND"):
                raise GaqlError("EXPECTED_AND", "Error in query: BETWEEN expects AND.")
            yield self.value()

    def value(self) -> str:
        kind, value = self.next()
        if kind == "symbol":
            raise GaqlError("BAD_VALUE", f"Error in query: expected a value, not {value}.")
        return value

    def ordering(self) -> Iterator[tuple[str, bool]]:
        if not self.take("BY"):
            raise GaqlError("EXPECTED_BY", "Error in query: expected BY after ORDER.")
        while True:
            name = self.word()
            descending = self.take("DESC")
            if not descending:
                self.take("ASC")
            yield name, descending
            if not self.take(","):
                return

    def limit(self) -> int:
        kind, value = self.next()
        if kind != "number" or not value.isdigit():
            raise GaqlError("BAD_LIMIT_VALUE", f"Error in query: bad LIMIT value {value}.")
        if int(value) < 1:
            raise GaqlError("LIMIT_VALUE_TOO_LOW", "Error in query: LIMIT must be at least 1.")
        return int(value)

    def parameters(self) -> Iterator[tuple[str, bool]]:
        while True:
            name = self.word()
            if name not in _PARAMETERS:
                raise GaqlError("BAD_PARAMETER_NAME", f"Error in query: unknown parameter {name}.")
            value = self.value().lower() if self.take("=") else ""
            if value not in {"true", "false"}:
                raise GaqlError("BAD_PARAMETER_VALUE", f"Error in query: {name} must be true or false.")
            yield name, value == "true"
            if not self.take(","):
                return


def _day(text: str) -> date:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}|\d{8}", text):
        raise GaqlError("INVALID_DATE_FORMAT", f"Error in query: '{text}' is not a date (yyyy-MM-dd).")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise GaqlError("INVALID_STRING_DATE", f"'{text}' is not a date.", "dateError") from None


def _bounds(term: Condition, today: date) -> tuple[date | None, date | None]:
    if term.operator == "DURING":
        return during(term.values[0], today)
    days = [_day(value) for value in term.values]
    one = timedelta(days=1)
    if term.operator in {"=", "BETWEEN"}:
        return days[0], days[-1]
    if term.operator in {">", ">="}:
        return days[0] + (one if term.operator == ">" else 0 * one), None
    if term.operator in {"<", "<="}:
        return None, days[0] - (one if term.operator == "<" else 0 * one)
    raise GaqlError(
        "OPERATOR_FIELD_MISMATCH", f"Error in query: {term.operator} cannot be used on segments.date."
    )


def during(literal: str, today: date) -> tuple[date, date]:
    """The inclusive days that a DURING literal (`LAST_30_DAYS`, `THIS_MONTH`, ...) means on `today`."""
    name, back = literal.upper(), timedelta(days=1)
    monday, sunday = today - today.weekday() * back, today - (today.weekday() + 1) % 7 * back
    month = today.replace(day=1)
    last_month = (month - back).replace(day=1)
    ranges = {
        "TODAY": (today, today),
        "YESTERDAY": (today - back, today - back),
        **{f"LAST_{n}_DAYS": (today - n * back, today - back) for n in (7, 14, 30)},
        "LAST_BUSINESS_WEEK": (monday - 7 * back, monday - 3 * back),
        "THIS_WEEK_MON_TODAY": (monday, today),
        "THIS_WEEK_SUN_TODAY": (sunday, today),
        "LAST_WEEK_MON_SUN": (monday - 7 * back, monday - back),
        "LAST_WEEK_SUN_SAT": (sunday - 7 * back, sunday - back),
        "THIS_MONTH": (month, month.replace(day=monthrange(month.year, month.month)[1])),
        "LAST_MONTH": (last_month, month - back),
    }
    if name not in ranges:
        raise GaqlError("INVALID_VALUE_WITH_DURING_OPERATOR", f"Error in query: DURING {literal} is unknown.")
    return ranges[name]
