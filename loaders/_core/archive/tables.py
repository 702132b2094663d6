"""Tables of a database in the archive: the rows that landed, as lines of COPY's text, with their numbers.

Not all that was read: which rows of an overlap had landed before was seen beside raw, where rows of an erased
person can't be told from each other any more.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from typing import Any, NoReturn

import msgspec

from loaders._core.archive.current import Tape
from loaders._core.privacy.values import Personal

LINES = "lines of a table"
THE_TABLE = "the table"  # the question of what came of one
_MEMORY = 4 << 20
_BATCH = 1 << 20


class Column(msgspec.Struct, frozen=True):
    """A column of a database's table and the Postgres type that holds its values without loss."""

    name: str
    type: str


class Told(msgspec.Struct, kw_only=True):
    """What came of a table when it was read.

    Attributes:
        read: rows, as the books have them.
        rows: of the set that its receipt is of.
        unchanged: they are those of an earlier run, and none are kept here.
        version: the receipt's.
    """

    columns: list[Column]
    key: tuple[str, ...]
    cursor: Column | None
    read: int
    rows: int
    unchanged: bool
    version: str | None


class Lines(msgspec.Struct, kw_only=True, tag=LINES):
    """Some of a table's rows.

    Attributes:
        columns: named as raw names them.
        personal: the classes of the personal ones.
        numbers: the rows', in order.
        text: a line for each.
    """

    table: str
    columns: list[Column]
    personal: dict[str, Personal]
    numbers: list[int]
    text: bytes


class Keeper:
    """Holds the rows that are read until it is known which of them land."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115
        self._rows = 0

    def add(self, numbers: Iterable[int], rows: Collection[bytes]) -> None:
        """Hold these rows."""
        self._file.write(b"".join(b"%d\t%b" % each for each in zip(numbers, rows, strict=True)))
        self._rows += len(rows)

    def keep(self, tape: Tape, told: Told, landed: Callable[[], Iterator[int]], **about: Any) -> None:
        """Write down a table and those of its rows that have landed.

        Args:
            landed: gives their numbers, in order; asked if they are not all.
            about: what else ``Lines`` says.
        """
        tape.told(THE_TABLE, lambda: told, Told)
        if not told.unchanged:
            rows = self._held() if told.rows == self._rows else self._those(landed())
            deque(tape.told_each("rows", self._lines(rows, about), Lines), maxlen=0)
        self._file.close()

    def _held(self) -> Iterator[tuple[int, bytes]]:
        self._file.seek(0)
        for each in self._file:
            number, _, row = each.partition(b"\t")
            yield int(number), row

    def _those(self, numbers: Iterator[int]) -> Iterator[tuple[int, bytes]]:
        """Both are in order."""
        rows = self._held()
        for number in numbers:
            yield next(each for each in rows if each[0] == number)

    def _lines(self, rows: Iterator[tuple[int, bytes]], about: dict[str, Any]) -> Iterator[Lines]:
        numbers: list[int] = []
        text = bytearray()
        for number, row in rows:
            numbers.append(number)
            text += row
            if len(text) >= _BATCH:
                yield Lines(numbers=numbers, text=bytes(text), **about)
                numbers, text = [], bytearray()
        if numbers:
            yield Lines(numbers=numbers, text=bytes(text), **about)


class Replayed:
    """A table as the archive has it; stands for ``databases.copying.Reading``."""

    def __init__(self, tape: Tape) -> None:
        self.told = tape.told(THE_TABLE, _nobody, Told)
        self.columns, self.key, self.cursor = self.told.columns, self.told.key, self.told.cursor
        self._tape = tape
        self._numbers: deque[int] = deque()

    def rows(self, write: Callable[[bytes], Any]) -> None:
        """Give the rows that landed."""
        for some in self._tape.told_each("rows", iter(()), Lines):
            self._numbers.extend(some.numbers)
            for row in some.text.split(b"\n")[:-1]:
                write(row + b"\n")

    def numbers(self) -> Iterator[int]:
        """The number of each row that was given, in order."""
        with suppress(IndexError):
            while True:
                yield self._numbers.popleft()


def _nobody() -> NoReturn:
    raise AssertionError("nobody is asked when a tape plays")
