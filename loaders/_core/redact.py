"""Keeps secrets out of every text that leaves the process: messages, logs, tracebacks.

Two nets: known secrets (``secret(value)``) are replaced wherever they stand, also percent- or JSON-encoded;
and whatever follows a telling name (``access_token=``, ``"client_secret": "``, ``Authorization: Bearer``,
``user:password@host``) is replaced even if nobody has registered it, such as the token in a paging link.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any
from urllib.parse import quote, quote_plus

HIDDEN = "***"
_SHORTEST = 4  # a shorter secret would blank ordinary words out of every message

_NAME = (
    r"(?:access[_-]?token|appsecret[_-]?proof|app[_-]?secret|client[_-]?secret|refresh[_-]?token|id[_-]?token"
    r"|developer[_-]?token|api[_-]?key|x-clevertap-passcode|passcode|password|passwd|pgpassword|pwd"
    r"|secret[_-]?(?:access[_-]?)?key|secret[_-]?key|secret|private[_-]?key|signature|x-amz-security-token)"
)
_IS_NAME = re.compile(rf"(?i)(?:[\w.-]*[_.-])?{_NAME}")
# = and & and quotes may stand percent-encoded: a link inside a link
_PAIRS = re.compile(
    rf"""(?ix)
    (?P<name>{_NAME})
    (?P<between>(?:\\?["'])?\s*(?:=|:|,|%3D|%253D|%22%3A(?:%20|\+)?%22)\s*(?:b(?=["']))?)
    (?:(?P<quote>\\?["'])(?P<quoted>(?:\\.|(?!(?P=quote)).)*)(?P=quote)
      |(?P<bare>(?:(?!%26|%22|%2526)[^\s&"'<>\\,;)\]}}])+))
    """
)
_AUTHORIZATION = re.compile(
    r"""(?i)(authorization\\?["']?\s*[:=,]\s*(?:b(?=["']))?\\?["']?\s*)(?:(?:bearer|basic|token|oauth)\s+)?[^\s"',;)\]}]+"""
)
_BEARER = re.compile(r"(?i)\b(bearer\s+)[A-Za-z0-9._~+/=|-]{8,}")
_DSN = re.compile(r"(?i)([a-z][a-z0-9+.-]*://[^\s:/@\"']*:)[^\s/\"']*(@)")

_known: set[str] = set()
_lock = threading.Lock()


def secret(value: str) -> str:
    """Register a secret so that it is replaced wherever it appears; gives it back."""
    if len(value) >= _SHORTEST:
        forms = {value, quote(value, safe=""), quote(value), quote_plus(value), json.dumps(value)[1:-1]}
        with _lock:
            _known.update(forms)
    return value


_LONG = 12  # a shorter secret may stand in a vendor's data and be something else


def masked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces of a body with stars in place of each known secret, as many as it has bytes.

    Of what a vendor sends back: a link to the next page may have the token in it.
    """
    with _lock:
        known = sorted({each.encode() for each in _known if len(each) >= _LONG}, key=len, reverse=True)
    if not known:
        yield from pieces
        return
    pattern, overlap = re.compile(b"|".join(map(re.escape, known))), len(known[0]) - 1
    held = b""
    for piece in pieces:
        held = pattern.sub(lambda found: b"*" * len(found[0]), held + piece)
        if len(held) > overlap:
            yield held[: len(held) - overlap]
            held = held[len(held) - overlap :]
    yield held


def is_secret_name(name: str) -> bool:
    """Whether a parameter, header or setting of this name holds a secret."""
    return _IS_NAME.fullmatch(name) is not None or name.lower() == "authorization"


def redact(text: str) -> str:
    """The text with every secret replaced by ``***``."""
    with _lock:
        known = sorted(_known, key=len, reverse=True)
    for value in known:
        text = text.replace(value, HIDDEN)
    text = _DSN.sub(rf"\1{HIDDEN}\2", text)
    text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    return _PAIRS.sub(_hide, text)


def _hide(match: re.Match[str]) -> str:
    mark = match["quote"] or ""
    return f"{match['name']}{match['between']}{mark}{HIDDEN}{mark}"


class RedactingFilter(logging.Filter):
    """Replaces secrets in a record's message and traceback; lets every record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Redact in place. Untouched records keep their arguments: some formatters read them."""
        try:
            message = record.getMessage()
        except Exception:
            message = str(record.msg)
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[0]:
            told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            clean = redact(told)
            if clean != told:
                record.exc_info, record.exc_text = None, clean
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def install() -> None:
    """Redact all log records of this process, whatever their logger or handler, and uncaught tracebacks.

    Also silences the per-request lines of the HTTP client, which hold whole URLs. May be called repeatedly.
    """
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    make = logging.getLogRecordFactory()
    if getattr(make, "redacts", False):
        return
    redacting = RedactingFilter()

    def factory(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        redacting.filter(record)
        return record

    factory.redacts = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(factory)
    sys.excepthook = _print_redacted


def _print_redacted(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))
