"""A vendor made of a JSON file, and a loader for it; run as a module it is a process one can kill.

The file: ``{"accounts": [{"id", "timezone"?, "error"?}], "entities": {account: [record]},
"days": {account: {day: [record]}}, "controls": {account: {day: [record]}}, "page": records a page}``.
Controls that are not given agree
with the days. An account's ``error`` is ``account`` or ``configuration``; ``unlisted`` is one that fails when
the accounts are listed.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core import warehouse
from loaders._core.declare import Account, Clock, Loader, Resource, Settings, Window
from loaders._core.errors import AccountError, ConfigurationError
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target

NAME = "vendor"


@configspec
class VendorSettings(Settings):
    file: str = ""
    window_days: int = 2
    token: TSecretStrValue = None


class Api:
    def __init__(self, file: Path) -> None:
        self.file = file
        self.reads: list[tuple[str, str, str | None]] = []

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.file.read_bytes())


@contextmanager
def connect(settings: VendorSettings, clock: Clock) -> Iterator[Api]:
    yield Api(Path(settings.file))


def accounts(api: Api) -> list[Account]:
    return [
        Account(
            a["id"],
            timezone=a.get("timezone", "UTC"),
            error=AccountError("no") if a.get("error") == "unlisted" else None,
        )
        for a in api.data["accounts"]
    ]


def _pages(api: Api, records: list[Any]) -> Iterator[bytes]:
    size = api.data.get("page", 100)
    for first in range(0, max(len(records), 1), size):
        yield json.dumps({"data": records[first : first + size]}).encode()


def _refuse(api: Api, account: Account) -> None:
    error = next((a.get("error") for a in api.data["accounts"] if a["id"] == account.id), None)
    if error == "account":
        raise AccountError(f"no permission for {account.id}")
    if error == "configuration":
        raise ConfigurationError("the token is dead")


def list_accounts(api: Api, account: Account, window: Window | None) -> Iterator[bytes]:
    yield from _pages(api, [{"id": a["id"]} for a in api.data["accounts"]])


def entities(api: Api, account: Account, window: Window | None) -> Iterator[bytes]:
    yield from _pages(api, api.data.get("entities", {}).get(account.id, []))


def _sums(days: dict[str, list[dict[str, str]]]) -> dict[str, list[dict[str, str]]]:
    """What a platform's own totals would say."""
    return {
        day: [{name: str(sum(Decimal(row.get(name, 0)) for row in rows)) for name in ("spend", "clicks")}]
        for day, rows in days.items()
        if all(row.get("spend", "0")[-1:].isdecimal() for row in rows)
    }


def _report(key: str) -> Any:
    def read(api: Api, account: Account, window: Window | None) -> Iterator[bytes]:
        assert window is not None
        api.reads.append((key, account.id, f"{window.since}..{window.until}"))
        days = api.data.get(key)
        days = _sums(api.data["days"].get(account.id, {})) if days is None else days.get(account.id, {})
        rows = [
            {"day": day, **record} if "day" not in record else record
            for day, records in sorted(days.items())
            if str(window.since) <= day <= str(window.until)
            for record in records
        ]
        yield from _pages(api, rows)
        if (pause := os.environ.pop("VENDOR_PAUSE", None)) and key == "days":
            Path(pause).write_text(str(os.getpid()))
            while Path(pause).exists():
                time.sleep(0.02)
        _refuse(api, account)

    return read


DAYS = Resource(
    "days", _report("days"), ("data",), day=("day",), totals=("spend", "clicks"), columns=("day", "id")
)
LOADER = Loader(
    name=NAME,
    settings=VendorSettings,
    connect=connect,
    root=lambda api: Account("root"),
    accounts=accounts,
    resources=(
        Resource("accounts", list_accounts, ("data",), per_account=False),
        Resource("entities", entities, ("data",), opens=("nested",)),
        DAYS,
        Resource(
            "controls",
            _report("controls"),
            ("data",),
            day=("day",),
            totals=("spend", "clicks"),
            control="days",
        ),
    ),
)


class Vendor:
    """The file, and runs against it."""

    def __init__(self, file: Path, target: Target) -> None:
        self.file = file
        self.target = target
        self.now = "2026-03-10T12:00:00+00:00"
        self.data: dict[str, Any] = {"accounts": [{"id": "1"}], "entities": {}, "days": {}}

    def write(self) -> None:
        self.file.write_text(json.dumps(self.data))

    def clock(self) -> Clock:
        from datetime import datetime

        return Clock(datetime.fromisoformat(self.now))

    def settings(self, **changes: Any) -> VendorSettings:
        settings = VendorSettings(file=str(self.file))
        for name, value in changes.items():
            setattr(settings, name, value)
        return settings

    def run(self, loader: Loader = LOADER, backfill: Window | None = None, **settings: Any) -> Result:
        self.write()
        return SourceRun(
            loader, self.settings(**settings), self.target, self.clock(), backfill=backfill
        ).execute()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.target.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()

    def current(self, resource: str, columns: str) -> list[tuple[Any, ...]]:
        """Rows of the newest committed sets, as staging takes them: the landed truth."""
        return self.query(
            f"select {columns} from raw_vendor.{resource} r join (select c.*, row_number() over (partition by"
            f" account, day order by c.run_seq desc) age from raw_vendor.covered c join ops.commits"
            f" using (run_seq)"
            f" where resource = '{resource}') c on c.age = 1 and r._account = c.account"
            f" and r._day is not distinct from c.day and r._run_seq = c.data_run_seq order by 1, 2"
        )


def with_resource(name: str, **changes: Any) -> Loader:
    """The loader with one resource changed."""
    return replace(
        LOADER, resources=tuple(replace(r, **changes) if r.name == name else r for r in LOADER.resources)
    )


if __name__ == "__main__":
    process = Vendor(Path(sys.argv[1]), warehouse.ensure_started())
    process.now = os.environ["ADSTAR_NOW"]
    result = SourceRun(LOADER, process.settings(), process.target, process.clock()).execute()
    print(result.outcome, result.message)
    sys.exit({"ok": 0, "partial": 3, "failed": 1}[result.outcome])
