"""Answers in other forms than plain JSON: NDJSON and CSV, each also as gzip, made into one JSON document.

So every format takes the way of JSON from the door on, and its values land as they stand: the text of a CSV
cell as a string, an empty one as the empty string. A body is read up to a limit of its expanded size
and of its expansion, which are looked at for each megabyte, so a bomb costs no more memory than that.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import httpx
import msgspec

from loaders._core.errors import BadBody, VendorError
from loaders._core.http import Form
from loaders._core.naming import ColumnNames

Format = Literal["json", "ndjson", "csv"]

_GZIP = b"\x1f\x8b"
_PIECE = 1 << 20
_FREE = 1 << 20  # small bodies may be of any ratio
_CHARSETS = {"utf-8", "utf8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "utf-16"}
_ANY = msgspec.json.Decoder(msgspec.Raw)  # checks the syntax, builds nothing
_BLOCK = 2_000
csv.field_size_limit(2**31 - 1)  # of a cell; the body has a limit already


@dataclass(frozen=True)
class Limits:
    """How large a body may become, in megabytes and as a multiple of what came over the wire."""

    max_megabytes: int
    max_ratio: int


def form_of(format: Format, limits: Limits, *, delimiter: str = ",", columns: Collection[str] = ()) -> Form:
    """What makes a JSON document of an answer in this format; ``columns`` are those a CSV must have.

    The result raises ``BadBody`` for what another try may heal (cut off, an HTML page of someone
    between) and ``VendorError`` for what will be the same again.
    """
    make: dict[Format, Callable[[str], bytes]] = {
        "json": str.encode,
        "ndjson": from_lines,
        "csv": lambda text: from_csv(text, delimiter, columns),
    }

    def form(headers: httpx.Headers, chunks: Iterator[bytes]) -> bytes:
        kind, _, rest = headers.get("content-type", "").lower().partition(";")
        if kind.strip() == "text/html" or (format == "csv" and kind.strip() == "application/json"):
            raise BadBody(f"the answer is {kind.strip()}, not {format}: see whether the address is right")
        body = b"".join(expanded(headers.get("content-encoding", ""), chunks, limits))
        if not body.strip():
            raise BadBody("the body is empty, which says neither that there are rows nor that there are none")
        ends = "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()
        if format != "json" and not ends and not body.endswith(b"\n"):
            raise BadBody(
                "the server does not say how long its answer is, and the last line does not end: it may be"
                " cut off"
            )
        return make[format](_text(body, rest))

    return form


def expanded(encoding: str, chunks: Iterable[bytes], limits: Limits) -> Iterator[bytes]:
    """A body without its gzip, whether that is a Content-Encoding, the file itself, or both.

    Raises:
        BadBody: it is cut off or broken.
        VendorError: it is encoded otherwise, or beyond a limit.
    """
    came = 0

    def counted() -> Iterator[bytes]:
        nonlocal came
        for chunk in chunks:
            came += len(chunk)
            yield chunk

    coding = encoding.strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise VendorError(f"the body has the Content-Encoding {encoding!r}; gzip or none was asked for")
    pieces = _gunzipped(counted()) if "gzip" in coding else counted()
    size = 0
    for piece in _without_gzip(pieces):
        size += len(piece)
        if size > limits.max_megabytes << 20:
            raise VendorError(
                f"the body is larger than {limits.max_megabytes} MB; ask for less at once, or raise"
                " max_megabytes"
            )
        if size > max(_FREE, came * limits.max_ratio):
            raise VendorError(
                f"the body expands to more than {limits.max_ratio} times what came over the wire, as a"
                " decompression bomb does; raise max_ratio if it is meant to"
            )
        yield piece


def _without_gzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    first = b""
    while len(first) < len(_GZIP) and (piece := next(pieces, None)) is not None:
        first += piece
    joined = itertools.chain([first], pieces)
    return _gunzipped(joined) if first.startswith(_GZIP) else joined


def _gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    member = None
    for chunk in chunks:
        left = chunk
        while left:
            if member is None:
                left = left.lstrip(b"\0")  # padding between members, as gzip itself skips it
                if not left:
                    break
                member = zlib.decompressobj(wbits=31)
            try:
                yield member.decompress(left, _PIECE)
            except zlib.error as error:
                raise BadBody(f"the compressed body is broken ({error})") from None
            left = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member = None
    if member is not None:
        raise BadBody("the compressed body is cut off")


def _text(body: bytes, parameters: str) -> str:
    found = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters)
    charset = found[1] if found else "utf-8"
    if charset not in _CHARSETS:
        raise VendorError(f"the body is in {charset!r}; read are {', '.join(sorted(_CHARSETS))}")
    try:
        return body.decode(charset).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if error.end == len(body):
            raise BadBody("the body ends in the middle of a character") from None
        raise VendorError(
            f"byte {error.start + 1:,} of the body is not {charset}; the server must send UTF-8, or say which"
            " charset it sends"
        ) from None


def from_lines(text: str) -> bytes:
    """NDJSON, one document a line, as a JSON list.

    Raises:
        BadBody: the last line is no whole JSON.
        VendorError: another one is none.
    """
    lines = text.split("\n")
    last = max(number for number, line in enumerate(lines) if line.strip())
    found = []
    for number, line in enumerate(lines[: last + 1]):
        document = line.strip(" \t\r").encode()
        if document:
            try:
                _ANY.decode(document)
            except (msgspec.DecodeError, RecursionError) as error:
                told = f"line {number + 1:,} is no whole JSON document ({error})"
                raise (
                    BadBody(f"{told}, so the body is cut off") if number == last else VendorError(told)
                ) from None
            found.append(document)
    return b"[" + b",".join(found) + b"]"


def from_csv(text: str, delimiter: str, columns: Collection[str]) -> bytes:
    """CSV with a line of names at its head, as a JSON list of objects of strings.

    Raises:
        BadBody: it ends inside quotes or in a line that is too short.
        VendorError: names or cells do not fit each other.
    """
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    blocks: list[bytes] = []
    try:
        header = next((line for line in lines if line), [])
        _check_header(header, columns)
        rows = _rows(lines, header)
        while block := list(itertools.islice(rows, _BLOCK)):
            blocks.append(msgspec.json.encode(block)[1:-1])
    except csv.Error as error:
        told = f"line {lines.line_num:,} is no CSV ({error})"
        raise (
            BadBody(f"{told}; is it cut off?") if "unexpected end" in str(error) else VendorError(told)
        ) from None
    return b"[" + b",".join(blocks) + b"]"


def _check_header(header: list[str], columns: Collection[str]) -> None:
    if header and header[0].lstrip()[:1] in ("<", "{", "["):
        raise BadBody(f"the body is no CSV, it begins with {header[0].lstrip()[0]!r}")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise VendorError(f"the CSV has more than one column {', '.join(map(repr, twice))}")
    named = ColumnNames()
    there = {*header, *(named.name((name,)) for name in header)}
    if missing := [name for name in columns if name not in there]:
        raise VendorError(
            f"the CSV has no column {', '.join(map(repr, missing))}; it has {', '.join(header)[:200]}."
            " See date, columns and delimiter"
        )


def _rows(lines: Iterator[list[str]], header: list[str]) -> Iterator[dict[str, str]]:
    before: tuple[int, int] | None = None
    for number, cells in enumerate(lines, 1):
        if before:
            raise VendorError(_ragged(before, header))
        if not cells and len(header) > 1:
            continue
        row = cells or [""]
        if len(row) > len(header):
            raise VendorError(_ragged((number, len(row)), header))
        if len(row) < len(header):
            before = (number, len(row))  # cut off if it is the last one
            continue
        yield dict(zip(header, row, strict=True))
    if before:
        raise BadBody(f"{_ragged(before, header)}, and it is the last one: the body is cut off")


def _ragged(found: tuple[int, int], header: list[str]) -> str:
    return f"row {found[0]:,} has {found[1]} cells, the header has {len(header)}"
