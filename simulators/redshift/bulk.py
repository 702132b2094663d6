"""COPY from S3 and UNLOAD to it, as Redshift does them: columns by position, bytes counted, no file overwritten.

https://docs.aws.amazon.com/redshift/latest/dg/r_COPY.html, copy-usage_notes-copy-from-columnar.html, r_UNLOAD.html
"""

from __future__ import annotations

import gzip
import io
import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from simulators.redshift import wire
from simulators.redshift.tokens import Sql
from simulators.redshift.wire import Wire

COPY_PAGE, UNLOAD_PAGE, COLUMNAR = "r_COPY.html", "r_UNLOAD.html", "copy-usage_notes-copy-from-columnar.html"
JSON_BYTES = 4 << 20
BLOCK = 1 << 20
_ARROW = {"smallint": pa.int16(), "integer": pa.int32(), "bigint": pa.int64(), "real": pa.float32()}
_ARROW |= {"double precision": pa.float64(), "boolean": pa.bool_(), "date": pa.date32(), "super": pa.string()}
_ARROW |= {"timestamp without time zone": pa.timestamp("us"), "timestamp with time zone": pa.timestamp("us", "UTC")}


class Refused(Exception):  # noqa: N818  (an answer to the client)
    """Redshift would end the command with this.

    Attributes:
        failed: the backend's own error, if it was that.
    """

    def __init__(self, said: str, code: str = "XX000", page: str = COPY_PAGE, failed: bytes | None = None) -> None:
        super().__init__(said)
        self.code, self.page, self.failed = code, page, failed


class Backend:
    """The session's own connection to Postgres, asked between the client's requests."""

    def __init__(self, connection: Wire) -> None:
        self._wire = connection
        self.state = b""
        self.error: bytes | None = None
        self.columns: list[wire.Column] = []

    def ask(self, query: str, feed: Iterator[bytes] | None = None) -> tuple[list[list[str | None]], bytes]:
        """Run a statement to its end.

        Args:
            feed: what a COPY FROM STDIN reads.

        Returns:
            The rows of its result, and what a COPY TO STDOUT wrote. After an error, `error` has it.
        """
        self.error = None
        self._wire.send(b"Q", wire.text(query))
        rows: list[list[str | None]] = []
        written = bytearray()
        failure: Exception | None = None
        while True:
            kind, body = self._wire.one()
            match kind:
                case b"G":
                    try:
                        for block in feed or ():
                            self._wire.send(b"d", block)
                        self._wire.send(b"c", b"")
                    except Refused as refused:
                        failure = refused
                        self._wire.send(b"f", wire.text(str(refused)))
                case b"T":
                    self.columns = wire.described(body)
                case b"D":
                    rows.append(wire.row(body))
                case b"d":
                    written += body
                case b"E":
                    self.error = body
                case b"Z":
                    self.state = body
                    if failure is not None:
                        self.error = None  # what is told is why we have stopped feeding
                        raise failure
                    return rows, bytes(written)

    def must(self, query: str, feed: Iterator[bytes] | None = None) -> tuple[list[list[str | None]], bytes]:
        """As `ask`, but an error is one.

        Raises:
            Refused: it has failed.
        """
        answer = self.ask(query, feed)
        if self.error is not None:
            raise Refused(wire.fields(self.error).get("M", ""), failed=self.error)
        return answer


