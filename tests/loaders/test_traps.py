"""Ways in which dlt would land something else than it was given: each is an error, or can't happen."""

from __future__ import annotations

import pytest

from loaders._core import destination, landing
from tests.loaders.vendor import Vendor


@pytest.fixture
def filled(vendor: Vendor) -> Vendor:
    vendor.data["days"] = {"1": {"2026-03-09": [{"id": "", "spend": "1", "clicks": "2"}]}}
    return vendor


def test_without_the_adbc_driver_nothing_lands(filled: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(destination, "get_adbc_driver_location", lambda: "no_such_driver")
    result = filled.run()
    assert result.outcome == "failed"
    assert "adbc-driver-postgresql" in (result.message or "")


def test_adbc_switched_off_by_a_setting_is_an_error_too(
    filled: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISABLE_ADBC_DETECTION", "true")
    result = filled.run()
    assert result.outcome == "failed"
    assert "disable_adbc_detection" in (result.message or "")


def test_a_file_that_dlt_would_make_csv_of_is_an_error(
    filled: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the driver vanished between our look and dlt's.
    monkeypatch.setattr(landing, "require_driver", lambda: None)
    monkeypatch.setenv("DISABLE_ADBC_DETECTION", "true")
    result = filled.run()
    assert result.outcome == "failed"
    assert "dlt has made a csv file" in (result.message or "")
    assert filled.query("select count(*) from ops.commits") == [(0,)]


def test_gzip_on_and_other_settings_of_dlt_change_nothing(
    filled: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "false",
        "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
        "NORMALIZE__LOADER_FILE_FORMAT": "csv",
    }.items():
        monkeypatch.setenv(name, value)
    assert filled.run().outcome == "ok"
    assert filled.current("days", "id, spend") == [("", "1")]


def test_a_table_without_rows_does_not_leave_the_package_stuck(vendor: Vendor) -> None:
    assert vendor.run().outcome == "ok"
    assert vendor.run().outcome == "ok"
    assert vendor.query("select count(*) from ops.commits") == [(2,)]


def test_a_failing_account_does_not_abort_the_package(filled: Vendor) -> None:
    filled.data["accounts"] = [{"id": "9", "error": "account"}, {"id": "1"}]
    assert filled.run().outcome == "partial"
    assert filled.current("days", "_account, spend") == [("1", "1")]
