"""Where two tables differ: found in one pass, carried over, undone.

Rows are replaced by groups: all rows of a group in which anything differs go, and those of the side come.
Which columns make the groups decides only how much is replaced, never whether it is right: rows are
compared with all their columns, as often as they occur, NULL equal to NULL. So no model has to name a key,
and neither engine has to join by one (Postgres can't hash ``is not distinct from``, and Redshift has none).
"""

# ruff: noqa: S608  (what is put into statements are names of relations and columns)

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from _publishing import PublishError
from _publishing.project import Relation

ABSENT = {
    "bigint": "0",
    "boolean": "false",
    "character varying": "''",
    "date": "cast('1970-01-01' as date)",
    "integer": "0",
    "numeric": "0",
    "text": "''",
    "timestamp with time zone": "cast('1970-01-01 00:00:00+00' as timestamptz)",
}
"""What stands for NULL in the name of a group, by type; columns of other types make no groups."""
KEYS = 5
"""So many columns make the groups of a table: ours begin with their grain."""


@dataclass(frozen=True)
class Rows:
    """A live table, the type of each column that counts, and the columns that make its groups."""

    live: Relation
    columns: Mapping[str, str]
    keys: Sequence[str]

    @classmethod
    def of(cls, live: Relation, columns: Mapping[str, str], keys: Sequence[str] = ()) -> Rows:
        """With the first columns as groups if none are given."""
        usable = [name for name, kind in columns.items() if _type(kind) in ABSENT]
        return cls(live, columns, keys or usable[:KEYS])

    @property
    def names(self) -> str:
        """The columns, as a list."""
        return _listed(self.columns)

    def key(self, table: str, name: str) -> str:
        """A column of a group's name, never NULL."""
        return f'coalesce({table}."{name}", {ABSENT[_type(self.columns[name])]})'

    def within(self, table: str, groups: Relation, spans: Sequence[tuple[str, Any, Any]]) -> str:
        """A condition that a row is of one of the groups; their days as constants, which reach an index."""
        named = [f'{self.key(table, name)} = {groups}."{name}"' for name in self.keys]
        named += [
            f"{table}.\"{name}\" between cast('{first}' as date) and cast('{last}' as date)"
            for name, first, last in spans
        ]
        return " and ".join(named or ["true"])


def find(
    cursor: Any, groups: Relation, side: Relation, rows: Rows, among: tuple[Relation, Rows] | None = None
) -> bool:
    """Make a table of the groups in which side and live differ; is there one?

    Args:
        cursor: of the transaction.
        groups: the table to make.
        side: what the live table is to be.
        rows: the live table.
        among: look only at these groups.
    """
    columns = ", ".join(f'compared."{name}"' for name in rows.columns)
    clause = ""
    if among:
        chosen, theirs = among
        clause = f", {chosen} where {theirs.within('compared', chosen, spans(cursor, chosen, theirs))}"
    named = ", ".join(f'{rows.key("counted", name)} as "{name}"' for name in rows.keys)
    cursor.execute(
        f"create table {groups} as select distinct {named or '1 as whole'} from ("
        f"select {rows.names} from ("
        f"select {columns}, 1 as is_side, 0 as is_live from {side} as compared{clause}"
        f" union all select {columns}, 0 as is_side, 1 as is_live from {rows.live} as compared{clause}"
        f") as found group by {rows.names} having sum(is_side) <> sum(is_live)) as counted"
    )
    cursor.execute(f"select 1 from {groups} limit 1")
    if cursor.fetchone() is None:
        cursor.execute(f"drop table {groups}")
        return False
    cursor.execute(f"analyze {groups}")
    return True


def carry_over(cursor: Any, groups: Relation, kept: Relation, side: Relation, rows: Rows) -> tuple[int, int]:
    """Replace the live rows of the groups by those of the side; what they were is kept in a new table.

    Returns:
        How many rows went and how many came.
    """
    within = rows.within("replaced", groups, spans(cursor, groups, rows))
    columns = ", ".join(f'replaced."{name}"' for name in rows.columns)
    cursor.execute(
        f"create table {kept} as select {columns} from {rows.live} as replaced, {groups} where {within}"
    )
    removed = delete(cursor, groups, rows)
    cursor.execute(
        f"insert into {rows.live} ({rows.names})"
        f" select {columns} from {side} as replaced, {groups} where {within}"
    )
    return removed, int(cursor.rowcount)


def undo(cursor: Any, groups: Relation, kept: Relation, rows: Rows, added: int) -> None:
    """Replace the live rows of the groups, which are so many, by those that were kept.

    Raises:
        PublishError: they are not so many.
    """
    found = delete(cursor, groups, rows)
    if found != added:
        raise PublishError(
            f"{rows.live} holds {found:,} of the {added:,} rows that are to go: somebody has changed it by"
            " hand; scripts/publish --whole compares every row and sets it right"
        )
    cursor.execute(f"insert into {rows.live} ({rows.names}) select {rows.names} from {kept}")


def delete(cursor: Any, groups: Relation, rows: Rows) -> int:
    """Delete the live rows of the groups; how many were there?"""
    within = rows.within(f'"{rows.live.name}"', groups, spans(cursor, groups, rows))
    cursor.execute(f"delete from {rows.live} using {groups} where {within}")
    return int(cursor.rowcount)


def spans(cursor: Any, groups: Relation, rows: Rows) -> list[tuple[str, Any, Any]]:
    """The first and last day of the groups, for each column of their names that is one and never NULL."""
    found = []
    for name in rows.keys:
        if _type(rows.columns[name]) == "date":
            cursor.execute(f'select min("{name}"), max("{name}") from {groups}')
            first, last = cursor.fetchone()
            if first is not None and first.year > 1970:
                found.append((name, first, last))
    return found


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _type(kind: str) -> str:
    return kind.partition("(")[0]
