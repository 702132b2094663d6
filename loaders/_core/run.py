"""A run of one source: plan, read account by account, land, commit, keep books."""

from __future__ import annotations

import itertools
import logging
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from loaders._core import decoding
from loaders._core.archive import current as tapes
from loaders._core.archive.configured import recorder_of, settings_without_secrets
from loaders._core.archive.store import ArchiveError
from loaders._core.archive.tables import Replayed
from loaders._core.crash import kill_point
from loaders._core.databases.copying import TableCopy
from loaders._core.databases.redshift import RedshiftCopy
from loaders._core.declare import Account, Clock, Loader, Resource, Settings, Window
from loaders._core.destination import LandingError
from loaders._core.errors import AccountError, AdstarError, ConfigurationError, UsageError
from loaders._core.landing import Harvest, Landing
from loaders._core.lease import Lease, LeaseLost
from loaders._core.naming import ColumnNames
from loaders._core.ops import RESUMED_DAYS, Books, ResourceRecord, Run
from loaders._core.privacy.books import protection_of
from loaders._core.privacy.values import Protection, pseudonym_columns
from loaders._core.quarantine import QUARANTINE, Intake, set_aside
from loaders._core.redact import redact
from loaders._core.sets import Day, Receipt, ResourceSpool, SetSum, SpooledFile, keep_days, plain
from loaders._core.stream import Keyed, Loss, Mark, OfDay, Rejected, Rows, Version
from loaders._core.warehouse import Target
from loaders._core.windows import Chunk, backfill_window, floor_day, live_window, plan_backfill, plan_live

_log = logging.getLogger(__name__)
SUNSET_WARNING_DAYS = 60
_ZERO = Decimal(0)
Outcome = Literal["ok", "partial", "failed", "refused"]  # refused: what was asked for has no meaning
Receipts = dict[tuple[str, Day], Receipt]


class Progress(Protocol):
    """What a run tells whoever watches it."""

    def reading(self, source: str, account: str, resource: str, rows: int) -> None:
        """So many more rows were read."""

    def loading(self, source: str, done: int, total: int) -> None:
        """So many files of the package are in the warehouse."""


class Silent:
    """Nobody watches."""

    def reading(self, source: str, account: str, resource: str, rows: int) -> None:
        """Do nothing."""

    def loading(self, source: str, done: int, total: int) -> None:
        """Do nothing."""


@dataclass
class Result:
    """What came of a source: the lines of ``ops.run_resources`` and how it ended."""

    source: str
    outcome: Outcome = "ok"
    message: str | None = None
    seconds: float = 0.0
    records: list[ResourceRecord] = field(default_factory=list)
    packages: int = 0


@dataclass
class _AccountHarvest:
    files: dict[str, list[SpooledFile]] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    records: list[ResourceRecord] = field(default_factory=list)


