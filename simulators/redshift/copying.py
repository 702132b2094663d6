"""COPY from S3 as Redshift does it: columns by position or by name, bytes counted, decimals cut off.

https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html, copy-usage_notes-copy-from-columnar.html,
copy-usage_notes-copy-from-json.html, copy-parameters-data-conversion.html
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal, InvalidOperation

import msgspec
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from simulators.redshift.backend import Backend, Refused, Target
from simulators.redshift.known import NotShown
from simulators.redshift.options import AUTHORITY, Options, literal
from simulators.redshift.storage import Storage
from simulators.redshift.tokens import Sql, words

_PAGE, _COLUMNAR, _CONVERSION = (
    "r_COPY.html",
    "copy-usage_notes-copy-from-columnar.html",
    "copy-parameters-data-conversion.html",
)
_LOADING, _SUPER = "copy-parameters-data-load.html", "limitations-super.html"
_OPTIONS = Options(
    values=AUTHORITY | words("region maxerror dateformat timeformat compupdate statupdate json"),
    sizes=frozenset(),
    flags=words("gzip manifest parquet roundec serializetojson truncatecolumns"),
    others=words(
        "acceptanydate acceptinvchars avro blanksasnull bzip2 comprows csv delimiter emptyasnull encoding"
        " encrypted escape explicit_ids fillrecord fixedwidth ignoreallerrors ignoreblanklines ignoreheader"
        " lzop master_symmetric_key noload null orc readratio removequotes shapefile ssh trimblanks zstd"
    ),
    page=_PAGE,
)
_WITH_PARQUET = AUTHORITY | words("manifest statupdate parquet serializetojson compupdate")
_ARROW = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64(), "real": pa.float32()}
_ARROW |= {"double precision": pa.float64(), "boolean": pa.bool_(), "date": pa.date32()}
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d(:?\d\d)?)?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_OBJECT_BYTES, _TEXT_BYTES = 4 << 20, 65535
_WIDE = Context(prec=80)
_BLOCK = 1 << 20

Row = list[str | None]


@dataclass(frozen=True)
class _Load:
    """What a COPY is to do, beside where from."""

    columns: Sequence[Target]
    options: dict[str, str]


class _BadRow(Exception):
    """A row that can't be loaded, of which MAXERROR allows some."""


def copy(sql: Sql, backend: Backend, storage: Storage) -> tuple[str, str]:
    """Load a table.

    Returns:
        The command's tag, and what Redshift informs of.

    Raises:
        Refused: as Redshift would.
        NotShown: another source or format.
    """
    at = next(place for place in range(1, len(sql)) if sql[place].word == "from" or sql[place].text == "(")
    table, named = sql.text(1, at), None
    if sql[at].text == "(":
        named = [sql[place].name for place in range(at + 1, sql.close(at)) if sql[place].name]
        at = sql.close(at) + 1
    url = literal(sql, at + 1)
    if not url.startswith("s3://"):
        raise NotShown(f"COPY from {url.partition(':')[0]}")
    found = _OPTIONS.read(sql, at + 2)
    load = _Load(_chosen(backend.targets(table), named), found)
    keys = _objects(storage, url, found)
    if "parquet" in found:
        if unfit := set(found) - _WITH_PARQUET:
            raise Refused(f"{unfit.pop().upper()} is not supported for columnar formats", "0A000", _COLUMNAR)
        loaded = _fill(backend, table, load, (_parquet(storage.read(key), load) for key in keys))
        return "COPY", _loaded(table, loaded)
    if found.get("json") not in ("auto", "auto ignorecase"):
        raise NotShown("COPY of anything but Parquet and JSON 'auto'")
    rows: Iterator[Row | _BadRow] = (row for key in keys for row in _lines(storage.read(key), load))
    bad = 0
    if int(found.get("maxerror") or 0) > 1:
        rows, bad = _without_bad_rows(backend, table, load, rows)
    told = f"; {bad} record(s) could not be loaded" if bad else ""
    return "COPY", _loaded(table, _fill(backend, table, load, _tables(rows, load))) + told


def _loaded(table: str, rows: int) -> str:
    return f"Load into table '{table}' completed, {rows} record(s) loaded successfully"


def _chosen(columns: list[Target], named: list[str] | None) -> list[Target]:
    if named is None:
        return columns
    by_name = {column.name: column for column in columns}
    for name in named:
        if name not in by_name:
            raise Refused(f'column "{name}" does not exist', "42703", _PAGE)
    return [by_name[name] for name in named]


