"""Correlated subqueries that Redshift can't turn into joins (r_correlated_subqueries.html).

Only references that name their table are seen: whose a column without one is, tokens don't tell.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulators.redshift.refusals.rule import Refusal, rule, unsupported
from simulators.redshift.shape import Block, blocks
from simulators.redshift.tokens import Sql

_PAGE = "r_correlated_subqueries.html"
_AGGREGATES = {"avg", "count", "listagg", "median", "stddev", "sum", "variance"}


@rule
def correlations(sql: Sql) -> Iterator[Refusal]:
    """References to a query further out."""
    for block in blocks(sql):
        levels = {level for at in block.places if (level := _level(sql, at, block))}
        if any(level > 1 for level in levels):
            yield _refused("that skips a query between")
        if not levels or block.outer is None:
            continue
        words = {sql[at].word for at in block.places}
        if block.clause == "on" and _joins_outward(sql, block):
            yield _refused("in ON of an outer join")
        if "over" in words:
            yield _refused("with a window function")
        if words & {"limit", "offset"}:
            yield _refused("with LIMIT")
        if sql[block.at - 2].word == "in" and "group" in words and words & _AGGREGATES:
            yield _refused("with an aggregate and GROUP BY behind IN")
        if block.clause == "select" and _is_grouped_by(sql, block):
            yield _refused("whose result is grouped by")


def _refused(how: str) -> Refusal:
    return unsupported(f"this pattern of a correlated subquery, {how},", _PAGE)


def _level(sql: Sql, at: int, block: Block) -> int:
    """How many queries further out the table stands that a place refers to; 0 if it refers to none there."""
    name = sql[at].name
    if not name or sql[at + 1].text != "." or sql[at - 1].text == ".":
        return 0
    if any(relation.at == at for relation in block.relations):
        return 0
    level, scope = 0, block
    while name not in scope.names:
        if scope.outer is None:
            return 0
        level, scope = level + 1, scope.outer
    return level


def _joins_outward(sql: Sql, block: Block) -> bool:
    """Whether the join in whose condition a query stands is an outer one."""
    assert block.outer
    before = [at for at in block.outer.places if at < block.at and sql[at].word == "join"]
    return bool(before) and any(sql[before[-1] - n].word in ("left", "right", "full") for n in (1, 2))


def _is_grouped_by(sql: Sql, block: Block) -> bool:
    """Whether GROUP BY names what a query of the SELECT list is called."""
    assert block.outer
    alias = block.until + 2 if sql[block.until + 1].word == "as" else block.until + 1
    places = block.outer.places
    group = next((at for at in places if sql[at].word == "group" and sql[at + 1].word == "by"), None)
    if group is None or not sql[alias].name:
        return False
    ends = [at for at in places if at > group and sql[at].word in ("having", "order", "limit", "qualify")]
    until = min([*ends, block.outer.until])
    return any(sql[at].name == sql[alias].name for at in places if group < at < until)
