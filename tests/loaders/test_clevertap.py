"""CleverTap: every trap of its API, on the wire, against the simulator, and into the warehouse."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import msgspec
import pytest

from loaders._core import errors
from loaders._core.configure import settings_of
from loaders._core.declare import Account, Clock, Window
from loaders._core.http import Reply
from loaders._core.run import Result, SourceRun
from loaders._core.stream import OfDay, whole
from loaders._core.warehouse import Target
from loaders.clevertap import LOADER, REGIONS, Project, classify
from simulators.server import CLEVERTAP_EVENTS, Simulator
from tests.loaders.crowd import BEGIN, Crowd, device, event, person
from tests.loaders.wire import Answer, Ask, Time, vendor

PASSCODE = "ZQA-KYL-WZRK-77"
DAY = date(2026, 3, 4)
ONE_DAY = Window(DAY, DAY)
NAME = "App Launched"
CURSOR = "ZyZjfQYJBQRiYmB%2FKz8NegQGCAJj%2B" + "YmpjfgMAAAE" * 150 + "%3D"
REAL = Path(__file__).parents[3] / "shared" / "data" / "clevertap"


# --- helpers ------------------------------------------------------------------------------------------------


def settings(url: str, **changes: Any) -> Any:
    chosen = LOADER.settings()
    known = {"base_url": url, "account_id": "R78", "passcode": PASSCODE, "timezone": "Europe/Berlin"}
    for name, value in (known | {"event_names": [NAME]} | changes).items():
        setattr(chosen, name, value)
    return chosen


@contextmanager
def opened(url: str, **changes: Any) -> Iterator[tuple[Project, Time]]:
    time = Time()
    now = Clock(datetime(2026, 3, 9, 12, tzinfo=UTC))
    with LOADER.connect(settings(url, **changes), now) as project:
        project.http.clock, project.http.sleep = time.clock, time.sleep
        yield project, time


def read(
    project: Project, name: str = "events", window: Window | None = ONE_DAY, account: str = NAME
) -> list[dict[str, Any]]:
    (resource,) = [each for each in LOADER.resources_of(project.settings) if each.name == name]
    documents = resource.read(project, Account(account), window if resource.day else None)
    found = [json.loads(document) for document in whole(documents)]
    return [row for each in found for row in each.get(resource.records[0], [])] if resource.records else found


class Exports:
    """CleverTap in its plainest form: each order gets the same pages, each page the next cursor."""

    def __init__(self, *pages: list[Any], end: Any = None) -> None:
        self.pages, self.end = list(pages), {} if end is None else {"next_cursor": end}
        self.before: list[Answer] = []  # answers to GET that come first

    def __call__(self, ask: Ask) -> Any:
        if ask.method == "POST":
            return {"cursor": f"{CURSOR}0", "status": "success"}
        if self.before:
            return self.before.pop(0)
        number = int(ask.target.removeprefix("/1/events.json?cursor=").removeprefix(CURSOR))
        last = number + 1 == len(self.pages)
        following = self.end if last else {"next_cursor": f"{CURSOR}{number + 1}"}
        return {"status": "success", "records": self.pages[number], **following}


def fail(status: int, text: str, code: int | None = None) -> Answer:
    return Answer({"status": "fail", "error": text, "code": status if code is None else code}, status)


IN_PROGRESS = {"status": "fail", "error": "Request still in progress, please retry later", "code": 2}
NOT_ALLOWED = "Export not allowed for this event"


# --- what is asked for --------------------------------------------------------------------------------------


def test_an_export_is_ordered_for_each_single_day_and_says_which_day_its_records_are_of() -> None:
    with vendor(Exports([{"ts": 1}])) as server, opened(server.url) as (project, _):
        (events,) = [each for each in LOADER.resources_of(project.settings) if each.name == "events"]
        window = Window(date(2026, 2, 28), date(2026, 3, 1))
        documents = list(events.read(project, Account(NAME), window))
    orders = [ask for ask in server.asked if ask.method == "POST"]
    assert [order.json for order in orders] == [
        {"event_name": NAME, "from": 20260228, "to": 20260228},
        {"event_name": NAME, "from": 20260301, "to": 20260301},
    ]
    assert orders[0].target == "/1/events.json?batch_size=5000&app=true&events=true&profile=true"
    days = [each.day for each in documents if isinstance(each, OfDay)]
    assert days == [date(2026, 2, 28), date(2026, 3, 1)]


def test_the_passcode_is_a_header_and_content_type_is_sent_on_post_only(caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with vendor(Exports([{"ts": 1}])) as server, opened(server.url) as (project, _):
        read(project)
    order, page = server.asked
    for ask in (order, page):
        assert (ask.headers["x-clevertap-account-id"], ask.headers["x-clevertap-passcode"]) == (
            "R78",
            PASSCODE,
        )
        assert PASSCODE not in ask.target + ask.body
    assert order.headers["content-type"] == "application/json"
    assert "content-type" not in page.headers
    assert PASSCODE not in caplog.text


def test_a_cursor_travels_byte_for_byte_as_it_came() -> None:
    odd = "a%2Bb%2fc%3D%20+/=:@!$'()*,;?~-._"
    answers = [{"status": "success", "cursor": odd}, {"status": "success", "records": []}]
    with vendor(lambda ask: answers.pop(0)) as server, opened(server.url) as (project, _):
        assert read(project) == []
    assert server.asked[1].target == f"/1/events.json?cursor={odd}"


def test_a_cursor_that_is_not_encoded_can_not_reach_beyond_its_parameter() -> None:
    answers = [{"status": "success", "cursor": "a b&app=false#c"}, {"status": "success", "records": []}]
    with vendor(lambda ask: answers.pop(0)) as server, opened(server.url) as (project, _):
        read(project)
    assert server.asked[1].target == "/1/events.json?cursor=a%20b%26app=false%23c"


@pytest.mark.parametrize("region", REGIONS)
def test_each_region_has_its_host(region: str) -> None:
    project = LOADER.connect(settings("", region=region.upper()), Clock())
    assert project.http.base_url == f"https://{region}.api.clevertap.com/1"


def test_the_old_host_can_be_named() -> None:
    project = LOADER.connect(settings("https://api.clevertap.com"), Clock())
    assert project.http.base_url == "https://api.clevertap.com/1"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"region": "eu9"}, "region is 'eu9'; there are eu1, in1"),
        ({"timezone": "Berlin"}, "timezone is 'Berlin'"),
    ],
)
def test_a_wrong_setting_is_named(wrong: dict[str, str], told: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=told):
        LOADER.connect(settings("", **wrong), Clock())


def test_campaigns_are_asked_for_over_31_days_of_the_projects_time_zone() -> None:
    late = Clock(datetime(2026, 3, 31, 23, tzinfo=UTC))  # in Kolkata it is April
    rows = [{"message id": 7, "sent": 3}]
    with (
        vendor(lambda ask: {"status": "success", "messages": rows, "targets": []}) as server,
        LOADER.connect(settings(server.url, timezone="Asia/Kolkata"), late) as project,
    ):
        assert read(project, "message_report", None) == rows
        assert read(project, "targets", None) == []
    assert [(ask.path, ask.json) for ask in server.asked] == [
        ("/1/message/report.json", {"from": 20260302, "to": 20260401}),
        ("/1/targets/list.json", {"from": 20260302, "to": 20260401}),
    ]


def test_results_are_asked_for_campaign_by_campaign_and_those_without_are_left_out() -> None:
    """Without one: as the API's page has it (409), as was observed (500, and 200 with an error), or gone."""
    answers: dict[int, Any] = {
        1: {"status": "success", "result": {"sent": 7, "clicked": 9007199254740993}},
        2: fail(409, "not ready"),
        3: fail(500, "This target has no result as of yet"),
        4: {"status": "success", "error": "This target hasn't been completed", "code": 200},
        5: fail(400, "Invalid campaign id"),
        6: {"status": "success", "result": {"sent": 0, "clicked": 0}},
    }

    def answer(ask: Any) -> Any:
        if ask.path.endswith("list.json"):
            return {"status": "success", "targets": [{"id": number} for number in answers]}
        return answers[ask.json["id"]]

    with vendor(answer) as server, LOADER.connect(settings(server.url), Clock()) as project:
        assert read(project, "target_results", None) == [
            {"id": 1, "result": {"sent": 7, "clicked": 9007199254740993}},
            {"id": 6, "result": {"sent": 0, "clicked": 0}},
        ]
    assert len(server.asked) == 7  # nothing is asked twice


