"""The Google Ads API over REST: searchStream, search, listAccessibleCustomers and the OAuth token endpoint.

Everything is answered from the business as of the simulator's clock. Wire format and errors follow the REST
reference (https://developers.google.com/google-ads/api/rest/overview).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from simulators import gaql, google_rows
from simulators.business import Account, Business
from simulators.gaql import GaqlError, Query
from simulators.google_fields import (
    ACTION_SEGMENTS,
    ATTRIBUTED,
    CONVERSION_METRICS,
    FIELDS,
    REPORTS,
    SEGMENTS,
    Rows,
    States,
)
from simulators.google_json import Changes, camel, printed
from simulators.visits import ClickView

VERSIONS = ("v26", "v25", "v24", "v23")
BATCH_ROWS = 10_000
HISTORY_MONTHS = 37
CLICK_DAYS = 90
TOKEN_SECONDS = 3599
_PLATFORM = "google_ads"
_JSON = "application/json; charset=UTF-8"
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_MESSAGE = {
    400: "Request contains an invalid argument.",
    401: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
    "other valid authentication credential.",
    403: "The caller does not have permission",
    429: "Resource has been exhausted (e.g. check quota).",
    500: "Internal error encountered.",
    503: "The service is currently unavailable.",
    504: "Deadline expired before operation could complete.",
}
_HTML = b"<!DOCTYPE html>\n<html lang=en><title>Error 502 (Server Error)!!1</title><p>Try again.</p></html>\n"


class ApiError(Exception):
    """An answer that is no result: HTTP status, error family and code, message, and details of the error."""

    def __init__(self, status: int, family: str, code: str, message: str, details: Any = None) -> None:
        """`details` goes into the error's own `details` object (quota errors have one)."""
        super().__init__(message)
        self.status, self.family, self.code, self.details = status, family, code, details

    def body(self, version: str, request_id: str) -> dict[str, Any]:
        """The error envelope."""
        error = {"errorCode": {self.family: self.code}, "message": str(self)}
        failure = {
            "@type": f"type.googleapis.com/google.ads.googleads.{version}.errors.GoogleAdsFailure",
            "errors": [error | ({"details": self.details} if self.details else {})],
            "requestId": request_id,
        }
        told = {"code": self.status, "message": _MESSAGE[self.status], "status": _STATUS[self.status]}
        return {"error": told | {"details": [failure]}}


class _Body(msgspec.Struct, rename="camel"):
    query: str = ""
    page_token: str = ""
    page_size: int | None = None
    validate_only: bool = False
    search_settings: dict[str, Any] = {}


@dataclass(frozen=True)
class _Call:
    """A checked query: what to answer, for whom, as of when, and what faults do to the rows."""

    states: States
    query: Query
    since: date
    until: date
    resource: str
    clients: list[dict[str, Any]]
    clicks: list[ClickView]
    changes: Changes
    withheld: dict[str, Any] | None
    empty: bool


@dataclass
class _Tokens:
    """Access tokens and when they end. After one that a fault killed comes one that the fault spares."""

    issued: dict[str, datetime] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)
    spared: set[str] = field(default_factory=set)
    _owed: bool = False

    def issue(self, now: datetime) -> str:
        """A new token."""
        token = f"ya29.sim-{len(self.issued) + 1}"
        self.issued[token] = now + timedelta(seconds=TOKEN_SECONDS)
        if self._owed:
            self.spared.add(token)
            self._owed = False
        return token

    def kill(self, token: str) -> None:
        """End a token's life early."""
        self.killed.add(token)
        self._owed = True


def routes(sim: Any) -> list[Route]:
    """Routes under `/googleads` and `/oauth2`; `sim` has `business`, `people`, `now`, `faults`, secrets."""
    api = GoogleAds(sim)
    return [
        Route("/oauth2/token", api.token, methods=["POST"]),
        Route("/googleads/{version}/customers:listAccessibleCustomers", api.accessible),
        Route("/googleads/{version}/customers/{customer}/googleAds:{verb}", api.search, methods=["POST"]),
    ]


def resource_name(query: Query) -> str:
    """What faults call a query: its FROM, and `_day` for a report or `_conversion_day` for one by action."""
    if not query.metrics:
        return query.resource
    by_action = any(name.startswith("segments.conversion_action") for name in query.segments)
    return f"{query.resource}_conversion_day" if by_action else f"{query.resource}_day"


