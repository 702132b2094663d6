"""All platforms in one process, out of one business: `with Simulator(...) as sim`, `python -m simulators`.

Paths: Meta below `/graph`, Google Ads below `/googleads`, its tokens at `/oauth2/token`, CleverTap below
`/clevertap`, exchange rates below `/rates`, and below `/_sim` what only tests and the demo use: the clock,
the faults, the ledger, and the log of requests.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulators import clevertap, facebook, google, rates
from simulators.ads_csv import routes as ads_csv_routes
from simulators.business import Business, Platform
from simulators.faults import Faults
from simulators.people import People
from simulators.replay import routes as replay_routes

SECRETS = ("access_token", "appsecret_proof", "client_secret", "refresh_token", "input_token")
"""Query parameters that the request log leaves out."""
CLEVERTAP_EVENTS = ["App Launched", "UTM Visited", "Product Viewed", "Signed Up", "Charged"]
"""What the settings for this server name; the people's "Notification Sent" is refused for export."""


@dataclass
class State:
    """What the platforms share: handed to every `routes(...)` as `sim`."""

    business: Business
    now: datetime
    faults: Faults
    base_url: str = ""
    facebook_token: str = "sim-facebook-token"  # noqa: S105  opens nothing but this simulator; so the next
    facebook_app_secret: str | None = None
    google_client_id: str = "sim-client"
    google_client_secret: str = "sim-client-secret"  # noqa: S105
    google_refresh_token: str = "sim-refresh-token"  # noqa: S105
    clevertap_account_id: str = "SIM-R78-K45Z"
    clevertap_passcode: str = "SIM-WZR-RKUL"
    clevertap_timezone: str = "UTC"
    requests: list[dict[str, Any]] = field(default_factory=list)
    people: People | None = field(init=False)
    """Whom the ads bring; None where recordings stand in for the business."""

    def __post_init__(self) -> None:
        """The business has its people."""
        self.people = People(self.business)

    def log_request(self, **entry: Any) -> None:
        """Append to the request log. The server logs every request by itself; handlers may add remarks."""
        self.requests.append(entry)


