"""Text that Postgres can't hold, made holdable and back again.

Postgres text has no U+0000, and UTF-8 no lone surrogates, but JSON strings may have both. Each such
character becomes U+E000 and its four hexadecimal digits; so does U+E000 itself, which makes the escape
reversible for every text.
"""

from __future__ import annotations

import re

MARK = "\ue000"
_UNHOLDABLE = re.compile("[\x00\ud800-\udfff\ue000]")
_JSON_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u(0000|[dD][89a-fA-F][\da-fA-F]{2})|.)"
)
_MARK_BYTES, _MARK_LEAD = MARK.encode(), MARK.encode()[:1]
_ESCAPED = re.compile(MARK + "([0-9a-fA-F]{4})")


def escape(text: str) -> str:
    """``text`` without U+0000, lone surrogates and bare U+E000; all other text comes back as it is."""
    return _UNHOLDABLE.sub(lambda found: f"{MARK}{ord(found[0]):04x}", text)


def unescape(text: str) -> str:
    """The text that ``escape`` was given."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)


def escape_in_json(document: str) -> str:
    """A JSON document with marks for the U+0000 and lone surrogates that its strings spell as escapes."""
    return _JSON_ESCAPE.sub(lambda found: f"\\ue000{found[1].lower()}" if found[1] else found[0], document)


def has_mark(data: bytes) -> bool:
    """Is U+E000 in this UTF-8? Its first byte alone is found twenty times as fast, and few texts have it."""
    return _MARK_LEAD in data and _MARK_BYTES in data
