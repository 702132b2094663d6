"""What is said about an exported mart: its manifest, as JSON, and the notes that an export keeps on its way.

    <schema>/<mart>/manifest.json                               the export that counts, written last
    <schema>/<mart>/<export>/date_month=2026-03/0000.parquet    <export>/0000.parquet of a mart without months
    <schema>/<mart>/<export>/date_month=2026-03/_written.json   a note that this part is whole
    <schema>/<mart>/<export>/_manifest.json                     the manifest again, for when another counts

Files never change once they are written. A manifest may name files of earlier exports: parts that have not
changed since. Names with an underscore are skipped by whatever looks for Parquet files in folders.
"""

from __future__ import annotations

from decimal import Context, Decimal
from typing import Any

import msgspec
import pyarrow as pa

from loaders._core.errors import AdstarError

FORMAT = 1
FOLDER = "date_month"
NO_DATE = "__HIVE_DEFAULT_PARTITION__"
"""The month of rows without a date, as Hive and Redshift call it."""
MANIFEST, COPY, NOTE = "manifest.json", "_manifest.json", "_written.json"
_TYPES = {
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
    "double precision": pa.float64(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}
_OTHER_NAMES = {
    "character varying": "text",
    "timestamp with time zone": "timestamptz",
    "timestamp without time zone": "timestamp",
}


class ExportError(AdstarError):
    """A mart can't be exported; the message says which, why and what to do. What was exported stays."""


class Column(msgspec.Struct, frozen=True):
    """A column of a mart; ``type`` is ``numeric(38,9)`` or one of those that ``arrow`` knows."""

    name: str
    type: str

    @classmethod
    def of(cls, mart: str, name: str, data_type: str, precision: int | None, scale: int | None) -> Column:
        """The column as the information schema describes it.

        Raises:
            ExportError: the type has no counterpart in Parquet that holds all its values.
        """
        kind = _OTHER_NAMES.get(data_type, data_type)
        if kind == "numeric" and precision and 0 <= (scale or 0) <= precision <= 38:
            return cls(name, f"numeric({precision},{scale or 0})")
        if kind in _TYPES:
            return cls(name, kind)
        raise ExportError(
            f"{mart}.{name} is of type {data_type}, which is not exported: Parquet would not hold every"
            f" value of it. Give the column another type in the model: {', '.join(_TYPES)}, or a numeric with"
            " at most 38 digits"
        )

    @property
    def arrow(self) -> pa.DataType:
        """The type of its values in Parquet."""
        if self.type.startswith("numeric"):
            precision, scale = self.type.removeprefix("numeric(").rstrip(")").split(",")
            return pa.decimal128(int(precision), int(scale))
        return _TYPES[self.type]

    @property
    def is_amount(self) -> bool:
        """Is it a number with decimals, of which a sum is kept?"""
        return self.type.startswith("numeric") and not self.type.endswith(",0)")


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file. ``path`` begins below the mart's folder; ``sha256`` is None where Redshift wrote it."""

    path: str
    rows: int
    bytes: int
    sha256: str | None = None


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a part of a mart holds.

    Attributes:
        partition: its month as ``2026-03``; None for a mart that is exported whole.
        token: equal only if the rows are, in whatever order; see the engines.
        run_seq: the newest run that rows come from, where the mart has such a column.
        sums: of each numeric column that has a scale, as exact text, to check a copy with.
    """

    partition: str | None
    rows: int
    token: str
    run_seq: int | None = None
    sums: dict[str, str] = {}

    @property
    def folder(self) -> str:
        """Where its files are, below the export's folder: with a slash at its end, or nothing."""
        return f"{FOLDER}={self.partition}/" if self.partition else ""


class Part(State, frozen=True, kw_only=True):
    """A part that has been written, and its files."""

    files: tuple[File, ...]

    @classmethod
    def of(cls, state: State, files: tuple[File, ...]) -> Part:
        """The part with this state in these files."""
        return cls(**msgspec.structs.asdict(state), files=files)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What files must have in common to stand in one manifest."""

    columns: tuple[Column, ...]
    partitioned_by: str | None = None

    @property
    def schema(self) -> pa.Schema:
        """The columns as Parquet has them."""
        return pa.schema([(column.name, column.arrow) for column in self.columns])


class Note(Shape, frozen=True, kw_only=True):
    """That a part of an unfinished export is whole."""

    part: Part


class Manifest(Shape, frozen=True, kw_only=True):
    """A whole mart: what it is read by.

    Attributes:
        export: which export, and the folder of its files.
        exported_at: when that export began to read, ISO 8601 in UTC.
        source: the database it was read from.
        publish: the newest publish that had been made there, if scripts/publish makes them.
    """

    format: int
    mart: str
    export: str
    exported_at: str
    source: dict[str, str]
    publish: int | None
    rows: int
    sums: dict[str, str]
    parts: tuple[Part, ...]

    @property
    def paths(self) -> set[str]:
        """The files it names."""
        return {file.path for part in self.parts for file in part.files}


def added(parts: tuple[Part, ...]) -> dict[str, str]:
    """The sums of parts, added up exactly."""
    exact = Context(prec=200)
    totals: dict[str, Decimal] = {}
    for part in parts:
        for name, amount in part.sums.items():
            totals[name] = exact.add(totals.get(name, Decimal(0)), Decimal(amount))
    return {name: f"{total:f}" for name, total in totals.items()}


def written(value: Manifest | Note) -> bytes:
    """The JSON of a manifest or a note, for people to read as well."""
    return msgspec.json.format(msgspec.json.encode(value), indent=1)


def read_manifest(body: bytes, where: str) -> Manifest:
    """A manifest that was written before.

    Raises:
        ExportError: it is no manifest of this format.
    """
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except msgspec.DecodeError as error:
        raise ExportError(
            f"this is no manifest of an export ({error}); if it is nobody else's file, remove it: the next"
            " export then writes another one",
            where=where,
        ) from None
    if manifest.format != FORMAT:
        raise ExportError(
            f"the manifest has format {manifest.format}, and this adstar knows {FORMAT}; export with the"
            " other one, or to another place",
            where=where,
        )
    return manifest


def known_parts(body: bytes, shape: Shape) -> list[Part]:
    """The parts that a manifest or a note tells of; none if it is of another shape or can't be read."""
    for kind in (Note, Manifest):
        try:
            told: Any = msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError:
            continue
        if (told.columns, told.partitioned_by) == (shape.columns, shape.partitioned_by):
            return [told.part] if isinstance(told, Note) else list(told.parts)
    return []
