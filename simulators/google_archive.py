"""Recorded Google Ads answers held in memory and served again by customer, resource and kind of query."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulators import gaql

UNKNOWN_ZONE = "UTC"
"""The time zone given for a customer whose own was not recorded: a reader can't place a day without one."""
BATCH_ROWS = 10_000
_numbers = itertools.count()
_SELECT = re.compile(r"\s*SELECT\s+(?P<fields>.+?)\s+FROM\s+(?P<resource>\w+)", re.DOTALL | re.IGNORECASE)
_ANSWER = "application/json; charset=UTF-8"
_FROM = (  # what a row tells of its query's FROM, the most specific first
    "search_term_view", "keyword_view", "customer_client", "ad_group_ad", "ad_group_criterion", "ad_group",
    "conversion_action", "campaign_budget", "campaign", "customer",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """What a query is matched on."""

    customer: str
    resource: str
    metrics: bool
    conversion_action: bool

    @classmethod
    def of(cls, customer: str, fields: Iterable[str], resource: str) -> Kind:
        """The kind of a query that selects `fields` (snake_case) from `resource`."""
        names = list(fields)
        metrics = any(name.startswith("metrics.") for name in names)
        return cls(customer, resource, metrics, "segments.conversion_action" in names)


class _Segments(msgspec.Struct):
    date: str | None = None


class _Customer(msgspec.Struct, rename="camel"):
    id: str | None = None
    time_zone: str | None = None
    currency_code: str | None = None
    descriptive_name: str | None = None


class _Row(msgspec.Struct):
    segments: _Segments | None = None
    customer: _Customer | None = None


class _Batch(msgspec.Struct, rename="camel"):
    results: list[Raw] = []
    field_mask: str = ""


class _Asked(msgspec.Struct, rename="camel"):
    query: str = ""
    page_token: str = ""


@dataclass
class Stream:
    """All rows recorded for one kind of query, and the field mask they came with."""

    rows: list[bytes] = field(default_factory=list)
    field_mask: str = ""
    error: tuple[int, bytes] | None = None
    _calls: dict[str, Counter[bytes]] = field(default_factory=dict)
    _held: Counter[bytes] = field(default_factory=Counter)

    def add(self, call: str, batches: list[_Batch]) -> list[bytes]:
        """Append rows of one `call` (its pages belong together) that no other call holds byte for byte.

        Returns the rows that are new.
        """
        new = []
        here = self._calls.setdefault(call, Counter())
        for batch in batches:
            self.field_mask = self.field_mask or batch.field_mask
            for row in map(bytes, batch.results):
                here[row] += 1
                if here[row] > self._held[row]:
                    self._held[row] = here[row]
                    new.append(row)
        self.rows += new
        return new

    def within(self, since: date | None, until: date | None) -> list[bytes]:
        """The rows whose `segments.date` lies in the inclusive range; rows without a date always."""
        return [row for row in self.rows if _within(row, since, until)]


@dataclass
class GoogleArchive:
    """Streams by kind of query, and the customers that occur."""

    streams: dict[Kind, Stream] = field(default_factory=lambda: defaultdict(Stream))
    customers: dict[str, _Customer] = field(default_factory=dict)
    accessible: list[str] = field(default_factory=list)

    def add(self, path: str, status: int, answer: bytes, asked: bytes) -> None:
        """Take in one exchange: path of the call, HTTP status, body of the answer, body of the request."""
        if path.endswith("customers:listAccessibleCustomers") and status < 400:
            self.accessible += msgspec.json.decode(answer, type=dict[str, list[str]]).get("resourceNames", [])
            return
        match = re.search(r"/customers/(\d+)/googleAds:search(?:Stream)?$", path)
        if match is None:
            return
        customer = match.group(1)
        request = msgspec.json.decode(asked, type=_Asked) if asked.strip() else _Asked()
        batches = _batches(answer) if status < 400 else []
        kind = self._kind(customer, request.query, batches)
        stream = self.streams[kind]
        if not batches:
            stream.error = (status, answer)
            return
        self.customers.setdefault(customer, _Customer(customer))
        call = " ".join(request.query.split()) or f"unnamed {next(_numbers)}"
        for row in stream.add(call, batches):
            told = msgspec.json.decode(row, type=_Row).customer
            if told and (told.time_zone or told.currency_code) and told.id in {None, customer}:
                self.customers[customer] = told

    @staticmethod
    def _kind(customer: str, query: str, batches: list[_Batch]) -> Kind:
        if match := _SELECT.match(query):
            return Kind.of(customer, re.split(r"[\s,]+", match["fields"]), match["resource"])
        mask = [_snake(name) for batch in batches for name in batch.field_mask.split(",") if name]
        rows = [_snake(name) for batch in batches for row in batch.results[:1] for name in _keys(row)]
        present = {name.partition(".")[0] for name in mask + rows}
        return Kind.of(customer, mask, next((name for name in _FROM if name in present), ""))

    def hierarchy(self, customer: str) -> list[bytes]:
        """The rows of `customer_client`: to a manager that wasn't recorded, all customers that were."""
        own = self.customers.get(customer)
        clients = [] if own else list(self.customers)
        rows = [self._client(customer, customer, level=0, manager=own is None)]
        return rows + [self._client(customer, client, level=1, manager=False) for client in clients]

    def _client(self, manager_id: str, client: str, level: int, manager: bool) -> bytes:
        known = self.customers.get(client, _Customer(client))
        values = {
            "resourceName": f"customers/{manager_id}/customerClients/{client}",
            "clientCustomer": f"customers/{client}",
            "hidden": False,
            "level": str(level),
            "timeZone": known.time_zone or UNKNOWN_ZONE,
            "testAccount": False,
            "manager": manager,
            "descriptiveName": known.descriptive_name,
            "currencyCode": known.currency_code,
            "id": client,
            "status": "ENABLED",
        }
        return json.dumps({"customerClient": {k: v for k, v in values.items() if v is not None}}).encode()

    def answer(self, customer: str, query: gaql.Query, now: datetime) -> tuple[list[bytes], str]:
        """The recorded rows that answer `query` and the field mask; nothing recorded gives no rows.

        A list of customers that was recorded below any manager is the answer to any other one.
        """
        stream = self.streams.get(Kind.of(customer, query.fields, query.resource))
        mask = ",".join(_camel(name) for name in query.fields)
        if query.resource == "customer_client" and (stream is None or not stream.rows):
            lists = [
                held for kind, held in self.streams.items() if kind.resource == query.resource and held.rows
            ]
            return (lists[0].rows, lists[0].field_mask or mask) if lists else (self.hierarchy(customer), mask)
        if stream is None or not stream.rows:
            return [], mask
        zone = self.customers[customer].time_zone or UNKNOWN_ZONE
        since, until = query.dates(now.astimezone(ZoneInfo(zone)).date())
        return stream.within(since, until), stream.field_mask or mask

    def days(self) -> Iterator[date]:
        """Every day that a recorded row is about."""
        for row in itertools.chain.from_iterable(stream.rows for stream in self.streams.values()):
            segments = msgspec.json.decode(row, type=_Row).segments
            if segments and segments.date:
                yield date.fromisoformat(segments.date)

    def error(self, customer: str, query: gaql.Query) -> tuple[int, bytes] | None:
        """The recorded refusal, where nothing but a refusal was recorded."""
        stream = self.streams.get(Kind.of(customer, query.fields, query.resource))
        return stream.error if stream and not stream.rows else None


def _batches(answer: bytes) -> list[_Batch]:
    try:
        if answer.lstrip().startswith(b"["):
            return msgspec.json.decode(answer, type=list[_Batch])
        return [msgspec.json.decode(answer, type=_Batch)]
    except msgspec.MsgspecError:
        return []


def _keys(row: Raw) -> list[str]:
    return list(msgspec.json.decode(row, type=dict[str, Raw]))


def _within(row: bytes, since: date | None, until: date | None) -> bool:
    segments = msgspec.json.decode(row, type=_Row).segments
    if segments is None or segments.date is None:
        return True
    day = date.fromisoformat(segments.date)
    return (since is None or since <= day) and (until is None or day <= until)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: f"_{match.group(1).lower()}", name)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


