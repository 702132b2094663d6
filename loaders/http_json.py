"""Any HTTP endpoint that is read with GET, declared in settings only: see docs/runbooks/http-feeds.md.

To the core each feed is an account with one raw table, both of the feed's name: feeds are read, land and fail
one by one.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import httpx
from dlt.common.configuration import configspec

from loaders._core import errors
from loaders._core.declare import Account, Loader, Resource, Settings, Window
from loaders._core.feeds.declared import Feed, path
from loaders._core.feeds.pages import FeedPages, at_once, by_cursor, by_header, by_link, by_offset, by_page
from loaders._core.http import Http, Reply, Rule, first_match
from loaders._core.pages import in_parts
from loaders._core.stream import Documents

RULES = (
    Rule(errors.VendorError, {206}, advice="a part, and the whole was asked for"),
    Rule(errors.AccountError, set(range(300, 400)), advice="it leads nowhere; see the feed's url"),
    Rule(errors.AccountError, {401, 403}, advice="refused; see the feed's auth, auth_name and secret"),
    Rule(errors.AccountError, {400, 404, 405, 406, 410, 422}, advice="see the feed's url and params"),
)


@configspec
class HttpJsonSettings(Settings):
    """``[sources.http_json]``; without a table ``[sources.http_json.feeds.<name>]`` it is not configured."""

    feeds: dict[str, Feed] = None  # type: ignore[assignment]
    api_version: str = ""
    history_months: int = 1200
    deadline_seconds: float = 600.0


def classify(reply: Reply) -> errors.AdstarError | None:
    """What the status says; a feed that is refused leaves the others in."""
    if reply.status < 300 and reply.status != httpx.codes.PARTIAL_CONTENT:
        return None
    return first_match(RULES, reply, f"HTTP {reply.status}", [reply.status])


def pages(feed: Feed) -> FeedPages:
    """How the feed's pages hang together."""
    steps = {
        "none": at_once,
        "body_link": by_link(path(feed.next)),
        "header_link": by_header,
        "page": by_page(feed.page_param),
        "offset": by_offset(feed.page_param),
        "cursor": by_cursor(feed.page_param, path(feed.next)),
    }
    read_as = f"{feed.format} {feed.delimiter} {feed.records} {feed.date}"
    return FeedPages(feed.form(), steps[feed.paging], feed.max_pages, read_as)


def read(settings: Any, account: Account, window: Window | None, limit: int) -> Documents:
    """A feed, or these days of it."""
    feed: Feed = settings.feeds[account.id]
    address = feed.address(window)
    try:
        with Http(
            address,
            classify,
            params=feed.secret_params(),
            headers=feed.headers(),
            redirects=5,
            deadline_seconds=settings.deadline_seconds,
        ) as http:
            yield from pages(feed).read(http, address, account, window)
    except errors.AdstarError as error:
        error.where = error.where or address.partition("?")[0]
        if isinstance(error, errors.ConfigurationError):  # stops this feed, not the source
            raise errors.AccountError(error.message, where=error.where) from None
        raise


def resource(name: str, feed: Feed) -> Resource:
    """The raw table of a feed."""
    day, reader = feed.day, in_parts(read, longest=feed.days_per_request)
    return Resource(
        name, reader, (), day[:-1], day, columns=feed.columns, only=(name,), personal=feed.personal
    )


LOADER = Loader(
    name="http_json",
    settings=HttpJsonSettings,
    connect=lambda settings, clock: nullcontext(settings),
    root=lambda settings: Account("feeds"),
    accounts=lambda settings: [Account(name, feed.timezone) for name, feed in settings.feeds.items()],
    resources_of=lambda settings: tuple(resource(*each) for each in settings.feeds.items()),
    archived=True,
)
