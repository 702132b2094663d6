"""The client all vendors share: what it retries, how long it waits, when it stops, what it never tells."""

from __future__ import annotations

import gzip
import itertools
import json
import logging
import socket
import threading
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from loaders._core import errors
from loaders._core.declare import Window
from loaders._core.http import Http, Reply, Rule, by_status, first_match
from loaders._core.oauth import RefreshToken
from loaders._core.pages import Jobs, Listing, cut, halve
from loaders._core.stream import whole
from tests.loaders.wire import Answer, Time, vendor

FINE = {"data": [1]}
TOKEN = "EAABsbCS1iHgBO7zZCq"


def client(url: str, classify=by_status, **options) -> tuple[Http, Time]:
    time = Time()
    return Http(url, classify, clock=time.clock, sleep=time.sleep, **options), time


def once_then_fine(first):
    answers = iter([first])
    return lambda ask: next(answers, Answer(FINE))


PASSING = {
    "408": Answer("{}", 408),
    "429": Answer("{}", 429),
    "500": Answer({"error": "x"}, 500),
    "502 as HTML": Answer("<html>bad gateway</html>", 502, {"content-type": "text/html"}),
    "503": Answer("", 503),
    "504": Answer("", 504),
    "HTML with 200": Answer("<html>Log in to the hotel's network</html>"),
    "text with 200": Answer("Service Unavailable"),
    "empty with 200": Answer(""),
    "half a document": Answer(b'{"data": [1, 2'),
    "cut off below its content-length": Answer({"data": [1] * 1000}, cut=100),
    "broken gzip": Answer(b"not gzip", headers={"content-encoding": "gzip"}),
    "truncated gzip": Answer(
        gzip.compress(json.dumps({"a": [*range(9000)]}).encode())[:900], headers={"content-encoding": "gzip"}
    ),
}


@pytest.mark.parametrize("name", PASSING)
def test_what_may_pass_is_retried(name):
    with vendor(once_then_fine(PASSING[name])) as server:
        http, time = client(server.url)
        with http:
            assert json.loads(http.fetch("GET", "x")) == FINE
    assert len(server.asked) == 2
    assert len(time.slept) == 1
    assert 0 <= time.slept[0] <= 1


PERMANENT = {
    "400": (Answer({"error": "bad"}, 400), errors.VendorError),
    "401": (Answer("{}", 401), errors.ConfigurationError),
    "403": (Answer("{}", 403), errors.AccountError),
    "403 as HTML": (Answer("<html>", 403), errors.AccountError),
    "404": (Answer("{}", 404), errors.VendorError),
    "404 as HTML": (Answer("<html>", 404), errors.VendorError),
    "moved": (Answer("", 301, {"location": "https://elsewhere.example/"}), errors.ConfigurationError),
}


@pytest.mark.parametrize("name", PERMANENT)
def test_what_will_not_pass_is_asked_once(name):
    answer, error = PERMANENT[name]
    with vendor(lambda ask: answer) as server:
        http, time = client(server.url)
        with http, pytest.raises(error) as caught:
            http.fetch("GET", "x")
    assert not isinstance(caught.value, errors.Transient)
    assert len(server.asked) == 1
    assert time.slept == []


def test_a_refused_connection_and_a_dropped_one_are_retried():
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def drop() -> None:
        for _ in range(3):
            connection, _address = listener.accept()
            connection.close()

    thread = threading.Thread(target=drop, daemon=True)
    thread.start()
    http, time = client(f"http://127.0.0.1:{port}", attempts=3)
    with http, pytest.raises(errors.GaveUp, match="3 attempts"):
        http.fetch("GET", "x")
    thread.join()
    listener.close()
    http, time = client(f"http://127.0.0.1:{port}", attempts=2)
    with http, pytest.raises(errors.GaveUp, match="no connection"):
        http.fetch("GET", "x")
    assert len(time.slept) == 1


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("slow"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("x")]
)
def test_time_outs_are_retried(error):
    answers = iter([error])

    def handle(request):
        found = next(answers, None)
        if found:
            raise found
        return httpx.Response(200, json=FINE)

    http, time = client("https://x.example", transport=httpx.MockTransport(handle))
    with http:
        assert json.loads(http.fetch("GET", "x")) == FINE
    assert len(time.slept) == 1


