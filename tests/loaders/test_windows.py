"""Which days are read."""

from __future__ import annotations

from datetime import date

import pytest

from loaders._core.declare import Clock, Window
from loaders._core.windows import (
    backfill_window,
    floor_day,
    live_window,
    months_of,
    plan_backfill,
    plan_live,
)

TODAY = date(2026, 3, 10)


def live(**changes):
    usual = {"window_days": 28, "start_date": None, "covered_until": None, "history_months": 37}
    return live_window(TODAY, **{**usual, **changes})


def test_the_window_is_today_and_as_many_days_before_it_as_figures_may_change() -> None:
    assert live() == Window(date(2026, 2, 10), TODAY)
    assert live(window_days=1) == Window(date(2026, 3, 9), TODAY)


def test_after_a_gap_the_days_that_were_open_to_change_before_it_are_read_too() -> None:
    assert live(covered_until=date(2026, 1, 5)).since == date(2025, 12, 9)
    # Run every day, or again the same day, it is the usual window.
    assert live(covered_until=date(2026, 3, 9)).since == date(2026, 2, 10)
    assert live(covered_until=TODAY).since == date(2026, 2, 10)


def test_the_first_run_begins_on_the_start_date_and_later_ones_do_not() -> None:
    start = date(2025, 6, 1)
    assert live(start_date=start).since == start
    assert live(start_date=start, covered_until=date(2026, 3, 9)).since == date(2026, 2, 10)
    assert live(start_date=date(2027, 1, 1)).since == TODAY


def test_nothing_older_than_the_vendors_floor_is_asked_for() -> None:
    assert live(start_date=date(2001, 1, 1)).since == date(2023, 2, 10)
    assert floor_day(date(2026, 3, 31), 37) == date(2023, 2, 28)
    assert floor_day(date(2026, 1, 1), 1) == date(2025, 12, 1)


@pytest.mark.parametrize("days", [1, 5, 62, 90, 400])
def test_a_plan_covers_every_day_once_oldest_first(days: int) -> None:
    window = Window(date.fromordinal(TODAY.toordinal() - days + 1), TODAY)
    chunks = plan_live({"a": window}, 28)
    seen = [
        d
        for c in chunks
        for d in range(c.windows["a"].since.toordinal(), c.windows["a"].until.toordinal() + 1)
    ]
    assert seen == list(range(window.since.toordinal(), TODAY.toordinal() + 1))
    assert [c.current for c in chunks] == [False] * (len(chunks) - 1) + [True]
    assert len(chunks) == (1 if days <= 90 else len(chunks))


def test_months_are_cut_at_their_ends() -> None:
    parts = months_of(Window(date(2025, 12, 30), date(2026, 2, 2)))
    assert parts == [
        Window(date(2025, 12, 30), date(2025, 12, 31)),
        Window(date(2026, 1, 1), date(2026, 1, 31)),
        Window(date(2026, 2, 1), date(2026, 2, 2)),
    ]


def test_a_backfill_stays_between_the_floor_and_each_accounts_today() -> None:
    asked = Window(date(2020, 1, 1), date(2030, 1, 1))
    todays = {"a": TODAY, "b": date(2026, 3, 9)}
    windows = {name: backfill_window(asked, today, 1) for name, today in todays.items()}
    chunks = plan_backfill({name: window for name, window in windows.items() if window})
    last = chunks[-1].windows
    assert chunks[0].windows["a"].since == date(2026, 2, 10)
    assert (last["a"].until, last["b"].until) == (TODAY, date(2026, 3, 9))
    assert [c.current for c in chunks] == [False, True]


def test_a_backfill_of_days_that_no_vendor_answers_for_has_no_window() -> None:
    below, ahead = Window(date(2020, 1, 1), date(2026, 2, 9)), Window(date(2026, 3, 11), date(2030, 1, 1))
    assert [backfill_window(asked, TODAY, 1) for asked in (below, ahead)] == [None, None]
    edge = Window(date(2026, 2, 9), date(2026, 2, 10))
    assert backfill_window(edge, TODAY, 1) == Window(date(2026, 2, 10), date(2026, 2, 10))


def test_the_clock_can_be_injected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTAR_NOW", "2026-03-01T01:00:00+00:00")
    clock = Clock.from_environment()
    assert clock.now() == clock.now()
    assert clock.today("Asia/Tokyo") == date(2026, 3, 1)
    assert clock.today("America/Los_Angeles") == date(2026, 2, 28)
    for wrong in ("yesterday", "2026-03-01T01:00:00"):
        monkeypatch.setenv("ADSTAR_NOW", wrong)
        with pytest.raises(ValueError, match="ADSTAR_NOW"):
            Clock.from_environment()
