"""Adds adstar's settings to the activate scripts of .venv, every line once. Run by scripts/setup."""

import random
import re
import shlex
import socket
from pathlib import Path

home = Path(__file__).resolve().parent.parent
bin_folder = home / ".venv" / "bin"
mark = "# adstar"


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1, below those that systems hand to outgoing connections."""
    while True:
        port = random.randint(20000, 32000)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port


def chosen_port(script: str) -> int:
    """Return the port that an earlier set-up chose, so that a running warehouse stays reachable."""
    earlier = re.search(r"ADSTAR_PORT=(\d+)", script)
    return int(earlier[1]) if earlier else free_port()


posix = bin_folder / "activate"
settings = {
    "ADSTAR_HOME": str(home),
    "ADSTAR_PORT": str(chosen_port(posix.read_text())),
    "DBT_PROJECT_DIR": str(home / "dbt_project"),
    "DBT_PROFILES_DIR": str(home / "profiles"),
    "DO_NOT_TRACK": "1",
}
for script, line in ((posix, "export {}={}"), (bin_folder / "activate.fish", "set -gx {} {}")):
    kept = [old for old in script.read_text().splitlines() if not old.endswith(mark)]
    added = [f"{line.format(name, shlex.quote(value))} {mark}" for name, value in settings.items()]
    script.write_text("\n".join([*kept, *added, ""]))
