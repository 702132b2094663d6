"""What a run shows: bars on a terminal, plain lines elsewhere, and a table at the end."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from loaders._core.ops import ResourceRecord
from loaders._core.run import Result

PLAIN_SECONDS = 10.0


class Watch:
    """Follows runs on the console; a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: dict[str, int] = {}
        self._tasks: dict[str, TaskID] = {}
        self._said = time.monotonic()
        self._bars: Progress | None = None
        if console.is_terminal:
            self._bars = Progress(
                SpinnerColumn(),
                TextColumn("{task.fields[source]:<14}"),
                TextColumn("{task.description:<44}"),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            )

    def __enter__(self) -> Watch:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def reading(self, source: str, account: str, resource: str, rows: int) -> None:
        """So many more rows were read."""
        self._rows[source] = self._rows.get(source, 0) + rows
        self._say(source, f"{self._rows[source]:,} rows read ({resource} of {account})", None, None)

    def loading(self, source: str, done: int, total: int) -> None:
        """So many files of the package are in the warehouse."""
        self._say(source, f"{done} of {total} files loaded", done, total)

    def _say(self, source: str, text: str, done: int | None, total: int | None) -> None:
        if self._bars:
            if source not in self._tasks:
                self._tasks[source] = self._bars.add_task("", source=source, total=None)
            self._bars.update(self._tasks[source], description=text, completed=done or 0, total=total)
        elif time.monotonic() - self._said > PLAIN_SECONDS:
            self._said = time.monotonic()
            self._console.print(f"{source}: {text}", highlight=False)


def summary(console: Console, results: list[Result]) -> None:
    """One table of all sources and resources, and a line for each source that did not end well."""
    table = Table(title=None, pad_edge=False)
    table.add_column("source")
    table.add_column("resource")
    for title in ("accounts", "rows read", "rows landed", "sets landed", "unchanged", "seconds", "rows/s"):
        table.add_column(title, justify="right")
    for result in results:
        for name, records in _by_resource(result).items():
            table.add_row(result.source, name, *_figures(records, sum(r.seconds for r in records)))
        if result.records:
            table.add_row(
                result.source,
                "all",
                *_figures(result.records, result.seconds),
                style="bold",
                end_section=True,
            )
    if table.row_count:
        console.print(table)
    for result in results:
        style = {"ok": "green", "partial": "yellow", "failed": "red", "refused": "red"}[result.outcome]
        why = f": {result.message}" if result.message else ""
        console.print(
            f"{result.source} {result.outcome}{why}",
            style=style,
            markup=False,
            highlight=False,
            soft_wrap=True,
        )


def _by_resource(result: Result) -> dict[str, list[ResourceRecord]]:
    groups: dict[str, list[ResourceRecord]] = {}
    for record in result.records:
        if record.outcome == "ok":
            groups.setdefault(record.resource, []).append(record)
    return groups


def _figures(records: list[ResourceRecord], seconds: float) -> list[str]:
    good = [r for r in records if r.outcome == "ok"]
    read = sum(r.rows_read for r in good)
    return [
        str(len({r.account for r in good})),
        f"{read:,}",
        f"{sum(r.rows_landed for r in good):,}",
        f"{sum(r.sets_landed for r in good):,}",
        f"{sum(r.sets_unchanged for r in good):,}",
        f"{seconds:.1f}",
        f"{read / seconds:,.0f}" if seconds > 0 else "",
    ]
