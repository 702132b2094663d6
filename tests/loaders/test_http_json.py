"""Feeds declared in settings: every way of paging, format and credential, 304, and servers that are bad."""

from __future__ import annotations

import csv
import gzip
import io
import json
import logging
import os
import re
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from loaders import http_json
from loaders._core import configure, guard
from loaders._core.declare import Clock, Window
from loaders._core.dry_run import describe
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.errors import ConfigurationError
from loaders._core.feeds.declared import Feed
from loaders._core.feeds.formats import Limits, form_of
from loaders._core.http import Http
from loaders._core.run import Result, SourceRun
from loaders._core.stream import Spool
from loaders._core.warehouse import Target
from loaders.http_json import LOADER, HttpJsonSettings
from tests import preloaded
from tests.conftest import database
from tests.loaders.wire import Answer, Ask, vendor

ROOT = Path(__file__).parents[2]
SECRET = "tr4ff1c-l1ght+/="
NOW = "2026-03-10T12:00:00+00:00"
DATED = {"params": {"from": "{since}", "to": "{until}"}, "date": "date"}


def rates(since: str = "2026-03-01", until: str = "2026-03-10", rate: str = "1.0840") -> list[dict[str, Any]]:
    """Three pairs a day; the texts and literals are such that any reading as a number would change them."""
    first, last = date.fromisoformat(since), date.fromisoformat(until)
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    pairs = {"USD": rate, "JPY": "161.230", "INR": ""}
    return [{"date": str(d), "base": "EUR", "quote": q, "rate": r} for d in days for q, r in pairs.items()]


def asked_for(ask: Ask, **options: str) -> list[dict[str, Any]]:
    return rates(ask.query.get("from", "2026-03-01"), ask.query.get("to", "2026-03-10"), **options)


