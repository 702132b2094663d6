"""scripts/test says what its parts said: green only if both the tests and lint are."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("tests", "lint", "said"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1)])
def test_its_exit_code_is_that_of_the_tests_and_of_lint(
    tmp_path: Path, tests: int, lint: int, said: int
) -> None:
    def script(at: str, text: str) -> None:
        path = tmp_path / at
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)

    script("scripts/setup", "exit 0")
    script("scripts/lint", f"echo what lint found >&2; exit {lint}")
    script(".venv/bin/activate", f'export PATH="{tmp_path}/.venv/bin:$PATH"')
    script(".venv/bin/python", f'echo "pytest was given $*"; exit {tests}')
    shutil.copy(ROOT / "scripts/test", tmp_path / "scripts/test")
    done = subprocess.run(
        [tmp_path / "scripts/test", "-k", "one"], check=False, capture_output=True, text=True
    )

    assert done.returncode == said, done.stderr
    assert "-k one" in done.stdout
    assert ("what lint found" in done.stderr) == (lint != 0), "lint is heard only if it found something"
