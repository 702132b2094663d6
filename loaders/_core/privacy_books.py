"""What the warehouse knows of personal data: the columns, the keys in use, the erased persons.

All of it stands in ``ops`` (``Books.prepare`` makes the tables): ``personal_columns`` is written from the
loaders' declarations when they land, so that erasing finds a column also when its source is long gone;
``privacy_keys`` says which keys made the pseudonyms; ``tombstones`` are the pseudonyms of erased persons.
"""

# ruff: noqa: S608  (what is put into statements are names of ours or of the catalogue; values go beside them)

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from typing import Any

from loaders._core import privacy_keys
from loaders._core.errors import ConfigurationError
from loaders._core.privacy import LINKING, Personal, Protection, Ring, pseudonym_column, pseudonym_columns
from loaders._core.warehouse import Target


def protection_of(
    target: Target, pipeline: str, personal: Mapping[str, Mapping[str, Personal]]
) -> Protection:
    """What protects the rows of a run; to be asked for by the holder of the lease, after ``Books.prepare``.

    Args:
        personal: by resource the personal columns and their classes.

    Raises:
        ConfigurationError: there are personal columns and no key, or another key than the warehouse was
            filled with.
    """
    personal = {resource: columns for resource, columns in personal.items() if columns}
    if not personal:
        return Protection()
    ring = privacy_keys.ring(target)
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        note_key(cursor, ring)
        declare(cursor, pipeline, personal)
        return Protection(ring, sealing=privacy_keys.sealing(), tombstones=tombstones(cursor))


def note_key(cursor: Any, ring: Ring) -> None:
    """Note the key in use.

    Raises:
        ConfigurationError: the warehouse has pseudonyms of another one: new ones would not equal them.
    """
    cursor.execute("select key_id, retired_at is not null from ops.privacy_keys")
    known = dict(cursor.fetchall())
    if known.get(ring.current.id) is False:
        return
    if known:
        used = ", ".join(sorted(key_id for key_id, retired in known.items() if not retired))
        raise ConfigurationError(
            f"the pseudonyms of this warehouse were made with the key {used}, and [privacy] has the key"
            f" {ring.current.id}: equal values would no longer be equal. Put the former key back or, if it"
            " shall be replaced, put it into [privacy] previous_keys and run `dlt privacy rotate`"
        )
    cursor.execute(
        "insert into ops.privacy_keys (key_id, first_used_at)"
        " select %s, current_timestamp where not exists (select 1 from ops.privacy_keys where key_id = %s)",
        [ring.current.id] * 2,
    )


def declare(cursor: Any, pipeline: str, personal: Mapping[str, Mapping[str, Personal]]) -> None:
    """Note which columns of a source are personal, by resource; what was noted before stays."""
    for resource, columns in personal.items():
        for column, kind in columns.items():
            cursor.execute(
                "insert into ops.personal_columns (pipeline, resource, column_name, class)"
                " select %s, %s, %s, %s where not exists (select 1 from ops.personal_columns"
                " where pipeline = %s and resource = %s and column_name = %s and class = %s)",
                [pipeline, resource, column, kind.value] * 2,
            )


def tombstones(cursor: Any) -> set[str]:
    """The pseudonyms of the erased."""
    cursor.execute("select pseudonym from ops.tombstones")
    return {row[0] for row in cursor.fetchall()}


def personal_tables(cursor: Any) -> dict[tuple[str, str], dict[str, Personal]]:
    """The raw tables with personal columns that exist, by (schema, table): their columns and classes.

    Of a quarantine the raw bytes are always personal: who knows what is in them.
    """
    cursor.execute(
        "select 'raw_' || p.pipeline, p.resource, p.column_name, p.class from ops.personal_columns p"
        " join information_schema.columns c on c.table_schema = 'raw_' || p.pipeline"
        " and c.table_name = p.resource and c.column_name = p.column_name order by 1, 2, c.ordinal_position"
    )
    rows = cursor.fetchall()
    cursor.execute(
        "select table_schema, table_name, column_name, 'document' from information_schema.columns"
        " where table_name = 'quarantine' and column_name in ('raw_bytes', 'source_key')"
        " and table_schema like 'raw\\_%'"
    )
    found: dict[tuple[str, str], dict[str, Personal]] = {}
    for schema, table, column, kind in [*cursor.fetchall(), *rows]:
        found.setdefault((schema, table), {})[column] = Personal(kind)
    return found