@pytest.mark.parametrize(
    ("listed", "result", "message"),
    [
        ({"key": 1}, {}, "a campaign has no id"),
        ({"id": 1}, {"status": "success", "outcome": {}}, "the answer has no result"),
    ],
)
def test_a_result_in_another_form_is_an_error(listed: Any, result: Any, message: str) -> None:
    def answer(ask: Any) -> Any:
        return {"status": "success", "targets": [listed]} if ask.path.endswith("list.json") else result

    with (
        vendor(answer) as server,
        LOADER.connect(settings(server.url), Clock()) as project,
        pytest.raises(errors.VendorError, match=message),
    ):
        read(project, "target_results", None)


def test_profiles_are_selected_by_some_of_the_events_only() -> None:
    def of(**changes: Any) -> dict[str, list[str]]:
        loader = LOADER.made_for(settings("", **changes))
        names = [each.id for each in loader.accounts(LOADER.connect(settings("", **changes), Clock()))]
        return {name: loader.reports_of(name) for name in names}

    assert of(event_names=["A", "B"]) == {"A": ["events", "profiles"], "B": ["events"]}
    assert of(event_names=["A", NAME]) == {"A": ["events"], NAME: ["events", "profiles"]}
    assert of(event_names=[]) == {NAME: ["profiles"]}
    assert of(event_names=["A"], profiles_of=["C"]) == {"A": ["events"], "C": ["profiles"]}