class SourceRun:
    """One run of one source against one warehouse.

    Args:
        backfill: read these days and leave the live window where it is; None for a daily run.

    Attributes:
        notes: what whoever started the run should know although it is no failure; ends the result's message.
    """

    def __init__(
        self,
        loader: Loader,
        settings: Settings,
        target: Target,
        clock: Clock,
        *,
        backfill: Window | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.loader = loader.made_for(settings)
        self.settings = settings
        self.clock = clock
        self.backfill = backfill
        self.books = Books(target, loader.name)
        self.result = Result(loader.name)
        self.tape = tapes.Tape()
        self._target = target
        self._progress = progress or Silent()
        self.notes: list[str] = []
        self.protection = Protection()
        self._failed: dict[str, str] = {}
        self._lost: list[str] = []
        self._skipped_days = 0
        self._file_numbers = itertools.count()

    def accounts(self, api: Any) -> list[Account]:
        """The accounts that the vendor lists; one whose days can't be told comes with that as its error.

        Raises:
            ConfigurationError: there are none.
        """
        accounts = self.loader.accounts(api)
        if not accounts:
            raise ConfigurationError(
                f"{self.loader.name} lists no account that can be read, so nothing landed: see whether the"
                f" credentials under [sources.{self.loader.name}] still reach the accounts, and whether the"
                " account ids and the manager account named there, if any, are right"
            )
        return [_with_time_zone(account) for account in accounts]

    def plan(self, accounts: list[Account], covered: dict[tuple[str, str], date]) -> list[Chunk]:
        """The packages of this run, given how far reports of accounts are covered; none without an account.

        Raises:
            UsageError: no day of the backfill can be read.
        """
        if not accounts:
            return []  # The list alone, without any of them in it, would say that they are gone.
        todays = {account.id: self.clock.today(account.timezone) for account in accounts}
        if self.backfill is not None:
            return plan_backfill(self._backfill_windows(self.backfill, todays))
        windows = {
            name: live_window(
                today,
                window_days=self.settings.window_days,
                start_date=self.settings.start_date,
                covered_until=self._covered_until(name, today, covered),
                history_months=self.settings.history_months,
            )
            for name, today in todays.items()
        }
        return plan_live(windows, self.settings.window_days)

    def _covered_until(self, account: str, today: date, covered: dict[tuple[str, str], date]) -> date | None:
        """The last day of which all reports of an account were read; None if one never was."""
        days = [covered.get((account, report)) for report in self.loader.reports_of(account)]
        return None if None in days else min((day for day in days if day), default=today)

    def _backfill_windows(self, asked: Window, todays: dict[str, date]) -> dict[str, Window]:
        """What of a backfill can be read of each account; says so if that is not all."""
        months = self.settings.history_months
        windows = {name: backfill_window(asked, today, months) for name, today in todays.items()}
        found = {name: window for name, window in windows.items() if window is not None}
        if all(window == asked for window in windows.values()):
            return found
        first, last = floor_day(min(todays.values()), months), max(todays.values())
        kept = f"{self.loader.name} gives {months} months, {first} to {last}"
        if not found:
            raise UsageError(f"no day of {asked.since} to {asked.until} can be read: {kept}; ask for those")
        spans: dict[str, list[str]] = {}
        for name, window in windows.items():
            span = "no day" if window is None else f"{window.since} to {window.until}"
            spans.setdefault(span, []).append(name)
        each = [f"{span} of account {', '.join(names)}" for span, names in spans.items()]
        read = ", ".join(each if len(each) > 1 else spans)
        self._note(f"of {asked.since} to {asked.until} it reads {read}: {kept}")
        return found

    def _note(self, text: str) -> None:
        """Say it now and at the end."""
        _log.warning("%s: %s", self.loader.name, text)
        self.notes.append(text)

    def execute(self) -> Result:
        """Do it all; errors end up in the result, never in the caller."""
        began = time.monotonic()
        try:
            self.tape = self._tape()
            with tapes.running(self.tape):
                self._execute()
        except Exception as error:
            cause = _root(error)
            self.result.outcome = "refused" if isinstance(cause, UsageError) else "failed"
            self.result.message = self._message(cause)
            if isinstance(cause, AdstarError):
                _log.error("%s: %s", self.loader.name, cause)
            else:
                _log.exception("%s failed", self.loader.name)
        finally:
            self.books.close()
        self.result.seconds = time.monotonic() - began
        return self.result

    def _tape(self) -> tapes.Tape:
        return recorder_of(self.loader, self.settings, self._target)

    def _execute(self) -> None:
        warn_of_sunset(self.loader, self.settings, self.clock)
        self.books.prepare()
        with Lease(self._target, self.loader.name, above=self.tape.newest()) as lease:
            self.books.close_dead_runs()
            self.tape.settle(self.books.is_committed)
            run = self._begin()
            self.tape.begin_run(run, settings_without_secrets(self.settings), self.clock)
            try:
                self._protect()
                with self.loader.connect(self.settings, self.clock) as api:
                    self._read_and_land(api, lease, run)
                self._conclude()
            except BaseException as error:
                self._end(run, "failed", self._message(_root(error)))
                raise
            kill_point("run.before_end")
            self._end(run, self.result.outcome, self.result.message)

    def _protect(self) -> None:
        personal = {resource.name: resource.personal for resource in self.loader.resources}
        if any(resource.key for resource in self.loader.resources):  # only those are put aside
            personal[QUARANTINE.name] = QUARANTINE.personal
        self.protection = protection_of(self._target, self.loader.name, personal)

    def _begin(self) -> Run:
        mode = "backfill" if self.backfill else "live"
        since, until = (self.backfill.since, self.backfill.until) if self.backfill else (None, None)
        run = Run(uuid.uuid4().hex, self.loader.name, mode, since, until, self.settings.api_version)
        unfinished = self.books.unfinished_backfill(run, self.clock.now()) if self.backfill else None
        if unfinished is None:
            self.books.begin(run, self.clock.now())
        else:
            run.run_id, run.done = unfinished
            self.books.resume(run)
        return run

    def _end(self, run: Run, outcome: str, message: str | None) -> None:
        try:
            self.books.end(run, self.clock.now(), outcome, message)
        except Exception as error:
            _log.warning("%s: could not note the end of the run: %s", self.loader.name, error)

    def _conclude(self) -> None:
        if self._failed:
            shared = {r.name for r in self.loader.resources if not r.per_account}
            landed = any(r.outcome == "ok" and r.resource not in shared for r in self.result.records)
            self.result.outcome = "partial" if landed or self._skipped_days else "failed"
        elif self._lost:
            self.result.outcome = "partial"
        where = f"raw_{self.loader.name}.{QUARANTINE.name}"
        for name in sorted({r.resource for r in self.result.records if r.rows_quarantined}):
            records = [r for r in self.result.records if r.resource == name]
            aside, read = sum(r.rows_quarantined for r in records), sum(r.rows_read for r in records)
            self.notes.append(f"{aside:,} of {read:,} records of {name} went to {where}, with the reason")
        for name in sorted({r.resource for r in self.result.records if r.values_quarantined}):
            count = sum(r.values_quarantined for r in self.result.records if r.resource == name)
            self.notes.append(
                f"{count:,} values of {name} went to {where}, with the reason: Redshift can't hold them, and"
                " their rows have landed without them"
            )
        self.result.message = self._message()

    def _message(self, error: BaseException | None = None) -> str | None:
        """How it ended, gravest first: what broke it off, or else the accounts left out; then the notes."""
        if error is not None:
            ends = [redact(str(error) or type(error).__name__)]
        else:
            ends = [f"account {name}: {why}" for name, why in sorted(self._failed.items())] + self._lost
        return "; ".join([*ends, *self.notes]) or None

    def _read_and_land(self, api: Any, lease: Lease, run: Run) -> None:
        accounts = self.accounts(api)
        readable = []
        for account in accounts:
            if account.error is not None:
                self._fail(account, None, account.error, run)
            else:
                readable.append(account)
        if gone := sorted(self.books.accounts_read() - {account.id for account in accounts}):
            self.notes.append(
                f"no longer listed: account {', '.join(gone)} (closed, or out of reach of the credentials;"
                " what has landed stays)"
            )
        chunks = self._left_to_do(self.plan(readable, self.books.covered_until()), run)
        by_id = {account.id: account for account in readable}
        names = self._names()
        landing = self._landing(names)
        for number, chunk in enumerate(chunks):
            if number:
                lease.advance()
            self._land_chunk(api, lease, run, chunk, accounts=by_id, landing=landing, names=names)
            more = [name for name in chunk.windows if self._confirm(api, by_id[name], run)]
            if more:
                chunks.append(Chunk({name: chunk.windows[name] for name in more}, chunk.current))

    def _landing(self, names: dict[str, ColumnNames]) -> Landing:
        return Landing(
            self.loader,
            self._target,
            self.books,
            names,
            lambda done, total: self._progress.loading(self.loader.name, done, total),
        )

    def _confirm(self, api: Any, account: Account, run: Run) -> bool:
        """Tell the source what counts; is there more to read of this account?"""
        if self.loader.confirm is None or account.id in self._failed:
            return False
        try:
            return self.loader.confirm(api, account)
        except Exception as error:  # The rows are safe whatever it is.
            self._fail(account, None, error, run)
            return False

    def _left_to_do(self, chunks: list[Chunk], run: Run) -> list[Chunk]:
        """The packages without what the backfill that goes on has landed already."""
        if not run.done:
            return chunks
        for chunk in chunks:
            for name, window in list(chunk.windows.items()):
                if (name, window.since, window.until) in run.done:
                    self._skipped_days += (window.until - window.since).days + 1
                    del chunk.windows[name]
        self._note(
            f"goes on with the unfinished backfill of these days: {self._skipped_days:,} account-days that it"
            f" has landed are not read again (from {RESUMED_DAYS} days after it stopped they would be)"
        )
        return [chunk for chunk in chunks if chunk.windows or chunk.current]

    def _land_chunk(
        self,
        api: Any,
        lease: Lease,
        run: Run,
        chunk: Chunk,
        *,
        accounts: dict[str, Account],
        landing: Landing,
        names: dict[str, ColumnNames],
    ) -> None:
        records: list[ResourceRecord] = []
        paths_before = {name: dict(columns.paths) for name, columns in names.items()}
        self._file_numbers = itertools.count()
        self.tape.begin_package()

        def read(load_id: str) -> Harvest:
            harvest = Harvest()
            reader = _Reader(self, api, lease, landing, names=names, load_id=load_id)
            for account, window, resources in self._tasks(api, chunk, accounts):
                lease.check()
                try:
                    part = reader.account(account, window, resources)
                except (ArchiveError, ConfigurationError, LandingError, LeaseLost):
                    raise
                except AdstarError as error:
                    self._fail(account, window, error, run)
                    continue
                for table, files in part.files.items():
                    harvest.files.setdefault(table, []).extend(files)
                harvest.receipts += part.receipts
                self.tape.done()
                records.extend(part.records)
                kill_point("read.account_done")
            return harvest

        landed = landing.land(lease.run_seq, read)
        if landed is None:
            return
        load_id, _ = landed
        new_paths = [
            (table, path, column)
            for table, columns in names.items()
            for path, column in columns.paths.items()
            if path not in paths_before[table]
        ]
        keys = {r.name: r.key for r in self.loader.resources if r.key}

        def write(cursor: Any) -> None:
            self.books.write_commit(cursor, run, lease.run_seq, load_id, records=records, new_paths=new_paths)
            for name in {record.resource for record in records if record.rows_landed} & keys.keys():
                self.books.resolve(cursor, name, keys[name], lease.run_seq)

        self.tape.prepare(lease.run_seq, load_id)
        kill_point("commit.before")
        try:
            lease.commit(write)
        except LeaseLost:
            self.tape.conclude("failed")
            raise
        kill_point("commit.after")
        self.tape.conclude("counted")
        self.result.records += records
        self.result.packages += 1
        lossy = {resource.name for resource in self.loader.resources if resource.resumes}
        self._lost += [
            f"account {r.account}: {r.message}" for r in records if r.resource in lossy and r.message
        ]

    def _tasks(
        self, api: Any, chunk: Chunk, accounts: dict[str, Account]
    ) -> Iterator[tuple[Account, Window | None, list[Resource]]]:
        """What to read for a package, each entry whole or not at all."""
        if chunk.current:
            shared = [r for r in self.loader.resources if not r.per_account]
            if shared:
                yield self.loader.root(api), None, shared
        resources = [r for r in self.loader.resources if r.per_account and (chunk.current or r.day)]
        for name, window in chunk.windows.items():
            having = [r for r in resources if r.is_of(name)]
            if name not in self._failed and having:
                yield accounts[name], window, having

    def _fail(self, account: Account, window: Window | None, error: Exception, run: Run) -> None:
        message = redact(str(error))
        _log.warning("%s: account %s has failed: %s", self.loader.name, account.id, message)
        self._failed[account.id] = message
        record = ResourceRecord(
            "*",
            account.id,
            *_span(window),
            outcome="failed",
            message=message,
        )
        self.result.records.append(record)
        self.books.failures(run, [record])

    def _names(self) -> dict[str, ColumnNames]:
        names = {}
        for resource in (*self.loader.resources, QUARANTINE):
            columns, paths = self.books.column_names(resource.name)
            personal = [*resource.personal, *pseudonym_columns(resource.personal).values()]
            declared = dict.fromkeys([*resource.columns, *resource.totals, *personal])
            names[resource.name] = ColumnNames([*columns, *declared], paths)
        return names


class _Reader:
    """Reads accounts of one package."""

    def __init__(
        self,
        run: SourceRun,
        api: Any,
        lease: Lease,
        landing: Landing,
        *,
        names: dict[str, ColumnNames],
        load_id: str,
    ) -> None:
        self._run = run
        self._api = api
        self._lease = lease
        self._landing = landing
        self._names = names
        self._load_id = load_id

    def account(self, account: Account, window: Window | None, resources: list[Resource]) -> _AccountHarvest:
        """All resources of an account, or an error and nothing."""
        since, until = _span(window)
        before = self._run.books.receipts(account.id, since, until)
        tape = self._run.tape
        resources = [r for r in resources if not r.copy or tape.plays or self._is_due(r, before)]
        tape.begin_task(account, window, resources)
        copied = [r for r in resources if r.copy]
        resources = [r for r in resources if not r.copy]
        for attempt in (1, 2):
            spools: list[ResourceSpool] = []
            try:
                seconds = [self._spool(account, window, resource, spools, before) for resource in resources]
                wrong = self._disagreement(account, window, spools)
            except BaseException:
                self._discard(spools)
                raise
            if wrong is None or attempt == 2:
                break
            _log.info("%s: account %s is read again: %s", self._run.loader.name, account.id, wrong)
            self._discard(spools)
        if wrong:
            _log.warning("%s: account %s: %s, also when read again", self._run.loader.name, account.id, wrong)
        harvest = self._compare(account, window, spools, seconds, wrong=wrong, before=before)
        for resource in copied:
            self._copy(account, resource, before.get((resource.name, None)), harvest)
        return harvest

    def _is_due(self, resource: Resource, before: Receipts) -> bool:
        """Is it time to read the resource again?"""
        newest = before.get((resource.name, None))
        if newest is None or not resource.every_days:
            return True
        # Half a day less: the run of that day may begin a little earlier than the last one did.
        return self._run.clock.now() - newest.read_at >= timedelta(days=resource.every_days - 0.5)

    def _copy(
        self, account: Account, resource: Resource, earlier: Receipt | None, harvest: _AccountHarvest
    ) -> None:
        """Land a table of a database beside dlt's package."""
        began = time.monotonic()
        run, name = self._run, self._run.loader.name
        assert resource.copy
        aside = self._spool_of(QUARANTINE, account)
        kind = TableCopy if run.books.target.kind == "postgres" else RedshiftCopy
        read_at = run.tape.reading(account.id, resource.name, run.clock)
        copied = kind(
            resource,
            account,
            Replayed(run.tape) if run.tape.plays else resource.copy(self._api, account),
            books=run.books,
            names=self._names[resource.name],
            run_seq=self._lease.run_seq,
            load_id=self._load_id,
            earlier=earlier,
            aside=aside,
            protection=run.protection,
            check=self._lease.check,
            noted=lambda rows: run._progress.reading(name, account.id, resource.name, rows),
            tape=run.tape,
        ).land(read_at)
        copied.record.seconds = time.monotonic() - began
        aside.finish()
        harvest.files.setdefault(QUARANTINE.name, []).extend(aside.files)
        harvest.receipts.append(copied.receipt)
        harvest.records.append(copied.record)
        for note in copied.notes:
            run._note(note)

    def _discard(self, spools: list[ResourceSpool]) -> None:
        for spool in spools:
            self._landing.discard(spool.resource.name, spool.files)
            if spool.aside is not None:
                self._landing.discard(QUARANTINE.name, spool.aside.files)

    def _spool_of(self, resource: Resource, account: Account, window: Window | None = None) -> ResourceSpool:
        return ResourceSpool(
            resource,
            account,
            window,
            names=self._names[resource.name],
            folder=self._landing.spool,
            run_seq=self._lease.run_seq,
            load_id=self._load_id,
            numbers=self._run._file_numbers,
            protection=self._run.protection,
        )

    def _spool(
        self,
        account: Account,
        window: Window | None,
        resource: Resource,
        spools: list[ResourceSpool],
        before: Receipts,
    ) -> float:
        began = time.monotonic()
        read_at = self._run.tape.reading(account.id, resource.name, self._run.clock)
        asked = window if resource.day else None
        spool, aside = self._spool_of(resource, account, asked), self._spool_of(QUARANTINE, account)
        spools.append(spool)
        intake = Intake(spool, aside, self._run.books, read_at)
        looked_at = 0
        versions = {day: old.version for (name, day), old in before.items() if name == resource.name}
        known = replace(account, versions={day: text for day, text in versions.items() if text})
        if state := before.get((resource.resumes, None)):
            known = replace(known, rows=self._run.books.rows_of(state))
        # No name is given to what is read: when this ends, however, so does its reader, before its client.
        for number, (document, page) in enumerate(
            decoding.pages(iter(resource.read(self._api, known, asked)), spool.reader)
        ):
            rows = -spool.rows
            if document is Mark.WHOLE:
                intake.keep()
            elif document is Mark.AGAIN:
                self._landing.discard(resource.name, intake.forget())
                looked_at = len(spool.files)
            elif isinstance(document, Keyed | Rejected | Rows):
                intake.take(document)
            elif isinstance(document, Version | OfDay | Loss):
                spool.hear(document)
            else:
                spool.add(document, page)
            rows += spool.rows
            self._run._progress.reading(self._run.loader.name, account.id, resource.name, rows)
            if number == 0:
                kill_point("read.first_page")
            for file in spool.files[looked_at:]:
                self._lease.check()
                if resource.key or all(_is_new(before.get((resource.name, day))) for day in file.days):
                    self._landing.hand_over(resource.name, file)
                looked_at += 1
        intake.flush()
        spool.finish()
        aside.finish()
        if spool.files:
            kill_point("read.file_written")
        return time.monotonic() - began

    def _disagreement(
        self, account: Account, window: Window | None, spools: list[ResourceSpool]
    ) -> str | None:
        """The first settled day on which a control report differs from the report it controls."""
        if window is None:
            return None
        by_name = {spool.resource.name: spool for spool in spools}
        today = self._run.clock.today(account.timezone)
        nothing = SetSum()
        for spool in spools:
            if spool.resource.control is None or spool.resource.control not in by_name:
                continue
            controlled = by_name[spool.resource.control]
            for day in sorted({*spool.sums, *controlled.sums} - {None}, key=str):
                expected = spool.sums.get(day, nothing).totals
                got = controlled.sums.get(day, nothing).totals
                for name in set(spool.resource.totals) & set(controlled.resource.totals):
                    one, other = expected.get(name, _ZERO), got.get(name, _ZERO)
                    if day is not None and day < today and one != other:
                        return (
                            f"{name} of {day} is {_said(one)} in {spool.resource.name}"
                            f" but {_said(other)} in {controlled.resource.name}"
                        )
        return None

    def _compare(
        self,
        account: Account,
        window: Window | None,
        spools: list[ResourceSpool],
        seconds: list[float],
        *,
        wrong: str | None,
        before: Receipts,
    ) -> _AccountHarvest:
        since, until = _span(window)
        read_at = self._run.tape.read(account.id, self._run.clock)
        run_seq = self._lease.run_seq
        harvest = _AccountHarvest()
        for spool, took in zip(spools, seconds, strict=True):
            resource = spool.resource
            record = ResourceRecord(resource.name, account.id, seconds=took, rows_known=spool.known)
            record.escaped = spool.escaped
            if spool.aside is not None:
                record.rows_quarantined = spool.rejected
            record.rows_read = spool.rows + record.rows_quarantined + record.rows_known
            if resource.day:
                record.since, record.until = since, until
            if resource.control and wrong:
                record.message = wrong
            if spool.losses:
                record.message = "; ".join(spool.losses)
            changed: list[date | None] = []
            for day in _days(resource, window):
                total = spool.sums.get(day) or SetSum(totals=dict.fromkeys(resource.totals, _ZERO))
                earlier = None if resource.key else before.get((resource.name, day))  # every set counts
                version = spool.versions.get(day)
                if earlier is not None and version and version.unchanged:
                    record.sets_unchanged += 1
                    harvest.receipts.append(replace(earlier, run_seq=run_seq, read_at=read_at))
                    continue
                rows_hash = self._run.tape.hash_of(
                    resource.name,
                    account.id,
                    day,
                    rows=total.rows,
                    rows_hash=total.rows_hash,
                    comes_again=bool(resource.key and not resource.resumes),
                )
                same = earlier is not None and (earlier.rows, earlier.rows_hash) == (total.rows, rows_hash)
                record.sets_unchanged += same
                record.sets_landed += not same
                # An empty set has no rows to point to.
                pointed = earlier.data_run_seq if earlier is not None and same and total.rows else run_seq
                if pointed == run_seq:
                    changed.append(day)
                harvest.receipts.append(
                    Receipt(
                        resource=resource.name,
                        account=account.id,
                        day=day,
                        run_seq=run_seq,
                        data_run_seq=pointed,
                        read_at=read_at,
                        rows=total.rows,
                        rows_hash=rows_hash,
                        totals=total.totals_text() if resource.totals else None,
                        version=version.text if version else None,
                    )
                )
            kept = [keep_days(file, changed) for file in spool.files]
            harvest.files[resource.name] = [file for file in kept if file is not None]
            record.rows_landed = sum(file.rows for file in harvest.files[resource.name])
            if spool.aside is not None:
                misfits = self._landing.fit(harvest.files[resource.name])
                set_aside(spool.aside, resource.name, misfits, read_at)
                spool.aside.finish()
                record.values_quarantined = len(misfits)
                harvest.files.setdefault(QUARANTINE.name, []).extend(spool.aside.files)
            harvest.records.append(record)
        return harvest


def _days(resource: Resource, window: Window | None) -> list[date | None]:
    if not resource.day or window is None:
        return [None]
    return [window.since + timedelta(days=n) for n in range((window.until - window.since).days + 1)]


def _span(window: Window | None) -> tuple[date | None, date | None]:
    return (window.since, window.until) if window else (None, None)


def _said(total: Decimal | None) -> str:
    return "no number" if total is None else plain(total)


def _is_new(before: Receipt | None) -> bool:
    """Does a set land as soon as it has a row? Otherwise all its rows must be compared first."""
    return before is None or before.rows == 0


def _with_time_zone(account: Account) -> Account:
    if account.error is not None:
        return account
    try:
        ZoneInfo(account.timezone)
    except (ZoneInfoNotFoundError, OSError, TypeError, ValueError):
        why = (
            f"its time zone is {account.timezone!r}, which names none, so its days can't be told; set it"
            " right at the platform or, if it is new, update this machine's time zones (package tzdata)"
        )
        return replace(account, error=AccountError(why))
    return account


def _root(error: BaseException) -> BaseException:
    """The error of ours inside what dlt has wrapped around it, else the innermost one."""
    seen = error
    while True:
        if isinstance(seen, AdstarError):
            return seen
        inner = seen.__cause__ or (
            getattr(seen, "exception", None) if not isinstance(seen, AdstarError) else None
        )
        if not isinstance(inner, BaseException) or inner is seen:
            return seen
        seen = inner


def warn_of_sunset(loader: Loader, settings: Settings, clock: Clock) -> str | None:
    """Warn when the vendor's version ends within 60 days; the warning, if any."""
    sunset = settings.api_version_sunset
    if sunset is None:
        return None
    days = (sunset - clock.today("UTC")).days
    if days > SUNSET_WARNING_DAYS:
        return None
    when = f"ends on {sunset}, in {days} days" if days >= 0 else f"has ended on {sunset}"
    text = (
        f"{loader.name}: API version {settings.api_version} {when};"
        f" set a newer one as sources.{loader.name}.api_version"
    )
    _log.warning(text)
    return text
