"""One person in the warehouse: which rows are theirs, all of them in a file, all of them without the person.

A row is somebody's if it names them (an e-mail address, telephone number or user id), or if it names nobody
and comes from a device of theirs. What stands in such a row beside it is theirs, too, and leads to further
rows: an address to a user id, that to devices. Devices lead no further, and names and network addresses lead
nowhere, because strangers share them.
"""

# ruff: noqa: S608  (what is put into statements are names of the catalogue; values go beside them)

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from loaders._core import places
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.errors import UsageError
from loaders._core.lease import Lease
from loaders._core.privacy import keys as privacy_keys
from loaders._core.privacy.books import copy_in, personal_tables
from loaders._core.privacy.values import (
    IDENTITY,
    LINKING,
    SUFFIX,
    Personal,
    Ring,
    normalised,
    pseudonym_column,
    pseudonym_columns,
    tokens,
)
from loaders._core.warehouse import Target

AT_MOST = 50
ERASED = "[erased]"
# Shorter ones stand in texts that have nothing to do with anybody: 12345678 is no longer chance.
DISTINCTIVE = 8
Tables = Mapping[tuple[str, str], Mapping[str, Personal]]


@dataclass
class Person:
    """What is known of one person: pseudonyms of the linking classes, and the values they stand for."""

    pseudonyms: set[str] = field(default_factory=set)
    values: dict[Personal, set[str]] = field(default_factory=dict)

    def spellings(self) -> set[str]:
        """How the values that could not be anything else may stand in texts."""
        found: set[str] = set()
        for kind, values in self.values.items():
            for value in values:
                if len(value) >= DISTINCTIVE:
                    found |= {value, normalised(kind, value), json.dumps(value)[1:-1]}
                    found |= {quote(value, safe=""), quote(value, safe="@")}
        return {each for each in found if len(each) >= DISTINCTIVE}


@dataclass
class Erasure:
    """What an erasure did: rows blanked, texts and files cleaned, and where something is left."""

    rows: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    pseudonyms: int = 0


def find(cursor: Any, ring: Ring, start: Mapping[Personal, str], tables: Tables) -> Person:
    """Everything that is one person's, from one or more of their values.

    Raises:
        UsageError: more than ``AT_MOST`` pseudonyms belong together, which is hardly one person: a value that
            stands for nobody (``unknown@example.com``) would take many persons with it.
    """
    known = {key.pseudonym(kind, value) for kind, value in start.items() for key in ring.keys.values()}
    person = Person({text for text in known if text})
    if not person.pseudonyms:
        raise UsageError(
            "there is nothing in this value: give an e-mail address, telephone number or user id"
        )
    size = 0
    while size < len(person.pseudonyms):
        size = len(person.pseudonyms)
        for (schema, table), personal in tables.items():
            linking = [pseudonym_column(c) for c, kind in personal.items() if kind in LINKING]
            if not linking:
                continue
            cursor.execute(
                f'select distinct unnest(array[{_listed(linking)}]) from "{schema}"."{table}"'
                f" where {_theirs(personal)}",
                {"them": list(person.pseudonyms)},
            )
            person.pseudonyms |= {row[0] for row in cursor.fetchall() if row[0]}
        if len(person.pseudonyms) > AT_MOST:
            raise UsageError(
                f"{len(person.pseudonyms)} identities belong together by values they share, which is hardly"
                " one person: one of the values stands for nobody in particular. Start from another value of"
                f" that person; {AT_MOST} are taken at most"
            )
    for kind, value in start.items():
        person.values.setdefault(kind, set()).add(value)
    for (schema, table), personal in tables.items():
        for column, kind in personal.items():
            if kind is not Personal.DOCUMENT and _links(personal):
                cursor.execute(
                    f'select distinct "{column}"::text from "{schema}"."{table}"'
                    f' where "{column}" is not null and {_theirs(personal)}',
                    {"them": list(person.pseudonyms)},
                )
                values = {ring.revealed(kind, row[0]) for row in cursor.fetchall()}
                person.values.setdefault(kind, set()).update(values)
    return person


def export(target: Target, start: Mapping[Personal, str], path: Path) -> int:
    """All rows of a person, unsealed, as JSON lines in a new file that only its owner may read; their number.

    Raises:
        UsageError: the file is there already, or ``find`` refuses.
    """
    ring = privacy_keys.ring(target)
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        tables = personal_tables(cursor)
        person = find(cursor, ring, start, tables)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise UsageError(f"{path} is there already; name a new file") from None
        rows = 0
        with os.fdopen(handle, "w") as file:
            for table, row in _rows(cursor, ring, person, tables):
                file.write(json.dumps({"table": table, "row": row}, default=str, ensure_ascii=False) + "\n")
                rows += 1
        return rows


