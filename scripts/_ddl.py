"""Changes of the warehouse's schemas, roles, rights and search paths, and one-off SQL. Run by scripts/ddl.

Exit codes: 0 done; 1 failed, or the steps do not fit to what was applied; 2 wrong usage; 3 something was
changed by hand (drift), or, with --exit-code, something is to be applied or was changed by hand (plan).
"""

from __future__ import annotations

import argparse
import sys
import textwrap
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
from _changes.books import (
    APPLIED,
    BEGUN,
    FAILED,
    MENDED,
    ROLLED_BACK,
    Entry,
    Lock,
    cursor_of,
    entries,
    limit_waiting,
    note,
    prepare,
)
from _changes.catalog import Drift, Found, compare, read
from _changes.facts import Change, Engine, Schema
from _changes.steps import State, Step, load

from loaders._core import places, warehouse
from loaders._core.errors import AdstarError, ConfigurationError
from loaders._core.warehouse import Target

FAILED_CODE, SOMETHING_TO_DO = 1, 3


class StepFailed(AdstarError):
    """A step was refused by the warehouse; the message names it and its statement."""


@dataclass(frozen=True)
class Situation:
    """A warehouse beside the steps.

    Attributes:
        problems: why nothing may be applied, each with what to do.
    """

    target: Target
    engine: Engine
    steps: Sequence[Step]
    entries: dict[str, Entry]
    found: Found
    drift: Drift
    problems: list[str]

    @property
    def pending(self) -> list[Step]:
        """What is to be applied, in order."""
        return [step for step in self.steps if not _is_applied(self.entries.get(step.id))]


def main(arguments: Sequence[str]) -> int:
    """Do what is asked; return the exit code."""
    asked = _ask(arguments)
    steps = load(asked.steps)
    target = warehouse.ensure_started(asked.target)
    if asked.verb == "plan":
        return plan(target, steps, asked.exit_code)
    if asked.verb == "drift":
        return drift(target, steps)
    prepare(target)
    with Lock(target) as lock:
        if asked.verb == "apply":
            apply(target, steps, lock)
        elif asked.verb == "rollback":
            rollback(target, steps, asked.id)
        else:
            mend(target, steps)
    return 0


def plan(target: Target, steps: Sequence[Step], exit_code: bool) -> int:
    """Print the SQL that `apply` would run, and how the warehouse stands."""
    found = look(target, steps)
    print(f"-- {target.name}: {target.kind} at {target.host}:{target.port}, database {target.database}")
    for step in found.steps:
        entry = found.entries.get(step.id)
        if entry and entry.outcome == APPLIED:
            print(f"-- applied {step.id}: {entry.applied_at:%F %T%z} by {entry.applied_by}")
            continue
        if entry:
            print(f"-- {_told(entry)}")
        print(f"-- to apply {step.id} ({step.owner}): {step.reason}")
        if step.kind == "sql" and not step.transaction:
            print("-- in no transaction")
        print(*[_ended(sql) for sql in _statements(step, found)] or ["-- nothing to run here"], sep="\n")
    _show(found)
    pending = len(found.pending)
    by_hand = len(found.drift.missing) + len(found.drift.unknown)
    print(f"-- {len(steps) - pending} applied, {pending} to apply, {by_hand} changed by hand")
    for problem in found.problems:
        print(f"scripts/ddl: {problem}", file=sys.stderr)
    if found.problems:
        return FAILED_CODE
    return SOMETHING_TO_DO if exit_code and (pending or found.drift) else 0


def drift(target: Target, steps: Sequence[Step]) -> int:
    """Print what differs from what the applied steps say."""
    found = look(target, steps)
    _show(found)
    if not found.drift:
        print("-- nothing was made or removed by hand")
    return SOMETHING_TO_DO if found.drift else 0


def apply(target: Target, steps: Sequence[Step], lock: Lock) -> None:
    """Run what is pending, in order.

    Raises:
        ConfigurationError: the steps do not fit to what was applied; nothing was run.
        StepFailed: a step failed; it is noted, those after it were not run, and the next apply tries again.
    """
    found = look(target, steps)
    if found.problems:
        raise ConfigurationError("; ".join(found.problems))
    if not found.pending:
        print("nothing to apply")
    for step in found.pending:
        lock.check()
        # What an earlier step has made decides which statements a later one needs.
        seconds = _run(target, step, _statements(step, look(target, steps)))
        print(f"applied {step.id} in {seconds:.1f} s", flush=True)


