"""Clauses and operators of queries."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from simulators.redshift.known import COMPUTE_ONLY, RESERVED
from simulators.redshift.refusals.rule import FEATURES, FUNCTIONS, Refusal, missing, rule, syntax, unsupported
from simulators.redshift.shape import SET_OPERATORS, blocks, columns, type_places
from simulators.redshift.tokens import Sql, words

T = TypeVar("T")
# Words (or signs) one behind the other that are no SQL of Redshift's, wherever they stand.
_SYNTAX: dict[tuple[str, ...], str] = {
    ("distinct", "on", "("): "r_SELECT_list.html",
    ("join", "lateral"): "r_FROM_clause30.html",
    (",", "lateral", "("): "r_FROM_clause30.html",
    ("with", "ordinality"): "r_FROM_clause30.html",
    (")", "filter", "("): "c_Aggregate_Functions.html",
    ("as", "materialized", "("): "r_WITH_clause.html",
    ("as", "not", "materialized"): "r_WITH_clause.html",
    ("fetch", "first"): "r_ORDER_BY_clause.html",
    ("for", "update"): "r_SELECT_synopsis.html",
    ("for", "share"): "r_SELECT_synopsis.html",
    ("for", "no", "key"): "r_SELECT_synopsis.html",
    ("group", "by", "distinct"): "r_GROUP_BY_clause.html",
    ("is", "distinct", "from"): FUNCTIONS,
    ("is", "not", "distinct"): FUNCTIONS,
}
_FEATURES: dict[tuple[str, ...], tuple[str, str]] = {
    ("array", "["): ("array constructor", FEATURES),
    ("row", "("): ("row constructor", FEATURES),
    ("except", "all"): ("EXCEPT ALL", "r_UNION.html"),
    ("intersect", "all"): ("INTERSECT ALL", "r_UNION.html"),
    ("minus", "all"): ("MINUS ALL", "r_UNION.html"),
}


def _by_first(listed: dict[tuple[str, ...], T]) -> dict[str, list[tuple[tuple[str, ...], T]]]:
    found: dict[str, list[tuple[tuple[str, ...], T]]] = {}
    for words_of_it, page in listed.items():
        found.setdefault(words_of_it[0], []).append((words_of_it, page))
    return found


_SYNTAX_FROM, _FEATURES_FROM = _by_first(_SYNTAX), _by_first(_FEATURES)
# Of arrays, ranges, JSON and texts to search (c_unsupported-postgresql-functions.html), and POSIX ones that
# do not heed the case (pattern-matching-conditions-posix.html).
_OPERATORS = dict.fromkeys(
    ("->", "->>", "#>", "#>>", "@>", "<@", "?|", "?&", "&&", "-|-", "@@", "?"), FUNCTIONS
)
_OPERATORS |= dict.fromkeys(("~*", "!~*", "~~*", "!~~*"), "pattern-matching-conditions-posix.html")
# With ORDER BY they need a frame (r_Window_function_synopsis.html, r_WF_first_value.html).
_FRAMED = words(
    "avg bit_and bit_or bool_and bool_or count first_value last_value max min nth_value stddev"
    " stddev_pop stddev_samp sum var_pop var_samp variance"
)
_WINDOWS = "r_Window_function_synopsis.html"


@rule
def clauses(sql: Sql) -> Iterator[Refusal]:
    """What no query of Redshift's has."""
    for at, token in enumerate(sql):
        if token.kind == "operator" and token.text in _OPERATORS:
            yield missing(f"operator {token.text}", _OPERATORS[token.text])
        first = token.word or token.text
        for listed, page in _SYNTAX_FROM.get(first, ()):
            if sql.words(at, *listed):
                yield syntax(next(word for word in reversed(listed) if word.isalpha()), page)
        for listed, (what, page) in _FEATURES_FROM.get(first, ()):
            if sql.words(at, *listed) and sql[at - 1].text != ".":
                yield unsupported(what, page)
        if token.word == "values" and (at == 0 or sql[at - 1].text == "(" or sql[at - 1].word == "as"):
            yield unsupported("VALUES list used as constant table", FEATURES)
        if token.word == "collate" and sql[at + 1].kind == "quoted":
            yield unsupported("a collation of one's own", "c_collation_sequences.html")


