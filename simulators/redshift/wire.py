"""Messages of the wire protocol (https://www.postgresql.org/docs/current/protocol-message-formats.html)."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
VERSION = 196608


class Closed(Exception):
    """The other side has gone."""


@dataclass
class Wire:
    """One side of a connection: takes messages apart as they come."""

    socket: socket.socket
    _buffer: bytearray = field(default_factory=bytearray)

    def send(self, kind: bytes, body: bytes) -> None:
        """One message."""
        self.socket.sendall(message(kind, body))

    def arrived(self) -> Iterator[tuple[bytes, bytes]]:
        """Read once, and give the messages that are whole.

        Raises:
            Closed: the other side has gone.
        """
        self._fill()
        while (found := self._whole()) is not None:
            yield found

    def one(self) -> tuple[bytes, bytes]:
        """Wait for one message.

        Raises:
            Closed: the other side has gone.
        """
        while (found := self._whole()) is None:
            self._fill()
        return found

    def waiting(self) -> bool:
        """Whether a whole message was read and not taken yet."""
        return len(self._buffer) >= 5 and len(self._buffer) >= 1 + self._length()

    def first(self) -> tuple[int, bytes]:
        """The message a client begins with, which has no kind: its code and its body."""
        while len(self._buffer) < 4 or len(self._buffer) < struct.unpack_from("!I", self._buffer)[0]:
            self._fill()
        length, code = struct.unpack_from("!II", self._buffer)
        body = bytes(self._buffer[8:length])
        del self._buffer[:length]
        return code, body

    def _fill(self) -> None:
        try:
            data = self.socket.recv(1 << 18)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self._buffer += data

    def _length(self) -> int:
        return int(struct.unpack_from("!I", self._buffer, 1)[0])

    def _whole(self) -> tuple[bytes, bytes] | None:
        if not self.waiting():
            return None
        length = self._length()
        kind, body = bytes(self._buffer[:1]), bytes(self._buffer[5 : 1 + length])
        del self._buffer[: 1 + length]
        return kind, body


def message(kind: bytes, body: bytes) -> bytes:
    """A message as it is sent."""
    return kind + struct.pack("!I", len(body) + 4) + body


def startup(parameters: dict[str, str]) -> bytes:
    """The message a client begins with."""
    body = b"".join(text(name) + text(value) for name, value in parameters.items()) + b"\0"
    return struct.pack("!II", len(body) + 8, VERSION) + body


def text(value: str) -> bytes:
    """As the protocol writes texts."""
    return value.encode() + b"\0"


def texts(body: bytes, count: int) -> tuple[list[str], bytes]:
    """So many texts from the beginning of a message, and the rest of it."""
    parts = body.split(b"\0", count)
    return [part.decode() for part in parts[:count]], parts[count]


def fields(body: bytes) -> dict[str, str]:
    """Of an error or a notice."""
    parts = [part.decode(errors="replace") for part in body.split(b"\0") if part]
    return {part[0]: part[1:] for part in parts}


def told(values: dict[str, str]) -> bytes:
    """The fields of an error or a notice as a message's body."""
    return b"".join(text(kind + value) for kind, value in values.items()) + b"\0"


@dataclass(frozen=True)
class Column:
    """Of a result: its name, its type's number and the modifier of that type."""

    name: str
    type: int
    modifier: int


def described(body: bytes) -> list[Column]:
    """The columns of a result."""
    (count,), rest = struct.unpack_from("!H", body), body[2:]
    found = []
    for _ in range(count):
        (name,), rest = texts(rest, 1)
        _, _, kind, _, modifier, _ = struct.unpack_from("!IHIhih", rest)
        found.append(Column(name, kind, modifier))
        rest = rest[18:]
    return found


def row(body: bytes) -> list[str | None]:
    """The values of a row of a result, which came as texts."""
    (count,), at = struct.unpack_from("!H", body), 2
    found: list[str | None] = []
    for _ in range(count):
        (length,) = struct.unpack_from("!i", body, at)
        at += 4
        if length < 0:
            found.append(None)
        else:
            found.append(body[at : at + length].decode())
            at += length
    return found