class GoogleAds:
    """The endpoints, over one simulator's business, clock and faults."""

    def __init__(self, sim: Any) -> None:
        """Nothing is kept but tokens and the last few customers' entities."""
        self.sim = sim
        self.business: Business = sim.business
        self.tokens = _Tokens()
        self.request_ids = map(_request_id, itertools.count())
        accounts = self.business.accounts(_PLATFORM)
        self.accounts = {account.id: account for account in accounts}
        self.manager = next(account for account in accounts if account.is_manager)
        self.closed = _unused_id(self.manager.id, self.accounts)
        self._states = lru_cache(maxsize=8)(
            lambda customer, now: States(self.business, self.accounts[customer], now)
        )

    # --- OAuth

    async def token(self, request: Request) -> Response:
        """https://developers.google.com/identity/protocols/oauth2/web-server#offline"""
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        client = (self.sim.google_client_id, self.sim.google_client_secret)
        if (form.get("client_id"), form.get("client_secret")) != client:
            return JSONResponse(
                {"error": "invalid_client", "error_description": "The OAuth client was not found."}, 401
            )
        if form.get("grant_type") != "refresh_token":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if form.get("refresh_token") != self.sim.google_refresh_token:
            told = "Token has been expired or revoked."
            return JSONResponse({"error": "invalid_grant", "error_description": told}, 400)
        return JSONResponse({
            "access_token": self.tokens.issue(self.sim.now), "expires_in": TOKEN_SECONDS,
            "scope": "https://www.googleapis.com/auth/adwords", "token_type": "Bearer",
        })  # fmt: skip

    # --- endpoints

    async def accessible(self, request: Request) -> Response:
        """The customers that the credentials reach by themselves: the manager."""
        version, headers = request.path_params["version"], {"request-id": next(self.request_ids)}
        try:
            _check_version(version)
            self._check_credentials(request, None, None)
        except ApiError as error:
            return JSONResponse(error.body(version, headers["request-id"]), error.status, headers=headers)
        return JSONResponse({"resourceNames": [f"customers/{self.manager.id}"]}, headers=headers)

    async def search(self, request: Request) -> Response:
        """`googleAds:searchStream` and `googleAds:search`."""
        version, verb = request.path_params["version"], request.path_params["verb"]
        headers = {"request-id": next(self.request_ids)}
        try:
            call, asked = self._checked(request, await request.body())
            if (fault := self._fault("slow", call)) is not None:
                await asyncio.sleep(float(fault.get("seconds", 1)))
            self._fail(call)
            if (fault := self._fault("html_body", call)) is not None:
                return Response(_HTML, int(fault.get("status", 200)), media_type="text/html")
            if asked.validate_only:
                return JSONResponse({}, headers=headers)
            whole = self._page(call, asked) if verb == "search" else self._stream(call, version, headers)
        except ApiError as error:
            told = error.body(version, headers["request-id"])
            return JSONResponse([told] if verb == "searchStream" else told, error.status, headers=headers)
        if (fault := self._fault("truncated_body", call)) is not None:
            body = whole if isinstance(whole, bytes) else b"".join(whole)
            return Response(body[: int(len(body) * float(fault.get("share", 0.5)))], media_type=_JSON)
        if isinstance(whole, bytes):
            return Response(whole, media_type=_JSON, headers=headers)
        return StreamingResponse(_given(whole), media_type=_JSON, headers=headers)

    def _stream(self, call: _Call, version: str, headers: dict[str, str]) -> Iterator[bytes]:
        request_id = headers["request-id"]
        fault = self._fault("mid_stream_error", call)
        if fault is None:
            return _stream(call, request_id)
        error = ApiError(500, "internalError", "INTERNAL_ERROR", "An internal error has occurred.")
        return _broken_stream(call, int(fault.get("after", 1)), request_id, error.body(version, request_id))

    def _page(self, call: _Call, asked: _Body) -> bytes:
        """One page of `search`: the same query with the token of the page before."""
        key = hashlib.sha256(" ".join(asked.query.split()).encode()).hexdigest()[:16]
        start = _page_start(asked.page_token, key)
        rows = [row for chunk in _chunks(call) for row in chunk]
        more: dict[str, Any] = {"queryResourceConsumption": _consumption(len(rows))}
        if start + BATCH_ROWS < len(rows):
            token = json.dumps([start + BATCH_ROWS, key]).encode()
            more["nextPageToken"] = base64.urlsafe_b64encode(token).decode()
        if asked.search_settings.get("returnTotalResultsCount"):
            more["totalResultsCount"] = str(len(rows))
        return _batch(call.query, rows[start : start + BATCH_ROWS], more)

    # --- checks

    def _checked(self, request: Request, body: bytes) -> tuple[_Call, _Body]:
        """The call that a request makes; raises `ApiError` for what the API refuses."""
        version = request.path_params["version"]
        _check_version(version)
        if request.path_params["verb"] not in {"search", "searchStream"}:
            raise ApiError(400, "requestError", "UNKNOWN", f"Unknown method {request.path_params['verb']}.")
        asked, query = _parsed(body)
        resource = None if isinstance(query, GaqlError) else resource_name(query)
        customer = request.path_params["customer"]
        self._check_credentials(request, customer, resource)
        account = self._account(request, customer, resource)
        if asked.page_size is not None:
            told = "Setting the page size is not supported. Search answers in pages of 10000 rows."
            raise ApiError(400, "requestError", "PAGE_SIZE_NOT_SUPPORTED", told)
        try:
            if isinstance(query, GaqlError):
                raise query
            _check_fields(query, account)
            for term in query.where:
                if term.field != "segments.date":
                    google_rows.check_condition(term)
            since, until = self._dates(query, account, version)
        except GaqlError as error:
            raise ApiError(400, error.family, error.code, str(error)) from None
        assert resource is not None
        clients = self._clients(account) if query.resource == "customer_client" else []
        views: list[ClickView] = []
        if query.resource == "click_view" and since <= until and self.sim.people is not None:
            views = self.sim.people.click_views(account, until, self.sim.now)
        states = self._states(account.id, self.sim.now)
        call = _Call(states, query, since, until, resource, clients, views, Changes(), None, False)
        withheld = self._fault("withhold_ads", call) if resource == "ad_group_ad_day" else None
        empty = self._fault("empty_success", call) is not None
        return replace(call, changes=self._changes(call), withheld=withheld, empty=empty), asked

    def _check_credentials(self, request: Request, customer: str | None, resource: str | None) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise ApiError(401, "authenticationError", "OAUTH_TOKEN_HEADER_INVALID",
                           "Request is missing required authentication credential.")  # fmt: skip
        if token not in self.tokens.issued:
            raise ApiError(401, "authenticationError", "OAUTH_TOKEN_INVALID", "Invalid OAuth access token.")
        if token not in self.tokens.spared and self._strikes("expired_token", customer, resource) is not None:
            self.tokens.kill(token)
        if token in self.tokens.killed or self.tokens.issued[token] <= self.sim.now:
            raise ApiError(401, "authenticationError", "OAUTH_TOKEN_EXPIRED", "OAuth token has expired.")
        if request.headers.get("developer-token") == "":
            raise ApiError(400, "requestError", "DEVELOPER_TOKEN_PARAMETER_MISSING",
                           "developer-token parameter is missing.")  # fmt: skip

    def _account(self, request: Request, customer: str, resource: str | None) -> Account:
        login = request.headers.get("login-customer-id", customer)
        for number in (customer, login):
            if not (number.isascii() and number.isdigit()):
                told = f"The customer ID '{number}' is invalid: it must be digits without dashes."
                raise ApiError(400, "requestError", "INVALID_CUSTOMER_ID", told)
        if customer != self.closed and customer not in self.accounts:
            told = f"No customer found for the provided customer id {customer}."
            raise ApiError(401, "authenticationError", "CUSTOMER_NOT_FOUND", told)
        forbidden = self._strikes("forbidden_account", customer, resource) is not None
        if forbidden or login != self.manager.id:
            told = (
                "User doesn't have permission to access customer. Note: If you're accessing a client "
                "customer, the manager's customer id must be set in the 'login-customer-id' header."
            )
            raise ApiError(403, "authorizationError", "USER_PERMISSION_DENIED", told)
        if customer == self.closed:
            told = "The customer account can't be accessed: it is not yet enabled or has been deactivated."
            raise ApiError(403, "authorizationError", "CUSTOMER_NOT_ENABLED", told)
        account: Account = self.accounts[customer]
        return account

    def _dates(self, query: Query, account: Account, version: str) -> tuple[date, date]:
        """The days to read, inclusive: those asked for, as far as there are figures."""
        today = self.sim.now.astimezone(account.zone).date()
        since, until = query.dates(today)
        if query.resource == "click_view":
            if since is None or since != until:
                told = "Error in query: click_view needs a filter on a single day of segments.date."
                raise GaqlError("EXPECTED_FILTER_ON_A_SINGLE_DAY", told, "clickViewError")
            if (today - since).days > CLICK_DAYS:
                told = f"Clicks are kept for {CLICK_DAYS} days; {since} is older."
                raise GaqlError("DATE_TOO_OLD", told, "clickViewError")
        if "segments.date" in query.fields and (since is None or until is None):
            told = "Error in query: a finite date range is needed: filter on segments.date."
            raise GaqlError("EXPECTED_FILTERS_ON_DATE_RANGE", told)
        if since and until and since > until:
            raise GaqlError(
                "START_DATE_AFTER_END_DATE", "The start date is after the end date.", "dateRangeError"
            )
        if "segments.date" in query.fields and since and since < _months_before(today, HISTORY_MONTHS):
            old = version == "v23"
            code = "INVALID_DATE" if old else "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED"
            told = f"Daily data is kept for {HISTORY_MONTHS} months; {since} is older."
            raise GaqlError(code, told, "dateRangeError")
        return max(since or date.min, self.business.first_day), min(until or today, today)

    def _clients(self, account: Account) -> list[dict[str, Any]]:
        """The hierarchy below `account`: itself on level 0, a manager's clients on level 1, one closed."""
        below = [one for one in self.accounts.values() if not one.is_manager] if account.is_manager else []
        rows = [_client(account, one, one.id, one.name, "ENABLED") for one in (account, *below)]
        if account.is_manager:
            rows.append(_client(account, below[0], self.closed, "Lumen Archive", "CANCELED"))
        return rows

    # --- faults

    def _strikes(self, name: str, customer: str | None, resource: str | None) -> dict[str, Any] | None:
        struck: dict[str, Any] | None = self.sim.faults.take(
            name, platform=_PLATFORM, account=customer, resource=resource
        )
        return struck

    def _fault(self, name: str, call: _Call) -> dict[str, Any] | None:
        return self._strikes(name, call.states.account.id, call.resource)

    def _fail(self, call: _Call) -> None:
        """Raise what a fault answers in place of rows."""
        if (fault := self._fault("throttle", call)) is not None:
            wait = int(fault.get("wait_seconds", 60))
            quota = {"rateScope": "DEVELOPER", "rateName": "Number of operations for basic access",
                     "retryDelay": f"{wait}s"}  # fmt: skip
            told = f"Too many requests. Retry in {wait} seconds."
            raise ApiError(429, "quotaError", "RESOURCE_EXHAUSTED", told, {"quotaErrorDetails": quota})
        if (fault := self._fault("server_error", call)) is not None:
            status = int(fault.get("status", 500))
            code = {500: "INTERNAL_ERROR", 504: "DEADLINE_EXCEEDED"}.get(status, "TRANSIENT_ERROR")
            status = status if status in _STATUS else 500
            raise ApiError(status, "internalError", code, "An internal error has occurred.")
        if (fault := self._fault("too_large", call)) is not None:
            rows = sum(len(chunk) for chunk in _chunks(call))
            if rows > int(fault.get("rows", 0)):
                raise ApiError(400, "queryError", "DATE_RANGE_TOO_WIDE", f"Too many rows: {rows}.")

    def _changes(self, call: _Call) -> Changes:
        changes = Changes()
        if (fault := self._fault("new_field", call)) is not None:
            *above, name = str(fault.get("field", "new_metric")).split(".")
            where = above or ["metrics" if call.query.metrics else call.query.resource]
            path = tuple(camel(part) for part in (*where, name))
            changes.added[path] = json.dumps(fault.get("value", "1"), ensure_ascii=False)
        if (fault := self._fault("vanished_field", call)) is not None:
            changes.vanished.add(fault["field"])
        if (fault := self._fault("changed_type", call)) is not None:
            value = fault.get("value")
            changes.retyped[fault["field"]] = None if value is None else json.dumps(value, ensure_ascii=False)
        return changes