@rule
def names(sql: Sql) -> Iterator[Refusal]:
    """Reserved words as names of columns, where no bracket or quote says that they are names."""
    defined = [first for first, _ in columns(sql)]
    aliases = [at + 1 for at, token in enumerate(sql) if token.word == "as" and _ends_a_name(sql, at + 2)]
    for at in {*defined, *aliases} - set(type_places(sql)):
        if sql[at].word in RESERVED:
            yield syntax(sql[at].text, "r_pg_keywords.html")


def _ends_a_name(sql: Sql, at: int) -> bool:
    return (
        sql[at].kind == "end" or sql[at].text in (",", ")") or sql[at].word in ("from", "where", "join", "on")
    )


@rule
def windows(sql: Sql) -> Iterator[Refusal]:
    """OVER and what stands in it."""
    for at, token in enumerate(sql):
        if token.word == "over" and sql[at - 1].text == ")":
            yield from _window(sql, at)
        elif token.word == "window" and sql.words(at + 2, "as", "("):
            yield syntax("window", "r_SELECT_synopsis.html")


def _window(sql: Sql, at: int) -> Iterator[Refusal]:
    if sql[at + 1].text != "(":
        yield syntax(sql[at + 1].text, _WINDOWS)
        return
    end = sql.close(at + 1)
    opened = sql.open(at - 1)
    called = sql[opened - 1].word
    order, rows = (sql.find(word, first=at + 2, until=end) for word in ("order", "rows"))
    other = sql.find("range", "groups", "exclude", first=at + 2, until=end)
    if other is not None:
        yield syntax(sql[other].text, _WINDOWS)
    if order is not None and rows is None and called in _FRAMED:
        yield unsupported(
            f"{called.upper()} with ORDER BY and without a frame (ROWS ...) in a window", _WINDOWS
        )
    if sql[opened + 1].word == "distinct":
        yield unsupported("DISTINCT in a window function", _WINDOWS)
    for place in sql.outside(at + 2, end):
        lists = sql[place - 1].word == "by" or (sql[place - 1].text == "," and rows is None)
        if lists and sql[place].kind == "string" and sql[place + 1].text != "::":
            yield unsupported("a text in PARTITION BY or ORDER BY of a window", _WINDOWS)


@rule
def orders(sql: Sql) -> Iterator[Refusal]:
    """All aggregates of a query that sort must sort alike (r_LISTAGG.html, r_MEDIAN.html)."""
    for block in blocks(sql):
        found = set()
        for at in block.places:
            if sql[at].word not in COMPUTE_ONLY or sql[at + 1].text != "(":
                continue
            end = sql.close(at + 1)
            if sql.words(end + 1, "within", "group", "("):
                found.add(sql.text(end + 4, sql.close(end + 3)).lower().removeprefix("order by").strip())
            elif sql[at].word == "median":
                found.add(sql.text(at + 2, end).lower())
        if len(found) > 1:
            yield unsupported("WITHIN GROUP with several orders in one query", "r_LISTAGG.html")


@rule
def sets(sql: Sql) -> Iterator[Refusal]:
    """LIMIT and OFFSET within what UNION and its like put together."""
    for at, token in enumerate(sql):
        if token.word not in SET_OPERATORS or sql[at - 1].text == ".":
            continue
        behind = at + 2 if sql[at + 1].word == "all" else at + 1
        inputs = [(sql.open(at - 1) + 1, at - 1)] if sql[at - 1].text == ")" else []
        inputs += [(behind + 1, sql.close(behind))] if sql[behind].text == "(" else []
        for first, until in inputs:
            if sql.find("limit", "offset", first=first, until=until) is not None and sql[first].word in (
                "select",
                "with",
            ):
                yield unsupported("LIMIT within input to set operations", "r_UNION.html")


@rule
def common_tables(sql: Sql) -> Iterator[Refusal]:
    """Where WITH RECURSIVE may stand, and that it names its columns."""
    for at in range(len(sql)):
        if not sql.words(at, "with", "recursive"):
            continue
        if any(sql[place].text == "(" and sql.close(place) > at for place in range(at)):
            yield unsupported("WITH RECURSIVE in a subquery", "r_WITH_clause.html")
        if sql[at + 3].text != "(":
            yield unsupported("a recursive query without a list of columns", "r_WITH_clause.html")
