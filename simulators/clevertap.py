"""CleverTap's API 1 as a loader meets it: exports of events and profiles along cursors, reports of campaigns.

Who did what comes from the simulated people; profiles are as of the moment of the export, whatever day is
asked for. Records lie in 23 buckets and a page takes as many from each, so pages are hardly ever of the size
asked for; some lists begin with an empty page, and some end with an empty cursor instead of none.
simulators/README.md lists what is left out and what is assumed.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol
from urllib.parse import quote, unquote
from zoneinfo import ZoneInfo

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulators.business import Business
from simulators.faults import Faults

PLATFORM: Final = "clevertap"
AT_ONCE = 3
LARGEST_BATCH = 5000
BUCKETS = 23
LONGEST_REPORT = 31
REMEMBERED = 2000
"""So many cursors; who reads list by list needs the last few."""
REFUSED = {"Notification Sent", "Notification Viewed", "Notification Clicked", "System Event"}
"""Names of events that are only exported to S3 or GCS."""
CAMPAIGNS = {
    "message/report": "message_report",
    "targets/list": "targets",
    "targets/result": "target_results",
}
"""Resources as faults know them, by path."""
LIVES = {
    "events": (timedelta(hours=4), timedelta(hours=1)),
    "profiles": (timedelta(days=4), timedelta(days=4)),
}
"""How long a cursor lives, and how long when it is not used."""


class Sim(Protocol):
    """What this module uses of the server's state."""

    business: Business
    now: datetime
    faults: Faults
    people: Any
    clevertap_account_id: str
    clevertap_passcode: str
    clevertap_timezone: str


class Refusal(Exception):
    """An answer of status "fail"; `code` is CleverTap's own where that is not the HTTP status."""

    def __init__(self, status: int, text: str, code: int | None = None) -> None:
        """`status` is HTTP's; `code` is given in the body instead of it."""
        super().__init__(text)
        self.status = status
        self.body = {"status": "fail", "error": text, "code": status if code is None else code}


INCORRECT = (400, "Incorrect Usage", 3)
FIGURES = ("sent", "viewed", "clicked")


@dataclass
class _Device:
    """A device as its profile has it at an instant: by whom it is used, and what was done on it."""

    device: Any
    identity: str = ""
    events: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass
class _Known:
    """All that has happened before an instant, as exports need it."""

    devices: dict[str, _Device]
    persons: dict[str, Any]
    by_day: dict[tuple[str, date], list[Any]]


@dataclass
class _Export:
    """A list that was ordered: its pages, frozen, and the cursor of each."""

    resource: str
    name: str
    pages: list[list[bytes]]
    cursors: list[str]
    ends_empty: bool
    made: datetime
    used: datetime


