"""One process, a clock, a ledger: what tests and the demo use of the server."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from simulators.server import Simulator, application

NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def test_ledger_over_http_is_the_business_ledger() -> None:
    with Simulator(seed=3, days=5, now=NOW) as sim:
        account = sim.business.accounts("facebook_ads")[2]
        rows = httpx.get(
            f"{sim.state.base_url}/_sim/ledger", params={"platform": "facebook_ads", "account": account.id}
        ).json()
        assert [row["day"] for row in rows] == [f"2026-02-{day}" for day in range(25, 29)] + ["2026-03-01"]
        expected = sim.business.ledger(account, date(2026, 2, 27), NOW)
        assert rows[2]["total"] == expected.total
        assert (rows[2]["currency"], rows[2]["minor_per_unit"]) == ("JPY", 1)
        as_of = (NOW - timedelta(days=1)).isoformat()
        earlier = httpx.get(f"{sim.state.base_url}/_sim/ledger", params={"as_of": as_of}).json()
        assert {row["platform"] for row in earlier} == {"facebook_ads", "google_ads"}
        assert max(row["day"] for row in earlier) == "2026-02-28"
        assert (
            httpx.get(f"{sim.state.base_url}/_sim/ledger", params={"as_of": "2026-03-01"}).status_code == 400
        )


def test_the_clock_moves_over_http_and_needs_a_zone() -> None:
    with Simulator(seed=3, days=5, now=NOW) as sim:
        url = f"{sim.state.base_url}/_sim/clock"
        assert httpx.post(url, json={"now": "2026-03-02T01:00:00+01:00"}).status_code == 200
        assert sim.now == datetime(2026, 3, 2, tzinfo=UTC)
        assert httpx.post(url, json={"now": "2026-03-02T01:00:00"}).status_code == 400
        assert httpx.post(url, json={}).status_code == 400
        with pytest.raises(ValueError, match="zone"):
            sim.set_now(datetime(2026, 3, 2))
    with pytest.raises(ValueError, match="zone"):
        Simulator(now=datetime(2026, 3, 2))


def test_a_later_start_with_the_same_seed_tells_the_same_story() -> None:
    with Simulator(seed=3, days=30, now=NOW) as first, Simulator(seed=3, days=30, now=NOW) as second:
        second.set_now(NOW + timedelta(days=1))
        account = first.business.accounts("facebook_ads")[0]
        second.set_now(NOW)
        params = {
            "access_token": first.state.facebook_token,
            "fields": "impressions,spend",
            "level": "campaign",
        }
        answers = [httpx.get(f"{sim.facebook_url}/v26.0/act_{account.id}/insights", params=params).json()
                   for sim in (first, second)]  # fmt: skip
        assert answers[0] == answers[1]


def test_settings_point_the_loaders_here() -> None:
    with Simulator(seed=3, days=5, now=NOW) as sim:
        env = sim.settings_env()
        assert (
            env["SOURCES__FACEBOOK_ADS__BASE_URL"] == sim.facebook_url == f"http://127.0.0.1:{sim.port}/graph"
        )
        assert env["SOURCES__GOOGLE_ADS__TOKEN_URL"] == sim.token_url
        assert env["SOURCES__GOOGLE_ADS__LOGIN_CUSTOMER_ID"] == sim.business.accounts("google_ads")[0].id
        assert httpx.get(f"{sim.state.base_url}/_sim/settings").json() == env


def test_who_has_an_answer_finds_it_in_the_log() -> None:
    state = Simulator(seed=3, days=5, now=NOW).state
    served = application(state, [Route("/here", lambda _: PlainTextResponse("body"))])
    scope = {"type": "http", "method": "GET", "path": "/here", "query_string": b"", "headers": []}
    logged: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(_: Any) -> None:
        logged.append(len(state.requests))

    asyncio.run(served(scope, receive, send))
    assert logged == [0, 1], "when the head and the body of the answer are sent"
    assert (state.requests[0]["status"], state.requests[0]["bytes"]) == (200, 4)


def test_sources_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="choose one"):
        Simulator(replay=tmp_path, ads_csv=tmp_path / "a.csv")
    with pytest.raises(ValueError, match="which day"):
        Simulator(ads_csv=tmp_path / "a.csv")


def test_the_command_serves_until_it_is_ended(tmp_path: Path) -> None:
    port_file = tmp_path / "port"
    options = f"--days 3 --now {NOW.isoformat()} --faults new_field --port-file {port_file}"
    command = [sys.executable, "-m", "simulators", *options.split()]
    process = subprocess.Popen(command, cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 30
        while not port_file.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        url = f"http://127.0.0.1:{port_file.read_text()}"
        assert httpx.get(f"{url}/_sim/clock").json() == {"now": NOW.isoformat()}
        assert httpx.get(f"{url}/_sim/faults").json() == {"new_field": [{}]}
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=15)
        assert out.startswith(f"Meta {url}/graph")
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--faults", "slow,gremlins"], "gremlins"), (["--ads-csv", "x.csv"], "--ads-csv-day")],
)
def test_wrong_arguments_say_what_is_there(arguments: list[str], told: str) -> None:
    command = [sys.executable, "-m", "simulators", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert told in done.stderr
