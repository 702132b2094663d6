"""docs/wrong-numbers.md keeps its word: every wrong number has tests, and they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "wrong-numbers.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| wrong number")
]


def test_all_wrong_numbers_are_there() -> None:
    assert len(LINES) == 17


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[0][:50])
def test_the_tests_against_a_wrong_number_exist(line: list[str]) -> None:
    _, _, cell = line
    named = re.findall(r"`([^`]+)`", cell)
    assert named
    for name in named:
        assert name in dbt_tests() if name.startswith("dbt:") else exists(*name.split("::")), name


def exists(path: str, test: str) -> bool:
    """Whether a Python test of this name stands in the file."""
    file = ROOT / path
    return file.is_file() and re.search(rf"^def {test}\(", file.read_text(), re.MULTILINE) is not None


def dbt_tests() -> set[str]:
    """The singular and the unit tests of the dbt project."""
    project = ROOT / "dbt_project"
    found = {f"dbt:{file.stem}" for file in (project / "tests").rglob("*.sql")}
    for file in (project / "models").rglob("*.yml"):
        _, _, units = file.read_text().partition("\nunit_tests:\n")
        found |= {f"dbt:{name}" for name in re.findall(r"^  - name: (\w+)$", units, re.MULTILINE)}
    return found