def erase(target: Target, start: Mapping[Personal, str]) -> Erasure:
    """Take a person out of the warehouse and out of what this machine keeps; rows stay, so figures do.

    Tombstones come first, so nothing lands again; raw is last, so that a broken-off erasure can begin anew
    and still knows what to look for. May be repeated.

    Raises:
        LeaseTaken: a source is being read; the tombstones stand, the rest is to be done again.
        UsageError: as ``find``, or on Redshift.
    """
    postgres_only(target)
    ring = privacy_keys.ring(target)
    done = Erasure()
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        tables = personal_tables(cursor)
        person = find(cursor, ring, start, tables)
        done.pseudonyms = len(person.pseudonyms)
        for pseudonym in sorted(person.pseudonyms):
            cursor.execute(
                "insert into ops.tombstones (pseudonym, erased_at) select %s, current_timestamp"
                " where not exists (select 1 from ops.tombstones where pseudonym = %s)",
                [pseudonym] * 2,
            )
        with leases(target, cursor):
            # What landed between finding and tombstones.
            later = find(cursor, ring, start, tables)
            person.pseudonyms |= later.pseudonyms
            for kind, values in later.values.items():
                person.values.setdefault(kind, set()).update(values)
            _spare_shared(cursor, ring, person, tables)
            done.files = _clean_files(target, person)
            connection.autocommit = False
            with connection:
                done.rows = _blank_rows(cursor, person, tables)
                _remember_patterns(cursor, person)
                done.texts = _clean_texts(cursor, person, ring, tables)
            connection.autocommit = True
            done.left = _leftovers(cursor, person, tables)
            for where in {*done.rows, *(text.rpartition(".")[0] for text in done.texts)}:
                schema, _, table = where.partition(".")
                cursor.execute(f'vacuum "{schema}"."{table}"')
    return done


@contextmanager
def leases(target: Target, cursor: Any) -> Iterator[None]:
    """No source is read while this lasts.

    Raises:
        LeaseTaken: one is.
    """
    cursor.execute("select distinct pipeline from ops.lease order by 1")
    with ExitStack() as held:
        for (pipeline,) in cursor.fetchall():
            held.enter_context(Lease(target, pipeline))
        yield


def postgres_only(target: Target) -> None:
    """Refuse where the statements were never tried.

    Raises:
        UsageError: the warehouse is no Postgres.
    """
    if target.kind != "postgres":
        raise UsageError(
            "this is written for Postgres and was never tried on Redshift, so it does nothing there"
        )


