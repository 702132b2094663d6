"""Recorded exchanges served again instead of the business.

A recording is a folder of `*.jsonl` files, one exchange `{method, url, status, body}` a line in any order;
a POST may carry `request`, its body. `body` is the answer, as JSON or as a string of JSON.

Rows are served as the bytes that were recorded. What was never recorded gets the vendor's empty answer, and
an account without a recorded time zone says UTC.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import Raw
from starlette.routing import Route

from simulators.google_archive import GoogleArchive, google_routes
from simulators.graph_archive import (
    GraphArchive,
    Page,
    body_params,
    extend,
    graph_routes,
    split_version,
)

log = logging.getLogger(__name__)

_LEVELS = {"ads": "ad", "adsets": "adset", "campaigns": "campaign"}
_IDS = {"ad": "ad_id", "adset": "adset_id", "campaign": "campaign_id"}
_SECRETS = {"access_token", "appsecret_proof"}
_CURSORS = ("after", "before", "__paging_token", "pagingToken", "offset", "page")

Signature = frozenset[tuple[str, str]]
Cursor = tuple[tuple[str, str], ...]
_Batch = tuple[str, str, list[bytes]]  # account, level, rows


class Exchange(msgspec.Struct):
    """One line of a recording."""

    url: str
    body: Raw
    method: str = "GET"
    status: int = 200
    request: Raw = Raw(b"null")

    @property
    def is_google(self) -> bool:
        """Whether this is a call of the Google Ads API."""
        return "/customers" in urlsplit(self.url).path

    @property
    def answer(self) -> bytes:
        """The body as the vendor sent it."""
        text = bytes(self.body)
        return msgspec.json.decode(text, type=str).encode() if text.startswith(b'"') else text

    @property
    def asked(self) -> bytes:
        """The body of the request; empty where none was recorded."""
        text = bytes(self.request)
        if text == b"null":
            return b""
        return msgspec.json.decode(text, type=str).encode() if text.startswith(b'"') else text


def read(folder: Path) -> list[Exchange]:
    """All exchanges of `folder/*.jsonl`.

    Raises:
        FileNotFoundError: the folder holds no `*.jsonl` file.
        ValueError: a line isn't an exchange; names the file and line.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise FileNotFoundError(f"no *.jsonl file in {folder}: give a folder of recorded exchanges")
    exchanges = []
    for file in files:
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            if not line.strip():
                continue
            try:
                exchanges.append(msgspec.json.decode(line, type=Exchange))
            except msgspec.MsgspecError as error:
                raise ValueError(
                    f"{file}:{number} is not an exchange {{method,url,status,body}}: {error}"
                ) from error
    return exchanges


def routes(folder: Path | str, sim: Any) -> list[Route]:
    """Routes under `/graph`, `/googleads` and `/oauth2` that serve the recording in `folder`."""
    graph, google = archives(Path(folder))
    return [*graph_routes(graph, sim), *google_routes(google, sim)]


def recorded_days(folder: Path | str) -> tuple[date, date] | None:
    """The first and last day that a recorded report row is about; None without any.

    A reader's clock must stand soon after the last one: it asks for the days before its own.
    """
    graph, google = archives(Path(folder))
    days = {*graph.days(), *google.days()}
    return (min(days), max(days)) if days else None


def archives(folder: Path) -> tuple[GraphArchive, GoogleArchive]:
    """The recording in `folder`, indexed. Raises as `read` does."""
    exchanges = read(folder)
    google = GoogleArchive()
    for exchange in exchanges:
        if exchange.is_google:
            google.add(urlsplit(exchange.url).path, exchange.status, exchange.answer, exchange.asked)
    return graph_archive(exchange for exchange in exchanges if not exchange.is_google), google


# --- Graph API ---


@dataclass
class _Recorded:
    """One recorded page of an edge, or the error it answered."""

    owner: str
    name: str
    level: str
    signature: Signature
    cursor: Cursor
    rows: list[bytes] = field(default_factory=list)
    following: str | None = None
    extras: dict[str, Raw] = field(default_factory=dict)
    error: tuple[int, bytes] | None = None


class _Paging(msgspec.Struct):
    next: str | None = None