# --- pages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("end", [None, "", {"null": None}])
def test_pages_of_any_size_also_empty_ones_are_followed_to_the_last(end: Any) -> None:
    pages = [[], [{"n": 1}], [{"n": n} for n in range(2, 9)], [], [{"n": 9}]]
    exports = Exports(*pages, end=end if not isinstance(end, dict) else None)
    if isinstance(end, dict):
        exports.end = {"next_cursor": None}
    with vendor(exports) as server, opened(server.url, batch_size=5) as (project, _):
        assert [row["n"] for row in read(project)] == list(range(1, 10))
    assert len(server.asked) == 6


def test_two_pages_with_the_same_record_are_two_records() -> None:
    with vendor(Exports([{"ts": 1}], [{"ts": 1}])) as server, opened(server.url) as (project, _):
        assert read(project) == [{"ts": 1}, {"ts": 1}]


def test_a_cursor_that_comes_again_stops_with_an_error() -> None:
    exports = Exports([{"n": 1}], [{"n": 2}], end=f"{CURSOR}1")
    with (
        vendor(exports) as server,
        opened(server.url) as (project, time),
        pytest.raises(errors.BadBody, match="twice"),
    ):
        read(project)
    assert len(server.asked) == 3
    assert time.slept == []


def test_paging_that_has_moved_is_followed_in_both_places() -> None:
    def answer(ask: Ask) -> Any:
        if ask.method == "POST":
            return {"status": "success", "cursor": "0"}
        number = int(ask.query["cursor"])
        following = {"paging": {"next": "1"}} if number == 0 else {"next_cursor": "2"} if number == 1 else {}
        return {"status": "success", "records": [{"n": number}], **following}

    with vendor(answer) as server, opened(server.url) as (project, _):
        assert read(project) == [{"n": 0}, {"n": 1}, {"n": 2}]


@pytest.mark.parametrize(
    ("page", "named"),
    [
        ({"records": [{}], "nextCursor": "x"}, "no cursor that we know, but nextCursor"),
        ({"records": [{}], "paging": {"cursor": "x"}}, "no cursor that we know, but paging.cursor"),
        ({"records": [{}], "links": {"next_page": "x"}}, "no cursor that we know, but links.next_page"),
        ({"events": [{"ts": 1}]}, "no records, but events"),
        ({"data": {"events": [{"ts": 1}]}}, "no records, but data.events"),
    ],
)
def test_paging_or_records_in_a_place_that_nobody_knows_are_an_error_and_no_short_list(
    page: Any, named: str
) -> None:
    answers = [{"status": "success", "cursor": "0"}, {"status": "success", **page}]
    with (
        vendor(lambda ask: answers.pop(0)) as server,
        opened(server.url) as (project, _),
        pytest.raises(errors.VendorError, match=re.escape(named)),
    ):
        read(project)


@pytest.mark.parametrize(
    "page", [{}, {"records": []}, {"paging": {"next": None}}, {"next_cursor": "", "page": []}]
)
def test_a_day_without_records_is_empty_in_any_form(page: Any) -> None:
    answers = [{"status": "success", "cursor": "0"}, {"status": "success", **page}]
    with vendor(lambda ask: answers.pop(0)) as server, opened(server.url) as (project, _):
        assert read(project) == []


def test_an_order_that_is_answered_without_a_cursor_is_an_error() -> None:
    with (
        vendor(lambda ask: {"status": "success"}) as server,
        opened(server.url) as (project, _),
        pytest.raises(errors.VendorError, match="names no cursor"),
    ):
        read(project)


# --- errors -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202])
def test_in_progress_is_asked_for_again_with_the_same_cursor_after_two_seconds(status: int) -> None:
    exports = Exports([{"n": 1}])
    exports.before = [Answer(IN_PROGRESS, status)] * 12  # more often than errors are retried
    with vendor(exports) as server, opened(server.url) as (project, time):
        assert read(project) == [{"n": 1}]
    assert {ask.target for ask in server.asked[1:]} == {f"/1/events.json?cursor={CURSOR}0"}
    assert len(time.slept) == 12
    assert 2 <= time.slept[0] <= 3
    assert min(time.slept) >= 2


def test_accepted_without_a_word_is_in_progress_too() -> None:
    exports = Exports([{"n": 1}])
    exports.before = [Answer(b"", 202)]
    with vendor(exports) as server, opened(server.url) as (project, time):
        assert read(project) == [{"n": 1}]
    assert 2 <= time.slept[0] <= 3


def test_too_many_requests_without_retry_after_back_off_and_do_not_give_up_early() -> None:
    exports = Exports([{"n": 1}])
    exports.before = [fail(429, "Too many concurrent requests")] * 12
    with vendor(exports) as server, opened(server.url) as (project, time):
        assert read(project) == [{"n": 1}]
    assert len(time.slept) == 12
    assert sum(time.slept[6:]) > sum(time.slept[:6])


