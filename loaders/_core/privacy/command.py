"""What ``dlt privacy`` does."""

# ruff: noqa: S608  (what is put into statements are names of the catalogue; values go beside them)

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2

from loaders._core import command, places, warehouse
from loaders._core.archive.configured import store_of
from loaders._core.archive.retention import Expired, expire
from loaders._core.archive.store import Store
from loaders._core.declare import Clock
from loaders._core.errors import AdstarError, ConfigurationError, UsageError
from loaders._core.privacy import keys as privacy_keys
from loaders._core.privacy.books import (
    TEXTS,
    Catalogue,
    Treatment,
    catalogue,
    note,
    prepare,
    rekey,
    remap,
    tombstones,
)
from loaders._core.privacy.person import erase, export, leases
from loaders._core.privacy.scan import scan
from loaders._core.privacy.values import SEALED, Personal, Protection, Ring, is_sealed, pseudonym_column
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
    ring = privacy_keys.ring(target)
    key = ring.key_of(pseudonym)
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        if target.kind == "postgres":
            prepare(cursor)
            cursor.execute("select place, class, value from ops.privacy_reveal(%s, %s)", [pseudonym, reason])
            found = cursor.fetchone()
        else:
            found = _noted_and_found(target, cursor, pseudonym, reason)
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


def _noted_and_found(target: Target, cursor: Any, pseudonym: str, reason: str) -> tuple[str, str, str] | None:
    """What ``ops.privacy_reveal`` does, where no function can: place, class and value of a pseudonym."""
    found = catalogue(cursor)
    for (schema, table), personal in found.personal.items():
        for column, kind in personal.items():
            made = pseudonym_column(column)
            if made not in found.tables[schema, table]:
                continue
            held = f'from "{schema}"."{table}" where "{made}" = %s and "{column}" is not null limit 1'
            cursor.execute(f"select 1 {held}", [pseudonym])
            if cursor.fetchone():
                place = f"{schema}.{table}.{column}"
                note(cursor, "reveal", reason, pseudonym=pseudonym, place=place, clock=target.clock)
                cursor.execute(f"select {found.text((schema, table), column)} {held}", [pseudonym])
                return place, kind.value, cursor.fetchone()[0]
    note(cursor, "reveal", reason, pseudonym=pseudonym, clock=target.clock)
    return None


def rotate(target: Target, say: Callable[[str], None] = print) -> None:
    """Replace the key: all pseudonyms and ciphertexts of raw anew, a table a transaction.

    Broken off, it goes on where it stopped: every pseudonym says which key made it. With sealing on, what had
    landed open is sealed. Erased persons keep the tombstones, and their rows the pseudonyms, of the former
    key: there is no value to make others of, so that key is kept for them.

    Raises:
        UsageError: there is no other key to replace it with.
        LeaseTaken: a source is being read.
    """
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
            f"insert into ops.privacy_keys (key_id, first_used_at) select %s, {target.clock}"
            " where not exists (select 1 from ops.privacy_keys where key_id = %s)",
            [current.id] * 2,
        )
        cursor.execute("update ops.privacy_keys set retired_at = null where key_id = %s", [current.id])
        sealing = privacy_keys.sealing()
        buried = tombstones(cursor)
        connection.autocommit = False
        found = catalogue(cursor)
        for place in found.personal:
            with connection:
                rows = _rekey(cursor, target, found, place, ring=ring, sealing=sealing)
            if rows:
                say(f"{'.'.join(place)}: {rows:,} rows have pseudonyms of {current.id}")
        with connection:
            cursor.execute(
                f"update ops.privacy_keys set retired_at = {target.clock} where key_id in %s", [tuple(former)]
            )
        is_needed = any(t.partition(":")[0] != current.id for t in buried) or store_of(target) is not None
        if not privacy_keys.configured() and not is_needed:
            privacy_keys.forget_previous()
    say(f"the key is {current.id}; the star has the former pseudonyms until `dbt build --full-refresh`")
    if needed := sorted({t.partition(":")[0] for t in buried} - {current.id}):
        say(f"the tombstones of the erased need {', '.join(needed)}: keep it among the previous keys")
    if store_of(target) is not None:
        say("the archive was encrypted with the former key: keep it among the previous keys")


