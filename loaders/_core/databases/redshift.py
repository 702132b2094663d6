"""Tables of a database into Redshift: the source's COPY text becomes JSON lines in S3, and COPY takes those.

In the same transaction as on Postgres, so rows count, and are taken away again, for the same reasons.
Redshift has no ON COMMIT, DISTINCT ON, IS DISTINCT FROM, COPY to or from the client: what they do is said
otherwise here.

Types are kept where Redshift has them; JSON is SUPER, and what Redshift has not is text
(https://docs.aws.amazon.com/redshift/latest/dg/federated-data-types.html). A value that its column can't hold
goes to the quarantine, and its row lands without it.
"""

# ruff: noqa: S608  (what is put into statements are names that we made, quoted; values go beside them)

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psycopg2
import pyarrow as pa
import xxhash

from loaders._core import redshift
from loaders._core.copytext import field_value
from loaders._core.databases.copying import (
    KEYS_AT_ONCE,
    Pipe,
    TableCopy,
    Write,
    _all_held,
    _of,
    _quoted,
    _same,
)
from loaders._core.destination import LandingError
from loaders._core.errors import AdstarError
from loaders._core.quarantine import set_aside
from loaders._core.sets import SetSum

TEXT = f"varchar({redshift.TEXT_BYTES})"
PRECISION, SCALE = 38, 37
# Of a numeric without bounds: room for twenty digits before the point, and for what a quotient has behind it.
UNBOUNDED_SCALE = 18
_KEPT = frozenset(
    (
        "smallint",
        "integer",
        "bigint",
        "real",
        "double precision",
        "boolean",
        "date",
        "timestamp without time zone",
        "timestamp with time zone",
    )
)
_DAY = r"^\d{4}-\d\d-\d\d[^B]*$"  # nothing before Christ, infinite, or of a fifth digit
# The halves of the two numbers that add up to a set's hash: SQL adds them without going beyond its integers.
_LANES = ("_lane_0", "_lane_1", "_lane_2", "_lane_3")