def test_html_of_a_gateway_is_retried_whatever_its_status() -> None:
    exports = Exports([{"n": 1}])
    html = "<html><title>502 Bad Gateway</title></html>"
    exports.before = [
        Answer(html, 502, {"content-type": "text/html"}),
        Answer(html),
        Answer('{"status":"succ', 200),
    ]
    with vendor(exports) as server, opened(server.url) as (project, time):
        assert read(project) == [{"n": 1}]
    assert len(time.slept) == 3


def test_wrong_credentials_and_wrong_region_look_alike_so_the_error_names_both() -> None:
    for answer in (fail(401, "Invalid credentials"), Answer("<html>", 401)):
        with (
            vendor(lambda ask, answer=answer: answer) as server,
            opened(server.url) as (project, _time),
            pytest.raises(errors.ConfigurationError, match=r"\.passcode.*\.region") as caught,
        ):
            read(project)
        assert len(server.asked) == 1
        assert PASSCODE not in str(caught.value)


def test_a_message_that_echoes_the_passcode_is_redacted() -> None:
    with (
        vendor(lambda ask: fail(401, f"passcode {PASSCODE} is unknown")) as server,
        opened(server.url) as (project, _),
        pytest.raises(errors.ConfigurationError) as caught,
    ):
        read(project)
    assert PASSCODE not in str(caught.value)


def test_an_event_that_is_not_exported_is_an_error_of_that_event_alone() -> None:
    with (
        vendor(lambda ask: fail(400, NOT_ALLOWED)) as server,
        opened(server.url) as (project, _),
        pytest.raises(errors.AccountError, match=r"not allowed.*sources\.clevertap\.event_names"),
    ):
        read(project)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_incorrect_usage_is_never_retried(status: int, method: str) -> None:
    def answer(ask: Ask) -> Any:
        refused = Answer({"status": "fail", "error": "Incorrect Usage", "code": 3}, status)
        return refused if ask.method == method else {"status": "success", "cursor": "0"}

    with (
        vendor(answer) as server,
        opened(server.url) as (project, time),
        pytest.raises(errors.VendorError, match="Incorrect Usage") as caught,
    ):
        read(project)
    assert type(caught.value) is errors.VendorError
    assert time.slept == []
    assert len(server.asked) == (1 if method == "POST" else 2)


def test_an_expired_cursor_is_ordered_anew_and_the_day_begins_anew() -> None:
    exports = Exports([{"n": 1}], [{"n": 2}])

    def answer(ask: Ask) -> Any:
        if ask.target.endswith(f"{CURSOR}1") and not expired:
            expired.append(True)
            return fail(400, "Invalid cursor")
        return exports(ask)

    expired: list[bool] = []
    with vendor(answer) as server, opened(server.url) as (project, time):
        assert read(project) == [{"n": 1}, {"n": 2}]
    assert [ask.method for ask in server.asked] == ["POST", "GET", "GET", "POST", "GET", "GET"]
    assert time.slept == []


def test_cursors_that_always_expire_end_with_an_error() -> None:
    with (
        vendor(
            lambda ask: {"status": "success", "cursor": "0"} if ask.method == "POST" else fail(400, "no")
        ) as server,
        opened(server.url) as (project, _),
        pytest.raises(errors.Lost, match="cursor has expired"),
    ):
        read(project)
    assert [ask.method for ask in server.asked] == ["POST", "GET"] * 3


TABLE = [
    (200, {"status": "fail", "error": "x", "code": 503}, errors.Transient),
    (200, {"status": "fail", "error": "x", "code": 429}, errors.Throttled),
    (200, {"status": "fail", "error": "x", "code": 401}, errors.ConfigurationError),
    (200, {"status": "fail", "error": NOT_ALLOWED, "code": 400}, errors.AccountError),
    (200, {"status": "fail", "error": "x"}, errors.VendorError),
    (200, {"status": "partial", "req_id": "x"}, errors.VendorError),
    (
        200,
        {"status": "success", "error": "This target hasn't been completed", "code": 200},
        errors.VendorError,
    ),
    (200, {"records": []}, errors.VendorError),
    (200, [], errors.VendorError),
    (403, {"status": "fail", "error": "no permission", "code": 403}, errors.AccountError),
    (404, {"status": "fail", "error": "x", "code": 404}, errors.VendorError),
    (409, {"status": "fail", "error": "x", "code": 409}, errors.VendorError),
    (500, {"status": "fail", "error": "This target has no result as of yet", "code": 500}, errors.Transient),
    (503, b"<html>", errors.Transient),
    (200, {"status": "success", "records": []}, None),
    (200, {"status": "success", "error": "", "records": []}, None),
]


@pytest.mark.parametrize(("status", "body", "kind"), TABLE)
def test_every_error_of_the_sheet_is_what_it_means(status: int, body: Any, kind: type | None) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = classify(Reply(status, httpx.Headers(), content))
    assert (None if error is None else type(error)) is kind


# --- against the simulator ----------------------------------------------------------------------------------


