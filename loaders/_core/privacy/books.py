"""What the warehouse knows of personal data: the columns, the keys in use, the erased persons.

All of it stands in ``ops`` (``Books.prepare`` makes the tables): ``personal_columns`` is written from the
loaders' declarations when they land, so that erasing finds a column also when its source is long gone;
``privacy_keys`` says which keys made the pseudonyms; ``tombstones`` are the pseudonyms of erased persons.
"""

# ruff: noqa: S608  (what is put into statements are names of ours or of the catalogue; values go beside them)

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from loaders._core import redshift
from loaders._core.copytext import line
from loaders._core.errors import ConfigurationError
from loaders._core.privacy import keys as privacy_keys
from loaders._core.privacy.values import (
    IDENTITY,
    LINKING,
    SEALED,
    Personal,
    Protection,
    Ring,
    bytes_of,
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


def note(
    cursor: Any,
    action: str,
    reason: str,
    *,
    pseudonym: str | None = None,
    place: str = "",
    clock: str = "clock_timestamp()",
) -> None:
    """A line of the audit; ``clock`` is SQL for the present instant."""
    cursor.execute("select session_user")
    (who,) = cursor.fetchone()
    cursor.execute(
        "insert into ops.privacy_audit (at, who, action, reason, pseudonym, column_name)"
        f" values ({clock}, %s, %s, %s, %s, %s)",
        [who, action, reason, pseudonym, place or None],
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


Tables = dict[tuple[str, str], dict[str, str]]


@dataclass(frozen=True)
class Catalogue:
    """The warehouse's tables by (schema, table), views aside.

    Attributes:
        tables: columns in order, with their types.
        personal: of raw tables the personal columns and their classes.
    """

    tables: Tables
    personal: dict[tuple[str, str], dict[str, Personal]]

    def text(self, place: tuple[str, str], column: str) -> str:
        """SQL for the text of a column of a table, as ``as_text``."""
        return as_text(column, self.tables[place][column])

    def without_bytes(self, place: tuple[str, str], column: str) -> str:
        """SQL, behind what sets a column, that takes away the bytes it was made of; empty without any."""
        return "".join(f', "{each}" = null' for each in bytes_of(column, self.personal.get(place, {})))


def catalogue(cursor: Any) -> Catalogue:
    """What tables there are."""
    tables = _tables(cursor)
    return Catalogue(tables, _personal(cursor, tables))


def _tables(cursor: Any) -> Tables:
    # Catalogues are asked alone: Redshift joins them with no table.
    cursor.execute(
        "select c.table_schema, c.table_name, c.column_name, c.data_type from information_schema.columns c"
        " join information_schema.tables t on t.table_schema = c.table_schema and t.table_name = c.table_name"
        " where t.table_type = 'BASE TABLE' order by c.table_schema, c.table_name, c.ordinal_position"
    )
    found: Tables = {}
    for schema, table, column, kind in cursor.fetchall():
        if not schema.startswith("pg_") and schema != "information_schema":
            found.setdefault((schema, table), {})[column] = kind
    return found


def as_text(column: str, kind: str) -> str:
    """SQL for a column's value as text; of Redshift's SUPER a text is itself, and the rest JSON."""
    if kind == "super":
        document = f'json_serialize("{column}")'
        return f'case when is_varchar("{column}") then cast("{column}" as varchar) else {document} end'
    return f'cast("{column}" as varchar)'


def from_text(text: str, column: str, kind: str) -> str:
    """SQL for what ``as_text`` has made a text of, given that text."""
    if kind == "super":
        return f'case when is_varchar("{column}") then cast({text} as super) else json_parse({text}) end'
    return f"cast({text} as {kind})"


def _personal(cursor: Any, tables: Tables) -> dict[tuple[str, str], dict[str, Personal]]:
    cursor.execute("select pipeline, resource, column_name, class from ops.personal_columns")
    declared = {(f"raw_{pipeline}", *place): kind for pipeline, *place, kind in cursor.fetchall()}
    found: dict[tuple[str, str], dict[str, Personal]] = {}
    for (schema, table), columns in tables.items():
        for column in columns:
            kind = declared.get((schema, table, column))
            # Of a quarantine the raw bytes always are: who knows what is in them.
            if table == "quarantine" and schema.startswith("raw_") and column in ("raw_bytes", "source_key"):
                kind = Personal.DOCUMENT
            if kind:
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
    """Replace values and pseudonyms of rows of a raw table on Postgres, in one statement; the number of rows.

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
        copy_in(cursor, None, name, ("original", "pseudonym", "landed", "erased"), rows)
        joins.append(f'left join {name} on {name}.original = rows."{column}"::text')
        (gone if kind in IDENTITY else hinted).append(f"coalesce({name}.erased = 'True', false)")
        if kind in IDENTITY:
            named.append(f"{name}.pseudonym is not null")
    is_gone = f"({' or '.join(gone)} or (({' or '.join(hinted)}) and not ({' or '.join(named)})))"
    sets: list[str] = []
    types = _types(cursor, table)
    for number, (column, kind) in enumerate(personal.items()):
        name = f"privacy_map_{number}"
        blank = (
            f"{is_gone} or coalesce({name}.erased = 'True', false)" if kind is Personal.DOCUMENT else is_gone
        )
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


def rekey(
    cursor: Any,
    target: Target,
    found: Catalogue,
    place: tuple[str, str],
    *,
    treat: Callable[[str, Personal, list[str]], Iterable[Treatment]],
    old: Mapping[str, str],
) -> int:
    """As ``remap``, a column at a time, for Redshift: nobody is erased by it. The number of rows.

    Args:
        place: schema and table.
        old: by column SQL that says which rows have a value or a pseudonym to replace.
    """
    table = f'"{place[0]}"."{place[1]}"'
    cursor.execute(f"select count(*) from {table} where {' or '.join(f'({each})' for each in old.values())}")
    count = int(cursor.fetchone()[0])
    for column, kind in found.personal[place].items() if count else ():
        said, held = found.text(place, column), found.tables[place][column]
        cursor.execute(f"select distinct {said} from {table} where {old[column]}")
        values = [row[0] for row in cursor.fetchall()]
        treated = zip(values, treat(column, kind, values), strict=True)
        rows = [(value, landed, pseudonym) for value, (pseudonym, landed, _) in treated]
        copy_in(cursor, target, "privacy_map", ("privacy_value", "privacy_landed", "privacy_made"), rows)
        sets = []
        if held in TEXTS:
            sealed = f"left(privacy_landed, {len(SEALED)}) = '{SEALED}'"
            landed = f"cast(privacy_landed as {held})"
            sets.append(f'"{column}" = case when {sealed} then {landed} else "{column}" end')
        if kind is not Personal.DOCUMENT:
            made = pseudonym_column(column)
            sets.append(f'"{made}" = coalesce(privacy_made, "{made}")')
        if sets and values:
            cursor.execute(
                f"update {table} set {', '.join(sets)} from privacy_map"
                f" where {said} = privacy_value and ({old[column]})"
            )
    return count


TEXTS = ("text", "character varying", "super")
"""Types that can hold ciphertext."""
PORTION = 1_000
"""Of documents that are held at once; of rows, which a Redshift of one node gives at once."""
T = TypeVar("T")


def rows_of(cursor: Any, statement: str) -> Iterator[Any]:
    """Rows as they are asked for, as all may be more than memory holds; within a transaction, and of one
    statement at a time.
    """
    with cursor.connection.cursor(name="privacy_rows") as rows:
        rows.itersize = PORTION
        rows.execute(statement)
        yield from rows


def portions(items: Iterable[T]) -> Iterator[list[T]]:
    """Some of the items at a time."""
    left = iter(items)
    while some := list(islice(left, PORTION)):
        yield some


def _types(cursor: Any, table: str) -> dict[str, str]:
    cursor.execute(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        " where attrelid = %s::regclass and attnum > 0 and not attisdropped",
        [table],
    )
    return dict(cursor.fetchall())


def copy_in(
    cursor: Any,
    target: Target | None,
    name: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str | None]],
) -> None:
    """A temporary table of texts with these rows, sent as data and never as part of a statement.

    Args:
        target: the warehouse, if it may be Redshift.
    """
    on_redshift = target is not None and target.kind == "redshift"
    kind = f"varchar({redshift.TEXT_BYTES})" if on_redshift else "text"
    cursor.execute(f"drop table if exists {name}")
    cursor.execute(f"create temporary table {name} ({', '.join(f'{column} {kind}' for column in columns)})")
    if target is not None and on_redshift:
        redshift.copy_rows(cursor, target, name, columns, rows)
        return
    cursor.copy_expert(f"copy {name} from stdin", io.BytesIO(b"".join(map(line, rows))))
    cursor.execute(f"analyze {name}")
