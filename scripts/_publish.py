"""Build the star beside the one that is read, audit it, publish it in one step. Run by scripts/publish.

What stands after `--` goes to `dbt build`. Exit code 0: published, or nothing differs; 1: it failed, and what
people read is as it was; 3: the audit refuses it until a person accepts it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from _publishing import PublishError, Refused
from _publishing.audit import Figure, audit
from _publishing.engine import engine
from _publishing.ledger import Change, Ledger, Turn
from _publishing.project import SIDE, Project, Settings, ledger_schema
from _publishing.star import Publication, prune

from loaders._core import places
from loaders._core.crash import kill_point
from loaders._core.errors import AdstarError, UsageError
from loaders._core.warehouse import ensure_started

PREFIX = "ADSTAR_SCHEMA_PREFIX"
REFUSED = 3


def ask(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/publish", description=__doc__)
    parser.add_argument("--accept", metavar="REASON", help="publish what the last run has built and refused")
    parser.add_argument("--built", action="store_true", help="build nothing: an earlier dbt build has")
    parser.add_argument(
        "--whole", action="store_true", help="compare every row of facts, not what was rebuilt"
    )
    parser.add_argument("build", nargs="*", metavar="ARGUMENT", help="for dbt build, after --")
    asked = parser.parse_args(arguments)
    if asked.accept is not None and not asked.accept.strip():
        parser.error("--accept wants a reason: it is what the next one reads")
    if asked.build and (asked.built or asked.accept):
        parser.error("nothing is built, so there is nothing that dbt could be told")
    if {"--select", "-s", "--models", "-m"} & set(asked.build):
        parser.error("a star of which a part was built is no star: give dbt a --selector, or nothing")
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Build, audit, publish; return the exit code."""
    asked = ask(arguments)
    prefix = os.environ.get(PREFIX, "")
    settings = Settings.read(places.home() / "dbt_project" / "publish.yml")
    with Ledger(engine(ensure_started()), ledger_schema(prefix)) as ledger, Turn(ledger) as turn:
        number = ledger.begin("publish", asked.accept)
        try:
            with turn.kept_alive():
                if not asked.built and not asked.accept:
                    build(prefix, asked.build)
                project = Project.read(manifest(), prefix, settings.unpublished)
                ledger.built(number, project.build_id)
                publication = Publication(project, ledger, number, whole=asked.whole)
                steps = publication.plan()
                judge(publication, settings, accepted=asked.accept is not None)
            publication.make_schemas()
            if any(step.adds for step in steps):
                with turn.transaction() as cursor:
                    publication.widen(cursor, steps)
            with turn.transaction() as cursor:
                changes = publication.publish(cursor, steps)
                ledger.end(number, "published" if changes else "unchanged", cursor=cursor)
        except Refused as refusal:
            ledger.end(number, "refused", str(refusal))
            print(f"scripts/publish: {refusal}", file=sys.stderr)
            return REFUSED
        except BaseException as error:
            ledger.end(number, "failed", f"{type(error).__name__}: {error}")
            raise
        kill_point("publish.committed")
        publication.settle(steps, changes)
        prune(ledger, settings.keep)
    show(number, changes)
    if any(change.kind == "made" for change in changes):
        apply_roles(prefix)
    return 0


def target_path() -> Path:
    """dbt's folder for builds at the side: one for each prefix, or it parses the project again each time."""
    return Path(os.environ.get("DBT_TARGET_PATH") or places.state() / "publish" / "target")


def manifest() -> Path:
    """What dbt notes of its build."""
    return target_path() / "manifest.json"


def build(prefix: str, arguments: Sequence[str]) -> None:
    """`dbt build` into the side schemas.

    In this process: if it is killed, no dbt builds on without it.

    Raises:
        PublishError: a model or a test failed.
    """
    if not dbt(prefix + SIDE, target_path(), "build", *arguments):
        raise PublishError("dbt build has failed (above); what people read is as it was")


def apply_roles(prefix: str) -> None:
    """Whoever reads marts and reports may read what is new in them."""
    if not dbt(prefix, target_path().with_name("target-live"), "run-operation", "apply_roles"):
        print(
            "scripts/publish: published, but the rights on what is new could not be granted; run"
            " `dbt run-operation apply_roles`",
            file=sys.stderr,
        )


def dbt(prefix: str, folder: Path, *arguments: str) -> bool:
    """Run dbt with a prefix of its schemas; did it succeed?"""
    from dbt.cli.main import dbtRunner  # noqa: PLC0415  (seconds, which --built need not wait)

    former = os.environ.get(PREFIX)
    os.environ[PREFIX] = prefix
    try:
        return bool(dbtRunner().invoke([*arguments, "--target-path", str(folder)]).success)
    finally:
        if former is None:
            del os.environ[PREFIX]
        else:
            os.environ[PREFIX] = former


def judge(publication: Publication, settings: Settings, *, accepted: bool) -> None:
    """Audit what is at the side, and note it.

    Raises:
        Refused: something is out of bounds and nobody has accepted it.
        UsageError: what was accepted is not what is there.
    """
    ledger, number = publication.ledger, publication.number
    with ledger.cursor() as cursor:
        figures = list(audit(cursor, publication.project, settings, publication.catalogue))
    if accepted:
        same(ledger, number, figures)
    ledger.note(number, figures)
    findings = [str(each) for each in figures if each.finding]
    findings += [f"{live} is no longer in the project: it would be dropped" for live in publication.gone]
    stands = ledger.entries("outcome in ('published', 'unchanged')")
    if stands and stands[0].kind == "rollback":
        findings.append(f"rollback {stands[0].number} took the last publish back: {stands[0].reason}")
    if findings and not accepted:
        raise Refused(
            "\n  ".join([f"publish {number} is refused, and what people read is as it was:", *findings])
            + "\nIf it is right all the same: scripts/publish --accept 'why it is right'"
        )
    for finding in findings:
        print(f"publish {number}: accepted: {finding}")


def same(ledger: Ledger, number: int, figures: Sequence[Figure]) -> None:
    """What a person accepts is what was shown to them; an acceptance that failed may be tried again."""
    tried_again = "outcome in ('failed', 'killed') and reason is not null"
    former = ledger.entries(f"number < {number} and not ({tried_again})")
    if not former or former[0].outcome != "refused":
        raise UsageError("what ran last was not refused, so there is nothing to accept: run scripts/publish")
    if {(each.where, each.side) for each in ledger.audited(former[0].number)} != {
        (each.where, each.side) for each in figures
    }:
        raise UsageError(
            f"what is at the side is no longer what publish {former[0].number} was refused for: run"
            " scripts/publish, and look again"
        )


def show(number: int, changes: Sequence[Change]) -> None:
    """Say what has changed."""
    if not changes:
        print(f"publish {number}: nothing differs")
    for each in changes:
        if each.kind == "rows":
            told = f"{each.removed:,} rows went, {each.added:,} came"
        else:
            told = each.kind if each.was == "nothing" else f"{each.kind}, was a {each.was}"
        print(f"publish {number}: {each.live.schema}.{each.live.name}: {told}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AdstarError as error:
        sys.exit(f"scripts/publish: {error}")