def test_a_certificate_nobody_trusts_is_a_matter_of_set_up():
    def handle(request):
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")

    http, time = client("https://x.example", transport=httpx.MockTransport(handle))
    with http, pytest.raises(errors.ConfigurationError, match="SSL_CERT_FILE"):
        http.fetch("GET", "x")
    assert time.slept == []


def test_back_off_grows_with_full_jitter_up_to_a_cap_and_ends_after_the_attempts():
    with vendor(lambda ask: Answer("", 503)) as server:
        http, time = client(server.url, attempts=10)
        with http, pytest.raises(errors.GaveUp, match=r"gave up after 10 attempts.*HTTP 503"):
            http.fetch("GET", "x")
    assert len(server.asked) == 10
    assert all(0 <= slept <= min(60, 2**n) for n, slept in enumerate(time.slept))
    assert len({round(slept / min(60, 2**n), 6) for n, slept in enumerate(time.slept)}) > 5


def throttled(wait):
    return lambda reply: errors.Throttled("too many calls", wait) if reply.status == 400 else None


def test_the_wait_a_vendor_asks_for_is_honoured_and_throttling_does_not_count_as_an_attempt():
    answers = itertools.chain([Answer("{}", 400)] * 12, itertools.repeat(Answer(FINE)))
    with vendor(lambda ask: next(answers)) as server:
        http, time = client(server.url, throttled(120.0), attempts=2)
        with http:
            http.fetch("GET", "x")
    assert len(time.slept) == 12
    assert all(120 <= slept <= 180 for slept in time.slept)


@pytest.mark.parametrize(("percent", "seconds"), [(0, 0), (90, 0), (95, 30), (100, 60), (180, 60)])
def test_the_last_tenth_of_a_quota_is_spared(percent, seconds):
    with vendor(lambda ask: Answer(FINE, headers={"x-used": str(percent)})) as server:
        http, time = client(server.url, used=lambda reply: float(reply.headers["x-used"]))
        with http:
            http.fetch("GET", "a")
            assert time.slept == []
            time.sleep(10)
            http.fetch("GET", "a")
        assert time.slept[1:] == ([seconds - 10] if seconds else [])


def test_a_wait_beyond_the_deadline_stops_at_once_and_says_how_long_it_is():
    with vendor(lambda ask: Answer("{}", 400)) as server:
        http, time = client(server.url, throttled(40591.0), deadline_seconds=3600)
        with http, pytest.raises(errors.GaveUp, match=r"asks to wait 40591 s.*3600 s.*run again"):
            http.fetch("GET", "x")
    assert time.slept == []
    assert len(server.asked) == 1


def test_one_deadline_covers_all_retries_and_waits():
    with vendor(lambda ask: Answer("{}", 400)) as server:
        http, time = client(server.url, throttled(100.0), deadline_seconds=1000)
        with http, pytest.raises(errors.GaveUp):
            http.fetch("GET", "x")
    assert 800 < time.seconds <= 1000


def test_a_body_that_never_ends_meets_the_deadline():
    time = Time()

    def drip():
        yield b'{"data": ['
        while True:
            time.seconds += 100
            yield b"1,"

    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=drip()))
    http = Http(
        "https://x.example", clock=time.clock, sleep=time.sleep, transport=transport, deadline_seconds=600
    )
    with http, pytest.raises(errors.GaveUp, match="still coming in"):
        http.fetch("GET", "x")
    assert time.seconds <= 800


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured(status, form):
    text = (
        "90" if form == "seconds" else format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    )
    with vendor(once_then_fine(Answer("{}", status, {"retry-after": text}))) as server:
        http, time = client(server.url)
        with http:
            http.fetch("GET", "x")
    assert 85 <= time.slept[0] <= 92


