"""Replay serves every recorded row, byte for byte, once, in whatever order the lines stand."""

from __future__ import annotations

import csv
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from simulators import replay
from tests.simulators.serving import serve

RECORDED = Path(__file__).parents[3] / "shared" / "data" / "facebook"
ADS_ACCOUNT, INSIGHTS_ACCOUNT = "act_10152412627713995", "act_10152437784203995"
Write = Callable[..., httpx.Client]


@contextmanager
def served(folder: Path) -> Iterator[httpx.Client]:
    sim = SimpleNamespace(now=datetime(2026, 3, 1, 6, tzinfo=UTC), log_request=lambda *_: None)
    with serve(replay.routes(folder, sim)) as client:
        yield client


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Write exchanges as a recording and serve it."""
    with ExitStack() as stack:

        def write(*exchanges: dict[str, Any]) -> httpx.Client:
            lines = [json.dumps({"method": "GET", "status": 200, **exchange}) for exchange in exchanges]
            (tmp_path / "recording.jsonl").write_text("\n".join(lines))
            return stack.enter_context(served(tmp_path))

        yield write


def rows(client: httpx.Client, path: str, **params: Any) -> list[bytes]:
    """Every row of a list, read as a loader does: by `paging.next` until there is none."""
    found: list[bytes] = []
    url: str | None = str(httpx.URL(f"/graph/v26.0/{path}", params=params))
    for _ in range(200):
        if url is None:
            return found
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        body = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
        found += map(bytes, msgspec.json.decode(body["data"], type=list[msgspec.Raw]))
        url = json.loads(bytes(body.get("paging", b"{}"))).get("next")
    raise AssertionError("paging does not end")


def data(client: httpx.Client, path: str, **params: Any) -> list[Any]:
    return [json.loads(row) for row in rows(client, path, **params)]


def fetch(url: str, body: Any, **more: Any) -> dict[str, Any]:
    return {"url": f"https://graph.facebook.com/v19.0/{url}", "body": body, **more}


# --- the real recording ---


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The recorded traffic, its lines shuffled over other files."""
    if not RECORDED.exists():
        pytest.skip(f"no recorded traffic at {RECORDED}")
    lines = [line for file in sorted(RECORDED.glob("*.jsonl")) for line in file.read_bytes().splitlines()]
    random.Random(3).shuffle(lines)
    folder = tmp_path_factory.mktemp("recording")
    (folder / "b.jsonl").write_bytes(b"\n".join(lines[:50]))
    (folder / "a.jsonl").write_bytes(b"\n".join(lines[50:]) + b"\n\n")
    with served(folder) as client:
        yield client


def recorded_lists() -> Iterator[tuple[str, msgspec.Raw]]:
    """(edge, row) of every list in the files, read without the code under test."""
    for file in sorted(RECORDED.glob("*.jsonl")):
        for line in file.read_bytes().splitlines():
            exchange = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
            path = urlsplit(json.loads(bytes(exchange["url"]))).path.split("/")
            lists = msgspec.json.decode(exchange["body"], type=dict[str, msgspec.Raw])
            for body in lists.values() if len(path) == 3 else [exchange["body"]]:
                page = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
                for row in msgspec.json.decode(page["data"], type=list[msgspec.Raw]):
                    yield f"{file.stem}/{path[-1]}", row


@pytest.mark.parametrize(("edge", "count"), [("ads", 788), ("adsets", 224), ("campaigns", 63)])
def test_every_recorded_row_is_read_once_and_unchanged(
    recording: httpx.Client, edge: str, count: int
) -> None:
    read = rows(recording, f"{ADS_ACCOUNT}/{edge}", fields="id,name", limit=200)
    assert len(read) == count
    assert Counter(read) == Counter(bytes(row) for name, row in recorded_lists() if name == f"ads/{edge}")


def expected(name: str) -> list[list[str]]:
    return list(csv.reader(next((RECORDED / "expected").glob(f"*/{name}__*.csv")).read_text().splitlines()))


