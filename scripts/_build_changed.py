"""Build and test what changed since production in throw-away schemas. Run by scripts/build-changed.

Models that did not change are read from production (`--defer`), so nothing of it is built again. The
schemas have names of their own (`ci_<time>_<number>_marts`) and are dropped at the end, however it ends;
those of a run that was killed are dropped by the next one after a day. The exit code is dbt's.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2

from loaders._core import places
from loaders._core.errors import AdstarError, ConfigurationError
from loaders._core.warehouse import Target, ensure_started

DBT = Path(sysconfig.get_path("scripts")) / "dbt"
STATE = "ADSTAR_PRODUCTION_STATE"
PREFIX = "ADSTAR_SCHEMA_PREFIX"
KEPT = timedelta(days=1)
_TIME = "%Y%m%d%H%M"
_OURS = re.compile(r"ci_(\d{12})_[0-9a-f]{8}_")


def main(arguments: Sequence[str]) -> int:
    """Build, or note what production is; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/build-changed", description=__doc__, epilog="Other arguments go to `dbt build`."
    )
    parser.add_argument("--target", help="of profiles.yml; else ADSTAR_TARGET, else its default")
    parser.add_argument("--remember", action="store_true", help="note this checkout as what production is")
    asked, others = parser.parse_known_args(arguments)
    named = os.environ.get(STATE)
    if not named:
        raise ConfigurationError(f"{STATE} is not set; it names the folder of production's manifest.json")
    state = Path(named).resolve()
    if asked.target:
        os.environ["ADSTAR_TARGET"] = asked.target
    return remember(state) if asked.remember else build(state, others)


def remember(state: Path) -> int:
    """Write the manifest of this checkout to the folder, in one step."""
    folder = places.state() / "production"
    if code := dbt(["--quiet", "parse"], {"DBT_TARGET_PATH": str(folder)}):
        return code
    state.mkdir(parents=True, exist_ok=True)
    copy = shutil.copy(folder / "manifest.json", state / "manifest.json.new")
    Path(copy).replace(state / "manifest.json")
    print(f"{state / 'manifest.json'} is what this checkout has")
    return 0


def build(state: Path, arguments: Sequence[str]) -> int:
    """Build what differs from the manifest in the folder.

    Raises:
        ConfigurationError: there is none.
    """
    if not (state / "manifest.json").exists():
        raise ConfigurationError(
            f"{state} has no manifest.json, so what changed is not known; `scripts/build-changed --remember`"
            " writes it, from a checkout of what production has"
        )
    target = ensure_started()
    with throw_away(target) as prefix:
        print(f"building into {prefix}*", flush=True)
        # --select takes the place of the default selector, so what that leaves out is left out here.
        chosen = ["--select", "state:modified+", "--exclude", "test_type:unit"]
        deferred = ["--defer", "--state", str(state)]
        environment = {PREFIX: prefix, "DBT_TARGET_PATH": str(places.state() / "changed")}
        return dbt(["build", *chosen, *deferred, *arguments], environment)


@contextmanager
def throw_away(target: Target) -> Iterator[str]:
    """A prefix of schemas that nobody has; at the end they are dropped, at first those left for long."""
    now = datetime.now(UTC)
    prefix = f"ci_{now:{_TIME}}_{secrets.token_hex(4)}_"
    drop(target, [name for name in schemas(target) if is_left(name, now)])
    try:
        yield prefix
    finally:
        drop(target, [name for name in schemas(target) if name.startswith(prefix)])


def is_left(schema: str, now: datetime) -> bool:
    """Whether it is a throw-away schema whose build must have ended without dropping it."""
    ours = _OURS.match(schema)
    return ours is not None and ours[1] < f"{now - KEPT:{_TIME}}"


def schemas(target: Target) -> list[str]:
    """The names of all schemas."""
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("select nspname::text from pg_namespace order by 1")
        return [row[0] for row in cursor.fetchall()]


def drop(target: Target, names: Sequence[str]) -> None:
    """Drop schemas with all that is in them."""
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        for name in names:
            cursor.execute(f'drop schema if exists "{name}" cascade')
            print(f"dropped {name}", flush=True)


def dbt(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run dbt to its end, or end it with this process; return its exit code."""
    process = subprocess.Popen([DBT, *arguments], env={**os.environ, **environment})
    try:
        return process.wait()
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    # A cancelled job is told so; what is to be dropped is dropped on the way out.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        sys.exit(main(sys.argv[1:]))
    except (AdstarError, psycopg2.Error) as error:
        sys.exit(f"scripts/build-changed: {AdstarError(str(error))}")
