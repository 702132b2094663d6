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
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from loaders._core import places
from loaders._core.archive.configured import store_of
from loaders._core.archive.erasing import Eraser, bury
from loaders._core.archive.store import Store
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.errors import UsageError
from loaders._core.lease import Lease
from loaders._core.ops import VALUE
from loaders._core.privacy import keys as privacy_keys
from loaders._core.privacy import texts
from loaders._core.privacy.books import Catalogue, as_text, catalogue, copy_in, portions, rows_of
from loaders._core.privacy.values import (
    IDENTITY,
    LINKING,
    SEALED,
    Personal,
    Ring,
    is_sealed,
    normalised,
    pseudonym_column,
    pseudonym_columns,
    tokens,
    unpacked,
)
from loaders._core.warehouse import Target

AT_MOST = 50
# Shorter ones stand in texts that have nothing to do with anybody: 12345678 is no longer chance.
DISTINCTIVE = 8


@dataclass
class Person:
    """What is known of one person: pseudonyms of the linking classes, and the values they stand for."""

    pseudonyms: set[str] = field(default_factory=set)
    values: dict[Personal, set[str]] = field(default_factory=dict)

    def spellings(self) -> set[str]:
        """How the values that could not be anything else may stand in texts."""
        return {
            spelling
            for kind, values in self.values.items()
            for value in values
            for spelling in spelled(kind, value)
        }


def spelled(kind: Personal, value: str) -> set[str]:
    """How a value may stand in texts; none of one that could be anything else."""
    if len(value) < DISTINCTIVE:
        return set()
    forms = {value, normalised(kind, value), json.dumps(value)[1:-1]}
    forms.add(json.dumps(value, ensure_ascii=False)[1:-1])
    forms |= {quote(value, safe=""), quote(value, safe="@")}
    return {each for each in forms if len(each) >= DISTINCTIVE}


@dataclass
class Erasure:
    """What an erasure did: rows blanked, texts and files cleaned, objects of the archive by source written
    anew, and where something is left.
    """

    rows: dict[str, int] = field(default_factory=dict)
    texts: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    archive: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    pseudonyms: int = 0


