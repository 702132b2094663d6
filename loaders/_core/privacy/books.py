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

from loaders._core.errors import ConfigurationError
from loaders._core.privacy import keys as privacy_keys
from loaders._core.privacy.values import (
    IDENTITY,
    LINKING,
    Personal,
    Protection,
    Ring,
    pseudonym_column,
)
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
        if target.kind == "postgres":
            cursor.execute("select to_regprocedure('ops.privacy_reveal(text, text)') is null")
            if cursor.fetchone()[0]:
                prepare(cursor)
        note_key(cursor, ring, target.clock)
        declare(cursor, pipeline, personal)
        return Protection(ring, sealing=privacy_keys.sealing(), tombstones=tombstones(cursor))


def prepare(cursor: Any) -> None:
    """Make what guards the audit: ``ops.privacy_reveal``, the one way to a value that an auditor has.

    It runs with its owner's rights, so that auditors need none on raw, and writes who asks before it answers.
    Nothing is made by a user who may not, or on Redshift.
    """
    cursor.execute("select has_schema_privilege('ops', 'create')")
    if cursor.fetchone()[0]:
        cursor.execute(_GUARDS)


_GUARDS = """
create or replace function ops.privacy_keep() returns trigger language plpgsql as $$
begin
    raise exception 'ops.privacy_audit is only ever added to';
end $$;
create or replace trigger privacy_keep before update or delete or truncate on ops.privacy_audit
    for each statement execute function ops.privacy_keep();
create or replace function ops.privacy_reveal(wanted text, why text)
    returns table (place text, class text, value text)
    language plpgsql security definer set search_path = pg_catalog as $$
declare
    each record;
begin
    if length(trim(coalesce(why, ''))) < 5 then
        raise exception 'say the reason';
    end if;
    for each in
        select p.*, 'raw_' || p.pipeline as schema_name from ops.personal_columns p
        join information_schema.columns c on c.table_schema = 'raw_' || p.pipeline
            and c.table_name = p.resource and c.column_name = p.column_name || '__pseudonym'
        order by p.pipeline, p.resource, p.column_name
    loop
        execute format('select %L, %L, %I::text from %I.%I where %I = $1 and %I is not null limit 1',
            format('%s.%s.%s', each.schema_name, each.resource, each.column_name), each.class,
            each.column_name, each.schema_name, each.resource, each.column_name || '__pseudonym',
            each.column_name)
            into place, class, value using wanted;
        if value is not null then
            insert into ops.privacy_audit (at, who, action, reason, pseudonym, column_name)
                values (clock_timestamp(), session_user, 'reveal', why, wanted, place);
            return next;
            return;
        end if;
    end loop;
    insert into ops.privacy_audit (at, who, action, reason, pseudonym)
        values (clock_timestamp(), session_user, 'reveal', why, wanted);
end $$;
revoke all on function ops.privacy_reveal(text, text) from public;
"""


def note(cursor: Any, action: str, reason: str, *, pseudonym: str | None = None, place: str = "") -> None:
    """A line of the audit, on Postgres."""
    cursor.execute(
        "insert into ops.privacy_audit (at, who, action, reason, pseudonym, column_name)"
        " values (clock_timestamp(), session_user, %s, %s, %s, %s)",
        [action, reason, pseudonym, place or None],
    )


def note_key(cursor: Any, ring: Ring, clock: str = "now()") -> None:
    """Note the key in use; ``clock`` is SQL for the present instant.

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
        f" select %s, {clock} where not exists (select 1 from ops.privacy_keys where key_id = %s)",
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
    for schema, table, column, kind in [*rows, *cursor.fetchall()]:
        found.setdefault((schema, table), {})[column] = Personal(kind)
    return found


Treatment = tuple[str | None, str | None, bool]
"""Of a value: its pseudonym, what lands in its place, and whether its person is erased."""


def remap(
    cursor: Any,
    table: str,
    personal: Mapping[str, Personal],
    treat: Callable[[str, Personal, list[str]], Iterable[Treatment]],
    where: str,
) -> int:
    """Replace values and pseudonyms of rows of a raw table, in one statement; the number of rows.

    Args:
        treat: (column, class, values) -> the treatment of each of these values, in order.
        where: SQL that says which rows. A pseudonym without a value stays as it is.
    """
    joins: list[str] = []
    gone, hinted, named = ["false"], ["false"], ["false"]
    for number, (column, kind) in enumerate(personal.items()):
        cursor.execute(
            f'select distinct "{column}"::text from {table} where {where} and "{column}" is not null'
        )
        values = [row[0] for row in cursor.fetchall()]
        name = f"privacy_map_{number}"
        rows = [
            (value, pseudonym, landed, str(erased))
            for value, (pseudonym, landed, erased) in zip(values, treat(column, kind, values), strict=True)
        ]
        copy_in(cursor, name, "original text, pseudonym text, landed text, erased boolean", rows)
        joins.append(f'left join {name} on {name}.original = rows."{column}"::text')
        (gone if kind in IDENTITY else hinted).append(f"coalesce({name}.erased, false)")
        if kind in IDENTITY:
            named.append(f"{name}.pseudonym is not null")
    is_gone = f"({' or '.join(gone)} or (({' or '.join(hinted)}) and not ({' or '.join(named)})))"
    sets: list[str] = []
    types = _types(cursor, table)
    for number, (column, kind) in enumerate(personal.items()):
        name = f"privacy_map_{number}"
        blank = f"{is_gone} or coalesce({name}.erased, false)" if kind is Personal.DOCUMENT else is_gone
        sets.append(f'"{column}" = case when {blank} then null else {name}.landed::{types[column]} end')
        if kind is not Personal.DOCUMENT:
            pseudonym = f'coalesce({name}.pseudonym, rows."{pseudonym_column(column)}")'
            kept = pseudonym if kind in LINKING else f"case when {is_gone} then null else {pseudonym} end"
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


def texts(cursor: Any, table: str) -> set[str]:
    """The columns of a table that can hold ciphertext."""
    return {c for c, kind in _types(cursor, table).items() if kind in ("text", "character varying")}


def _types(cursor: Any, table: str) -> dict[str, str]:
    cursor.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        [table],
    )
    return dict(cursor.fetchall())


def copy_in(cursor: Any, name: str, columns: str, rows: Iterable[Sequence[str | None]]) -> None:
    """A temporary table with these rows, sent as data and never as part of a statement."""
    cursor.execute(f"create temporary table {name} ({columns})")
    text = io.StringIO("".join("\t".join(map(_copied, row)) + "\n" for row in rows))
    cursor.copy_expert(f"copy {name} from stdin", text)
    cursor.execute(f"analyze {name}")


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _copied(value: str | None) -> str:
    return "\\N" if value is None else value.translate(_ESCAPES)
