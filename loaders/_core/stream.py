"""Bodies that are too large for memory, and answers that must be whole before they count.

``split_array`` cuts a JSON array of objects, as it arrives, into its objects, byte for byte. A reading that
breaks in the middle is begun anew. Lists hand their pages over as they come, and a ``Mark`` says
that some come again; who takes them must be able to forget. Within one answer ``Spool`` holds documents
back, on disk beyond a few megabytes, until the last of them has come.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum
from tempfile import SpooledTemporaryFile
from types import TracebackType

import msgspec

from loaders._core.errors import BadBody
from loaders._core.records import Page

_BLANKS = b" \t\r\n"
_ANY = msgspec.json.Decoder(msgspec.Raw)  # checks the syntax, builds nothing
_TRAILING = re.compile(r"trailing characters \(byte (\d+)\)")
_MEMORY = 4 << 20
_GRAMMAR = {(b"", b"["), (b"[", b"]"), (b"}", b","), (b"}", b"]")}


class Mark(Enum):
    """What a reader says between documents of those that it has given."""

    WHOLE = "those so far are whole: none of them comes again"
    AGAIN = "those since the last WHOLE count no more: all of them come again"


@dataclass(frozen=True)
class Version:
    """What a reader says of days (None: of entities) after it has given them, or instead of giving them.

    Attributes:
        text: which version of the vendor's answer these sets are; goes into their receipts.
        unchanged: they are as their newest receipts say, so no document of them was given.
    """

    text: str
    days: tuple[date | None, ...]
    unchanged: bool = False


@dataclass(frozen=True)
class Keyed:
    """One record of a resource with a ``key``: its source may give it again, and it lands once.

    Attributes:
        key: what the source knows it by for ever, as its column ``Resource.key`` will hold it.
        record: a JSON object.
    """

    key: str
    record: bytes


@dataclass(frozen=True)
class Rejected:
    """A record that can't be taken as it is: it goes to the source's quarantine, and the others land.

    Attributes:
        key: what the source knows it by; one that is in quarantine already is not put there again.
        reason: what is wrong with it, without any value of it: it may be personal.
        record: all of it, as ``Resource.judge`` takes it.
    """

    key: str
    reason: str
    record: bytes


@dataclass(frozen=True)
class OfDay:
    """What a reader says before documents whose records carry no date: of which day they are."""

    day: date


@dataclass(frozen=True)
class Rows:
    """Records that a reader has taken apart itself; its source never gives them again.

    Attributes:
        reject: the record at an index as one that can't be taken, for this reason.
    """

    page: Page
    reject: Callable[[int, str], Rejected]


@dataclass(frozen=True)
class Loss:
    """What can't be read any more, in words: what is there lands all the same, and the run is partial."""

    text: str


Documents = Iterator[bytes | Mark | Version | Keyed | Rejected | OfDay | Rows | Loss]


def whole(documents: Documents) -> list[bytes]:
    """All documents, as far as they count; for lists that fit into memory."""
    kept: list[bytes] = []
    sure = 0
    for document in documents:
        if document is Mark.AGAIN:
            del kept[sure:]
        elif document is Mark.WHOLE:
            sure = len(kept)
        elif isinstance(document, bytes):
            kept.append(document)
    return kept


def split_array(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut ``[{...}, {...}]`` into the bytes of its objects; a body that is one object is given as it is.

    The decoder says where the first object in the buffer ends. Its word is checked by decoding the cut: a
    proper prefix of an object is never itself an object, so a cut that decodes is the right one. An
    object that has not come whole is tried again when the buffer has doubled. So the work is linear in the
    body whatever its format, and memory is at most twice the largest object.

    Raises:
        BadBody: cut off, not JSON, or followed by something else.
    """
    buffer = bytearray()
    last = b""  # the piece before: nothing, a bracket, an object (as its closing brace) or a comma
    wanted = 0  # size that the buffer must reach before an unfinished object is tried again
    for chunk in chunks:
        buffer += chunk
        if len(buffer) < wanted:
            continue
        while True:
            _strip(buffer)
            mark = bytes(buffer[:1])
            if not mark or (not last and mark != b"["):
                break
            if mark == b"{" and last in (b"[", b","):
                end = _first_object(buffer)
                if end is None:
                    break
                yield bytes(buffer[:end])
                del buffer[:end]
                last = b"}"
            elif (last, mark) in _GRAMMAR:
                del buffer[:1]
                last = mark
            else:
                raise BadBody("the body is not one JSON array of objects")
        wanted = 2 * len(buffer)
    if not last:
        yield _checked(bytes(buffer))
    elif last != b"]":
        yield from _rest(bytes(buffer), last)


def _rest(tail: bytes, last: bytes) -> Iterator[bytes]:
    """The objects in the last, unfinished buffer once the body has ended."""
    before = {b"[": b"[", b"}": b"[{}", b",": b"[{},"}[last]
    try:
        items = msgspec.json.decode(before + tail, type=list[msgspec.Raw])
    except msgspec.DecodeError as error:
        raise BadBody(f"the body ends in the middle of its JSON array ({error})") from None
    yield from (bytes(item) for item in items[0 if last == b"[" else 1 :])


def _first_object(buffer: bytearray) -> int | None:
    """End of the object the buffer begins with; None if it has not come whole."""
    with memoryview(buffer) as view:
        try:
            _ANY.decode(view)
        except msgspec.DecodeError as error:
            found = _TRAILING.search(str(error))
            if not found:
                return None
            end = buffer.rfind(b"}", 0, int(found[1])) + 1
            try:
                with view[:end] as cut:
                    _ANY.decode(cut)
            except msgspec.DecodeError:
                return None
            return end
        return buffer.rfind(b"}") + 1


def _checked(body: bytes) -> bytes:
    try:
        _ANY.decode(body)
    except msgspec.DecodeError as error:
        raise BadBody(f"the body is not JSON ({error})") from None
    return body


def _strip(buffer: bytearray) -> None:
    blanks = len(buffer) - len(buffer.lstrip(_BLANKS))
    if blanks:
        del buffer[:blanks]


class Spool:
    """Documents kept until all have come, then given in their order; a context manager.

    Filling it may raise whatever the documents' source raises; nothing has been handed over then.
    """

    def __init__(self, documents: Iterable[bytes]) -> None:
        self._file = SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115
        self._sizes: list[int] = []
        try:
            for document in documents:
                self._file.write(document)
                self._sizes.append(len(document))
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def __del__(self) -> None:
        self._file.close()  # of what was asked for ahead and never taken

    def __len__(self) -> int:
        return len(self._sizes)

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        for size in self._sizes:
            yield self._file.read(size)