def _request_id(number: int) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(b"%d" % number).digest()[:16]).decode().rstrip("=")


def _unused_id(number: str, taken: dict[str, Account]) -> str:
    while number in taken:
        number = str(int(number) + 1)
    return number


def _client(manager: Account, account: Account, number: str, name: str, status: str) -> dict[str, Any]:
    return {
        "resource_name": f"customers/{manager.id}/customerClients/{number}",
        "client_customer": f"customers/{number}",
        "id": number,
        "level": int(number != manager.id),
        "manager": account.is_manager,
        "descriptive_name": name,
        "currency_code": account.currency,
        "time_zone": account.timezone,
        "status": status,
        "hidden": False,
        "test_account": False,
    }


def _check_version(version: str) -> None:
    if version not in VERSIONS:
        told = f"Version {version} is not supported. Supported: {', '.join(VERSIONS)}."
        raise ApiError(400, "requestError", "UNSUPPORTED_VERSION", told)


def _parsed(body: bytes) -> tuple[_Body, Query | GaqlError]:
    try:
        asked = msgspec.json.decode(body, type=_Body)
    except msgspec.MsgspecError as error:
        raise ApiError(400, "requestError", "UNKNOWN", f"Invalid JSON payload received. {error}") from None
    try:
        return asked, gaql.parse(asked.query)
    except GaqlError as error:
        return asked, error


