"""The command: what it runs, says, and leaves with."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from loaders._core import command, configure
from loaders._core.errors import ConfigurationError
from loaders._core.warehouse import resolve
from tests import preloaded
from tests.conftest import ROOT
from tests.loaders.vendor import LOADER, Vendor

DLT = Path(sys.executable).with_name("dlt")


def dlt(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return preloaded.run(
        [DLT, *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )


@pytest.fixture
def sources(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Two sources, `vendor` and `other`, both configured."""
    found = {"vendor": LOADER, "other": replace(LOADER, name="other")}
    monkeypatch.setattr(configure, "available", lambda: found)
    monkeypatch.setattr(configure, "named", found.__getitem__)
    monkeypatch.setenv("ADSTAR_NOW", vendor.now)
    for name in found:
        monkeypatch.setenv(f"SOURCES__{name.upper()}__TOKEN", "a-token-that-is-secret")
        monkeypatch.setenv(f"SOURCES__{name.upper()}__FILE", str(vendor.file))
    vendor.data["days"] = {"1": {"2026-03-09": [{"id": "a", "spend": "1", "clicks": "2"}]}}
    vendor.write()
    return vendor


@pytest.mark.parametrize(
    "arguments",
    [
        ("--since", "2026-01-01"),
        ("--since", "2026-02-01", "--until", "2026-01-01"),
        ("--since", "yesterday", "--until", "2026-01-01"),
        ("--no-such-option",),
    ],
)
def test_wrong_usage_is_2_in_both_spellings(arguments: tuple[str, ...]) -> None:
    for spelling in (("pipeline", "run"), ("pipeline", "facebook_ads", "run")):
        result = dlt(*spelling, *arguments)
        assert result.returncode == command.USAGE, result.stderr


def test_a_source_that_is_none_is_2_and_the_message_names_those_there_are() -> None:
    result = dlt("pipeline", "myspace_ads", "run")
    assert result.returncode == command.USAGE
    assert "no source 'myspace_ads'" in result.stderr
    assert "facebook_ads" in result.stderr
    assert "google_ads" in result.stderr


def test_a_source_is_called_as_its_module() -> None:
    for name, loader in configure.available().items():
        assert loader.name == name, f"loaders/{name}.py calls itself {loader.name}, by which it is not found"


def test_naming_a_source_loads_no_other() -> None:
    asked = "import sys; from loaders._core.configure import named; named('rds'); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True, cwd=ROOT)
    others = {f"loaders.{name}" for name in configure.available()} - {"loaders.rds"}
    assert not (others | {"boto3", "confluent_kafka"}) & set(told.stdout.split())


def test_nothing_configured_says_what_to_put_where(target, tmp_path: Path) -> None:
    for spelling in (("pipeline", "run"), ("pipeline", "facebook_ads", "run")):
        result = dlt(*spelling, DLT_PROJECT_DIR=str(tmp_path))
        assert result.returncode == command.FAILED
        for text in (
            "not configured",
            "access_token",
            "SOURCES__FACEBOOK_ADS__ACCESS_TOKEN",
            ".dlt/secrets.toml",
        ):
            assert text in result.stderr


def test_every_configured_source_runs_and_one_can_be_named(sources: Vendor, capsys) -> None:
    assert command.main(None) == command.OK
    output = capsys.readouterr().out
    assert "vendor ok" in output
    assert "other ok" in output
    assert command.main("other") == command.OK
    assert sources.query("select pipeline, count(*) from ops.runs group by 1 order by 1") == [
        ("other", 2),
        ("vendor", 1),
    ]


def test_the_table_at_the_end_has_the_figures(sources: Vendor, capsys) -> None:
    command.main("vendor")
    lines = capsys.readouterr().out.splitlines()
    line = next(text for text in lines if " days " in text)
    cells = [cell.strip() for cell in line.strip("│┃ ").split("│")]
    assert cells[:7] == ["vendor", "days", "1", "1", "1", "3", "0"]


def test_a_failing_source_does_not_stop_the_other_and_is_named(sources: Vendor, monkeypatch, capsys) -> None:
    monkeypatch.setenv("SOURCES__VENDOR__FILE", "/nonexistent")
    assert command.main(None) == command.FAILED
    output = capsys.readouterr().out
    assert "vendor failed: [Errno 2]" in output
    assert "other ok" in output


def test_an_account_left_out_is_3(sources: Vendor, capsys) -> None:
    sources.data["accounts"] = [{"id": "1"}, {"id": "2", "error": "account"}]
    sources.write()
    assert command.main("vendor") == command.PARTIAL
    assert "vendor partial: account 2: no permission for 2" in capsys.readouterr().out


def test_failed_weighs_more_than_refused_and_that_more_than_partial() -> None:
    codes = {(): 0, ("ok",): 0, ("ok", "partial"): 3, ("partial", "refused"): 2, ("refused", "failed"): 1}
    assert {outcomes: command.exit_code(outcomes) for outcomes in codes} == codes


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_backfill_of_days_beyond_reach_is_wrong_usage(sources: Vendor, capsys, dry_run: bool) -> None:
    days = {"since": date(2020, 1, 1), "until": date(2020, 12, 31)}
    assert command.main("vendor", dry_run=dry_run, **days) == command.USAGE
    streams = capsys.readouterr()
    assert "no day of 2020-01-01 to 2020-12-31 can be read" in streams.out + streams.err
    assert "37 months, 2023-02-10 to 2026-03-10" in streams.out + streams.err


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_backfill_partly_beyond_reach_says_what_it_reads(sources: Vendor, capsys, dry_run: bool) -> None:
    days = {"since": date(2020, 1, 1), "until": date(2023, 2, 12)}
    assert command.main("vendor", dry_run=dry_run, **days) == command.OK
    assert "it reads 2023-02-10 to 2023-02-12: vendor gives 37 months" in capsys.readouterr().out


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_vendor_that_lists_no_account_is_a_failure(sources: Vendor, capsys, dry_run: bool) -> None:
    sources.data["accounts"] = []
    sources.write()
    assert command.main("vendor", dry_run=dry_run) == command.FAILED
    streams = capsys.readouterr()
    assert "vendor lists no account" in streams.out + streams.err


