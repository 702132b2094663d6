"""Landing in Redshift: rows go to S3 as gzipped JSON lines, and dlt's COPY takes them from there.

JSON lines and not Parquet: COPY matches JSON by the names of columns, Parquet by their position; and of a JSON text in
Parquet it makes a text within SUPER, of JSON lines the list or object itself
(https://docs.aws.amazon.com/redshift/latest/dg/copy_json.html, .../copy-usage_notes-copy-from-columnar.html).
"""

from __future__ import annotations

import gzip
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import msgspec
import pyarrow.parquet as pq
from dlt import destinations

from loaders._core.errors import ConfigurationError
from loaders._core.sets import BLOCK_ROWS, SpooledFile
from loaders._core.warehouse import Target

_ENCODER = msgspec.json.Encoder()


def destination(target: Target) -> Any:
    """The target as a dlt destination, which loads what `staging` holds.

    Raises:
        ConfigurationError: profiles.yml says no role for COPY.
    """
    return destinations.redshift(
        credentials={
            "host": target.host,
            "port": target.port,
            "username": target.user,
            "password": target.password,
            "database": target.database,
            "query": {key: str(value) for key, value in target.options.items()},
        },
        staging_iam_role=_setting(target, "staging_iam_role", "the ARN of the role that COPY reads the bucket with"),
    )


def staging(target: Target) -> Any:
    """Where rows wait for COPY, as a dlt destination; credentials are found as all of AWS' programs find them.

    Raises:
        ConfigurationError: profiles.yml says no bucket.
    """
    region = target.settings.get("staging_region")
    return destinations.filesystem(
        bucket_url=_setting(target, "staging_bucket", "an address such as s3://bucket/folder"),
        credentials={"region_name": region} if region else None,
    )


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
            rows = batch.to_pylist()
            for name in set(documents) & set(batch.schema.names):
                for row in rows:
                    row[name] = _document(row[name])
            sink.write(_ENCODER.encode_lines(rows))
    file.path.unlink()
    return replace(file, path=path)


def _document(text: str | None) -> msgspec.Raw | str | None:
    if text and text[0] in "[{":
        raw = msgspec.Raw(text.encode())
        try:
            msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return text
        return raw
    return text


def _setting(target: Target, name: str, what: str) -> str:
    if not target.settings.get(name):
        raise ConfigurationError(f"target {target.name!r} in profiles.yml lacks {name}: {what}")
    return str(target.settings[name])
