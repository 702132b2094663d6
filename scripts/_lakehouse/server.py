"""Serves the lake to BI tools as a Postgres that can only be read. Run by scripts/sql --serve.

It speaks Postgres' protocol (https://www.postgresql.org/docs/current/protocol.html), both simple and extended
queries, in the text format; each query is answered by a DuckDB of its own, on whole versions of the lake's
tables. The messages are those of the stand-in for Redshift (simulators/redshift/wire.py).
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import socketserver
import ssl
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
from _sql import answer

from _lakehouse.catalog import Lake
from loaders._core.errors import AdstarError, ConfigurationError
from loaders._core.redact import secret
from simulators.redshift import wire

SHORTEST = 12
_NUMBERS = {"bool": 16, "int64": 20, "int32": 23, "double": 701, "date32[day]": 1082}
_PARAMETERS = {
    "server_version": "15.0",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "DateStyle": "ISO, YMD",
    "TimeZone": "UTC",
    "integer_datetimes": "on",
    "standard_conforming_strings": "on",
}
_SHOWN = {name.lower(): value for name, value in _PARAMETERS.items()} | {
    "transaction_isolation": "repeatable read",
    "transaction isolation level": "repeatable read",
    "search_path": "marts",
}
_DONE = {
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "set",
    "reset",
    "discard",
    "deallocate",
    "close",
}
_ENDS = {"commit", "end", "rollback", "abort"}
_PLACEHOLDER = re.compile(r"\$(\d+)")


@dataclass
class _Session:
    """A connection's state."""

    statements: dict[str, str] = field(default_factory=dict)
    portals: dict[str, tuple[str, list[str | None]]] = field(default_factory=dict)
    status: bytes = b"I"
    skips: bool = False  # until Sync, after an error among extended messages