def _check_fields(query: Query, account: Account) -> None:
    """Whether these fields may stand together in one query; raises `GaqlError`."""
    source = query.resource
    if source not in ATTRIBUTED:
        raise GaqlError(
            "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE", f"Error in query: no resource '{source}' in FROM."
        )
    filtered = [term.field for term in query.where]
    named = {*query.fields, *filtered, *(name for name, _ in query.order)}
    if unknown := sorted(named - FIELDS.keys()):
        fields = ", ".join(f"'{name}'" for name in unknown)
        raise GaqlError("UNRECOGNIZED_FIELD", f"Error in query: unrecognized field in the query: {fields}.")
    parts = {name.partition(".")[0] for name in named}
    if others := sorted(parts - {source, *ATTRIBUTED[source], "metrics", "segments"}):
        told = f"Error in query: fields of {', '.join(others)} don't go with FROM {source}."
        raise GaqlError("PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE", told)
    if "metrics" in parts and account.is_manager:
        told = "Metrics cannot be requested for a manager account. Query the client accounts separately."
        raise GaqlError("REQUESTED_METRICS_FOR_MANAGER", told)
    for kind in ("metric", "segment"):
        if f"{kind}s" in parts and source not in REPORTS:
            told = f"Error in query: {kind}s cannot be used with FROM {source}."
            raise GaqlError(f"PROHIBITED_{kind.upper()}_IN_SELECT_OR_WHERE_CLAUSE", told)
    segments = {name for name in named if name.startswith("segments.")}
    if wrong := sorted(segments - SEGMENTS[source] - {"segments.date"} if segments else ()):
        told = f"Error in query: {', '.join(wrong)} cannot be used with FROM {source}."
        raise GaqlError("PROHIBITED_SEGMENT_IN_SELECT_OR_WHERE_CLAUSE", told)
    metrics = {name for name in named if name.startswith("metrics.")}
    if source == "click_view" and (wrong := sorted(metrics - {"metrics.clicks"})):
        told = f"Error in query: {', '.join(wrong)} cannot be used with FROM {source}."
        raise GaqlError("PROHIBITED_METRIC_IN_SELECT_OR_WHERE_CLAUSE", told)
    if segments & ACTION_SEGMENTS and (wrong := sorted(metrics - CONVERSION_METRICS)):
        told = f"Error in query: {', '.join(wrong)} cannot be combined with a conversion segment."
        raise GaqlError("PROHIBITED_SEGMENT_WITH_METRIC_IN_SELECT_OR_WHERE_CLAUSE", told)
    if unselected := sorted((segments - {"segments.date"}).difference(query.fields)):
        told = f"Error in query: {', '.join(unselected)} must be in SELECT as well."
        raise GaqlError("EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE", told)


