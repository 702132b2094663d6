"""The archive by age: packages that nothing leans on go, and the bodies that no other one names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from loaders._core.archive.store import Store
from loaders._core.archive.tables import THE_TABLE
from loaders._core.archive.tape import Package, read_package


@dataclass
class Expired:
    """What was removed of a source, or would be; and why older packages stay, if some do."""

    packages: int = 0
    bodies: int = 0
    kept: int = 0
    why: str = ""


def expire(store: Store, before: datetime, *, apply: bool) -> Iterator[tuple[str, Expired]]:
    """Remove the packages that were read before a moment, source by source, or only count them.

    No source may be read meanwhile. Broken off, it goes on when it is called again.

    Raises:
        ArchiveError: an object can't be read or removed.
    """
    for source in store.sources():
        folder = f"{source}/packages"
        packages = {name: read_package(store, folder, name) for name in store.names(folder)}
        found = Expired()
        expired = {name for name, package in packages.items() if package.begun_at < before}
        if any(answer.url == THE_TABLE for each in packages.values() for answer in each.answers):
            found.why = "of a database the later ones hold what has changed since"
            found.kept, expired = len(expired), set()
        elif leant_on := expired & _leant_on(packages, expired):
            found.why = "later ones have a 304, which says that their answers still stand"
            found.kept, expired = len(leant_on), expired - leant_on
        stay = {answer.body for name in packages.keys() - expired for answer in packages[name].answers}
        # What no package names was read by a run that was killed.
        bodies = [address for address in store.addresses(source) if address not in stay]
        found.packages, found.bodies = len(expired), len(bodies)
        # A package without its bodies could not be made again; bodies without a package are no harm.
        for name in sorted(expired) if apply else ():
            store.remove(f"{folder}/{name}")
        for address in bodies if apply else ():
            store.remove_body(source, address)
        if expired or bodies or found.kept:
            yield source, found


def _leant_on(packages: dict[str, Package], expired: set[str]) -> set[str]:
    """The packages with the answers that a 304 of one that stays stands for."""
    found: set[str] = set()
    asked: set[tuple[str, str, str]] = set()
    for name in sorted(packages, reverse=True):
        answers = {(a.account, a.resource, a.question): a.status for a in packages[name].answers}
        told = {each for each, status in answers.items() if status != HTTPStatus.NOT_MODIFIED}
        if name in expired and not asked & told:
            continue
        found.add(name)
        asked = (asked - told) | (answers.keys() - told)
    return found
