"""Compares the tables of two warehouses, row by row. Used by scripts/_parity.py and tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from itertools import zip_longest
from typing import Any

from loaders._core.warehouse import Target

# Which run read a row is no fact of the business: runs side by side take their numbers as they come.
IGNORED = ("run_seq",)
Row = tuple[Any, ...]


@dataclass(frozen=True)
class Difference:
    """The first row of a mart that is not the same on both."""

    mart: str
    first: Row | None
    second: Row | None
    columns: tuple[str, ...]

    def __str__(self) -> str:
        """Names the row and, where both have one, the columns that differ."""
        if not self.columns:
            return f"{self.mart}: its columns are {self.first} in the first, {self.second} in the second"
        if self.first is None or self.second is None:
            where, row = ("second", self.second) if self.first is None else ("first", self.first)
            return f"{self.mart}: only in the {where}: {dict(zip(self.columns, row or (), strict=False))}"
        told = zip(self.columns, self.first, self.second, strict=True)
        unlike = {name: f"{one!r} <> {other!r}" for name, one, other in told if one != other}
        return f"{self.mart}: {dict(zip(self.columns[:3], self.first[:3], strict=False))}: {unlike}"


def compared(first: Target, second: Target, schema: str = "marts") -> tuple[list[Difference], dict[str, int]]:
    """Compare all tables of a schema in two warehouses: the first difference of each, and each one's rows."""
    differences: list[Difference] = []
    rows: dict[str, int] = {}
    ours, theirs = layout(first, schema), layout(second, schema)
    for mart in sorted({*ours, *theirs}):
        columns = ours.get(mart)
        if columns is None or columns != theirs.get(mart):
            differences.append(Difference(mart, columns, theirs.get(mart), ()))
            rows[mart] = 0
            continue
        kept = tuple(name for name in columns if name not in IGNORED)
        left, right = (
            sorted(content(each, f"{schema}.{mart}", kept), key=_order) for each in (first, second)
        )
        rows[mart] = len(left)
        pair = next((pair for pair in zip_longest(left, right) if pair[0] != pair[1]), None)
        if pair is not None:
            differences.append(Difference(mart, *_told(*pair), kept))
    return differences, rows


def _told(one: Row | None, other: Row | None) -> tuple[Row | None, Row | None]:
    """Both rows if they are the same thing, which is to say of one key; else the one that the other lacks."""
    if one is None or other is None or one[0] == other[0]:
        return one, other
    return (one, None) if _order(one) < _order(other) else (None, other)


def layout(target: Target, schema: str) -> dict[str, tuple[str, ...]]:
    """The tables of a schema with the names of their columns."""
    found: dict[str, list[str]] = {}
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select c.table_name, c.column_name from information_schema.columns c"
            " join information_schema.tables t"
            " on t.table_schema = c.table_schema and t.table_name = c.table_name"
            " where c.table_schema = %s and t.table_type = 'BASE TABLE'"
            " order by c.table_name, c.ordinal_position",
            [schema],
        )
        for table, column in cursor.fetchall():
            found.setdefault(table, []).append(column)
    return {table: tuple(columns) for table, columns in found.items()}


def content(target: Target, table: str, columns: tuple[str, ...]) -> Iterator[Row]:
    """The rows of a table; numbers without the zeros at their ends, which are the engines' own."""
    names = ", ".join(f'"{name}"' for name in columns)
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(f"select {names} from {table}")  # noqa: S608  (names of ours)
        for row in cursor.fetchall():
            yield tuple(value.normalize() if isinstance(value, Decimal) else value for value in row)


def _order(row: Row) -> tuple[tuple[bool, str], ...]:
    return tuple((value is None, str(value)) for value in row)
