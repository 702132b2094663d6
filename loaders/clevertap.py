"""CleverTap: API 1 (https://developer.clevertap.com): events, profiles and campaign reports of one project.

An export is ordered by event name and day of the project's time zone, then read along a cursor. To the core
each event name is an account, so one that CleverTap refuses to export leaves the others in; and one day of it
is a set that is replaced whole: records have no id, and two equal ones are two. Profiles can only be asked
for by what they did. They are, like those inside events, as of the export and not as of the day. The lists
of campaigns are snapshots of the last 31 days: their figures count up to the moment of reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue
from msgspec.json import encode

from loaders._core import errors
from loaders._core.declare import STATED, Account, Clock, Loader, Resource, Settings, Window
from loaders._core.http import Reply, Rule, decode, first_match
from loaders._core.pages import Api, Export, cut
from loaders._core.privacy.values import Personal
from loaders._core.redact import secret
from loaders._core.stream import Documents, Mark, OfDay

REGIONS = ("eu1", "in1", "sg1", "us1", "aps3", "mec1")  # Europe, India, Singapore, US, Indonesia, UAE
DEVICE = "platform os_version app_version make model"
PROFILE = f"object_id identity email phone name {DEVICE} events df"
SESSION = (
    "utm_source utm_medium utm_campaign utm_content session_source session_referrer landing_url gclid fbclid"
)
EVENTS = ["ts", "event_props", *(f"profile__{each}" for each in PROFILE.split())]
EVENTS += [f"session_props__{each}" for each in SESSION.split()]
PROFILES = ["identity", "email", "phone", "name", "object_id", "profile_data", "events", "platform_info"]
CONTACTS = {"email": Personal.EMAIL, "phone": Personal.PHONE, "name": Personal.NAME}
IDS = {"identity": Personal.USER_ID, "object_id": Personal.DEVICE_ID}
DOCUMENTS = dict.fromkeys(("profile_data", "platform_info"), Personal.DOCUMENT)
PERSONAL = {f"profile__{each}": kind for each, kind in (CONTACTS | IDS).items()}
FIGURES = "sent viewed clicked conversion_event labels device"
MESSAGES = f"message_id message_name channel delivery start_date status {FIGURES}".split()
WRONG = "see sources.clevertap.account_id and .passcode, and .region: other regions do not know them"
REFUSED = "only to S3 or GCS; take it out of sources.clevertap.event_names"
RULES = (
    Rule(errors.Throttled, {2, 202}, "still in progress"),
    Rule(errors.Throttled, {429}),
    Rule(errors.ConfigurationError, {401}, advice=WRONG),
    Rule(errors.AccountError, text="(?i)export not allowed", advice=REFUSED),
    Rule(errors.VendorError, {3}),
)
ALONG = (*RULES, Rule(errors.Lost, {400}, advice="the cursor has expired"))
# Of a campaign that has no result yet, as it was observed in two forms, or that is gone; 409 is the page's.
RESULTLESS = "(?i)no result as of yet|hasn't been completed|invalid campaign id"
OF_TARGET = (Rule(errors.Lost, {409}), Rule(errors.Lost, text=RESULTLESS), *RULES)
RESULTS = ["id", *(f"result__{each}" for each in ("sent", "viewed", "clicked"))]
NOT_READY = 2.0  # seconds


@configspec
class ClevertapSettings(Settings):
    """``[sources.clevertap]``; ``timezone`` is the project's, ``profiles_of`` some of the events' names."""

    account_id: str = None  # type: ignore[assignment]
    passcode: TSecretStrValue = None  # type: ignore[assignment]
    timezone: str = None  # type: ignore[assignment]
    event_names: list[str] = None  # type: ignore[assignment]
    profiles_of: list[str] = field(default_factory=list)
    region: str = "eu1"
    base_url: str = ""
    batch_size: int = 5000
    api_version: str = "1"
    window_days: int = 5  # devices that were offline send what they did, with its time, when they are back
    history_months: int = 1200


@dataclass
class Project(Api):
    """The api, and the day it is in the project's time zone."""

    today: date = date.min


def classify(reply: Reply, rules: tuple[Rule, ...] = RULES) -> errors.AdstarError | None:
    """CleverTap's error, which may come with HTTP 200 and has the status or a small number as its code."""
    try:
        raw = {name: reply.members.get(name, b"null") for name in ("status", "error", "code")}
    except errors.BadBody:
        if reply.status == 200:
            raise
        raw = {}  # a gateway's HTML
    said: dict[str, Any] = {name: decode(bytes(value), Any) for name, value in raw.items()}
    code, text = said.get("code"), said.get("error")
    if reply.status == 200 and said["status"] == "success" and not text:
        return None
    status = code if reply.status == 200 and isinstance(code, int) and code >= 400 else reply.status
    wait = NOT_READY if code == 2 or status == 202 else None
    told = f"CleverTap error {code}: {text}" if text else f"HTTP {reply.status}, {said.get('status')}"
    return first_match(rules, replace(reply, status=status), told, {code, status}, wait)