def protect_range(
    target: Target, pipeline: str, resource: str, personal: Mapping[str, Personal], run_seq: int
) -> int:
    """Treat rows that are in a raw table already, for what lands past ``ResourceSpool``; the rows treated.

    To be called before the package is committed. Values are mapped in temporary tables, each distinct one
    once; no key and no value stands in a statement.

    Args:
        personal: the table's personal columns, of any type; with sealing on they must be text.
        run_seq: the rows are those with this ``_run_seq``.
    """
    protection = protection_of(target, pipeline, {resource: personal})
    table = f'raw_{pipeline}."{resource}"'
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        for column in pseudonym_columns(personal).values():
            kind = "text" if target.kind == "postgres" else "varchar(200)"
            cursor.execute(f'alter table {table} add column if not exists "{column}" {kind}')
        connection.autocommit = False
        with connection:
            return remap(cursor, table, personal, protection.treatments, f"_run_seq = {int(run_seq)}")


Treatment = tuple[str | None, str | None, bool]
"""Of a value: its pseudonym, what lands in its place, and whether its person is erased."""


def remap(
    cursor: Any,
    table: str,
    personal: Mapping[str, Personal],
    treat: Callable[[Personal, list[str]], Iterable[Treatment]],
    where: str,
) -> int:
    """Replace values and pseudonyms of rows of a raw table, in one statement; the number of rows.

    Args:
        treat: gives the treatment of each of these values, in order.
        where: SQL that says which rows. A pseudonym without a value stays as it is.
    """
    joins, sets, erased = [], [], []
    cursor.execute(
        "select column_name, data_type from information_schema.columns"
        " where table_schema || '.\"' || table_name || '\"' = %s",
        [table],
    )
    types = dict(cursor.fetchall())
    for number, (column, kind) in enumerate(personal.items()):
        cursor.execute(
            f'select distinct "{column}"::text from {table} where {where} and "{column}" is not null'
        )
        values = [row[0] for row in cursor.fetchall()]
        name = f"privacy_map_{number}"
        rows = [
            (value, pseudonym, landed, str(gone))
            for value, (pseudonym, landed, gone) in zip(values, treat(kind, values), strict=True)
        ]
        copy_in(cursor, name, "original text, pseudonym text, landed text, erased boolean", rows)
        joins.append(f'left join {name} on {name}.original = rows."{column}"::text')
        if kind in LINKING or kind is Personal.DOCUMENT:
            erased.append(f"coalesce({name}.erased, false)")
    gone = " or ".join(erased) or "false"
    for number, (column, kind) in enumerate(personal.items()):
        name = f"privacy_map_{number}"
        sets.append(f'"{column}" = case when {gone} then null else {name}.landed::{types[column]} end')
        if kind is not Personal.DOCUMENT:
            pseudonym = f'coalesce({name}.pseudonym, rows."{pseudonym_column(column)}")'
            kept = pseudonym if kind in LINKING else f"case when {gone} then null else {pseudonym} end"
            sets.append(f'"{pseudonym_column(column)}" = {kept}')
    cursor.execute(
        f"update {table} as landed set {', '.join(sets)}"
        f" from (select ctid as place, * from {table} where {where}) as rows {' '.join(joins)}"
        " where landed.ctid = rows.place"
    )
    changed = int(cursor.rowcount)
    for number in range(len(personal)):
        cursor.execute(f"drop table privacy_map_{number}")
    return changed


def copy_in(cursor: Any, name: str, columns: str, rows: Iterable[Sequence[str | None]]) -> None:
    """A temporary table with these rows, sent as data and never as part of a statement."""
    cursor.execute(f"create temporary table {name} ({columns})")
    text = io.StringIO("".join("\t".join(map(_copied, row)) + "\n" for row in rows))
    cursor.copy_expert(f"copy {name} from stdin", text)
    cursor.execute(f"analyze {name}")


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copied(value: str | None) -> str:
    return "\\N" if value is None else value.translate(_ESCAPES)