class Storage:
    """S3 at an address."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._client: Any = None

    def _asked(self) -> Any:
        if not self._endpoint:
            raise Refused("the stand-in was started without S3", code="0A000")
        self._client = self._client or boto3.client(
            "s3",
            endpoint_url=self._endpoint,
            region_name="eu-central-1",
            aws_access_key_id="stand-in",
            aws_secret_access_key="stand-in",  # noqa: S106  (a local server's)
        )
        return self._client

    def keys(self, url: str) -> list[str]:
        """Addresses of the objects that begin with one."""
        place = urlsplit(url)
        pages = self._asked().get_paginator("list_objects_v2")
        return [
            f"s3://{place.netloc}/{found['Key']}"
            for page in pages.paginate(Bucket=place.netloc, Prefix=place.path[1:])
            for found in page.get("Contents", [])
        ]

    def read(self, url: str) -> bytes:
        """An object."""
        place = urlsplit(url)
        return bytes(self._asked().get_object(Bucket=place.netloc, Key=place.path[1:])["Body"].read())

    def write(self, url: str, data: bytes) -> None:
        """An object."""
        place = urlsplit(url)
        self._asked().put_object(Bucket=place.netloc, Key=place.path[1:], Body=data)

    def remove(self, url: str) -> None:
        """An object."""
        place = urlsplit(url)
        self._asked().delete_object(Bucket=place.netloc, Key=place.path[1:])


def transfer(
    statement: Sql, backend: Backend, storage: Storage, translated: Callable[[str], str]
) -> tuple[str, str]:
    """Do a COPY or an UNLOAD: the command's tag, and what Redshift informs of.

    Raises:
        Refused: as Redshift would.
    """
    try:
        if statement[0].word == "copy":
            return _copy(statement, backend, storage)
        return _unload(statement, backend, storage, translated)
    except (OSError, ValueError, storage_errors()) as error:
        raise Refused(f"{type(error).__name__}: {error}") from error


def storage_errors() -> type[Exception]:
    """What boto3 raises."""
    from botocore.exceptions import ClientError  # noqa: PLC0415  (slow to import)

    return ClientError  # type: ignore[no-any-return]


# -- options
_COPY_OPTIONS = {
    # option -> how many words follow
    "iam_role": 1, "credentials": 1, "access_key_id": 1, "secret_access_key": 1, "session_token": 1, "region": 1,
    "maxerror": 1, "dateformat": 1, "timeformat": 1, "compupdate": 1, "statupdate": 1, "gzip": 0, "parquet": 0,
    "serializetojson": 0, "truncatecolumns": 0, "manifest": 0, "json": 1,
}  # fmt: skip
_UNLOAD_OPTIONS = {
    "iam_role": 1, "credentials": 1, "region": 1, "kms_key_id": 1, "encrypted": 0, "parquet": 0,
    "allowoverwrite": 0, "cleanpath": 0, "parallel": 1, "maxfilesize": 2, "rowgroupsize": 2, "manifest": 0,
    "verbose": 0, "include": 0, "extension": 1,
}  # fmt: skip
_AUTHORITY = ("iam_role", "credentials", "access_key_id")


def _options(sql: Sql, at: int, known: dict[str, int], page: str) -> dict[str, str]:
    found: dict[str, str] = {}
    while at < len(sql):
        word = sql[at].word
        if word in ("format", "as", "with"):
            at += 1
        elif word == "authorization":
            at += 1
        elif word == "partition" and sql[at + 1].word == "by":
            end = sql.close(at + 2)
            found["partition"] = ",".join(token.name for token in sql.tokens[at + 3 : end] if token.text != ",")
            at = end + 1
        elif word in known:
            at += 1 + (known[word] > 0 and sql[at + 1].word == "as")
            values = [sql[at + n] for n in range(known[word])]
            found[word] = " ".join(value.text.strip("'") for value in values)
            at += known[word]
            if word == "maxfilesize" and sql[at - 1].word not in ("mb", "gb"):
                at -= 1
        else:
            raise Refused(f'syntax error at or near "{sql[at].text}"', "42601", page)
    if not any(name in found for name in _AUTHORITY):
        raise Refused("CREDENTIALS argument is required but missing", "42601", page)
    if not re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/.+|default", found.get("iam_role", "default")):
        raise Refused("Invalid IAM_ROLE: not an ARN of a role", "42601", page)
    return found


# -- COPY
def _copy(sql: Sql, backend: Backend, storage: Storage) -> tuple[str, str]:
    at = 1
    while sql[at].word != "from" and sql[at].text != "(":
        at += 1
    table = sql.text(1, at)
    named = None
    if sql[at].text == "(":
        named = [token.name for token in sql.tokens[at + 1 : sql.close(at)] if token.text != ","]
        at = sql.close(at) + 1
    url = sql[at + 1].text.strip("'")
    options = _options(sql, at + 2, _COPY_OPTIONS, COPY_PAGE)
    target = _columns(backend, table)
    if named is not None:
        target = [next(column for column in target if column[0] == name) for name in named]
    if not target:
        raise Refused(f"relation {table} does not exist", "42P01")
    objects = storage.keys(url)
    if not objects:
        raise Refused(f"The specified S3 prefix '{urlsplit(url).path[1:]}' does not exist")

    if "parquet" in options:
        if "region" in options or "gzip" in options:
            raise Refused("REGION and GZIP are not supported for columnar formats", "0A000", COLUMNAR)
        rows = (_parquet(storage.read(key), target) for key in objects)
    elif options.get("json") in ("auto", "auto ignorecase"):
        rows = (_json(storage.read(key), target, "gzip" in options) for key in objects)
    else:
        raise Refused("the stand-in copies Parquet and JSON 'auto' only", "0A000")
    names = ", ".join(f'"{name}"' for name, _ in target)
    loaded = 0

    def feed() -> Iterator[bytes]:
        nonlocal loaded
        for found in rows:
            loaded += found.num_rows
            sink = io.BytesIO()
            pyarrow.csv.write_csv(
                found, sink, pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
            )
            data = sink.getvalue()
            yield from (data[first : first + BLOCK] for first in range(0, len(data), BLOCK))

    backend.must(f"copy {table} ({names}) from stdin with (format csv)", feed())
    backend.must(f"select set_config('redshift.copied', '{loaded}', false)")
    return "COPY", f"Load into table '{table}' completed, {loaded} record(s) loaded successfully."


def _columns(backend: Backend, table: str) -> list[tuple[str, str]]:
    regclass = table.replace("'", "''").lower()
    rows, _ = backend.must(
        "select attname, format_type(atttypid, atttypmod) from pg_attribute"
        f" where attrelid = '{regclass}'::regclass and attnum > 0 and not attisdropped order by attnum"
    )
    return [(str(name), str(kind)) for name, kind in rows]


def _parquet(data: bytes, target: list[tuple[str, str]]) -> pa.Table:
    """A file's rows as texts, its columns taken by position."""
    file = pq.read_table(io.BytesIO(data))
    if file.num_columns != len(target):
        raise Refused(
            "Spectrum Scan Error: Unmatched number of columns between table and file. Table columns:"
            f" {len(target)}, Data columns: {file.num_columns}",
            page=COLUMNAR,
        )
    columns = []
    for (name, kind), column in zip(target, file.columns, strict=True):
        if not _fits(kind, column.type):
            raise Refused(
                f"Spectrum Scan Error: File has an incompatible Parquet schema for column '{name}'. Column"
                f" type: {kind.upper()}, Parquet schema: {column.type}",
                page=COLUMNAR,
            )
        if pa.types.is_timestamp(column.type) and column.type.tz:
            column = column.cast(pa.timestamp("us", "UTC"))
        texts = column.cast(pa.string())
        _check_length(name, kind, texts)
        if kind == "super":
            # A text is a text within SUPER, not JSON to be parsed (parse_json.html).
            texts = pa.chunked_array([[None if one is None else json.dumps(one) for one in texts.to_pylist()]], pa.string())
        columns.append(texts)
    return pa.table(columns, names=[str(number) for number in range(len(columns))])


