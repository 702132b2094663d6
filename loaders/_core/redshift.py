"""Landing in Redshift: rows go to S3 as gzipped JSON lines, and COPY takes them from there.

JSON lines and not Parquet: COPY matches JSON by the names of columns, Parquet by their position; and of a
JSON text in Parquet it makes a text within SUPER, of JSON lines the list or object itself
(https://docs.aws.amazon.com/redshift/latest/dg/copy_json.html, .../copy-usage_notes-copy-from-columnar.html).

A text holds at most 65,535 bytes there, also one that SUPER is turned into. What is longer is taken out of
its row and goes to the quarantine, whole.
"""

from __future__ import annotations

import gzip
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from loaders._core.errors import ConfigurationError
from loaders._core.naming import SYSTEM_COLUMNS
from loaders._core.sets import BLOCK_ROWS, SpooledFile, write
from loaders._core.text import escape_in_json
from loaders._core.warehouse import Target

# https://docs.aws.amazon.com/redshift/latest/dg/r_Character_types.html, .../copy_json.html
TEXT_BYTES = 65_535
LINE_BYTES = 4 << 20
# In JSON a character may take six times its bytes.
_ESCAPED = 6
_FILE_BYTES = 32 << 20
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True)
class Misfit:
    """A value that Redshift can't hold: of which row and column, and why not."""

    run_seq: int
    row_no: int
    column: str
    value: str
    why: str


def destination(target: Target) -> Any:
    """The target as a dlt destination, which loads what `staging` holds.

    Raises:
        ConfigurationError: profiles.yml says no role for COPY.
    """
    # dlt is slow to import, and erasing a person needs none of it.
    from loaders._core.destination import redshift  # noqa: PLC0415

    return redshift(
        credentials={
            "host": target.host,
            "port": target.port,
            "username": target.user,
            "password": target.password,
            "database": target.database,
            "query": {key: str(value) for key, value in target.options.items()},
        },
        staging_iam_role=_role(target),
    )


def staging(target: Target) -> Any:
    """Where rows wait for COPY, as a dlt destination; credentials are found as all AWS programs find them.

    Raises:
        ConfigurationError: profiles.yml says no bucket.
    """
    from loaders._core.destination import filesystem  # noqa: PLC0415

    region = target.settings.get("staging_region")
    return filesystem(
        bucket_url=_bucket(target),
        credentials={"region_name": region} if region else None,
    )


def fitted(table: pa.Table, forms: Mapping[str, str] | None = None) -> tuple[pa.Table, list[Misfit]]:
    """Rows without the values that Redshift can't hold, which are NULL in them, and those values.

    Args:
        table: raw rows, their texts with the columns that adstar adds.
        forms: by column the regular expression (RE2) of the values that its type can hold.
    """
    out: dict[str, dict[int, str]] = {}
    lengths: dict[str, np.ndarray] = {}
    for name in table.column_names:
        column = table[name]
        if name in SYSTEM_COLUMNS or not pa.types.is_string(column.type):
            continue
        lengths[name] = pc.fill_null(pc.binary_length(column), 0).to_numpy()
        for row in np.flatnonzero(lengths[name] > TEXT_BYTES).tolist():
            said = f"{name} has {lengths[name][row]:,} bytes, and a text of Redshift holds {TEXT_BYTES:,}"
            out.setdefault(name, {})[row] = said
        if forms and name in forms:
            fits = pc.fill_null(pc.match_substring_regex(column, forms[name]), True)
            for row in np.flatnonzero(~fits.to_numpy()).tolist():
                said = f"{name} has a value that its type on Redshift can't hold"
                out.setdefault(name, {}).setdefault(row, said)
    for name, row in _beyond_a_line(table, lengths, out):
        said = f"its row has more than the {LINE_BYTES:,} bytes that COPY takes, and {name} most of them"
        out.setdefault(name, {})[row] = said
    misfits = []
    for name, rows in out.items():
        column = table[name]
        for row, why in rows.items():
            run_seq, row_no = (table[place][row].as_py() for place in ("_run_seq", "_row_no"))
            misfits.append(Misfit(run_seq, row_no, name, column[row].as_py(), why))
        mask = np.zeros(table.num_rows, bool)
        mask[list(rows)] = True
        kept = pc.if_else(pa.array(mask), pa.scalar(None, pa.string()), column)
        table = table.set_column(table.column_names.index(name), name, kept)
    return table, misfits


def _beyond_a_line(
    table: pa.Table, lengths: Mapping[str, np.ndarray], out: Mapping[str, Mapping[int, str]]
) -> Iterator[tuple[str, int]]:
    """The longest values of rows that are too long all the same, until they are not."""
    if not lengths:
        return
    whole = sum(lengths.values())
    for row in np.flatnonzero(np.asarray(whole) * _ESCAPED > LINE_BYTES).tolist():
        held = [name for name in lengths if row not in out.get(name, {})]
        values = {name: len(_ENCODER.encode(table[name][row].as_py())) + len(name) + 4 for name in held}
        excess = sum(values.values()) + 1_000 - LINE_BYTES
        for name in sorted(values, key=lambda name: -values[name]):
            if excess <= 0:
                break
            excess -= values[name]
            yield name, row