def test_entities_agree_with_another_tools_tables(recording: httpx.Client) -> None:
    for edge, columns in {"ads": ("id", "name", "adset_id"), "adsets": ("id", "name", "account_id")}.items():
        read = sorted([row[c] for c in columns] for row in data(recording, f"{ADS_ACCOUNT}/{edge}"))
        assert read == sorted([line[0], line[4], line[5]] for line in expected(edge))


def test_insights_nested_under_ads_are_the_accounts_own(recording: httpx.Client) -> None:
    read = data(recording, f"{INSIGHTS_ACCOUNT}/insights", level="ad", time_increment=1)
    lines = Counter(
        (row["ad_id"], kind, action["action_type"], action["value"], row["impressions"], row["spend"])
        for row in read
        for kind, value in row.items()
        if isinstance(value, list)
        for action in value
    )
    # account, table, ad, kind, type, value, ad again, clicks, first and last day, impressions, reach, spend
    assert lines == Counter((c[2], c[3], c[4], c[5], c[10], c[12]) for c in expected("ads_insights"))
    nested = [
        bytes(row)
        for name, ad in recorded_lists()
        if name == "adsinsights/ads"
        for row in msgspec.json.decode(
            msgspec.json.decode(
                msgspec.json.decode(ad, type=dict[str, msgspec.Raw]).get("insights", b'{"data":[]}'),
                type=dict[str, msgspec.Raw],
            )["data"],
            type=list[msgspec.Raw],
        )
    ]
    assert Counter(rows(recording, f"{INSIGHTS_ACCOUNT}/insights", level="ad")) == Counter(nested)


def test_only_the_days_asked_for(recording: httpx.Client) -> None:
    def on(since: str, until: str) -> int:
        window = json.dumps({"since": since, "until": until})
        return len(rows(recording, f"{INSIGHTS_ACCOUNT}/insights", level="ad", time_range=window))

    days = Counter(row["date_start"] for row in data(recording, f"{INSIGHTS_ACCOUNT}/insights", level="ad"))
    assert days
    assert {day: on(day, day) for day in days} == days
    assert on("2026-01-01", "2026-01-31") == 0


def test_the_days_of_a_recording_are_told() -> None:
    if not RECORDED.exists():
        pytest.skip(f"no recorded traffic at {RECORDED}")
    first, last = (
        min(line[8] for line in expected("ads_insights")),
        max(line[9] for line in expected("ads_insights")),
    )
    assert replay.recorded_days(RECORDED) == (date.fromisoformat(first), date.fromisoformat(last))


def test_accounts_seen_are_listed_with_an_assumed_zone(recording: httpx.Client) -> None:
    accounts = data(recording, "me/adaccounts", fields="id,currency,timezone_name")
    assert {row["id"]: row["timezone_name"] for row in accounts} == {
        ADS_ACCOUNT: "UTC",
        INSIGHTS_ACCOUNT: "UTC",
    }
    assert all("currency" not in row for row in accounts)
    assert recording.get(f"/graph/v26.0/{ADS_ACCOUNT}").json()["account_id"] == ADS_ACCOUNT[4:]


def test_what_was_not_recorded_is_empty(recording: httpx.Client) -> None:
    for path in (f"{ADS_ACCOUNT}/adcreatives", f"{ADS_ACCOUNT}/insights", "act_1/ads"):
        assert recording.get(f"/graph/v26.0/{path}").json() == {"data": []}
    assert recording.get("/graph/v26.0/999").json()["error"]["error_subcode"] == 33
    assert recording.get("/graph/v26.0/act_1/ads?after=nonsense").json()["error"]["code"] == 100


