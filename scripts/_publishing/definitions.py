"""Tables and views that are made, replaced and dropped, all at the end of a transaction.

Who reads waits for a definition that changes, so the rows stand ready under other names first. PostgreSQL's
page "MVCC Caveats" tells why rows are not published so: a transaction whose snapshot is older than a new
table finds it empty.
"""

# ruff: noqa: S608  (what is put into statements are names of relations and queries of models)

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from _publishing.engine import Engine
from _publishing.ledger import Was
from _publishing.project import Relation


@dataclass(frozen=True)
class Definition:
    """A relation as it is to be: a view of `query`, or a table with the rows of `source`."""

    live: Relation
    source: Relation | None = None
    query: str | None = None


def copy(cursor: Any, engine: Engine, new: Relation, source: Relation) -> int:
    """Make a table of the rows of another one, and like it unless that one is temporary; how many rows?"""
    if source.schema:
        cursor.execute(engine.copy_definition(new, source))
        cursor.execute(f"insert into {new} select * from {source}")
    else:
        cursor.execute(f"create table {new} as select * from {source}")
    return int(cursor.rowcount)


def query_of(cursor: Any, view: Relation) -> str:
    """What a view selects."""
    cursor.execute(
        "select definition from pg_views where schemaname = %s and viewname = %s", [view.schema, view.name]
    )
    return str(cursor.fetchone()[0]).strip().rstrip(";")


def define(
    cursor: Any,
    engine: Engine,
    replaced: Mapping[Relation, Was],
    definitions: Collection[Definition],
    published: Mapping[Relation, str | None],
) -> None:
    """Put definitions in the place of others.

    Args:
        cursor: of the transaction.
        engine: of the warehouse.
        replaced: what goes, and what it is.
        definitions: what comes.
        published: what else is read, with the queries of views; they are made again, as they may read it.
    """
    going = {live: was for live, was in replaced.items() if was != "nothing"}
    coming = {each.live: each for each in definitions}
    if not going and not coming:
        return
    if going:
        for live, query in published.items():
            if query is not None and live not in replaced:
                going[live] = "view"
                coming.setdefault(live, Definition(live, query=query))
    readers = _readers(cursor, engine, coming, going, published)
    views = [str(live) for live, was in going.items() if was == "view"]
    statements = [f"drop view {', '.join(views)}"] if views else []
    statements += [f"drop table {live}" for live, was in going.items() if was == "table"]
    for live, each in coming.items():
        if each.source:
            new = Relation(live.schema, f"{live.name}__new")
            copy(cursor, engine, new, each.source)
            statements.append(f'alter table {new} rename to "{live.name}"')
    statements += [f"create view {each.live} as {each.query}" for each in _in_order(coming.values())]
    statements += [f"grant select on {live} to {reader}" for live in coming for reader in readers[live]]
    engine.patiently(cursor, statements, going)


def _readers(
    cursor: Any,
    engine: Engine,
    coming: Iterable[Relation],
    going: Iterable[Relation],
    published: Iterable[Relation],
) -> dict[Relation, list[str]]:
    """Who may read each: who could until now, and of a new one who may read its neighbours."""
    former = {live: engine.readers(cursor, live) for live in going}
    neighbours: dict[str, list[str]] = {}
    for live in (*former, *published):
        if not neighbours.get(live.schema):
            neighbours[live.schema] = former[live] if live in former else engine.readers(cursor, live)
    return {live: former.get(live) or neighbours.get(live.schema, []) for live in coming}


def _in_order(definitions: Iterable[Definition]) -> list[Definition]:
    """The views among them, each after those that its query names."""
    waiting = [each for each in definitions if each.query]
    ordered: list[Definition] = []
    while waiting:
        ready = [
            each
            for each in waiting
            if not any(
                re.search(rf"\b{re.escape(other.live.name)}\b", each.query or "")
                for other in waiting
                if other is not each
            )
        ]
        ordered += ready or waiting
        waiting = [each for each in waiting if each not in ordered]
    return ordered