def find(cursor: Any, ring: Ring, start: Mapping[Personal, str], found: Catalogue) -> Person:
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
        for (schema, table), personal in found.personal.items():
            linking = [pseudonym_column(c) for c, kind in personal.items() if kind in LINKING]
            if not linking:
                continue
            cursor.execute(
                f'select distinct {_listed(linking)} from "{schema}"."{table}" where {_theirs(personal)}',
                {"them": tuple(person.pseudonyms)},
            )
            person.pseudonyms |= {each for row in cursor.fetchall() for each in row if each}
        if len(person.pseudonyms) > AT_MOST:
            raise UsageError(
                f"{len(person.pseudonyms)} identities belong together by values they share, which is hardly"
                " one person: one of the values stands for nobody in particular. Start from another value of"
                f" that person; {AT_MOST} are taken at most"
            )
    for kind, value in start.items():
        person.values.setdefault(kind, set()).add(value)
    for (schema, table), personal in found.personal.items():
        for column, kind in personal.items():
            if kind is not Personal.DOCUMENT and _links(personal):
                cursor.execute(
                    f'select distinct {found.text((schema, table), column)} from "{schema}"."{table}"'
                    f' where "{column}" is not null and {_theirs(personal)}',
                    {"them": tuple(person.pseudonyms)},
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
        found = catalogue(cursor)
        person = find(cursor, ring, start, found)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise UsageError(f"{path} is there already; name a new file") from None
        rows = 0
        with os.fdopen(handle, "w") as file:
            for table, row in _rows(cursor, ring, person, found):
                file.write(json.dumps({"table": table, "row": row}, default=str, ensure_ascii=False) + "\n")
                rows += 1
        return rows


def erase(target: Target, start: Mapping[Personal, str]) -> Erasure:
    """Take a person out of the warehouse and out of what this machine keeps; rows stay, so figures do.

    Tombstones come first, so nothing lands again; raw is last, so that a broken-off erasure can begin anew
    and still knows what to look for. May be repeated.

    Raises:
        LeaseTaken: a source is being read; the tombstones stand, the rest is to be done again.
        UsageError: as ``find``.
        ArchiveError: the archive can't be reached; the same.
    """
    ring = privacy_keys.ring(target)
    store = store_of(target)
    done = Erasure()
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        person = find(cursor, ring, start, catalogue(cursor))
        done.pseudonyms = len(person.pseudonyms)
        for pseudonym in sorted(person.pseudonyms):
            cursor.execute(
                f"insert into ops.tombstones (pseudonym, erased_at) select %s, {target.clock}"
                " where not exists (select 1 from ops.tombstones where pseudonym = %s)",
                [pseudonym] * 2,
            )
        if store:
            bury(store, person.pseudonyms)
        with leases(target, cursor, store):
            # What landed between finding and tombstones.
            found = catalogue(cursor)
            later = find(cursor, ring, start, found)
            person.pseudonyms |= later.pseudonyms
            for kind, values in later.values.items():
                person.values.setdefault(kind, set()).update(values)
            _spare_shared(cursor, ring, person, found)
            done.files = _clean_files(target, person)
            if store:
                eraser = Eraser(
                    ring, person.values, spelled, pseudonyms=person.pseudonyms, personal=found.personal
                )
                bury(store, person.pseudonyms)
                eraser.erase(store, done.archive.__setitem__)
            search = texts.search(target, cursor, found)
            connection.autocommit = False
            with connection:
                done.rows = _blank_rows(cursor, person, found)
                search.remember(person.spellings())
                done.texts = search.clean()
                for where, count in _drop_documents(cursor, target, ring, person, found).items():
                    done.texts[where] = done.texts.get(where, 0) + count
            with connection:
                done.left = [f"{where}: {count:,}" for where, count in search.mentions().items()]
                done.left += _left_in_rows(cursor, person, found)
            connection.autocommit = True
            for where in {*done.rows, *(text.rpartition(".")[0] for text in done.texts)}:
                schema, _, table = where.partition(".")
                how = "vacuum" if target.kind == "postgres" else "vacuum delete only"
                cursor.execute(f'{how} "{schema}"."{table}"')
    return done


@contextmanager
def leases(target: Target, cursor: Any, store: Store | None = None) -> Iterator[None]:
    """No source is read while this lasts, nor made again from the archive.

    Raises:
        LeaseTaken: one is.
    """
    cursor.execute("select distinct pipeline from ops.lease")
    pipelines = {pipeline for (pipeline,) in cursor.fetchall()}
    with ExitStack() as held:
        for pipeline in sorted(pipelines.union(store.sources() if store else ())):
            held.enter_context(Lease(target, pipeline))
        yield


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
    named = " or ".join(f"{name} in %(them)s" for name in names) or "false"
    device = " or ".join(f"{name} in %(them)s" for name in devices) or "false"
    nobody = " and ".join(f"{name} is null" for name in names) or "true"
    return f"({named} or (({device}) and {nobody}))"


def _rows(cursor: Any, ring: Ring, person: Person, found: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from _rows_of_raw(cursor, ring, person, found)
    yield from _rows_of_marts(cursor, person, found)


def _rows_of_raw(
    cursor: Any, ring: Ring, person: Person, found: Catalogue
) -> Iterator[tuple[str, dict[str, Any]]]:
    them = {"them": tuple(person.pseudonyms)}
    without: set[tuple[str, str, str]] = set()  # which of their rows may have left a value in quarantine
    for (schema, table), personal in sorted(
        found.personal.items(), key=lambda each: each[0][1] == "quarantine"
    ):
        theirs = _theirs(personal) if _links(personal) else "true"
        cursor.execute(f'select * from "{schema}"."{table}" where {theirs}', them)
        for row in _dicts(cursor):
            for column, kind in personal.items():
                if row[column] is not None:
                    row[column] = ring.revealed(kind, str(row[column]))
            if _links(personal):
                without.add((schema, table, f"{row['_run_seq']}.{row['_row_no']}"))
                yield f"{schema}.{table}", row
            elif _is_of(row, schema, without) or any(
                _mentions(row[c], ring, person) for c in personal if row[c]
            ):
                yield f"{schema}.{table}", row


def _rows_of_marts(cursor: Any, person: Person, found: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    them = {"them": tuple(person.pseudonyms)}
    keys: dict[str, set[Any]] = {}
    star = {place: columns for place, columns in found.tables.items() if place[0].endswith("marts")}
    for (schema, table), columns in star.items():
        marked = [f"{as_text(c, kind)} in %(them)s" for c, kind in columns.items() if "pseudonym" in c]
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
            where = " or ".join(f'"{c}" in %s' for c in followed)
            cursor.execute(
                f'select * from "{schema}"."{table}" where {where}', [tuple(keys[c]) for c in followed]
            )
            for row in _dicts(cursor):
                yield f"{schema}.{table}", row


def _is_of(row: Mapping[str, Any], schema: str, rows: Collection[tuple[str, str, str]]) -> bool:
    """Whether a row of a quarantine is a value of one of these rows."""
    key = str(row.get("source_key") or "")
    place = ".".join(key.removeprefix(VALUE).split(".")[:2])
    return key.startswith(VALUE) and (schema, row.get("resource"), place) in rows


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


def _spare_shared(cursor: Any, ring: Ring, person: Person, found: Catalogue) -> None:
    """Forget of the person's values those that other people's rows bear as well: they are theirs, too."""
    for kind in (Personal.NAME, Personal.IP, Personal.DEVICE_ID):
        for value in list(person.values.get(kind, ())):
            pseudonyms = tuple(key.pseudonym(kind, value) for key in ring.keys.values())
            for (schema, table), personal in found.personal.items():
                columns = [pseudonym_column(c) for c, each in personal.items() if each is kind]
                if not columns:
                    continue
                cursor.execute(
                    f'select 1 from "{schema}"."{table}" where {_theirs(personal)} is not true and ('
                    + " or ".join(f'"{c}" in %(such)s' for c in columns)
                    + ") limit 1",
                    {"them": tuple(person.pseudonyms), "such": pseudonyms},
                )
                if cursor.fetchone():
                    person.values[kind].discard(value)


def _drop_documents(
    cursor: Any, target: Target, ring: Ring, person: Person, found: Catalogue
) -> dict[str, int]:
    """Take out documents that name the person where no text tells the server: sealed ones, and base64."""
    dropped: dict[str, int] = {}
    for place, personal in found.personal.items():
        for column in _documents(found.tables[place], personal):
            where, said = f'"{place[0]}"."{place[1]}"', found.text(place, column)
            also = found.without_bytes(place, column)
            if made := pseudonym_columns(personal).get(column):
                also += f', "{made}" = null'
            for some in portions(_telling(cursor, ring, person, found, place, column=column)):
                copy_in(cursor, target, "privacy_telling", ("privacy_value",), [[text] for text in set(some)])
                cursor.execute(
                    f'update {where} set "{column}" = null{also} from privacy_telling'
                    f" where {said} = privacy_value"
                )
                name = ".".join((*place, column))
                dropped[name] = dropped.get(name, 0) + cursor.rowcount
    return dropped


def _telling(
    cursor: Any, ring: Ring, person: Person, found: Catalogue, place: tuple[str, str], *, column: str
) -> Iterator[str]:
    """The documents of a column that name the person, as they stand there; one of many rows comes often."""
    spellings = {form for spelling in person.spellings() for form in texts.cases(spelling)}
    kind = found.personal.get(place, {}).get(column, Personal.DOCUMENT)
    is_aside = place[1] == "quarantine"
    said = found.text(place, column)
    # What was long stands there in parts, and a value may be at their seam.
    parted = is_aside and column == "raw_bytes" and "source_key" in found.tables[place]
    key = "_run_seq, source_key, _row_no" if parted else "null, null, null"
    rows = rows_of(
        cursor,
        f'select {said}, {key} from "{place[0]}"."{place[1]}" where "{column}" is not null'
        + ("" if is_aside else f" and ({said} like '{SEALED}%' or {said} ~ '{_BASE64}')")
        + ("" if kind is Personal.DOCUMENT else f""" and "{column}_encoding" = 'base64'""")
        + (" order by _run_seq, source_key, _row_no" if parted else ""),
    )
    for _, parts in groupby(rows, lambda row: row[1:3] if row[2] else object()):
        held = list(dict.fromkeys((row[3], row[0]) for row in parts))
        opened = "".join(ring.revealed(kind, text) for _, text in held)
        searched = is_aside or is_sealed(held[0][1])  # the others were, as far as they are text
        if _has_in_bytes(opened, spellings) or (searched and _mentions(opened, ring, person)):
            yield from (text for _, text in held)


# A text that is base64, or a string in a document of JSON, also of JSON that is a text there, where a
# backslash comes behind it; it is not spelled here, as Redshift takes one in a literal for an escape.
_BASE64 = '(^|")([A-Za-z0-9+/]{4}){2,}[A-Za-z0-9+/]{2}[A-Za-z0-9+/=]{2}($|[^A-Za-z0-9+/= ])'


def _documents(columns: Collection[str], personal: Mapping[str, Personal]) -> list[str]:
    """Columns with documents, and those that are base64 where they are no text."""
    documents = [column for column, kind in personal.items() if kind is Personal.DOCUMENT]
    return list(dict.fromkeys([*documents, *(c for c in columns if f"{c}_encoding" in columns)]))


def _has_in_bytes(text: str, spellings: Collection[bytes]) -> bool:
    """Whether what is base64 in a text has one of these, whatever stands before and behind it."""
    return any(spelling in plain.lower() for plain in unpacked(text) for spelling in spellings)


def _blank_rows(cursor: Any, person: Person, found: Catalogue) -> dict[str, int]:
    """Null the personal columns of the person's rows, and the pseudonyms that link nothing."""
    blanked: dict[str, int] = {}
    aside = {
        schema for schema, table in found.personal if table == "quarantine" and _has_values(cursor, schema)
    }
    for (schema, table), personal in found.personal.items():
        if not _links(personal):
            continue
        for column in personal if schema in aside else ():
            cursor.execute(
                f'update "{schema}".quarantine set raw_bytes = null where raw_bytes is not null'
                " and resource = %(table)s and source_key in (select %(value)s"
                " || cast(_run_seq as varchar) || '.' || cast(_row_no as varchar) || %(column)s"
                f' from "{schema}"."{table}" where {_theirs(personal)})',
                {
                    "them": tuple(person.pseudonyms),
                    "table": table,
                    "value": VALUE,
                    "column": f".{column}",
                },
            )
            if cursor.rowcount:
                where = f"{schema}.quarantine"
                blanked[where] = blanked.get(where, 0) + cursor.rowcount
        columns = [*personal]
        columns += [p for c, p in pseudonym_columns(personal).items() if personal[c] not in LINKING]
        cursor.execute(
            f'update "{schema}"."{table}" set '
            + ", ".join(f'"{c}" = null' for c in columns)
            + f" where {_theirs(personal)} and {_any_held(columns)}",
            {"them": tuple(person.pseudonyms)},
        )
        if cursor.rowcount:
            blanked[f"{schema}.{table}"] = cursor.rowcount
    return blanked


def _has_values(cursor: Any, schema: str) -> bool:
    """Whether a quarantine has single values, whose rows have landed without them."""
    cursor.execute(
        f'select 1 from "{schema}".quarantine where left(source_key, {len(VALUE)}) = %s limit 1', [VALUE]
    )
    return cursor.fetchone() is not None


def _left_in_rows(cursor: Any, person: Person, found: Catalogue) -> list[str]:
    """Which rows of the person still have personal values, and how many: the proof that none do."""
    left = []
    for (schema, table), personal in found.personal.items():
        if _links(personal):
            cursor.execute(
                f'select count(*) from "{schema}"."{table}"'
                f" where {_theirs(personal)} and {_any_held(personal)}",
                {"them": tuple(person.pseudonyms)},
            )
            if count := cursor.fetchone()[0]:
                left.append(f"{schema}.{table}: {count:,} rows with personal values")
    return left


def _clean_files(target: Target, person: Person) -> list[str]:
    """Remove pending packages, and the person's values from every other file this machine keeps."""
    state = places.state()
    for name in ("dlt", "dlt_ahead", "spool"):
        shutil.rmtree(state / name, ignore_errors=True)
    found: list[str] = []
    pattern = texts.bytes_pattern_of(person.spellings())
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
                file.write_bytes(pattern.sub(texts.ERASED.encode(), held))
    return found
