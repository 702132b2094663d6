"""The stand-in for dbt_expectations gives the package's verdicts, on a real Postgres."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from loaders._core.embedded import EmbeddedWarehouse

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "dbt_project" / "offline_packages" / "dbt_expectations"
CASES: dict[str, dict[str, Any]] = {
    case_id: {"test": test, **case}
    for test, cases in yaml.safe_load(Path(__file__).with_name("expectations.yml").read_text()).items()
    for case_id, case in cases.items()
}
PROJECT = """
name: expectations
profile: expectations
model-paths: [models]
vars:
  "dbt_date:time_zone": UTC
flags:
  send_anonymous_usage_stats: false
  require_generic_test_arguments_property: true
"""
DBT = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", "--no-version-check"]


def test_declaration(case: dict[str, Any]) -> dict[str, Any]:
    """The case's table as dbt's YAML declares it: a source with one test, on a column or on the table."""
    arguments = dict(case["arguments"])
    if "other" in case:
        arguments["compare_model"] = f"source('cases', '{case['id']}_other')"
    body: dict[str, Any] = arguments if case.get("flat") else {"arguments": arguments}
    declared = {
        f"dbt_expectations.{case['test']}": {**body, "name": case["id"], "config": case.get("config", {})}
    }
    if "column" in case:
        return {"name": case["id"], "columns": [{"name": case["column"], "data_tests": [declared]}]}
    return {"name": case["id"], "data_tests": [declared]}


test_declaration.__test__ = False  # type: ignore[attr-defined]


def create_table(name: str, table: dict[str, Any]) -> str:
    """The SQL that makes a case's table and fills it."""
    if "select" in table:
        return f'create table cases."{name}" as {table["select"]};'
    values = table["rows"].replace("NOW", "(now() at time zone 'UTC')")
    rows = f'insert into cases."{name}" values {values};' if values else ""
    return f'create table cases."{name}" ({table["columns"]}); {rows}'


def write_project(folder: Path, cases: dict[str, dict[str, Any]], port: int, password: str) -> None:
    """A dbt project with the stand-in as its package and one source table for each case."""
    tables = [test_declaration({"id": case_id, **case}) for case_id, case in cases.items()]
    others = [{"name": f"{case_id}_other"} for case_id, case in cases.items() if "other" in case]
    output = {"type": "postgres", "host": "127.0.0.1", "port": port, "user": "adstar", "password": password}
    output |= {"dbname": "adstar", "schema": "cases", "threads": 4}
    (folder / "models").mkdir(parents=True)
    shutil.copytree(STAND_IN, folder / "dbt_packages" / "dbt_expectations")
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(
        yaml.safe_dump({"expectations": {"target": "it", "outputs": {"it": output}}})
    )
    (folder / "models" / "cases.yml").write_text(
        yaml.safe_dump({"sources": [{"name": "cases", "schema": "cases", "tables": tables + others}]})
    )


def run_dbt_test(folder: Path) -> subprocess.CompletedProcess[str]:
    places = ["--project-dir", str(folder), "--profiles-dir", str(folder)]
    return subprocess.run(
        [*DBT, "test", *places], capture_output=True, text=True, timeout=300, check=False, cwd=folder
    )


@pytest.fixture(scope="module")
def answers(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What dbt says about every case: id -> {status, failures, message}."""
    with closing(server.connect()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("create schema cases")
        for case_id, case in CASES.items():
            cursor.execute(create_table(case_id, case))
            if "other" in case:
                cursor.execute(create_table(f"{case_id}_other", case["other"]))
        project = tmp_path_factory.mktemp("expectations") / "project"
        write_project(project, CASES, server.port, server.password)
        run = run_dbt_test(project)
        cursor.execute("drop schema cases cascade")
    results = project / "target" / "run_results.json"
    assert results.exists(), run.stdout + run.stderr
    return {r["unique_id"].split(".")[2]: r for r in json.loads(results.read_text())["results"]}


@pytest.mark.parametrize("case_id", CASES)
def test_the_verdict_is_the_packages(case_id: str, answers: dict[str, dict[str, Any]]) -> None:
    case, answer = CASES[case_id], answers[case_id]
    assert answer["status"] == case["verdict"], answer["message"]
    if case["verdict"] != "error":
        assert answer["failures"] == case.get("failures", 0), answer["message"]


def test_the_two_deviations_are_the_ones_that_its_readme_names() -> None:
    deviating = {case["test"] for case in CASES.values() if "package" in case}
    assert deviating == {"expect_compound_columns_to_be_unique", "expect_row_values_to_have_recent_data"}
    readme = (STAND_IN / "README.md").read_text()
    assert all(name in readme for name in deviating)


WRONG_ARGUMENTS = {
    "between_without_bound": ("expect_column_values_to_be_between", {"column_name": "v"}, "without a bound"),
    "row_count_without_bound": ("expect_table_row_count_to_be_between", {}, "without a bound"),
    "empty_key": ("expect_compound_columns_to_be_unique", {"column_list": []}, "column_list is empty"),
    "unknown_word": (
        "expect_compound_columns_to_be_unique",
        {"column_list": ["v"], "ignore_row_if": "never"},
        "ignore_row_if is 'never'",
    ),
}


PARSE_EACH = """
import json, sys
from dbt.cli.main import dbtRunner
said = {}
for folder in sys.argv[1:]:
    run = dbtRunner().invoke(["parse", "--quiet", "--project-dir", folder, "--profiles-dir", folder])
    said[folder] = [type(run.exception).__name__, str(run.exception)]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What parsing a project with each of the wrong arguments raises: name -> [exception, message]."""
    folder = tmp_path_factory.mktemp("wrong")
    for name, (test, arguments, _) in WRONG_ARGUMENTS.items():
        write_project(folder / name, {"wrong": {"test": test, "arguments": arguments}}, 1, "unused")
    projects = [str(folder / name) for name in WRONG_ARGUMENTS]
    run = subprocess.run(
        [sys.executable, "-c", PARSE_EACH, *projects], capture_output=True, text=True, check=True, timeout=300
    )
    said = json.loads(run.stdout.splitlines()[-1])
    return {Path(project).name: answer for project, answer in said.items()}


@pytest.mark.parametrize("name", WRONG_ARGUMENTS)
def test_wrong_arguments_stop_the_project_before_it_runs(name: str, refusals: dict[str, list[str]]) -> None:
    exception, message = refusals[name]
    assert exception == "CompilationError"
    assert WRONG_ARGUMENTS[name][2] in message