def test_a_json_error_with_status_200_is_an_error():
    def classify(reply):
        return errors.VendorError(reply.error["message"]) if reply.error else None

    with vendor(lambda ask: {"error": {"message": "all wrong"}}) as server:
        http, _ = client(server.url, classify)
        with http, pytest.raises(errors.VendorError, match="all wrong"):
            http.fetch("GET", "x")


@pytest.mark.parametrize(("status", "kind"), [(200, errors.VendorError), (503, errors.GaveUp)])
def test_an_error_in_a_form_nobody_has_foreseen_is_an_error_all_the_same(status, kind):
    def classify(reply):
        return errors.AccountError("x") if reply.error["details"]["code"] == 1 else None

    with vendor(lambda ask: Answer({"error": ["odd"]}, status)) as server:
        http, _ = client(server.url, classify)
        with http, pytest.raises(kind):
            http.fetch("GET", "x")


def test_errors_say_where_without_the_query_and_logs_hold_no_body_and_no_secret(caplog):
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with vendor(lambda ask: Answer({"error": f"access_token={TOKEN} private row"}, 500)) as server:
        http, _ = client(server.url, attempts=3, headers={"Authorization": f"Bearer {TOKEN}"})
        with http, pytest.raises(errors.GaveUp) as caught:
            http.fetch("GET", f"act_1/ads?limit=25&access_token={TOKEN}")
    assert str(caught.value).endswith("[GET act_1/ads]")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("loaders")]
    assert len(ours) == 2
    assert not any(TOKEN in text or "private row" in text or "limit=25" in text for text in ours)
    assert TOKEN not in str(caught.value)


def test_a_link_to_another_host_gets_no_credentials():
    with vendor(lambda ask: FINE) as server, vendor(lambda ask: FINE) as other:
        http, _ = client(server.url, headers={"Authorization": f"Bearer {TOKEN}"})
        with http:
            for link in (
                f"{other.url}/steal",
                server.url.replace("http:", "https:") + "/x",
                "https://evil.example/",
            ):
                with pytest.raises(errors.VendorError, match="another host"):
                    http.fetch("GET", link)
    assert other.asked == []
    assert server.asked == []


def test_credentials_in_a_link_give_way_to_the_clients_own():
    with vendor(lambda ask: FINE) as server:
        http, _ = client(server.url, params={"appsecret_proof": "mine"})
        with http:
            http.fetch("GET", f"{server.url}/ads?access_token={TOKEN}&appsecret_proof=old&after=QVFI&since")
    assert server.asked[0].query == {"after": "QVFI", "since": "", "appsecret_proof": "mine"}


def test_headers_without_a_value_are_not_sent():
    with vendor(lambda ask: FINE) as server:
        http, _ = client(server.url, headers={"developer-token": "", "login-customer-id": "1"})
        with http:
            http.fetch("GET", "x")
    assert "developer-token" not in server.asked[0].headers
    assert server.asked[0].headers["login-customer-id"] == "1"


@pytest.mark.parametrize("url", ["", "graph.facebook.com", "ftp://x", "https://"])
def test_a_base_url_that_is_none_is_a_configuration_error(url):
    with pytest.raises(errors.ConfigurationError):
        Http(url)


def test_a_stream_is_handed_over_only_when_all_of_it_has_come_and_is_good():
    def classify(reply):
        return errors.Transient("mid-stream") if reply.error else None

    answers = iter(
        [
            Answer([{"results": [1]}, {"results": [2]}, {"error": {"code": 500}}]),
            Answer(b'[{"results": [1]}, {"results": [2]}, {"resu'),
            Answer([{"results": [1]}, {"results": [2]}], cut=5),
            Answer([{"results": [1]}, {"results": [3]}]),
        ]
    )
    with vendor(lambda ask: next(answers)) as server:
        http, time = client(server.url, classify)
        with http:
            assert [json.loads(each)["results"] for each in http.stream("POST", "q", json={})] == [[1], [3]]
    assert len(server.asked) == 4
    assert len(time.slept) == 3


