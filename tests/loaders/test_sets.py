"""Sets, receipts and what counts as the current version of the data."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

from loaders._core.declare import STATED, Account, Loader, Resource, Window
from loaders._core.stream import Documents, Mark, OfDay
from tests.loaders.vendor import DAYS, LOADER, Api, Vendor, with_resource

TODAY, YESTERDAY, BEFORE = "2026-03-10", "2026-03-09", "2026-03-08"


def rows(*figures: tuple[str, str]) -> list[dict[str, str]]:
    return [{"id": name, "spend": spend, "clicks": "1"} for name, spend in figures]


def receipts(vendor: Vendor, resource: str = "days") -> list[tuple]:
    return vendor.query(
        "select day::text, rows, run_seq, data_run_seq, totals from raw_vendor.covered"
        f" where resource = '{resource}' order by run_seq, day"
    )


def test_every_set_of_the_window_gets_a_receipt_also_an_empty_one(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "0.10"), ("b", "0.20"))}}
    result = vendor.run()
    assert (result.outcome, result.message) == ("ok", None)
    assert [(day, count) for day, count, *_ in receipts(vendor)] == [(BEFORE, 0), (YESTERDAY, 2), (TODAY, 0)]
    assert receipts(vendor)[1][4] == '{"spend": "0.3", "clicks": "2"}'
    assert receipts(vendor)[0][4] == '{"spend": "0", "clicks": "0"}'


def test_an_unchanged_set_lands_only_a_receipt_that_points_to_its_rows(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "1"), ("b", "2")), TODAY: rows(("a", "3"))}}
    vendor.data["entities"] = {"1": [{"id": "x"}]}
    vendor.run()
    first = vendor.query("select count(*) from raw_vendor.days")[0][0]
    # Another order of the same rows is the same set.
    vendor.data["days"]["1"][YESTERDAY].reverse()
    vendor.data["days"]["1"][TODAY] = rows(("a", "4"))
    result = vendor.run()
    assert first == 3
    assert vendor.query("select count(*) from raw_vendor.days")[0][0] == first + 1
    runs = {(day, seq): data for day, _, seq, data, _ in receipts(vendor)}
    (one, two) = sorted({seq for _, seq in runs})
    assert runs[YESTERDAY, two] == one
    assert runs[TODAY, two] == two
    assert vendor.current("days", "_day::text, id, spend") == [
        (YESTERDAY, "a", "1"),
        (YESTERDAY, "b", "2"),
        (TODAY, "a", "4"),
    ]
    record = next(r for r in result.records if r.resource == "days")
    assert (record.rows_read, record.rows_landed, record.sets_landed, record.sets_unchanged) == (3, 1, 1, 2)
    assert vendor.query("select count(*) from raw_vendor.entities") == [(1,)]


def test_a_set_that_changes_back_lands_again(vendor: Vendor) -> None:
    for spend in ("1", "2", "1"):
        vendor.data["days"] = {"1": {YESTERDAY: rows(("a", spend))}}
        vendor.run()
        assert vendor.current("days", "id, spend") == [("a", spend)]
    assert [r[3] == r[2] for r in receipts(vendor) if r[0] == YESTERDAY] == [True, True, True]


def test_a_restated_row_that_vanished_is_gone_and_an_emptied_day_is_empty(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "1"), ("b", "2")), BEFORE: rows(("a", "5"))}}
    vendor.run()
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "1"))}}
    vendor.run()
    assert vendor.current("days", "_day::text, id") == [(YESTERDAY, "a")]


def test_a_doubled_row_is_another_set_and_twins_have_keys_of_their_own(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "1"))}}
    vendor.run()
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "1"), ("a", "1"))}}
    vendor.run()
    assert len(vendor.current("days", "id, _row_no")) == 2
    assert (
        vendor.query("select count(*) from raw_vendor.days group by _run_seq, _row_no having count(*) > 1")
        == []
    )


def test_equal_figures_of_two_accounts_stay_two_sets(vendor: Vendor) -> None:
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2"}]
    vendor.data["days"] = {name: {YESTERDAY: rows(("a", "1"))} for name in ("1", "2")}
    vendor.run()
    assert vendor.current("days", "_account, id") == [("1", "a"), ("2", "a")]


def test_a_day_is_the_accounts_own(vendor: Vendor) -> None:
    vendor.now = "2026-03-10T16:00:00+00:00"
    vendor.data["accounts"] = [
        {"id": "1", "timezone": "Asia/Tokyo"},
        {"id": "2", "timezone": "America/Los_Angeles"},
    ]
    vendor.now = "2026-03-10T02:00:00+00:00"
    vendor.run()
    last = dict(vendor.query("select account, max(day)::text from raw_vendor.covered group by 1"))
    assert (last["1"], last["2"]) == ("2026-03-10", "2026-03-09")


def test_a_new_empty_column_does_not_change_a_set(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "1"), ("b", "")), TODAY: rows(("a", "1"))}}
    vendor.run()
    vendor.data["days"]["1"][TODAY][0]["brand_new"] = "x"
    vendor.run()
    assert {day: (seq, data) for day, _, seq, data, _ in receipts(vendor)[3:]}[YESTERDAY][1] == receipts(
        vendor
    )[0][2]
    assert vendor.current("days", "_day::text, brand_new") == [
        (YESTERDAY, None),
        (YESTERDAY, None),
        (TODAY, "x"),
    ]


def test_an_empty_text_and_an_absent_one_are_different_sets(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: [{"id": "a", "spend": "1", "last": ""}]}}
    vendor.run()
    vendor.data["days"] = {"1": {YESTERDAY: [{"id": "a", "spend": "1"}]}}
    vendor.run()
    assert vendor.current("days", "id, last") == [("a", None)]


def test_totals_are_exact_whatever_the_numbers(vendor: Vendor) -> None:
    spends = ["0.1", "0.2", "1e-30", "1E+40", "-3"]
    vendor.data["days"] = {"1": {YESTERDAY: rows(*[(str(n), s) for n, s in enumerate(spends)])}}
    vendor.run()
    spend = f"{'9' * 39}7.3{'0' * 28}1"
    assert json.loads(receipts(vendor)[1][4]) == {"spend": spend, "clicks": "5"}


def test_a_total_over_what_is_no_number_is_unknown_and_lands_all_the_same(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "1"), ("b", "n/a"))}}
    assert vendor.run().outcome == "ok"
    assert receipts(vendor)[1][4] == '{"spend": null, "clicks": "2"}'
    assert [s for _, s in vendor.current("days", "id, spend")] == ["1", "n/a"]


def test_a_row_of_a_day_not_asked_for_fails_the_account_and_retires_nothing(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "1"))}}
    vendor.run()
    vendor.data["days"]["1"][TODAY] = [{"day": "2026-01-01", "id": "a", "spend": "1"}]
    result = vendor.run()
    assert result.outcome == "failed"
    assert "2026-01-01" in (result.message or "")
    assert vendor.current("days", "id, spend") == [("a", "1")]


def test_many_small_pages_and_files_land_whole(vendor: Vendor, monkeypatch) -> None:
    monkeypatch.setattr("loaders._core.sets.FILE_ROWS", 7)
    days = {f"2026-03-{d:02}": rows(*[(f"{d}-{n}", str(n)) for n in range(10)]) for d in (8, 9, 10)}
    vendor.data |= {"days": {"1": days}, "page": 4}
    vendor.run()
    landed = vendor.current("days", "_day::text, id")
    assert sorted(landed) == sorted((day, row["id"]) for day, records in days.items() for row in records)
    # One day of three changes, so every file that mixes days is written anew.
    days["2026-03-09"][3]["spend"] = "77"
    vendor.run()
    assert vendor.query("select count(*) from raw_vendor.days") == [(40,)]
    assert len(vendor.current("days", "id, spend")) == 30


def test_a_resource_that_never_had_a_row_has_its_table_and_declared_columns(vendor: Vendor) -> None:
    vendor.run()
    assert (
        vendor.query("select day, id, spend, clicks, _run_seq, _row_no, _account, _day from raw_vendor.days")
        == []
    )


def test_a_report_added_later_is_read_from_the_start_date(vendor: Vendor) -> None:
    from datetime import date

    vendor.run(start_date=date(2026, 3, 1))
    late = replace(
        LOADER, resources=(*LOADER.resources, Resource("late", DAYS.read, ("data",), day=("day",)))
    )
    result = vendor.run(late, start_date=date(2026, 3, 1))
    record = next(r for r in result.records if r.resource == "late")
    assert str(record.since) == "2026-03-01"


def test_a_control_that_disagrees_is_read_again_once(vendor: Vendor) -> None:
    vendor.data["days"] = {"1": {YESTERDAY: rows(("a", "1"))}}
    vendor.data["controls"] = {"1": {YESTERDAY: rows(("", "2"))}}
    asked = []

    def counted(api, account, window):
        asked.append(account.id)
        return DAYS.read(api, account, window)

    result = vendor.run(with_resource("days", read=counted))
    assert asked == ["1", "1"]
    assert result.outcome == "ok"
    message = next(r.message for r in result.records if r.resource == "controls")
    assert message is not None
    assert "spend of 2026-03-09 is 2 in controls but 1 in days" in message
    assert vendor.query("select count(*) from raw_vendor.days") == [(1,)]
    # Today is still open: platforms count on while they are asked.
    asked.clear()
    vendor.data["controls"] = {"1": {YESTERDAY: rows(("", "1")), TODAY: rows(("", "9"))}}
    vendor.run(with_resource("days", read=counted))
    assert asked == ["1"]


def test_what_comes_again_after_a_broken_reading_is_landed_once(vendor: Vendor, monkeypatch) -> None:
    monkeypatch.setattr("loaders._core.sets.FILE_ROWS", 3)
    page = [json.dumps({"data": rows((f"{n}-a", "1"), (f"{n}-b", "1"))}).encode() for n in range(4)]

    def read(api, account, window):
        again = (page[1], page[2], Mark.AGAIN, page[1], Mark.AGAIN, page[1], page[3])
        yield from (page[0], Mark.WHOLE, *again, Mark.WHOLE)

    result = vendor.run(with_resource("entities", read=read))
    record = next(r for r in result.records if r.resource == "entities")
    ids = ["0-a", "0-b", "1-a", "1-b", "3-a", "3-b"]
    assert [name for name, _ in vendor.current("entities", "id, spend")] == ids
    assert vendor.query("select count(*) from raw_vendor.entities") == [(6,)]
    assert record.rows_read == 6


def stated(*documents: bytes | Mark | OfDay, only: tuple[str, ...] | None = None) -> Loader:
    """The loader with a report whose records carry no date."""

    def read(api: Api, account: Account, window: Window | None) -> Documents:
        yield from documents

    report = Resource("events", read, ("data",), day=STATED, columns=("id",), only=only)
    return replace(LOADER, resources=(*LOADER.resources, report))


TODAY_OF, YESTERDAY_OF = OfDay(date(2026, 3, 10)), OfDay(date(2026, 3, 9))


def test_records_without_a_date_are_of_the_day_that_the_reader_says(vendor: Vendor) -> None:
    one, two = b'{"data":[{"id":"1","_day":"2020-01-01"}]}', b'{"data":[{"id":"2"},{"id":"3"}]}'
    assert vendor.run(stated(YESTERDAY_OF, one, Mark.WHOLE, TODAY_OF, two, two)).outcome == "ok"
    landed = vendor.current("events", "_day::text, id")
    assert landed == [(YESTERDAY, "1"), *[(TODAY, "2")] * 2, *[(TODAY, "3")] * 2]
    counts = [(day, count) for day, count, *_ in receipts(vendor, "events")]
    assert counts == [(BEFORE, 0), (YESTERDAY, 1), (TODAY, 4)]


def test_a_day_that_is_read_again_keeps_what_was_whole_before_it(vendor: Vendor) -> None:
    one, two, three = (b'{"data":[{"id":"%d"}]}' % number for number in (1, 2, 3))
    vendor.run(stated(YESTERDAY_OF, one, Mark.WHOLE, TODAY_OF, two, Mark.AGAIN, three, Mark.WHOLE))
    assert vendor.current("events", "_day::text, id") == [(YESTERDAY, "1"), (TODAY, "3")]


def test_a_changed_day_lands_alone_also_where_the_reader_says_it(vendor: Vendor) -> None:
    one, two = b'{"data":[{"id":"1"}]}', b'{"data":[{"id":"2"}]}'
    vendor.run(stated(YESTERDAY_OF, one, TODAY_OF, one))
    vendor.run(stated(YESTERDAY_OF, one, TODAY_OF, two))
    assert vendor.current("events", "_day::text, id, _run_seq") == [(YESTERDAY, "1", 1), (TODAY, "2", 2)]
    assert vendor.query("select count(*) from raw_vendor.events") == [(3,)]


def test_records_of_a_day_that_nobody_said_or_asked_for_do_not_land(vendor: Vendor) -> None:
    result = vendor.run(stated(b'{"data":[{"id":"1"}]}'))
    assert "a row has no _day" in (result.message or "")
    result = vendor.run(stated(OfDay(date(2020, 1, 1)), b'{"data":[{"id":"1"}]}'))
    assert "a row is of 2020-01-01, asked for were" in (result.message or "")
    assert vendor.query("select count(*) from raw_vendor.covered where resource = 'events'") == [(0,)]


def test_a_resource_of_some_accounts_is_read_for_those(vendor: Vendor) -> None:
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2"}, {"id": "3"}]
    loader = stated(TODAY_OF, b'{"data":[{"id":"1"}]}', only=("1", "3"))
    assert vendor.run(loader).outcome == "ok"
    assert vendor.current("events", "_account, id") == [("1", "1"), ("3", "1")]
    assert [loader.reports_of(each) for each in "12"] == [
        ["days", "controls", "events"],
        ["days", "controls"],
    ]