class CleverTap:
    """The API as a function from requests to answers."""

    def __init__(self, sim: Sim) -> None:
        """`sim` is read on every request: clock and faults may change between two."""
        self._sim = sim
        self._exports: dict[str, tuple[_Export, int]] = {}
        self._ordered = 0
        self._known: tuple[Any, datetime, _Known] | None = None
        self.busy: Counter[str] = Counter()

    # ---- one request
    def identify(self, method: str, path: str, raw_query: str, body: bytes) -> tuple[str | None, str]:
        """Event name and resource of a request as faults know them."""
        resource = path.removeprefix("1/").removesuffix(".json")
        if resource not in LIVES:
            return None, CAMPAIGNS.get(resource, resource)
        if method == "POST":
            asked = _json(body)
            return (str(asked["event_name"]) if "event_name" in asked else None), resource
        found = self._exports.get(_cursor(raw_query))
        return (found[0].name if found else None), resource

    def answer(self, method: str, path: str, headers: Mapping[str, str], raw_query: str, body: bytes) -> Any:
        """What is answered as JSON. Raises Refusal."""
        account, resource = self.identify(method, path, raw_query, body)
        self._authorise(headers)
        if method == "GET" and "content-type" in headers:
            raise Refusal(*INCORRECT)
        self._strike(account, resource, method)
        if resource in LIVES:
            return (
                self._order(resource, _query(raw_query), _json(body))
                if method == "POST"
                else self._page(raw_query)
            )
        if method == "POST" and resource == "target_results":
            return self._result(_json(body))
        if method == "POST" and resource in ("message_report", "targets"):
            key, row = {"message_report": ("messages", _message), "targets": ("targets", _target)}[resource]
            return {"status": "success", key: [row(each) for each in self._listed(_json(body))]}
        raise Refusal(404, "Not Found")

    def _authorise(self, headers: Mapping[str, str]) -> None:
        given = (headers.get("x-clevertap-account-id"), headers.get("x-clevertap-passcode"))
        right = (self._sim.clevertap_account_id, self._sim.clevertap_passcode)
        if given != right or self.take("expired_token", None, "") is not None:
            raise Refusal(401, "Invalid credentials")

    def take(self, name: str, account: str | None, resource: str) -> dict[str, Any] | None:
        """The options of a fault if it strikes."""
        return self._sim.faults.take(name, platform=PLATFORM, account=account, resource=resource)

    def _strike(self, account: str | None, resource: str, method: str) -> None:
        """Faults that answer with an error."""
        if self.take("throttle", account, resource) is not None:
            raise too_many()
        if (options := self.take("server_error", account, resource)) is not None:
            raise Refusal(int(options.get("status", 500)), "Internal error")
        if self.take("forbidden_account", account, resource) is not None:
            raise Refusal(400, "Export not allowed for this event")
        if resource not in LIVES or method == "POST":
            return
        if (options := self.take("not_ready", account, resource)) is not None:
            raise Refusal(int(options.get("status", 200)), "Request still in progress, please retry later", 2)
        if self.take("expired_cursor", account, resource) is not None:
            raise Refusal(400, "Invalid cursor")

    # ---- exports
    def _order(self, resource: str, query: Mapping[str, str], asked: Mapping[str, Any]) -> dict[str, str]:
        name, since, until = asked.get("event_name"), _day(asked.get("from")), _day(asked.get("to"))
        batch = query.get("batch_size", "100")
        if not name or not since or not until or since > until or not batch.isdigit():
            raise Refusal(*INCORRECT)
        if not 1 <= int(batch) <= LARGEST_BATCH:
            raise Refusal(*INCORRECT)
        if name in REFUSED:
            raise Refusal(400, "Export not allowed for this event")
        known = self._as_of(self._sim.now)
        days = [since + timedelta(days=n) for n in range((until - since).days + 1)]
        done = [event for day in days for event in known.by_day.get((str(name), day), ())]
        if self.take("empty_success", str(name), resource) is not None:
            done = []
        changed = self.take("api_changed", str(name), resource) is not None
        rows = self._events(done, known, changed) if resource == "events" else self._profiles(done, known)
        pages = _pages([(key, self._dressed(row, str(name), resource)) for key, row in rows], int(batch))
        self._ordered += 1
        lot = _lot(resource, str(name), since)
        if lot % 4 == 0:
            pages.insert(lot % len(pages), [])
        cursors = [_new_cursor(self._ordered, number) for number in range(len(pages))]
        now = self._sim.now
        export = _Export(resource, str(name), pages, cursors, lot % 3 == 0, now, now)
        for number, cursor in enumerate(cursors):
            self._exports[unquote(cursor)] = (export, number)
        while len(self._exports) > REMEMBERED:
            del self._exports[next(iter(self._exports))]
        return {"cursor": cursors[0], "status": "success"}

    def _page(self, raw_query: str) -> dict[str, Any]:
        found = self._exports.get(_cursor(raw_query))
        if found is None:
            raise Refusal(400, "Invalid cursor")
        export, number = found
        life, unused = LIVES[export.resource]
        now = self._sim.now
        if now - export.made > life or now - export.used > unused:
            raise Refusal(400, "Invalid cursor")
        export.used = now
        following = export.cursors[number + 1 :][:1] or ([""] if export.ends_empty else [])
        if following and self.take("duplicate_page", export.name, export.resource) is not None:
            following = [export.cursors[number]]
        page: dict[str, Any] = {"status": "success"}
        if self.take("api_changed", export.name, export.resource) is not None:
            page["paging"] = {"next": following[0] if following else None}
        elif following:
            page["next_cursor"] = following[0]
        return page | {"records": [msgspec.Raw(record) for record in export.pages[number]]}

    def _as_of(self, now: datetime) -> _Known:
        people = self._sim.people
        if self._known is None or self._known[0] is not people or self._known[1] != now:
            self._known = (people, now, self._look(now))
        return self._known[2]

    def _look(self, now: datetime) -> _Known:
        zone = ZoneInfo(self._sim.clevertap_timezone)
        persons = self._sim.people.persons(now)
        devices = {each.object_id: _Device(each) for person in persons for each in person.devices}
        by_day: dict[tuple[str, date], list[Any]] = defaultdict(list)
        for event in self._sim.people.events(now):
            by_day[event.name, event.at.astimezone(zone).date()].append(event)
            seen = int(event.at.timestamp())
            device = devices[event.object_id]
            device.identity = event.identity or device.identity
            counted = device.events.setdefault(
                event.name, {"count": 0, "first_seen": seen, "last_seen": seen}
            )
            counted["count"] += 1
            counted["last_seen"] = seen
        return _Known(devices, {person.user_id: person for person in persons if person.user_id}, by_day)

    def _events(self, done: list[Any], known: _Known, changed: bool) -> Iterator[tuple[str, dict[str, Any]]]:
        zone = ZoneInfo(self._sim.clevertap_timezone)
        for event in done:
            device = known.devices[event.object_id]
            local = event.at.astimezone(zone)
            record = {
                "profile": _device(device.device) | _who(device, known) | {
                    "df": {"0": 60 + len(device.identity), "1": 130, "2": 420},
                    "events": device.events,
                },
                "ts": int(f"{local:%Y%m%d%H%M%S}"),
                "event_props": _typed(event.event_props, device.device.platform),
                "session_props": event.session_props,
            }  # fmt: skip
            yield event.object_id, _changed(record, local) if changed else record

    def _profiles(self, done: list[Any], known: _Known) -> Iterator[tuple[str, dict[str, Any]]]:
        """One for each identity, or for each device that nobody has signed in on."""
        found: dict[str, list[_Device]] = {}
        for object_id in dict.fromkeys(event.object_id for event in done):
            device = known.devices[object_id]
            found.setdefault(device.identity or object_id, []).append(device)
        for key, devices in found.items():
            first = devices[0]
            one = _who(first, known) if first.identity else {"objectId": key}
            person = known.persons.get(first.identity)
            custom = (
                {}
                if person is None
                else {
                    "Customer Type": person.plan,
                    "Country": person.country,
                    "MSG-email": person.marketing_consent,
                }
            )
            yield (
                key,
                one
                | {
                    "profileData": custom,
                    "events": first.events,
                    "platformInfo": [_device(each.device) for each in devices],
                },
            )

    def _dressed(self, record: dict[str, Any], name: str, resource: str) -> bytes:
        if (options := self.take("new_field", name, resource)) is not None:
            record = record | {options.get("field", "new_metric"): options.get("value", 1)}
        if (options := self.take("vanished_field", name, resource)) is not None:
            record = {key: value for key, value in record.items() if key != options.get("field")}
        if (options := self.take("changed_type", name, resource)) is not None:
            key = options.get("field", "ts")
            record = record | {key: options.get("value", [record.get(key)])}
        return msgspec.json.encode(record)

    # ---- campaigns
    def _listed(self, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Those of the days that are asked for."""
        since, until = _day(asked.get("from")), _day(asked.get("to"))
        if not since or not until or not 0 <= (until - since).days < LONGEST_REPORT:
            raise Refusal(*INCORRECT)
        return [each for each in self._campaigns() if since <= each["start"].date() <= until]

    def _result(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Of one campaign. What is told of one that has none varies, as it was observed to."""
        found = next((each for each in self._campaigns() if _target(each)["id"] == asked.get("id")), None)
        if found is None:
            raise Refusal(400, "Invalid campaign id")
        if found["status"] == "completed":
            return {"status": "success", "result": {name: found[name] for name in FIGURES}}
        if found["week"] % 2:
            raise Refusal(500, "This target has no result as of yet")
        return {"status": "success", "error": "This target hasn't been completed", "code": 200}

    def _campaigns(self) -> Iterator[dict[str, Any]]:
        """One a week, to all who were known; its figures grow for a week."""
        zone, now = ZoneInfo(self._sim.clevertap_timezone), self._sim.now
        persons = self._sim.people.persons(now)
        for week in range((now.astimezone(zone).date() - self._sim.business.first_day).days // 7 + 1):
            day = self._sim.business.first_day + timedelta(days=7 * week)
            start = datetime(day.year, day.month, day.day, 18, 30, tzinfo=zone)
            if start > now:
                continue
            known = sum(person.first_seen_at < start for person in persons)
            hours = min(168, int((now - start).total_seconds()) // 3600)
            yield {"id": 1_457_432_766 + week, "week": week, "start": start, "sent": known,
                   "viewed": known * 2 * hours // 840, "clicked": known * hours // 3360,
                   "status": "completed" if hours == 168 else "running"}  # fmt: skip


def _message(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "message id": one["id"],
        "message_name": f"Week {one['week']}: 10% off, only “today”",
        "channel": "Push",
        "delivery": "One time",
        "start_date": int(f"{one['start']:%Y%m%d%H%M}"),
        "status": one["status"],
        "sent": one["sent"],
        "viewed": one["viewed"],
        "clicked": one["clicked"],
        "conversion_event": "Charged",
        "labels": ["weekly"],
        "device": ["Android", "iOS"],
    }


def _target(one: Mapping[str, Any]) -> dict[str, Any]:
    scheduled = int(f"{one['start']:%Y%m%d%H%M}")
    return {
        "id": one["id"] + 1000,
        "name": f"API week {one['week']}",
        "scheduled_on": scheduled,
        "status": one["status"],
    }


def too_many() -> Refusal:
    """What a fourth request at once is told; there is no Retry-After."""
    return Refusal(429, "Too many concurrent requests")


def _device(device: Any) -> dict[str, Any]:
    return {
        "objectId": device.object_id,
        "platform": device.platform,
        "os_version": device.os_version,
        "app_version": device.app_version,
        "make": device.make,
        "model": device.model,
    }


def _who(device: _Device, known: _Known) -> dict[str, Any]:
    """What is known of who signed in; absent, not null, of a device that nobody has signed in on."""
    person = known.persons.get(device.identity)
    if person is None:
        return {"identity": device.identity} if device.identity else {}
    phone: Any = person.phone
    if person.number % 3 == 0 and phone.removeprefix("+").isdigit():
        phone = int(phone.removeprefix("+"))
    return {"identity": device.identity, "email": person.email, "phone": phone, "name": person.name}


def _typed(properties: Mapping[str, Any], platform: str) -> dict[str, Any]:
    """Apple's app sends numbers as text."""
    if platform != "iOS":
        return dict(properties)
    return {name: str(value) if type(value) in (int, float) else value for name, value in properties.items()}


def _changed(record: dict[str, Any], local: datetime) -> dict[str, Any]:
    """A record of the API to come: a field renamed, one nested, one added, and one of another type."""
    profile = dict(record["profile"])
    profile["manufacturer"] = profile.pop("make")
    profile["os"] = {"version": profile.pop("os_version")}
    profile["language"] = "en"
    return record | {"profile": profile, "ts": f"{local:%Y-%m-%dT%H:%M:%S}"}


def _pages(rows: list[tuple[str, bytes]], batch: int) -> list[list[bytes]]:
    """The records in pages: as many from each bucket; all at once for a batch smaller than the buckets."""
    buckets: list[list[bytes]] = [[] for _ in range(BUCKETS)]
    for key, record in rows:
        buckets[_lot(key) % BUCKETS].append(record)
    size = batch // BUCKETS or len(rows) or 1
    longest = max(map(len, buckets))
    return [
        [record for bucket in buckets for record in bucket[first : first + size]]
        for first in range(0, max(longest, 1), size)
    ]


def _new_cursor(*parts: object) -> str:
    """Some 2 KB of text, percent-encoded."""
    noise = b"".join(hashlib.blake2b(f"{parts}/{n}".encode()).digest() for n in range(20))
    return quote(base64.b64encode(noise).decode(), safe="")


def _cursor(raw_query: str) -> str:
    """The cursor of a query, decoded once."""
    return unquote(raw_query.removeprefix("cursor="))


def _query(raw_query: str) -> dict[str, str]:
    return dict(part.partition("=")[::2] for part in raw_query.split("&"))


def _json(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except msgspec.DecodeError:
        raise Refusal(*INCORRECT) from None


def _day(value: Any) -> date | None:
    """An integer YYYYMMDD as a day."""
    try:
        return datetime.strptime(str(value), "%Y%m%d").date() if type(value) is int else None
    except ValueError:
        return None


def _lot(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest())


# --------------------------------------------------------------------------------------------------- HTTP
def routes(sim: Any) -> list[Route]:
    """The API below `/clevertap`; `sim` is the server's state."""
    api = CleverTap(sim)

    async def serve(request: Request) -> Response:
        path, raw_query = request.path_params["path"], request.scope["query_string"].decode("latin-1")
        family = path.partition(".")[0]
        api.busy[family] += 1
        try:
            if api.busy[family] > AT_ONCE:
                raise too_many()
            return await respond(request, path, raw_query, await request.body())
        except Refusal as refusal:
            return Response(msgspec.json.encode(refusal.body), refusal.status, media_type="application/json")
        finally:
            api.busy[family] -= 1

    async def respond(request: Request, path: str, raw_query: str, content: bytes) -> Response:
        account, resource = api.identify(request.method, path, raw_query, content)
        if (options := api.take("slow", account, resource)) is not None:
            await asyncio.sleep(float(options.get("seconds", 1)))
        if (options := api.take("html_body", account, resource)) is not None:
            html = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
            return Response(html, int(options.get("status", 200)), media_type="text/html")
        found = api.answer(request.method, path, request.headers, raw_query, content)
        body = msgspec.json.encode(found)
        if (options := api.take("truncated_body", account, resource)) is not None:
            body = body[: int(len(body) * float(options.get("share", 0.5)))]
        return Response(body, media_type="application/json")

    return [Route("/clevertap/{path:path}", serve, methods=["GET", "POST"])]
