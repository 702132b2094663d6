"""A source that is kept being read: one run after the other, until the process is asked to end.

SIGTERM and Ctrl-C end it after the run that is at work, which reads no further and lands what it has; asked
once more it ends at once, and the next run reads again what did not count.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console

from loaders._core.run import Result
from loaders._core.stopping import STOPPING
from loaders._core.topics import OFFSETS

PATIENCE = 5  # runs that may fail one after the other
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def follow(console: Console, seconds: float, run: Callable[[], list[Result]]) -> list[Result]:
    """Begin a run every so many seconds, or when the one before has ended; the last one's results.

    Whoever supervises the process sees it end when several runs have failed in a row.
    """
    failures = 0
    with _until_asked():
        while True:
            began = time.monotonic()
            results = _aside(run)
            for result in results:
                console.print(_line(result), markup=False, highlight=False)
            failures = failures + 1 if any(result.outcome == "failed" for result in results) else 0
            if failures == PATIENCE:
                return results
            if STOPPING.wait(max(0.0, began + seconds - time.monotonic())):
                return results


def _aside(run: Callable[[], list[Result]]) -> list[Result]:
    """Run it in a thread of its own: dlt takes signals for itself while it works in the main one."""
    done: Future[list[Result]] = Future()

    def work() -> None:
        try:
            done.set_result(run())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=work, name="run", daemon=True).start()  # who asks twice does not wait for it
    return done.result()


def _line(result: Result) -> str:
    landed = sum(record.rows_landed for record in result.records if record.resource != OFFSETS)
    why = f": {result.message}" if result.message else ""
    return f"{result.source} {result.outcome}, {landed:,} rows landed in {result.seconds:.1f} s{why}"


@contextmanager
def _until_asked() -> Iterator[None]:
    STOPPING.clear()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def end(number: int, frame: FrameType | None) -> Any:
        STOPPING.set()
        _restore(before)  # who asks twice means it

    for number in SIGNALS:
        signal.signal(number, end)
    try:
        yield
    finally:
        _restore(before)


def _restore(handlers: dict[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
