"""Graph API answers held in memory and served again: what `replay` and `ads_csv` share.

An `Edge` is what one object lists under one name at one insights level (`act_1/ads`, or `act_1/insights` at
level ad). It holds recorded pages, which keep their cursors, and loose rows, which are cut into pages on
demand. Rows are the bytes of their JSON and leave as they came.
"""

from __future__ import annotations

import base64
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ACCOUNT_LISTS = {"adaccounts", "owned_ad_accounts", "client_ad_accounts", "assigned_ad_accounts"}
UNKNOWN_ZONE = "UTC"
"""The time zone given for an account whose own was not recorded: a reader can't place a day without one."""
_ANSWER = "application/json; charset=UTF-8"
_DEFAULT_LIMIT = 25
_MAX_LIMIT = 500


class Days(msgspec.Struct, frozen=True):
    """An inclusive range of days; None leaves that side open."""

    since: date | None = None
    until: date | None = None

    def __contains__(self, day: date) -> bool:
        """Whether `day` lies in the range."""
        return (self.since is None or self.since <= day) and (self.until is None or day <= self.until)


class _Day(msgspec.Struct):
    date_start: str | None = None


@dataclass
class Page:
    """A recorded page: `cursor` is what a request for it carries in `after`, None on a first page."""

    rows: list[bytes]
    cursor: str | None = None
    extras: dict[str, Raw] = field(default_factory=dict)


@dataclass
class Edge:
    """What is listed: recorded pages in reading order, then loose rows; `error` if there is neither."""

    pages: list[Page] = field(default_factory=list)
    loose: list[bytes] = field(default_factory=list)
    error: tuple[int, bytes] | None = None
    _held: Counter[bytes] = field(default_factory=Counter)

    def rows(self) -> Iterator[bytes]:
        """Every row once, in reading order."""
        yield from itertools.chain.from_iterable(page.rows for page in self.pages)
        yield from self.loose

    def add(self, chain: list[Page]) -> None:
        """Append a recorded chain of pages, without the rows that earlier chains hold byte for byte.

        The same rows are in two chains when a list was recorded with two page sizes or overlapping dates.
        """
        here: Counter[bytes] = Counter()
        taken = {page.cursor for page in self.pages}
        for page in chain:
            page.rows = self._new(page.rows, here)
            if self.pages and (page.cursor is None or page.cursor in taken):
                page.cursor = f"{page.cursor or 'page'}.{len(self.pages)}"
            self.pages.append(page)

    def add_loose(self, rows: Iterable[bytes]) -> None:
        """Append rows that came without a page of their own, without those already held."""
        self.loose.extend(self._new(rows, Counter()))

    def _new(self, rows: Iterable[bytes], here: Counter[bytes]) -> list[bytes]:
        """The rows that occur more often `here` than in what is held."""
        new = []
        for row in rows:
            here[row] += 1
            if here[row] > self._held[row]:
                self._held[row] = here[row]
                new.append(row)
        return new

    def read(self, after: str | None, limit: int, dates: list[Days]) -> tuple[Page, str | None]:
        """The page that starts at cursor `after` and the cursor of the page that follows it, if one does.

        Raises KeyError when no page has that cursor.
        """
        start = self._loose_start(after)
        if start is None and self.pages:
            index = next((i for i, page in enumerate(self.pages) if page.cursor == after), None)
            if index is None:
                if after is not None:
                    raise KeyError(after)
                index = 0
            page = self.pages[index]
            following = self.pages[index + 1].cursor if index + 1 < len(self.pages) else None
            if following is None and self.loose:
                following = _cursor(0)
            return Page(_within(page.rows, dates), page.cursor, page.extras), following
        if start is None and after is not None:
            raise KeyError(after)
        rows, start = _within(self.loose, dates), start or 0
        end = start + limit
        return Page(rows[start:end], _cursor(start)), _cursor(end) if end < len(rows) else None

    @staticmethod
    def _loose_start(after: str | None) -> int | None:
        try:
            prefix, _, number = base64.urlsafe_b64decode(after or "").decode().partition(":")
        except ValueError:
            return None
        return int(number) if prefix == "row" and number.isdigit() else None


