"""Runs over days, accounts that fail, backfills, and the books."""

from __future__ import annotations

import logging
from datetime import date, timedelta

import pytest

from loaders._core import run as run_module
from loaders._core.declare import Window
from loaders._core.errors import AdstarError
from loaders._core.lease import LeaseLost
from loaders._core.ops import Books
from loaders._core.run import warn_of_sunset
from tests.loaders.vendor import LOADER, Vendor, VendorSettings, with_resource


def day_rows(first: str, last: str, spend: str = "1") -> dict[str, list[dict[str, str]]]:
    since, until = date.fromisoformat(first), date.fromisoformat(last)
    days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
    return {str(day): [{"id": f"ad {day}", "spend": spend, "clicks": "1"}] for day in days}


def covered(vendor: Vendor, account: str = "1") -> set[str]:
    rows = vendor.query(
        "select distinct day::text from raw_vendor.covered join ops.commits using (run_seq)"
        f" where resource = 'days' and account = '{account}'"
    )
    return {row[0] for row in rows}


def spans(result: run_module.Result, resource: str = "days") -> list[tuple[str, str, str]]:
    return [(r.account, str(r.since), str(r.until)) for r in result.records if r.resource == resource]


def test_days_missed_are_read_by_the_next_run(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": day_rows("2026-02-01", "2026-03-20")}
    vendor.run()
    vendor.now = "2026-03-20T12:00:00+00:00"
    assert spans(vendor.run()) == [("1", "2026-03-09", "2026-03-20")]
    assert covered(vendor) == set(day_rows("2026-03-08", "2026-03-20"))


def test_an_account_that_failed_keeps_what_it_had_and_the_others_land(vendor: Vendor) -> None:
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2"}, {"id": "3"}]
    vendor.data["days"] = {name: day_rows("2026-03-08", "2026-03-10") for name in "123"}
    vendor.run()
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2", "error": "account"}, {"id": "3", "error": "unlisted"}]
    vendor.data["days"] = {name: day_rows("2026-03-08", "2026-03-10", "2") for name in "123"}
    result = vendor.run()
    assert result.outcome == "partial"
    assert "account 2: no permission for 2" in (result.message or "")
    assert "account 3" in (result.message or "")
    spends = vendor.current("days", "_account, spend")
    assert {(account, spend) for account, spend in spends} == {("1", "2"), ("2", "1"), ("3", "1")}
    # Account-atomic: what was read of the failed account before it failed has no receipt either.
    assert vendor.query("select max(run_seq) from raw_vendor.covered where account = '2'") == [(1,)]
    failed = vendor.query("select account, outcome from ops.run_resources where outcome <> 'ok' order by 1")
    assert failed == [("2", "failed"), ("3", "failed")]
    assert vendor.query("select outcome from ops.runs order by started_at, outcome") == [
        ("ok",),
        ("partial",),
    ]


def test_an_account_back_after_weeks_is_read_over_its_own_gap(vendor: Vendor) -> None:
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2"}]
    vendor.run()
    vendor.data["accounts"][1]["error"] = "account"
    vendor.now = "2026-03-15T12:00:00+00:00"
    vendor.run()
    vendor.data["accounts"][1].pop("error")
    vendor.now = "2026-03-16T12:00:00+00:00"
    assert spans(vendor.run()) == [("1", "2026-03-14", "2026-03-16"), ("2", "2026-03-09", "2026-03-16")]


def test_all_accounts_failing_is_a_failure_and_a_dead_credential_stops_the_source(vendor: Vendor) -> None:
    vendor.data["accounts"] = [{"id": "1", "error": "account"}]
    assert vendor.run().outcome == "failed"
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2", "error": "configuration"}]
    result = vendor.run()
    assert (result.outcome, result.message) == ("failed", "the token is dead")
    assert vendor.query("select count(*) from raw_vendor.covered where resource = 'days'") == [(0,)]


def test_an_account_that_fails_in_an_old_month_leaves_no_hole(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": day_rows("2025-10-01", "2026-03-10")}
    start = date(2025, 10, 1)

    def fails_in_november(api, account, window):
        if window.since.month == 11:
            raise AdstarError("out of order")
        return LOADER.resources[2].read(api, account, window)

    assert vendor.run(with_resource("days", read=fails_in_november), start_date=start).outcome == "partial"
    assert max(covered(vendor)) == "2025-10-31"
    assert vendor.run(start_date=start).outcome == "ok"
    assert covered(vendor) == set(day_rows("2025-10-01", "2026-03-10"))


def test_a_backfill_lands_its_days_and_does_not_move_the_live_window(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": day_rows("2026-01-01", "2026-04-01")}
    vendor.run()
    vendor.now = "2026-03-25T12:00:00+00:00"
    result = vendor.run(backfill=Window(date(2026, 3, 18), date(2026, 3, 20)))
    assert (result.outcome, spans(result)) == ("ok", [("1", "2026-03-18", "2026-03-20")])
    assert spans(vendor.run())[0][1] == "2026-03-09"
    assert vendor.query("select mode, since::text, until::text from ops.runs order by started_at, mode") == [
        ("live", None, None),
        ("backfill", "2026-03-18", "2026-03-20"),
        ("live", None, None),
    ]


def test_a_backfill_of_older_days_does_not_count_as_the_first_run(vendor: Vendor) -> None:
    vendor.run(backfill=Window(date(2026, 1, 1), date(2026, 1, 2)))
    assert spans(vendor.run(start_date=date(2026, 2, 20))) == [("1", "2026-02-20", "2026-03-10")]


def test_a_backfill_goes_on_where_it_was_broken_off(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor.data["days"] = {"1": day_rows("2025-12-01", "2026-03-01")}
    window = Window(date(2025, 12, 1), date(2026, 2, 28))
    real = LOADER.resources[2].read

    def dies_in_february(api, account, window):
        if window.since.month == 2:
            raise RuntimeError("the network is gone")
        return real(api, account, window)

    first = vendor.run(with_resource("days", read=dies_in_february), backfill=window)
    assert first.outcome == "failed"
    assert [s for _, s, _ in spans(first)] == ["2025-12-01", "2026-01-01"]
    second = vendor.run(backfill=window)
    assert [s for _, s, _ in spans(second)] == ["2026-02-01"]
    assert vendor.query("select count(*), max(outcome) from ops.runs") == [(1, "ok")]
    # Once finished, the same days asked for again are read again.
    assert len(spans(vendor.run(backfill=window))) == 3
    assert vendor.query("select count(*) from raw_vendor.days") == [(90,)]


def breaks_off(vendor: Vendor, month: int, window: Window) -> run_module.Result:
    """A backfill that loses the network when it comes to this month; the ones before have landed."""

    def read(api, account, window):
        if window.since.month == month:
            raise RuntimeError("the network is gone")
        return LOADER.resources[2].read(api, account, window)

    return vendor.run(with_resource("days", read=read), backfill=window)


def test_a_backfill_broken_off_three_days_ago_is_begun_anew(vendor: Vendor) -> None:
    window = Window(date(2026, 1, 1), date(2026, 2, 28))
    vendor.data["days"] = {"1": day_rows("2026-01-01", "2026-02-28")}
    assert breaks_off(vendor, 2, window).outcome == "failed"
    vendor.data["days"] = {"1": day_rows("2026-01-01", "2026-02-28", "2")}
    vendor.now = "2026-03-13T12:00:00+00:00"
    result = vendor.run(backfill=window)
    assert (result.outcome, result.message) == ("ok", None)
    assert [s for _, s, _ in spans(result)] == ["2026-01-01", "2026-02-01"]
    assert {spend for _, spend in vendor.current("days", "id, spend")} == {"2"}
    assert vendor.query("select outcome from ops.runs order by started_at") == [("failed",), ("ok",)]


@pytest.mark.parametrize("killed", [False, True])
def test_the_age_of_a_backfill_counts_from_what_it_did_last(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch, killed: bool
) -> None:
    window = Window(date(2026, 1, 1), date(2026, 3, 9))
    breaks_off(vendor, 2, window)
    vendor.now = "2026-03-12T11:00:00+00:00"
    with monkeypatch.context() as patch:
        if killed:
            patch.setattr(Books, "end", lambda *_: None)
        breaks_off(vendor, 3, window)
    vendor.now = "2026-03-14T10:00:00+00:00"
    assert [s for _, s, _ in spans(vendor.run(backfill=window))] == ["2026-03-01"]


def test_a_backfill_that_goes_on_says_what_it_skips_and_is_partial_if_the_rest_fails(
    vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    window = Window(date(2026, 1, 1), date(2026, 2, 28))
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2", "error": "account"}]
    first = vendor.run(backfill=window)
    assert (first.outcome, len(spans(first))) == ("partial", 2)
    second = vendor.run(backfill=window)
    said = "59 account-days that it has landed are not read again"
    assert said in caplog.text
    assert (second.outcome, spans(second)) == ("partial", [])
    assert (second.message or "").startswith("account 2: no permission for 2; ")
    assert said in (second.message or "")
    assert vendor.query("select outcome, message from ops.runs") == [("partial", second.message)]


def test_a_backfill_below_the_vendors_floor_is_refused_and_names_it(vendor: Vendor) -> None:
    for since, until in ((date(2020, 1, 1), date(2023, 2, 9)), (date(2026, 3, 11), date(2026, 3, 12))):
        result = vendor.run(backfill=Window(since, until))
        assert result.outcome == "refused"
        assert f"no day of {since} to {until} can be read" in (result.message or "")
        assert "37 months, 2023-02-10 to 2026-03-10" in (result.message or "")
    assert vendor.query("select count(*) from ops.commits") == [(0,)]


def test_a_backfill_partly_below_the_floor_says_which_days_it_reads(
    vendor: Vendor, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2", "timezone": "Pacific/Kiritimati"}]
    result = vendor.run(backfill=Window(date(2020, 1, 1), date(2023, 2, 12)))
    assert result.outcome == "ok"
    assert set(spans(result)) == {("1", "2023-02-10", "2023-02-12"), ("2", "2023-02-11", "2023-02-12")}
    for said in (result.message or "", caplog.text):
        assert "2023-02-10 to 2023-02-12 of account 1, 2023-02-11 to 2023-02-12 of account 2" in said


def test_an_account_that_a_backfill_can_read_no_day_of_is_named(vendor: Vendor) -> None:
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2", "timezone": "Pacific/Kiritimati"}]
    result = vendor.run(backfill=Window(date(2023, 2, 10), date(2023, 2, 10)))
    assert spans(result) == [("1", "2023-02-10", "2023-02-10")]
    assert "no day of account 2" in (result.message or "")


@pytest.mark.parametrize("zone", ["Mars/Olympus_Mons", None, "", "../etc/passwd"])
def test_an_account_without_a_time_zone_is_left_out_and_the_others_land(vendor: Vendor, zone) -> None:
    vendor.data["accounts"] = [{"id": "1", "timezone": zone}, {"id": "2"}]
    result = vendor.run()
    assert result.outcome == "partial"
    assert f"account 1: its time zone is {zone!r}" in (result.message or "")
    assert spans(result) == [("2", "2026-03-08", "2026-03-10")]


def test_a_vendor_that_lists_no_account_is_a_failure_that_says_what_to_check(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": day_rows("2026-03-08", "2026-03-10")}
    vendor.run()
    vendor.data["accounts"] = []
    result = vendor.run()
    assert result.outcome == "failed"
    for named in ("lists no account", "[sources.vendor]", "account ids", "manager"):
        assert named in (result.message or "")
    # Nothing landed, not even the empty list: what was known of the accounts stays.
    assert vendor.query("select count(*) from ops.commits") == [(1,)]


def test_a_list_of_accounts_that_can_all_not_be_read_does_not_land(vendor: Vendor) -> None:
    vendor.data["accounts"] = [{"id": "1", "error": "unlisted"}]
    assert vendor.run().outcome == "failed"
    assert vendor.query("select count(*) from ops.commits") == [(0,)]


def test_accounts_that_are_no_longer_listed_are_named(vendor: Vendor) -> None:
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2"}, {"id": "3"}]
    assert vendor.run().message is None
    vendor.data["accounts"] = [{"id": "1"}, {"id": "3", "error": "unlisted"}]
    result = vendor.run()
    assert result.outcome == "partial"
    assert "no longer listed: account 2" in (result.message or "")
    vendor.data["accounts"] = [{"id": "1"}, {"id": "3"}]
    result = vendor.run()
    assert (result.outcome, (result.message or "").split(" (")[0]) == ("ok", "no longer listed: account 2")
    assert vendor.query("select message from ops.runs where outcome = 'ok' and message is not null") == [
        (result.message,)
    ]


def test_a_lease_lost_while_reading_blames_no_account(vendor: Vendor) -> None:
    def read(api, account, window):
        yield from LOADER.resources[2].read(api, account, window)
        raise LeaseLost("another run has taken over")

    vendor.data["days"] = {"1": day_rows("2026-03-08", "2026-03-10")}
    result = vendor.run(with_resource("days", read=read))
    assert (result.outcome, result.message) == ("failed", "another run has taken over")
    assert result.records == []


def test_daily_runs_with_restatement_keep_raw_below_three_times_its_current_rows(vendor: Vendor) -> None:
    today = date(2026, 3, 10)
    for n in range(6):
        now = today + timedelta(days=n)
        days = day_rows(str(now - timedelta(days=28)), str(now), "1")
        for age in range(3):  # the last days are still being restated
            day = str(now - timedelta(days=age))
            days[day] = [{"id": f"ad {day}", "spend": f"{n}.{age}", "clicks": "1"}]
        vendor.data["days"] = {"1": days}
        vendor.now = f"{now}T12:00:00+00:00"
        assert vendor.run(window_days=28).outcome == "ok"
    total = vendor.query("select count(*) from raw_vendor.days")[0][0]
    current = len(vendor.current("days", "id, spend"))
    assert current == 29 + 5
    assert total < 3 * current


def test_the_books_say_what_was_read_and_landed(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": day_rows("2026-03-08", "2026-03-10")}
    vendor.run()
    row = vendor.query(
        "select run_seq, window_since::text, window_until::text, rows_read, rows_landed, sets_landed,"
        " sets_unchanged, escaped, outcome, seconds >= 0 from ops.run_resources where resource = 'days'"
    )
    assert row == [(1, "2026-03-08", "2026-03-10", 3, 3, 3, 0, 0, "ok", True)]
    assert vendor.query("select pipeline, outcome, api_version, finished_at = started_at from ops.runs") == [
        ("vendor", "ok", "v1", True)
    ]
    assert vendor.query(
        "select count(*) from ops.commits c join raw_vendor._dlt_loads l using (load_id)"
    ) == [(1,)]
    assert vendor.query("select count(distinct _dlt_load_id) from raw_vendor.days") == [(1,)]


def test_the_set_index_is_there(vendor: Vendor) -> None:
    vendor.run()
    found = vendor.query(
        "select indexdef from pg_indexes where schemaname = 'raw_vendor' and tablename = 'days'"
    )
    assert ["(_account, _day, _run_seq)" in definition for (definition,) in found] == [True]


@pytest.mark.parametrize(
    ("sunset", "said"),
    [("2026-05-10", None), ("2026-05-09", "in 60 days"), ("2026-03-01", "has ended"), (None, None)],
)
def test_an_api_version_near_its_end_is_warned_of(sunset: str | None, said: str | None, caplog) -> None:
    from datetime import UTC, datetime

    from loaders._core.declare import Clock

    settings = VendorSettings()
    settings.api_version_sunset = sunset and date.fromisoformat(sunset)
    with caplog.at_level(logging.WARNING):
        warning = warn_of_sunset(LOADER, settings, Clock(datetime(2026, 3, 10, tzinfo=UTC)))
    assert (warning is None) == (said is None)
    assert said is None or said in caplog.text
