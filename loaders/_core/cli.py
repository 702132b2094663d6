"""``dlt pipeline run``, ``... NAME run``, ``... retry-quarantine`` and ``dlt privacy``, by dlt's plugin hook.

Every dlt command loads this module, so it loads nothing of adstar before it is asked to run.
"""

from __future__ import annotations

import argparse
import gc
import sys
from datetime import date
from typing import Any

from dlt.common.configuration.plugins import SupportsCliCommand, hookimpl


class RunCommand(SupportsCliCommand):
    """Reads the configured sources and lands them in the warehouse."""

    command = "run"
    parent = "pipeline"
    help_string = "Read the configured sources (or the one named) and land them in the warehouse"
    description = (
        "`dlt pipeline run` reads every configured source, `dlt pipeline NAME run` one. Every run reads the"
        " last days again, because platforms restate them; days that have not changed land nothing.\n\n"
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
            "--follow",
            nargs="?",
            const=60.0,
            type=_seconds,
            metavar="SECONDS",
            help="of a queue or a topic: keep running, read what is new every so many seconds (60), and end"
            " after the batch at work on SIGTERM or Ctrl-C",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be read and written, and write nothing"
        )
        parser.add_argument(
            "--from-archive",
            action="store_true",
            help="land what the archive has and the warehouse has not, and ask no vendor",
        )
        parser.add_argument(
            "--target", help="target of profiles.yml (default: ADSTAR_TARGET, else the profile's)"
        )

    def execute(self, args: argparse.Namespace) -> None:
        """Run and leave with the exit code."""
        if (args.since is None) != (args.until is None):
            self._parser.error("--since and --until go together")
        if args.from_archive and (args.since or args.dry_run or args.follow is not None):
            self._parser.error("--from-archive takes all that the archive has: leave out the other options")
        if args.since is not None and args.since > args.until:
            self._parser.error(f"--since {args.since} is after --until {args.until}")
        if args.follow is not None and (args.since or args.dry_run or not args.pipeline_name):
            self._parser.error("--follow is for one source by name, without --since and --dry-run")
        # What is imported stays: looking for cycles in it meanwhile takes a quarter of a second of two.
        gc.set_threshold(100_000)
        from loaders._core import command  # noqa: PLC0415

        code = command.main(
            args.pipeline_name,
            follow_seconds=args.follow,
            since=args.since,
            until=args.until,
            dry_run=args.dry_run,
            from_archive=args.from_archive,
            target_name=args.target,
            verbosity=getattr(args, "verbosity", 0),
        )
        sys.stdout.flush()
        gc.freeze()  # or the interpreter looks for cycles, for a second, in what ends with it
        sys.exit(code)


class RetryCommand(SupportsCliCommand):
    """Takes what is in quarantine once more."""

    command = "retry-quarantine"
    parent = "pipeline"
    help_string = "Land what is in quarantine and can be read by now, after its settings were mended"
    description = (
        "Records that failed at the boundary stand in raw_NAME.quarantine. Those that pass today land as if"
        " they had just come; the others stay there. Their source is not asked. Exit codes as of `run`."
    )

    def configure_parser(self, parser: argparse.ArgumentParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--target", help="target of profiles.yml (default: ADSTAR_TARGET, else the profile's)"
        )

    def execute(self, args: argparse.Namespace) -> None:
        """Retry and leave with the exit code."""
        from loaders._core import command  # noqa: PLC0415

        code = command.main(
            args.pipeline_name,
            retry=True,
            target_name=args.target,
            verbosity=getattr(args, "verbosity", 0),
        )
        sys.exit(code)


@hookimpl(specname="plug_cli")
def plug_retry(host: str) -> Any:
    """Add the other command to ``dlt``."""
    return RetryCommand if host == "dlt" else None


class PrivacyCommand(SupportsCliCommand):
    """What is done with personal data: found, revealed, handed out, erased, re-keyed."""

    command = "privacy"
    help_string = "Reveal, export, erase and look for personal data in the warehouse"
    description = (
        "Personal data in the warehouse; see docs/privacy.md. A value given as - is read from the standard"
        " input, so that no list of processes shows it.\n\n"
        "Exit codes: 0 done, 1 failed or found something, 2 wrong usage."
    )

    def configure_parser(self, parser: argparse.ArgumentParser) -> None:
        """Declare the commands and their options."""
        self._parser = parser
        parser.add_argument(
            "--target", help="target of profiles.yml (default: ADSTAR_TARGET, else the profile's)"
        )
        commands = parser.add_subparsers(dest="privacy_command", required=True)
        reveal = commands.add_parser("reveal", help="the value of a pseudonym; who asks is noted")
        reveal.add_argument("--pseudonym", required=True)
        export = commands.add_parser("export", help="all rows of one person, into a file")
        export.add_argument("--to", metavar="FILE", help="a new file (default: below $ADSTAR_STATE/exports)")
        erase = commands.add_parser("erase", help="take one person out of everything")
        for each in (reveal, export, erase):
            each.add_argument("--reason", required=each is not export, default="asked by the person")
        for each in (export, erase):
            who = each.add_argument_group("the person, by one of")
            for name in ("--email", "--phone", "--user-id"):
                who.add_argument(name)
        commands.add_parser("scan", help="columns that look personal and are not declared; 1 if there are")
        commands.add_parser("rotate", help="replace the key: all pseudonyms and ciphertexts of raw anew")
        retention = commands.add_parser("retention", help="blank personal values of raw by age")
        retention.add_argument("--older-than", type=int, required=True, metavar="DAYS")
        retention.add_argument(
            "--archive", action="store_true", help="of the archive, packages that old, too"
        )
        retention.add_argument("--apply", action="store_true", help="do it (otherwise it is only counted)")

    def execute(self, args: argparse.Namespace) -> None:
        """Run and leave with the exit code."""
        if args.privacy_command in ("export", "erase") and not (args.email or args.phone or args.user_id):
            self._parser.error(f"{args.privacy_command} needs --email, --phone or --user-id")
        if args.privacy_command == "retention" and args.older_than < 1:
            self._parser.error("--older-than is a number of days, 1 or more")
        from loaders._core.privacy import command  # noqa: PLC0415

        sys.exit(command.main(args))


@hookimpl(specname="plug_cli")
def plug_privacy_cli(host: str) -> Any:
    """Add the other one."""
    return PrivacyCommand if host == "dlt" else None


@hookimpl(specname="plug_cli")
def plug_cli(host: str) -> Any:
    """Add the command to ``dlt``."""
    return RunCommand if host == "dlt" else None


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no day; write it as 2026-03-01") from None