def as_csv(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    text = io.StringIO()
    lines = csv.DictWriter(text, list(rows[0]), delimiter=delimiter, lineterminator="\r\n")
    lines.writeheader()
    lines.writerows(rows)
    return text.getvalue()


def as_lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@dataclass
class Run:
    """A run of some feeds, and what can be asked of it afterwards."""

    target: Target
    settings: dict[str, Any] = field(default_factory=dict)
    now: str = NOW

    def __call__(self, backfill: Window | None = None, **feeds: dict[str, Any]) -> Result:
        settings = HttpJsonSettings(feeds={name: msgspec.convert(feed, Feed) for name, feed in feeds.items()})
        for name, value in ({"window_days": 9, "deadline_seconds": 60.0} | self.settings).items():
            setattr(settings, name, value)
        clock = Clock(datetime.fromisoformat(self.now))
        return SourceRun(LOADER, settings, self.target, clock, backfill=backfill).execute()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(self.target.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def current(self, feed: str, columns: str = "date, base, quote, rate") -> list[tuple[Any, ...]]:
        """Rows of the newest committed sets, as staging takes them."""
        return self.query(
            f"select {columns} from raw_http_json.{feed} r join (select c.*, row_number() over (partition by"
            f" day order by c.run_seq desc) age from raw_http_json.covered c join ops.commits using (run_seq)"
            f" where resource = '{feed}') c on c.age = 1 and r._day is not distinct from c.day"
            f" and r._run_seq = c.data_run_seq order by r._row_no"
        )

    def receipts(self, feed: str) -> list[tuple[Any, ...]]:
        """Of each set: day, run_seq, data_run_seq, rows."""
        return self.query(
            "select day::text, run_seq, data_run_seq, rows from raw_http_json.covered"
            f" where resource = '{feed}' order by run_seq, day"
        )


@pytest.fixture
def run(target: Target) -> Run:
    return Run(target)


class FastTime:
    """Who sleeps, the loader or a slow server, goes on at once; the seconds count."""

    slept = 0.0

    def clock(self) -> float:
        return time.monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


TIME = FastTime()


@pytest.fixture(scope="module", autouse=True)
def fast() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(http_json, "Http", partial(Http, clock=TIME.clock, sleep=TIME.sleep))
        yield


# -- everything that works, in one run


def page(ask: Ask) -> Any:
    """The records of a request in pages of four, paged as its path says."""
    rows, size = asked_for(ask), 4
    if ask.path == "/plain":
        return {"rates": rows}
    if ask.path == "/offset":
        first = int(ask.query["start"])  # caps at four whatever was asked for
    elif ask.path == "/cursor":
        first = int(ask.query.get("after", "c0")[1:])
    else:
        first = size * (int(ask.query.get("page", "1")) - 1)
    part, more = rows[first : first + size], first + size < len(rows)
    if ask.path == "/body":
        days = f"from={ask.query['from']}&to={ask.query['to']}"
        link = f"?{days}&page={first // size + 2}"
        return {"data": {"items": part}, "links": {"next": {"href": link}} if more else {"next": None}}
    if ask.path == "/links":
        days = f"from={ask.query['from']}&to={ask.query['to']}"
        link = f'</links?page=1>; rel="first", </links?{days}&page={first // size + 2}>; rel="Next last"'
        return Answer(part, headers={"link": link} if more else {})
    if ask.path == "/cursor":
        return {"rates": part, "meta": {"next": f"c{first + size}"} if more else {"next": ""}}
    return {"rates": part}


PAGED = {
    "none": {"url": "/plain", "records": "rates"},
    "body_link": {"url": "/body", "records": "data.items", "paging": "body_link", "next": "links.next.href"},
    "header_link": {"url": "/links", "paging": "header_link"},
    "page": {"url": "/page", "records": "rates", "paging": "page", "page_param": "page"},
    "offset": {"url": "/offset", "records": "rates", "paging": "offset", "page_param": "start"},
    "cursor": {
        "url": "/cursor",
        "records": "rates",
        "paging": "cursor",
        "page_param": "after",
        "next": "meta.next",
    },
}
WRITTEN = {
    "json": (json.dumps, "application/json", {}),
    "ndjson": (as_lines, "application/x-ndjson", {}),
    "csv": (as_csv, "text/csv; charset=utf-8", {"columns": ["rate"]}),
    "csv_semicolon": (partial(as_csv, delimiter=";"), "text/csv", {"delimiter": ";", "format": "csv"}),
}
ENCODED = {"content-encoding": "gzip"}
PACKED = {"plain": (0, 0), "encoded": (0, 1), "file": (1, 0), "both": (1, 1)}
SENT = {
    "bearer": ({}, lambda ask: ask.headers.get("authorization") == f"Bearer {SECRET}"),
    "header": ({"auth_name": "X-Key"}, lambda ask: ask.headers.get("x-key") == SECRET),
    "basic": (
        {"auth_name": "me"},
        lambda ask: ask.headers.get("authorization") == "Basic bWU6dHI0ZmYxYy1sMWdodCsvPQ==",
    ),
    "query": ({"auth_name": "appid"}, lambda ask: ask.query.get("appid") == SECRET),
}


def world(ask: Ask) -> Any:
    kind, _, rest = ask.path[1:].partition("/")
    if kind in WRITTEN:
        write, content, _ = WRITTEN[kind]
        files, encodings = PACKED[rest]
        body = write(asked_for(ask)).encode()
        for _ in range(files + encodings):
            body = gzip.compress(body)
        return Answer(body, headers={"content-type": content, **(ENCODED if encodings else {})})
    if kind in SENT:
        if not SENT[kind][1](ask):
            return Answer({"error": "who are you?"}, 401)
        # The second page's link comes without the key, or with what is not the key.
        if "page" not in ask.query:
            link = f"{ask.path}?page=2&from={ask.query['from']}&to={ask.query['to']}&appid=other"
            return {"rates": asked_for(ask)[:5], "next": link}
        return {"rates": asked_for(ask)[5:]}
    return page(ask)


def feeds_of_the_world(url: str) -> dict[str, dict[str, Any]]:
    feeds = {f"paged_{name}": {**DATED, **feed, "url": url + feed["url"]} for name, feed in PAGED.items()}
    for kind, (_, _, settings) in WRITTEN.items():
        for packed in PACKED:
            feeds[f"{kind}_{packed}"] = {**DATED, "url": f"{url}/{kind}/{packed}", "format": kind, **settings}
    linked = {"records": "rates", "paging": "body_link", "next": "next"}
    for kind, (settings, _) in SENT.items():
        sent = {"auth": kind, "secret": SECRET, **settings}
        feeds[f"auth_{kind}"] = {**DATED, **linked, "url": f"{url}/{kind}", **sent}
    return feeds


@pytest.fixture(scope="module")
def good(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Run, Result]]:
    with pytest.MonkeyPatch.context() as patch, vendor(world) as served:
        for target in database(server, patch, tmp_path_factory.mktemp("good")):
            run = Run(target)
            yield run, run(**feeds_of_the_world(served.url))


GOOD = list(feeds_of_the_world(""))


@pytest.mark.parametrize("feed", GOOD)
def test_every_way_of_paging_format_and_credential_lands_what_the_server_has(
    good: tuple[Run, Result], feed: str
) -> None:
    run, result = good
    assert (result.outcome, result.message) == ("ok", None)
    assert run.current(feed) == [tuple(row.values()) for row in rates()]
    days = [str(date(2026, 3, day)) for day in range(1, 11)]
    assert [(day, rows) for day, _, _, rows in run.receipts(feed)] == [(day, 3) for day in days]


def test_a_dry_run_says_of_each_feed_what_it_would_read(run: Run) -> None:
    settings = HttpJsonSettings(
        feeds={
            "rates": Feed(url="http://x.example/{since}/{until}", date="date"),
            "stores": Feed(url="http://x.example/stores"),
        }
    )
    lines = list(describe(LOADER, settings, run.target, Clock(datetime.fromisoformat(NOW)), None))
    assert lines[1:] == [
        "  account rates: rates of 2026-02-10 to 2026-03-10",
        "  account stores: stores",
        "  1 load package; nothing was written",
    ]


def test_a_window_is_asked_for_in_parts_and_a_new_feed_begins_with_its_own_first_day(run: Run) -> None:
    def answer(ask: Ask) -> Any:
        if day := re.fullmatch(r"/(\d{4})(\d\d)(\d\d)", ask.path):
            return {"rates": rates("-".join(day.groups()), "-".join(day.groups()))}
        return {"rates": asked_for(ask)}

    with vendor(answer) as served:
        feed = {**DATED, "url": f"{served.url}/r", "records": "rates", "days_per_request": 4}
        run(old=feed)
        spans = [(ask.query["from"][5:], ask.query["to"][5:]) for ask in served.asked]
        assert spans == [("03-01", "03-04"), ("03-05", "03-08"), ("03-09", "03-10")]
        run.now = "2026-03-20T12:00:00+00:00"
        run.settings = {"window_days": 2, "start_date": date(2026, 3, 12)}
        served.asked.clear()
        daily = {"url": served.url + "/{since:%Y%m%d}", "date": "date", "records": "rates"}
        entities = {"url": f"{served.url}/whole", "records": "rates"}
        assert run(old=feed, new={**daily, "days_per_request": 1}, whole=entities).outcome == "ok"
    asked = [ask.path + ask.query.get("from", "") for ask in served.asked]
    # What was read before goes on where it stopped, the new one begins where it shall.
    days = [f"/202603{day}" for day in range(12, 21)]
    assert asked == ["/r2026-03-09", "/r2026-03-13", "/r2026-03-17", *days, "/whole"]
    assert [len(run.current(name)) for name in ("old", "new", "whole")] == [60, 27, 30]


def test_a_feed_without_a_date_is_one_set_for_each_reading_and_unchanged_if_it_is(run: Run) -> None:
    rows = rates()
    with vendor(lambda ask: rows) as served:
        run(rates={"url": served.url})
        run(rates={"url": served.url})
        rows.pop()
        run(rates={"url": served.url})
    assert run.receipts("rates") == [(None, 1, 1, 30), (None, 2, 1, 30), (None, 3, 3, 29)]
    assert len(run.current("rates")) == 29
    assert run.query("select count(*) from raw_http_json.rates") == [(59,)]


def test_a_restated_day_is_replaced_whole_and_a_day_without_rows_is_known_to_have_none(run: Run) -> None:
    rows = rates()
    with vendor(lambda ask: {"rates": rows}) as served:
        feed = {**DATED, "url": served.url, "records": "rates"}
        run(rates=feed)
        rows[:] = [row for row in rows if row["date"] != "2026-03-04"]
        rows[0] = {**rows[0], "rate": "1.1"}
        del rows[1]
        result = run(rates=feed)
    assert sorted(run.current("rates")) == sorted(tuple(row.values()) for row in rows)
    assert {day: rows for day, seq, _, rows in run.receipts("rates") if seq == 2}["2026-03-04"] == 0
    assert [(r.sets_landed, r.sets_unchanged, r.rows_landed) for r in result.records] == [(2, 8, 2)]


def test_pages_without_records_end_at_the_deadline_too(run: Run) -> None:
    run.settings = {"deadline_seconds": 10.0}

    def answer(ask: Ask) -> Any:
        TIME.sleep(0.1)
        return {"rows": [], **link(ask)}

    with vendor(answer) as served:
        result = run(empty={**LINKED, "url": served.url})
    assert "pages were still coming in after 10 s" in str(result.message)
    assert len(served.asked) <= 100


def test_a_feed_without_a_date_needs_one_package_however_old_the_start_is(run: Run) -> None:
    settings = HttpJsonSettings(feeds={"stores": Feed(url="http://x.example/stores")})
    settings.start_date = date(2015, 1, 1)
    lines = list(describe(LOADER, settings, run.target, Clock(datetime.fromisoformat(NOW)), None))
    assert lines[1:] == ["  account stores: stores", "  1 load package; nothing was written"]


def test_one_bad_feed_leaves_the_others_in(run: Run) -> None:
    def answer(ask: Ask) -> Any:
        return Answer("{}", 404) if ask.path == "/gone" else rates()

    with vendor(answer) as served:
        feeds = {"good": {"url": f"{served.url}/x"}, "gone": {"url": f"{served.url}/gone"}}
        result = run(**feeds)
    assert result.outcome == "partial"
    assert "account gone: HTTP 404; see the feed's url and params" in str(result.message)
    assert len(run.current("good")) == 30
    assert run.query("select resource, account from raw_http_json.covered") == [("good", "good")]


# -- 304


class Tagged:
    """A server that knows its versions: ``tag`` names the present one."""

    def __init__(self, header: str = "etag", rate: str = "1.0840") -> None:
        self.header, self.rate, self.tag = header, rate, '"one"'
        self.statuses: list[int] = []

    def __call__(self, ask: Ask) -> Any:
        condition = {"etag": "if-none-match", "last-modified": "if-modified-since"}[self.header]
        same = ask.headers.get(condition) == self.tag
        self.statuses.append(304 if same else 200)
        if same:
            return Answer(b"", 304, {"etag": self.tag})
        rows = asked_for(ask, rate=self.rate)
        return Answer(rows, headers={self.header: self.tag})


@pytest.mark.parametrize("dated", [True, False])
def test_304_lands_a_receipt_that_points_to_the_rows_that_are_there(run: Run, dated: bool) -> None:
    server = Tagged()
    with vendor(server) as served:
        feed = {"url": served.url, **(DATED if dated else {})}
        run(rates=feed)
        before = run.current("rates")
        result = run(rates=feed)
        assert (result.outcome, server.statuses) == ("ok", [200, 304])
        assert [(r.sets_landed, r.sets_unchanged, r.rows_read) for r in result.records] == [
            (0, 10 if dated else 1, 0)
        ]
        assert run.current("rates") == before
        assert len(before) == 30
        assert {receipt[1:] for receipt in run.receipts("rates")} == (
            {(1, 1, 3), (2, 1, 3)} if dated else {(1, 1, 30), (2, 1, 30)}
        )
        server.tag, server.rate = '"two"', "1.2"
        run(rates=feed)
        assert server.statuses == [200, 304, 200]
        assert ("1.2",) in run.current("rates", "rate")
        run(rates=feed)
        assert server.statuses[-1] == 304
        assert ("1.2",) in run.current("rates", "rate")


def test_a_version_holds_only_for_the_answer_that_the_newest_receipts_were_read_from(run: Run) -> None:
    server = Tagged()
    week = Window(date(2026, 3, 4), date(2026, 3, 10))
    with vendor(server) as served:
        feed = {**DATED, "url": served.url}
        run(rates=feed)
        server.rate, server.tag = "9.9", '"two"'
        run(rates=feed, backfill=week)  # another address: some days are restated by it
        server.rate, server.tag = "1.0840", '"one"'
        run(rates=feed)  # and restated back: the first address has its first tag again
        assert server.statuses == [200, 200, 200]
        assert ("9.9",) not in run.current("rates", "rate")
        run(rates=feed)
        assert server.statuses[-1] == 304
        run(rates={**feed, "format": "json", "delimiter": ";"})  # read as something else
        assert server.statuses[-1] == 200
        with closing(run.target.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("drop schema raw_http_json cascade")
        run(rates=feed)
        assert server.statuses[-1] == 200
    assert len(run.current("rates")) == 30


@pytest.mark.parametrize(("age", "statuses"), [(61, [200, 304]), (5, [200, 200])])
def test_last_modified_serves_where_it_is_old_enough_to_be_exact(
    run: Run, age: int, statuses: list[int]
) -> None:
    server = Tagged("last-modified")
    server.tag = format_datetime(datetime.now(UTC) - timedelta(seconds=age), usegmt=True)
    with vendor(server) as served:
        run(rates={"url": served.url})
        run(rates={"url": served.url})
    assert server.statuses == statuses
    assert len(run.current("rates")) == 30


def test_a_tag_that_no_request_can_carry_is_not_sent(run: Run) -> None:
    server = Tagged()
    server.tag = '"\xe9"'
    with vendor(server) as served:
        assert [run(rates={"url": served.url}).outcome for _ in range(2)] == ["ok", "ok"]
    assert server.statuses == [200, 200]


def test_a_warehouse_whose_receipts_had_no_version_gets_it(run: Run) -> None:
    with vendor(Tagged()) as served:
        run(rates={"url": served.url})
        with closing(run.target.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("alter table raw_http_json.covered drop column version")
        assert run(rates={"url": served.url}).outcome == "ok"
    assert [bool(version) for (version,) in run.query("select version from raw_http_json.covered")] == [
        False,
        True,
    ]


# -- servers that are bad

Send = Callable[[bytes], None]


@contextmanager
def odd(answers: dict[str, Callable[[Send], None]]) -> Iterator[str]:
    """A server that writes what it likes: by path, what is called with a function that sends bytes."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=50)
    ended = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection:
            asked = b""
            while b"\r\n\r\n" not in asked and (more := connection.recv(65536)):
                asked += more
            path = asked.split(b" ")[1].decode().partition("?")[0][1:] if asked.count(b" ") > 1 else ""
            if path in answers:

                def send(data: bytes) -> None:
                    if ended.is_set():
                        raise OSError("the test is over")
                    connection.sendall(data)

                with suppress(OSError):
                    answers[path](send)

    def accept() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        listener.close()


@dataclass(frozen=True)
class Bad:
    """A server that is bad, and what must come of it.

    Attributes:
        answer: what it answers; a function of the request, or of ``send`` if ``raw``.
        says: regular expression that the feed's message must match.
        lands: instead of an error, the rows of column ``a`` that land.
        asks: how often it may be asked.
    """

    answer: Any
    says: str = ""
    lands: list[str | None] | None = None
    raw: bool = False
    asks: int | None = 1
    settings: dict[str, Any] = field(default_factory=dict)
    scheme: str = "http"
    host: str | None = None


CSV = {"format": "csv"}
NDJSON = {"format": "ndjson"}
RETRIED = None
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ROW = {"a": "x"}
TEXT = {"content-type": "text/csv"}
DEEP = '[{"a": ' + "[" * 200_000 + "]" * 200_000 + "}]"
HUGE = "1" * 6_000 + "e999999999"


def drip(send: Send) -> None:
    send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        send(b"1\r\n \r\n")
        TIME.sleep(4)
        time.sleep(0.02)  # who waits for more than it needs, waits long


def endless(change: Callable[[int], Any]) -> Callable[[Ask], Any]:
    """Pages whose number grows for ever; ``change`` makes what is the page's own of it."""
    return lambda ask: {"rows": [{"a": str(change(int(ask.query.get("p", "1"))))}], **link(ask)}


def link(ask: Ask) -> dict[str, str]:
    return {"next": f"{ask.path}?p={int(ask.query.get('p', '1')) + 1}"}


def whole_csv_of(text: str, **headers: str) -> Answer:
    return Answer(text, headers={"content-type": "text/csv", **headers})


LINKED = {"records": "rows", "paging": "body_link", "next": "next"}
BAD = {
    # lengths and connections
    "length_too_long": Bad(Answer([ROW] * 9, cut=20), "connection broke off", asks=RETRIED),
    "length_too_short": Bad(
        lambda send: send(HEAD + b'Connection: close\r\nContent-Length: 9\r\n\r\n[{"a": "x"}]'),
        "not whole JSON",
        raw=True,
        asks=RETRIED,
    ),
    "no_length_csv_cut": Bad(
        lambda send: send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nConnection: close\r\n\r\na,b\n1,1.08"
        ),
        "does not say how long its answer is.*may be cut off",
        raw=True,
        asks=RETRIED,
        settings=CSV,
    ),
    "dropped": Bad(
        lambda send: None, "gave up after .* attempts.*(disconnected|no connection)", raw=True, asks=RETRIED
    ),
    "not_http": Bad(
        lambda send: send(b"220 mail.example ESMTP\r\n"), "connection broke off", raw=True, asks=RETRIED
    ),
    "tls_to_plain": Bad([ROW], "does not speak TLS.*write http://", asks=0, scheme="https"),
    "slow_drip": Bad(drip, "still coming in at the deadline", raw=True, asks=RETRIED),
    "endless_body": Bad(
        lambda send: [
            send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
            *(send(b"100000\r\n" + b" " * 0x100000 + b"\r\n") for _ in range(99)),
        ],
        "larger than 4 MB.*max_megabytes",
        raw=True,
        settings={"max_megabytes": 4},
    ),
    # redirects
    "redirect_loop": Bad(
        lambda ask: Answer("", 302, {"location": ask.path}), "HTTP 302; it leads nowhere", asks=6
    ),
    "redirect_to_metadata": Bad(
        Answer("", 302, {"location": "http://169.254.169.254/latest/meta-data"}),
        r"leads to 169\.254\.169\.254 .*inside this network; declare it yourself",
        host="public.example",
    ),
    "redirect_to_loopback": Bad(
        Answer("", 307, {"location": "http://[::ffff:127.0.0.1]:1/"}),
        "inside this network",
        host="public.example",
    ),
    "redirect_by_name": Bad(
        Answer("", 301, {"location": "http://localhost:1/"}),
        "leads to localhost .*inside this network",
        host="public.example",
    ),
    "redirect_rebound": Bad(
        # A name that is public when it is looked at, and ours when it is connected to.
        lambda ask: (
            [ROW]
            if not ask.headers["host"].startswith("public")
            else Answer("", 302, {"location": "REBOUND"})
        ),
        "leads to rebound.example .*inside this network",
        host="public.example",
    ),
    "redirect_by_a_name_with_a_second_address": Bad(
        Answer("", 302, {"location": "http://127.0.0.1:1/"}),
        "leads to 127.0.0.1 .*inside this network",
        host="mixed.example",
    ),
    "redirect_through_nat64": Bad(
        Answer("", 302, {"location": "http://[64:ff9b::a9fe:a9fe]:1/"}),
        "inside this network",
        host="public.example",
    ),
    "redirect_to_no_name": Bad(
        Answer("", 302, {"location": "http://a..b/"}), r"redirects to a\.\.b, which is no name of a host"
    ),
    "moves_inside_between_pages": Bad(
        lambda ask: Answer({"rows": [ROW], **link(ask)}, headers={"connection": "close"}),
        "moves.example .*inside this network",
        asks=1,
        settings={"records": "rows", "paging": "body_link", "next": "next"},
        host="moves.example",
    ),
    "redirect_to_file": Bad(
        Answer("", 302, {"location": "file:///etc/passwd"}),
        "redirects to file:, which is no address of the web",
    ),
    "redirect_without_address": Bad(Answer("", 302), "HTTP 302; it leads nowhere"),
    # statuses
    "throttled": Bad(Answer("{}", 429), "gave up after .*HTTP 429", asks=RETRIED),
    "throttled_for_a_day": Bad(
        Answer("{}", 429, {"retry-after": "86400"}),
        "asks to wait 86400 s, beyond the deadline of 60 s; run again",
    ),
    "throttled_oddly": Bad(
        Answer("{}", 429, {"retry-after": "\xb2"}), "gave up after .*HTTP 429", asks=RETRIED
    ),
    "status_206_unasked": Bad(Answer([ROW], 206), "HTTP 206; a part, and the whole was asked for"),
    "status_401": Bad(Answer({"sent": SECRET}, 401), "HTTP 401; refused; see the feed's auth, auth_name and"),
    "status_403": Bad(Answer({"sent": SECRET}, 403), "HTTP 403; refused"),
    "status_404": Bad(Answer("<html>", 404), "HTTP 404; see the feed's url and params"),
    "status_500": Bad(
        Answer({"sent": SECRET}, 500), "gave up after 8 attempts.*HTTP 500|gave up.*HTTP 500", asks=RETRIED
    ),
    "status_304_unasked": Bad(Answer("", 304), "HTTP 304"),
    # bodies
    "html_for_json": Bad(
        Answer("<html>Log in</html>", headers={"content-type": "text/html"}),
        "is text/html, not json: see whether the address is right",
        asks=RETRIED,
    ),
    "html_for_csv": Bad(
        Answer("<html>\n", headers=TEXT), "no CSV, it begins with '<'", asks=RETRIED, settings=CSV
    ),
    "json_error_for_csv": Bad(
        Answer({"error": "x"}), "application/json, not csv", asks=RETRIED, settings=CSV
    ),
    "html_under_a_wrong_type": Bad(Answer("<html>Log in</html>"), "not whole JSON", asks=RETRIED),
    "wrong_type": Bad(Answer([ROW], headers={"content-type": "text/plain"}), lands=["x"]),
    "empty": Bad(Answer(""), "the body is empty, which says neither", asks=RETRIED),
    "empty_csv": Bad(Answer("", headers=TEXT), "the body is empty", asks=RETRIED, settings=CSV),
    "empty_ndjson": Bad(Answer("\n"), "the body is empty", asks=RETRIED, settings=NDJSON),
    "truncated_json": Bad(Answer(b'[{"a": "x"}, {"a'), "not whole JSON", asks=RETRIED),
    "truncated_ndjson": Bad(
        Answer(b'{"a": "x"}\n{"a": "'), "line 2 is no whole JSON document", asks=RETRIED, settings=NDJSON
    ),
    "broken_ndjson": Bad(Answer(b'{"a": [1\n2]}\n'), "line 1 is no whole JSON", settings=NDJSON),
    "two_on_a_line_of_ndjson": Bad(
        Answer('{"a":"1"},{"a":"2"}\n{"a":"3"}\n'), "line 1 is no", settings=NDJSON
    ),
    "truncated_csv": Bad(
        whole_csv_of("a,b\n1,2\n3"),
        "row 2 has 1 cells, the header has 2, and it is the last",
        asks=RETRIED,
        settings=CSV,
    ),
    "truncated_in_quotes": Bad(whole_csv_of('a,b\n1,"2'), "line 2 is no CSV", asks=RETRIED, settings=CSV),
    "truncated_gzip": Bad(
        Answer(gzip.compress(json.dumps([{"a": n} for n in range(9_000)]).encode())[:-30], headers=ENCODED),
        "compressed body is cut off",
        asks=RETRIED,
    ),
    "broken_gzip": Bad(Answer(b"no gzip", headers=ENCODED), "compressed body is broken", asks=RETRIED),
    "gzip_bomb": Bad(
        Answer(gzip.compress(b"[" + b" " * (64 << 20)), headers=ENCODED),
        "expands to more than 200 times.*max_ratio",
    ),
    "gzip_bomb_in_gzip": Bad(
        Answer(gzip.compress(gzip.compress(b" " * (64 << 20))), headers=ENCODED),
        "expands to more than 200 times",
    ),
    "two_encodings": Bad(
        Answer(gzip.compress(b"[]"), headers={"content-encoding": "gzip, gzip"}),
        "Content-Encoding 'gzip, gzip'; gzip or none was asked for",
    ),
    "unknown_encoding": Bad(Answer(b"[]", headers={"content-encoding": "br"}), "Content-Encoding 'br'"),
    "invalid_utf8": Bad(Answer(b'[{"a": "\xff"}]'), "byte 9 of the body is not utf-8"),
    "invalid_utf8_csv": Bad(Answer(b"a\n\xff\n", headers=TEXT), "byte 3 of the body", settings=CSV),
    "cut_in_a_character": Bad(Answer('[{"a": "é'.encode()[:-1]), "middle of a character", asks=RETRIED),
    "odd_charset": Bad(
        Answer("[]", headers={"content-type": "application/json; charset=utf-7"}), "is in 'utf-7'"
    ),
    "latin_1": Bad(
        Answer("a\né\n".encode("latin-1"), headers={"content-type": "text/csv; charset=ISO-8859-1"}),
        lands=["é"],
        settings=CSV,
    ),
    "long_cell_csv": Bad(whole_csv_of("a,b\n" + "x" * 200_000 + ",2\n"), lands=["x" * 200_000], settings=CSV),
    "names_of_columns_csv": Bad(
        whole_csv_of("A,Rate USD\nx,2\n"), lands=["x"], settings={**CSV, "columns": ["a", "rate_usd"]}
    ),
    "bom": Bad(Answer(b"\xef\xbb\xbf" + b'[{"a": "x"}]'), lands=["x"]),
    "bom_csv": Bad(Answer(b"\xef\xbb\xbfa,b\n1,2\n", headers=TEXT), lands=["1"], settings=CSV),
    "zero": Bad(Answer('[{"a": "x\\u0000y"}]'), lands=["x\ue0000000y"]),
    "zero_csv": Bad(Answer("a\nx\0y\n", headers=TEXT), lands=["x\ue0000000y"], settings=CSV),
    "deep": Bad(Answer(DEEP), "not whole JSON", asks=RETRIED),
    "huge_number": Bad(Answer(f'[{{"a": {HUGE}}}]'), lands=[HUGE]),
    "keys_twice": Bad(Answer('[{"a": 1, "a": 2}]'), lands=["2"]),
    "not_a_number": Bad(Answer('[{"a": NaN}]'), "not whole JSON", asks=RETRIED),
    # records
    "records_missing": Bad(
        Answer({"data": {}}),
        "has no 'data.rows', where its records should be; see the setting records",
        settings={"records": "data.rows"},
    ),
    "records_null": Bad(Answer({"rows": None}), "'rows' is no list of records", settings={"records": "rows"}),
    "records_not_a_list": Bad(
        Answer({"rows": {"a": 1}}), "'rows' is no list of", settings={"records": "rows"}
    ),
    "an_error_for_a_list": Bad(Answer({"error": "all wrong"}), "the answer is no list of records"),
    "list_above_the_records": Bad(Answer([{"rows": []}]), "has no 'rows'", settings={"records": "rows"}),
    "record_not_an_object": Bad(Answer([ROW, ["x"]]), "record 2 is no object of names and values"),
    "no_records": Bad(Answer([]), lands=[]),
    "ragged_csv": Bad(
        whole_csv_of("a,b\n1,2\n3,4,5\n6,7\n"), "row 2 has 3 cells, the header has 2", settings=CSV
    ),
    "short_row_csv": Bad(whole_csv_of("a,b\n1\n3,4\n"), "row 1 has 1 cells, the header has 2", settings=CSV),
    "header_twice": Bad(whole_csv_of("a,b,a\n1,2,3\n"), "more than one column 'a'", settings=CSV),
    "wrong_delimiter": Bad(
        whole_csv_of("a;b\n1;2\n"),
        "no column 'a'; it has a;b. See date, columns and delimiter",
        settings={**CSV, "columns": ["a"]},
    ),
    "quotes_inside": Bad(whole_csv_of('a,b\n1,"2"3\n'), "line 2 is no CSV", settings=CSV),
    "only_a_header": Bad(whole_csv_of("a,b\n"), lands=[], settings={**CSV, "columns": ["a"]}),
    # pages
    "endless_pages": Bad(
        endless(lambda number: number),
        "another page after 20.*max_pages",
        asks=20,
        settings={**LINKED, "max_pages": 20},
    ),
    "endless_copies": Bad(
        endless(lambda number: "x"), "records of a page came twice", asks=RETRIED, settings=LINKED
    ),
    "link_to_itself": Bad(
        lambda ask: {"rows": [ROW], "next": ask.path + "?p=1"}, "came twice", asks=RETRIED, settings=LINKED
    ),
    "cursor_too_long": Bad(
        {"rows": [ROW], "next": "c" * 70_000},
        "next page is no address",
        settings={**LINKED, "paging": "cursor", "page_param": "c"},
    ),
    "link_too_long": Bad({"rows": [ROW], "next": "c" * 70_000}, "next page is no address", settings=LINKED),
    "link_with_key_too_long": Bad(
        lambda ask: {"rows": [ROW], "next": "?" + "c" * 65_300},
        "link is no address with what must be put behind it",
        settings={**LINKED, "auth": "query", "auth_name": "a" * 300},
    ),
    "cursor_again": Bad(
        lambda ask: {"rows": [{"a": str(time.monotonic())}], "next": "c"},
        "link to the next page came twice",
        asks=RETRIED,
        settings={**LINKED, "paging": "cursor", "page_param": "c"},
    ),
    "page_number_ignored": Bad(
        {"rows": [ROW]},
        "came twice",
        asks=RETRIED,
        settings={"records": "rows", "paging": "page", "page_param": "p"},
    ),
    "link_elsewhere": Bad(
        {"rows": [ROW], "next": "https://elsewhere.example/"}, "points to another host", settings=LINKED
    ),
    "link_no_text": Bad(
        {"rows": [ROW], "next": {"a": 1}}, "'next' should tell the next page", settings=LINKED
    ),
    # days
    "date_missing": Bad([ROW], "a row has no date", settings=DATED),
    "date_null": Bad([{**ROW, "date": None}], "a row has no date", settings=DATED),
    "date_no_date": Bad(
        [{**ROW, "date": "yesterday"}], r"a row's date is no date: 'yesterday'", settings=DATED
    ),
    "date_empty_csv": Bad(whole_csv_of("a,date\nx,\n"), "a row's date is no date", settings={**CSV, **DATED}),
    "date_no_date_once_more": Bad(
        [{**ROW, "date": "2026-03-01"}, {**ROW, "date": "ann@example.com" * 9}, {**ROW, "date": "bob"}],
        r"a row's date is no date: 'ann@example.comann@example.comann@exampl'\.\.\. ",
        settings=DATED,
    ),
    "date_missing_csv": Bad(
        whole_csv_of("a,day\nx,2026-03-01\n"), "has no column 'date'", settings={**CSV, **DATED}
    ),
    "date_outside": Bad(
        [{**ROW, "date": "2026-02-28"}],
        "a row is of 2026-02-28, asked for were 2026-03-01 to 2026-03-10",
        settings=DATED,
    ),
}


@dataclass
class Outcome:
    run: Run
    result: Result
    asked: dict[str, int]
    log: str
    seconds: float


@pytest.fixture(scope="module")
def bad(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outcome]:
    """One run of all bad servers and a good one."""

    def answer(ask: Ask) -> Any:
        name = ask.path[1:]
        if name == "good":
            return [ROW]
        found = BAD[name].answer
        found = found(ask) if callable(found) else found
        if isinstance(found, Answer) and found.headers.get("location") == "REBOUND":
            return Answer("", 302, {"location": f"http://rebound.example:{port}{ask.path}"})
        return found

    raw = {name: each.answer for name, each in BAD.items() if each.raw}
    with pytest.MonkeyPatch.context() as patch, vendor(answer) as served, odd(raw) as strange:
        port = int(served.url.rpartition(":")[2])
        _pretend_to_be_public(patch)
        feeds = {"good": {"url": f"{served.url}/good"}}
        for name, each in BAD.items():
            url = strange if each.raw else served.url
            url = url.replace("127.0.0.1", each.host or "127.0.0.1").replace("http:", f"{each.scheme}:")
            sent = {
                "auth": "bearer",
                "secret": SECRET,
                "columns": ["a"] * (each.settings.get("format") != "csv"),
            }
            feeds[name] = {**sent, "url": f"{url}/{name}", **each.settings}
        for target in database(server, patch, tmp_path_factory.mktemp("bad")):
            run, log = Run(target), io.StringIO()
            handler = logging.StreamHandler(log)
            logging.getLogger("loaders").addHandler(handler)
            began = time.monotonic()
            result = run(**feeds)
            took = time.monotonic() - began
            logging.getLogger("loaders").removeHandler(handler)
            asked = [ask.path[1:] for ask in served.asked]
            yield Outcome(run, result, {name: asked.count(name) for name in BAD}, log.getvalue(), took)


def _pretend_to_be_public(patch: pytest.MonkeyPatch) -> None:
    """Names that lead to this machine, which the guard takes for the world when it looks at them."""
    ours = {"public.example", "rebound.example", "mixed.example", "moves.example"}
    real, look, met, world = socket.getaddrinfo, guard.addresses, guard.Guard.met, "93.184.216.34"
    known = {name: [world] for name in ours} | {"mixed.example": [world, "10.0.0.1"]}
    moves = iter([world])

    def peer(host: str, address: str) -> str:
        if host in ("public.example", "mixed.example"):
            return world
        return next(moves, address) if host == "moves.example" else address

    patch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **more: real("127.0.0.1" if host in ours else host, *args, **more),
    )
    patch.setattr(guard, "addresses", lambda host: known.get(host) or look(host))
    patch.setattr(
        guard.Guard, "met", lambda self, host, address, **more: met(self, host, peer(host, address), **more)
    )
    patch.setenv("NO_PROXY", ",".join(ours))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_server_is_told_clearly_and_lands_nothing_half(bad: Outcome, name: str) -> None:
    expected = BAD[name]
    told = str(bad.result.message)
    failed = dict(re.findall(r"account (\w+): (.*?)(?=; account |$)", told, re.DOTALL))
    if expected.lands is not None:
        assert name not in failed
        assert bad.run.current(name, "a") == [(value,) for value in expected.lands]
        assert [receipt[3] for receipt in bad.run.receipts(name)] == [len(expected.lands)]
        return
    assert re.search(expected.says, failed[name]), failed[name]
    assert name in failed[name], "says where"
    assert bad.run.receipts(name) == []
    assert bad.run.query(f"select count(*) from raw_http_json.{name}") == [(0,)]
    if expected.asks is not None:
        assert bad.asked[name] == (expected.asks if not expected.raw else 0)
    assert "Traceback" not in bad.log


def test_bad_servers_neither_stop_the_good_one_nor_learn_or_tell_a_secret(bad: Outcome) -> None:
    assert bad.result.outcome == "partial"
    assert bad.run.current("good", "a") == [("x",)]
    kept = bad.run.query("select message from ops.runs union all select message from ops.run_resources")
    assert SECRET not in bad.log + str(bad.result.message) + str(kept)
    assert bad.asked["redirect_loop"] == 6
    assert bad.seconds < 90


@pytest.mark.parametrize(("auth", "name"), [("bearer", ""), ("header", "X-Key"), ("query", "appid")])
def test_a_redirect_is_followed_with_the_secret_to_the_same_host_only(run: Run, auth: str, name: str) -> None:
    def answer(ask: Ask) -> Any:
        moved = {"/old": "/new", "/new": other.url.replace("127.0.0.1", "localhost") + "/file"}.get(ask.path)
        return Answer("", 302, {"location": moved}) if moved else [ROW]

    with vendor(answer) as other, vendor(answer) as served:
        feed = {"url": f"{served.url}/old", "auth": auth, "auth_name": name, "secret": SECRET}
        assert run(moved=feed).outcome == "ok"
    assert run.current("moved", "a") == [("x",)]
    assert [ask.path for ask in served.asked + other.asked] == ["/old", "/new", "/file"]
    assert SECRET in str(served.asked[0])
    assert (SECRET in str(served.asked[1])) == (auth != "query")  # the server has named an address without it
    assert SECRET not in str(other.asked)


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("127.0.0.1", True),
        ("10.1.2.3", True),
        ("192.168.0.1", True),
        ("169.254.169.254", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),
        ("224.0.0.1", True),
        ("::1", True),
        ("fe80::1%eth0", True),
        ("fec0::1", True),
        ("::10.0.0.1", True),
        ("64:ff9b::10.0.0.1", True),
        ("64:ff9b::93.184.216.34", False),
        ("64:ff9b:1::93.184.216.34", True),
        ("2002:a00:1::", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("::ffff:93.184.216.34", False),
        ("93.184.216.34", False),
        ("2606:2800:220:1::1", False),
    ],
)
def test_what_is_inside(address: str, inside: bool) -> None:
    assert guard.is_inside(address) == inside


