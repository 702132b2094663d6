"""Feeds: lists of records at one address, in whatever way the server pages them.

What tells the next page is a ``Step``. A feed that comes in one answer is asked for with the ETag or
Last-Modified of the answer that its newest receipts were read from, so that 304 is worth as much as the
same rows once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec
import xxhash

from loaders._core.declare import Account, Window
from loaders._core.errors import BadBody, GaveUp, VendorError
from loaders._core.http import Http, Reply, decode
from loaders._core.pages import Listing, Path, days
from loaders._core.stream import Documents, Version

Step = Callable[[Reply, str, int], str | None]
_BLOCK = 5_000
_EXACT_AFTER = timedelta(seconds=60)  # RFC 9110, 8.8.2.2: a younger Last-Modified may hide a change


def by_link(path: Path) -> Step:
    """The address of the next page stands in the body."""

    def step(page: Reply, asked: str, records: int) -> str | None:
        link = member(page, path)
        return _joined(asked, link) if link else None

    return step


def by_header(page: Reply, asked: str, records: int) -> str | None:
    """The address of the next page stands in the header ``Link``, with ``rel="next"``."""
    for relations, link in httpx.Response(200, headers=page.headers).links.items():
        if relations and "next" in relations.lower().split():
            return _joined(asked, link["url"])
    return None


def by_page(parameter: str) -> Step:
    """Pages have numbers, and one without records is the last."""

    def step(page: Reply, asked: str, records: int) -> str | None:
        number = int(httpx.URL(asked).params[parameter])
        return _with(asked, parameter, str(number + 1)) if records else None

    return step


def by_offset(parameter: str) -> Step:
    """Pages begin after so many records, and one without records is the last."""

    def step(page: Reply, asked: str, records: int) -> str | None:
        # What came counts, not what was asked for: a server may give fewer than that.
        offset = int(httpx.URL(asked).params[parameter])
        return _with(asked, parameter, str(offset + records)) if records else None

    return step


def by_cursor(parameter: str, path: Path) -> Step:
    """The body tells what to ask for the next page with; nothing there, or an empty text, is the end."""

    def step(page: Reply, asked: str, records: int) -> str | None:
        cursor = member(page, path)
        return _with(asked, parameter, cursor) if cursor else None

    return step


def at_once(page: Reply, asked: str, records: int) -> str | None:
    """There is one page."""
    return None


@dataclass(frozen=True)
class FeedPages(Listing):
    """The pages of a list of records at one address.

    Attributes:
        step: which address follows a page.
        most: how many pages there can be.
        read_as: all else that decides what an answer is read as; what was read as another is not unchanged.
    """

    records: Path = ()
    link: Path = field(default=(), init=False)
    step: Step = at_once
    most: int = 10_000
    read_as: str = ""

    def read(self, http: Http, address: str, account: Account, window: Window | None) -> Documents:
        """All records as lists of some thousand, and of which version they are if the server tells.

        Raises:
            GaveUp: not done at the client's deadline, which here is that of all pages.
            AdstarError: as the client raises; ``BadBody`` for pages without end, ``VendorError`` for records
                that are none.
        """
        if self.step is at_once:
            yield from self._one(http, address, account, window)
            return
        deadline = http.clock() + http.deadline_seconds
        for document in self.all(http, address):
            yield document
            if http.clock() > deadline:
                raise GaveUp(
                    f"pages were still coming in after {http.deadline_seconds:.0f} s; ask for less, or raise"
                    " deadline_seconds",
                    where=address.partition("?")[0],
                )

    def _one(self, http: Http, address: str, account: Account, window: Window | None) -> Documents:
        of = xxhash.xxh3_128_hexdigest(f"{address} {self.records} {self.read_as}".encode())
        sets: list[date | None] = [None]
        if window:
            sets = [window.since + timedelta(days=number) for number in range(days(window))]
        known = {account.versions.get(day) for day in sets}
        version = known.pop() if len(known) == 1 else None
        told = decode(version.encode(), dict[str, str]) if version else {}
        conditions = {name: told[name] for name in ("If-None-Match", "If-Modified-Since") if name in told}
        page = http.ask("GET", address, headers=conditions if told.get("of") == of else None)
        if version and page.status == httpx.codes.NOT_MODIFIED:
            yield Version(version, tuple(sets), unchanged=True)
            return
        yield from self.documents(page, self.found(page, address))
        if conditions := _conditions(page.headers):
            yield Version(msgspec.json.encode({"of": of, **conditions}).decode(), tuple(sets))

    def found(self, page: Reply, where: str) -> memoryview:
        """The bytes of the list of records."""
        inner: msgspec.Raw | None = msgspec.Raw(page.body)
        for done, key in enumerate(self.records):
            members = _decoded(inner, dict[str, msgspec.Raw])
            inner = members.get(key) if members is not None else None
            if inner is None:
                at = ".".join(self.records[: done + 1])
                raise VendorError(
                    f"the answer has no {at!r}, where its records should be; see the setting records",
                    where=where.partition("?")[0],
                )
        if _decoded(inner, list[msgspec.Raw]) is None:
            at = repr(".".join(self.records)) if self.records else "the answer"
            raise VendorError(
                f"{at} is no list of records; see the setting records", where=where.partition("?")[0]
            )
        return memoryview(inner or b"")

    def following(self, page: Reply, asked: str, records: memoryview, number: int) -> str | None:
        """The address of the next page."""
        link = self.step(page, asked, len(decode(bytes(records), list[msgspec.Raw])))
        if link and number >= self.most:
            raise VendorError(
                f"there is another page after {self.most:,}; ask for less, or raise max_pages",
                where=asked.partition("?")[0],
            )
        return link

    def documents(self, page: Reply, records: memoryview) -> Iterator[bytes]:
        """The records as they stand, in lists of some thousand."""
        found = msgspec.json.decode(records, type=list[msgspec.Raw])
        for first in range(0, len(found) or 1, _BLOCK):  # a page without records is one, too
            block = found[first : first + _BLOCK]
            for number, record in enumerate(block, first + 1):
                if bytes(memoryview(record)[:1]) != b"{":
                    raise VendorError(
                        f"record {number:,} is no object of names and values; see the setting records"
                    )
            yield b"[" + b",".join(map(bytes, block)) + b"]"


def member(page: Reply, path: Path) -> str:
    """A text or number anywhere in a JSON body; empty where there is none."""
    inner: msgspec.Raw | None = msgspec.Raw(page.body)
    for key in path:
        inner = (_decoded(inner, dict[str, msgspec.Raw]) or {}).get(key)
    found: Any = None if inner is None else decode(bytes(inner), Any)
    if found is not None and not isinstance(found, str | int):
        raise BadBody(f"{'.'.join(path)!r} should tell the next page, and is neither a text nor a number")
    return "" if found is None or found is False else str(found)


def _decoded(raw: msgspec.Raw | None, form: Any) -> Any:
    try:
        return None if raw is None else msgspec.json.decode(raw, type=form)
    except msgspec.ValidationError:
        return None


def _conditions(headers: httpx.Headers) -> dict[str, str]:
    """What asks a server whether its answer is still this one; empty if it can't be sure."""
    etag, modified = headers.get("etag", ""), headers.get("last-modified", "")
    if not (etag + modified).isascii():
        return {}  # which no request can carry
    if 0 < len(etag) <= 500:
        return {"If-None-Match": etag}
    try:
        age = parsedate_to_datetime(headers.get("date", "")) - parsedate_to_datetime(modified)
    except (TypeError, ValueError):
        return {}
    return {"If-Modified-Since": modified} if age >= _EXACT_AFTER else {}


def _joined(asked: str, link: str) -> str:
    try:
        return str(httpx.URL(asked).join(link))
    except httpx.InvalidURL:
        raise VendorError("the link to the next page is no address") from None


def _with(asked: str, parameter: str, value: str) -> str:
    try:
        return str(httpx.URL(asked).copy_set_param(parameter, value))
    except httpx.InvalidURL:
        raise VendorError(f"with what {parameter} shall be, the next page is no address") from None