NOW = datetime(2026, 3, 9, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator(seed=7, days=9, now=NOW) as simulator:
        yield simulator


@pytest.fixture
def sim(running: Simulator) -> Iterator[Simulator]:
    running.state.people = Crowd(40)
    running.state.clevertap_timezone = "Europe/Berlin"
    running.set_now(NOW)
    yield running
    running.clear_faults()
    running.requests.clear()


def of(sim: Simulator) -> dict[str, Any]:
    prefix = "SOURCES__CLEVERTAP__"
    env = {
        name.removeprefix(prefix).lower(): value
        for name, value in sim.settings_env().items()
        if prefix in name
    }
    return env | {"event_names": [NAME]}


@contextmanager
def simulated(sim: Simulator, **changes: Any) -> Iterator[tuple[Project, Time]]:
    found = of(sim) | changes
    with opened(found.pop("base_url"), **found) as pair:
        yield pair


def test_the_simulator_gives_all_that_was_done_that_day_in_the_recorded_form(sim: Simulator) -> None:
    with simulated(sim) as (project, _):
        rows = read(project)
    done = [each for each in sim.state.people.done if each.at.date() == DAY]
    assert sorted(row["profile"]["objectId"] for row in rows) == sorted(each.object_id for each in done)
    for row in rows:
        assert set(row) == {"profile", "ts", "event_props", "session_props"}
        in_app = {"objectId", "platform", "os_version", "app_version", "make", "model", "df", "events"}
        assert set(row["profile"]) - {"identity", "email", "phone", "name"} == in_app
        assert str(row["ts"]).startswith("202603041")
        signed_in = "identity" in row["profile"]
        assert signed_in == ("email" in row["profile"]) == ("phone" in row["profile"])
    assert {type(row["event_props"]["Screen Count"]) for row in rows} == {int, str}
    assert {type(row["profile"]["phone"]) for row in rows if "phone" in row["profile"]} == {int, str}


@pytest.mark.parametrize("batch", [5, 23, 46, 100, 5000])
def test_pages_are_not_of_the_size_asked_for_and_nothing_is_lost(sim: Simulator, batch: int) -> None:
    with simulated(sim, batch_size=batch) as (project, _):
        whole_day = read(project)
    assert len(whole_day) == 40
    gets = [each for each in sim.requests if each["method"] == "GET"]
    if batch in (23, 46):
        assert len(gets) > 40 / batch


PASSING = {
    "not_ready": {"count": 2},
    "not_ready accepted": {"count": 2, "status": 202},
    "throttle": {"count": 3},
    "server_error": {"count": 3, "status": 503},
    "html_body": {"count": 2, "status": 502},
    "html_body and 200": {"count": 2},
    "truncated_body": {"count": 2},
    "expired_cursor": {"count": 1, "skip": 1},
}


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("resource", ["events", "profiles"])
def test_a_fault_that_passes_changes_nothing_in_what_is_read(
    sim: Simulator, resource: str, name: str
) -> None:
    with simulated(sim, batch_size=23) as (project, _):
        plain = read(project, resource)
        sim.fault(name.split(maxsplit=1)[0], **PASSING[name])
        assert sorted(map(str, read(project, resource))) == sorted(map(str, plain))
    (rule,) = sim.state.faults._rules[name.split(maxsplit=1)[0]]
    assert rule.struck


def test_a_cursor_dies_when_it_is_not_used_for_an_hour(sim: Simulator) -> None:
    base, headers = (
        sim.clevertap_url,
        {"X-CleverTap-Account-Id": "SIM-R78-K45Z", "X-CleverTap-Passcode": "SIM-WZR-RKUL"},
    )
    order = {"event_name": NAME, "from": 20260304, "to": 20260304}
    for resource, minutes, status in (("events", 50, 200), ("events", 70, 400), ("profiles", 70, 200)):
        sim.set_now(NOW)
        cursor = httpx.post(f"{base}/1/{resource}.json?batch_size=5000", json=order, headers=headers).json()[
            "cursor"
        ]
        assert {"%2B", "%2F", "%3D"} <= set(re.findall("%..", cursor))
        sim.set_now(NOW + timedelta(minutes=minutes))
        url = f"{base}/1/{resource}.json?cursor="
        assert httpx.get(url + cursor, headers=headers).status_code == status
        twice = httpx.get(url + cursor.replace("%", "%25"), headers=headers)
        assert (twice.status_code, twice.json()["status"]) == (400, "fail")


def test_the_simulator_refuses_the_fourth_at_once_and_the_loader_never_is(sim: Simulator) -> None:
    sim.fault("slow", seconds=0.3, resource="events")
    headers = {"X-CleverTap-Account-Id": "SIM-R78-K45Z", "X-CleverTap-Passcode": "SIM-WZR-RKUL"}
    order = {"event_name": NAME, "from": 20260304, "to": 20260304}

    def export(_: int) -> int:
        return httpx.post(
            f"{sim.clevertap_url}/1/events.json?batch_size=50", json=order, headers=headers
        ).status_code

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(export, range(5))) == [200, 200, 200, 429, 429]
    sim.requests.clear()
    sim.fault("slow", seconds=0.02)
    with simulated(sim, batch_size=23) as (project, time), ThreadPoolExecutor(3) as pool:
        assert [len(rows) for rows in pool.map(lambda _: read(project), range(3))] == [40, 40, 40]
    assert {each["status"] for each in sim.requests} == {200}
    assert time.slept == []


