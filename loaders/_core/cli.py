"""``dlt pipeline run`` and ``dlt pipeline NAME run``, by dlt's own plugin hook."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from datetime import date
from typing import Any, ClassVar

from dlt.common.configuration.plugins import SupportsCliCommand, hookimpl

OK, FAILED, USAGE, PARTIAL = 0, 1, 2, 3


class RunCommand(SupportsCliCommand):
    """Reads the configured sources and lands them in the warehouse."""

    command = "run"
    parent = "pipeline"
    help_string = "Read the configured sources (or the one named) and land them in the warehouse"
    description: ClassVar[str] = (
        "`dlt pipeline run` reads every configured source, `dlt pipeline NAME run` one. Every run reads the last"
        " days again, because platforms restate them; days that have not changed land nothing.\n\n"
        "Exit codes: 0 all landed, 1 a source failed, 2 wrong usage, 3 some accounts were left out."
    )

    def configure_parser(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        self._parser = parser
        parser.add_argument(
            "--since",
            type=_day,
            metavar="YYYY-MM-DD",
            help="backfill from this account-local day, with --until",
        )
        parser.add_argument("--until", type=_day, metavar="YYYY-MM-DD", help="... to this day, inclusive")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be read and written, and write nothing"
        )
        parser.add_argument(
            "--target", help="target of profiles.yml (default: ADSTAR_TARGET, else the profile's)"
        )

    def execute(self, args: argparse.Namespace) -> None:
        """Run and leave with the exit code."""
        if (args.since is None) != (args.until is None):
            self._parser.error("--since and --until go together")
        if args.since is not None and args.since > args.until:
            self._parser.error(f"--since {args.since} is after --until {args.until}")
        code = main(
            args.pipeline_name,
            since=args.since,
            until=args.until,
            dry_run=args.dry_run,
            target_name=args.target,
            verbosity=getattr(args, "verbosity", 0),
        )
        sys.stdout.flush()
        sys.exit(code)


@hookimpl(specname="plug_cli")
def plug_cli(host: str) -> Any:
    """Add the command to ``dlt``."""
    return RunCommand if host == "dlt" else None


def main(
    name: str | None,
    *,
    since: date | None = None,
    until: date | None = None,
    dry_run: bool = False,
    target_name: str | None = None,
    verbosity: int = 0,
) -> int:
    """Run one source or all configured ones; the exit code."""
    # The rest is imported when it is used: every dlt command loads this module.
    from rich.console import Console

    from loaders._core import configure, warehouse
    from loaders._core.declare import Clock, Window
    from loaders._core.errors import AdstarError, ConfigurationError
    from loaders._core.report import Watch, summary
    from loaders._core.run import Result, SourceRun

    console = Console(soft_wrap=not sys.stdout.isatty())
    _set_up_logging(verbosity)
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    warnings.filterwarnings("ignore", category=DeprecationWarning)
    loaders = configure.available()
    if name is not None and name not in loaders:
        return _complain(f"there is no source {name!r}; there are {', '.join(sorted(loaders))}", USAGE)
    try:
        clock = Clock.from_environment()
    except ValueError as error:
        return _complain(str(error), USAGE)
    chosen = [loaders[name]] if name else [each for each in loaders.values() if configure.is_configured(each)]
    if not chosen:
        return _complain(
            "\n".join(["no source is configured", *map(configure.missing_everything, loaders.values())]),
            FAILED,
        )
    if name and not configure.is_configured(chosen[0]):
        return _complain(configure.missing_everything(chosen[0]), FAILED)
    backfill = Window(since, until) if since and until else None
    try:
        if dry_run:
            return _dry_run(console, chosen, clock, backfill, target_name)
        target = warehouse.ensure_started(target_name)
    except AdstarError as error:
        return _complain(str(error), FAILED)
    results = []
    with Watch(console) as watch:
        for loader in chosen:
            try:
                settings = configure.settings_of(loader)
            except ConfigurationError as error:
                results.append(Result(loader.name, "failed", str(error)))
                continue
            run = SourceRun(loader, settings, target, clock, backfill=backfill, progress=watch)
            results.append(run.execute())
    summary(console, results)
    return exit_code([result.outcome for result in results])


def exit_code(outcomes: list[Any]) -> int:
    """0 if all is well, 1 if a source failed, 3 if one left accounts out."""
    if "failed" in outcomes:
        return FAILED
    return PARTIAL if "partial" in outcomes else OK


def _dry_run(console: Any, loaders: list[Any], clock: Any, backfill: Any, target_name: str | None) -> int:
    from loaders._core import configure, warehouse
    from loaders._core.dry_run import describe
    from loaders._core.errors import AdstarError

    target = warehouse.resolve(target_name)
    code = OK
    for loader in loaders:
        try:
            for line in describe(loader, configure.settings_of(loader), target, clock, backfill):
                console.print(line, markup=False, highlight=False)
        except AdstarError as error:
            code = _complain(f"{loader.name}: {error}", FAILED)
    return code


def _complain(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it as 2026-03-01") from None


def _set_up_logging(verbosity: int) -> None:
    """Warnings to stderr, more with -v; never a secret."""
    from loaders._core import redact

    level = [logging.WARNING, logging.INFO, logging.DEBUG][min(verbosity, 2)]
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("loaders")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(level)
    redact.install()
