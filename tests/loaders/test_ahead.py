"""Files that are loaded while reading goes on: they come early, and count no sooner than the rest."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from loaders._core.declare import Account, Loader, Window
from loaders._core.errors import AccountError, ConfigurationError
from loaders._core.landing import Landing
from loaders._core.stream import Documents, Mark
from tests import preloaded
from tests.conftest import ROOT
from tests.loaders import vendor as vendor_module
from tests.loaders.test_kill_points import expected, truth
from tests.loaders.vendor import Vendor, with_resource

DAY = "2026-03-09"
WINDOW = Window(date(2026, 3, 8), date(2026, 3, 10))
SMALL = (
    "import runpy; from loaders._core import ahead, sets;"
    " sets.FILE_ROWS = 5; ahead.FIRST_FILES = ahead.PACKAGE_FILES = 2; "
)


@pytest.fixture(autouse=True)
def small_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders._core.sets.FILE_ROWS", 5)
    monkeypatch.setattr("loaders._core.ahead.FIRST_FILES", 2)
    monkeypatch.setattr("loaders._core.ahead.PACKAGE_FILES", 2)


def figures(count: int, spend: str = "1") -> dict[str, list[dict[str, str]]]:
    return {DAY: [{"id": f"{n:03}", "spend": spend, "clicks": "1"} for n in range(count)]}


def landed(vendor: Vendor) -> int:
    if vendor.query("select to_regclass('raw_vendor.days')") == [(None,)]:
        return 0
    return int(vendor.query("select count(*) from raw_vendor.days")[0][0])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.02)


def pausing(vendor: Vendor, then: Callable[[Account], Documents] = lambda account: iter(())) -> Loader:
    """The vendor, its days read to their end only when some of them are landed; then ``then``."""
    plain = vendor_module.DAYS.read

    def read(api: Any, account: Account, window: Window | None) -> Documents:
        before = landed(vendor)
        pages = list(plain(api, account, window))
        yield from pages[:-1]
        until(lambda: landed(vendor) > before)
        assert vendor.current("days", "_account, id") == []
        yield pages[-1]
        yield from then(account)

    return with_resource("days", read=read)


@pytest.fixture
def paged(vendor: Vendor) -> Vendor:
    vendor.data["page"] = 5
    vendor.data["days"] = {"1": figures(32)}
    return vendor


def prepare(vendor: Vendor) -> None:
    """A run that finds nothing, so that receipts and their tables are there to be asked."""
    days, vendor.data["days"] = vendor.data["days"], {}
    assert vendor.run().outcome == "ok"
    vendor.data["days"] = days


def test_files_are_in_the_warehouse_before_reading_ends_and_count_when_it_has_ended(paged: Vendor) -> None:
    prepare(paged)
    result = paged.run(pausing(paged))
    assert (result.outcome, result.message) == ("ok", None)
    assert truth(paged) == expected(paged)
    assert landed(paged) == 32
    record = next(r for r in result.records if r.resource == "days")
    assert (record.rows_read, record.rows_landed) == (32, 32)
    # All rows bear the load id of the package that made them count, whichever brought them.
    assert paged.query(
        "select count(distinct _dlt_load_id) from raw_vendor.days join ops.commits on load_id = _dlt_load_id"
    ) == [(1,)]
    assert paged.query("select count(distinct _row_no) from raw_vendor.days") == [(32,)]


def test_what_comes_again_replaces_what_was_loaded_already(paged: Vendor) -> None:
    prepare(paged)

    def again(account: Account) -> Documents:
        yield Mark.AGAIN
        paged.data["days"]["1"] = figures(30, "2")
        paged.write()
        yield from vendor_module.DAYS.read(vendor_module.Api(paged.file), account, WINDOW)
        yield Mark.WHOLE

    assert paged.run(pausing(paged, again)).outcome == "ok"
    assert landed(paged) == 30
    assert truth(paged) == expected(paged)


def test_what_was_whole_before_is_not_forgotten(paged: Vendor) -> None:
    def read(api: Any, account: Account, window: Window | None) -> Documents:
        pages = list(vendor_module.DAYS.read(api, account, window))
        yield from pages[:3]
        yield Mark.WHOLE
        yield from pages[1:4]
        yield Mark.AGAIN
        yield pages[5]
        yield Mark.AGAIN
        yield from pages[3:]
        yield Mark.WHOLE

    result = paged.run(with_resource("days", read=read))
    assert result.outcome == "ok"
    assert truth(paged) == expected(paged)
    assert landed(paged) == 32
    assert next(r for r in result.records if r.resource == "days").message is None  # the control agrees


def test_an_account_that_fails_late_leaves_nothing_and_the_others_land(
    paged: Vendor,
) -> None:
    paged.data["accounts"] = [{"id": "1"}, {"id": "2"}]
    paged.data["days"] = {"1": figures(32), "2": figures(12, "3")}
    prepare(paged)

    def refuse(account: Account) -> Documents:
        if account.id == "1":
            raise AccountError("no permission")
        return iter(())

    assert paged.run(pausing(paged, refuse)).outcome == "partial"
    assert paged.query("select distinct _account from raw_vendor.days") == [("2",)]
    assert truth(paged) == [row for row in expected(paged) if row[0] == "2"]


def test_an_account_read_again_because_its_totals_differ_lands_once(paged: Vendor) -> None:
    prepare(paged)
    readings: list[str] = []

    def read(api: Any, account: Account, window: Window | None) -> Documents:
        readings.append(account.id)
        pages = list(vendor_module.DAYS.read(api, account, window))
        yield from pages[: 4 if len(readings) == 1 else None]  # rows are missing the first time
        until(lambda: landed(paged) > 0)

    result = paged.run(with_resource("days", read=read))
    assert (result.outcome, len(readings)) == ("ok", 2)
    assert landed(paged) == 32
    assert truth(paged) == expected(paged)


def test_sets_with_rows_from_before_wait_to_be_compared(paged: Vendor) -> None:
    assert paged.run().outcome == "ok"
    assert paged.run().outcome == "ok"
    assert landed(paged) == 32  # the second run found all unchanged
    paged.data["days"]["1"][DAY][31]["spend"] = "7"
    assert paged.run().outcome == "ok"
    assert landed(paged) == 64
    assert truth(paged) == expected(paged)


def test_a_run_that_fails_leaves_nothing_that_counts(paged: Vendor) -> None:
    prepare(paged)

    def dead(account: Account) -> Documents:
        raise ConfigurationError("the token is dead")

    assert paged.run(pausing(paged, dead)).outcome == "failed"
    assert truth(paged) == []
    assert landed(paged) == 0
    assert paged.run().outcome == "ok"
    assert truth(paged) == expected(paged)


def test_an_error_while_loading_fails_the_run_and_not_the_account(
    paged: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: Landing, files: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Landing, "_load_ahead", broken)
        result = paged.run()
    assert result.outcome == "failed"
    assert "no space left" in (result.message or "")
    assert "account" not in (result.message or "")
    assert paged.query("select count(*) from ops.commits") == [(0,)]
    assert paged.run().outcome == "ok"
    assert truth(paged) == expected(paged)


@pytest.mark.parametrize("point", ["load.job_started", "load.file_committed", "load.job_noted:2"])
def test_killed_while_loading_beside_reading_the_next_run_is_right(paged: Vendor, point: str) -> None:
    paged.data["accounts"] = [{"id": "1"}, {"id": "2"}]
    paged.data["days"] = {"1": figures(40), "2": figures(9)}
    paged.write()
    killed = preloaded.run(
        [
            sys.executable,
            "-c",
            SMALL + "runpy.run_module('tests.loaders.vendor', run_name='__main__', alter_sys=True)",
            str(paged.file),
        ],
        cwd=ROOT,
        env={**os.environ, "ADSTAR_NOW": paged.now, "ADSTAR_KILL_AT": point},
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    paged.data["days"]["1"] = figures(40, "2")
    assert paged.run().outcome == "ok"
    assert truth(paged) == expected(paged)