class Server(socketserver.ThreadingTCPServer):
    """A server of one lake; a context manager whose ``serve_forever`` serves.

    Args:
        password: what every user must give.
        certificate: files of a certificate and its key; without them it serves this machine alone.

    Raises:
        ConfigurationError: others could read the password, or it is too short.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(
        self, lake: Lake, host: str, port: int, password: str, certificate: tuple[str, str] | None = None
    ) -> None:
        """Listen; nobody is served before ``serve_forever``."""
        if len(password) < SHORTEST:
            raise ConfigurationError(
                f"ADSTAR_SQL_PASSWORD has {len(password)} characters; BI tools log in with it: set one of"
                f" {SHORTEST} or more"
            )
        if certificate is None and not ipaddress.ip_address(host).is_loopback:
            raise ConfigurationError(
                f"{host} is open to others, who could read the password on its way: set"
                " ADSTAR_SQL_CERTIFICATE and ADSTAR_SQL_CERTIFICATE_KEY to the files of a certificate,"
                " or serve 127.0.0.1"
            )
        self.lake = lake
        self.password = secret(password)
        self.tls: ssl.SSLContext | None = None
        if certificate is not None:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(*certificate)
        super().__init__((host, port), _Handler)


class _Handler(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        with suppress(wire.Closed, ConnectionError, ssl.SSLError):
            self._wire = wire.Wire(self.request)
            if self._begin():
                self._serve(_Session())

    def _begin(self) -> bool:
        code, _ = self._wire.first()
        while code in (wire.SSL_REQUEST, wire.GSS_REQUEST):
            if code == wire.SSL_REQUEST and self.server.tls:
                self.request.sendall(b"S")
                self.request = self.server.tls.wrap_socket(self.request, server_side=True)
                self._wire = wire.Wire(self.request)
            else:
                self.request.sendall(b"N")
            code, _ = self._wire.first()
        if code != wire.VERSION:
            return False  # such as somebody who wants a query cancelled
        if self.server.tls and not isinstance(self.request, ssl.SSLSocket):
            self._refuse("28000", "this server wants TLS: connect with sslmode=require")
            return False
        self._wire.send(b"R", struct.pack("!I", 3))
        kind, body = self._wire.one()
        given = body.rstrip(b"\0")
        if kind != b"p" or not hmac.compare_digest(given, self.server.password.encode()):
            self._refuse("28P01", "the password is not the one of ADSTAR_SQL_PASSWORD")
            return False
        self._wire.send(b"R", struct.pack("!I", 0))
        for name, value in _PARAMETERS.items():
            self._wire.send(b"S", wire.text(name) + wire.text(value))
        self._wire.send(b"Z", b"I")
        return True

    def _refuse(self, code: str, message: str) -> None:
        self._wire.send(b"E", wire.told({"S": "ERROR", "V": "ERROR", "C": code, "M": message}))

    def _serve(self, session: _Session) -> None:
        while True:
            kind, body = self._wire.one()
            if kind == b"X":
                return
            if kind == b"S":
                session.skips = False
                self._wire.send(b"Z", session.status)
                continue
            if session.skips:
                continue
            try:
                self._message(session, kind, body)
            except AdstarError as error:
                self._refuse("42000", str(error))
                session.status = b"E" if session.status != b"I" else b"I"
                session.skips = kind != b"Q"
            if kind == b"Q":
                self._wire.send(b"Z", session.status)

    def _message(self, session: _Session, kind: bytes, body: bytes) -> None:
        if kind == b"Q":
            query = body[:-1].decode()
            self._answer(session, query, [], described=True)
        elif kind == b"P":
            (name, query), _ = wire.texts(body, 2)
            session.statements[name] = query
            self._wire.send(b"1", b"")
        elif kind == b"B":
            (portal, name), rest = wire.texts(body, 2)
            session.portals[portal] = (session.statements.get(name, ""), _bound(rest))
            self._wire.send(b"2", b"")
        elif kind == b"D":
            (name,), _ = wire.texts(body[1:], 1)
            self._describe(session, body[:1], name)
        elif kind == b"E":
            (portal,), _ = wire.texts(body, 1)
            query, parameters = session.portals.get(portal, ("", []))
            self._answer(session, query, parameters, described=False)
        elif kind == b"C":
            self._wire.send(b"3", b"")

    def _describe(self, session: _Session, of: bytes, name: str) -> None:
        if of == b"S":
            query = session.statements.get(name, "")
            count = max(map(int, _PLACEHOLDER.findall(query)), default=0)
            self._wire.send(b"t", struct.pack(f"!H{count}I", count, *[25] * count))
            parameters: list[str | None] = [None] * count
        else:
            query, parameters = session.portals.get(name, ("", []))
        if _word(query) in _DONE or not query.strip("; \n"):
            self._wire.send(b"n", b"")
        else:
            self._wire.send(b"T", _described(self._result(query, parameters).schema))

    def _answer(
        self, session: _Session, query: str, parameters: list[str | None], *, described: bool
    ) -> None:
        word = _word(query)
        if not query.strip("; \n"):
            self._wire.send(b"I", b"")
            return
        if word in _DONE:
            session.status = b"T" if word in ("begin", "start") else b"I" if word in _ENDS else session.status
            self._wire.send(b"C", wire.text(word.upper()))
            return
        result = self._result(query, parameters)
        if described:
            self._wire.send(b"T", _described(result.schema))
        count = 0
        for batch in result:
            rows = list(_rows(batch))
            count += len(rows)
            self.request.sendall(b"".join(wire.message(b"D", each) for each in rows))
        self._wire.send(b"C", wire.text(f"SELECT {count}"))

    def _result(self, query: str, parameters: list[str | None]) -> pa.RecordBatchReader:
        shown = re.fullmatch(r"(?is)\s*show\s+(.*?)\s*;?\s*", query)
        if shown:
            value = _SHOWN.get(shown[1].lower(), "")
            batch = pa.record_batch({shown[1].lower(): pa.array([value])})
            return pa.RecordBatchReader.from_batches(batch.schema, [batch])
        reader: pa.RecordBatchReader = answer(self.server.lake, query, parameters=parameters)
        return reader


def _word(query: str) -> str:
    found = re.search(r"[a-z]+", query.lower())
    return found[0] if found else ""


def _bound(body: bytes) -> list[str | None]:
    """The parameters of a Bind message, as texts.

    Raises:
        ConfigurationError: values are sent or wanted in the binary format.
    """
    (count,) = struct.unpack_from("!H", body)
    formats = struct.unpack_from(f"!{count}H", body, 2)
    at = 2 + 2 * count
    (number,) = struct.unpack_from("!H", body, at)
    at += 2
    found: list[str | None] = []
    for _ in range(number):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        found.append(None if length < 0 else body[at : at + length].decode("utf-8", "replace"))
        at += max(length, 0)
    (wanted,) = struct.unpack_from("!H", body, at)
    if any(formats) or any(struct.unpack_from(f"!{wanted}H", body, at + 2)):
        raise ConfigurationError(
            "this server speaks the text format only; switch binary transfer off in the driver, such as"
            " binaryTransfer=false with JDBC"
        )
    return found


def _described(schema: pa.Schema) -> bytes:
    columns = b""
    for column in schema:
        columns += wire.text(column.name) + struct.pack("!IHIhih", 0, 0, _number(column.type), -1, -1, 0)
    return struct.pack("!H", len(schema)) + columns


def _number(kind: pa.DataType) -> int:
    if pa.types.is_decimal(kind):
        return 1700
    if pa.types.is_timestamp(kind):
        return 1184 if kind.tz else 1114
    return _NUMBERS.get(str(kind), 25)


def _rows(batch: pa.RecordBatch) -> Iterator[bytes]:
    for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
        parts = [struct.pack("!H", len(row))]
        for value in row:
            told = None if value is None else _text(value).encode()
            parts.append(struct.pack("!i", -1) if told is None else struct.pack("!i", len(told)) + told)
        yield b"".join(parts)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, datetime):
        return value.isoformat(" ").replace("+00:00", "+00")
    return str(value)


def serve(lake: Lake, address: str) -> None:
    """Serve until the process ends.

    Args:
        address: ``127.0.0.1:5439``.

    Raises:
        ConfigurationError: as ``Server``, or the address is none.
    """
    host, _, port = address.rpartition(":")
    files = (os.environ.get("ADSTAR_SQL_CERTIFICATE"), os.environ.get("ADSTAR_SQL_CERTIFICATE_KEY"))
    certificate = (files[0], files[1]) if files[0] and files[1] else None
    try:
        server = Server(lake, host, int(port), os.environ.get("ADSTAR_SQL_PASSWORD", ""), certificate)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"can't serve at {address!r} ({error}); write 127.0.0.1:5439") from None
    with server:
        print(f"the lake at postgresql://anyone@{host}:{server.server_address[1]}/lake", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
