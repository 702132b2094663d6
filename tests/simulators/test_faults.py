"""Every named fault does what it says on Meta's side, as often as it is told, and then stops."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from simulators.business import Account
from simulators.faults import FAULTS, Faults
from simulators.server import Simulator

NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
HTTP = httpx.Client()
"""One for all calls: a client of its own for each spends most of its time on certificates."""
SPAN = '{"since":"2026-01-20","until":"2026-01-20"}'


@pytest.fixture(scope="module")
def running() -> Iterator[Simulator]:
    with Simulator(seed=7, days=60, now=NOW) as sim:
        yield sim
    HTTP.close()


@pytest.fixture
def sim(running: Simulator) -> Iterator[Simulator]:
    yield running
    running.clear_faults()


@pytest.fixture
def account(sim: Simulator) -> Account:
    return sim.business.accounts("facebook_ads")[0]


def get(sim: Simulator, path: str, **params: str) -> httpx.Response:
    return HTTP.get(
        f"{sim.facebook_url}/v26.0/{path}", params={"access_token": sim.state.facebook_token} | params
    )


def ads(sim: Simulator, account: Account, level: str = "ad", **params: str) -> httpx.Response:
    asked = {
        "level": level,
        "fields": "campaign_id,ad_id,impressions,clicks",
        "time_range": SPAN,
        "limit": "500",
    }
    return get(sim, f"act_{account.id}/insights", **asked | params)


def start(sim: Simulator, account: Account) -> str:
    answer = HTTP.post(
        f"{sim.facebook_url}/v26.0/act_{account.id}/insights",
        data={"access_token": sim.state.facebook_token, "level": "ad", "fields": "ad_id", "time_range": SPAN},
    )
    return str(answer.json()["report_run_id"])


# ---- the rules
def test_a_rule_strikes_whom_when_and_how_often_it_says() -> None:
    faults = Faults()
    faults.set("throttle", {"account": "1", "resource": "insights", "skip": 1, "count": 2, "wait_seconds": 9})

    def strike(account: str | None, resource: str) -> bool:
        return (
            faults.take("throttle", platform="facebook_ads", account=account, resource=resource) is not None
        )

    assert not strike("2", "insights_ad")
    assert not strike("1", "ads")
    assert not strike("1", "insights_ad"), "skipped"
    assert strike("1", "insights_ad")
    assert strike("1", "insights")
    assert not strike("1", "insights_ad"), "used up"
    faults.set("throttle", [{"platform": "google_ads"}, {"account": ["3", "4"]}])
    assert not strike("1", "ads")
    assert strike("4", "ads")
    faults.set("throttle", None)
    assert not strike("4", "ads")


def test_probability_is_a_share_and_always_the_same() -> None:
    def strikes(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.set("slow", {"probability": 0.25})
        return [faults.take("slow", platform="facebook_ads") is not None for _ in range(400)]

    assert strikes(1) == strikes(1) != strikes(2)
    assert 60 < sum(strikes(1)) < 140


def test_an_unknown_name_is_refused_with_the_known_ones(sim: Simulator) -> None:
    with pytest.raises(KeyError, match="truncated_body"):
        sim.fault("gremlins")
    answer = HTTP.post(f"{sim.state.base_url}/_sim/faults", json={"gremlins": {}})
    assert answer.status_code == 400
    assert "throttle" in answer.json()["error"]


def test_faults_are_switched_over_http_too(sim: Simulator, account: Account) -> None:
    url = f"{sim.state.base_url}/_sim/faults"
    assert HTTP.post(url, json={"server_error": {"status": 503}}).json() == {
        "server_error": [{"status": 503}]
    }
    assert ads(sim, account).status_code == 503
    assert HTTP.post(url, json={"server_error": None}).json() == {}
    assert ads(sim, account).status_code == 200


# ---- answers that are errors
@pytest.mark.parametrize(("code", "subcode"), [(80000, 2446079), (4, 1504022), (17, 2446079), (613, 1487742)])
def test_throttle(sim: Simulator, account: Account, code: int, subcode: int) -> None:
    sim.fault("throttle", code=code, wait_seconds=90, count=1)
    answer = ads(sim, account)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["error_subcode"]) == (400, code, subcode)
    assert "retry-after" not in answer.headers
    case = json.loads(answer.headers["x-business-use-case-usage"])[account.id][0]
    assert (case["estimated_time_to_regain_access"], case["call_count"]) == (2, 100), "minutes, rounded up"
    assert ads(sim, account).status_code == 200


def test_server_error(sim: Simulator, account: Account) -> None:
    sim.fault("server_error", count=1)
    answer = ads(sim, account)
    assert (answer.status_code, answer.json()["error"]["error_subcode"]) == (500, 99)


def test_expired_token(sim: Simulator, account: Account) -> None:
    sim.fault("expired_token")
    error = ads(sim, account).json()["error"]
    assert (error["code"], error["error_subcode"]) == (190, 463)


def test_forbidden_account_leaves_the_others_alone(sim: Simulator, account: Account) -> None:
    other = sim.business.accounts("facebook_ads")[1]
    sim.fault("forbidden_account", account=account.id)
    assert (ads(sim, account).status_code, ads(sim, other).status_code) == (403, 200)
    assert get(sim, f"act_{account.id}/campaigns").json()["error"]["code"] == 200


def test_too_large_by_rows(sim: Simulator, account: Account) -> None:
    rows = len(ads(sim, account).json()["data"])
    sim.fault("too_large", rows=rows)
    assert ads(sim, account).status_code == 200
    sim.fault("too_large", rows=rows - 1)
    answer = ads(sim, account)
    assert (answer.status_code, answer.json()["error"]["error_subcode"]) == (400, 1487534)
    assert ads(sim, account, level="account").status_code == 200
    sim.fault("too_large", rows=rows - 1, code=1)
    assert (ads(sim, account).status_code, ads(sim, account).json()["error"]["code"]) == (500, 1)


# ---- answers that look right
def test_truncated_and_html_bodies(sim: Simulator, account: Account) -> None:
    whole = ads(sim, account).content
    sim.fault("truncated_body", count=1)
    answer = ads(sim, account)
    assert answer.status_code == 200
    assert answer.content == whole[: len(whole) // 2]
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    sim.fault("html_body", count=1)
    answer = ads(sim, account)
    assert answer.status_code == 200
    assert answer.text.startswith("<!DOCTYPE html>")
    assert ads(sim, account).content == whole


@pytest.mark.parametrize("edge", ["insights", "ads"])
def test_duplicate_page_repeats_one_page_and_goes_on(sim: Simulator, account: Account, edge: str) -> None:
    def read() -> list[str]:
        page = get(
            sim, f"act_{account.id}/{edge}", level="ad", fields=f"{field}", time_range=SPAN, limit="7"
        ).json()
        seen = [row[field] for row in page["data"]]
        while "next" in page["paging"]:
            page = HTTP.get(page["paging"]["next"]).json()
            seen += [row[field] for row in page["data"]]
        return seen

    field = "ad_id" if edge == "insights" else "id"
    plain = read()
    sim.fault("duplicate_page", skip=1)
    assert read() == plain[:14] + plain[7:]


def test_mid_stream_error_comes_after_a_good_page(sim: Simulator, account: Account) -> None:
    sim.fault("mid_stream_error", count=1)
    page = ads(sim, account, limit="5").json()
    broken = HTTP.get(page["paging"]["next"])
    assert (broken.status_code, broken.json()["error"]["is_transient"]) == (400, True)
    assert HTTP.get(page["paging"]["next"]).status_code == 200


def test_withhold_ads_takes_a_campaign_from_the_ads_only(sim: Simulator, account: Account) -> None:
    plain = ads(sim, account).json()["data"]
    campaigns = ads(sim, account, level="campaign").json()["data"]
    victim = plain[-1]["campaign_id"]
    for options in ({"campaign": victim}, {"campaign": victim, "day": "2026-01-20"}):
        sim.fault("withhold_ads", **options)
        assert ads(sim, account).json()["data"] == [row for row in plain if row["campaign_id"] != victim]
        assert ads(sim, account, level="campaign").json()["data"] == campaigns
    sim.fault("withhold_ads", campaign=victim, day="2026-01-21")
    assert ads(sim, account).json()["data"] == plain
    sim.fault("withhold_ads")
    assert len({row["campaign_id"] for row in plain}) - 1 == len(
        {row["campaign_id"] for row in ads(sim, account).json()["data"]}
    )


def test_empty_success(sim: Simulator, account: Account) -> None:
    sim.fault("empty_success", resource="insights_ad")
    assert ads(sim, account).json() == {"data": []}
    assert ads(sim, account, level="account").json()["data"]
    sim.fault("empty_success", resource="campaigns")
    assert get(sim, f"act_{account.id}/campaigns").json() == {"data": []}


def test_fields_come_go_and_change_type(sim: Simulator, account: Account) -> None:
    plain = ads(sim, account).json()["data"]
    sim.fault("new_field", field="attention_seconds", value=0.5)
    sim.fault("vanished_field", field="clicks")
    sim.fault("changed_type", field="impressions")
    rows = ads(sim, account).json()["data"]
    assert [row["impressions"] for row in rows] == [[row["impressions"]] for row in plain]
    assert all(row["attention_seconds"] == 0.5 and "clicks" not in row for row in rows)
    sim.clear_faults()
    sim.fault("changed_type", field="name", value={"text": "x"})
    sim.fault("new_field", field="colour", value="red", resource="campaigns")
    row = get(sim, f"act_{account.id}/campaigns", fields="name").json()["data"][0]
    assert (row["name"], row["colour"]) == ({"text": "x"}, "red")


def test_slow(sim: Simulator, account: Account) -> None:
    sim.fault("slow", seconds=0.2, count=1)
    began = time.perf_counter()
    ads(sim, account)
    assert time.perf_counter() - began > 0.2


# ---- report runs
def test_stuck_report(sim: Simulator, account: Account) -> None:
    sim.fault("stuck_report", count=1)
    run = start(sim, account)
    for _ in range(8):
        state = get(sim, run).json()
        assert (state["async_status"], state["async_percent_completion"]) == ("Job Running", 100)
    assert get(sim, f"{run}/insights").json()["error"]["code"] == 2601
    sim.fault("stuck_report", count=1, polls=2)
    run = start(sim, account)
    assert [get(sim, run).json()["async_status"] for _ in range(3)] == [
        "Job Running",
        "Job Running",
        "Job Completed",
    ]


@pytest.mark.parametrize(("kind", "status"), [("failed", "Job Failed"), ("skipped", "Job Skipped")])
def test_failed_report(sim: Simulator, account: Account, kind: str, status: str) -> None:
    run = start(sim, account)
    sim.fault("failed_report", kind=kind, count=1)
    answer = get(sim, run)
    assert (answer.status_code, answer.json()["async_status"]) == (200, status)
    assert get(sim, run).json()["async_status"] == status, "for good"
    assert get(sim, f"{run}/insights").status_code == 400


@pytest.mark.parametrize(("kind", "then"), [("expired", 400), ("unknown_yet", 200)])
def test_report_that_does_not_exist(sim: Simulator, account: Account, kind: str, then: int) -> None:
    run = start(sim, account)
    sim.fault("failed_report", kind=kind, count=1)
    assert get(sim, run).json()["error"]["error_subcode"] == 33
    assert get(sim, run).status_code == then


def test_damage_meets_the_pages_of_a_report_run(sim: Simulator, account: Account) -> None:
    run = start(sim, account)
    while get(sim, run).json()["async_status"] != "Job Completed":
        pass
    sim.fault("truncated_body", resource="insights_ad", account=account.id, count=1)
    assert get(sim, run).json()
    with pytest.raises(json.JSONDecodeError):
        get(sim, f"{run}/insights").json()
    assert get(sim, f"{run}/insights").json()["data"]


def test_every_fault_is_described() -> None:
    assert all(FAULTS.values())
    assert len(FAULTS) == 20
