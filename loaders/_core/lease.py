"""Who may land, and in which order: one lease for each pipeline, handed out by the warehouse.

``run_seq`` is one rising number for the whole warehouse. A run holds the lease with its newest number and
shows that it lives by a heartbeat; the warehouse's clock rules, not the loaders'. A lease whose holder is
dead or silent is taken over under a higher number, and from then on the former holder can commit nothing:
a commit is one transaction that asks for the lease first. Redshift has no advisory locks and no
``on conflict``; ``lock table`` it has, and Postgres too.
"""

# ruff: noqa: S608  (the only text put into a statement is the warehouse's own name of its clock)

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

import psutil

from loaders._core.crash import kill_point
from loaders._core.errors import AdstarError
from loaders._core.warehouse import Target

_log = logging.getLogger(__name__)


class LeaseTaken(AdstarError):
    """Another run of this pipeline is alive."""


class LeaseLost(AdstarError):
    """Another run has taken over; whatever this one does no longer counts."""


def silence_seconds() -> float:
    """After how many seconds without heartbeat a holder counts as gone (``ADSTAR_LEASE_SECONDS``, 120)."""
    return float(os.environ.get("ADSTAR_LEASE_SECONDS") or 120)


class Lease:
    """The right to land for one pipeline. Use it as a context manager; it gives up the lease at the end.

    Args:
        above: numbers that this pipeline has had elsewhere: its archive outlives a warehouse.

    Raises:
        LeaseTaken: on entering, if another run holds it and lives.
    """

    def __init__(self, target: Target, pipeline: str, *, above: int = 0) -> None:
        self.pipeline = pipeline
        self.run_seq = 0
        self.wanted: int | None = None
        """The number to take next, if it is nobody's and higher than those of the pipeline's commits."""
        self.lost = threading.Event()
        self._above = above
        self._target = target
        self._holder = _myself()
        self._ended = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"lease {pipeline}", daemon=True)

    def __enter__(self) -> Lease:
        self._locked(self._take)
        _log.debug("%s holds run_seq %s", self.pipeline, self.run_seq)
        self._heart.start()
        kill_point("lease.taken")
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._heart.join(timeout=30)
        try:
            self._locked(
                lambda cursor: cursor.execute(
                    "update ops.lease set released = true"
                    " where pipeline = %s and run_seq = %s and holder = %s",
                    [self.pipeline, self.run_seq, self._holder],
                )
            )
        except Exception:
            _log.warning("could not release the lease of %s; it runs out by itself", self.pipeline)

    def advance(self) -> int:
        """A new run_seq for the next package, under the same lease.

        Raises:
            LeaseLost: another run has taken over.
        """

        def take_next(cursor: Any) -> None:
            self._assert_held(cursor)
            number = self._next_number(cursor)
            cursor.execute(
                f"update ops.lease set run_seq = %s, heartbeat_at = {self._target.clock} where pipeline = %s",
                [number, self.pipeline],
            )
            self.run_seq = number

        self._locked(take_next)
        return self.run_seq

    def check(self) -> None:
        """Stop early if the heartbeat has found the lease gone.

        Raises:
            LeaseLost: it has.
        """
        if self.lost.is_set():
            raise self._loss()

    def commit(self, write: Callable[[Any], None]) -> None:
        """Run ``write(cursor)`` in one transaction that succeeds only while the lease is held.

        Raises:
            LeaseLost: another run has taken over; nothing was written.
        """

        def guarded(cursor: Any) -> None:
            self._assert_held(cursor)
            write(cursor)
            kill_point("commit.inside")

        self._locked(guarded)

    def _assert_held(self, cursor: Any) -> None:
        cursor.execute(
            "select 1 from ops.lease where pipeline = %s and run_seq = %s and holder = %s and not released",
            [self.pipeline, self.run_seq, self._holder],
        )
        if cursor.fetchone() is None:
            self.lost.set()
            raise self._loss()

    def _loss(self) -> LeaseLost:
        return LeaseLost(
            f"another run of {self.pipeline} has taken over run_seq {self.run_seq}, because this one was"
            f" silent for more than {silence_seconds():.0f} s; nothing of this run counts, the newer one"
            " reads it all"
        )

    def _take(self, cursor: Any) -> None:
        cursor.execute(
            f"select run_seq, holder, extract(epoch from {self._target.clock} - heartbeat_at)::float"
            " from ops.lease where pipeline = %s and not released",
            [self.pipeline],
        )
        for run_seq, holder, silent in cursor.fetchall():
            if silent <= silence_seconds() and not _is_dead(holder):
                raise LeaseTaken(
                    f"another run of {self.pipeline} is at work (run_seq {run_seq}, {holder}, last heard of"
                    f" {silent:.0f} s ago); wait for it or end that process"
                )
            _log.warning("taking over from a run of %s that has ended (run_seq %s)", self.pipeline, run_seq)
        number = self._next_number(cursor)
        cursor.execute("delete from ops.lease where pipeline = %s", [self.pipeline])
        cursor.execute(
            "insert into ops.lease (pipeline, run_seq, holder, heartbeat_at, released)"
            f" values (%s, %s, %s, {self._target.clock}, false)",
            [self.pipeline, number, self._holder],
        )
        self.run_seq = number

    def _next_number(self, cursor: Any) -> int:
        if self.wanted is not None:
            cursor.execute(
                "select (select count(*) from ops.commits where run_seq = %(wanted)s"
                " or (pipeline = %(pipeline)s and run_seq > %(wanted)s))"
                " + (select count(*) from ops.lease where run_seq = %(wanted)s and pipeline <> %(pipeline)s)",
                {"wanted": self.wanted, "pipeline": self.pipeline},
            )
            if not cursor.fetchone()[0]:
                return self.wanted
        cursor.execute(
            "select 1 + greatest((select coalesce(max(run_seq), 0) from ops.lease),"
            " (select coalesce(max(run_seq), 0) from ops.commits), %s)",
            [self._above],
        )
        return int(cursor.fetchone()[0])

    def _locked(self, work: Callable[[Any], None]) -> None:
        connection = self._target.connect()
        try:
            connection.autocommit = False
            with connection, connection.cursor() as cursor:
                cursor.execute("lock table ops.lease")
                work(cursor)
        finally:
            connection.close()

    def _beat(self) -> None:
        while not self._ended.wait(min(15.0, silence_seconds() / 4)):
            try:
                self._locked(self._touch)
            except LeaseLost:
                return
            except Exception as error:
                _log.warning("no heartbeat for the lease of %s: %s", self.pipeline, error)

    def _touch(self, cursor: Any) -> None:
        self._assert_held(cursor)
        cursor.execute(
            f"update ops.lease set heartbeat_at = {self._target.clock} where pipeline = %s", [self.pipeline]
        )


def _myself() -> str:
    """Host, process and its birth: an id alone is used again."""
    process = psutil.Process()
    return f"{socket.gethostname()}:{process.pid}:{process.create_time():.2f}:{threading.get_ident()}"


def _is_dead(holder: str) -> bool:
    """Is it certain that this holder is no more? Of other hosts only their silence tells."""
    host, pid, born, _ = holder.rsplit(":", 3)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != born or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