def test_a_rule_table_falls_back_to_what_the_status_says():
    rules = (Rule(errors.Throttled, {4}), Rule(errors.AccountError, {10}, "Missing", "ask for it"))

    def judged(status, codes, text="told"):
        return first_match(rules, Reply(status, httpx.Headers({"retry-after": "7"}), b"{}"), text, codes)

    assert isinstance(judged(400, [4]), errors.Throttled)
    assert judged(400, [4]).wait_seconds == 7
    assert str(judged(400, [None], "Missing right")) == "Missing right; ask for it"
    assert type(judged(500, [])) is errors.Transient
    assert type(judged(400, [])) is errors.VendorError
    assert type(judged(200, [])) is errors.VendorError
    assert str(judged(400, [])) == "HTTP 400: told"
    assert type(judged(403, [])) is errors.AccountError


# --- paging -------------------------------------------------------------------------------------------------


PAGES = Listing(records=("data",), link=("paging", "next"))


def book(url: str, *pages, after="after") -> dict[str, dict]:
    """Pages by cursor; each links to the next."""
    found = {}
    for n, records in enumerate(pages):
        paging = {"cursors": {"after": f"c{n + 1}"}}
        if n + 1 < len(pages):
            paging["next"] = f"{url}/list?access_token={TOKEN}&{after}=c{n + 1}"
        found["" if n == 0 else f"c{n}"] = {"data": records, "paging": paging}
    return found


def read_all(pages, **serve):
    with vendor(lambda ask: pages(server.url, ask)) as server:
        http, _ = client(server.url)
        with http:
            return [
                json.loads(each)["data"] for each in whole(PAGES.pages(http, "list", {"limit": "2"}))
            ], server.asked


def test_pages_end_where_the_link_does_not_where_a_page_is_short_or_empty():
    got, asked = read_all(
        lambda url, ask: book(url, [1, 2], [3], [], [4, 5], [6])[ask.query.get("after", "")]
    )
    assert got == [[1, 2], [3], [], [4, 5], [6]]
    assert len(asked) == 5
    assert not any("access_token" in ask.query for ask in asked)


def test_a_list_without_paging_is_one_page():
    assert read_all(lambda url, ask: {"data": []})[0] == [[]]


def test_a_page_served_twice_makes_the_list_read_again_so_that_no_page_is_missing():
    served = itertools.count()

    def answer(url, ask):
        n = next(served)  # in the first reading page two comes again in place of page three
        cursor = ask.query.get("after", "")
        return book(url, [1], [2], [3], [4])["c1" if n == 2 else cursor]

    got, asked = read_all(answer)
    assert got == [[1], [2], [3], [4]]
    assert len(asked) > 4


def test_equal_records_under_a_new_link_are_a_page_served_twice_too():
    served = itertools.count()

    def answer(url, ask):
        first = next(served) < 4
        return book(url, [1], [2], [2] if first else [3], [4])[ask.query.get("after", "")]

    assert read_all(answer)[0] == [[1], [2], [3], [4]]


def test_a_link_that_leads_back_for_ever_is_an_error_and_not_an_endless_loop():
    with pytest.raises(errors.BadBody, match="twice in each of 3 readings"):
        read_all(lambda url, ask: {"data": [1], "paging": {"next": f"{url}/list?after=c1"}})


def test_empty_pages_that_lead_back_for_ever_are_an_error_too():
    with pytest.raises(errors.BadBody, match="link to the next page came twice"):
        read_all(lambda url, ask: {"data": [], "paging": {"next": f"{url}/list?after=c1"}})


def test_a_page_without_its_list_is_an_error_and_not_an_empty_page():
    with pytest.raises(errors.BadBody, match="no list 'data'"):
        read_all(lambda url, ask: {"success": True})


# --- windows ------------------------------------------------------------------------------------------------