def test_a_missing_setting_of_a_configured_source_is_named(sources: Vendor, monkeypatch, capsys) -> None:
    from loaders.google_ads import LOADER as google

    monkeypatch.setattr(configure, "available", lambda: {"google_ads": google, "vendor": LOADER})
    monkeypatch.setenv("SOURCES__GOOGLE_ADS__CLIENT_ID", "id")
    monkeypatch.setenv("SOURCES__GOOGLE_ADS__CLIENT_SECRET", "shh")
    assert command.main(None) == command.FAILED
    output = capsys.readouterr().out
    assert "refresh_token" in output
    assert "SOURCES__GOOGLE_ADS__REFRESH_TOKEN" in output
    assert "vendor ok" in output


def test_a_setting_of_the_wrong_kind_is_named(sources: Vendor, monkeypatch) -> None:
    monkeypatch.setenv("SOURCES__VENDOR__WINDOW_DAYS", "a month")
    with pytest.raises(ConfigurationError, match="window_days"):
        configure.settings_of(LOADER)


def test_a_dry_run_says_what_it_would_do_and_does_none_of_it(sources: Vendor, capsys) -> None:
    for arguments in ({}, {"since": date(2026, 1, 15), "until": date(2026, 2, 3)}):
        assert command.main("vendor", dry_run=True, **arguments) == command.OK
    output = capsys.readouterr().out
    assert "account 1: days, controls of 2026-03-08 to 2026-03-10, and accounts, entities" in output
    assert "account 1: days, controls of 2026-01-15 to 2026-01-31" in output
    assert "2 load packages; nothing was written" in output
    assert sources.query("select nspname from pg_namespace where nspname in ('ops', 'raw_vendor')") == []
    assert not Path(os.environ["ADSTAR_STATE"]).exists()


def test_a_backfill_of_the_command_line(sources: Vendor) -> None:
    assert command.main("vendor", since=date(2026, 1, 15), until=date(2026, 2, 3)) == command.OK
    assert sources.query("select mode, since::text, until::text, outcome from ops.runs") == [
        ("backfill", "2026-01-15", "2026-02-03", "ok")
    ]
    assert sources.query("select count(*) from ops.commits") == [(2,)]


def test_an_unknown_target_is_named_with_those_there_are(sources: Vendor, capsys) -> None:
    assert command.main(None, target_name="mainframe") == command.FAILED
    error = capsys.readouterr().err
    assert "'mainframe'" in error
    assert "embedded, postgres, redshift" in error


def test_a_wrong_clock_is_wrong_usage(sources: Vendor, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ADSTAR_NOW", "noon")
    assert command.main(None) == command.USAGE
    assert "ADSTAR_NOW" in capsys.readouterr().err


def test_a_warehouse_that_does_not_answer_is_named(sources: Vendor, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ADSTAR_POSTGRES_PORT", "1")
    assert command.main("vendor") == command.FAILED
    output = capsys.readouterr().out
    assert "target 'postgres' (127.0.0.1:1" in output
    assert "profiles.yml" in output


def test_no_secret_reaches_the_output(sources: Vendor, monkeypatch, capsys) -> None:
    monkeypatch.setenv("ADSTAR_POSTGRES_PASSWORD", "a-wrong-password")
    assert command.main("vendor", verbosity=2) == command.FAILED
    streams = capsys.readouterr()
    assert "a-wrong-password" not in streams.out + streams.err
    assert "a-token-that-is-secret" not in streams.out + streams.err
    assert "a-wrong-password" not in repr(resolve())


def test_the_target_of_loaders_is_that_of_dbt(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "profiles.yml").write_text(
        "adstar:\n  target: \"{{ env_var('WHICH', 'here') }}\"\n  outputs:\n"
        "    here: {type: postgres, host: h, user: u, pass: p, dbname: d,"
        " port: \"{{ env_var('P', '5') | as_number }}\"}\n"
        "    there: {type: redshift, host: r, user: u, password: p, dbname: d}\n    odd: {type: duckdb}\n"
        "    asks: {type: postgres, host: \"{{ env_var('NOT_SET_ANYWHERE') }}\", user: u, dbname: d}\n"
    )
    monkeypatch.delenv("ADSTAR_TARGET", raising=False)
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    here = resolve()
    assert (here.name, here.kind, here.port, here.password, here.embedded) == (
        "here",
        "postgres",
        5,
        "p",
        False,
    )
    monkeypatch.setenv("WHICH", "there")
    assert (resolve().kind, resolve().port) == ("redshift", 5439)
    monkeypatch.setenv("ADSTAR_TARGET", "here")
    assert resolve().name == "here"
    assert resolve("there").name == "there"
    for name, complaint in {"odd": "duckdb", "asks": "NOT_SET_ANYWHERE", "none": "has no target"}.items():
        with pytest.raises(ConfigurationError, match=complaint):
            resolve(name)