class RedshiftCopy(TableCopy):
    """Lands one table of one database in one run, on Redshift."""

    order = " sortkey (_account, _day, _run_seq)"

    def _held_as(self, kind: str) -> str:
        return held_as(kind)

    def _types(self, cursor: Any, table: str) -> dict[str, str]:
        schema, _, name = table.partition(".")
        cursor.execute(
            "select column_name, data_type, character_maximum_length, numeric_precision, numeric_scale"
            " from svv_columns where table_schema = %s and table_name = %s",
            [schema, name.strip('"')],
        )
        return {column: _spelled(*kind) for column, *kind in cursor.fetchall()}

    def _add(self, cursor: Any, columns: list[tuple[str, str]]) -> None:
        for name, kind in columns:
            cursor.execute(f"alter table {self._table} add column {_quoted(name)} {kind}")

    def _stage(self, cursor: Any) -> None:
        cursor.execute(f"create temp table staged (like {self._table})")
        for lane in _LANES:
            cursor.execute(f"alter table staged add column {lane} bigint")

    # -- rows -------------------------------------------------------------------------------------

    def _stream(
        self, cursor: Any, into: str, read: Callable[[Write], None], numbers: Iterator[int] | None = None
    ) -> SetSum:
        pipe = self._pipe(b"%d\t", numbers)
        staged = into == "staged"
        names = ["_run_seq", "_row_no", "_account", "_dlt_load_id", *self._raw, *self._pseudonyms]
        columns = [_quoted(name) for name in [*names, *(_LANES if staged else ())]]
        with redshift.waiting(self._books.target, f"{self._books.schema}/{self._resource.name}") as wait:

            def send(rows: Pipe) -> None:
                while block := rows.read():
                    wait.add(*self._lines(block, staged))

            pipe.through(read, send)
            self._check()
            try:
                wait.copy(cursor, into, columns)
            except psycopg2.Error as error:
                raise self._refusal(error) from None
        return pipe.sum

    def _lines(self, block: bytes, staged: bool) -> tuple[bytes, int]:
        """A batch of numbered rows as lines for COPY, and how many."""
        rows = [line.split(b"\t", 1) for line in block.split(b"\n")[:-1]]
        fields = zip(*(row.split(b"\t") for _, row in rows), strict=True)
        texts = {
            name: pa.array(map(field_value, each), pa.string())
            for name, each in zip(self._raw, fields, strict=True)
        }
        landed = self._protection.columns(self._personal, texts)
        count = len(rows)
        table = pa.table(
            {
                "_run_seq": pa.repeat(pa.scalar(self._run_seq, pa.int64()), count),
                "_row_no": pa.array([int(number) for number, _ in rows], pa.int64()),
                "_account": pa.repeat(self._account.id, count),
                "_dlt_load_id": pa.repeat(self._load_id, count),
                **landed,
            }
        )
        table, misfits = redshift.fitted(table, self._forms)
        keys = set(self._key()) & {_quoted(misfit.column) for misfit in misfits}
        if keys:
            raise LandingError(
                f"a row of {self._resource.name} has a key ({', '.join(sorted(keys))}) that Redshift can't"
                " hold, and without it would be nobody's; nothing of the table counts. It has to be put right"
                " at the source"
            )
        set_aside(self._aside, self._resource.name, misfits, self._read_at)
        self._misfits += len(misfits)
        if staged:
            digests = b"".join(xxhash.xxh3_128_digest(row + b"\n") for _, row in rows)
            for lane, numbers in zip(
                _LANES, np.frombuffer(digests, np.dtype("<u4")).reshape(-1, 4).T, strict=True
            ):
                table = table.append_column(lane, pa.array(numbers.astype(np.int64)))
        return redshift.lines(table, self._documents, all_json=True), count

    @property
    def _forms(self) -> dict[str, str]:
        """By raw column the regular expression of what its type can hold."""
        forms = {name: _form(column.type) for name, column in zip(self._raw, self._columns, strict=True)}
        return {name: form for name, form in forms.items() if form}

    @property
    def _documents(self) -> list[str]:
        return [name for name, column in zip(self._raw, self._columns, strict=True) if column.type == "super"]

    def _treat(self, cursor: Any, table: str, where: str) -> None:
        """Nothing: personal columns were treated on their way."""

    def _open_to_marks(self, cursor: Any) -> None:
        """Nothing: they are texts on their way."""

    def _drop_known(self, cursor: Any, since: str | None) -> None:
        key, columns = self._key(), list(map(_quoted, self._raw))
        first = self._first_run(cursor, since)
        cursor.execute(f"create temp table overlap as select distinct {', '.join(key)} from staged")
        cursor.execute(
            f"create temp table known as select {', '.join(columns)} from (select {_of('r', columns)},"
            f" row_number() over (partition by {_of('r', key)} order by r._run_seq desc, r._row_no desc)"
            f" as age from {self._table} r join overlap o on {_same('o', 'r', key)}"
            f" where r._account = %s and r._day is null and r._run_seq >= %s and {_COMMITTED}) as versions"
            " where age = 1",
            [self._account.id, first],
        )
        same = " and ".join(self._equal("staged", "known", column) for column in columns)
        cursor.execute(f"delete from staged using known where {_same('staged', 'known', key)} and {same}")

    def _equal(self, one: str, other: str, column: str) -> str:
        """SQL: are both the same value, or none?"""
        form = "json_serialize({})" if column.strip('"') in self._documents else "{}"
        left, right = form.format(f"{one}.{column}"), form.format(f"{other}.{column}")
        return f"({left} = {right} or ({one}.{column} is null and {other}.{column} is null))"

    def _of_version(self, key: str) -> str:
        return f"nullif(json_extract_path_text(version, '{key}'), '')"

    def _find_missed(self, cursor: Any, keys_table: str, key: list[str], name: str) -> None:
        cursor.execute(
            f"create temp table missed as select {_of('k', key)},"
            f" row_number() over (order by {_of('k', key)}) as place from {keys_table} k"
            f" left join (select distinct {', '.join(key)} from staged) s on {_same('s', 'k', key)}"
            f" left join (select {', '.join(dict.fromkeys([*key, name]))}, row_number() over (partition by"
            f" {', '.join(key)} order by _run_seq desc, _row_no desc) as age from {self._table} r"
            f" where r._account = %s and r._day is null and {_COMMITTED}) newest"
            f" on newest.age = 1 and {_same('newest', 'k', key)} and {self._equal('newest', 'k', name)}"
            f" where k._account = %s and k._day is null and k._run_seq = %s and {_all_held('k', key)}"
            f" and s.{key[0]} is null and newest.{key[0]} is null",
            [self._account.id, self._account.id, self._run_seq],
        )
        self._looked_up = 0

    def _next_missed(self, cursor: Any, key: list[str]) -> list[tuple[str, ...]]:
        types = dict(zip(map(_quoted, self._raw), self._columns, strict=True))
        texts = [k if types[k].type == "boolean" else f"cast({k} as {TEXT})" for k in key]
        cursor.execute(
            f"select {', '.join(texts)} from missed where place between %s and %s",
            [self._looked_up + 1, self._looked_up + KEYS_AT_ONCE],
        )
        self._looked_up += KEYS_AT_ONCE
        return [
            tuple(self._opened(k, str(v)) for k, v in zip(key, row, strict=True)) for row in cursor.fetchall()
        ]

    def _said(self, cursor: Any) -> SetSum:
        cursor.execute(f"select count(*), {', '.join(f'sum({lane})' for lane in _LANES)} from staged")
        rows, *halves = (int(number or 0) for number in cursor.fetchone())
        lanes = [(low + (high << 32)) % (1 << 64) for low, high in (halves[:2], halves[2:])]
        return SetSum(rows, np.array(lanes, np.uint64))

    def _refusal(self, error: psycopg2.Error) -> AdstarError:
        # The message names a table of the system; only there are values.
        return LandingError(
            f"Redshift does not take a row of {self._resource.name} (SQLSTATE {error.pgcode}:"
            f" {(error.diag.message_primary or 'no message').splitlines()[0]}); nothing of the table counts."
            " sys_load_error_detail has the row and the reason; it has to be put right at the source"
        )


