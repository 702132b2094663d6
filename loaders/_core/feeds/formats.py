"""The records of an answer: a list somewhere in a JSON document, NDJSON or CSV, each also as gzip.

All become JSON lists of some records, so every format takes the way of JSON from the door on, and its values
land as they stand: the text of a CSV cell as a string, an empty one as the empty string. Lines are taken as
they come; only a JSON document is held whole. A body is read up to a limit of its expanded size and of its
expansion, which are looked at for each megabyte, so a bomb costs no more memory than that.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import re
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import msgspec

from loaders._core.errors import BadBody, VendorError
from loaders._core.naming import ColumnNames

Format = Literal["json", "ndjson", "csv"]
Block = tuple[int, bytes]  # so many records as a JSON list
# Of the headers and raw chunks of an answer: the JSON document around the records, if there is one, and they.
Form = Callable[[httpx.Headers, Iterator[bytes]], tuple[bytes, Iterator[Block]]]

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


def form_of(
    format: Format,
    limits: Limits,
    *,
    delimiter: str = ",",
    columns: Collection[str] = (),
    records: Sequence[str] = (),
) -> Form:
    """What finds the records of an answer in this format.

    The result raises ``BadBody`` for what another try may heal (cut off, an HTML page of someone
    between) and ``VendorError`` for what will be the same again, also while its blocks are taken.

    Args:
        columns: those that a CSV must have.
        records: path to the list of records in a JSON document.
    """

    def form(headers: httpx.Headers, chunks: Iterator[bytes]) -> tuple[bytes, Iterator[Block]]:
        kind, _, rest = headers.get("content-type", "").lower().partition(";")
        if kind.strip() == "text/html" or (format == "csv" and kind.strip() == "application/json"):
            raise BadBody(f"the answer is {kind.strip()}, not {format}: see whether the address is right")
        ends = "content-length" in headers or "chunked" in headers.get("transfer-encoding", "").lower()
        pieces = expanded(headers.get("content-encoding", ""), chunks, limits)
        pieces = _whole(_in_utf8(pieces, rest), ends or format == "json")
        if format == "json":
            body = b"".join(pieces)
            return body, _blocks(from_json(body, records))
        # A line of NDJSON ends with one character; csv must see which of the three its line ended with.
        lines = io.TextIOWrapper(
            io.BufferedReader(_Body(pieces)), "utf-8", newline="\n" if format == "ndjson" else ""
        )
        return b"", _blocks(from_lines(lines) if format == "ndjson" else from_csv(lines, delimiter, columns))

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
    pieces = gunzipped(counted()) if "gzip" in coding else counted()
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
    return gunzipped(joined) if first.startswith(_GZIP) else joined


def gunzipped(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """What is within gzip, at most a megabyte at a time.

    Raises:
        BadBody: it is cut off or broken.
    """
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


def _in_utf8(pieces: Iterable[bytes], parameters: str) -> Iterator[bytes]:
    found = re.search(r"charset\s*=\s*\"?([^\s\";]+)", parameters)
    charset = found[1] if found else "utf-8"
    if charset not in _CHARSETS:
        raise VendorError(f"the body is in {charset!r}; read are {', '.join(sorted(_CHARSETS))}")
    decoder, came, begun = codecs.getincrementaldecoder(charset)(), 0, False
    for piece in pieces:
        came += len(piece)
        try:
            text = decoder.decode(piece)
        except UnicodeDecodeError as error:
            at = came - len(error.object) + error.start + 1
            raise VendorError(
                f"byte {at:,} of the body is not {charset}; the server must send UTF-8, or say which charset"
                " it sends"
            ) from None
        if text:
            yield (text if begun else text.removeprefix("\ufeff")).encode()
            begun = True
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise BadBody("the body ends in the middle of a character") from None


def _whole(pieces: Iterable[bytes], ends: bool) -> Iterator[bytes]:
    """The same, which must be something and, if nothing else shows the end, end with a line."""
    last, is_blank = b"", True
    for piece in pieces:
        is_blank = is_blank and not piece.strip()
        last = piece[-1:] or last
        yield piece
    if is_blank:
        raise BadBody("the body is empty, which says neither that there are rows nor that there are none")
    if not ends and last != b"\n":
        raise BadBody(
            "the server does not say how long its answer is, and the last line does not end: it may be cut"
            " off"
        )


class _Body(io.RawIOBase):
    """A file of what comes in, for the line reading of ``io``."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        taken = min(len(buffer), len(self._left))
        buffer[:taken] = self._left[:taken]
        self._left = self._left[taken:]
        return taken


def _blocks(records: Iterable[bytes | msgspec.Raw]) -> Iterator[Block]:
    held: list[bytes] = []
    size = 0
    for number, record in enumerate(map(bytes, records), 1):
        if record[:1] != b"{":
            raise VendorError(f"record {number:,} is no object of names and values; see the setting records")
        held.append(record)
        size += len(record)
        if len(held) == _BLOCK or size >= _PIECE:
            yield len(held), b"[" + b",".join(held) + b"]"
            held, size = [], 0
    if held:
        yield len(held), b"[" + b",".join(held) + b"]"


def from_json(body: bytes, path: Sequence[str]) -> list[msgspec.Raw]:
    """The records of a JSON document.

    Raises:
        BadBody: it is no whole JSON.
        VendorError: there is no list where they should be.
    """
    inner: msgspec.Raw | None = msgspec.Raw(body)
    for done, key in enumerate(path):
        inner = (decoded(inner, dict[str, msgspec.Raw]) or {}).get(key)
        if inner is None:
            at = ".".join(path[: done + 1])
            raise VendorError(
                f"the answer has no {at!r}, where its records should be; see the setting records"
            )
    found: list[msgspec.Raw] | None = decoded(inner, list[msgspec.Raw])
    if found is None:
        at = repr(".".join(path)) if path else "the answer"
        raise VendorError(f"{at} is no list of records; see the setting records")
    return found


def decoded(raw: Any, form: Any) -> Any:
    """A part of a JSON document in this form; None if it has another.

    Raises:
        BadBody: it is no whole JSON.
    """
    try:
        return msgspec.json.decode(raw, type=form)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadBody(f"the answer is not whole JSON ({error})") from None


def from_lines(lines: Iterable[str]) -> Iterator[bytes]:
    """The records of NDJSON, one document a line.

    Raises:
        BadBody: the last line is no whole JSON.
        VendorError: another one is none.
    """
    broken = ""
    for number, line in enumerate(lines, 1):
        document = line.strip(" \t\r\n").encode()
        if not document:
            continue
        if broken:
            raise VendorError(broken)
        try:
            _ANY.decode(document)
        except (msgspec.DecodeError, RecursionError) as error:
            broken = f"line {number:,} is no whole JSON document ({error})"
            continue
        yield document
    if broken:
        raise BadBody(f"{broken}, so the body is cut off")


def from_csv(text: Iterable[str], delimiter: str, columns: Collection[str]) -> Iterator[bytes]:
    """The records of a CSV with a line of names at its head, as JSON objects of strings.

    Raises:
        BadBody: it ends inside quotes or in a line that is too short.
        VendorError: names or cells do not fit each other.
    """
    lines = csv.reader(text, delimiter=delimiter, strict=True)
    try:
        header = next((line for line in lines if line), [])
        _check_header(header, columns)
        yield from map(msgspec.json.encode, _rows(lines, header))
    except csv.Error as error:
        told = f"line {lines.line_num:,} is no CSV ({error})"
        raise (
            BadBody(f"{told}; is it cut off?") if "unexpected end" in str(error) else VendorError(told)
        ) from None


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
