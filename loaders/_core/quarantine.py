"""What fails at the boundary: it lands aside, with its reason and its raw bytes, and comes back after a fix.

``raw_<source>.quarantine`` gets such records in the package of the good ones, so of a reading
landed + quarantined + known = read, always. ``quarantine_resolved`` says which have landed since, by a retry
or because their source gave them again. Both tables are only ever added to.

On Redshift single values go there, too: those that it can't hold, whose rows land without them. What is long
takes several rows there, its parts in the order of ``_row_no``.
"""

from __future__ import annotations

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Any

from loaders._core.declare import Account, Loader, Resource, Window
from loaders._core.errors import BadBody
from loaders._core.naming import TooManyColumns
from loaders._core.ops import VALUE, Books
from loaders._core.privacy import keys as privacy_keys
from loaders._core.privacy.values import Personal, is_sealed
from loaders._core.redshift import Misfit
from loaders._core.sets import ResourceSpool, SpooledFile
from loaders._core.stream import Documents, Keyed, Rejected, Rows
from loaders._core.warehouse import Target

_log = logging.getLogger(__name__)
QUARANTINE = Resource(
    "quarantine",
    read=lambda api, account, window: iter(()),
    records=(),
    columns=("resource", "reason", "source_key", "raw_bytes", "detected_at"),
    personal={"raw_bytes": Personal.DOCUMENT},
)
_ASKED_AT_ONCE = 500
# As base64, sealed, and that as base64 it fits into a text of Redshift; and makes whole groups of base64.
_PART_BYTES = 36_000


class Intake:
    """Takes single records of one reading: each new one to the resource's rows or aside, the others counted.

    The warehouse is asked which keys it has, a few hundred at a time: then raw holds nothing twice, and
    what came again is a figure. (Staging could drop it as well, but never say how much that was.)

    Args:
        aside: takes the rows of the quarantine.
        books: knows what is committed.
        now: when it was found that something is wrong.
    """

    def __init__(self, spool: ResourceSpool, aside: ResourceSpool, books: Books, now: datetime) -> None:
        self._spool = spool
        self._aside = spool.aside = aside
        self._books = books
        self._now = now.isoformat()
        self._waiting: list[Keyed | Rejected] = []
        self._seen: dict[str, None] = {}
        self._point = (0, 0, 0)
        self._prepared = False

    def take(self, item: Keyed | Rejected | Rows) -> None:
        """Take one record, or some that are taken apart already."""
        if isinstance(item, Rows):
            self._take_rows(item, 0, item.page.rows)
            return
        self._waiting.append(item)
        if len(self._waiting) >= _ASKED_AT_ONCE:
            self.flush()

    def _take_rows(self, rows: Rows, start: int, stop: int) -> None:
        """Take these; aside go those that the table has no room for."""
        page = rows.page if stop - start == rows.page.rows else rows.page.slice(start, stop)
        try:
            # As documents, by which files are measured, they would be twice as large: names, quotes, nulls.
            self._spool.add_page(page, 2 * sum(column.nbytes for column in page.columns.values()))
        except TooManyColumns as error:
            if page.rows == 1:
                self._put_aside([rows.reject(start, error.message)])
                return
            middle = (start + stop) // 2
            self._take_rows(rows, start, middle)
            self._take_rows(rows, middle, stop)

    def flush(self) -> None:
        """Hand over what was taken."""
        items, self._waiting = self._waiting, []
        if not items:
            return
        landed, aside = self._committed({item.key for item in items})
        good: list[Keyed] = []
        bad: list[Rejected] = []
        for item in items:
            known = item.key in self._seen or item.key in landed
            if known or (isinstance(item, Rejected) and item.key in aside):
                self._spool.known += 1
                continue
            self._seen[item.key] = None
            if isinstance(item, Keyed):
                good.append(item)
            else:
                bad.append(item)
        self._put_aside(bad + self._land(good))

    def keep(self) -> None:
        """What was taken so far is whole."""
        self.flush()
        self._spool.keep()
        self._aside.keep()
        self._point = (len(self._seen), self._spool.known, self._spool.rejected)

    def forget(self) -> list[SpooledFile]:
        """Take back what was taken since ``keep``; the resource's files that are worth nothing any more."""
        self._waiting.clear()
        seen, self._spool.known, self._spool.rejected = self._point
        self._seen = dict.fromkeys(list(self._seen)[:seen])
        for file in self._aside.forget():
            file.path.unlink()
        return self._spool.forget()

    def _committed(self, keys: set[str]) -> tuple[set[str], set[str]]:
        """Which of these are rows of raw, and which are in quarantine."""
        resource = self._spool.resource
        # What resumes where the warehouse ends comes once: only a retry gives what is in quarantine already.
        key = "" if resource.resumes else resource.key
        if not self._prepared:
            self._prepared = True
            self._books.ensure_table(QUARANTINE.name, QUARANTINE.columns)
            self._books.ensure_key(QUARANTINE.name, "source_key")
            if key:
                self._books.ensure_table(resource.name, [key])
                self._books.ensure_key(resource.name, key)
        landed = self._books.known(resource.name, key, keys) if key else set()
        return landed, self._books.quarantined(resource.name, keys)

    def _land(self, items: list[Keyed]) -> list[Rejected]:
        """Hand these over; those that can't be read as a record after all."""
        try:
            if items:
                self._spool.add(b"[" + b",".join(item.record for item in items) + b"]")
        except BadBody as error:
            if len(items) == 1:
                # Other messages may quote the record.
                why = error.message if isinstance(error, TooManyColumns) else "it can't be read as a record"
                return [Rejected(items[0].key, why, items[0].record)]
            return [bad for item in items for bad in self._land([item])]
        return []

    def _put_aside(self, items: list[Rejected]) -> None:
        if items:
            self._spool.rejected += len(items)
            kind = self._books.target.kind
            self._aside.add(_documents(self._spool.resource.name, items, self._now, kind))