_COMMITTED = "r._run_seq in (select run_seq from ops.commits)"


def held_as(kind: str) -> str:
    """The type that Redshift holds a type of Postgres' in."""
    if kind in _KEPT:
        return kind
    if kind in ("json", "jsonb"):
        return "super"
    bounded = re.fullmatch(r"numeric\((\d+),(-?\d+)\)", kind)
    if bounded is None:
        return f"numeric({PRECISION},{UNBOUNDED_SCALE})" if kind == "numeric" else TEXT
    precision, scale = map(int, bounded.groups())
    # Postgres has scales below nothing and above the precision.
    precision, scale = max(precision - min(scale, 0), scale), max(scale, 0)
    return f"numeric({min(precision, PRECISION)},{min(scale, SCALE)})"


def _spelled(kind: str, length: int | None, precision: int | None, scale: int | None) -> str:
    """A type of the catalogue as `held_as` spells it."""
    if kind == "character varying":
        return f"varchar({length})"
    return f"numeric({precision},{scale})" if kind == "numeric" else kind


def _form(kind: str) -> str | None:
    """The regular expression of what a type can hold, where the source may have more."""
    if kind == "date" or kind.startswith("timestamp"):
        return _DAY
    bounded = re.fullmatch(r"numeric\((\d+),(\d+)\)", kind)
    if bounded is None:
        return None
    precision, scale = map(int, bounded.groups())
    return rf"^-?0*\d{{0,{precision - scale}}}(\.\d{{0,{scale}}}0*)?$"