def _fits(kind: str, found: pa.DataType) -> bool:
    if kind.startswith("character") or kind in ("text", "super"):
        return pa.types.is_string(found) or pa.types.is_large_string(found)
    if kind.startswith("numeric"):
        return pa.types.is_decimal(found)
    if kind.startswith("timestamp"):
        return pa.types.is_timestamp(found)
    return bool(_ARROW.get(kind) == found)


def _check_length(name: str, kind: str, texts: pa.ChunkedArray) -> None:
    bounded = re.fullmatch(r"character(?: varying)?\((\d+)\)", kind)
    limit = int(bounded[1]) if bounded else 65535 if kind == "super" else None
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if limit is not None and longest > limit:
        raise Refused(
            f"The length of the data column {name} is longer than the length defined in the table. Table:"
            f" {limit}, Data: {longest}",
            "22001",
            COLUMNAR,
        )


def _json(data: bytes, target: list[tuple[str, str]], zipped: bool) -> pa.Table:
    """A file of JSON objects, one a line, as texts, by the names of columns."""
    lines = (gzip.decompress(data) if zipped else data).splitlines()
    columns: dict[str, list[str | None]] = {name: [] for name, _ in target}
    kinds = dict(target)
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    for number, line in enumerate(lines, 1):
        if len(line) > JSON_BYTES:
            raise Refused(f"JSON object of line {number} exceeds 4 MB", page="copy_json.html")
        if not line.strip():
            continue
        try:
            found = decoder.decode(line)
        except msgspec.DecodeError as error:
            raise Refused(f"Invalid JSON format at line {number}: {error}") from error
        for name, values in columns.items():
            values.append(_scalar(found.get(name), kinds[name]))
    table = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    for name, kind in target:
        if kind != "super":
            _check_length(name, kind, table[name])
    return table


def _scalar(raw: msgspec.Raw | None, kind: str) -> str | None:
    if raw is None or bytes(raw) == b"null":
        return None
    found = bytes(raw)
    if kind != "super" and found[:1] == b'"':
        return msgspec.json.decode(found, type=str)
    if kind == "super" and found[:1] == b'"' and len(found) - 2 > 65535:
        raise Refused("a text within SUPER exceeds 65535 bytes", "22001", "limitations-super.html")
    return found.decode()


