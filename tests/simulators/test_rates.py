"""The feed of exchange rates: every day that is over, the same text whenever it is asked."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from simulators import rates
from simulators.server import Simulator

NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)


def told(sim: Simulator, since: date, until: date) -> list[dict[str, str]]:
    """The records of an answer, their numbers as the text they have."""
    url = f"{sim.state.base_url}/rates/EUR"
    answer = httpx.get(url, params={"since": since.isoformat(), "until": until.isoformat()})
    records: list[dict[str, str]] = json.loads(answer.text, parse_float=str)["rates"]
    return records


def test_every_day_that_is_over_has_every_rate_in_the_same_words() -> None:
    since, until = date(2026, 2, 20), date(2026, 3, 10)
    with Simulator(seed=3, days=5, now=NOW) as sim:
        early = told(sim, since, until)
        sim.set_now(NOW + timedelta(days=2))
        late = told(sim, since, until)
    assert len(early) == 9 * len(rates.LEVELS)  # of the first of March nobody knows any yet
    assert late[: len(early)] == early
    assert late[-1]["date"] == "2026-03-02"
    assert {record["base"] for record in early} == {"EUR"}
    assert all(re.fullmatch(r"\d+\.\d{6}", record["rate"]) for record in late)
    for record in early:
        day = date.fromisoformat(record["date"])
        assert Decimal(record["rate"]) == rates.rate(3, record["currency"], day)


def test_rates_walk_around_their_level_and_another_seed_walks_otherwise() -> None:
    days = [date(2015, 1, 1) + timedelta(days=number) for number in range(0, 4500, 5)]
    for currency, level in rates.LEVELS.items():
        walk = [rates.rate(7, currency, day) * 10**6 / level for day in days]
        assert Decimal("0.8") < min(walk) < max(walk) < Decimal("1.2")
        assert len(set(walk)) > len(walk) * 0.9
        assert any(rates.rate(8, currency, day) != rates.rate(7, currency, day) for day in days)
    assert rates.rate(7, "EUR", days[0]) == 1
    with pytest.raises(ValueError, match="begins on 2015-01-01"):
        rates.rate(7, "USD", date(2014, 12, 31))


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [
        ("USD?since=2026-02-01&until=2026-02-02", 404, "no rates of USD"),
        ("EUR?since=2026-02-01", 400, "until=YYYY-MM-DD"),
        ("EUR?since=yesterday&until=2026-02-02", 400, "since=YYYY-MM-DD"),
    ],
)
def test_what_is_not_served_is_said(path: str, status: int, error: str) -> None:
    with Simulator(seed=3, days=5, now=NOW) as sim:
        answer = httpx.get(f"{sim.state.base_url}/rates/{path}")
    assert answer.status_code == status
    assert error in answer.json()["error"]