def set_aside(aside: ResourceSpool, resource: str, misfits: Iterable[Misfit], now: datetime) -> None:
    """Put values that Redshift can't hold into its quarantine, under the row and the column they are of.

    Args:
        aside: takes the rows of the quarantine.
    """
    items = [
        Rejected(f"{VALUE}{m.run_seq}.{m.row_no}.{m.column}", m.why, m.value.encode("utf-8", "surrogatepass"))
        for m in misfits
    ]
    if items:
        aside.add(_documents(resource, items, now.isoformat(), "redshift"))


def _documents(resource: str, items: Iterable[Rejected], now: str, kind: str) -> bytes:
    return json.dumps(
        [
            {
                "resource": resource,
                "reason": reason,
                "source_key": item.key,
                "raw_bytes": b64encode(part).decode(),
                "detected_at": now,
            }
            for item in items
            for part, reason in _parts(item, kind)
        ]
    ).encode()


def _parts(item: Rejected, kind: str) -> Iterator[tuple[bytes, str]]:
    """What fits into a text of the warehouse, with its reason."""
    size = _PART_BYTES if kind == "redshift" else len(item.record)
    count = max(1, -(-len(item.record) // max(1, size)))
    for number in range(count):
        said = f" (part {number + 1} of {count})" if count > 1 else ""
        yield item.record[number * size : (number + 1) * size], item.reason + said


def retried(loader: Loader, target: Target) -> Loader | None:
    """A loader that reads, in the place of its source, what is in quarantine; None if nothing can come back.

    Args:
        loader: as made for its settings.
    """
    books = Books(target, loader.name)
    with closing(books):
        books.prepare()
        waiting = books.in_quarantine()
    resources = {r.name: replace(r, read=_reader(r, target)) for r in loader.resources if r.key and r.judge}
    for (name, account), count in sorted(waiting.items()):
        if name not in resources:
            what = f"{count:,} records of {name} (account {account})"
            _log.warning(
                "%s: %s can't come back: it is not declared, or whole sets of it are read again anyway",
                loader.name,
                what,
            )
    accounts = sorted({account for name, account in waiting if name in resources})
    if not accounts:
        return None
    return replace(
        loader,
        connect=lambda settings, clock: closing(Books(target, loader.name)),
        accounts=lambda books: [Account(name) for name in accounts],
        resources=tuple(resources.values()),
        resources_of=None,
        confirm=None,
    )


def still_there(source: str, target: Target) -> str:
    """What to say of what is in quarantine and not resolved; nothing if nothing is."""
    with closing(Books(target, source)) as books:
        left = sum(books.in_quarantine().values())
    where = f"raw_{source}.{QUARANTINE.name}"
    return f"{left:,} records stay in {where}, each with its reason" if left else ""


def _reader(resource: Resource, target: Target) -> Any:
    def read(books: Books, account: Account, window: Window | None) -> Documents:
        assert resource.judge is not None
        for parts in books.quarantined_records(resource.name, account.id):
            yield resource.judge(b"".join(b64decode(_opened(part)) for part in parts))

    def _opened(raw: str) -> str:
        # Asked for only where it is needed: a warehouse without personal data has no key.
        return privacy_keys.ring(target).revealed(Personal.DOCUMENT, raw) if is_sealed(raw) else raw

    return read
