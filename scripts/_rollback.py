"""Go back to the star before the last publish, in one step. Run by scripts/rollback.

The next publish is refused until a person accepts it, so that no schedule brings back what was taken back.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from _publish import PREFIX
from _publishing.engine import engine
from _publishing.ledger import Ledger, Turn
from _publishing.project import ledger_schema
from _publishing.star import newest, rollback

from loaders._core.errors import AdstarError
from loaders._core.warehouse import ensure_started


def ask(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/rollback", description=__doc__)
    parser.add_argument("--reason", required=True, help="what is wrong: it is what the next one reads")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Undo the newest publish; return the exit code."""
    asked = ask(arguments)
    schema = ledger_schema(os.environ.get(PREFIX, ""))
    with Ledger(engine(ensure_started()), schema) as ledger, Turn(ledger) as turn:
        undone = newest(ledger)
        number = ledger.begin("rollback", asked.reason)
        try:
            with turn.transaction() as cursor:
                changes = rollback(cursor, ledger, number, undone)
                ledger.end(number, "published", cursor=cursor)
        except BaseException as error:
            ledger.end(number, "failed", f"{type(error).__name__}: {error}")
            raise
    for each in changes:
        where = f"{each.live.schema}.{each.live.name}"
        print(f"rollback {number}: {where} is as it was before publish {undone.number}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AdstarError as error:
        sys.exit(f"scripts/rollback: {error}")