def _objects(storage: Storage, url: str, found: dict[str, str]) -> list[str]:
    """The addresses of what is to be loaded."""
    if "manifest" in found:
        listed = storage.keys(url)
        if url not in listed:
            raise Refused(f"Problem reading manifest file - S3 key {url} does not exist", "XX000", _PAGE)
        try:
            entries = json.loads(storage.read(url))["entries"]
            return [str(entry["url"]) for entry in entries]
        except (ValueError, LookupError, TypeError) as error:
            raise Refused(f"Problem parsing manifest file {url}: {error}", "XX000", _PAGE) from error
    found_keys = storage.keys(url)
    if not found_keys:
        raise Refused(f"The specified S3 prefix '{url.split('/', 3)[3]}' does not exist", "XX000", _PAGE)
    return found_keys


def _fill(backend: Backend, table: str, load: _Load, files: Iterator[pa.Table]) -> int:
    """Hand tables of texts to Postgres; return how many rows."""
    names = ", ".join('"' + column.name.replace('"', '""') + '"' for column in load.columns)
    rows = 0

    def feed() -> Iterator[bytes]:
        nonlocal rows
        for found in files:
            rows += found.num_rows
            sink = io.BytesIO()
            written = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
            pyarrow.csv.write_csv(found, sink, written)
            data = sink.getvalue()
            yield from (data[first : first + _BLOCK] for first in range(0, len(data), _BLOCK))

    backend.must(f"copy {table} ({names}) from stdin with (format csv)", feed())
    backend.must(f"select set_config('redshift.copied', '{rows}', false)")
    return rows


# -- Parquet
def _parquet(data: bytes, load: _Load) -> pa.Table:
    """A file's rows as texts, its columns taken by position."""
    file = pq.read_table(io.BytesIO(data))
    if file.num_columns != len(load.columns):
        raise Refused(
            "Spectrum Scan Error: Unmatched number of columns between table and file. Table columns:"
            f" {len(load.columns)}, Data columns: {file.num_columns}",
            "XX000",
            _COLUMNAR,
        )
    columns = []
    for column, values in zip(load.columns, file.columns, strict=True):
        if not _fits(column.kind, values.type):
            raise Refused(
                f"Spectrum Scan Error: File has an incompatible Parquet schema for column '{column.name}'."
                f" Column type: {column.kind.upper()}, Parquet schema: {values.type}",
                "XX000",
                _COLUMNAR,
            )
        instants = pa.types.is_timestamp(values.type)
        plain = values.cast(pa.timestamp("us", values.type.tz and "UTC")) if instants else values
        texts = plain.cast(pa.string()).to_pylist()
        for text in texts:
            _check_length(column, text)
        if column.kind == "super":
            # A text is a text within SUPER, not JSON to be parsed.
            texts = [None if text is None else json.dumps(text) for text in texts]
        columns.append(pa.array(texts, pa.string()))
    return pa.table(columns, names=[str(number) for number in range(len(columns))])


def _fits(kind: str, found: pa.DataType) -> bool:
    if kind.startswith("character") or kind in ("text", "super"):
        return bool(pa.types.is_string(found) or pa.types.is_large_string(found))
    if kind.startswith("numeric"):
        return bool(pa.types.is_decimal(found))
    if kind.startswith("timestamp"):
        return bool(pa.types.is_timestamp(found))
    return bool(_ARROW.get(kind) == found)


def _check_length(column: Target, text: str | None) -> None:
    if text is None or (limit := _limit(column.kind)) is None or len(text.encode()) <= limit:
        return
    raise Refused(
        f"The length of the data column {column.name} is longer than the length defined in the table."
        f" Table: {limit}, Data: {len(text.encode())}",
        "22001",
        _COLUMNAR,
    )


def _limit(kind: str) -> int | None:
    """The most bytes that a column takes."""
    bounded = re.fullmatch(r"character(?: varying)?\((\d+)\)", kind)
    return int(bounded[1]) if bounded else _TEXT_BYTES if kind == "super" else None


# -- JSON
def _lines(data: bytes, load: _Load) -> Iterator[Row | _BadRow]:
    """A file of JSON objects, one a line: of each the texts of the columns, or what is wrong with it."""
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    folds = load.options["json"] == "auto ignorecase"
    for number, line in enumerate(
        (gzip.decompress(data) if "gzip" in load.options else data).splitlines(), 1
    ):
        if not line.strip():
            continue
        try:
            if len(line) > _OBJECT_BYTES:
                raise _BadRow("JSON object exceeds 4 MB")
            found = decoder.decode(line)
            if folds:
                found = {name.lower(): value for name, value in found.items()}
            yield [_value(column, found.get(column.name), load.options) for column in load.columns]
        except msgspec.DecodeError as error:
            yield _BadRow(f"line {number}: Invalid JSON format: {error}")
        except _BadRow as bad:
            yield _BadRow(f"line {number}: {bad}")