# --- into the warehouse -------------------------------------------------------------------------------------


class Raw:
    """Runs of the loader into a database of the test's own."""

    def __init__(self, target: Target, url: str, **changes: Any) -> None:
        self.target, self.url, self.changes = target, url, changes
        self.now = NOW

    def run(self, backfill: Window | None = None, **changes: Any) -> Result:
        chosen = settings(self.url, **self.changes | changes)
        return SourceRun(LOADER, chosen, self.target, Clock(self.now), backfill=backfill).execute()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.target.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()

    def current(self, resource: str, columns: str) -> list[tuple[Any, ...]]:
        """Rows of the newest committed sets."""
        return self.query(
            f"select {columns} from raw_clevertap.{resource} r join (select c.*, row_number() over (partition"
            " by account, day order by c.run_seq desc) age from raw_clevertap.covered c join ops.commits"
            f" using (run_seq) where resource = '{resource}') c on c.age = 1 and r._account = c.account"
            " and r._day is not distinct from c.day and r._run_seq = c.data_run_seq order by 1, 2"
        )


@pytest.fixture
def raw(sim: Simulator, target: Target) -> Raw:
    found = of(sim)
    return Raw(target, found.pop("base_url"), **found | {"window_days": 2})


def test_a_day_lands_as_one_set_of_its_event_and_late_events_replace_it(sim: Simulator, raw: Raw) -> None:
    result = raw.run()
    assert (result.outcome, result.message) == ("ok", None)
    days = "_account, _day::text, count(*)"
    assert raw.query(f"select {days} from raw_clevertap.events group by 1, 2 order by 2") == [
        (NAME, "2026-03-07", 40),
        (NAME, "2026-03-08", 40),
    ]
    late = sim.state.people.done[-1]
    crowd = sim.state.people
    crowd.done.append(event(NAME, late.at.replace(day=7), crowd.everyone[0].devices[0].object_id, step="x"))
    raw.now = NOW + timedelta(minutes=5)  # the simulator looks again when its clock has moved
    sim.set_now(raw.now)
    assert raw.run().outcome == "ok"
    counts = [day for _, day in raw.current("events", "ts, _day::text")]
    assert {day: counts.count(day) for day in counts} == {"2026-03-07": 41, "2026-03-08": 40}


def test_two_equal_events_both_land(sim: Simulator, raw: Raw) -> None:
    crowd = sim.state.people
    crowd.done = [crowd.done[0]] * 2
    raw.run(backfill=Window(BEGIN.date(), BEGIN.date()))
    rows = raw.current("events", "ts, profile__object_id")
    assert len(rows) == 2
    assert rows[0] == rows[1]


def test_a_refused_event_is_told_and_the_others_land(sim: Simulator, raw: Raw) -> None:
    result = raw.run(event_names=["Notification Sent", NAME])
    assert result.outcome == "partial"
    assert "account Notification Sent" in result.message
    assert NOT_ALLOWED in result.message
    assert len(raw.current("events", "ts, _day")) == 80
    assert raw.query("select distinct account from raw_clevertap.covered where resource = 'events'") == [
        (NAME,)
    ]


def test_the_projects_day_decides_also_around_midnight_and_summer_time(sim: Simulator, raw: Raw) -> None:
    one = sim.state.people.everyone[1].devices[0].object_id
    instants = ["28T23:30", "29T00:59", "29T01:00", "29T21:59", "29T22:00"]
    sim.state.people.done = [
        event(NAME, datetime.fromisoformat(f"2026-03-{each}+00:00"), one) for each in instants
    ]
    raw.now = datetime(2026, 3, 29, 22, 30, tzinfo=UTC)  # the 30th in Berlin
    sim.set_now(raw.now)
    raw.run()
    assert raw.current("events", "_day::text, ts") == [
        ("2026-03-29", "20260329003000"),
        ("2026-03-29", "20260329015900"),
        ("2026-03-29", "20260329030000"),
        ("2026-03-29", "20260329235900"),
        ("2026-03-30", "20260330000000"),
    ]


def test_the_set_lands_anew_when_only_profiles_have_changed(sim: Simulator, raw: Raw) -> None:
    """Profiles are as of the export: the same events, exported again, tell of them what is known now."""
    crowd = sim.state.people
    crowd.done = [each for each in crowd.done if each.at.day == 8]
    raw.run()
    anonymous = [
        row for row in raw.current("events", "profile__object_id, profile__identity") if row[1] is None
    ]
    assert anonymous
    first = next(each for each in crowd.everyone if each.devices[0].object_id == anonymous[0][0])
    raw.now = NOW + timedelta(hours=1)
    sim.set_now(raw.now)
    crowd.done.append(
        event("Signed Up", NOW + timedelta(minutes=5), first.devices[0].object_id, first.user_id)
    )
    raw.run()
    told = dict(raw.current("events", "profile__object_id, profile__identity"))
    assert told[first.devices[0].object_id] == first.user_id
    assert len(told) == 40