def day(n: int) -> date:
    return date(2026, 1, 1) + timedelta(days=n - 1)


@pytest.mark.parametrize(("days", "longest"), [(1, 31), (28, 31), (31, 31), (32, 31), (100, 7)])
def test_a_cut_window_covers_every_day_once(days, longest):
    parts = list(cut(Window(day(1), day(days)), longest))
    covered = [part.since + timedelta(n) for part in parts for n in range((part.until - part.since).days + 1)]
    assert covered == [day(n) for n in range(1, days + 1)]
    assert all((part.until - part.since).days < longest for part in parts)


def test_what_is_too_large_is_halved_by_days_then_by_page_and_no_day_comes_twice():
    tried = []

    def read(window, limit):
        n = (window.until - window.since).days + 1
        tried.append((n, limit))
        yield f"{window.since}".encode()  # a page that came before the vendor refused
        if n > 2 or (window.since == day(3) and limit > 125):
            raise errors.TooLarge("too much")
        for each in range(1, n):
            yield f"{window.since + timedelta(each)}".encode()

    got = whole(halve(read, Window(day(1), day(8)), 500))
    assert got == [str(day(n)).encode() for n in range(1, 9)]
    assert (1, 125) in tried


def test_what_stays_too_large_ends_with_the_vendors_error():
    def read(window, limit):
        raise errors.TooLarge("too much")

    with pytest.raises(errors.TooLarge):
        list(halve(read, Window(day(1), day(4)), 8))
    with pytest.raises(errors.TooLarge):
        list(halve(read, None, 8))


# --- report jobs --------------------------------------------------------------------------------------------


class Office:
    """A vendor that makes reports: ``lives`` is, for each order, the states its job goes through."""

    def __init__(self, *lives, pages=None):
        self.lives = [itertools.chain(life[:-1], itertools.repeat(life[-1])) for life in lives]
        self.orders = 0
        self.pages = pages or (lambda job: {"data": [job]})

    def __call__(self, ask):
        if ask.method == "POST":
            self.orders += 1
            return {"run": f"r{self.orders}"}
        job = ask.path.split("/")[1]
        if ask.path.endswith("/rows"):
            return self.pages(job)
        state = next(self.lives[int(job[1:]) - 1])
        if state is None:
            return Answer({"error": "unknown"}, 404)
        return {"state": state[0], "percent": state[1]}


def lost(reply):
    return errors.Lost("unknown job") if reply.status == 404 else None


ENDS = {"done": True, "failed": False, "skipped": False}
JOBS = Jobs(PAGES, ENDS, job="run", state="state", progress="percent", result="rows", classify=lost)


def order(office, deadline=3600.0):
    with vendor(office) as server:
        http, time = client(server.url, deadline_seconds=deadline)
        with http:
            got = [
                json.loads(each)["data"]
                for each in whole(JOBS.pages(http, "rows", {"a": "b"}, {"limit": "9"}))
            ]
    return got, time, server.asked


def test_a_report_is_read_when_it_is_done_and_not_at_100_percent():
    got, time, asked = order(Office([("running", 0), ("running", 100), ("running", 100), ("done", 100)]))
    assert got == [["r1"]]
    assert [ask.path for ask in asked] == ["/rows", "/r1", "/r1", "/r1", "/r1", "/r1/rows"]
    assert asked[0].form == {"a": "b"}
    assert time.slept == sorted(time.slept)


@pytest.mark.parametrize("end", ["failed", "skipped"])
def test_a_failed_or_skipped_report_is_ordered_anew_once_then_it_is_too_large(end):
    assert order(Office([("running", 0), (end, 0)], [("done", 100)]))[0] == [["r2"]]
    office = Office([(end, 0)], [(end, 0)], [("done", 100)])
    with pytest.raises(errors.TooLarge, match="failed 2 times"):
        order(office)
    assert office.orders == 2


def test_a_job_not_yet_known_is_a_race():
    got, time, _ = order(Office([None, None, ("running", 10), ("done", 100)]))
    assert got == [["r1"]]
    assert len(time.slept) == 3


