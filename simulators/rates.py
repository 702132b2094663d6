"""A feed of exchange rates: `GET /rates/EUR?since=2026-02-01&until=2026-02-28`.

A record says what one unit of the base was worth in a currency on a day: a JSON number with six decimals,
whose text counts. Every calendar day has one, weekends too, from 2015 up to the day before the simulated
instant's (UTC): in the morning nobody knows today's rate yet. A rate is a pure function of (seed, currency,
day), so none is ever corrected.
"""

from __future__ import annotations

import json
from datetime import UTC, date, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators.book import mix

if TYPE_CHECKING:
    from simulators.server import State

BASE = "EUR"
FIRST_DAY = date(2015, 1, 1)
LEVELS = {"GBP": 852_400, "INR": 90_120_000, "JPY": 162_350_000, "USD": 1_084_000}
"""Around what each rate walks, in millionths."""

FEED = "exchange_rates"
DECLARED: dict[str, Any] = {
    "params": {"since": "{since}", "until": "{until}"},
    "records": "rates",
    "date": "date",
    "columns": ["date", "base", "currency", "rate"],
}
"""Settings of the feed, but for its address, as docs/runbooks/exchange-rates.md asks for them."""

_LONGEST_STEP, _PULL = 4_000, 995  # millionths a day; thousandths of yesterday's distance that are kept
_MARGIN = timedelta(days=7)  # rates before the first figures, for a first day whose own rate is not out yet


def rate(seed: int, currency: str, day: date) -> Decimal:
    """What one euro was worth in a currency on a day, exactly.

    Raises KeyError for a currency that is not quoted, ValueError for a day before the feed's first.
    """
    number = (day - FIRST_DAY).days
    if number < 0:
        raise ValueError(f"no rate of {day}: the feed begins on {FIRST_DAY}")
    if currency == BASE:
        return Decimal(1)
    # by the thousand days, so that the walk of a new day is not a new walk
    return Decimal(_walk(seed, currency, number // 1000 + 1)[number]).scaleb(-6)


@lru_cache(maxsize=64)
def _walk(seed: int, currency: str, thousands: int) -> list[int]:
    """The rates of the first days, in millionths: a random walk that is pulled back to its level."""
    drawn = mix(seed, 71, int.from_bytes(currency.encode()), np.arange(thousands * 1000))
    distance, found = 0, []
    for step in (drawn % np.uint64(2 * _LONGEST_STEP + 1)).tolist():
        distance = distance * _PULL // 1000 + step - _LONGEST_STEP
        found.append(LEVELS[currency] * (1_000_000 + distance) // 1_000_000)
    return found


def routes(state: State) -> list[Route]:
    """The feed's route, below `/rates`."""

    async def rates(request: Request) -> Response:
        base = request.path_params["base"]
        if base != BASE:
            return JSONResponse({"error": f"no rates of {base}, only of {BASE}"}, 404)
        try:
            since, until = (date.fromisoformat(request.query_params[name]) for name in ("since", "until"))
        except (KeyError, ValueError):
            return JSONResponse({"error": "send since=YYYY-MM-DD and until=YYYY-MM-DD"}, 400)
        published = state.now.astimezone(UTC).date() - timedelta(days=1)
        first, last = max(since, FIRST_DAY), min(until, published)
        lines = [
            # written by hand, because a JSON encoder would make floats of the numbers
            f'{{"date":"{day}","base":"{BASE}","currency":"{currency}",'
            f'"rate":{rate(state.business.seed, currency, day)}}}'
            for day in (first + timedelta(days=number) for number in range((last - first).days + 1))
            for currency in LEVELS
        ]
        return Response(f'{{"base":"{BASE}","rates":[{",".join(lines)}]}}', media_type="application/json")

    return [Route("/rates/{base}", rates)]


def settings_env(state: State) -> dict[str, str]:
    """The settings that make the http_json loader read the feed."""
    feed = DECLARED | {"url": f"{state.base_url}/rates/{BASE}"}
    return {
        f"SOURCES__HTTP_JSON__FEEDS__{FEED.upper()}__{name.upper()}": (
            value if isinstance(value, str) else json.dumps(value)
        )
        for name, value in feed.items()
    } | {"SOURCES__HTTP_JSON__START_DATE": (state.business.first_day - _MARGIN).isoformat()}
