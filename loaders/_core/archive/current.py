"""The tape of the run that goes on, as those see it who ask a vendor; what is on it: tape.py.

Imports nothing that reading messages does not need: Spark's workers do that, in an environment of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    import httpx

    from loaders._core.declare import Account, Clock, Resource, Window
    from loaders._core.ops import Run

State = Literal["prepared", "counted", "failed"]
T = TypeVar("T")


class Taken:
    """A body that is coming in; it is kept only if its end has come."""

    def write(self, chunk: bytes) -> None:
        """Add some of it."""

    def whole(self) -> None:
        """That was all."""

    def close(self) -> None:
        """Forget what has not come to its end."""


class Tape:
    """Neither records nor plays; what a run has without an archive."""

    plays = False
    records = False

    def take(
        self, response: httpx.Response, request: httpx.Request, hidden: Collection[str], *, raw: bool
    ) -> Taken:
        """An answer is coming in.

        Args:
            hidden: parameters of the address that are credentials.
            raw: what will be written has its Content-Encoding.
        """
        return Taken()

    def transport(self, hidden: Collection[str]) -> httpx.BaseTransport | None:
        """What answers in place of the vendor."""
        return None

    def told(self, question: str, ask: Callable[[], T], kind: type[T]) -> T:
        """What a vendor says without HTTP.

        Args:
            question: the same whenever the same is asked, and without a secret.
            kind: what msgspec takes it for.

        Raises:
            Whatever ``ask`` raises; then nothing is kept.
        """
        return ask()

    def told_each(self, question: str, found: Iterator[T], kind: type[T]) -> Iterator[T]:
        """As ``told``, one after the other, until there are no more."""
        return found

    def newest(self) -> int:
        """The highest run_seq there is; 0 without any."""
        return 0

    def has(self, run_seq: int) -> bool:
        """Whether what a run has read is there, if it shall be; what builds on it may go on from there."""
        return True

    def settle(self, is_committed: Callable[[int, str], bool]) -> None:
        """Find out of packages whose run was killed whether they count, by run_seq and load id."""

    def begin_run(self, run: Run, settings: dict[str, Any], clock: Clock) -> None:
        """The accounts are listed next."""

    def begin_package(self) -> None:
        """Another package is read next."""

    def begin_task(self, account: Account, window: Window | None, resources: Iterable[Resource]) -> None:
        """Another account is read next."""

    def reading(self, account: str, resource: str, clock: Clock) -> datetime:
        """A resource of it is read next; the moment that its rows have for that."""
        return clock.now()

    def read(self, account: str, clock: Clock) -> datetime:
        """All of the account was read; the moment that its receipts have for that."""
        return clock.now()

    def hash_of(
        self,
        resource: str,
        account: str,
        day: date | None,
        *,
        rows: int,
        rows_hash: str,
        comes_again: bool = False,
    ) -> str:
        """The hash that a set's receipt shall have.

        Args:
            comes_again: rows that had landed before were read and left out, and may be here now, as what
                they had landed with may be gone.
        """
        return rows_hash

    def done(self) -> None:
        """The account's rows go into the package."""

    def prepare(self, run_seq: int, load_id: str) -> None:
        """The package is committed next."""

    def conclude(self, state: State) -> None:
        """The package was committed, or will never be."""


_current: ContextVar[Tape | None] = ContextVar("tape", default=None)


def current() -> Tape:
    """The tape of the run that goes on."""
    return _current.get() or Tape()


@contextmanager
def running(tape: Tape) -> Iterator[None]:
    """What is asked within is recorded on this tape, or played from it."""
    token = _current.set(tape)
    try:
        yield
    finally:
        _current.reset(token)
