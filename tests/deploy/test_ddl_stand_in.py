"""The steps that are shipped, on Redshift's stand-in: planned, applied, watched, mended and rolled back."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.warehouse import Target
from tests import resident
from tests.conftest import ROOT, variables
from tests.deploy.ddl_bench import NO_DRIFT, Bench, run

BOOKS = ("commits", "ddl_steps", "privacy_audit")


def reads(target: Target, role: str, table: str) -> bool:
    ((may,),) = run(target, f"select has_table_privilege('{role}', '{table}', 'select')")
    return may


def test_what_is_shipped_holds_on_redshift(redshift: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTAR_TARGET", "redshift")
    ddl = Bench(redshift, ROOT / "deploy" / "warehouse", "")
    assert "grant select for tables in schema marts to role adstar_analyst" in ddl("plan")
    ddl("apply")
    assert ddl("drift") == NO_DRIFT
    run(redshift, "create table marts.later (a integer)")
    assert reads(redshift, "adstar_analyst", "marts.later")
    assert not reads(redshift, "adstar_loader", "marts.later")
    assert ddl("drift") == NO_DRIFT, "a right on all tables is one on later ones, too"
    run(redshift, "revoke select for tables in schema marts from role adstar_analyst")
    assert not reads(redshift, "adstar_analyst", "marts.later")
    assert "-- missing: adstar_analyst: select on all tables of marts\n" in ddl("drift", code=3)
    ddl("mend")
    assert ddl("drift") == NO_DRIFT
    assert reads(redshift, "adstar_analyst", "marts.later")
    for step in ("040-search-paths", "033-auditor", "032-readers", "031-transformer", "030-loader"):
        ddl("rollback", step)
    assert not reads(redshift, "adstar_analyst", "marts.later")


def test_rights_that_dbt_grants_leave_the_books_of_others_alone(
    redshift: Target, server: EmbeddedWarehouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTAR_TARGET", "redshift")
    ddl = Bench(redshift, ROOT / "deploy" / "warehouse", "")
    ddl("apply")
    run(redshift, "create table ops.privacy_audit (who varchar)", "create table ops.commits (a integer)")
    run(redshift, "create table quality.checks (a integer)")
    environment = os.environ | variables(server, redshift.database, tmp_path) | {"ADSTAR_TARGET": "redshift"}
    code, told = resident.dbt(["--quiet", "run-operation", "apply_roles"], environment)
    assert code == 0, told
    for role in ("adstar_loader", "adstar_transformer"):
        assert [table for table in BOOKS if reads(redshift, role, f"ops.{table}")] == ["commits"], role
    assert reads(redshift, "adstar_transformer", "quality.checks")
    assert not reads(redshift, "adstar_analyst", "quality.checks")
    run(redshift, "create role adstar_passing", "grant select on ops.privacy_audit to role adstar_passing")
    try:
        assert "adstar_passing" in ddl("drift", code=3)
    finally:
        run(
            redshift,
            "revoke select on ops.privacy_audit from role adstar_passing",
            "drop role adstar_passing",
        )