def rollback(target: Target, steps: Sequence[Step], step_id: str) -> None:
    """Undo the step that was applied last.

    Raises:
        ConfigurationError: it is not that one, was edited since, or can't be undone; nothing was run.
        StepFailed: the warehouse refused; in a transaction nothing has changed.
    """
    found = look(target, steps)
    applied = [entry for entry in found.entries.values() if _is_applied(entry) and entry.outcome != MENDED]
    newest = max(applied, key=lambda entry: entry.entry, default=None)
    if newest is None or newest.id != step_id:
        raise ConfigurationError(
            f"{step_id} is not the step that was applied last"
            + (f", that is {newest.id}: roll back from there" if newest else "; none is applied")
        )
    step = next((step for step in steps if step.id == step_id), None)
    if step is None or step.checksum != newest.checksum:
        raise ConfigurationError(f"{step_id} is no longer what was applied: {_restore(step)}")
    _run(target, step, step.rollback(found.engine, found.found.there), ROLLED_BACK)
    print(f"rolled back {step.id}; take its file back, too, or the next apply applies it again")


def mend(target: Target, steps: Sequence[Step]) -> None:
    """Undo by the steps what was done by hand, in one transaction; schemas made by hand are left.

    Raises:
        StepFailed: the warehouse refused; nothing has changed.
    """
    found = look(target, steps)
    began = time.monotonic()
    left = [change for change in found.drift.unknown if isinstance(change.facts[0], Schema)]
    changes = [change for change in (*found.drift.unknown, *found.drift.missing) if change not in left]
    for change in left:
        print(f"{change.text} is left, as it may hold data: write a step that takes it in or drops it")
    if not changes:
        print("nothing to mend")
        return
    with cursor_of(target, transaction=True) as cursor:
        limit_waiting(target, cursor)
        _execute(cursor, MENDED, [change.sql for change in changes])
        note(
            target,
            cursor,
            step_id="mend",
            checksum="",
            owner="",
            seconds=time.monotonic() - began,
            outcome=MENDED,
            message="; ".join(change.sql for change in changes),
        )
    for change in changes:
        print(f"mended {change.text}")


def look(target: Target, steps: Sequence[Step]) -> Situation:
    """Compare a warehouse with the steps; writes nothing."""
    with cursor_of(target, transaction=False) as cursor:
        noted = entries(cursor)
        found = read(target, cursor)
    roles = frozenset().union(found.there.roles, *(step.after.roles for step in steps))
    engine = Engine(target.kind, target.database, roles)
    applied = _applied_state(steps, noted)
    return Situation(
        target,
        engine,
        steps,
        noted,
        found,
        compare(engine, found, applied, steps[-1].after),
        _problems(steps, noted),
    )


def _applied_state(steps: Sequence[Step], noted: dict[str, Entry]) -> State:
    applied = [step for step in steps if _is_applied(noted.get(step.id))]
    return applied[-1].after if applied else State()


def _problems(steps: Sequence[Step], noted: dict[str, Entry]) -> list[str]:
    problems = []
    by_id = {step.id: step for step in steps}
    for entry in noted.values():
        if entry.outcome != APPLIED:
            continue
        step = by_id.get(entry.id)
        if step is None or step.checksum != entry.checksum:
            problems.append(
                f"{entry.id} was {'edited' if step else 'removed'} after it was applied"
                f" ({entry.applied_at:%F %T%z} by {entry.applied_by}): {_restore(step)}"
            )
    late: list[str] = []
    for step in reversed(steps):
        if _is_applied(noted.get(step.id)):
            late.append(step.id)
        elif late:
            problems.append(
                f"{step.id} ({step.file}) comes before {late[-1]}, which is applied: give it a number after"
                f" {late[0]}"
            )
    return problems


