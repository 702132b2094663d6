"""Paths into SUPER, and queries over its lists (query-super.html).

`from t, t.list as item at number, unpivot item as value at name` and `t.document.list[0].name`. A path is
told from a qualified column by its index, or by being longer than alias and column.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from simulators.redshift.shape import Block, blocks
from simulators.redshift.tokens import Sql


@dataclass
class _Names:
    """What paths can begin with: aliases of tables, and items of lists that FROM goes through."""

    aliases: set[str]
    items: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class _Change:
    first: int
    until: int
    text: str


def navigate(sql: Sql) -> None:
    """Write paths and queries over lists as calls of functions of `catalogue/`."""
    found = blocks(sql)
    names = _Names({relation.name for block in found for relation in block.relations} - {""})
    changes = [join for block in found for join in _unnested(sql, block, names)]
    taken = {at for change in changes for at in range(change.first, change.until)}
    taken |= {relation.at for block in found for relation in block.relations}
    for at, token in enumerate(sql):
        begins = token.name and sql[at + 1].text in (".", "[") and sql[at - 1].text not in (".", "::")
        if begins and at not in taken:
            until, text, steps = _path(sql, at, names)
            if steps and sql[until].text != "(":
                changes.append(_Change(at, until, text))
    for change in sorted(changes, key=lambda change: change.first, reverse=True):
        sql.put(change.first, change.until, change.text)


def _unnested(sql: Sql, block: Block, names: _Names) -> list[_Change]:
    """Items of FROM that are paths, as joins; their names are noted."""
    joins = []
    before: set[str] = set()
    for relation in block.relations:
        unpivots = sql[relation.at].word == "unpivot"
        first = relation.at + unpivots
        begins = sql[first].name in before and (
            unpivots or sql[first].name in names.items or sql[first + 1].text in (".", "[")
        )
        if sql[relation.at - 1].text != "," or not begins:
            before.add(relation.name)
            continue
        until, path, _ = _path(sql, first, names)
        until += sql[until].word == "as"
        item, number = sql[until].name, ""
        until += 1
        if sql[until].word == "at":
            number, until = sql[until + 1].name, until + 2
        if unpivots:
            call = f"redshift_pairs({path}) as {item} ({number or item + '__name'}, {item})"
        else:
            call = f"redshift_elements({path}) as {item} ({item}, {number or item + '__number'})"
        joins.append(_Change(relation.at - 1, until, f" cross join lateral {call}"))
        names.items.add(item)
        before.add(item)
    return joins


def _path(sql: Sql, at: int, names: _Names) -> tuple[int, str, int]:
    """Where a path ends that begins at a place, the calls that follow it, and how many steps it takes."""
    first, until = sql[at].name, at + 1
    text, steps = sql[at].text, 0
    if first in names.items:
        text = f"{text}.{text}"
    elif first in names.aliases and sql[until].text == ".":
        text, until = f"{text}.{sql[until + 1].text}", until + 2
    elif sql[until].text == "." and not _has_index(sql, until):
        return until, text, 0  # of a table that has no alias, or of a schema
    while sql[until].text in (".", "["):
        steps += 1
        if sql[until].text == "[":
            end = sql.close(until)
            text, until = f"redshift_item({text}, {sql.text(until + 1, end)})", end + 1
        else:
            text, until = f"redshift_member({text}, '{sql[until + 1].name}')", until + 2
    return until, text, steps


def _has_index(sql: Sql, at: int) -> bool:
    while sql[at].text == ".":
        at += 2
    return sql[at].text == "["
