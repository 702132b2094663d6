"""Rows in the text format of Postgres' COPY (https://www.postgresql.org/docs/current/sql-copy.html)."""

from __future__ import annotations

import re
from collections.abc import Iterable

NULL = b"\\N"
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_MEANT = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def line(values: Iterable[str | None]) -> bytes:
    """A row as a line, with its end."""
    return ("\t".join("\\N" if v is None else v.translate(ESCAPES) for v in values) + "\n").encode()


def field_value(field: bytes) -> str | None:
    """What a field of a line says."""
    if field == NULL:
        return None
    if b"\\" in field:
        field = _ESCAPED.sub(lambda found: _MEANT.get(found[1], found[1]), field)
    return field.decode()