def fit(file: SpooledFile) -> list[Misfit]:
    """Take out of a file of rows what Redshift can't hold."""
    found: list[Misfit] = []
    tables: list[pa.Table] = []
    parquet = pq.ParquetFile(file.path, memory_map=False)
    with parquet:
        for batch in parquet.iter_batches(BLOCK_ROWS):
            table, misfits = fitted(pa.Table.from_batches([batch]))
            found += misfits
            tables.append(table)
    if found:
        write(pa.concat_tables(tables), file.path)
    return found


def as_lines(file: SpooledFile, documents: Collection[str]) -> SpooledFile:
    """A file of rows as JSON lines, in place of the Parquet file.

    Args:
        documents: columns that are SUPER: their lists and objects are written as such.
    """
    path = file.path.with_suffix(".jsonl.gz")
    parquet = pq.ParquetFile(file.path)
    # Level 1: packing must not be what the network waits for.
    with gzip.open(path, "wb", compresslevel=1) as sink:
        for batch in parquet.iter_batches(BLOCK_ROWS):
            sink.write(lines(batch, documents))
    file.path.unlink()
    return replace(file, path=path)


def lines(rows: pa.RecordBatch | pa.Table, documents: Collection[str], *, all_json: bool = False) -> bytes:
    """Rows as JSON, one a line.

    Args:
        all_json: whatever stands in `documents` is JSON; else lists and objects are, and the rest texts.
    """
    found = rows.to_pylist()
    for name in set(documents) & set(rows.schema.names):
        for row in found:
            row[name] = _document(row[name], all_json)
    return _ENCODER.encode_lines(found)


def _document(text: str | None, is_json: bool) -> msgspec.Raw | str | None:
    if not text or not (is_json or text[0] in "[{"):
        return text
    if "\\u" in text:  # half a pair would make a text of it all
        text = escape_in_json(text)
    raw = text.encode()
    try:
        msgspec.json.decode(raw)
    except msgspec.DecodeError:
        return text
    # Spread over lines it would be no line.
    return msgspec.Raw(msgspec.json.format(raw, indent=-1) if b"\n" in raw or b"\r" in raw else raw)


class Waiting:
    """Rows that wait in the bucket for one COPY. Use `waiting` to make one."""

    def __init__(self, target: Target, folder: str) -> None:
        # Slow to import, and no other warehouse needs it.
        import boto3  # noqa: PLC0415

        # Several warehouses may share a bucket.
        place = urlsplit(f"{_bucket(target).rstrip('/')}/copied/{target.host}/{target.database}/{folder}/")
        self.rows = 0
        self._target = target
        self._bucket, self._folder = place.netloc, place.path[1:]
        self._client: Any = boto3.client("s3", region_name=target.settings.get("staging_region") or None)
        self._blocks: list[bytes] = []
        self._bytes = 0
        self._files = 0

    def add(self, block: bytes, rows: int) -> None:
        """Take so many lines of JSON."""
        self._blocks.append(block)
        self._bytes += len(block)
        self.rows += rows
        if self._bytes >= _FILE_BYTES:
            self._send()

    def copy(self, cursor: Any, table: str, columns: Sequence[str]) -> None:
        """Let COPY take what was added, in the cursor's transaction.

        Args:
            table, columns: as SQL; columns not named are NULL.

        Raises:
            psycopg2.Error: it does not take a row.
        """
        self._send()
        if not self._files:
            return
        region = self._target.settings.get("staging_region")
        place = f"s3://{self._bucket}/{self._folder}"
        cursor.execute(
            f"copy {table} ({', '.join(columns)}) from {_literal(place)}"
            f" iam_role {_literal(_role(self._target))}"
            + (f" region {_literal(region)}" if region else "")
            + " format json 'auto' gzip dateformat 'auto' timeformat 'auto'"
        )

    def clear(self) -> None:
        """Delete what waits in the folder, also what a killed run has left there."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=self._folder):
            keys = [{"Key": found["Key"]} for found in page.get("Contents", [])]
            if keys:
                self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})

    def _send(self) -> None:
        if not self._blocks:
            return
        body = gzip.compress(b"".join(self._blocks), compresslevel=1)
        key = f"{self._folder}{self._files:06}.jsonl.gz"
        self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
        self._blocks, self._bytes = [], 0
        self._files += 1


@contextmanager
def waiting(target: Target, folder: str) -> Iterator[Waiting]:
    """Rows that wait in this folder of the bucket, which is emptied before and after, and nobody else's.

    Raises:
        ConfigurationError: profiles.yml says no bucket.
    """
    found = Waiting(target, folder)
    found.clear()
    try:
        yield found
    finally:
        found.clear()


def copy_rows(
    cursor: Any, target: Target, table: str, columns: Sequence[str], rows: Iterable[Sequence[str | None]]
) -> None:
    """Rows of texts into a table by COPY: never as part of a statement, because the warehouse keeps those."""
    with waiting(target, f"rows/{table}") as wait:
        for row in rows:
            wait.add(_ENCODER.encode(dict(zip(columns, row, strict=True))) + b"\n", 1)
        wait.copy(cursor, table, columns)


def _bucket(target: Target) -> str:
    return _setting(target, "staging_bucket", "an address such as s3://bucket/folder")


def _role(target: Target) -> str:
    return _setting(target, "staging_iam_role", "the ARN of the role that COPY reads the bucket with")


def _setting(target: Target, name: str, what: str) -> str:
    if not target.settings.get(name):
        raise ConfigurationError(f"target {target.name!r} in profiles.yml lacks {name}: {what}")
    return str(target.settings[name])


def _literal(text: Any) -> str:
    return "'" + str(text).replace("\\", "\\\\").replace("'", "''") + "'"