def test_mixed_types_and_free_keys_land_as_they_were_sent(sim: Simulator, raw: Raw) -> None:
    crowd = sim.state.people
    crowd.done = crowd.done[:2]
    raw.run(backfill=Window(BEGIN.date(), BEGIN.date()))
    properties = [row[0] for row in raw.current("events", "event_props, ts")]
    assert properties == [
        '{"CT App Version":"1.1.7","Screen Count":"4","ratio":"0.1"}',
        '{"CT App Version":"1.1.7","Screen Count":3,"ratio":0.1}',
    ]


def test_a_phone_lands_as_text_whether_it_came_as_a_number_or_not(sim: Simulator, raw: Raw) -> None:
    raw.run()
    phones = {row[0]: row[1] for row in raw.current("profiles", "name, phone") if row[0]}
    assert phones["Zoë 3"] == "491510000003"
    assert phones["Zoë 5"] == "+491510000005"


def test_profiles_hold_what_is_known_of_a_person_or_else_of_a_device(sim: Simulator, raw: Raw) -> None:
    crowd = sim.state.people
    two = person(99, device("__gA"), device("__gB", "iOS"))
    crowd.everyone.append(two)
    for each in two.devices:
        crowd.done.append(event(NAME, NOW - timedelta(hours=1), each.object_id, two.user_id))
    raw.run()
    columns = "coalesce(identity, object_id), email, profile_data, platform_info, _day::text, events"
    rows = [row for row in raw.current("profiles", columns) if row[4] == "2026-03-09"]
    ((identity, email, custom, platforms, _, events),) = rows
    assert (identity, email) == (two.user_id, two.email)
    assert json.loads(custom)["Customer Type"] == "free"
    assert [each["objectId"] for each in json.loads(platforms)] == ["__gA", "__gB"]
    assert json.loads(events)[NAME]["first_seen"] == int((NOW - timedelta(hours=1)).timestamp())
    (anonymous,) = [
        row
        for row in raw.current("profiles", "object_id, identity, email, _day::text")
        if row[0] == f"__g{0:032x}" and row[3] == "2026-03-08"
    ]
    assert anonymous[1:3] == (None, None)


def test_campaigns_land_as_snapshots_of_the_project(sim: Simulator, raw: Raw) -> None:
    raw.run()
    first = raw.current("message_report", "message_id, _account, sent, viewed, labels, device")
    assert {row[1] for row in first} == {"SIM-R78-K45Z"}
    assert first[0][4:] == ('["weekly"]', '["Android","iOS"]')
    assert raw.current("targets", "id, scheduled_on, status")
    ended = {id for id, status in raw.current("targets", "id, status") if status == "completed"}
    assert ended
    assert {id for id, _ in raw.current("target_results", "id, result__sent")} == ended
    raw.now = NOW + timedelta(days=1)
    sim.set_now(raw.now)
    raw.run()
    assert int(raw.current("message_report", "message_id, viewed")[-1][1]) > int(first[-1][3])
    kept = raw.query("select count(distinct _run_seq) from raw_clevertap.message_report")
    assert kept == [(2,)]  # the figures count up: each reading stays


def test_the_columns_that_staging_reads_exist_before_any_value_has(sim: Simulator, raw: Raw) -> None:
    sim.state.people.done = []
    assert raw.run().outcome == "ok"
    made = "select column_name from information_schema.columns where table_schema = 'raw_clevertap'"
    made += " and table_name = "
    events = {name for (name,) in raw.query(f"{made} 'events'")}
    assert {
        "ts",
        "event_props",
        "profile__object_id",
        "profile__df",
        "session_props__fbclid",
        "_day",
    } <= events
    assert {"identity", "profile_data", "platform_info"} <= {
        name for (name,) in raw.query(f"{made} 'profiles'")
    }
    assert {"message_id", "conversion_event"} <= {name for (name,) in raw.query(f"{made} 'message_report'")}


def test_an_expired_cursor_in_the_middle_lands_no_event_twice(sim: Simulator, raw: Raw) -> None:
    sim.fault("expired_cursor", resource="events", skip=2, count=1)
    assert raw.run(batch_size=23).outcome == "ok"
    assert len(raw.current("events", "ts, _day")) == 80
    (rule,) = sim.state.faults._rules["expired_cursor"]
    assert rule.struck


def test_wrong_credentials_stop_the_source_and_nothing_lands(sim: Simulator, raw: Raw) -> None:
    result = raw.run(passcode="AAA-BBB-CCCC")
    assert result.outcome == "failed"
    assert ".region" in result.message
    assert "AAA-BBB" not in result.message
    assert raw.query("select count(*) from ops.commits") == [(0,)]


