"""What ``dlt pipeline run`` does: one source or all configured ones, a table at the end, an exit code."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterable
from datetime import date

from rich.console import Console

from loaders._core import configure, redact, warehouse
from loaders._core.archive.rebuild import Rebuild
from loaders._core.declare import Clock, Loader, Window
from loaders._core.dry_run import describe
from loaders._core.errors import AdstarError, ConfigurationError, UsageError
from loaders._core.follow import follow
from loaders._core.quarantine import retried, still_there
from loaders._core.report import Watch, summary
from loaders._core.run import Outcome, Result, SourceRun
from loaders._core.warehouse import Target

OK, FAILED, USAGE, PARTIAL = 0, 1, 2, 3


def main(
    name: str | None,
    *,
    since: date | None = None,
    until: date | None = None,
    dry_run: bool = False,
    retry: bool = False,
    follow_seconds: float | None = None,
    from_archive: bool = False,
    target_name: str | None = None,
    verbosity: int = 0,
) -> int:
    """Run one source or all configured ones; the exit code.

    Args:
        name: of the source; None for all that are configured.
        since: with ``until`` a backfill of these account-local days, both inclusive.
        retry: read what is in quarantine, not the source.
        follow_seconds: keep reading, a run every so many seconds, until the process is asked to end.
        from_archive: read the archive, not the source.
        verbosity: 0 logs warnings, 1 what is being done, 2 everything.
    """
    _set_up_logging(verbosity)
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    console = Console(soft_wrap=not sys.stdout.isatty())
    backfill = Window(since, until) if since and until else None
    try:
        clock = _clock()
        chosen = _archived(name) if from_archive else _chosen(name)
        if follow_seconds is not None and (unfit := [each.name for each in chosen if not each.is_stream]):
            raise UsageError(
                f"{', '.join(unfit)} can't be followed: run it by a schedule, once a day or hour"
            )
        if dry_run:
            return _dry_run(console, chosen, clock, backfill, target_name)
        target = warehouse.ensure_started(target_name)
    except AdstarError as error:
        print(error, file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED

    def run() -> list[Result]:
        with Watch(console) as watch:
            if from_archive:
                return [Rebuild(loader, target, clock=clock, progress=watch).execute() for loader in chosen]
            return [
                _run(loader, target, clock, backfill=backfill, retry=retry, watch=watch) for loader in chosen
            ]

    if follow_seconds is not None:
        results = follow(console, follow_seconds, run)
    else:
        results = run()
        summary(console, results)
    return exit_code(result.outcome for result in results)


def _run(
    loader: Loader, target: Target, clock: Clock, *, backfill: Window | None, retry: bool, watch: Watch
) -> Result:
    try:
        settings = configure.settings_of(loader)
        asked = retried(loader.made_for(settings), target) if retry else loader
    except ConfigurationError as error:
        return Result(loader.name, "failed", str(error))
    if asked is None:
        return Result(loader.name, message="nothing is in quarantine that can come back")
    result = SourceRun(asked, settings, target, clock, backfill=backfill, progress=watch).execute()
    if retry and (left := still_there(loader.name, target)):
        result.message = "; ".join(filter(None, [result.message, left]))
    return result


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """The gravest of all: 1 if a source failed, 2 if one was asked for what has no meaning, 3 if one left
    accounts out, 0 if all is well.
    """
    seen = set(outcomes)
    graver = {"failed": FAILED, "refused": USAGE, "partial": PARTIAL}
    return next((code for outcome, code in graver.items() if outcome in seen), OK)


def _clock() -> Clock:
    try:
        return Clock.from_environment()
    except ValueError as error:
        raise UsageError(str(error)) from None


def _chosen(name: str | None) -> list[Loader]:
    asked = [configure.named(name)] if name is not None else list(configure.available().values())
    chosen = [loader for loader in asked if configure.is_configured(loader)]
    if not chosen:
        raise ConfigurationError("\n".join(map(configure.missing_everything, asked)))
    return chosen


def _archived(name: str | None) -> list[Loader]:
    """The source that is rebuilt; its settings and credentials of today don't matter."""
    if name is None:
        raise UsageError("name the source to make from the archive: dlt pipeline NAME run --from-archive")
    return [configure.named(name)]


def _dry_run(
    console: Console, loaders: list[Loader], clock: Clock, backfill: Window | None, target_name: str | None
) -> int:
    target = warehouse.resolve(target_name)
    outcomes: list[Outcome] = []
    for loader in loaders:
        try:
            for line in describe(loader, configure.settings_of(loader), target, clock, backfill):
                console.print(line, markup=False, highlight=False)
        except AdstarError as error:
            print(f"{loader.name}: {error}", file=sys.stderr)
            outcomes.append("refused" if isinstance(error, UsageError) else "failed")
    return exit_code(outcomes)


def _set_up_logging(verbosity: int) -> None:
    """Warnings to stderr, more with -v; never a secret."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("loaders")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel([logging.WARNING, logging.INFO, logging.DEBUG][min(verbosity, 2)])
    redact.install()
