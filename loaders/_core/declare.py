"""What a loader declares; everything else is the core's.

A loader is a module ``loaders/<source>.py`` with one module-level constant ``LOADER``::

    LOADER = Loader(
        name="facebook_ads",
        settings=FacebookAdsSettings,      # a subclass of Settings
        connect=connect,                   # settings, clock -> context manager of an api object
        root=lambda api: ROOT,             # under which id the list of accounts itself is kept
        accounts=accounts,                 # api -> the accounts to read
        resources=(Resource("campaigns", read=read_campaigns, records=("data",)), ...),
    )

The core asks ``accounts`` once a run, then calls every ``Resource.read`` for every account, turns the
bytes into rows of the raw table of the same name, and lands them with a receipt for each set.
``read`` yields whole JSON documents as they came from the vendor (the body of a page, a batch of a
stream): no parsing, no renaming, no typing. Where it begins anew after it has given some, it says so with
``loaders._core.stream.Mark`` between them. It raises the errors of ``loaders._core.errors``:
``AccountError`` skips that account in this run, ``ConfigurationError`` stops the source, any other
``AdstarError`` counts as a failure of that account.
"""

# No `from __future__ import annotations`: dlt reads the types of a subclass's settings in that one's module.
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Self
from zoneinfo import ZoneInfo

from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration

from loaders._core.privacy.values import Personal
from loaders._core.stream import Documents, Keyed, Rejected, Rows


@dataclass(frozen=True)
class Clock:
    """Where a run takes the time from; frozen at ``instant`` if given (``ADSTAR_NOW``), else the real one."""

    instant: datetime | None = None

    @classmethod
    def from_environment(cls) -> Self:
        """The clock of this process: ``ADSTAR_NOW``, an ISO instant with offset, or the real one.

        Raises:
            ValueError: ``ADSTAR_NOW`` is no ISO instant or has no offset.
        """
        text = os.environ.get("ADSTAR_NOW", "").strip()
        if not text:
            return cls()
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            raise ValueError(
                f"ADSTAR_NOW is {text!r}; write an ISO instant with offset, such as 2026-03-01T06:00:00+00:00"
            )
        return cls(instant.astimezone(UTC))

    def now(self) -> datetime:
        """The present instant, in UTC."""
        return self.instant or datetime.now(UTC)

    def today(self, timezone: str) -> date:
        """The calendar day it is in an IANA time zone."""
        return self.now().astimezone(ZoneInfo(timezone)).date()


@dataclass(frozen=True)
class Account:
    """An advertising account as far as reading it needs.

    Attributes:
        id: the vendor's id as rows of raw shall carry it in ``_account`` (Facebook without ``act_``).
        timezone: IANA name; the account's days begin and end in it. Give it as the vendor does: an account
            whose time zone is missing or unknown is left out.
        error: why this account can't be read although it was asked for; it then counts as failed.
        versions: by day, what the newest receipts of the resource that is read keep of a ``stream.Version``.
        rows: what counts of the resource that the one that is read ``resumes``, by raw column.
    """

    id: str
    timezone: str = "UTC"
    error: Exception | None = None
    versions: Mapping[date | None, str] = field(default_factory=dict, compare=False)
    rows: Sequence[Mapping[str, str | None]] = field(default=(), compare=False)


@dataclass(frozen=True)
class Window:
    """Account-local calendar days from ``since`` to ``until``, both inclusive."""

    since: date
    until: date


Reader = Callable[[Any, Account, Window | None], Documents]
STATED = ("_day",)
"""``Resource.day`` of a report whose records carry no date; its reader says it with ``stream.OfDay``."""