def _months_before(day: date, months: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day
    return date(year, month + 1, min(day.day, last))


def _page_start(token: str, key: str) -> int:
    if not token:
        return 0
    try:
        start, made_for = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        start, made_for = 0, None
    if made_for != key:
        raise ApiError(400, "requestError", "INVALID_PAGE_TOKEN", "The page token is not of this query.")
    return int(start)


# --- answers


def _selected(query: Query) -> list[str]:
    """The fields of a row: those selected, and the resource names that come along."""
    if query.parameters.get("omit_unselected_resource_names"):
        return list(query.fields)
    present = {query.resource, *(name.partition(".")[0] for name in query.fields)}
    names = [f"{resource}.resource_name" for resource in ATTRIBUTED if resource in present]
    names += ["campaign_budget.resource_name"] if "campaign_budget" in present else []
    names += ["ad_group_ad.ad.resource_name"] if any("_ad.ad." in name for name in query.fields) else []
    return list(dict.fromkeys([*names, *query.fields]))


def _rows(call: _Call) -> Iterator[Rows]:
    query, states = call.query, call.states
    if call.empty:
        return
    if query.resource == "customer_client":
        yield google_rows.clients(states, call.clients)
    elif query.resource == "click_view":
        yield google_rows.clicks(states, call.clicks, call.until)
    elif not query.metrics and not query.segments:
        yield google_rows.entities(states, query.resource)
    else:
        for rows in google_rows.report(states, query, call.since, call.until):
            shown = google_rows.nonzero(rows, query)
            yield (
                _without_withheld(shown, call.withheld) if call.withheld is not None and shown.size else shown
            )


def _without_withheld(rows: Rows, fault: dict[str, Any]) -> Rows:
    """Without one campaign's rows, of one day or of all; the first campaign met stays the chosen one."""
    days = rows.keys.get("day")
    if "day" in fault and (days is None or date.fromordinal(int(days[0])).isoformat() != str(fault["day"])):
        return rows
    campaign = int(fault.setdefault("campaign", str(rows.keys["campaign"][0])))
    return rows.take(rows.keys["campaign"] != campaign)


def _chunks(call: _Call) -> Iterator[list[str]]:
    """The answer's rows as JSON, in pieces."""
    query, names = call.query, _selected(call.query)
    source: Iterator[Rows] = (google_rows.matching(rows, query) for rows in _rows(call))
    if query.order:
        source = iter([google_rows.ordered(google_rows.joined(call.states, list(source)), query)])
    left = query.limit
    for rows in source:
        texts = printed(rows, names, call.changes)[:left]
        yield texts
        left = None if left is None else left - len(texts)
        if left == 0:
            return


def _batch(query: Query, rows: list[str], more: dict[str, Any]) -> bytes:
    """A batch or page; a result without rows has no `results`."""
    rest = json.dumps({"fieldMask": ",".join(map(camel, query.fields)), **more})
    if not rows:
        return rest.encode()
    return ('{"results":[' + ",\n".join(rows) + "]," + rest[1:]).encode()


def _consumption(rows: int) -> str:
    return str(100 + rows // 10)


def _stream(call: _Call, request_id: str) -> Iterator[bytes]:
    """The body of searchStream: an array of batches, the consumption in the last."""
    yield b"["
    waiting: list[str] = []
    total = 0
    for rows in _chunks(call):
        waiting += rows
        total += len(rows)
        while len(waiting) > BATCH_ROWS:
            yield _batch(call.query, waiting[:BATCH_ROWS], {"requestId": request_id}) + b"\n,\r\n"
            del waiting[:BATCH_ROWS]
    more = {"requestId": request_id, "queryResourceConsumption": _consumption(total)}
    yield _batch(call.query, waiting, more) + b"\n]"


def _broken_stream(call: _Call, after: int, request_id: str, error: dict[str, Any]) -> Iterator[bytes]:
    """A stream that ends in an error after so many good batches, before all rows are sent."""
    rows = [row for chunk in _chunks(call) for row in chunk]
    size = min(BATCH_ROWS, max(1, -(-len(rows) // (after + 1))))
    yield b"["
    for start in range(0, min(after * size, len(rows)), size):
        yield _batch(call.query, rows[start : start + size], {"requestId": request_id}) + b"\n,\r\n"
    yield json.dumps(error).encode() + b"\n]"


async def _given(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)