def _rekey(
    cursor: Any, target: Target, found: Catalogue, place: tuple[str, str], *, ring: Ring, sealing: bool
) -> int:
    current = ring.current
    protection = Protection(ring)
    personal = found.personal[place]
    sealed = {column for column in personal if sealing and found.tables[place][column] in TEXTS}

    def treat(column: str, kind: Personal, values: list[str]) -> list[Treatment]:
        treated: list[Treatment] = []
        for value in values:
            plain = ring.revealed(kind, value)
            pseudonym = None if kind is Personal.DOCUMENT else protection.pseudonym(kind, plain)
            landed = current.seal(kind, plain) if column in sealed or is_sealed(value) else value
            treated.append((pseudonym, landed, False))
        return treated

    old: dict[str, str] = {}
    for column, kind in personal.items():
        text = found.text(place, column)
        other = f"{text} not like '{SEALED}{current.id}:%'"
        if column not in sealed:
            other += f" and {text} like '{SEALED}%'"
        if kind is not Personal.DOCUMENT:
            other += f" or \"{pseudonym_column(column)}\" not like '{current.id}:%'"
        old[column] = f'"{column}" is not null and ({other})'
    if target.kind == "redshift":
        return rekey(cursor, target, found, place, treat=treat, old=old)
    table = f'"{place[0]}"."{place[1]}"'
    return remap(cursor, table, personal, treat, f"({' or '.join(f'({each})' for each in old.values())})")


def retention(
    target: Target, days: int, *, apply: bool, archive: bool = False, say: Callable[[str], None] = print
) -> None:
    """Blank the personal values of raw that were committed longer ago than ``days``, or only count them.

    Rows and pseudonyms stay.

    Args:
        archive: what the archive has read that long ago goes, too, with all that is in it.

    Raises:
        UsageError: there is no archive.
    """
    store = store_of(target) if archive else None
    if archive and store is None:
        raise UsageError("there is no archive to remove anything from: see [archive] url in .dlt/config.toml")
    with closing(target.connect()) as connection, connection.cursor() as cursor, leases(target, cursor):
        _guard(target, cursor)
        found = catalogue(cursor)
        connection.autocommit = False
        for (schema, table), personal in found.personal.items():
            held = " or ".join(f'"{column}" is not null' for column in personal)
            old = (
                f'"{schema}"."{table}" where _run_seq in (select run_seq from ops.commits'
                f" where committed_at < {target.clock} - interval '{int(days)} days') and ({held})"
            )
            with connection:
                cursor.execute(f"select count(*) from {old}")
                count = cursor.fetchone()[0]
                if count and apply:
                    blank = ", ".join(f'"{column}" = null' for column in personal)
                    cursor.execute("update " + old.replace(" where ", f" set {blank} where ", 1))
                    said = f"older than {days} days: {count} rows"
                    note(cursor, "retention", said, place=f"{schema}.{table}", clock=target.clock)
            if count:
                said = "blanked" if apply else "would be blanked"
                say(f"{schema}.{table}: {count:,} rows older than {days} days {said}")
    if store:
        _expire(store, target, days, apply=apply, say=say)


def _expire(store: Store, target: Target, days: int, *, apply: bool, say: Callable[[str], None]) -> None:
    """Remove what the archive has read longer ago than ``days``, or only count it."""

    def note_first(source: str, gone: Expired) -> None:
        said = f"older than {days} days: {gone}"
        with closing(target.connect()) as connection, connection.cursor() as cursor:
            note(cursor, "retention", said, place=f"archive of {source}", clock=target.clock)

    before = Clock.from_environment().now() - timedelta(days=days)
    for source, gone in expire(store, target, before, apply=apply, note=note_first):
        place = f"archive of {source}"
        say(f"{place}: {gone} older than {days} days {'removed' if apply else 'would be removed'}")
        if gone.kept:
            say(f"{place}: {gone.kept} packages as old stay: {gone.why}")


def _note(target: Target, action: str, reason: str, pseudonym: str | None) -> None:
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        _guard(target, cursor)
        note(cursor, action, reason, pseudonym=pseudonym, clock=target.clock)


def _guard(target: Target, cursor: Any) -> None:
    """See to it that the audit is guarded, where a warehouse can do that."""
    if target.kind == "postgres":
        prepare(cursor)


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
    for source, count in sorted(done.archive.items()):
        print(f"archive of {source}: {count:,} objects written anew")
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
    retention(target, args.older_than, apply=args.apply, archive=args.archive)
    return command.OK


_COMMANDS = {
    "reveal": _reveal,
    "export": _export,
    "erase": _erase,
    "scan": _scan,
    "rotate": _rotate,
    "retention": _retention,
}