@pytest.mark.parametrize("format", ["csv", "ndjson"])
def test_a_body_of_lines_takes_flat_memory(format: Any) -> None:
    row = {"a": "x" * 500, "b": "é" * 200}
    line = (as_csv([row]).partition("\r\n")[2] if format == "csv" else json.dumps(row) + "\n").encode()
    chunks = [b"a,b\r\n" * (format == "csv"), *[gzip.compress(line * 1_000)] * 30]
    chunks[0] = gzip.compress(chunks[0])
    form = form_of(format, Limits(64, 2_000))
    tracemalloc.start()
    try:
        _, blocks = form(httpx.Headers({"content-length": "1"}), iter(chunks))
        with Spool(document for number, document in blocks) as spool:
            peak = tracemalloc.get_traced_memory()[1]
            assert sum(len(json.loads(document)) for document in spool) == 30_000
    finally:
        tracemalloc.stop()
    assert peak < 15 << 20, f"{peak:,} bytes for 27 MB"


# -- settings

OK = {"URL": "https://x.example/r"}
WRONG = {
    "url_missing": ({"FORMAT": "csv"}, "missing required field `url`.*FEEDS__RATES__URL.*config.toml"),
    "url_no_address": ({"URL": "x.example/r"}, "`url` is no https://host/path"),
    "url_with_password": (
        {"URL": "https://me:tr4ff1c@x.example/"},
        "`url` has credentials in it; use auth",
    ),
    "url_with_odd_password": ({"URL": f"https://me:{SECRET}@x.example/"}, "`url` is no https://host/path"),
    "url_with_key": (
        {"URL": f"https://x.example/?api_key={SECRET}"},
        "have a secret in them; use auth = 'query'",
    ),
    "param_with_key": ({**OK, "PARAMS__API_KEY": SECRET}, "have a secret in them; use auth = 'query'"),
    "unknown": ({**OK, "RECODS": "x"}, "unknown field `recods`. There are url params format .* records"),
    "format": ({**OK, "FORMAT": "xml"}, "'xml' .format.. It is one of json, ndjson, csv"),
    "auth": ({**OK, "AUTH": "kerberos"}, "It is one of none, bearer, header, basic, query"),
    "number": ({**OK, "MAX_PAGES": "many"}, "Expected `int`, got `str` .max_pages.*__MAX_PAGES"),
    "too_small": ({**OK, "DAYS_PER_REQUEST": "0"}, ">= 1 .days_per_request"),
    "secret_missing": (
        {**OK, "AUTH": "bearer"},
        "`secret` is not set; auth = 'bearer'.*FEEDS__RATES__SECRET",
    ),
    "auth_name": ({**OK, "AUTH": "header", "SECRET": SECRET}, "`auth_name` is not set: the header's name"),
    "page_param": ({**OK, "PAGING": "offset"}, "`page_param` is not set; paging = 'offset' needs it"),
    "next": ({**OK, "PAGING": "body_link"}, "`next` is not set, the path to it in the body"),
    "paging_of_csv": ({**OK, "PAGING": "body_link", "NEXT": "n", "FORMAT": "csv"}, "needs format = 'json'"),
    "records_of_csv": ({**OK, "RECORDS": "x", "FORMAT": "csv"}, "`records` is for format = 'json' only"),
    "delimiter": ({**OK, "DELIMITER": "::"}, "`delimiter` is not one character"),
    "delimiter_quote": ({**OK, "DELIMITER": '"'}, "`delimiter` is not one character"),
    "url_no_name": ({"URL": "https://a..b/"}, "`url` is no https://host/path"),
    "first_offset": (
        {**OK, "PAGING": "offset", "PAGE_PARAM": "start", "PARAMS__START": "x"},
        "`params` begin with start = 'x', which is no number",
    ),
    "page_in_url": (
        {"URL": "https://x.example/?p=3", "PAGING": "page", "PAGE_PARAM": "p"},
        "`url` has p in it, which paging sets; put its first value into params",
    ),
    "secret_with_line_end": (
        {**OK, "AUTH": "bearer", "SECRET": SECRET + "\n"},
        "`secret` has a character that no header can have",
    ),
    "secret_not_ascii": (
        {**OK, "AUTH": "header", "AUTH_NAME": "X-Key", "SECRET": SECRET + "é"},
        "`secret` has a character that no header can have",
    ),
    "auth_name_no_header": (
        {**OK, "AUTH": "header", "AUTH_NAME": "X Key", "SECRET": SECRET},
        "`auth_name` is no name of a header",
    ),
    "columns": ({**OK, "COLUMNS": '["Rate (USD)"]'}, "`columns` has 'Rate .USD.', which is no raw column"),
    "date_too_deep": (
        {"URL": "https://x.example/{since}/{until}", "DATE": "a.b.c"},
        "more than two names deep",
    ),
    "since_without_date": ({"URL": "https://x.example/{since}/{until}"}, "`date` is not set, the field of"),
    "date_without_since": ({**OK, "DATE": "d"}, "have no {since}, which a feed with a date needs"),
    "since_without_until": ({"URL": "https://x.example/{since}", "DATE": "d"}, "have no {until}, which only"),
    "placeholder": (
        {"URL": "https://x.example/{since}{until}{now}", "DATE": "d"},
        "have another placeholder",
    ),
    "brace": ({"URL": "https://x.example/{since}{until}{", "DATE": "d"}, "have another placeholder"),
    "timezone": ({**OK, "TIMEZONE": "Mars"}, "`timezone` is no name of a time zone, such as Europe/Berlin"),
    "no_table": ({"": "x"}, "HTTP_JSON__FEEDS__RATES is no table|missing required field `url`"),
}


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in [name for name in os.environ if name.startswith("SOURCES__HTTP_JSON")]:
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_says_which_where_it_was_looked_for_and_what_to_put_there(
    empty: pytest.MonkeyPatch, name: str
) -> None:
    settings, says = WRONG[name]
    for setting, value in settings.items():
        empty.setenv(f"SOURCES__HTTP_JSON__FEEDS__RATES__{setting}".removesuffix("__"), value)
    with pytest.raises(ConfigurationError) as caught:
        configure.settings_of(LOADER)
    assert re.search(says, str(caught.value), re.DOTALL), str(caught.value)
    assert "sources.http_json.feeds.rates" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["covered", "nul", "com1", "a__b", "_a", "1a", "x" * 51, "a-b"])
