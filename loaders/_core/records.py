"""JSON documents into columns of exact text.

Every scalar becomes the text of its literal (a string without quotes and escapes), every list and object
its JSON text byte for byte, absent and null become null. There are two ways to the same columns: the slow
one takes any record apart in Python; the fast one decodes into a structure that was learnt from the pages
before, and gives up as soon as a page does not fit it (a new field, a number where strings were, a character
that needs escaping). Then the slow way reads that page, and what it saw is learnt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loaders._core.errors import BadBody
from loaders._core.text import escape, has_mark

Path = tuple[str, ...]
_SUSPICIOUS = re.compile(rb"\\u(?:0000|[eE]000)")
# Names that the fast way can't have, and half pairs that no UTF-8 has.
_UNNAMEABLE = re.compile(r'[\x00-\x1f"\\\ud800-\udfff]')
_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass
class Page:
    """The columns of one document: ``columns`` by path in the record, all of ``rows`` texts.

    Attributes:
        nested: of them those in which this page was the first to have a list or an object.
    """

    rows: int
    columns: dict[Path, pa.Array]
    escaped: int = 0
    nested: frozenset[Path] = frozenset()

    def slice(self, start: int, stop: int) -> Page:
        """The rows from ``start`` to before ``stop``."""
        columns = {path: column.slice(start, stop - start) for path, column in self.columns.items()}
        return Page(stop - start, columns, nested=self.nested)


class RecordReader:
    """Turns the documents of one resource into pages.

    Args:
        records: path to the list of records in a document; empty for the document itself.
        opens: fields of a record whose objects are opened one level.
    """

    def __init__(self, records: Path, opens: Sequence[str] = ()) -> None:
        self.records = records
        self.opens = frozenset(opens)
        # What a field was seen to hold: strings only (True) or anything (False).
        self._plain: dict[Path, bool] = {}
        self._nested: set[Path] = set()
        # An opened field that once held no object; it then is a column, too, which the fast way has not.
        self._shut = False
        self._decoder: msgspec.json.Decoder[Any] | None = None
        self._layout: list[tuple[str, list[Path] | None]] = []

    def read(self, body: bytes) -> Page:
        """The records of one document.

        Raises:
            BadBody: it is not JSON, not UTF-8, or has no list of objects where the records should be.
        """
        if self._decoder is not None and not _needs_escaping(body):
            try:
                return self._fast(body, self._decoder)
            except (msgspec.DecodeError, UnicodeDecodeError, pa.ArrowInvalid):
                pass  # The slow way finds out whether the page is new or bad.
        try:
            return self._slow(self._find(body.decode()))
        except (ValueError, RecursionError) as error:
            raise BadBody(f"not a JSON document of records in UTF-8: {error}") from None

    def read_each(self, records: Sequence[bytes]) -> Page:
        """As ``read`` of a list of these records, each of them a JSON object in itself.

        Raises:
            BadBody: one of them is none.
        """
        if self._decoder is not None and not _needs_escaping(b"".join(records)):
            try:
                found = list(map(self._decoder.decode, records))
                if not any(isinstance(each, list) for each in found):
                    return self._page(found)
            except (msgspec.DecodeError, UnicodeDecodeError, pa.ArrowInvalid):
                pass  # as above
        try:
            return self._slow([_members(value_of(record.decode())) for record in records])
        except (ValueError, RecursionError) as error:
            raise BadBody(f"not a JSON object in UTF-8: {error}") from None

    # -- any record, in Python --------------------------------------------------------------------

    def _slow(self, rows: list[dict[str, str]]) -> Page:
        cells: dict[Path, list[str | None]] = {}
        nested: set[Path] = set()
        escaped = 0
        for number, row in enumerate(rows):
            for path, raw in self._fields(row):
                text = _text(raw)
                if text is not None:
                    safe = escape(text)
                    escaped += safe != text
                    text = safe
                cells.setdefault(path, [None] * len(rows))[number] = text
                self._plain[path] = self._plain.get(path, True) and (raw[0] == '"' or raw == "null")
                if raw[0] in "[{":
                    nested.add(path)
        self._compile()
        columns = {path: pa.array(texts, pa.string()) for path, texts in cells.items()}
        new, self._nested = nested - self._nested, self._nested | nested
        return Page(len(rows), columns, escaped, frozenset(new))

    def _find(self, document: str) -> list[dict[str, str]]:
        found = value_of(document)
        for key in self.records:
            found = _members(found).get(key, "null")
            if found == "null":
                return []
        if not self.records and found[0] == "{":
            return [_members(found)]
        return [_members(record) for record in _elements(found)]

    def _fields(self, row: dict[str, str]) -> list[tuple[Path, str]]:
        fields: list[tuple[Path, str]] = []
        for key, raw in row.items():
            if key in self.opens and raw[0] == "{":
                fields += [((key, name), part) for name, part in _members(raw).items()]
            else:
                fields.append(((key,), raw))
                self._shut |= key in self.opens and raw != "null"
        return fields

    # -- the records as learnt, in C --------------------------------------------------------------

    def _compile(self) -> None:
        self._decoder = None
        if self._shut or not self._plain or any(map(_UNNAMEABLE.search, chain.from_iterable(self._plain))):
            return
        inside: dict[str, list[Path]] = {key: [] for key in sorted(self.opens)}
        for path in self._plain:
            if len(path) == 2:
                inside[path[0]].append(path)
        names = [path[0] for path in self._plain if len(path) == 1 and path[0] not in self.opens]
        self._layout = [(name, None) for name in names] + list(inside.items())
        parts: list[tuple[str, Any]] = [(name, self._kind((name,))) for name in names]
        parts += [
            (key, _struct([(p[1], self._kind(p)) for p in paths]) | None) for key, paths in inside.items()
        ]
        record = _struct(parts)
        whole: Any = list[record] if self.records else list[record] | record  # type: ignore[valid-type]
        for key in reversed(self.records):
            whole = _struct([(key, whole | None)], strict=False)
        self._decoder = msgspec.json.Decoder(whole)

    def _kind(self, path: Path) -> Any:
        return str | None if self._plain[path] else msgspec.Raw

    def _fast(self, body: bytes, decoder: msgspec.json.Decoder[Any]) -> Page:
        found = decoder.decode(body)
        for _ in self.records:
            found = None if found is None else found.f0
        return self._page(found if isinstance(found, list) else [] if found is None else [found])

    def _page(self, rows: list[Any]) -> Page:
        columns: dict[Path, pa.Array] = {}
        if rows:
            for (name, paths), values in zip(self._layout, _transpose(rows), strict=True):
                if paths is None:
                    columns[(name,)] = self._column((name,), values)
                elif paths:
                    empty = next((type(value)() for value in values if value is not None), None)
                    if empty is not None:
                        objects = [empty if value is None else value for value in values]
                        for path, inner in zip(paths, _transpose(objects), strict=True):
                            columns[path] = self._column(path, inner)
        return Page(len(rows), columns)

    def _column(self, path: Path, values: Sequence[Any]) -> pa.Array:
        return pa.array(values, pa.string()) if self._plain[path] else _raw_column(values)


def _transpose(rows: Sequence[Any]) -> list[tuple[Any, ...]]:
    return list(zip(*map(msgspec.structs.astuple, rows), strict=True))


def _struct(fields: Sequence[tuple[str, Any]], strict: bool = True) -> Any:
    """A structure with these JSON names; ``strict`` refuses any other."""
    return msgspec.defstruct(
        "Learnt",
        [(f"f{number}", kind, None) for number, (_, kind) in enumerate(fields)],
        rename={f"f{number}": name for number, (name, _) in enumerate(fields)},
        forbid_unknown_fields=strict,
        gc=False,
    )


def _raw_column(values: Sequence[Any]) -> pa.Array:
    """Texts of undecoded values: no literal is empty, so what is was absent."""
    raws = [b"" if value is None else value for value in values]
    ends = np.cumsum(np.fromiter(map(len, raws), np.int64, len(raws)), dtype=np.int64)
    offsets = np.zeros(len(raws) + 1, np.int32)
    offsets[1:] = ends
    data = pa.py_buffer(b"".join(raws))
    texts = pa.StringArray.from_buffers(len(raws), pa.py_buffer(offsets), data)
    texts.validate(full=True)
    gone = pc.or_(pc.equal(pc.binary_length(texts), 0), pc.equal(texts, "null"))
    texts = pc.if_else(gone, pa.scalar(None, pa.string()), texts)
    quoted = pc.starts_with(texts, '"')
    if pc.any(quoted).as_py():
        strings = [_text(raw) for raw in texts.filter(quoted).to_pylist()]
        texts = pc.replace_with_mask(texts, pc.fill_null(quoted, False), pa.array(strings, pa.string()))
    return texts


def _text(raw: str) -> str | None:
    """A JSON value as raw holds it, escapes aside."""
    if raw[0] == '"':
        return str(scanstring(raw, 1)[0])
    return None if raw == "null" else raw


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


# The standard library's scanner, because it lets lone surrogates pass. What it makes of numbers is not used.
_SCAN = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse).raw_decode


def value_of(document: str) -> str:
    """The one JSON value of a document as it is spelled, without space around; it may have lone surrogates.

    Raises:
        ValueError: it is no JSON.
    """
    start = _skip(document, 0)
    end = _SCAN(document, start)[1]
    if _skip(document, end) != len(document):
        raise ValueError(f"there is more after its end at character {end}")
    return document[start:end]


def _members(text: str) -> dict[str, str]:
    """Keys and the texts of their values of a JSON object that was found valid."""
    if text[0] != "{":
        raise ValueError(f"an object was expected, not {text[:40]}")
    members = {}
    at = _skip(text, 1)
    while text[at] != "}":
        key, at = scanstring(text, at + 1)
        at = _skip(text, _skip(text, at) + 1)  # the colon
        end = _SCAN(text, at)[1]
        members[key] = text[at:end]
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return members


def _elements(text: str) -> list[str]:
    """The texts of the elements of a JSON list that was found valid."""
    if text[0] != "[":
        raise ValueError(f"a list was expected, not {text[:40]}")
    elements = []
    at = _skip(text, 1)
    while text[at] != "]":
        end = _SCAN(text, at)[1]
        elements.append(text[at:end])
        at = _skip(text, end)
        at = _skip(text, at + 1) if text[at] == "," else at
    return elements


def elements_of(document: str) -> list[str]:
    """As ``value_of``, of each element of a list."""
    return _elements(value_of(document))


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _needs_escaping(body: bytes) -> bool:
    # A byte is found forty times as fast as the pattern, and two bytes at half its speed.
    return has_mark(body) or (b"\\" in body and _SUSPICIOUS.search(body) is not None)