class Simulator:
    """All platforms on a free port of the loopback interface, as a context manager.

    `now` is the simulated instant (aware; it stands still until `set_now`). `days` reach back from it: the
    first day with figures is `now - days + 1` unless `first_day` is given. `replay` serves a folder of
    recorded exchanges instead of the business; `ads_csv` with `ads_csv_day` serves a table of ad rows as one
    account's day in the place of Meta's accounts.
    """

    def __init__(
        self,
        *,
        seed: int = 7,
        days: int = 60,
        scale: float = 1.0,
        now: datetime | None = None,
        first_day: date | None = None,
        port: int = 0,
        facebook_app_secret: str | None = None,
        replay: Path | str | None = None,
        ads_csv: Path | str | None = None,
        ads_csv_day: date | None = None,
    ) -> None:
        """Nothing listens before `start` (or `with`).

        Raises ValueError for a clock without a zone, and for sources that do not go together.
        """
        now = now or datetime.now(UTC)
        if now.tzinfo is None:
            raise ValueError(f"the simulated clock needs a zone, got {now.isoformat()}: add +00:00")
        first = first_day or (now.date() - timedelta(days=days - 1))
        self.state = State(
            Business(seed, first, days, scale), now, Faults(seed), facebook_app_secret=facebook_app_secret
        )
        self._routes = _routes(self.state, replay, ads_csv, ads_csv_day)
        self._port = port
        self._socket: socket.socket | None = None
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None

    # ---- life
    def start(self) -> Self:
        """Listen and serve in a thread; returns once requests are answered. OSError: the port is taken."""
        # with the protocol named asyncio switches Nagle's delay off, which else costs 40 ms a request
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self._port))
        self._socket.listen(100)
        self._port = self._socket.getsockname()[1]
        self.state.base_url = f"http://127.0.0.1:{self._port}"
        config = uvicorn.Config(
            application(self.state, self._routes),
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, name="simulators", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the simulator's server ended before it had started")
            time.sleep(0.002)
        return self

    def stop(self) -> None:
        """Stop serving and free the port."""
        if self._server and self._thread:
            self._server.should_exit = True
            self._thread.join(timeout=10)
        if self._socket:
            self._socket.close()

    def wait(self) -> None:
        """Block until the server ends (Ctrl-C)."""
        while self._thread and self._thread.is_alive():
            self._thread.join(timeout=0.5)

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    # ---- what tests turn and read
    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self._port

    @property
    def business(self) -> Business:
        """The business behind them all."""
        return self.state.business

    @property
    def now(self) -> datetime:
        """The simulated instant."""
        return self.state.now

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The request log: method, path, query without secrets, status, bytes, seconds."""
        return self.state.requests

    @property
    def facebook_url(self) -> str:
        """Base URL in the place of https://graph.facebook.com."""
        return f"{self.state.base_url}/graph"

    @property
    def google_url(self) -> str:
        """Base URL in the place of https://googleads.googleapis.com."""
        return f"{self.state.base_url}/googleads"

    @property
    def clevertap_url(self) -> str:
        """Base URL in the place of https://eu1.api.clevertap.com."""
        return f"{self.state.base_url}/clevertap"

    @property
    def token_url(self) -> str:
        """In the place of https://oauth2.googleapis.com/token."""
        return f"{self.state.base_url}/oauth2/token"

    def set_now(self, now: datetime) -> None:
        """Move the clock, forwards or backwards. Raises ValueError for an instant without a zone."""
        _set_clock(self.state, now)

    def fault(self, name: str, **options: Any) -> None:
        """Switch a fault on (see simulators.faults.FAULTS)."""
        self.state.faults.set(name, options)

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self.state.faults.clear()

    def settings_env(self) -> dict[str, str]:
        """Environment variables that point the loaders here."""
        managers = [account for account in self.business.accounts("google_ads") if account.is_manager]
        return settings_env(self.state, managers[0].id)


def settings_env(state: State, manager_id: str) -> dict[str, str]:
    """The loaders' settings for this server, as dlt reads them from the environment."""
    facebook = {"BASE_URL": f"{state.base_url}/graph", "ACCESS_TOKEN": state.facebook_token}
    if state.facebook_app_secret:
        facebook["APP_SECRET"] = state.facebook_app_secret
    google = {
        "BASE_URL": f"{state.base_url}/googleads",
        "TOKEN_URL": f"{state.base_url}/oauth2/token",
        "CLIENT_ID": state.google_client_id,
        "CLIENT_SECRET": state.google_client_secret,
        "REFRESH_TOKEN": state.google_refresh_token,
        "LOGIN_CUSTOMER_ID": manager_id,
    }
    clevertap = {
        "BASE_URL": f"{state.base_url}/clevertap",
        "ACCOUNT_ID": state.clevertap_account_id,
        "PASSCODE": state.clevertap_passcode,
        "TIMEZONE": state.clevertap_timezone,
        "EVENT_NAMES": json.dumps(CLEVERTAP_EVENTS),
    }
    sources = {"FACEBOOK_ADS": facebook, "GOOGLE_ADS": google}
    if state.people is not None:
        sources["CLEVERTAP"] = clevertap
    return {
        f"SOURCES__{source}__{name}": value
        for source, settings in sources.items()
        for name, value in settings.items()
    } | rates.settings_env(state)


# ---- the application
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]