def test_a_feed_must_be_able_to_name_a_table(empty: pytest.MonkeyPatch, name: str) -> None:
    empty.setenv("SOURCES__HTTP_JSON__FEEDS", json.dumps({name: {"url": "https://x.example/"}}))
    with pytest.raises(ConfigurationError, match="can't have this name"):
        configure.settings_of(LOADER)


def test_without_a_feed_the_source_is_not_configured_and_says_what_to_write(
    empty: pytest.MonkeyPatch,
) -> None:
    assert not configure.is_configured(LOADER)
    assert re.search(
        r"needs a table \[sources.http_json.feeds.<name>\] in .dlt/config.toml",
        configure.missing_everything(LOADER),
    )
    empty.setenv("SOURCES__HTTP_JSON__FEEDS__RATES__URL", "https://x.example/")
    assert configure.is_configured(LOADER)


def test_settings_come_from_the_environment_alone(empty: pytest.MonkeyPatch) -> None:
    for setting, value in {
        "URL": "https://x.example/{since}",
        "PARAMS__TO": "{until}",
        "COLUMNS": '["a", "b"]',
        "DATE": "d",
        "MAX_PAGES": "7",
    }.items():
        empty.setenv(f"SOURCES__HTTP_JSON__FEEDS__RATES__{setting}", value)
    feed = configure.settings_of(LOADER).feeds["rates"]  # type: ignore[attr-defined]
    assert (feed.params, feed.columns, feed.max_pages) == ({"to": "{until}"}, ("a", "b"), 7)
    window = Window(date(2026, 1, 2), date(2026, 1, 3))
    assert feed.address(window) == "https://x.example/2026-01-02?to=2026-01-03"