def _listed(columns: Iterable[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def _any_held(columns: Iterable[str]) -> str:
    return "(" + " or ".join(f'"{column}" is not null' for column in columns) + ")"


def _links(personal: Mapping[str, Personal]) -> bool:
    return any(kind in LINKING for kind in personal.values())


def _theirs(personal: Mapping[str, Personal]) -> str:
    """SQL: is a row of this table the person's whose pseudonyms are ``%(them)s``?"""
    names = [f'"{pseudonym_column(c)}"' for c, kind in personal.items() if kind in IDENTITY]
    devices = [f'"{pseudonym_column(c)}"' for c, kind in personal.items() if kind is Personal.DEVICE_ID]
    named = " or ".join(f"{name} = any(%(them)s)" for name in names) or "false"
    device = " or ".join(f"{name} = any(%(them)s)" for name in devices) or "false"
    nobody = " and ".join(f"{name} is null" for name in names) or "true"
    return f"({named} or (({device}) and {nobody}))"


def _rows(cursor: Any, ring: Ring, person: Person, tables: Tables) -> Iterator[tuple[str, dict[str, Any]]]:
    them = {"them": list(person.pseudonyms)}
    for (schema, table), personal in tables.items():
        theirs = _theirs(personal) if _links(personal) else "true"
        cursor.execute(f'select * from "{schema}"."{table}" where {theirs}', them)
        for row in _dicts(cursor):
            for column, kind in personal.items():
                if row[column] is not None:
                    row[column] = ring.revealed(kind, str(row[column]))
            if _links(personal) or any(_mentions(row[c], ring, person) for c in personal if row[c]):
                yield f"{schema}.{table}", row
    keys: dict[str, set[Any]] = {}
    star = _star(cursor)
    for (schema, table), columns in star.items():
        marked = [f'"{c}"::text = any(%(them)s)' for c in columns if "pseudonym" in c]
        if marked:
            cursor.execute(f'select * from "{schema}"."{table}" where {" or ".join(marked)}', them)
            for row in _dicts(cursor):
                own = table.removeprefix("dim_") + "_key"
                if table in ("dim_user", "dim_device") and row.get(own) is not None:
                    keys.setdefault(own, set()).add(row[own])
                yield f"{schema}.{table}", row
    for (schema, table), columns in star.items():
        followed = [] if any("pseudonym" in c for c in columns) else [c for c in columns if c in keys]
        if followed:
            where = " or ".join(f'"{c}" = any(%s)' for c in followed)
            cursor.execute(
                f'select * from "{schema}"."{table}" where {where}', [list(keys[c]) for c in followed]
            )
            for row in _dicts(cursor):
                yield f"{schema}.{table}", row


def _star(cursor: Any) -> dict[tuple[str, str], list[str]]:
    """The tables of the marts, and their columns."""
    cursor.execute(
        "select c.table_schema, c.table_name, array_agg(c.column_name::text)"
        " from information_schema.columns c"
        " join information_schema.tables t using (table_schema, table_name)"
        " where t.table_type = 'BASE TABLE' and c.table_schema like '%marts' group by 1, 2 order by 1, 2"
    )
    return {(schema, table): columns for schema, table, columns in cursor.fetchall()}


def _dicts(cursor: Any) -> list[dict[str, Any]]:
    names = [each.name for each in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _mentions(value: Any, ring: Ring, person: Person) -> bool:
    return any(
        key.pseudonym(kind, token) in person.pseudonyms
        for token in tokens(str(value))
        for kind in LINKING
        for key in ring.keys.values()
    )


def _spare_shared(cursor: Any, ring: Ring, person: Person, tables: Tables) -> None:
    """Forget of the person's values those that other people's rows bear as well: they are theirs, too."""
    for kind in (Personal.NAME, Personal.IP, Personal.DEVICE_ID):
        for value in list(person.values.get(kind, ())):
            pseudonyms = [key.pseudonym(kind, value) for key in ring.keys.values()]
            for (schema, table), personal in tables.items():
                columns = [pseudonym_column(c) for c, each in personal.items() if each is kind]
                if not columns:
                    continue
                cursor.execute(
                    f'select 1 from "{schema}"."{table}" where {_theirs(personal)} is not true and ('
                    + " or ".join(f'"{c}" = any(%(such)s)' for c in columns)
                    + ") limit 1",
                    {"them": list(person.pseudonyms), "such": pseudonyms},
                )
                if cursor.fetchone():
                    person.values[kind].discard(value)


def _remember_patterns(cursor: Any, person: Person) -> None:
    """A temporary table with one regular expression; statements are seen in the server's views."""
    spellings = sorted(person.spellings(), key=len, reverse=True)
    any_of = "|".join(re.sub(r"([^\w\s@])", r"\\\1", each) for each in spellings) or "(?!x)x"
    pattern = f"(?<![[:alnum:]])({any_of})(?![[:alnum:]])"
    cursor.execute("drop table if exists privacy_pattern")
    copy_in(cursor, "privacy_pattern", "pattern text", [[pattern]])


_PATTERN = "(select pattern from privacy_pattern)"


def _mentioning(cursor: Any) -> list[tuple[str, str, str, str, int]]:
    """Every text column of the warehouse that holds the pattern: schema, table, column, type, and how often.

    One reading of each table; columns of pseudonyms are left out.
    """
    cursor.execute(
        "select c.table_schema, c.table_name, array_agg(array[c.column_name::text, c.udt_name::text])"
        " from information_schema.columns c"
        " join information_schema.tables t using (table_schema, table_name)"
        " where t.table_type = 'BASE TABLE' and c.table_schema not like 'pg\\_%'"
        " and c.table_schema <> 'information_schema'"
        " and (c.table_schema, c.table_name) <> ('ops', 'tombstones')"
        " and c.data_type in ('text', 'character varying', 'json', 'jsonb') group by 1, 2 order by 1, 2"
    )
    found = []
    for schema, table, columns in cursor.fetchall():
        searched = [(column, kind) for column, kind in columns if not column.endswith(SUFFIX)]
        if not searched:
            continue
        counts = [f'count(*) filter (where "{column}"::text ~* {_PATTERN})' for column, _ in searched]
        cursor.execute(f'select {", ".join(counts)} from "{schema}"."{table}"')
        for (column, kind), count in zip(searched, cursor.fetchone(), strict=True):
            if count:
                found.append((schema, table, column, kind, count))
    return found


def _clean_texts(cursor: Any, person: Person, ring: Ring, tables: Tables) -> dict[str, int]:
    """Replace the person's values in any text of the warehouse, and drop documents that hold one."""
    cleaned: dict[str, int] = {}
    for schema, table, column, kind, count in _mentioning(cursor):
        audit = (schema, table) == ("ops", "privacy_audit")
        if audit:  # Whoever wrote a value into a reason: it may not stay.
            cursor.execute("alter table ops.privacy_audit disable trigger user")
        cursor.execute(
            f'update "{schema}"."{table}" set "{column}" ='
            f" regexp_replace(\"{column}\"::text, {_PATTERN}, '{ERASED}', 'gi')::{kind}"
            f' where "{column}"::text ~* {_PATTERN}'
        )
        if audit:
            cursor.execute("alter table ops.privacy_audit enable trigger user")
        cleaned[f"{schema}.{table}.{column}"] = count
    for (schema, table), personal in tables.items():
        for column in (c for c, kind in personal.items() if kind is Personal.DOCUMENT):
            cursor.execute(
                f'select ctid::text, "{column}" from "{schema}"."{table}" where "{column}" is not null'
                + ("" if table == "quarantine" else f" and \"{column}\"::text like 'sealed:%'")
            )
            telling = [
                place
                for place, text in cursor.fetchall()
                if _mentions(ring.revealed(Personal.DOCUMENT, str(text)), ring, person)
            ]
            if telling:
                cursor.execute(
                    f'update "{schema}"."{table}" set "{column}" = null where ctid = any(%s::tid[])',
                    [telling],
                )
                name = f"{schema}.{table}.{column}"
                cleaned[name] = cleaned.get(name, 0) + cursor.rowcount
    return cleaned


def _blank_rows(cursor: Any, person: Person, tables: Tables) -> dict[str, int]:
    """Null the personal columns of the person's rows, and the pseudonyms that link nothing."""
    blanked: dict[str, int] = {}
    for (schema, table), personal in tables.items():
        if not _links(personal):
            continue
        columns = [*personal]
        columns += [p for c, p in pseudonym_columns(personal).items() if personal[c] not in LINKING]
        cursor.execute(
            f'update "{schema}"."{table}" set '
            + ", ".join(f'"{c}" = null' for c in columns)
            + f" where {_theirs(personal)} and {_any_held(columns)}",
            {"them": list(person.pseudonyms)},
        )
        if cursor.rowcount:
            blanked[f"{schema}.{table}"] = cursor.rowcount
    return blanked


def _leftovers(cursor: Any, person: Person, tables: Tables) -> list[str]:
    """Where something of the person still stands, with how many rows: the proof that nothing does."""
    left = [
        f"{schema}.{table}.{column}: {count:,}" for schema, table, column, _, count in _mentioning(cursor)
    ]
    for (schema, table), personal in tables.items():
        if _links(personal):
            cursor.execute(
                f'select count(*) from "{schema}"."{table}" where {_theirs(personal)}'
                f" and {_any_held(personal)}",
                {"them": list(person.pseudonyms)},
            )
            if count := cursor.fetchone()[0]:
                left.append(f"{schema}.{table}: {count:,} rows with personal values")
    return left


def _clean_files(target: Target, person: Person) -> list[str]:
    """Remove pending packages, and the person's values from every other file this machine keeps."""
    state = places.state()
    for name in ("dlt", "dlt_ahead", "spool"):
        shutil.rmtree(state / name, ignore_errors=True)
    forms = [each.encode() for each in person.spellings()]
    found: list[str] = []
    if not forms:
        return found
    any_of = b"|".join(map(re.escape, sorted(forms, key=len, reverse=True)))
    pattern = re.compile(b"(?i)(?<![A-Za-z0-9])(?:" + any_of + b")(?![A-Za-z0-9])")
    warehouse = EmbeddedWarehouse()
    project = places.home() / "dbt_project"
    folders = [state, project / "target", project / "logs", places.home() / "logs"]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    files = [file for file in files if not file.is_relative_to(warehouse.folder)]
    for file in [*files, *([warehouse.data / "log"] if target.embedded else [])]:
        with suppress(OSError):
            held = file.read_bytes()
            if pattern.search(held):
                found.append(str(file))
                # In place: a server or another process may have it open.
                file.write_bytes(pattern.sub(ERASED.encode(), held))
    return found
