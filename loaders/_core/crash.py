"""Points at which a test can have the process killed, as a power cut would: no clean-up, no goodbye."""

from __future__ import annotations

import os
import signal

POINTS = (
    "lease.taken",
    "read.first_page",
    "read.file_written",
    "read.account_done",
    "extract.first_file",
    "extract.receipts",
    "extract.done",
    "normalize.done",
    "load.tables_ready",
    "load.job_started",
    "load.file_committed",
    "load.job_noted",
    "load.done",
    "commit.before",
    "commit.inside",
    "commit.after",
    "run.before_end",
)


def kill_point(name: str) -> None:
    """Die here if ``ADSTAR_KILL_AT`` is this name, or ``name:n`` at the n-th time."""
    wanted, _, times = os.environ.get("ADSTAR_KILL_AT", "").partition(":")
    if wanted != name:
        return
    _met[name] = _met.get(name, 0) + 1
    if _met[name] >= int(times or 1):
        os.kill(os.getpid(), signal.SIGKILL)


_met: dict[str, int] = {}
