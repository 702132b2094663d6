"""scripts/build-changed: only what changed is built, the rest is production's, and nothing is left behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import _build_changed
import pytest

from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.warehouse import Target
from tests.conftest import ROOT, database
from tests.deploy.ddl_bench import run

PROJECT = """
name: adstar
profile: adstar
flags: {send_anonymous_usage_stats: false}
models: {adstar: {staging: {+schema: staging}, marts: {+schema: marts, +materialized: table}}}
"""
MODELS = {
    "staging/stg_base.sql": "select 1 as id",
    "marts/dim_changed.sql": "select id, 'as it was' as note from {{ ref('stg_base') }}",
    "marts/fact_of_it.sql": "select id, note from {{ ref('dim_changed') }}",
    "marts/fact_apart.sql": "select id from {{ ref('stg_base') }}",
}
TESTS = """
models:
  - name: dim_changed
    columns: [{name: id, data_tests: [unique]}]
unit_tests:
  - name: not_in_a_days_build
    model: dim_changed
    given: [{input: ref('stg_base'), rows: [{id: 1}]}]
    expect: {rows: [{id: 2}]}
"""


@dataclass
class Project:
    """A project of dbt in a folder, and the warehouse with its production."""

    folder: Path
    target: Target

    def change(self, sql: str) -> None:
        (self.folder / "models" / "marts" / "dim_changed.sql").write_text(sql)


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, ROOT / "scripts" / "_build_changed.py", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def build(*arguments: str, code: int = 0) -> str:
    process = start(*arguments)
    told, _ = process.communicate(timeout=300)
    assert process.returncode == code, told
    return told


def schemas(target: Target) -> set[str]:
    return {name for (name,) in run(target, "select nspname::text from pg_namespace where nspname !~ '^pg_'")}


@pytest.fixture(scope="module")
def project(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A small project of dbt with adstar's own names of schemas, its production, and that remembered."""
    folder = tmp_path_factory.mktemp("changed")
    files = {"dbt_project.yml": PROJECT, "models/tests.yml": TESTS}
    for name, text in (files | {f"models/{name}": sql for name, sql in MODELS.items()}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "macros").mkdir()
    shutil.copy(ROOT / "dbt_project" / "macros" / "dbt" / "generate_schema_name.sql", folder / "macros")
    with pytest.MonkeyPatch.context() as patch:
        made = database(server, patch, folder)
        target = next(made)
        patch.setenv("DBT_PROJECT_DIR", str(folder))
        patch.setenv("ADSTAR_PRODUCTION_STATE", str(folder / "production"))
        patch.setenv("PYTHONPATH", str(ROOT))
        run(
            target,
            "create schema staging",
            "create view staging.stg_base as select 1 as id",
            "create schema marts",
        )
        for name in ("dim_changed", "fact_of_it"):
            run(target, f"create table marts.{name} as select id, 'as it was' as note from staging.stg_base")
        assert "manifest.json is what this checkout has" in build("--remember")
        assert [path.name for path in (folder / "production").iterdir()] == ["manifest.json"]
        yield Project(folder, target)
        next(made, None)


def test_what_changed_is_built_apart_and_dropped(project: Project) -> None:
    target = project.target
    before = schemas(target)
    now = datetime.now(UTC)
    old, young = (f"ci_{now - timedelta(hours=hours):%Y%m%d%H%M}_0123abcd_marts" for hours in (25, 23))
    for name in (old, young, "ci_of_somebody_else"):
        run(target, f"create schema {name}", f"create table {name}.t as select 1")
    project.change("select id, 'as it is' as note from {{ ref('stg_base') }}")
    told = build()
    assert f"dropped {old}\n" in told
    assert schemas(target) == before | {young, "ci_of_somebody_else"}

    state = project.folder / "state" / "changed"
    results = json.loads((state / "run_results.json").read_text())["results"]
    named = {each["unique_id"].split(".")[2]: each for each in results}
    assert named.keys() == {"dim_changed", "unique_dim_changed_id", "fact_of_it"}
    assert {each["status"] for each in results} == {"success", "pass"}
    assert f'"{target.database}"."staging"."stg_base"' in named["dim_changed"]["compiled_code"]
    assert f'"{target.database}"."ci_' in named["fact_of_it"]["compiled_code"]
    assert run(target, "select note from marts.fact_of_it") == [("as it was",)]


def test_a_build_that_is_ended_leaves_nothing(project: Project) -> None:
    target = project.target
    before = schemas(target)
    project.change("select 1 as id, 'late' as note from pg_sleep(120)")
    asleep = (
        "from pg_stat_activity where query like '%pg_sleep(120)%' and state = 'active'"
        " and datname = current_database() and pid <> pg_backend_pid()"
    )
    process = start()
    until = time.monotonic() + 120
    while not run(target, f"select 1 {asleep}"):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert schemas(target) > before
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    # The server goes on with the statement of a client that is gone.
    run(target, f"select pg_terminate_backend(pid) {asleep}")
    told, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM, told
    assert schemas(target) == before
    assert run(target, "select note from marts.fact_of_it") == [("as it was",)]


def test_dbts_exit_code_is_told_and_what_fails_leaves_nothing(project: Project) -> None:
    before = schemas(project.target)
    assert "No such option" in build("--no-such-option", code=2)
    with suppress(RuntimeError), _build_changed.throw_away(project.target) as prefix:
        run(project.target, f"create schema {prefix}marts", f"create table {prefix}marts.t (a int)")
        raise RuntimeError
    assert schemas(project.target) == before


def test_without_a_manifest_it_says_how_to_get_one(
    target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ADSTAR_PRODUCTION_STATE", raising=False)
    assert "ADSTAR_PRODUCTION_STATE is not set" in build(code=1)
    monkeypatch.setenv("ADSTAR_PRODUCTION_STATE", str(tmp_path))
    assert f"{tmp_path} has no manifest.json" in build(code=1)
