"""The archive by age: packages that nothing leans on go, and the bodies that no other one names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import NamedTuple

from loaders._core.archive.store import ArchiveError, Store
from loaders._core.archive.tables import THE_TABLE
from loaders._core.archive.tape import read_package
from loaders._core.lease import Lease
from loaders._core.warehouse import Target

_READERS = 16  # objects asked for at once: with S3 it is the way there and back that takes the time
_BATCH = 1_000


@dataclass
class Expired:
    """What was removed of a source, or would be; and why older packages stay, if some do."""

    packages: int = 0
    bodies: int = 0
    kept: int = 0
    why: str = ""

    def __str__(self) -> str:
        return f"{self.packages} packages, {self.bodies} bodies"


class _Outline(NamedTuple):
    """What of a package tells whether it goes; a topic that is read each minute has half a million a year.

    Attributes:
        stamp: another one when it is written anew, as by an erasure.
        told: what was asked, as hashes, and answered; of accounts alone that are in the package.
        stood: the same, of what was answered with 304.
    """

    stamp: int
    begun_at: datetime
    is_of_table: bool
    told: tuple[int, ...]
    stood: tuple[int, ...]
    bodies: tuple[str, ...]


def expire(
    store: Store,
    target: Target,
    before: datetime,
    *,
    apply: bool,
    note: Callable[[str, Expired], None] = lambda source, found: None,
) -> Iterator[tuple[str, Expired]]:
    """Remove the packages that were read before a moment, source by source, or only count them.

    Broken off, it goes on when it is called again. It reads while sources are read, and keeps one from being
    read only while something of it is removed; what is being read while it counts is counted as left behind.

    Args:
        note: told what will be removed, before anything is.

    Raises:
        ArchiveError: an object can't be read or removed.
        LeaseTaken: the source is being read; those before it are done.
    """
    for source in store.sources():
        packages, expired, bodies, found = _look(store, source, before, {})
        if apply and (expired or bodies):
            with Lease(target, source) as lease:
                _, expired, bodies, found = _look(store, source, before, packages)
                note(source, found)
                # A 304 goes before what it stands for, and packages before their bodies: a package that lacks
                # either could not be made again, and whenever this is broken off, none does.
                for name in sorted(expired, reverse=True):
                    lease.check()
                    store.remove(f"{source}/packages/{name}")
                for address in bodies:
                    lease.check()
                    store.remove_body(source, address)
        if expired or bodies or found.kept:
            yield source, found


def _look(
    store: Store, source: str, before: datetime, known: Mapping[str, _Outline]
) -> tuple[dict[str, _Outline], set[str], list[str], Expired]:
    """All packages of a source, and what goes: packages and bodies."""
    addresses = store.addresses(source)  # first: what is named by then was named by a package that is there
    packages = _outlines(store, f"{source}/packages", known)
    found = Expired()
    expired = {name for name, package in packages.items() if package.begun_at < before}
    if any(package.is_of_table for package in packages.values()):
        found.why = "of a database the later ones hold what has changed since"
        found.kept, expired = len(expired), set()
    elif leant_on := expired & _leant_on(packages, expired):
        found.why = "later ones have a 304, which says that their answers still stand"
        found.kept, expired = len(leant_on), expired - leant_on
    stay = {address for name in packages.keys() - expired for address in packages[name].bodies}
    # What no package names was read by a run that was killed.
    bodies = [address for address in addresses if address not in stay]
    found.packages, found.bodies = len(expired), len(bodies)
    return packages, expired, bodies, found


def _outlines(store: Store, folder: str, known: Mapping[str, _Outline]) -> dict[str, _Outline]:
    """Outlines of the packages in a folder; those that are known, and as they were, are not read again."""
    stamps = store.stamps(folder)
    found = {name: known[name] for name in stamps if name in known and known[name].stamp == stamps[name]}
    missing = [name for name in stamps if name not in found]

    def read(name: str) -> _Outline | None:
        try:
            return _outline(store, folder, name, stamps[name])
        except ArchiveError:
            if store.exists(f"{folder}/{name}"):
                raise
            return None  # its run has settled it, under another name

    with ThreadPoolExecutor(_READERS, "packages") as readers:
        for start in range(0, len(missing), _BATCH):
            some = missing[start : start + _BATCH]
            found |= {n: each for n, each in zip(some, readers.map(read, some), strict=True) if each}
    return found


def _outline(store: Store, folder: str, name: str, stamp: int) -> _Outline:
    package = read_package(store, folder, name)
    # A rebuild asks for no others, and for nothing of a package that has failed.
    accounts = set() if name.endswith(".failed") else {task.account for task in package.tasks}
    asked = [
        (hash((each.account, each.resource, each.question)), each.status)
        for each in package.answers
        if each.account in accounts
    ]
    return _Outline(
        stamp,
        package.begun_at,
        any(answer.url == THE_TABLE for answer in package.answers),
        tuple({question for question, status in asked if status < HTTPStatus.MULTIPLE_CHOICES}),
        tuple({question for question, status in asked if status == HTTPStatus.NOT_MODIFIED}),
        tuple(answer.body for answer in package.answers),
    )


def _leant_on(packages: Mapping[str, _Outline], expired: set[str]) -> set[str]:
    """The packages with the answers that a 304 of one that stays stands for."""
    found: set[str] = set()
    asked: set[int] = set()
    for name in sorted(packages, reverse=True):
        package = packages[name]
        if name in expired and asked.isdisjoint(package.told):
            continue
        found.add(name)
        # Of one whose run was killed at its commit it is not known yet whether it counts.
        if not name.endswith(".prepared"):
            asked.difference_update(package.told)
        asked.update(package.stood)
    return found