# --- over HTTP ---


def google_routes(archive: GoogleArchive, sim: Any) -> list[Route]:
    """Routes under `/googleads` and `/oauth2/token` that serve `archive`; any credentials are accepted."""

    async def token(_: Request) -> Response:
        return _reply({"access_token": "replay", "expires_in": 3599, "token_type": "Bearer"})

    async def accessible(_: Request) -> Response:
        names = archive.accessible or [f"customers/{customer}" for customer in archive.customers]
        return _reply({"resourceNames": names} if names else {})

    async def search(request: Request) -> Response:
        stream = request.path_params["verb"] == "searchStream"
        body = await request.body()
        try:
            asked = msgspec.json.decode(body, type=_Asked)
            query = gaql.parse(asked.query)
            customer = request.path_params["customer"]
            if (refused := archive.error(customer, query)) is not None:
                return Response(refused[1], refused[0], media_type=_ANSWER)
            rows, mask = archive.answer(customer, query, sim.now)
        except (gaql.GaqlError, msgspec.MsgspecError) as error:
            return _reply(_refusal(error, stream), 400)
        consumption = {"queryResourceConsumption": str(len(rows))}
        if not stream:
            start = int(asked.page_token or 0)
            page = _batch(rows[start : start + BATCH_ROWS], mask)
            more = {"nextPageToken": str(start + BATCH_ROWS)} if start + BATCH_ROWS < len(rows) else {}
            return _reply(page | more | consumption)
        starts = range(0, len(rows), BATCH_ROWS) or range(1)
        batches = [_batch(rows[at : at + BATCH_ROWS], mask) | {"requestId": "replay"} for at in starts]
        batches[-1] |= consumption
        return _reply(batches)

    return [
        Route("/oauth2/token", token, methods=["POST"]),
        Route("/googleads/{version}/customers:listAccessibleCustomers", accessible),
        Route("/googleads/{version}/customers/{customer}/googleAds:{verb}", search, methods=["POST"]),
    ]


def _batch(rows: list[bytes], mask: str) -> dict[str, Any]:
    return ({"results": [Raw(row) for row in rows]} if rows else {}) | {"fieldMask": mask}


def _reply(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type=_ANSWER)


def _refusal(error: Exception, stream: bool) -> Any:
    code = {error.family: error.code} if isinstance(error, gaql.GaqlError) else {"requestError": "UNKNOWN"}
    failure = {
        "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
        "errors": [{"errorCode": code, "message": str(error)}],
        "requestId": "replay",
    }
    message = "Request contains an invalid argument."
    body = {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT", "details": [failure]}}
    return [body] if stream else body