def test_a_recorded_cursor_and_the_ids_form_answer_as_recorded(recording: httpx.Client) -> None:
    cursor = "NjAxOTM2Mzk4NDcwOAZDZD"
    page = recording.get(
        f"/graph/v26.0/{ADS_ACCOUNT}/adsets", params={"after": cursor, "access_token": "t"}
    ).json()
    assert page["data"][0] == {"id": "6019173396908", "name": "EClvd", "account_id": "10152412627713995"}
    assert "next" not in page["paging"]
    keyed = recording.get("/graph/v26.0/adsets", params={"ids": ADS_ACCOUNT}).json()
    assert list(keyed) == [ADS_ACCOUNT]
    assert len(keyed[ADS_ACCOUNT]["data"]) == 25
    assert f"/graph/v26.0/{ADS_ACCOUNT}/adsets?" in keyed[ADS_ACCOUNT]["paging"]["next"]


# --- other forms of recordings ---


def insight(day: str, **fields: str) -> dict[str, str]:
    return {**fields, "impressions": "0.10", "date_start": day, "date_stop": day}


def test_an_async_report_run_is_served_sync_and_async(write: Write) -> None:
    mine = [
        insight("2026-01-01", ad_id="1"),
        insight("2026-01-02", ad_id="1"),
        insight("2026-02-01", ad_id="1"),
    ]
    more = "https://graph.facebook.com/v19.0/77/insights?limit=2&after=Mg&access_token=X"
    client = write(
        fetch("77/insights?limit=2&after=Mg", {"data": mine[2:], "paging": {"cursors": {"after": "Mw"}}}),
        fetch("77", {"id": "77", "async_status": "Job Running", "async_percent_completion": 100}),
        fetch("77/insights?limit=2", {"data": mine[:2], "paging": {"next": more}}),
        fetch("act_5/insights", {"report_run_id": "77"}, method="POST", request={"level": "ad"}),
    )
    window = json.dumps({"since": "2026-01-02", "until": "2026-02-28"})
    assert data(client, "act_5/insights", level="ad") == mine
    asked = {"level": "ad", "time_range": window}
    run = client.post("/graph/v26.0/act_5/insights", data=asked).json()["report_run_id"]
    status = client.get(f"/graph/v26.0/{run}").json()
    assert (status["async_status"], status["async_percent_completion"]) == ("Job Completed", 100)
    assert data(client, f"{run}/insights") == mine[1:]
    assert data(client, "77/insights") == mine
    assert data(client, "act_5/insights", level="campaign") == []


def test_windows_recorded_apart_are_one_list(write: Write) -> None:
    """Page cursors of insights are offsets, so two windows use the same ones."""
    calls, all_rows = [], []
    for month in ("01", "02"):
        mine = [insight(f"2026-{month}-{day:02}", campaign_id="9") for day in range(1, 6)]
        all_rows += mine
        window = f"level=campaign&time_range=%7B%22since%22%3A%222026-{month}-01%22%7D"
        for start in range(0, 5, 2):
            here = f"act_5/insights?{window}" + (f"&after={start}" if start else "")
            paging = {"next": f"https://graph.facebook.com/v19.0/act_5/insights?{window}&after={start + 2}"}
            calls.append(
                fetch(here, {"data": mine[start : start + 2], "paging": paging if start < 4 else {}})
            )
    random.Random(1).shuffle(calls)
    client = write(*calls)
    read = data(client, "act_5/insights", level="campaign")
    assert sorted(read, key=json.dumps) == sorted(all_rows, key=json.dumps)
    january = json.dumps({"since": "2026-01-01", "until": "2026-01-31"})
    assert len(data(client, "act_5/insights", level="campaign", time_range=january)) == 5


def test_one_list_recorded_twice_is_read_once(write: Write) -> None:
    ads = [{"id": str(number)} for number in range(4)]
    again = "https://graph.facebook.com/v19.0/act_5/ads?limit=2&after=x"
    client = write(
        fetch("act_5/ads?limit=9", {"data": ads}),
        fetch("act_5/ads?limit=2", {"data": ads[:2], "paging": {"next": again}}),
        fetch("act_5/ads?limit=2&after=x", {"data": ads[2:], "paging": {}}),
        fetch("act_5/ads?limit=2&after=x", {"error": {"code": 2}}, status=500),
    )
    assert data(client, "act_5/ads") == ads