@dataclass(frozen=True)
class Resource:
    """One raw table: where its records come from and what the core has to know about them.

    Attributes:
        name: the raw table, as the vendor calls it, in snake_case.
        read: ``(api, account, window)`` -> JSON documents, each a whole body; no ``window`` for entities.
        records: path to the list of records in a document, ``("data",)``; an absent or null key means none.
            An empty path takes the document itself: a list of records, or one record.
        opens: object fields of a record opened one level: ``metrics`` lands as ``metrics__clicks``...;
            any other list or object lands as its JSON text.
        day: path of the day field, ``("date_start",)`` or ``("segments", "date")``; makes this a report,
            one set for each day. Empty: entities, one set for each reading. A path of two needs
            its first part in ``opens``. ``STATED``: the reader says it.
        totals: raw columns summed exactly into each set's receipt (a missing value counts as zero).
        control: name of the report whose totals this account-day report must equal.
        columns: raw columns that always exist, whether a value was ever seen or not (every column staging
            reads). Others appear with their first value.
        per_account: False for the list of accounts itself: read once a run, with ``Loader.root``.
        only: ids of the accounts that have it; None: all have it.
        key: raw column of what the source knows a record by for ever, such as a message id. ``read`` then
            gives ``stream.Keyed`` records. Each lands once, however often it comes, and every set counts.
        judge: what ``read`` would give today of a record that it once rejected; lets ``dlt pipeline NAME
            retry-quarantine`` bring back what is in quarantine. Needs a ``key``.
        resumes: name of the entities, read after this one, that say how far it was read. Its reader gets them
            as the warehouse has them in ``Account.rows``, begins there, and so gives nothing twice.
        personal: raw columns with personal data (of a table of a database: its own columns; those it has not
            are left out), and the class of each; the core lands a pseudonym beside
            every one, and ciphertext in its place if sealing is on (docs/privacy.md).
        copy: ``(api, account)`` -> ``databases.copying.Reading`` instead of ``read``: a table of
            a database, which lands with its types and as versions of its rows.
        every_days: read only if the newest receipt is older than this many days.
    """

    name: str
    read: Reader = lambda api, account, window: iter(())
    records: tuple[str, ...] = ()
    opens: tuple[str, ...] = ()
    day: tuple[str, ...] = ()
    totals: tuple[str, ...] = ()
    control: str | None = None
    columns: tuple[str, ...] = ()
    per_account: bool = True
    only: tuple[str, ...] | None = None
    key: str = ""
    judge: Callable[[bytes], Keyed | Rejected | Rows] | None = None
    resumes: str = ""
    personal: Mapping[str, Personal] = field(default_factory=dict)
    copy: Callable[[Any, Account], Any] | None = None
    every_days: int = 0

    def is_of(self, account: str) -> bool:
        """Whether an account has it."""
        return self.only is None or account in self.only


@configspec
class Settings(BaseConfiguration):
    """What every loader can be told under ``[sources.<name>]``; a loader adds fields of its own.

    Attributes:
        api_version: the vendor's version, part of every address.
        api_version_sunset: the day the vendor switches that version off; a run warns 60 days ahead.
        window_days: for how many days a day's figures may still change; a run reads today and these.
        start_date: the first day the first run reads; default: the first day of the window.
        history_months: the vendor's floor; nothing older than this many months is asked for.
        deadline_seconds: how long one read may take in all, waits and retries included.
        archive: whether the vendor's answers are kept as they came (docs/runbooks/archive.md); None: as
            [archive] says.
    """

    api_version: str = "v1"
    api_version_sunset: date | None = None
    window_days: int = 28
    start_date: date | None = None
    history_months: int = 37
    deadline_seconds: float = 3600.0
    archive: bool | None = None


@dataclass(frozen=True)
class Loader:
    """A source, declared.

    Attributes:
        name: module name; the pipeline's name, and ``raw_<name>`` its schema.
        settings: subclass of Settings (``@configspec``). Its fields of a secret type without default
            (``access_token: TSecretStrValue = None``) and its tables (``feeds: dict[str, Feed] = None``, with
            ``Feed`` a ``msgspec.Struct``, is ``[sources.<name>.feeds.*]``) decide whether the source is
            configured: none of them present, it is left out; some but not all, an error that names the
            missing ones.
        connect: ``(settings, clock)`` -> context manager that gives the api object handed to all readers.
        root: ``(api)`` -> the pseudo account of resources with ``per_account=False``.
        accounts: ``(api)`` -> accounts to read, each once. It may keep what it read for the
            ``per_account=False`` resource, which the core reads afterwards.
        resources: read in this order within an account.
        resources_of: ``(settings)`` -> the resources, where only the settings tell.
        confirm: ``(api, account)`` -> whether there is more to read of it, in a package of its own. Called
            when what was read of the account counts, and never before: here a queue is told to forget it.
            What it raises is said of the account; the rows are safe; what comes again is known by its key.
        is_stream: a run gives only what is new, so it may be kept running with ``--follow``.
        archived: whether its answers are archived unless a setting says otherwise; None: they can't be, since
            they come neither through ``http.Http`` nor as a table, and ``Tape.told`` is not called.
    """

    name: str
    settings: type[Settings]
    connect: Callable[[Any, Clock], AbstractContextManager[Any]]
    root: Callable[[Any], Account]
    accounts: Callable[[Any], list[Account]]
    resources: tuple[Resource, ...] = ()
    resources_of: Callable[[Any], tuple[Resource, ...]] | None = None
    confirm: Callable[[Any, Account], bool] | None = None
    is_stream: bool = False
    archived: bool | None = None

    def made_for(self, settings: Settings) -> Self:
        """The loader with the resources that these settings give it."""
        return replace(self, resources=self.resources_of(settings)) if self.resources_of else self

    def reports_of(self, account: str) -> list[str]:
        """The names of the reports that an account has."""
        return [r.name for r in self.resources if r.day and r.is_of(account)]
