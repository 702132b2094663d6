"""The star at the side beside the one that is read: rows and sums of each mart, and what is out of bounds."""

# ruff: noqa: S608  (what is put into statements are names of relations and columns)

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from _publishing.engine import Found
from _publishing.project import Bounds, Model, Project, Relation, Settings

ALL, HISTORY = "all", "history"
ROWS = "rows"

# By slice; then for all days and for history; then by figure.
Totals = dict[str, dict[str, dict[str, Decimal]]]


@dataclass(frozen=True)
class Figure:
    """One figure of a slice (empty: the whole mart) at both places; `finding` says what is wrong with it."""

    model: str
    slice: str
    days: str
    name: str
    live: Decimal
    side: Decimal
    finding: str = ""

    @property
    def where(self) -> str:
        """What it is a figure of, in words."""
        part = f" ({self.slice})" if self.slice else ""
        return f"{self.model}{part}, {self.days} days: {self.name}"

    def __str__(self) -> str:
        """The finding with both values."""
        return f"{self.where} {self.finding} ({self.live.normalize():,f} -> {self.side.normalize():,f})"


def audit(
    cursor: Any, project: Project, settings: Settings, catalogue: Mapping[Relation, Found]
) -> Iterator[Figure]:
    """Compare every mart that is there at both places; a mart without rows can't have fallen."""
    for model in project.models:
        if model.is_mart and model.live in catalogue and model.side in catalogue:
            yield from compare(cursor, model, settings, catalogue)


def compare(
    cursor: Any, model: Model, settings: Settings, catalogue: Mapping[Relation, Found]
) -> Iterator[Figure]:
    """Compare one mart."""
    present = [catalogue[place].columns for place in (model.live, model.side)]

    def shared(names: Iterable[str]) -> list[str]:
        return [name for name in names if all(name in columns for columns in present)]

    slices = shared(settings.slices)
    sums = shared(settings.measures(model))
    history = "true"
    if model.day and shared([model.day]):
        cursor.execute(f'select max("{model.day}") from {model.live}')
        (last,) = cursor.fetchone()
        if last is not None:
            closed = last - timedelta(days=settings.open_days)
            history = f"\"{model.day}\" <= cast('{closed}' as date)"
    live, side = (totals(cursor, each, slices, sums, history) for each in (model.live, model.side))
    bounds = settings.bounds_of(model)
    for name in sorted(live):
        if name and live[name][ALL][ROWS] < bounds.few:
            continue
        for days, figures in live[name].items():
            for figure, before in figures.items():
                after = side.get(name, {}).get(days, {}).get(figure, Decimal(0))
                finding = judge(bounds, figure, days, before, after)
                yield Figure(model.name, name, days, figure, before, after, finding)


def totals(cursor: Any, table: Relation, slices: list[str], sums: list[str], history: str) -> Totals:
    """Rows and sums of each slice and of the whole table, on all days and on those that `history` means."""
    figures = [f'coalesce(sum("{name}"), 0)' for name in sums]
    past = [f'coalesce(sum(case when {history} then "{name}" end), 0)' for name in sums]
    names = [ROWS, *sums]
    columns = [
        *(f'"{name}"' for name in slices),
        "count(*)",
        *figures,
        f"coalesce(sum(case when {history} then 1 else 0 end), 0)",
        *past,
    ]
    by = f" group by {', '.join(str(place + 1) for place in range(len(slices)))}" if slices else ""
    cursor.execute(f"select {', '.join(columns)} from {table}{by}")
    found: Totals = {
        "": {days: dict.fromkeys(names if not slices else [ROWS], Decimal(0)) for days in (ALL, HISTORY)}
    }
    for row in cursor.fetchall():
        values = [Decimal(value) for value in row[len(slices) :]]
        each = {
            ALL: dict(zip(names, values[: len(names)], strict=True)),
            HISTORY: dict(zip(names, values[len(names) :], strict=True)),
        }
        if slices:
            told = ", ".join(f"{name} {value}" for name, value in zip(slices, row, strict=False))
            found[told] = each
        for days, whole in found[""].items():
            for name in whole:
                whole[name] += each[days][name]
    return found


def judge(bounds: Bounds, figure: str, days: str, before: Decimal, after: Decimal) -> str:
    """What is wrong with a change, in words; empty if nothing is."""
    fall, rise = (
        (bounds.rows_fall, bounds.rows_rise) if figure == ROWS else (bounds.sums_fall, bounds.sums_rise)
    )
    # Of nothing there is no percentage.
    if not before or (figure == ROWS and abs(after - before) <= bounds.few):
        return ""
    change = float((after - before) / abs(before) * 100)
    if change < 0 and fall is not None and -change > fall:
        return f"fell by {-change:.2f} %, and {fall:g} % is the bound"
    if change > 0 and days == HISTORY and rise is not None and change > rise:
        return f"rose by {change:.2f} %, and {rise:g} % is the bound"
    return ""
