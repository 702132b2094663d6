"""What ``dlt privacy`` does."""

# ruff: noqa: S608  (what is put into statements are names of the catalogue; values go beside them)

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from loaders._core import command, places, warehouse
from loaders._core.declare import Clock
from loaders._core.errors import AdstarError, ConfigurationError, UsageError
from loaders._core.privacy import keys as privacy_keys
from loaders._core.privacy.books import Treatment, note, personal_tables, prepare, remap, texts, tombstones
from loaders._core.privacy.person import erase, export, leases, postgres_only
from loaders._core.privacy.scan import scan
from loaders._core.privacy.values import SEALED, Personal, Protection, Ring, is_sealed, pseudonym_columns
from loaders._core.warehouse import Target

BY = {"email": Personal.EMAIL, "phone": Personal.PHONE, "user_id": Personal.USER_ID}


def main(args: Namespace) -> int:
    """Do one of the commands; the exit code: 0 done, 1 failed or something was found, 2 wrong usage."""
    os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
    command._set_up_logging(getattr(args, "verbosity", 0))
    try:
        target = warehouse.ensure_started(args.target)
        return _COMMANDS[args.privacy_command](target, args)
    except AdstarError as error:
        print(error, file=sys.stderr)
        return command.USAGE if isinstance(error, UsageError) else command.FAILED
    except psycopg2.errors.UndefinedTable:
        print("nothing has landed in this warehouse yet", file=sys.stderr)
        return command.FAILED
    except psycopg2.errors.InsufficientPrivilege as error:
        said = str(error).splitlines()[0]
        print(f"{said}: ask for a role that may (docs/privacy.md, Roles)", file=sys.stderr)
        return command.FAILED


def reveal(target: Target, pseudonym: str, reason: str) -> str:
    """The value of a pseudonym; who asked, and why, stands in ``ops.privacy_audit`` before it is known.

    Raises:
        UsageError: no row bears the pseudonym and still has its value.
        ConfigurationError: the key is not at hand, or not the one the pseudonym was made with.
    """
    postgres_only(target)
    ring = privacy_keys.ring(target)
    key = ring.key_of(pseudonym)
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        prepare(cursor)
        cursor.execute("select place, class, value from ops.privacy_reveal(%s, %s)", [pseudonym, reason])
        found = cursor.fetchone()
    if found is None:
        raise UsageError(
            f"{pseudonym} stands in no row of raw, or its person is erased; the question is noted"
        )
    _, kind, value = found
    value = ring.revealed(Personal(kind), value)
    if key.pseudonym(Personal(kind), value) != pseudonym:
        raise ConfigurationError(
            f"the key {key.id} does not make this pseudonym of its value: raw was altered"
        )
    return value


def rotate(target: Target, say: Callable[[str], None] = print) -> None:
    """Replace the key: all pseudonyms and ciphertexts of raw anew, a table a transaction.

    Broken off, it goes on where it stopped: every pseudonym says which key made it. With sealing on, what had
    landed open is sealed. Erased persons keep the tombstones, and their rows the pseudonyms, of the former
    key: there is no value to make others of, so that key is kept for them.

    Raises:
        UsageError: there is no other key to replace it with.
        LeaseTaken: a source is being read.
    """
    postgres_only(target)
    with closing(target.connect()) as connection, connection.cursor() as cursor, leases(target, cursor):
        cursor.execute("select key_id from ops.privacy_keys where retired_at is null")
        active = {row[0] for row in cursor.fetchall()}
        ring = privacy_keys.ring(target)
        if not privacy_keys.configured() and active <= {ring.current.id}:
            ring = privacy_keys.renewed()
        current = ring.current
        former = active - {current.id}
        if not former:
            raise UsageError(
                f"the key {current.id} is in use already: put a new one into [privacy] key, and this one into"
                " [privacy] previous_keys"
            )
        for key_id in sorted(former):
            ring.key_of(f"{key_id}:")
        cursor.execute(
            "insert into ops.privacy_keys (key_id, first_used_at) select %s, current_timestamp"
            " where not exists (select 1 from ops.privacy_keys where key_id = %s)",
            [current.id] * 2,
        )
        cursor.execute("update ops.privacy_keys set retired_at = null where key_id = %s", [current.id])
        sealing = privacy_keys.sealing()
        buried = tombstones(cursor)
        connection.autocommit = False
        for (schema, table), personal in personal_tables(cursor).items():
            with connection:
                rows = _rekey(cursor, f'{schema}."{table}"', personal, ring, sealing)
            if rows:
                say(f"{schema}.{table}: {rows:,} rows have pseudonyms of {current.id}")
        with connection:
            cursor.execute(
                "update ops.privacy_keys set retired_at = current_timestamp where key_id = any(%s)",
                [list(former)],
            )
        if not privacy_keys.configured() and not any(t.partition(":")[0] != current.id for t in buried):
            privacy_keys.forget_previous()
    say(f"the key is {current.id}; the star has the former pseudonyms until `dbt build --full-refresh`")
    if needed := sorted({t.partition(":")[0] for t in buried} - {current.id}):
        say(f"the tombstones of the erased need {', '.join(needed)}: keep it among the previous keys")