class _Row(msgspec.Struct):
    """What of a row says where it belongs."""

    id: str | None = None
    account_id: str | None = None
    ad_id: str | None = None
    adset_id: str | None = None
    campaign_id: str | None = None
    date_start: str | None = None

    @property
    def level(self) -> str:
        return next((level for level, name in _IDS.items() if getattr(self, name)), "account")

    def key(self, level: str) -> tuple[str | None, ...]:
        return (getattr(self, _IDS[level], None) if level in _IDS else None), self.date_start


def graph_archive(exchanges: Iterable[Exchange]) -> GraphArchive:
    """Index recorded Graph traffic."""
    archive = GraphArchive()
    recorded: list[_Recorded] = []
    runs: dict[str, tuple[str, str | None]] = {}
    for exchange in exchanges:
        _, path = split_version(urlsplit(exchange.url).path)
        params = dict(parse_qsl(urlsplit(exchange.url).query, keep_blank_values=True)) | _request_params(
            exchange
        )
        if exchange.method.upper() == "POST":
            if path[1:] == ["insights"] and exchange.status < 400:
                run = msgspec.json.decode(exchange.answer, type=dict[str, Raw]).get(
                    "report_run_id", Raw(b'""')
                )
                runs[str(json.loads(bytes(run)))] = path[0], params.get("level")
            continue
        recorded.extend(_pages(archive, exchange, path, params))
    _assemble(archive, recorded, runs)
    return archive


def _request_params(exchange: Exchange) -> dict[str, str]:
    return body_params(exchange.asked) if exchange.asked.strip() else {}


def _pages(
    archive: GraphArchive, exchange: Exchange, path: list[str], params: dict[str, str]
) -> Iterator[_Recorded]:
    """The pages of edges in one GET (an `ids=` answer holds several); single objects go into `archive`."""
    failed = exchange.status >= 400
    body = {} if failed else _object(exchange.answer)
    match path:
        case [owner, name]:
            yield _page(owner, name, params, exchange.status, exchange.answer)
        case [key] if "id" in body:
            yield from _node(archive, key, exchange.answer)
        case [name]:
            for owner, answer in body.items():
                yield _page(owner, name, params, exchange.status, bytes(answer))
        case []:
            for key, answer in body.items():
                yield from _node(archive, key, bytes(answer))


def _node(archive: GraphArchive, key: str, answer: bytes) -> Iterator[_Recorded]:
    """Keep a single object; what is nested in an account's is the first page of its edges."""
    archive.nodes[key] = answer
    if key.startswith("act_"):
        archive.accounts[key] = None
        for name, value in _object(answer).items():
            if name in _LEVELS or name == "insights":
                yield _page(key, name, {}, 200, bytes(value))


def _object(text: bytes) -> dict[str, Raw]:
    try:
        return msgspec.json.decode(text, type=dict[str, Raw])
    except msgspec.MsgspecError:
        return {}


def _page(owner: str, name: str, params: dict[str, str], status: int, answer: bytes) -> _Recorded:
    level = params.get("level", "") if name == "insights" else ""
    signature, cursor = _identity(params)
    page = _Recorded(owner, name, level, signature, cursor)
    body = _object(answer)
    if status >= 400 or "data" not in body:
        page.error = (status, answer)
        return page
    page.rows = [bytes(row) for row in msgspec.json.decode(body.pop("data"), type=list[Raw])]
    page.following = msgspec.json.decode(body.pop("paging", Raw(b"{}")), type=_Paging).next
    page.extras = body
    return page


def _identity(params: dict[str, str]) -> tuple[Signature, Cursor]:
    cursor = tuple((name, params[name]) for name in _CURSORS if params.get(name))
    return frozenset((k, v) for k, v in params.items() if k not in _SECRETS and k not in _CURSORS), cursor


