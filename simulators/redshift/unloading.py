"""UNLOAD to S3 as Redshift does it: a file for each slice and partition, none overwritten.

https://docs.aws.amazon.com/redshift/latest/dg/r_UNLOAD.html, r_UNLOAD_command_examples.html
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from simulators.redshift.backend import Backend, Refused
from simulators.redshift.known import NotShown
from simulators.redshift.options import AUTHORITY, Options, literal
from simulators.redshift.storage import Storage
from simulators.redshift.tokens import Sql, words

_PAGE = "r_UNLOAD.html"
SLICES = 2
_OPTIONS = Options(
    values=AUTHORITY | words("region kms_key_id parallel"),
    sizes=words("maxfilesize rowgroupsize"),
    flags=words("encrypted parquet allowoverwrite cleanpath partition include manifest verbose"),
    others=words(
        "addquotes auto bzip2 csv delimiter escape extension fixedwidth gzip header json master_symmetric_key"
        " null zstd"
    ),
    page=_PAGE,
)
_ARROW = {
    "smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64(), "real": pa.float32(),
    "double precision": pa.float64(), "boolean": pa.bool_(), "date": pa.date32(), "super": pa.string(),
    "timestamp without time zone": pa.timestamp("us"),
    # "Only the timestamp values are unloaded. The time zone information isn't unloaded."
    "timestamp with time zone": pa.timestamp("us"),
}  # fmt: skip


def unload(sql: Sql, backend: Backend, storage: Storage, translated: Callable[[str], str]) -> tuple[str, str]:
    """Write the result of a query as Parquet.

    Args:
        translated: makes of the query what Postgres is asked.

    Returns:
        The command's tag, and what Redshift informs of.

    Raises:
        Refused: as Redshift would.
        NotShown: another format.
    """
    if not (
        sql[1].text == "(" and sql[2].kind == "string" and sql.words(3, ")", "to") and sql[5].kind == "string"
    ):
        raise Refused("syntax error in UNLOAD", "42601", _PAGE)
    query, url = literal(sql, 2), literal(sql, 5)
    found = _OPTIONS.read(sql, 6)
    if "parquet" not in found:
        raise NotShown("UNLOAD of anything but Parquet")
    _check(query, found)
    by = [name for name in found.get("partition", "").split(",") if name]
    if by and not url.endswith("/"):
        url += "/"
    table = _answered(backend, translated(query))
    if missing := set(by) - set(table.column_names):
        raise Refused(f'column "{missing.pop()}" does not exist in the query', "42703", _PAGE)
    if by and len(by) == table.num_columns:
        raise Refused("at least one column must be no partition column", "0A000", _PAGE)
    slices = 1 if found.get("parallel", "on").lower() in ("off", "false") else SLICES
    files = [
        (f"{url}{folder}{name}", part)
        for folder, rows in _partitions(table, by, "include" in found)
        for name, part in _sliced(rows, slices)
    ]
    manifest = f"{url}manifest" if "manifest" in found else None
    _make_room(storage, url, [address for address, _ in files], manifest, found)
    entries = [_written(storage, address, part) for address, part in files]
    if manifest:
        storage.write(manifest, json.dumps(_manifest(entries, table, "verbose" in found)).encode())
    return "UNLOAD", f"UNLOAD completed, {table.num_rows} record(s) unloaded successfully"


def _check(query: str, found: dict[str, str]) -> None:
    inside = Sql(query)
    if inside.find("limit") is not None:
        raise Refused("Limit clause is not supported in UNLOAD's outer SELECT", "0A000", _PAGE)
    if "cleanpath" in found and "allowoverwrite" in found:
        raise Refused("CLEANPATH can't be with ALLOWOVERWRITE", "42601", _PAGE)
    if "verbose" in found and "manifest" not in found:
        raise Refused("VERBOSE can only follow MANIFEST", "42601", _PAGE)
    if "kms_key_id" in found and ("encrypted" not in found or "credentials" in found):
        raise Refused("KMS_KEY_ID needs ENCRYPTED, and can't be with CREDENTIALS", "42601", _PAGE)


def _make_room(
    storage: Storage, url: str, addresses: list[str], manifest: str | None, found: dict[str, str]
) -> None:
    """Look whether something is there already, or remove it.

    With partitions CLEANPATH only looks into the folders that get new files.
    """
    present = storage.keys(url)
    if "cleanpath" in found:
        folders = {address.rpartition("/")[0] for address in addresses} if "partition" in found else {url}
        for key in present:
            if key == manifest or any(key.startswith(folder) for folder in folders):
                storage.remove(key)
    elif present and "allowoverwrite" not in found:
        raise Refused(
            "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix,"
            " manually removing the target files in S3, or using the ALLOWOVERWRITE option.",
            "XX000",
            _PAGE,
        )


def _answered(backend: Backend, query: str) -> pa.Table:
    """The rows of a query with their types."""
    result = f"({query}) as unloaded"
    backend.must(f"select * from {result} limit 0")  # noqa: S608  (the client's own query)
    columns = backend.columns
    kinds = [str(backend.must(f"select format_type({one.type}, {one.modifier})")[0][0][0]) for one in columns]
    names = [column.name for column in columns]
    written = ", ".join(
        f"{_quoted(name)} at time zone 'UTC' as {_quoted(name)}"
        if kind == "timestamp with time zone"
        else _quoted(name)
        for name, kind in zip(names, kinds, strict=True)
    )
    _, data = backend.must(
        f"copy (select {written} from {result}) to stdout (format csv, force_quote *)"  # noqa: S608
    )
    if not data:
        return pa.table({name: pa.array([], _arrow(kind)) for name, kind in zip(names, kinds, strict=True)})
    texts = pyarrow.csv.read_csv(
        io.BytesIO(data),
        pyarrow.csv.ReadOptions(column_names=names, block_size=max(len(data), 1 << 16)),
        pyarrow.csv.ParseOptions(newlines_in_values=True),
        pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    return pa.table(
        {name: _typed(texts[name], _arrow(kind)) for name, kind in zip(names, kinds, strict=True)}
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _arrow(kind: str) -> pa.DataType:
    if bounded := re.fullmatch(r"numeric\((\d+),(\d+)\)", kind):
        return pa.decimal128(int(bounded[1]), int(bounded[2]))
    if kind == "numeric":
        return pa.decimal128(38, 9)  # Redshift knows the scale of every expression, Postgres that of columns
    return _ARROW.get(kind, pa.string())


def _typed(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return pc.equal(texts, "t") if pa.types.is_boolean(kind) else texts.cast(kind)


def _partitions(table: pa.Table, by: list[str], include: bool) -> Iterator[tuple[str, pa.Table]]:
    """The folders, and the rows in each."""
    if not by:
        yield "", table
        return
    for key in table.select(by).group_by(by).aggregate([]).to_pylist():
        chosen = pa.array([True] * table.num_rows)
        for name, value in key.items():
            column = table[name]
            same = pc.is_null(column) if value is None else pc.equal(column, pa.scalar(value, column.type))
            chosen = pc.and_(chosen, pc.fill_null(same, False))
        part = table.filter(chosen)
        values = ("__HIVE_DEFAULT_PARTITION__" if value is None else value for value in key.values())
        folder = "/".join(f"{name}={value}" for name, value in zip(key, values, strict=True))
        yield f"{folder}/", part if include else part.drop_columns(by)


def _sliced(table: pa.Table, slices: int) -> Iterator[tuple[str, pa.Table]]:
    """Which file each slice writes; one without rows writes none, unless there are none at all."""
    size = -(-table.num_rows // slices)
    for number in range(slices):
        part = table.slice(number * size, size)
        if part.num_rows or number == 0:
            yield f"{number:04}_part_00.parquet" if slices > 1 else "000.parquet", part


def _written(storage: Storage, address: str, part: pa.Table) -> dict[str, Any]:
    sink = io.BytesIO()
    pq.write_table(part, sink, compression="snappy")
    storage.write(address, sink.getvalue())
    return {"url": address, "meta": {"content_length": len(sink.getvalue()), "record_count": part.num_rows}}


def _manifest(entries: list[dict[str, Any]], table: pa.Table, verbose: bool) -> dict[str, Any]:
    if not verbose:
        return {"entries": [{"url": entry["url"]} for entry in entries]}
    length = sum(entry["meta"]["content_length"] for entry in entries)
    return {
        "entries": entries,
        "schema": {"elements": [{"name": one.name, "type": {"base": str(one.type)}} for one in table.schema]},
        "meta": {"content_length": length, "record_count": table.num_rows},
        "author": {"name": "Amazon Redshift", "version": "1.0.0"},
    }
