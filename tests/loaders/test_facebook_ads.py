"""Facebook Ads: every trap of Meta's API that concerns reading it, on the wire and against the simulator."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from loaders._core import errors
from loaders._core.declare import Account, Clock, Window
from loaders._core.http import Reply
from loaders._core.pages import Api
from loaders._core.stream import whole
from loaders.facebook_ads import LOADER, classify, classify_run, used, wait_seconds
from simulators import facebook
from simulators.server import Simulator
from tests.loaders.wire import Answer, Ask, Time, vendor

TOKEN = "EAABsbCS1iHgBO7zZCq"
ACCOUNT = Account("123", timezone="Europe/Berlin")
WINDOW = Window(date(2026, 2, 1), date(2026, 2, 28))
RESOURCES = {resource.name: resource for resource in LOADER.resources}
STATUSES = {"ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"}


@contextmanager
def opened(url: str, **settings: Any) -> Iterator[tuple[Api, Time]]:
    chosen = LOADER.settings()
    for name, value in ({"access_token": TOKEN, "base_url": url} | settings).items():
        setattr(chosen, name, value)
    time = Time()
    with LOADER.connect(chosen, Clock()) as api:
        api.http.clock, api.http.sleep = time.clock, time.sleep
        yield api, time


def read(
    api: Api, name: str, account: Account = ACCOUNT, window: Window | None = None
) -> list[dict[str, Any]]:
    resource = RESOURCES[name]
    documents = resource.read(api, account, (window or WINDOW) if resource.day else None)
    return [row for document in whole(documents) for row in json.loads(document)["data"]]


class Graph:
    """Meta in its plainest form: a report run is done at once; ``edges`` gives rows by edge."""

    def __init__(self, rows: Any = ()) -> None:
        self.rows = rows if callable(rows) else lambda ask: list(rows)
        self.orders: dict[str, Ask] = {}

    def __call__(self, ask: Ask) -> Any:
        parts = ask.path.strip("/").split("/")
        if ask.method == "POST":
            run = f"90{len(self.orders)}"
            self.orders[run] = ask
            return {"report_run_id": run}
        if parts[-1] in self.orders:
            return {"id": parts[-1], "async_status": "Job Completed", "async_percent_completion": 100}
        return {"data": self.rows(ask)}


# --- what is asked for --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "statuses"),
    [
        ("campaigns", STATUSES),
        ("adsets", STATUSES | {"CAMPAIGN_PAUSED"}),
        (
            "ads",
            STATUSES
            | {"CAMPAIGN_PAUSED", "ADSET_PAUSED", "DISAPPROVED", "PENDING_REVIEW", "PENDING_BILLING_INFO"}
            | {"PREAPPROVED"},
        ),
    ],
)
def test_entities_are_asked_for_in_every_status_archived_and_deleted_too(name, statuses):
    with vendor(Graph()) as server, opened(server.url) as (api, _):
        read(api, name)
    (ask,) = server.asked
    assert ask.path == f"/v26.0/act_123/{name}"
    assert set(json.loads(ask.query["effective_status"])) == statuses


def test_creatives_have_no_status_filter():
    with vendor(Graph()) as server, opened(server.url) as (api, _):
        read(api, "adcreatives")
    assert "effective_status" not in server.asked[0].query


@pytest.mark.parametrize(("name", "level"), [("insights_ad", "ad"), ("insights_campaign", "campaign")])
def test_ad_and_campaign_days_come_by_a_report_run_that_includes_deleted_objects(name, level):
    with vendor(Graph([{"date_start": "2026-02-01"}])) as server, opened(server.url) as (api, _):
        assert read(api, name) == [{"date_start": "2026-02-01"}]
    order, poll, rows = server.asked
    assert (order.method, order.path) == ("POST", "/v26.0/act_123/insights")
    assert (poll.method, poll.path) == ("GET", "/v26.0/900")
    assert (rows.method, rows.path, rows.query) == ("GET", "/v26.0/900/insights", {"limit": "1000"})
    assert json.loads(order.form["time_range"]) == {"since": "2026-02-01", "until": "2026-02-28"}
    assert order.form["time_increment"] == "1"
    assert order.form["level"] == level
    windows = ["1d_click", "7d_click", "28d_click", "1d_view"]  # 7d_view and 28d_view are no longer served
    assert json.loads(order.form["action_attribution_windows"]) == windows
    (among,) = json.loads(order.form["filtering"])
    assert (among["field"], among["operator"]) == (f"{level}.effective_status", "IN")
    assert {"DELETED", "ARCHIVED"} < set(among["value"])


def test_account_days_are_read_directly_and_unfiltered():
    with vendor(Graph()) as server, opened(server.url) as (api, _):
        read(api, "insights_account")
    (ask,) = server.asked
    assert (ask.method, ask.query["level"]) == ("GET", "account")
    assert "filtering" not in ask.query
    assert RESOURCES["insights_account"].control == "insights_campaign"


def test_breakdown_columns_and_ids_are_asked_only_where_the_level_has_them():
    with vendor(Graph()) as server, opened(server.url) as (api, _):
        for name in ("insights_ad", "insights_campaign", "insights_account"):
            read(api, name)
    asked = [
        set((ask.form or ask.query)["fields"].split(","))
        for ask in server.asked
        if "fields" in (ask.form | ask.query)
    ]
    assert {"ad_id", "adset_id", "campaign_id", "actions", "action_values", "spend"} < asked[0]
    assert "campaign_id" in asked[1]
    assert not {"ad_id", "adset_id"} & asked[1]
    assert not {"ad_id", "adset_id", "campaign_id"} & asked[2]
    assert all({"account_id", "account_currency", "date_start", "date_stop"} < fields for fields in asked)


def test_a_long_window_is_cut_into_months_without_gap_or_overlap():
    graph = Graph()
    with vendor(graph) as server, opened(server.url) as (api, _):
        read(api, "insights_ad", window=Window(date(2023, 11, 1), date(2026, 11, 20)))
    spans = [json.loads(order.form["time_range"]) for order in graph.orders.values()]
    days = [
        date.fromisoformat(span["since"]) + timedelta(n)
        for span in spans
        for n in range((date.fromisoformat(span["until"]) - date.fromisoformat(span["since"])).days + 1)
    ]
    assert days == [date(2023, 11, 1) + timedelta(n) for n in range(len(days))]
    assert days[-1] == date(2026, 11, 20)
    assert len(spans) == 36


def test_settings_name_the_window_the_floor_and_the_version():
    settings = LOADER.settings()
    assert (settings.window_days, settings.history_months, settings.api_version) == (28, 37, "v26.0")
    assert settings.api_version_sunset is not None


def test_tables_and_totals_are_declared():
    assert list(RESOURCES) == [
        *("adaccounts", "campaigns", "adsets", "ads", "adcreatives"),
        *("insights_ad", "insights_campaign", "insights_account"),
    ]
    for name, resource in RESOURCES.items():
        assert resource.columns
        if name.startswith("insights"):
            assert resource.day == ("date_start",)
            assert resource.totals == ("impressions", "clicks", "spend")
            assert set(resource.totals) < set(resource.columns)


def test_documents_are_the_vendors_bytes():
    body = b'{"data": [{"id":"120210000000000001", "spend" : "0.10","n":1.50,"t":"\\u00e9"}] , "paging":{}}'
    with vendor(lambda ask: Answer(body)) as server, opened(server.url) as (api, _):
        assert whole(RESOURCES["campaigns"].read(api, ACCOUNT, None)) == [body]


# --- credentials --------------------------------------------------------------------------------------------


def test_the_token_travels_as_a_header_and_never_in_an_address(caplog):
    caplog.set_level(logging.DEBUG, "loaders")

    def answer(ask: Ask) -> Any:
        if "after" in ask.query:
            return {"data": [{"id": "2"}], "paging": {"cursors": {"before": "MA", "after": "MQ"}}}
        link = f"{server.url}/v26.0/act_123/campaigns?access_token={TOKEN}&limit=200&after=MQ"
        return {"data": [{"id": "1"}], "paging": {"cursors": {"after": "MQ"}, "next": link}}

    with vendor(answer) as server, opened(server.url) as (api, _):
        assert [row["id"] for row in read(api, "campaigns")] == ["1", "2"]  # "after" alone continues nothing
    assert len(server.asked) == 2
    for ask in server.asked:
        assert ask.headers["authorization"] == f"Bearer {TOKEN}"
        assert "access_token" not in ask.query
    assert TOKEN not in caplog.text


def test_the_app_secret_proof_is_sent_where_there_is_a_key():
    proof = hmac.new(b"shhh-app", TOKEN.encode(), hashlib.sha256).hexdigest()
    with vendor(Graph()) as server:
        with opened(server.url, app_secret="shhh-app") as (api, _):
            read(api, "insights_ad")
        assert [ask.query["appsecret_proof"] for ask in server.asked] == [proof] * 3
        with opened(server.url) as (api, _):
            read(api, "campaigns")
        assert "appsecret_proof" not in server.asked[-1].query


def test_a_next_link_to_another_host_is_refused():
    page = {"data": [{"id": "1"}], "paging": {"next": f"https://graph.evil.example/x?access_token={TOKEN}"}}
    with (
        vendor(lambda ask: page) as server,
        opened(server.url) as (api, _),
        pytest.raises(errors.VendorError, match="another host") as caught,
    ):
        read(api, "campaigns")
    assert TOKEN not in str(caught.value)


# --- accounts -----------------------------------------------------------------------------------------------


BERLIN = {"id": "act_1", "account_id": "1", "name": "A", "currency": "EUR", "timezone_name": "Europe/Berlin"}
TOKYO = {"id": "act_2", "account_id": "2", "name": "A", "currency": "JPY", "timezone_name": "Asia/Tokyo"}


def test_accounts_are_those_of_the_token_over_an_empty_page_with_their_own_time_zone():
    def answer(ask: Ask) -> Any:
        after = ask.query.get("after")
        pages = {None: ([BERLIN], "b"), "b": ([], "c"), "c": ([TOKYO], None)}
        rows, following = pages[after]
        link = {"next": f"{server.url}/v26.0/me/adaccounts?after={following}"} if following else {}
        return {"data": rows, "paging": {"cursors": {"after": "x"}, **link}}

    with vendor(answer) as server, opened(server.url) as (api, _):
        found = LOADER.accounts(api)
        assert [(a.id, a.timezone) for a in found] == [("1", "Europe/Berlin"), ("2", "Asia/Tokyo")]
        assert read(api, "adaccounts", LOADER.root(api)) == [BERLIN, TOKYO]
    assert len(server.asked) == 3
    assert "timezone_name" in server.asked[0].query["fields"]


def test_accounts_asked_for_by_id_with_or_without_act_and_a_refused_one_is_told_not_silenced():
    def answer(ask: Ask) -> Any:
        if ask.path.endswith("act_1"):
            return BERLIN
        return Answer({"error": {"code": 200, "message": "(#200) Requires ads_read permission"}}, 403)

    with vendor(answer) as server, opened(server.url, account_ids=["act_1", "3"]) as (api, _):
        found = {account.id: account for account in LOADER.accounts(api)}
        assert read(api, "adaccounts", LOADER.root(api)) == [BERLIN]
    assert [ask.path for ask in server.asked] == ["/v26.0/act_1", "/v26.0/act_3"]
    assert found["1"].error is None
    assert isinstance(found["3"].error, errors.AccountError)


def test_an_account_that_fails_otherwise_is_told_too_but_a_dead_token_stops_the_source():
    def answer(ask: Ask) -> Any:
        if ask.path.endswith("act_1"):
            return BERLIN
        return Answer({"error": {"code": code, "message": "no"}}, 400)

    with vendor(answer) as server, opened(server.url, account_ids=["3", "1"]) as (api, _):
        code = 100
        found = {account.id: account for account in LOADER.accounts(api)}
        assert type(found["3"].error) is errors.VendorError
        assert found["1"].error is None
        code = 190
        with pytest.raises(errors.ConfigurationError):
            LOADER.accounts(api)


def test_an_account_without_a_time_zone_is_not_taken_for_one_in_utc():
    nowhere = {"id": "act_2", "account_id": "2", "timezone_name": None}
    with vendor(lambda ask: {"data": [BERLIN, nowhere]}) as server, opened(server.url) as (api, _):
        assert [account.timezone for account in LOADER.accounts(api)] == ["Europe/Berlin", None]


# --- errors -------------------------------------------------------------------------------------------------


def reply(status: int, headers: dict[str, str] | None = None, **error: Any) -> Reply:
    return Reply(status, httpx.Headers(headers or {}), json.dumps({"error": error}).encode())


REDUCE = "Please reduce the amount of data you're asking for, then retry your request"
TABLE = [
    *[
        (400, code, None, "too many calls", errors.Throttled)
        for code in (4, 17, 32, 613, 341, 80000, 80003, 80004, 80014)
    ],
    (403, 4, 1504022, "There have been too many calls from this app", errors.Throttled),
    (400, 613, 1487742, "too many calls from this ad account", errors.Throttled),
    (500, 1, None, REDUCE, errors.TooLarge),
    (400, 100, 1487534, REDUCE, errors.TooLarge),
    (400, 100, None, "(#100) The After Cursor specified exceeds the max limit supported", errors.TooLarge),
    (500, 1, 99, "An unknown error occurred", errors.Transient),
    (400, 2, None, "(#2) Service temporarily unavailable", errors.Transient),
    (503, None, None, "", errors.Transient),
    (400, 2601, 1815107, "Error accessing adreport job.", errors.Transient),
    (400, 2637, None, "not ready", errors.Transient),
    (400, 960, None, "batch timed out", errors.Transient),
    (400, 104, None, "connection reset", errors.Transient),
    *[(400, 190, sub, "token", errors.ConfigurationError) for sub in (458, 459, 460, 463, 464, 467, 492)],
    (400, 2635, None, "(#2635) You are calling a deprecated version", errors.ConfigurationError),
    (400, 100, None, "(#100) Missing permissions", errors.AccountError),
    (400, 100, 33, "Unsupported get request. Object with ID 'act_1' does not exist", errors.AccountError),
    (403, 200, None, "(#200) Requires ads_management permission", errors.AccountError),
    (403, 10, None, "(#10) no permission", errors.AccountError),
    (400, 100, None, "(#100) Tried accessing nonexisting field", errors.VendorError),
    (200, 100, None, "an error with status 200", errors.VendorError),
]


@pytest.mark.parametrize(("status", "code", "sub", "text", "kind"), TABLE)
def test_every_error_of_the_sheet_is_what_it_means(status, code, sub, text, kind):
    named = {"code": code, "error_subcode": sub, "message": text, "type": "OAuthException"}
    error = classify(reply(status, **{name: value for name, value in named.items() if value is not None}))
    assert type(error) is kind


def test_what_meta_calls_transient_is_retried_but_not_a_dead_token():
    assert type(classify(reply(400, code=12345, is_transient=True))) is errors.Transient
    assert type(classify(reply(400, code=190, is_transient=True))) is errors.ConfigurationError


def test_no_error_member_is_no_error():
    assert classify(Reply(200, httpx.Headers(), b'{"data":[]}')) is None
    assert classify(Reply(200, httpx.Headers(), b'[{"id":"1"}]')) is None


def test_a_report_run_that_does_not_exist_is_lost_and_no_lack_of_rights():
    error = reply(400, code=100, error_subcode=33, message="Object with ID '9' does not exist")
    assert type(classify_run(error)) is errors.Lost


CASES = {
    "minutes": (
        {
            "x-business-use-case-usage": {
                "1": [{"type": "ads_insights", "estimated_time_to_regain_access": 7}]
            }
        },
        420,
    ),
    "the longest of several types": (
        {
            "x-business-use-case-usage": {
                "1": [{"estimated_time_to_regain_access": 0}, {"estimated_time_to_regain_access": 3}],
                "2": [{"estimated_time_to_regain_access": 1}],
            }
        },
        180,
    ),
    "seconds": ({"x-ad-account-usage": {"acc_id_util_pct": 100, "reset_time_duration": 100}}, 100),
    "minutes go before seconds": (
        {
            "x-business-use-case-usage": {"1": [{"estimated_time_to_regain_access": 1}]},
            "x-ad-account-usage": {"reset_time_duration": 300},
        },
        60,
    ),
    "no wait told": ({"x-app-usage": {"call_count": 100}}, None),
    "no header": ({}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_wait_stands_in_minutes_in_one_header_and_in_seconds_in_another(name):
    headers, seconds = CASES[name]
    sent = {key: json.dumps(value) for key, value in headers.items()}
    assert wait_seconds(reply(400, sent, code=80000)) == seconds


@pytest.mark.parametrize(
    "header",
    ["", "busy", "[]", '{"1": 3}', '{"1": [3]}', '{"1": [{"estimated_time_to_regain_access": null}]}'],
)
def test_a_usage_header_in_a_form_of_its_own_is_no_reason_to_fail(header):
    assert wait_seconds(reply(400, {"x-business-use-case-usage": header}, code=80000)) is None


def test_the_fullest_quota_of_all_usage_headers_counts():
    headers = {
        "x-app-usage": '{"call_count":28,"total_time":25,"total_cputime":25}',
        "x-business-use-case-usage": '{"1":[{"call_count":7},{"total_cputime":94,"total_time":2}]}',
        "x-fb-ads-insights-throttle": '{"app_id_util_pct":0.5,"acc_id_util_pct":91.5}',
    }
    assert used(reply(200, headers)) == 94.0
    assert used(reply(200, headers | {"x-ad-account-usage": '{"acc_id_util_pct":99.67}'})) == 99.67
    assert used(reply(200, {"x-app-usage": "busy"})) == 0.0


def test_a_run_near_its_quota_rests_between_requests():
    usage = {"x-app-usage": '{"call_count":99}'}
    with (
        vendor(lambda ask: Answer({"data": []}, headers=usage)) as server,
        opened(server.url) as (api, time),
    ):
        read(api, "campaigns")
        read(api, "adsets")
    assert time.slept == [54.0]


def test_throttling_in_http_400_waits_as_long_as_the_header_says():
    usage = json.dumps({"123": [{"type": "ads_insights", "estimated_time_to_regain_access": 5}]})
    limits = [
        Answer(
            {"error": {"code": 80000, "message": "(#80000) too many"}},
            400,
            {"x-business-use-case-usage": usage},
        )
    ]
    with (
        vendor(lambda ask: limits.pop() if limits else {"data": []}) as server,
        opened(server.url) as (api, time),
    ):
        read(api, "campaigns")
    assert 300 <= time.slept[0] <= 301


def test_190_is_asked_once_and_stops_the_source():
    dead = Answer(
        {
            "error": {
                "code": 190,
                "error_subcode": 463,
                "message": "Session has expired",
                "is_transient": True,
            }
        },
        400,
    )
    with (
        vendor(lambda ask: dead) as server,
        opened(server.url) as (api, time),
        pytest.raises(errors.ConfigurationError, match=r"sources\.facebook_ads\.access_token"),
    ):
        LOADER.accounts(api)
    assert len(server.asked) == 1
    assert time.slept == []


def test_a_vendors_message_that_echoes_the_token_is_redacted():
    echo = Answer({"error": {"code": 190, "message": f"Malformed access token {TOKEN}"}}, 400)
    with (
        vendor(lambda ask: echo) as server,
        opened(server.url) as (api, _),
        pytest.raises(errors.ConfigurationError) as caught,
    ):
        LOADER.accounts(api)
    assert TOKEN not in str(caught.value)


def test_service_unavailable_as_text_with_200_is_retried():
    first = [Answer("Service Unavailable")]
    with vendor(lambda ask: first.pop() if first else {"data": []}) as server, opened(server.url) as (api, _):
        assert read(api, "campaigns") == []
    assert len(server.asked) == 2


# --- answers that are too large -----------------------------------------------------------------------------


def large(code: int, sub: int | None) -> Answer:
    return Answer(
        {"error": {"code": code, "error_subcode": sub, "message": REDUCE}}, 500 if code == 1 else 400
    )


def span(ask: Ask) -> tuple[date, date]:
    told = json.loads((ask.form if ask.method == "POST" else ask.query)["time_range"])
    return date.fromisoformat(told["since"]), date.fromisoformat(told["until"])


@pytest.mark.parametrize(("code", "sub"), [(1, None), (100, 1487534)])
def test_a_window_that_is_too_large_is_split_at_once_and_no_day_is_lost_or_doubled(code, sub):
    def answer(ask: Ask) -> Any:
        since, until = span(ask)
        if (until - since).days > 5:
            return large(code, sub)
        return {"data": [{"date_start": str(since + timedelta(n))} for n in range((until - since).days + 1)]}

    with vendor(answer) as server, opened(server.url) as (api, time):
        rows = read(api, "insights_account")
    assert [row["date_start"] for row in rows] == [str(WINDOW.since + timedelta(n)) for n in range(28)]
    assert time.slept == []


def test_a_report_run_that_keeps_failing_is_split_by_days():
    orders: dict[str, tuple[date, date]] = {}

    def answer(ask: Ask) -> Any:
        if ask.method == "POST":
            orders[run := str(900 + len(orders))] = span(ask)
            return {"report_run_id": run}
        since, until = orders[ask.path.split("/")[2]]
        if not ask.path.endswith("insights"):
            failed = (until - since).days >= 14
            return {
                "async_status": "Job Failed" if failed else "Job Completed",
                "async_percent_completion": 0,
            }
        return {"data": [{"since": str(since), "until": str(until)}]}

    with vendor(answer) as server, opened(server.url) as (api, _):
        rows = read(api, "insights_ad")
    assert rows == [
        {"since": "2026-02-01", "until": "2026-02-14"},
        {"since": "2026-02-15", "until": "2026-02-28"},
    ]
    assert len(orders) == 4  # the whole window twice, then its halves


def test_entities_that_are_too_large_come_in_shorter_pages():
    def answer(ask: Ask) -> Any:
        return large(1, None) if int(ask.query["limit"]) > 30 else {"data": [{"id": "1"}]}

    with vendor(answer) as server, opened(server.url) as (api, _):
        assert read(api, "adsets") == [{"id": "1"}]
    assert [ask.query["limit"] for ask in server.asked] == ["200", "100", "50", "25"]


# --- report runs --------------------------------------------------------------------------------------------


class Run(Graph):
    """A report run whose status, and whose first reading, are told from lists."""

    def __init__(self, *polls: Any, readings: Any = ()) -> None:
        super().__init__([{"date_start": "2026-02-01"}])
        self.polls, self.readings = list(polls), list(readings)

    def __call__(self, ask: Ask) -> Any:
        if ask.method == "GET" and ask.path.endswith("/insights"):
            return self.readings.pop(0) if self.readings else super().__call__(ask)
        if ask.method == "GET" and self.polls:
            found = self.polls.pop(0)
            return (
                found
                if isinstance(found, Answer)
                else {"async_status": found[0], "async_percent_completion": found[1]}
            )
        return super().__call__(ask)


MISSING = Answer({"error": {"code": 100, "error_subcode": 33, "message": "does not exist"}}, 400)
NOT_READY = Answer(
    {"error": {"code": 2601, "error_subcode": 1815107, "message": "Error accessing adreport job."}}, 400
)


def run(graph: Run) -> tuple[list[str], list[dict[str, Any]]]:
    with vendor(graph) as server, opened(server.url) as (api, _):
        rows = read(api, "insights_ad")
    return [ask.path.removeprefix("/v26.0/") for ask in server.asked], rows


def test_100_percent_but_still_running_is_not_read():
    paths, rows = run(Run(("Job Started", 0), ("Job Running", 100), ("Job Running", 100)))
    assert paths == ["act_123/insights", "900", "900", "900", "900", "900/insights"]
    assert len(rows) == 1


@pytest.mark.parametrize("state", ["Job Failed", "Job Skipped"])
def test_a_failed_or_skipped_run_is_submitted_again(state):
    paths, rows = run(Run(("Job Running", 10), (state, 0)))
    assert paths == ["act_123/insights", "900", "900", "act_123/insights", "901", "901/insights"]
    assert len(rows) == 1


def test_a_run_polled_too_early_does_not_exist_yet():
    paths, rows = run(Run(MISSING, ("Job Running", 0)))
    assert paths == ["act_123/insights", "900", "900", "900", "900/insights"]
    assert len(rows) == 1


def test_a_run_just_completed_may_not_be_readable_yet():
    paths, rows = run(Run(readings=[NOT_READY, NOT_READY]))
    assert paths == ["act_123/insights", "900", "900/insights", "900/insights", "900/insights"]
    assert len(rows) == 1


def test_an_expired_run_is_submitted_again():
    paths, rows = run(Run(readings=[MISSING]))
    assert paths == ["act_123/insights", "900", "900/insights", "act_123/insights", "901", "901/insights"]
    assert len(rows) == 1


# --- against the simulator ----------------------------------------------------------------------------------


NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
PARTS = ("impressions", "clicks", "spend")


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=7, days=40, now=NOW, facebook_app_secret="sim-app-secret") as running:
        yield running


@pytest.fixture
def sim(simulator: Simulator) -> Iterator[Simulator]:
    yield simulator
    simulator.clear_faults()


@contextmanager
def simulated(sim: Simulator) -> Iterator[tuple[Api, Time]]:
    env = {
        name.rsplit("__", 1)[1].lower(): value
        for name, value in sim.settings_env().items()
        if "FACEBOOK" in name
    }
    with opened(env.pop("base_url"), **env) as found:
        yield found


def totals(rows: list[dict[str, Any]]) -> dict[str, list[Decimal]]:
    days: dict[str, list[Decimal]] = {}
    for row in rows:
        day = days.setdefault(row["date_start"], [Decimal(0)] * 3)
        days[row["date_start"]] = [
            sum_ + Decimal(row.get(part, "0")) for sum_, part in zip(day, PARTS, strict=True)
        ]
    return days


@pytest.fixture(scope="module")
def plain(simulator: Simulator) -> dict[str, list[dict[str, Any]]]:
    """Everything of the first account, read without a fault."""
    with simulated(simulator) as (api, _):
        account = LOADER.accounts(api)[0]
        return {
            name: read(api, name, account if RESOURCES[name].per_account else LOADER.root(api))
            for name in RESOURCES
        }


def test_the_whole_account_is_read_and_its_levels_agree(plain):
    assert all(plain.values())
    assert totals(plain["insights_campaign"]) == totals(plain["insights_account"])
    ads, campaigns = totals(plain["insights_ad"]), totals(plain["insights_campaign"])
    assert all(ads[day][2] <= campaigns[day][2] for day in ads)
    assert {"DELETED", "ARCHIVED"} <= {
        row["effective_status"] for row in plain["ads"] + plain["campaigns"] + plain["adsets"]
    }
    known = {row["id"] for row in plain["ads"]}
    deleted = {row["id"] for row in plain["ads"] if row["effective_status"] == "DELETED"}
    assert deleted & {row["ad_id"] for row in plain["insights_ad"]}
    assert {row["ad_id"] for row in plain["insights_ad"]} <= known
    keys = [(row["ad_id"], row["date_start"]) for row in plain["insights_ad"]]
    assert len(keys) == len(set(keys))


PASSING_FAULTS = {
    "throttle": {"count": 3, "wait_seconds": 120},
    "server_error": {"count": 3, "status": 503},
    "truncated_body": {"count": 2},
    "html_body": {"count": 2},
    "duplicate_page": {"count": 1},
    "failed_report": {"count": 1, "kind": "failed"},
    "failed_report skipped": {"count": 1, "kind": "skipped"},
    "failed_report expired": {"count": 1, "kind": "expired"},
    "failed_report unknown_yet": {"count": 1, "kind": "unknown_yet"},
    "stuck_report": {"polls": 4},
    "stuck_report for good": {"count": 1},
    "too_large": {"count": 2, "code": 100},
    "too_large by code 1": {"count": 2, "code": 1},
    "mid_stream_error": {"count": 1},
}


@pytest.mark.parametrize("name", PASSING_FAULTS)
def test_a_fault_that_passes_changes_nothing_in_what_is_read(sim, plain, name, monkeypatch):
    monkeypatch.setattr(facebook, "INSIGHTS_LIMIT", 300)  # so that there is a page in the middle
    with simulated(sim) as (api, _):
        account = LOADER.accounts(api)[0]
        sim.fault(name.split()[0], **PASSING_FAULTS[name])
        for table in ("ads", "insights_ad", "insights_account"):
            assert sorted(map(str, read(api, table, account))) == sorted(map(str, plain[table])), table
    (rule,) = sim.state.faults._rules[name.split()[0]]
    assert rule.struck


def test_a_forbidden_account_is_an_account_error_and_the_others_are_read(sim):
    with simulated(sim) as (api, _):
        first, second, *_rest = LOADER.accounts(api)
        sim.fault("forbidden_account", account=first.id)
        with pytest.raises(errors.AccountError):
            read(api, "campaigns", first)
        assert read(api, "campaigns", second)


def test_a_dead_token_stops_the_source(sim):
    sim.fault("expired_token")
    with simulated(sim) as (api, time), pytest.raises(errors.ConfigurationError):
        LOADER.accounts(api)
    assert time.slept == []


def test_a_wait_of_hours_stops_with_a_clear_message(sim):
    with simulated(sim) as (api, time):
        account = LOADER.accounts(api)[0]
        sim.fault("throttle", wait_seconds=7200)
        with pytest.raises(errors.GaveUp, match="asks to wait 7200 s"):
            read(api, "campaigns", account)
    assert time.slept == []
