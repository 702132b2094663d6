"""Lists that come in pages, windows that must be cut, report jobs that must be waited for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
import xxhash

from loaders._core.declare import Account, Clock, Reader, Window
from loaders._core.errors import (
    AdstarError,
    BadBody,
    ConfigurationError,
    GaveUp,
    Lost,
    TooLarge,
    VendorError,
)
from loaders._core.http import Classify, Http, Query, Reply, decode
from loaders._core.stream import Documents, Mark

logger = logging.getLogger(__name__)

Path = tuple[str, ...]
Result = TypeVar("Result")


@dataclass
class Api:
    """What the readers of a source work with; a context manager.

    Attributes:
        listed: the documents of the account list, kept for its raw table.
        clock: for readers whose vendor answers only for so many days back.
    """

    settings: Any
    http: Http
    listed: list[bytes] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    @classmethod
    def of(cls, settings: Any, classify: Classify, **options: Any) -> Api:
        """The api of a source: address, version and deadline from its settings, the rest as for ``Http``."""
        base = f"{settings.base_url.rstrip('/')}/{settings.api_version}"
        return cls(settings, Http(base, classify, deadline_seconds=settings.deadline_seconds, **options))

    def list_each(self, ids: Iterable[str], read: Callable[[str], Iterable[bytes]]) -> dict[str, AdstarError]:
        """List accounts one by one, each whole or not at all; returns those that are refused, and why.

        Raises:
            ConfigurationError: what is wrong with the settings is wrong for all accounts.
        """
        self.listed, refused = [], {}
        for each in ids:
            try:
                self.listed += list(read(each))
            except ConfigurationError:
                raise
            except AdstarError as error:
                refused[each] = error
        return refused

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()


def listed(api: Api, account: Account, window: Window | None) -> Documents:
    """Reader of the account list as ``accounts`` has read it."""
    return iter(api.listed)


Part = Callable[[Api, Account, Any, int], Documents]


def in_parts(read: Part, limit: int = 1, longest: int = 31) -> Reader:
    """A reader that asks for windows of at most ``longest`` days, and smaller parts of what is too large.

    Args:
        read: (api, account, window or None, records a page) -> documents; raises ``TooLarge``.
        limit: records a page to begin with.
    """

    def reader(api: Api, account: Account, window: Window | None) -> Documents:
        for part in cut(window, longest) if window else [None]:
            yield from halve(partial(read, api, account), part, limit)

    return reader


@dataclass(frozen=True)
class Leaf:
    """A page, taken apart.

    Attributes:
        documents: what the reader is given of it.
        content: what differs if its records differ; None if it has none.
        following: the address of the next page; None if this is the last.
    """

    documents: Iterable[bytes]
    content: bytes | None
    following: str | None


def chain(
    ask: Callable[[str], Result], look: Callable[[Result, str, int], Leaf], first: str, readings: int = 3
) -> Documents:
    """All pages of a list, each of which tells where the next one is, as they come.

    The list ends where nothing tells of a next page: an empty or short page does not end it. A page that
    comes twice (same link, or the same records again) means that another one may be missing, so the list is
    read from its beginning ``AGAIN``.

    Args:
        ask: fetches the page at an address, in a thread of its own.
        look: takes apart the page that came from an address, the so many-th.
        readings: how often the list is begun before giving up.

    Raises:
        BadBody: pages keep coming twice.
        AdstarError: as ``ask`` and ``look`` raise.
    """
    where = first.partition("?")[0]
    for reading in range(1, readings + 1):
        try:
            yield from _once(ask, look, first)
            return
        except _Twice as error:
            if reading == readings:
                raise BadBody(f"{error} in each of {reading} readings of the list", where=where) from None
            logger.warning("%s: %s; the list is read again from its first page", where, error)
            yield Mark.AGAIN


def _once(
    ask: Callable[[str], Result], look: Callable[[Result, str, int], Leaf], first: str
) -> Iterator[bytes]:
    links, contents = {first}, set[bytes]()
    # The next page comes in while this one is taken apart: the reader need not idle as the vendor works.
    with ThreadPoolExecutor(1, "next page") as ahead:
        asked = first
        coming: Future[Result] | None = ahead.submit(ask, asked)
        while coming:
            page = look(coming.result(), asked, len(links))
            if page.content in contents:
                raise _Twice("the records of a page came twice")
            if page.content:
                contents.add(page.content)
            comes_again = page.following in links
            coming = None
            if page.following and not comes_again:
                asked = page.following
                links.add(asked)
                coming = ahead.submit(ask, asked)
            yield from page.documents
            if comes_again:
                raise _Twice("a link to the next page came twice")


@dataclass(frozen=True)
class Listing:
    """Lists in pages, each with a link to the next one.

    Attributes:
        records, link: where in a page its records and the link to the next page stand.
    """

    records: Path
    link: Path

    def pages(self, http: Http, path: str, query: Query, *, classify: Classify | None = None) -> Documents:
        """All pages of a list, as ``chain`` gives them.

        Raises:
            BadBody: a page without a list of records, or pages that keep coming twice.
            AdstarError: as the client raises.
        """
        ask = partial(http.ask, "GET", classify=classify)
        return chain(ask, partial(self._look, path), f"{path}?{urlencode(query)}")

    def _look(self, path: str, page: Reply, asked: str, number: int) -> Leaf:
        records = _inside(page.members, self.records)
        if records is None or records[0] != ord("["):
            raise BadBody(f"the page has no list {'.'.join(self.records)!r}", where=path)
        link = _inside(page.members, self.link)
        return Leaf(
            documents=[page.body],
            content=xxhash.xxh3_128_digest(records) if len(records) > 2 else None,
            following=msgspec.json.decode(link, type=str | None) if link else None,
        )


class _Twice(Exception):
    pass


def _inside(members: Mapping[str, msgspec.Raw], path: Path) -> memoryview | None:
    """The bytes of a nested member, not copied; None where there is none."""
    raw = members.get(path[0])
    if raw is None or len(path) == 1:
        return None if raw is None else memoryview(raw)
    return _inside(msgspec.json.decode(raw, type=dict[str, msgspec.Raw] | None) or {}, path[1:])


def days(window: Window) -> int:
    """Number of days of a window."""
    return (window.until - window.since).days + 1


def cut(window: Window, longest: int) -> Iterator[Window]:
    """The window as consecutive windows of at most ``longest`` days."""
    since = window.since
    while since <= window.until:
        until = min(since + timedelta(days=longest - 1), window.until)
        yield Window(since, until)
        since = until + timedelta(days=1)


def halve(read: Callable[[Any, int], Documents], window: Window | None, limit: int) -> Documents:
    """Read a window, in halves whenever it is too large: fewer days first, shorter pages on a single day.

    After each part it says that it is ``WHOLE``; what came of a part that proved too large comes ``AGAIN``.

    Args:
        read: (window, records a page) -> documents; raises ``TooLarge``.
        window: None for entities: only pages become shorter.
        limit: records a page at the start.

    Raises:
        TooLarge: one day at one record a page is still too much.
        AdstarError: from ``read``.
    """
    smaller: list[tuple[Window | None, int]]
    try:
        yield from read(window, limit)
        yield Mark.WHOLE
        return
    except TooLarge as error:
        if window and (n := days(window)) > 1:
            smaller = [(half, limit) for half in cut(window, (n + 1) // 2)]
        elif limit > 1:
            smaller = [(window, limit // 2)]
        else:
            raise
        logger.warning("%s; asked again in smaller parts", error)
        yield Mark.AGAIN
    for part, size in smaller:
        yield from halve(read, part, size)


@dataclass(frozen=True)
class Jobs:
    """Reports that the vendor makes in the background: ordered, watched, then read like a list.

    A job without progress for a quarter of the client's deadline counts as failed.

    Attributes:
        listing: reads the pages of a finished report.
        ends: the states that end the wait, and whether the report is there; nothing else does, not 100 %.
        job: member of the answer to an order that holds the job's id; the id is also its address.
        state, progress: members of the job's status; progress is only compared for change.
        result: address of the pages, below the job's.
        classify: judges answers about a job; ``Lost`` if the vendor does not know it.
        orders: how often a report is ordered.
    """

    listing: Listing
    ends: Mapping[str, bool]
    job: str
    state: str
    progress: str
    result: str
    classify: Classify
    orders: int = 2

    def pages(self, http: Http, path: str, order: Query, paging: Query) -> Documents:
        """The pages of the report ordered by POST at ``path`` with the form ``order``.

        A job that failed, was forgotten or has stalled is ordered anew, and what came of it comes ``AGAIN``;
        if that does not help, the report counts as too large.

        Raises:
            TooLarge: every order failed.
            GaveUp: not done at the client's deadline.
            AdstarError: as the client raises.
        """
        deadline = http.clock() + http.deadline_seconds
        for _ in range(self.orders):
            job = decode(http.fetch("POST", path, form=order), dict[str, Any]).get(self.job)
            if not job:
                raise VendorError(f"the answer to the order of a report has no {self.job}", where=path)
            if not self._done(http, str(job), deadline):
                continue
            try:
                yield from self.listing.pages(http, f"{job}/{self.result}", paging, classify=self.classify)
                return
            except Lost:
                logger.warning("%s: report job %s was forgotten while it was read", path, job)
                yield Mark.AGAIN
        raise TooLarge(f"the report job failed {self.orders} times", where=path)

    def _done(self, http: Http, job: str, deadline: float) -> bool:
        pause, moved = 0.25, http.clock()
        last: tuple[Any, Any] = (None, None)
        while True:
            try:
                status = decode(http.fetch("GET", job, classify=self.classify), dict[str, Any])
            except Lost:
                status = {}  # right after the order that is only a race; if it stays, patience ends it
            state = str(status.get(self.state))
            if self.ends.get(state):
                return True
            if (state, status.get(self.progress)) != last:
                last, moved = (state, status.get(self.progress)), http.clock()
            if state in self.ends or http.clock() - moved > http.deadline_seconds / 4:
                logger.warning("report job %s has failed or stalled (%s, %s)", job, *last)
                return False
            if http.clock() + pause > deadline:
                raise GaveUp(f"report job {job} is not done at the deadline ({last[0]}, {last[1]})")
            http.sleep(pause)
            pause = min(pause * 1.5, 30.0)