def commanded(
    folder: Path, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> subprocess.CompletedProcess[str]:
    """``dlt pipeline http_json run`` in a folder with this config.toml and secrets.toml."""
    (folder / ".dlt").mkdir(exist_ok=True)
    for name, text in zip(("config.toml", "secrets.toml"), files, strict=True):
        (folder / ".dlt" / name).write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("ADSTAR_HOME", str(ROOT))
    monkeypatch.setenv("ADSTAR_NOW", "2026-02-10T12:00:00+00:00")
    return preloaded.run(
        [Path(sys.executable).parent / "dlt", "pipeline", "http_json", "run"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_documented_feeds_land(target: Target, tmp_path: Path, empty: pytest.MonkeyPatch) -> None:
    documented = (ROOT / "docs" / "runbooks" / "http-feeds.md").read_text()
    config, secrets = re.findall(r"```toml\n(.*?)```", documented, re.DOTALL)

    def answer(ask: Ask) -> Any:
        if ask.path == "/stores.csv.gz":
            return Answer(
                gzip.compress(b"id;name\n1;N\xc3\xb8rth\n"), headers={"content-type": "application/gzip"}
            )
        allowed = ask.headers.get("authorization") == f"Bearer {SECRET}"
        return {"rates": asked_for(ask)} if allowed else Answer("{}", 401)

    with vendor(answer) as served:
        config = re.sub(r"https://\w+\.example\.com", served.url, config)
        done = commanded(tmp_path, [config, secrets.replace("...", SECRET)], empty)
    assert done.returncode == 0, done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
    kept = [file for file in tmp_path.rglob("*") if file.is_file() and ".dlt" not in file.parts]
    assert [file for file in kept if SECRET.encode() in file.read_bytes()] == []
    run = Run(target)
    assert run.current("rates") == [tuple(row.values()) for row in rates("2026-01-01", "2026-02-10")]
    assert run.current("stores", "id, name") == [("1", "Nørth")]


def test_a_secret_in_config_toml_is_refused(
    target: Target, tmp_path: Path, empty: pytest.MonkeyPatch
) -> None:
    config = (
        f'[sources.http_json.feeds.rates]\nurl = "https://x.example/"\nauth = "bearer"\nsecret = "{SECRET}"\n'
    )
    done = commanded(tmp_path, [config, ""], empty)
    assert done.returncode == 1
    assert "feeds.rates.secret is a secret and stands in config.toml" in done.stdout + done.stderr
    assert "move it to .dlt/secrets.toml" in done.stdout + done.stderr
    assert SECRET not in done.stdout + done.stderr