def _restore(step: Step | None) -> str:
    where = f" in {step.file}" if step else ""
    return f"put back what it was{where}, and write the change as a new step"


def _is_applied(entry: Entry | None) -> bool:
    return entry is not None and entry.outcome == APPLIED


def _told(entry: Entry) -> str:
    when = f"{entry.applied_at:%F %T%z} by {entry.applied_by}"
    if entry.outcome == FAILED:
        return f"failed {entry.id}: {when}: {entry.message}; apply tries it again"
    if entry.outcome == BEGUN:
        return f"begun {entry.id}: {when}, and never ended: it was killed, or is at work; apply runs it again"
    return f"{entry.outcome} {entry.id}: {when}"


def _statements(step: Step, found: Situation) -> list[str]:
    return step.statements(found.engine, found.found.there)


def _run(target: Target, step: Step, statements: list[str], outcome: str = APPLIED) -> float:
    """Run a step's statements, or those of its rollback; note the outcome; return the seconds."""
    began = time.monotonic()

    def noted(cursor: Any, outcome: str, message: str | None = None) -> None:
        note(
            target,
            cursor,
            step_id=step.id,
            checksum=step.checksum,
            owner=step.owner,
            seconds=time.monotonic() - began,
            outcome=outcome,
            message=message,
        )

    try:
        with cursor_of(target, transaction=step.transaction) as cursor:
            limit_waiting(target, cursor)
            if not step.transaction and outcome == APPLIED:
                noted(cursor, BEGUN)
            _execute(cursor, step.id, statements)
            noted(cursor, outcome)
    except (StepFailed, psycopg2.Error) as error:
        failure = error if isinstance(error, StepFailed) else StepFailed(f"{step.id}: {_said(error)}")
        # What is wrong is said also where it can't be noted; a connection may break after the commit.
        with suppress(psycopg2.Error, AdstarError), cursor_of(target, transaction=True) as cursor:
            if outcome == APPLIED and not _is_applied(entries(cursor).get(step.id)):
                noted(cursor, FAILED, failure.message)
        raise failure from None
    return time.monotonic() - began


def _execute(cursor: Any, name: str, statements: Sequence[str]) -> None:
    for number, sql in enumerate(statements, 1):
        try:
            cursor.execute(sql)
        except psycopg2.Error as error:
            short = textwrap.shorten(sql, 80, placeholder="...")
            where = f"{name}: statement {number} of {len(statements)} (`{short}`)"
            raise StepFailed(f"{where}: {_said(error)}") from None


def _said(error: psycopg2.Error) -> str:
    return " ".join(str(error).split())


def _ended(sql: str) -> str:
    """With its semicolon, on a line of its own behind a comment."""
    return f"{sql}\n;" if "--" in sql.rpartition("\n")[2] else f"{sql};"


def _show(found: Situation) -> None:
    if found.found.note:
        print(f"-- note: {found.found.note}")
    _list("missing", found.drift.missing)
    _list("by hand", found.drift.unknown)


def _list(word: str, changes: Sequence[Change]) -> None:
    for change in changes:
        print(f"-- {word}: {change.text}", f"--     {change.sql};", sep="\n")


def _ask(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/ddl", description=__doc__)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--target", help="of profiles.yml; else ADSTAR_TARGET, else its default")
    common.add_argument(
        "--steps", type=Path, default=places.home() / "deploy" / "warehouse", help="folder of the steps"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    help_of = {
        "plan": "print the SQL that apply would run, what is applied, and what differs by hand",
        "apply": "run what is pending, once, in order",
        "rollback": "undo the step that was applied last",
        "drift": "name what was made or removed by hand",
        "mend": "undo what was made or removed by hand",
    }
    for verb, told in help_of.items():
        one = verbs.add_parser(verb, parents=[common], help=told)
        if verb == "plan":
            one.add_argument("--exit-code", action="store_true", help="3 if there is something to do")
        if verb == "rollback":
            one.add_argument("id", help="of the step")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AdstarError as error:
        sys.exit(f"scripts/ddl: {error}")
    except psycopg2.Error as error:
        sys.exit(f"scripts/ddl: {AdstarError(_said(error))}")
