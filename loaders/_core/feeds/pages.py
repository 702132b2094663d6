"""Feeds: lists of records at one address, in whatever way the server pages them.

What tells the next page is a ``Step``. A feed that comes in one answer is asked for with the ETag or
Last-Modified of the answer that its newest receipts were read from, so that 304 is worth as much as the
same rows once more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec
import xxhash

from loaders._core.declare import Account, Window
from loaders._core.errors import BadBody, GaveUp, VendorError
from loaders._core.feeds.formats import Form, decoded
from loaders._core.http import Http, decode
from loaders._core.pages import Leaf, Path, chain, days
from loaders._core.stream import Documents, Spool, Version


@dataclass(frozen=True)
class Sheet:
    """What has come from one address, whole.

    Attributes:
        headers: of the answer.
        around: the JSON document that its records stood in; empty in other formats.
        documents: its records, in lists of some thousand.
        records: how many.
        content: a hash of them.
    """

    headers: httpx.Headers
    around: bytes
    documents: Spool
    records: int
    content: bytes


Step = Callable[[Sheet, str], str | None]
_EXACT_AFTER = timedelta(seconds=60)  # RFC 9110, 8.8.2.2: a younger Last-Modified may hide a change


def by_link(path: Path) -> Step:
    """The address of the next page stands in the body."""

    def step(page: Sheet, asked: str) -> str | None:
        link = member(page, path)
        return _joined(asked, link) if link else None

    return step


def by_header(page: Sheet, asked: str) -> str | None:
    """The address of the next page stands in the header ``Link``, with ``rel="next"``."""
    for relations, link in httpx.Response(200, headers=page.headers).links.items():
        if relations and "next" in relations.lower().split():
            return _joined(asked, link["url"])
    return None


def by_page(parameter: str) -> Step:
    """Pages have numbers, and one without records is the last."""

    def step(page: Sheet, asked: str) -> str | None:
        number = int(httpx.URL(asked).params[parameter])
        return _with(asked, parameter, str(number + 1)) if page.records else None

    return step


def by_offset(parameter: str) -> Step:
    """Pages begin after so many records, and one without records is the last."""

    def step(page: Sheet, asked: str) -> str | None:
        # What came counts, not what was asked for: a server may give fewer than that.
        offset = int(httpx.URL(asked).params[parameter])
        return _with(asked, parameter, str(offset + page.records)) if page.records else None

    return step


def by_cursor(parameter: str, path: Path) -> Step:
    """The body tells what to ask for the next page with; nothing there, or an empty text, is the end."""

    def step(page: Sheet, asked: str) -> str | None:
        cursor = member(page, path)
        return _with(asked, parameter, cursor) if cursor else None

    return step


def at_once(page: Sheet, asked: str) -> str | None:
    """There is one page."""
    return None


@dataclass(frozen=True)
class FeedPages:
    """The pages of a list of records at one address.

    Attributes:
        form: finds the records of an answer.
        step: which address follows a page.
        most: how many pages there can be.
        read_as: all that decides what an answer is read as; what was read as another is not unchanged.
    """

    form: Form
    step: Step
    most: int
    read_as: str

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

        def ask(address: str) -> Sheet:
            page = http.receive(address, self._take)
            assert page is not None  # only a condition is answered with nothing
            return page

        def look(page: Sheet, asked: str, number: int) -> Leaf:
            link = self.step(page, asked)
            where = asked.partition("?")[0]
            if link and number >= self.most:
                raise VendorError(
                    f"there is another page after {self.most:,}; ask for less, or raise max_pages",
                    where=where,
                )
            if link and http.clock() > deadline:
                raise GaveUp(
                    f"pages were still coming in after {http.deadline_seconds:.0f} s; ask for less, or raise"
                    " deadline_seconds",
                    where=where,
                )
            return Leaf(page.documents, page.content if page.records else None, link)

        yield from chain(ask, look, address)

    def _one(self, http: Http, address: str, account: Account, window: Window | None) -> Documents:
        of = xxhash.xxh3_128_hexdigest(f"{address} {self.read_as}".encode())
        sets: list[date | None] = [None]
        if window:
            sets = [window.since + timedelta(days=number) for number in range(days(window))]
        known = {account.versions.get(day) for day in sets}
        version = known.pop() if len(known) == 1 else None
        told = decode(version.encode(), dict[str, str]) if version else {}
        conditions = {name: told[name] for name in ("If-None-Match", "If-Modified-Since") if name in told}
        page = http.receive(address, self._take, conditions if told.get("of") == of else None)
        if page is None:
            yield Version(version or "", tuple(sets), unchanged=True)
            return
        yield from page.documents
        if conditions := _conditions(page.headers):
            yield Version(msgspec.json.encode({"of": of, **conditions}).decode(), tuple(sets))

    def _take(self, headers: httpx.Headers, chunks: Iterator[bytes]) -> Sheet:
        around, blocks = self.form(headers, chunks)
        content, records = xxhash.xxh3_128(), 0

        def documents() -> Iterator[bytes]:
            nonlocal records
            for number, document in blocks:
                records += number
                content.update(document)
                yield document

        spool = Spool(documents())
        return Sheet(headers, around, spool, records, content.digest())


def member(page: Sheet, path: Path) -> str:
    """A text or number anywhere in a JSON body; empty where there is none."""
    inner: Any = page.around
    for key in path:
        inner = (decoded(inner, dict[str, msgspec.Raw]) or {}).get(key)
        if inner is None:
            return ""
    literal = bytes(inner).decode()
    if literal[0] in "-0123456789":
        return literal
    found = decoded(inner, str | bool | None)
    if found is True or (found is None and literal != "null"):
        raise BadBody(f"{'.'.join(path)!r} should tell the next page, and is neither a text nor a number")
    return found or ""


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
