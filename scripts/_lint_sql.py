"""Lints dbt's SQL in both dialects. Run by scripts/lint.

The models ask the warehouse which columns raw has, so they are rendered against a Postgres of its own that
has the raw tables, empty: as the loaders declare them or, where only settings would, as dbt's sources do.
What is written for Postgres is linted as it stands in the project. For Redshift dbt compiles the project once
more as if that Postgres were one, and the outcome is parsed in Redshift's dialect. What has passed is not
looked at again before it changes.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import jinja2
import sqlglot
import yaml

from loaders._core import configure, places
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.errors import ConfigurationError
from loaders._core.ops import Books
from loaders._core.warehouse import Target, ensure_started

BIN = Path(sysconfig.get_path("scripts"))
LINT = places.state() / "lint"
# What sqlfluff parses is alive to its end: to look for cycles in it is four tenths of its work.
SQLFLUFF = "import gc; gc.set_threshold(100_000, 50, 100); from sqlfluff.cli.commands import cli; cli()"
SYSTEM = "_run_seq bigint, _row_no bigint, _account text, _day date, _dlt_load_id text"


def main() -> int:
    """Lint unless nothing has changed since it passed, or always with ``--all``; return the exit code."""
    passed = LINT / "passed"
    if "--all" not in sys.argv and passed.exists() and passed.read_text() == fingerprint():
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
    warehouse = EmbeddedWarehouse()
    warehouse.stop()  # one that a killed lint has left, with columns that are declared no more
    shutil.rmtree(LINT / "warehouse", ignore_errors=True)
    target = ensure_started()
    os.environ["PGPASSFILE"] = str(warehouse.pgpass_file)
    try:
        for loader in configure.available().values():
            books = Books(target, loader.name)
            books.prepare()
            for resource in loader.resources:
                books.ensure_table(resource.name, resource.columns)
            if loader.resources_of:
                create_declared(target, loader.name)
        # Any run makes the tables that dbt keeps for itself, which some tests ask while they are rendered.
        if code := run(str(BIN / "dbt"), "--quiet", "run", "--select", "dim_date"):
            return code
        # Each dialect by a process of its own: sqlfluff's own pool takes a third more of the processors.
        with ThreadPoolExecutor() as both:
            postgres = both.submit(sqlfluff, "dbt_project/models", "dbt_project/tests")
            return both.submit(redshift).result() or postgres.result()
    finally:
        warehouse.stop()


def create_declared(target: Target, source: str) -> None:
    """Make the raw tables that dbt's sources declare, with their types."""
    project = places.home() / "dbt_project"
    settings = yaml.safe_load((project / "dbt_project.yml").read_text())["vars"]
    sources = project / "models/staging" / source / f"_{source}__sources.yml"
    tables = yaml.safe_load(sources.read_text())["sources"][0]["tables"]
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        for table in tables:
            columns = [
                f'"{jinja2.Template(column["name"]).render(var=settings.get)}" {column["data_type"]}'
                for column in table.get("columns", ())
            ]
            if columns:
                named = f'raw_{source}."{table["name"]}"'
                cursor.execute(f"create table if not exists {named} ({SYSTEM}, {', '.join(columns)})")


def redshift() -> int:
    """Compile for Redshift and parse that; its layout is the templates' and was looked at before."""
    shutil.rmtree(LINT / "redshift", ignore_errors=True)
    compiler = Path(__file__).with_name("_compile_for_redshift.py")
    if code := run(sys.executable, str(compiler), str(LINT / "redshift")):
        return code
    compiled = LINT / "redshift" / "target" / "compiled"
    if faults := unread(compiled):
        print("\n".join(["sqlglot does not read as Redshift's:", *faults]))
        return 1
    print(f"sqlglot: {len(list(compiled.rglob('*.sql')))} compiled files are read as Redshift's")
    return sqlfluff(
        "--templater", "raw", "--dialect", "redshift", "--rules", "convention.terminator", str(compiled)
    )


def unread(folder: Path) -> list[str]:
    """The files of SQL below a folder that sqlglot can't read as Redshift's, each with the reason.

    Raises:
        ConfigurationError: there is no SQL below it.
    """
    files = sorted(folder.rglob("*.sql"))
    if not files:
        raise ConfigurationError("nothing was compiled for Redshift", where=str(folder))
    faults = []
    for file in files:
        try:
            statements = sqlglot.parse(file.read_text(), read="redshift")
        except sqlglot.errors.SqlglotError as error:
            faults.append(f"{file.relative_to(folder)}: {str(error).splitlines()[0]}")
        else:
            # What it has no grammar for it keeps as a text.
            if any(isinstance(statement, sqlglot.exp.Command) for statement in statements):
                faults.append(f"{file.relative_to(folder)}: a statement that it only keeps as text")
    return faults


def sqlfluff(*arguments: str) -> int:
    """Run sqlfluff; return its exit code."""
    return run(sys.executable, "-c", SQLFLUFF, "lint", "--processes", "1", *arguments)


def run(*command: str) -> int:
    """Run a program in the project's folder; return its exit code."""
    return subprocess.run(command, check=False, cwd=places.home()).returncode


if __name__ == "__main__":
    sys.exit(main())