@dataclass
class GraphArchive:
    """Everything that is served: edges by (object, edge, level), single objects by id, accounts."""

    edges: dict[tuple[str, str, str], Edge] = field(default_factory=dict)
    nodes: dict[str, bytes] = field(default_factory=dict)
    accounts: dict[str, None] = field(default_factory=dict)

    def edge(self, owner: str, name: str, level: str = "") -> Edge:
        """The edge, made if it isn't there yet."""
        return self.edges.setdefault((owner, name, level), Edge())

    def account(self, account: str) -> bytes:
        """The account object of `act_<digits>`: what is known of it, completed to what a reader must have."""
        return complete_account(self.nodes.get(account, b"{}"), account)

    def days(self) -> Iterator[date]:
        """Every day that a row of insights is about."""
        for (_, name, _), edge in self.edges.items():
            for row in edge.rows() if name == "insights" else ():
                if text := msgspec.json.decode(row, type=_Day).date_start:
                    yield date.fromisoformat(text[:10])

    @cached_property
    def account_list(self) -> Edge:
        """The recorded list of accounts; without one, the accounts that occur in any recording."""
        listed = Edge()
        for (_, name, _), edge in self.edges.items():
            if name in ACCOUNT_LISTS:
                listed.add_loose(edge.rows())
        listed.loose = [complete_account(row) for row in listed.loose] or [
            self.account(account) for account in self.accounts
        ]
        return listed


def complete_account(row: bytes, account: str | None = None) -> bytes:
    """The JSON of an account with `id`, `account_id` and `timezone_name` added where they are missing.

    The time zone is then `UNKNOWN_ZONE`; a currency is never made up.
    """
    known = msgspec.json.decode(row, type=dict[str, Raw])
    if account is None:
        named = msgspec.json.decode(known.get("id") or known["account_id"], type=str)
        account = named if named.startswith("act_") else f"act_{named}"
    return extend(row, id=account, account_id=account.removeprefix("act_"), timezone_name=UNKNOWN_ZONE)


def extend(row: bytes, **fields: str) -> bytes:
    """The JSON object `row` with those `fields` appended that it lacks; what it has keeps its exact bytes."""
    known = msgspec.json.decode(row, type=dict[str, Raw])
    new = {name: value for name, value in fields.items() if name not in known}
    if not new:
        return row
    tail = json.dumps(new, ensure_ascii=False).encode()[1:]
    return row.rstrip()[:-1].rstrip() + (b", " if known else b"") + tail


def _within(rows: list[bytes], dates: list[Days]) -> list[bytes]:
    return [row for row in rows if _starts_within(row, dates)] if dates else rows


def _starts_within(row: bytes, dates: list[Days]) -> bool:
    text = msgspec.json.decode(row, type=_Day).date_start
    return text is None or any(date.fromisoformat(text[:10]) in days for days in dates)


def _cursor(start: int) -> str:
    return base64.urlsafe_b64encode(f"row:{start}".encode()).decode()


# --- over HTTP ---


def graph_routes(archive: GraphArchive, sim: Any) -> list[Route]:
    """Routes under `/graph` that serve `archive`; `sim` is the running simulator (its `now` is used)."""
    return [Route("/graph/{path:path}", GraphEndpoint(archive, sim).answer, methods=["GET", "POST"])]