EXPORT = Export(
    "records", (("cursor",), ("next_cursor",), ("paging", "next")), partial(classify, rules=ALONG)
)


def connect(settings: ClevertapSettings, clock: Clock) -> Project:
    """A client for the project's region."""
    region = settings.region.lower()
    if not settings.base_url and region not in REGIONS:
        raise errors.ConfigurationError(
            f"sources.clevertap.region is {region!r}; there are {', '.join(REGIONS)}"
        )
    try:
        ZoneInfo(settings.timezone)
    except (OSError, KeyError, ValueError):
        raise errors.ConfigurationError(
            f"sources.clevertap.timezone is {settings.timezone!r}; write the project's, such as Europe/Berlin"
        ) from None
    settings.base_url = settings.base_url or f"https://{region}.api.clevertap.com"
    headers = {
        "X-CleverTap-Account-Id": settings.account_id,
        "X-CleverTap-Passcode": secret(settings.passcode),
    }
    project = Project.of(settings, classify, headers=headers)
    project.today = clock.today(settings.timezone)
    return project


def root(project: Project) -> Account:
    """The project itself, which has the campaigns."""
    return Account(project.settings.account_id, project.settings.timezone)


def accounts(project: Project) -> list[Account]:
    """The names of events that are read, or by which profiles are."""
    names = dict.fromkeys([*project.settings.event_names, *profiles_of(project.settings)])
    return [Account(name, project.settings.timezone) for name in names]


def profiles_of(settings: ClevertapSettings) -> list[str]:
    """By which events profiles are selected: the setting, else the one that every user does."""
    names, usual = settings.event_names, "App Launched"
    return settings.profiles_of or [usual if usual in names or not names else names[0]]


def number(day: date) -> int:
    """A day as CleverTap writes it."""
    return int(f"{day:%Y%m%d}")


def exports(name: str, flags: dict[str, str]) -> Any:
    """A reader that exports each day for itself."""

    def read(project: Project, account: Account, window: Window) -> Documents:
        query = {"batch_size": str(project.settings.batch_size)} | flags
        for day in (each.since for each in cut(window, 1)):
            yield OfDay(day)
            order = {"event_name": account.id, "from": number(day), "to": number(day)}
            yield from EXPORT.pages(project.http, f"{name}.json", query, order)
            yield Mark.WHOLE

    return read


def listing(path: str) -> Any:
    """A reader of what the last 31 days have of campaigns."""

    def read(project: Project, account: Account, window: None) -> Iterator[bytes]:
        days = {"from": number(project.today - timedelta(days=30)), "to": number(project.today)}
        yield project.http.fetch("POST", f"{path}.json", json=days)

    return read


def results(project: Project, account: Account, window: Window | None) -> Documents:
    """What each campaign of the list has brought, under its id, but those that have no result yet."""
    ask = partial(
        project.http.ask, "POST", "targets/result.json", classify=partial(classify, rules=OF_TARGET)
    )
    for listed in listing("targets/list")(project, account, window):
        for target in decode(listed, dict[str, Any]).get("targets") or []:
            if "id" not in target:
                raise errors.VendorError("a campaign has no id", where="targets/list.json")
            with suppress(errors.Lost):
                told = ask(json={"id": target["id"]}).members
                if "result" not in told:
                    raise errors.VendorError("the answer has no result", where="targets/result.json")
                yield b'{"id":%s,"result":%s}' % (encode(target["id"]), bytes(told["result"]))


def resources(settings: ClevertapSettings) -> tuple[Resource, ...]:
    """The raw tables, with the names of the events that each is read for."""
    flags = dict.fromkeys(("app", "events", "profile"), "true")  # the older documentation asks for profiles
    events = Resource("events", exports("events", flags), ("records",), ("profile", "session_props"), STATED)
    profiles = Resource("profiles", exports("profiles", {}), ("records",), day=STATED)
    return (
        Resource(
            "message_report",
            listing("message/report"),
            ("messages",),
            columns=tuple(MESSAGES),
            per_account=False,
        ),
        Resource(
            "targets",
            listing("targets/list"),
            ("targets",),
            columns=("id", "name", "scheduled_on", "status"),
            per_account=False,
        ),
        Resource("target_results", results, (), ("result",), columns=tuple(RESULTS), per_account=False),
        replace(
            events,
            columns=tuple(EVENTS),
            only=tuple(settings.event_names),
            personal=PERSONAL | {"event_props": Personal.DOCUMENT},
        ),
        replace(
            profiles,
            columns=tuple(PROFILES),
            only=tuple(profiles_of(settings)),
            personal=CONTACTS | IDS | DOCUMENTS,
        ),
    )


LOADER = Loader(
    name="clevertap",
    settings=ClevertapSettings,
    connect=connect,
    root=root,
    accounts=accounts,
    resources_of=resources,
    archived=False,
)
