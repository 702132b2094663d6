"""Which days a run reads: no day may be left at figures that were still open when it was last read."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from loaders._core.windows import live_window, plan_live

START = date(2026, 1, 1)


@given(
    gaps=st.lists(st.integers(0, 200), min_size=1, max_size=12),
    window_days=st.sampled_from([1, 3, 28, 90]),
)
def test_every_day_is_read_again_once_its_figures_are_final(gaps, window_days):
    today, covered, last_read = START, None, {}
    for gap in gaps:
        today += timedelta(days=gap)
        window = live_window(
            today, window_days=window_days, start_date=START, covered_until=covered, history_months=37
        )
        for chunk in plan_live({"a": window}, window_days):
            part = chunk.windows["a"]
            for n in range((part.until - part.since).days + 1):
                last_read[part.since + timedelta(days=n)] = today
        covered = today
    for n in range((today - START).days + 1):
        day = START + timedelta(days=n)
        assert last_read[day] == today or (last_read[day] - day).days >= window_days


def test_a_daily_run_reads_today_and_the_days_that_may_still_change():
    window = live_window(
        date(2026, 3, 29), window_days=28, start_date=None, covered_until=date(2026, 3, 28), history_months=37
    )
    assert (window.since, window.until) == (date(2026, 3, 1), date(2026, 3, 29))