def _assemble(
    archive: GraphArchive, recorded: list[_Recorded], runs: dict[str, tuple[str, str | None]]
) -> None:
    groups: dict[tuple[str, str, str], list[_Recorded]] = defaultdict(list)
    for page in recorded:
        groups[page.owner, page.name, page.level].append(page)
        if page.owner.startswith("act_"):
            archive.accounts[page.owner] = None
    for (owner, name, level), pages in groups.items():
        edge = archive.edge(owner, name, level or ("account" if name == "insights" else ""))
        for chain in _chains(pages):
            edge.add(
                [Page(page.rows, page.cursor[0][1] if page.cursor else None, page.extras) for page in chain]
            )
        edge.error = edge.error or next((page.error for page in pages if page.error), None)
    owners = _objects(recorded)
    reports: list[_Batch] = []
    nested: list[_Batch] = []
    for (owner, name, level), edge in archive.edges.items():
        account, own = runs.get(owner) or owners.get(owner) or (owner, None)
        if name in _LEVELS:
            below: dict[str, list[bytes]] = defaultdict(list)
            for row in edge.rows():
                for depth, insight in _nested(name, row):
                    below[depth].append(insight)
            nested += [(account, depth, rows) for depth, rows in below.items()]
        elif name == "insights" and not owner.startswith("act_") and (rows := list(edge.rows())):
            first = msgspec.json.decode(rows[0], type=_Row)
            account = account if account != owner else f"act_{first.account_id}"
            reports.append((account, level if level != "account" else own or first.level, rows))
    _lift(archive, reports)
    _lift(archive, nested)


def _objects(recorded: list[_Recorded]) -> dict[str, tuple[str, str | None]]:
    """For every listed ad, ad set and campaign its account and level."""
    found: dict[str, tuple[str, str | None]] = {}
    for page in recorded:
        if page.name in _LEVELS and page.owner.startswith("act_"):
            for row in page.rows:
                if key := msgspec.json.decode(row, type=_Row).id:
                    found[key] = page.owner, _LEVELS[page.name]
    return found


def _chains(pages: list[_Recorded]) -> list[list[_Recorded]]:
    """Pages in reading order, linked by their recorded `paging.next`; those without a cursor first.

    A link leads to the page that was recorded for exactly that call, else to the only one with that cursor. A
    page that nothing leads to starts a chain of its own, so none is lost.
    """
    exact: dict[tuple[Signature, Cursor], _Recorded] = {}
    loose: dict[Cursor, list[_Recorded]] = defaultdict(list)
    for page in pages:
        if page.error:
            continue
        held = exact.setdefault((page.signature, page.cursor), page)
        if held is page:
            loose[page.cursor].append(page)
        else:  # the same call recorded twice
            held.rows.extend(row for row in page.rows if row not in held.rows)
            held.following = held.following or page.following
    links: dict[int, _Recorded] = {}
    for page in exact.values():
        if page.following:
            signature, cursor = _identity(
                dict(parse_qsl(urlsplit(page.following).query, keep_blank_values=True))
            )
            alike = loose.get(cursor, [])
            target = exact.get((signature, cursor)) or (alike[0] if len(alike) == 1 else None)
            if target:
                links[id(page)] = target
    targets = {id(page) for page in links.values()}
    order = sorted(exact.values(), key=lambda page: (id(page) in targets, bool(page.cursor)))
    chains: list[list[_Recorded]] = []
    visited: set[int] = set()
    for head in order:
        chain: list[_Recorded] = []
        at: _Recorded | None = head
        while at is not None and id(at) not in visited:
            visited.add(id(at))
            chain.append(at)
            at = links.get(id(at))
        if chain:
            chains.append(chain)
    return chains


def _nested(name: str, row: bytes) -> Iterator[tuple[str, bytes]]:
    """The insights nested at any depth in a row of `ads`, `adsets` or `campaigns`, with their level.

    They are known by the object they hang from, so they are given its id where it wasn't asked for.
    """
    fields = _object(row)
    key = json.loads(bytes(fields.get("id", Raw(b"null"))))
    for child, value in fields.items():
        if child == "insights" or child in _LEVELS:
            data = bytes(_object(bytes(value)).get("data", Raw(b"[]")))
            for item in map(bytes, msgspec.json.decode(data, type=list[Raw])):
                if child == "insights":
                    level = _LEVELS[name]
                    yield level, extend(item, **({_IDS[level]: key} if key else {}))
                else:
                    yield from _nested(child, item)


def _lift(archive: GraphArchive, batches: Iterable[_Batch]) -> None:
    """Add rows to their accounts' insights, but none whose object and day are there from a better source."""
    told: dict[tuple[str, str], set[tuple[str | None, ...]]] = {}
    for account, level, rows in batches:
        archive.accounts.setdefault(account, None)
        edge = archive.edge(account, "insights", level)
        if (account, level) not in told:
            told[account, level] = {_key(row, level) for row in edge.rows()}
        edge.add_loose(row for row in rows if _key(row, level) not in told[account, level])


def _key(row: bytes, level: str) -> tuple[str | None, ...]:
    return msgspec.json.decode(row, type=_Row).key(level)
