"""Loading beside reading: finished files go to the warehouse in a thread while the next ones are made.

Reading is Python and needs one core; loading waits for a driver in C and for the server, and needs
another. One after the other they take twice as long. What was loaded ahead counts no sooner than the
rest: only the receipts that come last make it count.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from loaders._core.sets import SpooledFile

# A package costs a quarter of a second of Python whatever is in it. The first is smaller: until it is loaded
# a core idles. Small readings never have so much.
FIRST_FILES = 3
PACKAGE_FILES = 8

Waiting = tuple[str, SpooledFile]


class Ahead:
    """Loads files, a few at a time, in a thread of its own.

    Args:
        load: loads (raw table, file) pairs, in that thread; called again and again, never twice at once.
    """

    def __init__(self, load: Callable[[Sequence[Waiting]], None]) -> None:
        self._load = load
        self._waiting: list[Waiting] = []
        self._taken: set[int] = set()
        self._ended = False
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def offer(self, table: str, file: SpooledFile) -> None:
        """Hand over a finished file.

        Raises:
            Whatever ``load`` has raised.
        """
        with self._changed:
            self._raise()
            self._waiting.append((table, file))
            if self._thread is None and self._enough():
                self._thread = threading.Thread(target=self._work, name="load ahead", daemon=True)
                self._thread.start()
            self._changed.notify()

    def withdraw(self, file: SpooledFile) -> bool:
        """Do not load this file; False if it is too late for that."""
        with self._changed:
            self._waiting = [each for each in self._waiting if each[1] is not file]
            return file.index not in self._taken

    def finish(self) -> None:
        """End: wait for what is being loaded, begin nothing more.

        Raises:
            Whatever ``load`` has raised.
        """
        self.stop()
        self._raise()

    def has_loaded(self, file: SpooledFile) -> bool:
        """After the end: is this file in the warehouse?"""
        return file.index in self._taken

    def stop(self) -> None:
        """End without a word about errors."""
        with self._changed:
            self._ended = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        while files := self._next():
            try:
                self._load(files)
            except BaseException as error:
                self._error = error
                return

    def _next(self) -> list[Waiting]:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._enough())
            if self._ended:
                return []
            files, self._waiting = self._waiting, []
            self._taken.update(file.index for _, file in files)
            return files

    def _enough(self) -> bool:
        return len(self._waiting) >= (PACKAGE_FILES if self._taken else FIRST_FILES)