def test_insights_nested_at_any_depth_get_the_id_they_hang_from(write: Write) -> None:
    deep = {"id": "8", "insights": {"data": [insight("2026-01-01")]}}
    campaign = {"id": "9", "insights": {"data": [insight("2026-01-01")]}, "ads": {"data": [deep]}}
    client = write(fetch("act_5/campaigns", {"data": [campaign]}))
    assert data(client, "act_5/insights", level="campaign") == [insight("2026-01-01") | {"campaign_id": "9"}]
    assert data(client, "act_5/insights", level="ad") == [insight("2026-01-01") | {"ad_id": "8"}]
    assert data(client, "act_5/campaigns") == [campaign]


def test_a_nested_row_does_not_repeat_a_report(write: Write) -> None:
    report = insight("2026-01-01", ad_id="8", spend="1.00")
    nested = {"id": "8", "insights": {"data": [insight("2026-01-01"), insight("2026-01-02")]}}
    client = write(
        fetch("act_5/ads", {"data": [nested]}), fetch("act_5/insights?level=ad", {"data": [report]})
    )
    read = data(client, "act_5/insights", level="ad")
    assert read == [report, insight("2026-01-02") | {"ad_id": "8"}]


def test_recorded_accounts_and_refusals_are_kept(write: Write) -> None:
    refusal = {"error": {"message": "(#200) Requires ads_read", "code": 200}}
    client = write(
        fetch(
            "me/adaccounts", {"data": [{"id": "act_5", "currency": "EUR", "timezone_name": "Europe/Berlin"}]}
        ),
        fetch("act_6/ads", refusal, status=403),
        fetch("act_6/ads?after=x", json.dumps({"data": []})),
        fetch("act_5/ads", refusal, status=403),
    )
    (account,) = data(client, "me/adaccounts")
    assert (account["timezone_name"], account["account_id"]) == ("Europe/Berlin", "5")
    assert client.get("/graph/v26.0/act_5/ads").json() == refusal
    assert client.get("/graph/v26.0/act_5/ads").status_code == 403
    assert data(client, "act_6/ads") == []


def test_exact_text_survives(tmp_path: Path) -> None:
    row = rb'{"id": "9007199254740993", "n":1e-7, "z":0.10,"t":"\u0000\ud83d\ude00 \/","deep":{ "a" :[ 1 ]}}'
    line = (
        b'{"method":"GET","url":"https://graph.facebook.com/act_5/ads","status":200,"body":{"data":['
        + row
        + b"]}}"
    )
    (tmp_path / "x.jsonl").write_bytes(line)
    with served(tmp_path) as client:
        assert rows(client, "act_5/ads") == [row]


def test_a_bad_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \*\.jsonl"):
        replay.read(tmp_path)
    (tmp_path / "x.jsonl").write_text('{"url":"https://graph.facebook.com/me","body":{}}\n{"oops":1}\n')
    with pytest.raises(ValueError, match=r"x\.jsonl:2 is not an exchange"):
        replay.read(tmp_path)


# --- Google ---

DAY = (
    "SELECT campaign.id, metrics.clicks, segments.date FROM campaign "
    "WHERE segments.date BETWEEN '{}' AND '{}'"
)
ACTION = DAY.replace("metrics.clicks", "segments.conversion_action, metrics.conversions")


def google_call(customer: str, body: Any, query: str | None = None, **more: Any) -> dict[str, Any]:
    url = f"https://googleads.googleapis.com/v21/customers/{customer}/googleAds:searchStream"
    request = {"request": {"query": query}} if query else {}
    return {"method": "POST", "url": url, "body": body, **request, **more}


def google_row(day: str, **metrics: Any) -> dict[str, Any]:
    return {"campaign": {"resourceName": "customers/1/campaigns/2", "id": "2"}, "metrics": metrics,
            "segments": {"date": day}}  # fmt: skip