def _rekey(cursor: Any, table: str, personal: dict[str, Personal], ring: Ring, sealing: bool) -> int:
    current = ring.current
    protection = Protection(ring)

    sealed = texts(cursor, table) if sealing else set()

    def treat(column: str, kind: Personal, values: list[str]) -> list[Treatment]:
        treated: list[Treatment] = []
        for value in values:
            plain = ring.revealed(kind, value)
            pseudonym = None if kind is Personal.DOCUMENT else protection.pseudonym(kind, plain)
            landed = current.seal(kind, plain) if column in sealed or is_sealed(value) else value
            treated.append((pseudonym, landed, False))
        return treated

    old = [
        f'"{column}" is not null and "{column}"::text not like \'{SEALED}{current.id}:%\''
        + ("" if column in sealed else f" and \"{column}\"::text like '{SEALED}%'")
        for column in personal
    ]
    old += [
        f'"{column}" is not null and "{made}" not like \'{current.id}:%\''
        for column, made in pseudonym_columns(personal).items()
    ]
    return remap(cursor, table, personal, treat, "(" + " or ".join(f"({each})" for each in old) + ")")


def retention(target: Target, days: int, apply: bool, say: Callable[[str], None] = print) -> None:
    """Blank the personal values of raw that were committed longer ago than ``days``, or only count them.

    Rows and pseudonyms stay.
    """
    postgres_only(target)
    with closing(target.connect()) as connection, connection.cursor() as cursor, leases(target, cursor):
        prepare(cursor)
        connection.autocommit = False
        for (schema, table), personal in personal_tables(cursor).items():
            held = " or ".join(f'"{column}" is not null' for column in personal)
            old = (
                f'"{schema}"."{table}" where _run_seq in (select run_seq from ops.commits'
                f" where committed_at < now() - interval '{int(days)} days') and ({held})"
            )
            with connection:
                cursor.execute(f"select count(*) from {old}")
                count = cursor.fetchone()[0]
                if count and apply:
                    blank = ", ".join(f'"{column}" = null' for column in personal)
                    cursor.execute("update " + old.replace(" where ", f" set {blank} where ", 1))
                    said = f"older than {days} days: {count} rows"
                    note(cursor, "retention", said, place=f"{schema}.{table}")
            if count:
                said = "blanked" if apply else "would be blanked"
                say(f"{schema}.{table}: {count:,} rows older than {days} days {said}")


def _note(target: Target, action: str, reason: str, pseudonym: str | None) -> None:
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        prepare(cursor)
        note(cursor, action, reason, pseudonym=pseudonym)


def _start(args: Namespace) -> dict[Personal, str]:
    given = {kind: getattr(args, name) for name, kind in BY.items() if getattr(args, name)}
    return {kind: sys.stdin.readline().strip() if text == "-" else text for kind, text in given.items()}


def _first_pseudonym(target: Target, start: dict[Personal, str]) -> str | None:
    ring = privacy_keys.ring(target)
    return next((ring.current.pseudonym(kind, value) for kind, value in start.items()), None)


def _reveal(target: Target, args: Namespace) -> int:
    print(reveal(target, args.pseudonym, args.reason))
    return command.OK


def _export(target: Target, args: Namespace) -> int:
    start = _start(args)
    path = Path(args.to) if args.to else _export_path()
    _note(target, "export", args.reason, _first_pseudonym(target, start))
    rows = export(target, start, path)
    print(f"{rows:,} rows in {path}; hand it over by a safe way, then delete it")
    return command.OK


def _export_path() -> Path:
    folder = places.state() / "exports"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"person-{Clock.from_environment().now():%Y%m%dT%H%M%S}-{os.getpid()}.jsonl"


def _erase(target: Target, args: Namespace) -> int:
    start = _start(args)
    _note(target, "erase", args.reason, _first_pseudonym(target, start))
    done = erase(target, start)
    print(f"{done.pseudonyms:,} tombstones")
    for where, count in sorted(done.rows.items()):
        print(f"{where}: {count:,} rows without the person")
    for where, count in sorted(done.texts.items()):
        print(f"{where}: {count:,} texts cleaned")
    for file in done.files:
        print(f"{file}: cleaned")
    for where in done.left:
        print(f"LEFT {where}", file=sys.stderr)
    print("now run `dbt build --full-refresh`; what backups and the server's logs hold, see docs/privacy.md")
    return command.FAILED if done.left else command.OK


def _scan(target: Target, args: Namespace) -> int:
    findings = scan(target)
    for finding in findings:
        print(finding)
    if findings:
        print(
            "declare those of raw in their loader (Resource.personal), and take the others out of their model"
        )
    return command.FAILED if findings else command.OK


def _rotate(target: Target, args: Namespace) -> int:
    rotate(target)
    return command.OK


def _retention(target: Target, args: Namespace) -> int:
    retention(target, args.older_than, args.apply)
    return command.OK


_COMMANDS = {
    "reveal": _reveal,
    "export": _export,
    "erase": _erase,
    "scan": _scan,
    "rotate": _rotate,
    "retention": _retention,
}
