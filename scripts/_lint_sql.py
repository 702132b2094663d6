"""Lints dbt's SQL in both dialects. Run by scripts/lint.

The models ask the warehouse which columns raw has, so they are rendered against a Postgres of its own that
has the raw tables as the loaders declare them, empty. What is written for Postgres is linted as it stands
in the project. For Redshift dbt compiles the project once more as if that Postgres were one, and the
outcome is parsed in Redshift's dialect. What has passed is not looked at again before it changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

from loaders._core import configure, places
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.ops import Books
from loaders._core.warehouse import ensure_started
from simulators import rates

BIN = Path(sysconfig.get_path("scripts"))
LINT = places.state() / "lint"


def main() -> int:
    """Lint unless nothing has changed since it passed; return the exit code."""
    passed = LINT / "passed"
    if passed.exists() and passed.read_text() == fingerprint():
        print("sqlfluff: nothing changed since all SQL passed")
        return 0
    code = lint()
    if code == 0:
        passed.write_text(fingerprint())
    return code


def fingerprint() -> str:
    """A hash of everything that what sqlfluff says depends on."""
    home = places.home()
    files = [
        home / ".sqlfluff",
        home / "requirements.lock",
        *home.glob("scripts/_*.py"),
        *home.glob("loaders/*.py"),
    ]
    for folder in ("models", "tests", "macros", "seeds", "offline_packages"):
        files += (home / "dbt_project" / folder).rglob("*.*")
    files.append(home / "dbt_project" / "dbt_project.yml")
    return hashlib.sha256(b"".join(f.read_bytes() for f in sorted(files) if f.is_file())).hexdigest()


def lint() -> int:
    """Lint in both dialects; return the first exit code that is not 0."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    os.environ |= {
        "ADSTAR_PORT": str(port),
        "ADSTAR_STATE": str(LINT),
        "ADSTAR_TARGET": "embedded",
        "DBT_PROJECT_DIR": str(places.home() / "dbt_project"),
        "DBT_PROFILES_DIR": str(places.home() / "profiles"),
        "DBT_TARGET_PATH": str(LINT / "target"),
        "DBT_LOG_PATH": str(LINT / "logs"),
    }
    os.environ |= rates.settings("http://rates.example")
    warehouse = EmbeddedWarehouse()
    warehouse.stop()  # one that a killed lint has left
    target = ensure_started()
    os.environ["PGPASSFILE"] = str(warehouse.pgpass_file)
    try:
        for loader in configure.available().values():
            books = Books(target, loader.name)
            books.prepare()
            declared = loader.made_for(configure.settings_of(loader)) if loader.resources_of else loader
            for resource in declared.resources:
                books.ensure_table(resource.name, resource.columns)
        # Any run makes the tables that dbt keeps for itself, which some tests ask while they are rendered.
        if code := run(str(BIN / "dbt"), "--quiet", "run", "--select", "dim_date"):
            return code
        postgres = sqlfluff("dbt_project/models", "dbt_project/tests")
        return postgres or redshift()
    finally:
        warehouse.stop()


def redshift() -> int:
    """Compile for Redshift and parse that; its layout is the templates' and was looked at before."""
    shutil.rmtree(LINT / "redshift", ignore_errors=True)
    compiler = Path(__file__).with_name("_compile_for_redshift.py")
    if code := run(sys.executable, str(compiler), str(LINT / "redshift")):
        return code
    compiled = LINT / "redshift" / "target" / "compiled"
    return sqlfluff(
        "--templater", "raw", "--dialect", "redshift", "--rules", "convention.terminator", str(compiled)
    )


def sqlfluff(*arguments: str) -> int:
    """Run sqlfluff; return its exit code."""
    return run(str(BIN / "sqlfluff"), "lint", "--processes", "2", *arguments)


def run(*command: str) -> int:
    """Run a program in the project's folder; return its exit code."""
    return subprocess.run(command, check=False, cwd=places.home()).returncode


if __name__ == "__main__":
    sys.exit(main())