def _value(column: Target, raw: msgspec.Raw | None, found: dict[str, str]) -> str | None:
    """One value as the text that Postgres reads."""
    kind, is_text = column.kind, column.kind.startswith(("character", "text"))
    text = None if raw is None or bytes(raw) == b"null" else bytes(raw).decode()
    quoted = text is not None and text.startswith('"')
    if text is not None and quoted and kind == "super":
        if len(msgspec.json.decode(text, type=str).encode()) > _TEXT_BYTES:
            raise _BadRow(f"{column.name}: a text within SUPER exceeds {_TEXT_BYTES} bytes")
    elif text is not None and quoted:
        text = msgspec.json.decode(text, type=str)
        if text == "" and not is_text:
            text = None  # "Empty fields for other data types are always loaded with NULL"
    if text is None:
        if column.filled:
            raise _BadRow(f"{column.name}: Missing data for not-null field")
        return None
    if is_text:
        return _bounded(column, text, cut="truncatecolumns" in found)
    if kind.startswith("numeric("):
        return _decimal(column, text, rounds="roundec" in found)
    if kind.startswith("timestamp") and not found.get("timeformat") and not _INSTANT.fullmatch(text):
        raise _BadRow(f"{column.name}: Invalid timestamp format or value [YYYY-MM-DD HH24:MI:SS]: {text}")
    if kind == "date" and not found.get("dateformat") and not _DAY.fullmatch(text):
        raise _BadRow(f"{column.name}: Invalid Date Format - length must be 10 or more: {text}")
    return text


def _bounded(column: Target, text: str, *, cut: bool) -> str:
    limit = _limit(column.kind)
    if limit is None or len(text.encode()) <= limit:
        return text
    if cut:
        return text.encode()[:limit].decode(errors="ignore")
    raise _BadRow(f"{column.name}: String length exceeds DDL length of {limit} bytes: {len(text.encode())}")


def _decimal(column: Target, text: str, *, rounds: bool) -> str:
    """COPY cuts off what INSERT would round (copy-parameters-data-conversion.html, ROUNDEC)."""
    precision, scale = (int(part) for part in re.findall(r"\d+", column.kind))
    try:
        value = Decimal(text).quantize(
            Decimal(1).scaleb(-scale), ROUND_HALF_UP if rounds else ROUND_DOWN, _WIDE
        )
    except InvalidOperation as error:
        raise _BadRow(f"{column.name}: Invalid digit in a number: {text}") from error
    if value.adjusted() >= precision - scale and value:
        raise _BadRow(f"{column.name}: Overflow, {column.kind.upper()}: {text}")
    return format(value, "f")


def _tables(rows: Iterator[Row | _BadRow], load: _Load) -> Iterator[pa.Table]:
    """Rows as tables; the first bad one ends the load."""
    batch: list[Row] = []
    for row in rows:
        if isinstance(row, _BadRow):
            raise Refused(f"Load failed: {row}", "XX000", _LOADING)
        batch.append(row)
        if len(batch) == 10_000:
            yield _table(batch, load)
            batch = []
    yield _table(batch, load)


def _table(rows: list[Row], load: _Load) -> pa.Table:
    columns = [pa.array([row[number] for row in rows], pa.string()) for number in range(len(load.columns))]
    return pa.table(columns, names=[str(number) for number in range(len(columns))])


def _without_bad_rows(
    backend: Backend, table: str, load: _Load, rows: Iterator[Row | _BadRow]
) -> tuple[Iterator[Row | _BadRow], int]:
    """The rows that can be loaded, and how many can't.

    Raises:
        Refused: as many as MAXERROR says, or more.
    """
    good: list[Row | _BadRow] = []
    bad: list[str] = []
    for row in rows:
        if isinstance(row, _BadRow):
            bad.append(str(row))
            continue
        checks = ", ".join(
            f"pg_input_is_valid({_literal(text)}, '{column.kind}')"
            for column, text in zip(load.columns, row, strict=True)
        )
        (valid,), _ = backend.must(f"select {checks}")
        wrong = [column.name for column, fits in zip(load.columns, valid, strict=True) if fits == "f"]
        if wrong:
            bad.append(f"{wrong[0]}: not of its type")
        else:
            good.append(row)
    if len(bad) >= int(load.options["maxerror"]):
        raise Refused(f"Load failed: {len(bad)} errors, the first: {bad[0]}", "XX000", _LOADING)
    return iter(good), len(bad)


def _literal(text: str | None) -> str:
    return "null" if text is None else "'" + text.replace("'", "''") + "'"
