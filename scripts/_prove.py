"""Runs the claims of scripts/claims.toml, one command each, and writes docs/proof.md. Run by scripts/prove.

A claim is proven when its command ends with 0 and its output has the figure. What was proven on the present
commit is not run again; what failed or has not been run is, so a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from loaders._core import places

HOME = places.home()
NOTES = places.state() / "proof"


@dataclass(frozen=True)
class Claim:
    """A line of the table: `figure` is a regular expression whose groups are the figures shown."""

    name: str
    says: str
    command: str
    figure: str


@dataclass(frozen=True)
class Proof:
    """How a claim's command ended: it holds if that was with 0 and the output has the figure."""

    commit: str
    date: str
    seconds: int
    holds: bool
    figures: list[str]


def main() -> int:
    """Prove what is asked for; 1 if a claim fails."""
    claims = list(read())
    parser = argparse.ArgumentParser(prog="scripts/prove", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="claims to run (default: all)")
    parser.add_argument("--again", action="store_true", help="also what is proven on this commit")
    parser.add_argument("--list", action="store_true", help="only say what stands and write the page")
    asked = parser.parse_args()
    if unknown := set(asked.names) - {claim.name for claim in claims}:
        parser.error(f"no claim named {', '.join(sorted(unknown))} in scripts/claims.toml")
    here = commit()
    for claim in claims:
        wanted = not asked.list and (not asked.names or claim.name in asked.names)
        if wanted and (asked.again or not proven(claim, here)):
            print(f"{claim.name}: {claim.command}", flush=True)
            note(claim).write_text(json.dumps(asdict(prove(claim, here))))
            write(claims)
        if wanted:
            print(f"{claim.name}: {told(claim)}", flush=True)
    write(claims)
    return 0 if all(proven(claim, here) for claim in claims) else 1


def read() -> Iterator[Claim]:
    """The claims, in order."""
    table = tomllib.loads((HOME / "scripts" / "claims.toml").read_text())
    for name, claim in table.items():
        yield Claim(name, **claim)


def commit() -> str:
    """What is being proven: the last commit of anything but docs/, marked if files differ from it."""
    proven_files = ["--", ".", ":!docs"]
    newest = told_by_git("log", "-1", "--format=%h", "--abbrev=12", *proven_files)
    return newest + ("-dirty" if told_by_git("status", "--porcelain", *proven_files) else "")


def told_by_git(*arguments: str) -> str:
    """What git answers."""
    command = ["git", *arguments]
    return subprocess.run(command, cwd=HOME, capture_output=True, text=True, check=True).stdout.strip()


def note(claim: Claim) -> Path:
    """Where the last proof of a claim is kept."""
    NOTES.mkdir(parents=True, exist_ok=True)
    return NOTES / f"{claim.name}.json"


def last(claim: Claim) -> Proof | None:
    """The last proof of a claim."""
    with suppress(FileNotFoundError):
        return Proof(**json.loads(note(claim).read_text()))
    return None


def proven(claim: Claim, here: str) -> bool:
    """Whether a claim holds on this commit; nothing is proven of files that are not committed."""
    proof = last(claim)
    return proof is not None and proof.holds and proof.commit == here and "dirty" not in here


def prove(claim: Claim, here: str) -> Proof:
    """Run a claim's command in this checkout; its output goes into a file beside the note."""
    began = time.monotonic()
    output = note(claim).with_suffix(".log")
    environment = os.environ | {"COLUMNS": "120"}
    with output.open("w") as sink:
        code = subprocess.run(
            ["bash", "-c", claim.command],  # noqa: S607
            cwd=HOME,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    found = list(re.finditer(claim.figure, output.read_text(errors="replace"), re.MULTILINE))
    figures = [group for group in found[-1].groups() if group] if found else []
    seconds = round(time.monotonic() - began)
    return Proof(here, f"{datetime.now(UTC):%Y-%m-%d}", seconds, bool(found) and code == 0, figures)


def told(claim: Claim) -> str:
    """How a claim stands, in a few words."""
    proof = last(claim)
    if proof is None:
        return "not yet run"
    figures = " ".join(", ".join(proof.figures).split())  # a row of a table is one line
    return (figures or "holds") if proof.holds else f"NOT SHOWN {figures}".rstrip()


def write(claims: list[Claim]) -> None:
    """Write the page."""
    lines = [
        "# Proof",
        "",
        "Written by `scripts/prove`, which runs every claim at full size; each can be run by itself.",
        "",
        "| claim | command | figure | seconds | date | commit |",
        "|---|---|---|---:|---|---|",
    ]
    page = HOME / "docs" / "proof.md"
    shown = page.read_text().splitlines() if page.exists() else []
    for claim in claims:
        proof = last(claim)
        command = claim.command.replace("|", "\\|")
        first = f"| {claim.says} | `{command}` |"
        # The notes stay on their machine: what was proven on another one is on the page alone.
        elsewhere = None if proof else next((line for line in shown if line.startswith(first)), None)
        columns = [str(proof.seconds), proof.date, proof.commit] if proof else ["", "", ""]
        lines.append(elsewhere or f"{first} {' | '.join([told(claim), *columns])} |")
    page.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
