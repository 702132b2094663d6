"""What a run would do, said without doing any of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import psycopg2

from loaders._core.declare import Clock, Loader, Settings, Window
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.ops import Books
from loaders._core.run import SourceRun
from loaders._core.warehouse import Target


def describe(
    loader: Loader, settings: Settings, target: Target, clock: Clock, backfill: Window | None
) -> Iterator[str]:
    """Lines that say which accounts and days would be read, and into which tables.

    The vendor is asked for the list of accounts, the warehouse for what it has; neither is changed, and an
    embedded warehouse that does not run is not started.

    Raises:
        AdstarError: as the run would have failed before it read anything.
    """
    run = SourceRun(loader, settings, target, clock, backfill=backfill)
    loader = run.loader
    where = f"target {target.name} ({target.host}:{target.port})"
    yield f"{loader.name}: would land in raw_{loader.name} of {where}"
    with loader.connect(settings, clock) as api:
        accounts = run.accounts(api)
    readable = [account for account in accounts if account.error is None]
    for account in accounts:
        if account.error is not None:
            yield f"  account {account.id}: would be left out, {account.error}"
    chunks = run.plan(readable, _covered(loader, target))
    for note in run.notes:
        yield f"  {note}"
    for chunk in chunks:
        for name, window in chunk.windows.items():
            entities = [r.name for r in loader.resources if not r.day and r.is_of(name)]
            parts = [", ".join(entities)] if chunk.current and entities else []
            if reports := loader.reports_of(name):
                parts.insert(0, f"{', '.join(reports)} of {window.since} to {window.until}")
            if parts:
                yield f"  account {name}: {', and '.join(parts)}"
    yield f"  {len(chunks)} load package{'s' if len(chunks) != 1 else ''}; nothing was written"


def _covered(loader: Loader, target: Target) -> dict[tuple[str, str], date]:
    if target.embedded:
        server = EmbeddedWarehouse(port=target.port)
        if not server.status()["running"]:
            return {}
        target = Target(**{**target.__dict__, "password": server.password})
    try:
        return Books(target, loader.name).covered_until()
    except (psycopg2.errors.UndefinedTable, psycopg2.errors.InvalidSchemaName):
        return {}
