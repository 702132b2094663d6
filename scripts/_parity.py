"""The same simulated days on Postgres and on Redshift: every mart compared, row by row and cent by cent.

Both are databases of the embedded server that are made anew; Redshift is its stand-in (simulators/redshift)
unless --redshift names a target of profiles.yml, whose database must hold nothing that adstar makes. Run by
scripts/parity.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import _demo
from _compare import compared
from rich.console import Console

from loaders._core import places, warehouse
from loaders._core.embedded import HOST, USER, EmbeddedWarehouse
from loaders._core.warehouse import Target
from simulators.redshift import Redshift, bucket

BIN = Path(sys.executable).parent
ADS = ("FACEBOOK_ADS", "GOOGLE_ADS", "HTTP_JSON")
console = Console(highlight=False)


def main() -> int:
    """Build both and compare; 1 if a mart differs."""
    parser = argparse.ArgumentParser(prog="scripts/parity", description=__doc__)
    parser.add_argument("--days", type=int, default=10, help="days of data on the first morning (10)")
    parser.add_argument("--mornings", type=int, default=2, help="daily runs, the later ones incremental (2)")
    parser.add_argument("--scale", type=float, default=0.5, help="1 is some hundred ad rows a day (0.5)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another business (7)")
    parser.add_argument("--ads", action="store_true", help="only the platforms, without the shop's people")
    parser.add_argument("--redshift", metavar="TARGET", help="of profiles.yml, in place of the stand-in")
    asked = parser.parse_args()
    server = EmbeddedWarehouse()
    server.start()
    folder = places.state() / "parity"
    shutil.rmtree(folder, ignore_errors=True)
    # One key for both: pseudonyms are keys of the star.
    key = {"PRIVACY__KEY": b64encode(secrets.token_bytes(32)).decode()}
    with ExitStack() as stack:
        engines = {
            "postgres": on_postgres(server, "parity_postgres"),
            "redshift": profile(asked.redshift)
            if asked.redshift
            else stack.enter_context(on_stand_in(server, "parity_redshift")),
        }
        morning = _demo.simulated(asked.days)
        options = _demo.Options(asked.days, asked.scale, asked.seed, None, None)
        for _ in range(asked.mornings):
            for name, settings in engines.items():
                state = {"ADSTAR_STATE": str(folder / name), "DBT_TARGET_PATH": str(folder / name / "target")}
                with _demo.simulators(options, morning, server) as (_, found):
                    sources = {
                        s: told for s, told in found.items() if not asked.ads or s.split("__")[1] in ADS
                    }
                    environment = os.environ | key | sources | settings | state | {"ADSTAR_NOW": morning.now}
                    run(f"{name}, {morning.clock:%F}: landed", environment, "dlt", "pipeline", "run")
                chosen = (
                    ["--selector", "ads"] if asked.ads else ["--exclude", "tag:wall_clock", "test_type:unit"]
                )
                run(f"{name}, {morning.clock:%F}: built", environment, "dbt", "--quiet", "build", *chosen)
            morning = morning.next()
        first, second = (target(settings) for settings in engines.values())
        differences, rows = compared(first, second)
    for difference in differences:
        console.print(str(difference), markup=False)
    for mart, count in rows.items():
        console.print(
            f"{mart}: {count:,} rows, {'DIFFERENT' if mart in {d.mart for d in differences} else 'equal'}"
        )
    console.print(f"{len(rows)} marts, {sum(rows.values()):,} rows, {len(differences)} marts differ")
    return 1 if differences else 0


def on_postgres(server: EmbeddedWarehouse, database: str) -> dict[str, str]:
    """Settings of an empty database of the embedded server."""
    recreate(server, database)
    return {
        "ADSTAR_TARGET": "postgres",
        "ADSTAR_POSTGRES_HOST": HOST,
        "ADSTAR_POSTGRES_PORT": str(server.port),
        "ADSTAR_POSTGRES_USER": USER,
        "ADSTAR_POSTGRES_PASSWORD": server.password,
        "ADSTAR_POSTGRES_DATABASE": database,
        "ADSTAR_POSTGRES_SSLMODE": "disable",
    }


@contextmanager
def on_stand_in(server: EmbeddedWarehouse, database: str) -> Iterator[dict[str, str]]:
    """Settings of an empty database of the stand-in, while it runs."""
    recreate(server, database)
    with bucket() as storage, Redshift(server, s3=storage.endpoint) as redshift:
        yield redshift.settings_env(database) | storage.settings_env()


def profile(name: str) -> dict[str, str]:
    """Settings of a target of profiles.yml.

    Raises:
        SystemExit: its database holds what adstar makes.
    """
    found = target({"ADSTAR_TARGET": name})
    with closing(found.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "select nspname from pg_namespace where nspname like 'raw\\\\_%' or nspname in ('ops', 'marts')"
        )
        if held := [schema for (schema,) in cursor.fetchall()]:
            sys.exit(
                f"scripts/parity: database {found.database} of target {name} holds {', '.join(held)};"
                " simulated figures must not mix with yours: set ADSTAR_REDSHIFT_DATABASE to an empty one"
            )
    return {"ADSTAR_TARGET": name}


def target(settings: dict[str, str]) -> Target:
    """The target that these settings mean."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        return warehouse.resolve()
    finally:
        os.environ.clear()
        os.environ.update(before)


def recreate(server: EmbeddedWarehouse, database: str) -> None:
    """An empty database in place of what has its name."""
    with closing(server.connect("postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f"drop database if exists {database} with (force)")
            cursor.execute(f"create database {database}")


def run(what: str, environment: dict[str, str], program: str, *arguments: str) -> None:
    """Run a command of the environment; a failure ends the comparison with what it said."""
    with _demo.step(what):
        ended = subprocess.run(
            [BIN / program, *arguments], env=environment, capture_output=True, text=True, check=False
        )
    if ended.returncode:
        said = ended.stdout + ended.stderr
        sys.exit(f"{program} {' '.join(arguments)} ended with exit code {ended.returncode}:\n{said}")


if __name__ == "__main__":
    sys.exit(main())