def stream(client: httpx.Client, customer: str, query: str) -> list[Any]:
    answer = client.post(f"/googleads/v26/customers/{customer}/googleAds:searchStream", json={"query": query})
    assert answer.status_code == 200, answer.text
    batches = answer.json()
    assert all("results" not in batch or batch["results"] for batch in batches)
    return [row for batch in batches for row in batch.get("results", [])]


def test_google_streams_are_matched_on_what_the_query_is(write: Write) -> None:
    days = [google_row("2026-01-01", clicks="1"), google_row("2026-02-01", clicks="2")]
    actions = [google_row("2026-01-01", conversions=0.5)]
    campaign = {
        "campaign": {"resourceName": "customers/1/campaigns/2", "id": "2", "name": "x"},
        "customer": {"resourceName": "customers/1", "timeZone": "Asia/Kolkata", "currencyCode": "INR"},
    }
    mask = "campaign.id,segments.conversionAction,metrics.conversions,segments.date"
    client = write(
        google_call(
            "1", [{"results": days[:1]}, {"results": days[1:]}], DAY.format("2026-01-01", "2026-02-01")
        ),
        google_call(
            "1", json.dumps([{"results": days[1:], "fieldMask": "x"}]), DAY.format("2026-02-01", "2026-02-02")
        ),
        google_call("1", [{"results": actions, "fieldMask": mask}]),
        google_call("1", [{"results": [campaign], "fieldMask": "campaign.id,campaign.name"}]),
        google_call("2", {"results": days[:1], "fieldMask": "metrics.clicks,segments.date"}),
    )
    assert stream(client, "1", DAY.format("2026-01-01", "2026-12-31")) == days
    assert stream(client, "1", DAY.format("2026-02-01", "2026-02-01")) == days[1:]
    assert stream(client, "1", ACTION.format("2026-01-01", "2026-01-31")) == actions
    assert stream(client, "1", "SELECT campaign.id, campaign.status FROM campaign") == [campaign]
    assert stream(client, "1", "SELECT ad_group.id FROM ad_group") == []
    clients = [
        row["customerClient"]
        for row in stream(client, "99", "SELECT customer_client.id FROM customer_client")
    ]
    assert [(c["id"], c["level"], c["manager"], c["timeZone"], c.get("currencyCode")) for c in clients] == [
        ("99", "0", True, "UTC", None),
        ("1", "1", False, "Asia/Kolkata", "INR"),
        ("2", "1", False, "UTC", None),
    ]
    listed = client.get("/googleads/v26/customers:listAccessibleCustomers").json()
    assert listed == {"resourceNames": ["customers/1", "customers/2"]}


def test_google_pages_and_refusals(write: Write) -> None:
    query = "SELECT campaign.id FROM campaign"
    first = {"results": [{"campaign": {"id": "1"}}], "nextPageToken": "t", "fieldMask": "campaign.id"}
    second = {"results": [{"campaign": {"id": "1"}}, {"campaign": {"id": "2"}}], "fieldMask": "campaign.id"}
    search = "https://googleads.googleapis.com/v21/customers/1/googleAds:search"
    client = write(
        {"method": "POST", "url": search, "request": {"query": query, "pageToken": "t"}, "body": second},
        {"method": "POST", "url": search, "request": json.dumps({"query": query}), "body": first},
        google_call("3", [{"error": {"code": 403}}], query, status=403),
    )
    page = client.post("/googleads/v26/customers/1/googleAds:search", json={"query": query}).json()
    assert [row["campaign"]["id"] for row in page["results"]] == ["1", "2", "1"]
    refused = client.post("/googleads/v26/customers/3/googleAds:searchStream", json={"query": query})
    assert (refused.status_code, refused.json()) == (403, [{"error": {"code": 403}}])
    bad = client.post("/googleads/v26/customers/1/googleAds:searchStream", json={"query": "SELEKT"})
    assert bad.status_code == 400
    assert "EXPECTED_SELECT" in bad.text
    assert client.post("/oauth2/token", data={}).json()["token_type"] == "Bearer"
