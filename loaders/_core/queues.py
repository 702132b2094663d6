"""Queues whose messages come again until they are deleted: read within a budget, deleted once they count.

A loader gives a `Broker` for each queue; here stands what every such queue needs. What is held is kept from
coming again by a thread of its own, however long reading and landing take; what a failed run leaves is given
back at once.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Annotated, NamedTuple, Protocol

import msgspec

from loaders._core import errors
from loaders._core.archive.current import current
from loaders._core.stream import Documents, Keyed, Rejected

_log = logging.getLogger(__name__)
PACKAGE = 10_000  # messages held before they are landed and deleted
ATTEMPTS = 3  # of deleting what was not deleted
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long and how much is read of a queue in a run; docs/runbooks/queues.md says it of each."""

    max_seconds: Positive = 300
    max_messages: Positive = 100_000
    empty_polls: Positive = 2
    wait_seconds: Annotated[int, msgspec.Meta(ge=0)] = 5
    visibility_seconds: Positive = 300


class Received(NamedTuple):
    """A message: the id that it keeps, the handle that deletes it this time, and all that is to land."""

    id: str
    handle: str
    record: bytes


class Refusal(NamedTuple):
    """Why a message was not deleted or kept; a final one will be told again however often it is asked."""

    code: str
    is_final: bool


class Broker(Protocol):
    """One queue at its vendor; raises the errors of ``loaders._core.errors``.

    Attributes:
        where: the queue, as it may be told.
        at_once: messages of one request at most.
        holds_groups: whether a group of messages gives no more while some of it is held.
    """

    where: str
    at_once: int
    holds_groups: bool

    def receive(self, count: int, wait: int, visibility: int) -> list[Received]:
        """So many messages at most, none if none comes in ``wait`` seconds; hidden for ``visibility``."""

    def delete(self, handles: Mapping[str, str]) -> dict[str, Refusal]:
        """Delete messages, handles by id; what is refused, by id."""

    def hide(self, handles: Mapping[str, str], visibility: int) -> dict[str, Refusal]:
        """Hide messages for so many seconds from now on; what is refused, by id."""