# -- UNLOAD
def _unload(
    sql: Sql, backend: Backend, storage: Storage, translated: Callable[[str], str]
) -> tuple[str, str]:
    inside = sql[2].text[1:-1].replace("''", "'").replace("\\'", "'")
    url = sql[5].text.strip("'")
    if not (sql[1].text == "(" and sql[2].kind == "string" and sql[4].word == "to" and sql[5].kind == "string"):
        raise Refused("syntax error in UNLOAD", "42601", UNLOAD_PAGE)
    options = _options(sql, 6, _UNLOAD_OPTIONS, UNLOAD_PAGE)
    if "parquet" not in options:
        raise Refused("the stand-in unloads Parquet only", "0A000", UNLOAD_PAGE)
    query = Sql(inside)
    if any(token.word == "limit" for token in query) and not any(token.text == "(" for token in query):
        raise Refused("Limit clause is not supported in UNLOAD's outer query", "0A000", UNLOAD_PAGE)
    present = storage.keys(url)
    if present and "cleanpath" in options:
        for key in present:
            storage.remove(key)
    elif present and "allowoverwrite" not in options:
        raise Refused(
            "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix,"
            " manually removing the target files in S3, or using the ALLOWOVERWRITE option.",
            page=UNLOAD_PAGE,
        )
    table = _answered(backend, translated(inside))
    entries = []
    for folder, part in _partitions(table, options.get("partition", ""), "include" in options):
        sink = io.BytesIO()
        pq.write_table(part, sink, compression="snappy")
        address = f"{url}{folder}0000_part_00.parquet"
        storage.write(address, sink.getvalue())
        meta = {"content_length": len(sink.getvalue()), "record_count": part.num_rows}
        entries.append({"url": address, "meta": meta})
    if "manifest" in options:
        manifest: dict[str, Any] = {"entries": entries}
        if "verbose" in options:
            manifest["schema"] = {"elements": [{"name": f.name, "type": {"base": str(f.type)}} for f in table.schema]}
            manifest["meta"] = {
                "content_length": sum(entry["meta"]["content_length"] for entry in entries),
                "record_count": table.num_rows,
            }
            manifest["author"] = {"name": "Amazon Redshift", "version": "1.0.0"}
        storage.write(f"{url}manifest", json.dumps(manifest).encode())
    return "UNLOAD", f"UNLOAD completed, {table.num_rows} record(s) unloaded successfully."


def _answered(backend: Backend, query: str) -> pa.Table:
    """The rows of a query with their types."""
    backend.must(f"select * from ({query}) as unloaded limit 0")
    columns = backend.columns
    if not columns:
        backend.must(query)
    kinds = [str(backend.must(f"select format_type({c.type}, {c.modifier})")[0][0][0]) for c in columns]
    written = ", ".join(
        f"\"{column.name}\" at time zone 'UTC' as \"{column.name}\""
        if kind == "timestamp with time zone"
        else f'"{column.name}"'
        for column, kind in zip(columns, kinds, strict=True)
    )
    _, data = backend.must(
        f"copy (select {written} from ({query}) as unloaded) to stdout with (format csv, force_quote *)"
    )
    names = [column.name for column in columns]
    if not data:
        return pa.table({n: pa.array([], _arrow(k)) for n, k in zip(names, kinds, strict=True)})
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


def _arrow(kind: str) -> pa.DataType:
    if bounded := re.fullmatch(r"numeric\((\d+),(\d+)\)", kind):
        return pa.decimal128(int(bounded[1]), int(bounded[2]))
    if kind == "numeric":
        return pa.decimal128(38, 9)
    return _ARROW.get(kind, pa.string())


def _typed(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    if pa.types.is_boolean(kind):
        return pc.equal(texts, "t")
    if pa.types.is_timestamp(kind) and kind.tz:
        return pc.assume_timezone(texts.cast(pa.timestamp("us")), "UTC")
    return texts.cast(kind)


def _partitions(table: pa.Table, by: str, include: bool) -> Iterator[tuple[str, pa.Table]]:
    names = [name for name in by.split(",") if name]
    if not names:
        yield "", table
        return
    keys = table.select(names).group_by(names).aggregate([]).to_pylist()
    for key in keys:
        chosen = pa.array([True] * table.num_rows)
        for name, value in key.items():
            same = pc.is_null(table[name]) if value is None else pc.equal(table[name], pa.scalar(value, table[name].type))
            chosen = pc.and_(chosen, pc.fill_null(same, False))
        part = table.filter(chosen)
        if not include:
            part = part.drop_columns(names)
        values = ("__HIVE_DEFAULT_PARTITION__" if value is None else value for value in key.values())
        folder = "/".join(f"{name}={value}" for name, value in zip(key, values, strict=True))
        yield f"{folder}/", part
