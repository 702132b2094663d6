"""scripts/test says what its parts said, and lint names what it finds."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from loaders._core.errors import ConfigurationError
from scripts import _lint_sql

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


def test_an_environment_behind_a_link_is_left_alone(tmp_path: Path) -> None:
    """Several checkouts may share one: made anew for one of them, it would be gone for all."""
    shared, checkout = tmp_path / "shared", tmp_path / "checkout"
    for folder in (shared, checkout / "scripts"):
        folder.mkdir(parents=True)
    (shared / "theirs").touch()
    (checkout / ".venv").symlink_to(shared)
    for name in ("requirements.lock", "pyproject.toml", "scripts/setup", "scripts/_activate.py"):
        shutil.copy(ROOT / name, checkout / name)
    bare = checkout / "python"  # without pip nothing is downloaded: setup ends where it would begin to
    bare.write_text(f'#!/bin/sh\n[ "$2" = venv ] && set -- "$@" --without-pip\nexec {sys.executable} "$@"\n')
    bare.chmod(0o755)
    environment = {**os.environ, "PYTHON": str(bare)}
    done = subprocess.run([checkout / "scripts/setup"], env=environment, check=False, capture_output=True)

    assert b"No module named pip" in done.stderr
    assert (shared / "theirs").exists()
    assert (checkout / ".venv/bin/python").exists()
    assert not (checkout / ".venv").is_symlink()


def test_what_sqlglot_does_not_read_as_redshifts_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "dim_a.sql").write_text("select a::varchar from raw.t where a > 1")
    assert _lint_sql.unread(tmp_path) == []
    (tmp_path / "models" / "dim_b.sql").write_text("select a from (select 1")
    (tmp_path / "models" / "dim_c.sql").write_text("vacuum delete only t")
    broken, kept = _lint_sql.unread(tmp_path)
    assert broken.startswith("models/dim_b.sql: Expecting )")
    assert kept == "models/dim_c.sql: a statement that it only keeps as text"
    with pytest.raises(ConfigurationError, match="nothing was compiled"):
        _lint_sql.unread(tmp_path / "nowhere")