class Reading:
    """What of one queue was received and is not deleted yet, and how much of its budget is left.

    Args:
        judge: what of a record lands, or why it does not.
    """

    def __init__(self, broker: Broker, budget: Budget, judge: Callable[[bytes], Keyed | Rejected]) -> None:
        self.budget = budget
        self._broker, self._judge = broker, judge
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, float]] = {}  # by message id: newest handle, when to extend
        self._left = budget.max_messages
        self._until = 0.0
        self._more = False

    def read(self) -> Documents:
        """Messages until the queue is empty, a package is full, or the budget is spent."""
        for records in current().told_each("messages", self._received(), list[bytes]):
            yield from map(self._judge, records)

    def _received(self) -> Iterator[list[bytes]]:
        self._until = self._until or time.monotonic() + self.budget.max_seconds
        taken = empty = 0
        while empty < self.budget.empty_polls and taken < PACKAGE and self._has_budget():
            wait = min(self.budget.wait_seconds, int(self._until - time.monotonic()))
            count = min(self._broker.at_once, self._left)
            messages = self._broker.receive(count, max(wait, 0), self.budget.visibility_seconds)
            # What is held already says nothing of the queue: it would be read for ever, if it comes again.
            empty = empty + 1 if self._held.keys() >= {each.id for each in messages} else 0
            taken += len(messages)
            self._left -= len(messages)
            with self._lock:  # of one that came twice the older handle deletes nothing
                self._held |= {each.id: (each.handle, self._half_time()) for each in messages}
            yield [each.record for each in messages]
        self._more = empty < self.budget.empty_polls or (taken > 0 and self._broker.holds_groups)
        if self._more and not self._has_budget():
            _log.warning("the budget of %s is spent; the next run reads on", self._broker.where)

    def delete(self) -> bool:
        """Delete what was read, as it counts; is there more to read?

        Raises:
            VendorError: some are not deleted: they come again and are dropped as known.
        """
        handles = self._handles()
        refused: dict[str, Refusal] = {}
        for attempt in range(ATTEMPTS):
            time.sleep(0.2 * attempt)
            refused = {}
            for batch in self._batches(handles):
                found = self._broker.delete(batch)
                refused |= found
                with self._lock:
                    for name in batch.keys() - found.keys():
                        self._held.pop(name, None)
            handles = {name: handles[name] for name, why in refused.items() if not why.is_final}
            if not handles:
                break
        if refused:
            codes = ", ".join(sorted({why.code for why in refused.values()}))
            raise errors.VendorError(
                f"{len(refused):,} messages have landed and could not be deleted ({codes}): they come again"
                " and are dropped as known",
                where=self._broker.where,
            )
        return self._more and self._has_budget()

    def extend(self) -> None:
        """Keep what is held for longer than half of its time from coming again."""
        now = time.monotonic()
        self._hide(self._handles(lambda until: until <= now), self.budget.visibility_seconds)

    def give_back(self) -> None:
        """What was not deleted may be received again at once."""
        self._hide(self._handles(), 0)

    def _handles(self, due: Callable[[float], bool] = lambda until: True) -> dict[str, str]:
        with self._lock:
            return {name: handle for name, (handle, until) in self._held.items() if due(until)}

    def _has_budget(self) -> bool:
        return self._left > 0 and time.monotonic() < self._until

    def _half_time(self) -> float:
        return time.monotonic() + self.budget.visibility_seconds / 2

    def _batches(self, handles: Mapping[str, str]) -> Iterator[dict[str, str]]:
        left = iter(handles.items())
        while batch := dict(islice(left, self._broker.at_once)):
            yield batch

    def _hide(self, handles: Mapping[str, str], seconds: int) -> None:
        for batch in self._batches(handles):
            try:
                self._broker.hide(batch, seconds)
            except errors.AdstarError as error:
                _log.info("what is held of %s is not hidden: %s", self._broker.where, error)
                return
            with self._lock:  # one that was refused is lost: it comes again, and is known then
                for name in batch.keys() & self._held.keys():
                    self._held[name] = (self._held[name][0], self._half_time())


class Readings:
    """All queues of a run; in a thread of its own it keeps what they gave from being given again."""

    def __init__(self, visibility_seconds: int) -> None:
        """Nothing is kept before ``start``; ``visibility_seconds``: the shortest of all queues."""
        self._pause = min(visibility_seconds / 8, 5.0)
        self.open: dict[str, Reading] = {}
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="visibility", daemon=True)

    def start(self) -> None:
        """Begin to keep."""
        self._keeper.start()

    def close(self) -> None:
        """End, and give back what is not deleted."""
        self._ended.set()
        self._keeper.join(timeout=30)
        for reading in self.open.values():
            with suppress(Exception):
                reading.give_back()

    def _keep(self) -> None:
        while not self._ended.wait(self._pause):
            for reading in list(self.open.values()):
                with suppress(Exception):  # at worst it comes again, and is known then
                    reading.extend()


def fault_of(body: str, required: tuple[str, ...], what: str = "body") -> str:
    """What is wrong with a body that should be a JSON object with these fields; it does not quote it."""
    try:
        found = json.loads(body, parse_int=str, parse_float=str, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return f"the {what} is not JSON, from character {error.pos} of {len(body)}"
    except (ValueError, RecursionError):
        return f"the {what} is not JSON: NaN, Infinity, or too deep"
    if not isinstance(found, dict):
        return f"the {what} is JSON, but no object"
    lacking = [name for name in required if found.get(name) is None]
    return f"the {what} lacks {', '.join(lacking)}" if lacking else ""


def _refuse(constant: str) -> None:
    raise ValueError(constant)