def test_a_job_that_stalls_or_was_forgotten_is_ordered_anew():
    got, time, _ = order(Office([("running", 100)], [("done", 100)]))
    assert got == [["r2"]]
    assert 900 < time.seconds < 1000
    assert order(Office([None], [("done", 100)]))[0] == [["r2"]]


def test_a_job_that_expires_while_it_is_read_is_ordered_anew_and_gives_nothing_twice():
    def pages(job):
        if job == "r1":
            return Answer({"error": "gone"}, 404)
        return {"data": [job]}

    assert order(Office([("done", 100)], [("done", 100)], pages=pages))[0] == [["r2"]]


def test_a_job_that_crawls_past_the_deadline_is_given_up():
    office = Office([("running", n) for n in range(10_000)])
    with pytest.raises(errors.GaveUp, match=r"not done at the deadline \(running"):
        order(office, deadline=600.0)


# --- OAuth --------------------------------------------------------------------------------------------------


class Issuer:
    """Grants tokens t1, t2...; the API beside it accepts those in ``good``."""

    def __init__(self, good, grant=None):
        self.good, self.grant, self.count = good, grant, 0

    def __call__(self, ask):
        if ask.path == "/token":
            self.count += 1
            return self.grant or {
                "access_token": f"token-{self.count}",
                "expires_in": 3599,
                "token_type": "Bearer",
            }
        accepted = ask.headers.get("authorization") in [f"Bearer token-{n}" for n in self.good]
        return Answer(FINE) if accepted else Answer({"error": {"status": "UNAUTHENTICATED"}}, 401)


def with_token(issuer, calls=1, between=0.0):
    time = Time()
    with vendor(issuer) as server:
        token = RefreshToken(
            f"{server.url}/token", "id", "shh-client", "shh-refresh", clock=time.clock, sleep=time.sleep
        )
        with Http(server.url, auth=token, clock=time.clock, sleep=time.sleep) as http:
            for _ in range(calls):
                http.fetch("POST", "api", json={"query": "q"})
                time.seconds += between
    return server.asked


def test_a_token_is_got_once_and_used_until_shortly_before_its_end():
    asked = with_token(Issuer({1}), calls=3)
    assert [ask.path for ask in asked] == ["/token", "/api", "/api", "/api"]
    assert asked[0].form == {
        "client_id": "id",
        "client_secret": "shh-client",
        "refresh_token": "shh-refresh",
        "grant_type": "refresh_token",
    }
    assert [ask.path for ask in with_token(Issuer({1, 2}), calls=2, between=3550)].count("/token") == 2


def test_a_401_renews_the_token_once_and_sends_the_same_body_again():
    asked = with_token(Issuer({2}))
    assert [ask.path for ask in asked] == ["/token", "/api", "/token", "/api"]
    assert asked[1].json == asked[3].json == {"query": "q"}


def test_a_second_401_is_a_configuration_error_and_not_a_loop():
    issuer = Issuer(set())
    with pytest.raises(errors.ConfigurationError):
        with_token(issuer)
    assert issuer.count == 2


@pytest.mark.parametrize(
    ("status", "told"),
    [(400, {"error": "invalid_grant", "error_description": "revoked"}), (401, {"error": "invalid_client"})],
)
def test_a_refused_grant_is_a_configuration_error_without_retry(status, told):
    issuer = Issuer(set(), Answer(told, status))
    with pytest.raises(errors.ConfigurationError, match=told["error"]) as caught:
        with_token(issuer)
    assert issuer.count == 1
    assert "shh" not in str(caught.value)


def test_a_token_endpoint_that_stumbles_is_retried():
    stumbles = [Answer("", 503), Answer("<html>", 502)]
    issuer = Issuer({1})
    asked = with_token(lambda ask: stumbles.pop() if ask.path == "/token" and stumbles else issuer(ask))
    assert [ask.path for ask in asked] == ["/token"] * 3 + ["/api"]