def test_the_changed_api_lands_with_all_it_sends(sim: Simulator, raw: Raw) -> None:
    """A field is renamed, one nested, one added, one of another type, and paging has moved."""
    raw.run(batch_size=23)
    columns = "profile__object_id, ts, profile__make, profile__os_version"
    before = raw.current("events", columns)
    sim.fault("api_changed")
    sim.requests.clear()
    assert raw.run(batch_size=23).outcome == "ok"
    assert len([each for each in sim.requests if each["method"] == "GET"]) > len(before) / 23
    now = raw.current("events", f"{columns}, profile__manufacturer, profile__os, profile__language")
    assert len(now) == len(before) == 80
    was = {(row[0], row[1]): row[2:] for row in before}
    for object_id, ts, make, version, manufacturer, system, language in now:
        assert (make, version, language) == (None, None, "en")
        assert (manufacturer, json.loads(system)["version"]) == was[object_id, re.sub(r"\D", "", ts)]
    sim.clear_faults()
    raw.run(batch_size=23)
    assert raw.current("events", columns) == before


def test_all_that_the_simulated_people_did_lands_once(target: Target) -> None:
    """Also what devices uploaded late, in a later run, and nobody's day is lost at midnight."""
    zone, first = ZoneInfo("Europe/Berlin"), date(2026, 2, 20)
    with Simulator(seed=7, scale=0.3, now=NOW, first_day=first) as small:
        small.state.clevertap_timezone = zone.key
        found = of(small) | {"event_names": CLEVERTAP_EVENTS, "start_date": first}
        raw = Raw(target, found.pop("base_url"), **found)
        for now in (NOW - timedelta(days=1), NOW):
            small.set_now(now)
            raw.now = now
            assert raw.run().outcome == "ok"
        done = [each for each in small.state.people.events(NOW) if each.name in CLEVERTAP_EVENTS]
        persons = {each.user_id for each in small.state.people.persons(NOW)}
    late = [each for each in done if each.at < NOW - timedelta(days=1) <= each.uploaded_at]
    assert late
    expected = sorted(
        (each.name, f"{each.at.astimezone(zone):%Y%m%d%H%M%S}", each.object_id)
        for each in done
        if each.at.astimezone(zone).date() >= first
    )
    assert sorted(raw.current("events", "_account, ts, profile__object_id")) == expected
    identities = {row[0] for row in raw.current("profiles", "identity, object_id") if row[0]}
    assert identities
    assert identities <= persons


def test_settings_come_from_the_environment(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sim.settings_env().items():
        monkeypatch.setenv(name, value)
    found = settings_of(LOADER)
    assert (found.base_url, found.timezone, found.window_days) == (sim.clevertap_url, "Europe/Berlin", 5)
    assert "Charged" in found.event_names
    monkeypatch.delenv("SOURCES__CLEVERTAP__TIMEZONE")
    with pytest.raises(errors.ConfigurationError, match=r"sources\.clevertap\.timezone is not set"):
        settings_of(LOADER)


# --- recorded traffic ---------------------------------------------------------------------------------------


def recorded(body: bytes) -> Callable[[Ask], Any]:
    """The recorded answer to an order, then a recorded page."""
    order = (REAL / "apperture_fetch__cursor_response.json").read_bytes()
    return lambda ask: Answer(order if ask.method == "POST" else body)


def landed(raw_value: bytes) -> str | None:
    """The text that raw holds of a value, said independently of the code under test."""
    text = raw_value.decode()
    return None if text == "null" else json.loads(text) if text.startswith('"') else text


@pytest.mark.parametrize("name", ["apperture_fetch__response", "apperture_event_processor__json"])
def test_recorded_records_land_unmodified(target: Target, name: str) -> None:
    if not REAL.exists():
        pytest.skip(f"no recordings at {REAL}: that real records land unmodified is not shown here")
    body = (REAL / f"{name}.json").read_bytes()
    records = msgspec.json.decode(body, type=list[dict[str, msgspec.Raw]] | dict[str, msgspec.Raw])
    if isinstance(records, dict):
        records = msgspec.json.decode(records["records"], type=list[dict[str, msgspec.Raw]])
    else:
        body = b'{"records": %s, "status": "success"}' % body
    with vendor(recorded(body)) as server:
        raw = Raw(target, server.url, timezone="Asia/Kolkata", window_days=0, profiles_of=["None"])
        raw.now = datetime(2022, 11, 19, 15, tzinfo=UTC)
        raw.run()
        cursor = json.loads((REAL / "apperture_fetch__cursor_response.json").read_bytes())["cursor"]
        assert f"/1/events.json?cursor={cursor}" in [ask.target for ask in server.asked]

    expected = []
    for record in records:
        row = {}
        for key, value in record.items():
            if key in ("profile", "session_props"):
                inner = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
                row |= {f"{key}.{each}": landed(bytes(part)) for each, part in inner.items()}
            else:
                row[key] = landed(bytes(value))
        expected.append(row)
    assert sum(map(len, expected)) > 10 * len(expected)
    paths = sorted({path for row in expected for path in row})
    columns = {path: path.replace(".", "__").replace("objectId", "object_id") for path in paths}
    found = raw.query(f"select {', '.join(columns.values())} from raw_clevertap.events order by _row_no")
    assert [dict(zip(columns, row, strict=True)) for row in found] == [
        {path: row.get(path) for path in columns} for row in expected
    ]