def application(state: State, routes: list[Route]) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application: the routes, the admin paths, and a log of every request in front."""
    inner = Starlette(routes=[*_admin(state), *routes])

    async def logged(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/_sim"):
            await inner(scope, receive, send)
            return
        began = time.perf_counter()
        pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        query = {name: value for name, value in pairs if name not in SECRETS}
        seen: dict[str, Any] = {"method": scope["method"], "path": scope["path"], "query": query, "bytes": 0}

        def note() -> None:
            state.log_request(**seen, seconds=time.perf_counter() - began, now=state.now.isoformat())

        ended = False

        async def noted(message: Scope) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
            else:
                seen["bytes"] += len(message.get("body", b""))
                ended = not message.get("more_body", False)
            if ended:
                note()  # before it is sent: who has an answer finds it in the log
            await send(message)

        try:
            await inner(scope, receive, noted)
        finally:
            if not ended:
                note()

    return logged


def _routes(
    state: State, replay: Path | str | None, ads_csv: Path | str | None, ads_csv_day: date | None
) -> list[Route]:
    routes: list[Route] = []
    if ads_csv is not None or replay is not None:
        state.people = None
    if ads_csv is not None and replay is not None:
        raise ValueError("a recording and a table of ad rows both stand in for Meta: choose one")
    if ads_csv is not None:
        if ads_csv_day is None:
            raise ValueError(
                "a table of ad rows has no dates: say which day it is (--ads-csv-day YYYY-MM-DD)"
            )
        routes += ads_csv_routes(Path(ads_csv), ads_csv_day, state)
    elif replay is not None:
        return replay_routes(Path(replay), state)
    else:
        routes += facebook.routes(state)
    if state.people is not None:
        routes += clevertap.routes(state)
    return routes + google.routes(state) + rates.routes(state)


def _set_clock(state: State, now: datetime) -> None:
    if now.tzinfo is None:
        raise ValueError(f"the simulated clock needs a zone, got {now.isoformat()}: add +00:00")
    state.now = now


def _admin(state: State) -> list[Route]:
    async def clock(request: Request) -> Response:
        if request.method == "POST":
            try:
                _set_clock(state, datetime.fromisoformat((await request.json())["now"]))
            except (ValueError, KeyError, TypeError) as error:
                return JSONResponse({"error": f'send {{"now": ISO instant with offset}}: {error}'}, 400)
        return JSONResponse({"now": state.now.isoformat()})

    async def faults(request: Request) -> Response:
        if request.method == "POST":
            try:
                for name, options in (await request.json()).items():
                    state.faults.set(name, options)
            except KeyError as error:
                return JSONResponse({"error": str(error.args[0])}, 400)
        return JSONResponse(state.faults.active())

    async def ledger(request: Request) -> Response:
        return _ledger(state, dict(request.query_params))

    async def requests(request: Request) -> Response:
        if request.method == "DELETE":
            state.requests.clear()
        return JSONResponse(state.requests)

    async def settings(_: Request) -> Response:
        managers = [account for account in state.business.accounts("google_ads") if account.is_manager]
        return JSONResponse(settings_env(state, managers[0].id))

    return [
        Route("/_sim/clock", clock, methods=["GET", "POST"]),
        Route("/_sim/faults", faults, methods=["GET", "POST"]),
        Route("/_sim/ledger", ledger),
        Route("/_sim/requests", requests, methods=["GET", "DELETE"]),
        Route("/_sim/settings", settings),
    ]


def _ledger(state: State, query: dict[str, str]) -> Response:
    """Totals per account-day; `platform`, `account`, `since`, `until`, `as_of` are optional filters."""
    as_of = datetime.fromisoformat(query["as_of"]) if "as_of" in query else state.now
    if as_of.tzinfo is None:
        return JSONResponse({"error": "as_of needs an offset, e.g. 2026-03-01T06:00:00+00:00"}, 400)
    platforms: tuple[Platform, ...] = ("facebook_ads", "google_ads")
    out = []
    for platform in platforms:
        if query.get("platform", platform) != platform:
            continue
        for account in state.business.accounts(platform):
            if account.is_manager or query.get("account", account.id) != account.id:
                continue
            today = as_of.astimezone(account.zone).date()
            day = date.fromisoformat(query.get("since", state.business.first_day.isoformat()))
            until = date.fromisoformat(query.get("until", today.isoformat()))
            while day <= min(until, today):
                totals = asdict(state.business.ledger(account, day, as_of))
                out.append(
                    {"platform": platform, "currency": account.currency,
                     "minor_per_unit": account.minor_per_unit, **totals}
                )  # fmt: skip
                day += timedelta(days=1)
    return Response(msgspec.json.encode(out), media_type="application/json")