class GraphEndpoint:
    """The Graph API over a `GraphArchive`: lists, single objects, `ids=`, and async report runs.

    Matches on method, path without version, level and cursor; else only the dates and `limit` matter.
    """

    def __init__(self, archive: GraphArchive, sim: Any) -> None:
        """Serve `archive`; report runs are kept here."""
        self.archive, self.sim = archive, sim
        self.runs: dict[str, tuple[str, dict[str, str]]] = {}
        self.run_ids = itertools.count(700_000_000_000_001)

    async def answer(self, request: Request) -> Response:
        """Answer one call as the Graph API would."""
        version, path = split_version(request.path_params["path"])
        params = dict(request.query_params)
        if request.method == "POST":
            return self._start(path, params | body_params(await request.body()))
        base = f"{request.url.scheme}://{request.url.netloc}/graph{version}"
        match path:
            case [owner, name]:
                return self._list(f"{base}/{owner}/{name}", owner, name, params)
            case [] if "ids" in params:
                found = {key: self._node(key) for key in params["ids"].split(",")}
                return _json({key: Raw(node) for key, node in found.items() if node is not None})
            case [name] if name in {edge for _, edge, _ in self.archive.edges}:
                return self._keyed(base, name, params)
            case [key] if (node := self._node(key)) is not None:
                return Response(node, media_type=_ANSWER)
        return _unsupported("get", "/".join(path))

    def _start(self, path: list[str], params: dict[str, str]) -> Response:
        if path[1:] != ["insights"]:
            return _unsupported("post", "/".join(path))
        run = str(next(self.run_ids))
        self.runs[run] = (path[0], params)
        return _json({"report_run_id": run})

    def _node(self, key: str) -> bytes | None:
        if key in self.runs:
            return msgspec.json.encode(self._status(key))
        return self.archive.account(key) if key in self.archive.accounts else self.archive.nodes.get(key)

    def _keyed(self, base: str, name: str, params: dict[str, str]) -> Response:
        own = {key: value for key, value in params.items() if key != "ids"}
        seen = (
            owner for owner, edge, _ in self.archive.edges if edge == name and owner in self.archive.accounts
        )
        owners = params["ids"].split(",") if "ids" in params else dict.fromkeys(seen)
        pages = {owner: self._list(f"{base}/{owner}/{name}", owner, name, own) for owner in owners}
        return _json({owner: Raw(bytes(page.body)) for owner, page in pages.items()})

    def _edge(self, owner: str, name: str, params: dict[str, str]) -> Edge:
        if owner == "me" and name in ACCOUNT_LISTS:
            return self.archive.account_list
        level = (params.get("level") or "account") if name == "insights" else ""
        return self.archive.edges.get((owner, name, level), Edge())

    def _list(self, url: str, owner: str, name: str, params: dict[str, str]) -> Response:
        """A page of what `owner` lists under `name`; of a report run, what its account lists."""
        account, asked = self.runs.get(owner, (owner, params))
        edge = self._edge(account, name, asked)
        if edge.error and not edge.pages and not edge.loose:
            return Response(edge.error[1], edge.error[0], media_type=_ANSWER)
        try:
            limit = min(int(params.get("limit") or _DEFAULT_LIMIT), _MAX_LIMIT)
            page, following = edge.read(params.get("after"), limit, asked_dates(asked))
        except (KeyError, ValueError, msgspec.MsgspecError) as error:
            return _error(f"(#100) Invalid parameter: {error}", 100)
        if not page.rows and following is None:
            return _json({"data": [], **page.extras})
        cursors = {"before": page.cursor or "", "after": following or page.cursor or ""}
        paging: dict[str, Any] = {"cursors": cursors}
        if following is not None:
            paging["next"] = f"{url}?{urlencode({**params, 'after': following})}"
        return _json({"data": [Raw(row) for row in page.rows], "paging": paging, **page.extras})

    def _status(self, run: str) -> dict[str, Any]:
        owner, asked = self.runs[run]
        instant = int(self.sim.now.timestamp())
        dates = asked_dates(asked)
        return {
            "id": run,
            "account_id": owner.removeprefix("act_"),
            "time_ref": instant,
            "time_completed": instant,
            "async_status": "Job Completed",
            "async_percent_completion": 100,
            **({"date_start": str(dates[0].since), "date_stop": str(dates[-1].until)} if dates else {}),
        }


def split_version(path: str) -> tuple[str, list[str]]:
    """`v26.0/act_1/ads` -> (`/v26.0`, [`act_1`, `ads`]); the version is empty where the path has none."""
    parts = [part for part in path.split("/") if part]
    if parts and parts[0][0] == "v" and parts[0][1:].replace(".", "", 1).isdigit():
        return f"/{parts[0]}", parts[1:]
    return "", parts


def body_params(body: bytes) -> dict[str, str]:
    """The parameters of a POST body, form-encoded or a JSON object, as texts."""
    text = body.decode()
    if text.lstrip().startswith("{"):
        return flat_params(json.loads(text))
    return dict(parse_qsl(text, keep_blank_values=True))


def flat_params(values: dict[str, Any]) -> dict[str, str]:
    """Parameters with nested values as JSON text, the way the Graph API takes them."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def asked_dates(params: dict[str, str]) -> list[Days]:
    """The ranges of days asked for by `time_range`, `time_ranges` or `since` and `until`; empty = all days.

    Raises `msgspec.DecodeError` or `msgspec.ValidationError` where they can't be read.
    """
    if "time_range" in params:
        return [msgspec.json.decode(params["time_range"], type=Days)]
    if "time_ranges" in params:
        return msgspec.json.decode(params["time_ranges"], type=list[Days])
    sides = ("since", "until")
    given = {side: params.get(f"time_range[{side}]") or params.get(side) for side in sides}
    return [msgspec.convert(given, Days)] if any(given.values()) else []


def _json(value: Any) -> Response:
    return Response(msgspec.json.encode(value), media_type=_ANSWER)


def _unsupported(method: str, key: str) -> Response:
    text = (
        f"Unsupported {method} request. Object with ID '{key}' does not exist, cannot be loaded due to "
        "missing permissions, or does not support this operation"
    )
    return _error(text, 100, 33)


def _error(message: str, code: int, subcode: int | None = None) -> Response:
    error = {"message": message, "type": "GraphMethodException", "code": code, "fbtrace_id": "replay"}
    if subcode is not None:
        error["error_subcode"] = subcode
    return Response(msgspec.json.encode({"error": error}), 400, media_type=_ANSWER)
