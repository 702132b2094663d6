"""Which days a run reads, and in which packages."""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import date, timedelta

from loaders._core.declare import Window

MERGED_DAYS = 62


@dataclass
class Chunk:
    """One load package to be: accounts with the days to read of them, oldest chunk first.

    ``current`` marks the last one, which reads entities too.
    """

    windows: dict[str, Window] = field(default_factory=dict)
    current: bool = False


def floor_day(today: date, months: int) -> date:
    """The oldest day a vendor answers for: the same day of the month ``months`` before ``today``."""
    month = today.year * 12 + today.month - 1 - months
    year, month = month // 12, month % 12 + 1
    return date(year, month, min(today.day, calendar.monthrange(year, month)[1]))


def live_window(
    today: date, *, window_days: int, start_date: date | None, covered_until: date | None, history_months: int
) -> Window:
    """The days a daily run reads: today and the ``window_days`` before it, whose figures may still change.

    After a gap it begins with the days that were still open to change when ``covered_until`` was read.
    An account never read before begins on ``start_date``.
    """
    since = today - timedelta(days=window_days)
    if covered_until is not None:
        since = min(since, covered_until - timedelta(days=window_days - 1))
    elif start_date is not None:
        # Settings give dates of a class of dlt's, which encoders of queries do not know.
        since = min(date(start_date.year, start_date.month, start_date.day), today)
    return Window(max(since, floor_day(today, history_months)), today)


def plan_live(windows: dict[str, Window], window_days: int) -> list[Chunk]:
    """Packages of a daily run: long gaps month by month and first, the recent days with all entities last."""
    history: dict[str, Window] = {}
    recent: dict[str, Window] = {}
    for account, window in windows.items():
        cut = max(window.since, window.until - timedelta(days=window_days))
        if (cut - window.since).days > MERGED_DAYS:
            history[account] = Window(window.since, cut - timedelta(days=1))
            recent[account] = Window(cut, window.until)
        else:
            recent[account] = window
    return [*_by_month(history), Chunk(recent, current=True)]


def backfill_window(asked: Window, today: date, months: int) -> Window | None:
    """Of the days asked for those no older than the floor and not after today; None if there are none."""
    since, until = max(asked.since, floor_day(today, months)), min(asked.until, today)
    return Window(since, until) if since <= until else None


def plan_backfill(windows: dict[str, Window]) -> list[Chunk]:
    """Packages of a backfill: the days of each account month by month."""
    chunks = _by_month(windows) or [Chunk()]
    chunks[-1].current = True
    return chunks


def months_of(window: Window) -> list[Window]:
    """The window cut at the ends of months."""
    parts = []
    since = window.since
    while since <= window.until:
        end = since.replace(day=calendar.monthrange(since.year, since.month)[1])
        parts.append(Window(since, min(end, window.until)))
        since = end + timedelta(days=1)
    return parts


def _by_month(windows: dict[str, Window]) -> list[Chunk]:
    chunks: dict[tuple[int, int], Chunk] = {}
    for account, window in windows.items():
        for part in months_of(window):
            chunks.setdefault((part.since.year, part.since.month), Chunk()).windows[account] = part
    return [chunks[month] for month in sorted(chunks)]
