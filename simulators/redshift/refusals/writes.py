"""INSERT, UPDATE, DELETE and MERGE."""

from __future__ import annotations

from collections.abc import Iterator

from simulators.redshift.refusals.rule import Refusal, rule, syntax, unsupported
from simulators.redshift.shape import blocks
from simulators.redshift.tokens import Sql

_PAGES = {
    "insert": "r_INSERT_30.html",
    "update": "r_UPDATE.html",
    "delete": "r_DELETE.html",
    "merge": "r_MERGE.html",
}


@rule
def writes(sql: Sql) -> Iterator[Refusal]:
    """Clauses that these statements have in Postgres only."""
    written = [block for block in blocks(sql) if sql[block.at].word in _PAGES]
    if not written:
        return
    verb = sql[written[0].at].word
    page = _PAGES[verb]
    if sql[0].word == "with" and verb in ("insert", "merge"):
        yield syntax(verb, "r_WITH_clause.html")
    returning = sql.find("returning")
    if returning is not None:
        yield syntax("returning", page)
    yield from {"insert": _insert, "update": _update, "delete": _nothing, "merge": _merge}[verb](
        sql, written[0].at
    )


def _nothing(sql: Sql, at: int) -> Iterator[Refusal]:
    yield from ()


def _insert(sql: Sql, at: int) -> Iterator[Refusal]:
    for place in sql.outside(at):
        if sql.words(place, "on", "conflict"):
            yield syntax("conflict", "r_INSERT_30.html")
        if sql[place].word == "overriding":
            yield syntax("overriding", "r_INSERT_30.html")
    values = sql.find("values", first=at)
    if values is None:
        return
    rows = [place for place in sql.outside(values) if sql[place].text == "("]
    queries = any(sql[place].word == "select" for place in range(values, len(sql)))
    if len(rows) > 1 and queries:
        yield unsupported("a subquery in one of several rows of VALUES", "r_INSERT_30.html")


def _update(sql: Sql, at: int) -> Iterator[Refusal]:
    changed = sql.find("set", first=at)
    if changed is not None and sql[changed + 1].text == "(":
        yield syntax("(", "r_UPDATE.html")
    source = sql.find("from", first=at)
    if source is not None and sql.find("left", "right", "full", first=source) is not None:
        yield unsupported("an outer join in FROM of UPDATE", "r_UPDATE.html")


def _merge(sql: Sql, at: int) -> Iterator[Refusal]:
    using = sql.find("using", first=at)
    if using is not None and sql[using + 1].text == "(":
        yield unsupported("a subquery as the source of MERGE", "r_MERGE.html")
    for place in sql.outside(at):
        if sql[place].word == "matched" and sql[place + 1].word != "then":
            yield syntax(sql[place + 1].text, "r_MERGE.html")
        if sql.words(place, "do", "nothing"):
            yield syntax("do", "r_MERGE.html")
