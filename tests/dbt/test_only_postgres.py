"""A model with what only Postgres takes fails on Redshift, each by itself, and says what Redshift refuses."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.warehouse import Target
from tests import resident
from tests.conftest import ROOT, variables

PLANTED = {
    "distinct_on": "select distinct on (number) number from (select 1 as number) as one",
    "jsonb": """select '{"a": 1}'::jsonb ->> 'a' as number""",
    "filtered": "select count(*) filter (where number > 1) as number from (select 1 as number) as one",
    "listed": "select array_agg(number) as numbers from (select 1 as number) as one",
    "joined": "select string_agg(name, ',') as names from (select 'a' as name) as one",
    "series": "select place from {{ ref('int_taken') }} as one, generate_series(1, one.number) as place",
    "interval_made": "select make_interval(days => 1) as span",
    "typed": "select cast('a' as bytea) as bytes",
}
REFUSED = {  # how Redshift says no
    "distinct_on": 'near "on"',
    "jsonb": "->> does not exist",
    "filtered": 'near "filter"',
    "listed": "array_agg()",
    "joined": "string_agg()",
    "series": '"generate_series"',
    "interval_made": "make_interval()",
    "typed": '"bytea"',
}
TAKEN = {"taken": "select 1 as number"}


def built(project: Path, environment: dict[str, str]) -> dict[str, tuple[str, str]]:
    """How each planted model has ended, and what was said of it; dbt parses only what was planted."""
    resident.parse({**os.environ, **environment})
    subprocess.run(
        [sys.executable, "-m", "dbt.cli.main", "build", "--select", "path:models/intermediate/planted"],
        env={**os.environ, **environment, "DBT_PROJECT_DIR": str(project), "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    results = json.loads((Path(environment["DBT_TARGET_PATH"]) / "run_results.json").read_text())["results"]
    return {
        each["unique_id"].rpartition("int_")[2]: (each["status"], each["message"] or "")
        for each in results
        if each["unique_id"].startswith("model.")
    }


@pytest.mark.full
def test_what_only_postgres_takes_fails_the_build_on_redshift(
    redshift: Target, server: EmbeddedWarehouse, tmp_path: Path
) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    folder = project / "models" / "intermediate" / "planted"
    folder.mkdir()
    for name, sql in (PLANTED | TAKEN).items():
        (folder / f"int_{name}.sql").write_text("{{ config(materialized='table') }}\n" + sql + "\n")
    common = variables(server, redshift.database, tmp_path)

    on_postgres = built(project, common | {"DBT_TARGET_PATH": str(tmp_path / "postgres")})
    assert {name: status for name, (status, _) in on_postgres.items()} == dict.fromkeys(
        PLANTED | TAKEN, "success"
    )

    there = {"ADSTAR_TARGET": "redshift", "DBT_TARGET_PATH": str(tmp_path / "redshift")}
    on_redshift = built(project, common | there)
    assert {name for name, (status, _) in on_redshift.items() if status == "success"} == set(TAKEN)
    for name, reason in REFUSED.items():
        status, said = on_redshift[name]
        assert (status, f"int_{name}" in said, reason in said) == ("error", True, True), said
