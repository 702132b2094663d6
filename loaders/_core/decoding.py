"""Pages taken apart in a process of its own, while this one reads the next ones and loads the last ones.

Taking a page apart makes an object of each value, under the interpreter's lock: in threads of one process
it shuts out all else, and one core idles. Only a long reading is worth another process: up to ``WORTH_IT``
bytes of documents its pages are taken apart here.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any

import pyarrow as pa

from loaders._core import redact
from loaders._core.errors import BadBody
from loaders._core.records import Page, RecordReader

WORTH_IT = 32 << 20
# Read ahead: so many documents, and no further one when they have so many bytes.
AHEAD = 3
AHEAD_BYTES = 4 << 20
_HEAD = struct.Struct("!?Q")  # whether it is a document or its page, and how many bytes follow


def pages(documents: Iterator[Any], reader: RecordReader) -> Iterator[tuple[Any, Page | None]]:
    """What a reader of a source says, in its order, with the page of each document.

    Args:
        reader: how documents are taken apart; used itself at first.

    Yields:
        The document, or what else the source's reader says, and then None instead of a page.

    Raises:
        BadBody: a document can't be read; when its turn has come.
        Whatever ``documents`` raises; when the documents before have been given.
    """
    taken = 0
    for item in documents:
        yield item, reader.read(item) if isinstance(item, bytes) else None
        taken += _size(item)
        if taken >= WORTH_IT:
            with _Process(reader) as process:
                yield from _ahead(documents, process)


def _ahead(documents: Iterator[Any], process: _Process) -> Iterator[tuple[Any, Page | None]]:
    waiting: deque[tuple[Any, Future[Page] | None]] = deque()
    size = 0
    ended: list[Exception] = []
    while waiting or not ended:
        while not ended and len(waiting) < AHEAD and size < AHEAD_BYTES:
            try:
                item = next(documents)
            except Exception as error:
                ended.append(error)
            else:
                waiting.append((item, process.read(item) if isinstance(item, bytes) else None))
                size += _size(item)
        if waiting:
            item, coming = waiting.popleft()
            size -= _size(item)
            yield item, coming.result() if coming else None
    if not isinstance(ended[0], StopIteration):
        raise ended.pop()  # kept by nothing here: it holds this frame


def _size(item: Any) -> int:
    return len(item) if isinstance(item, bytes) else 0


class _Process:
    """Another Python that has a reader of the same kind; ends with this one, however that ends."""

    def __init__(self, reader: RecordReader) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            told = json.dumps({"records": reader.records, "opens": sorted(reader.opens)})
            self._process = subprocess.Popen(  # noqa: S603  (this module)
                [sys.executable, "-P", "-m", __name__, str(theirs.fileno()), told],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        # Each waits in one call of the system: none of them needs the interpreter while the other works.
        self._sending = ThreadPoolExecutor(1, "pages to take apart")
        self._receiving = ThreadPoolExecutor(1, "pages taken apart")

    def __enter__(self) -> _Process:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hang_up()
        for each in (self._sending, self._receiving):
            each.shutdown(cancel_futures=True)
        self._socket.close()
        self._process.wait()

    def read(self, body: bytes) -> Future[Page]:
        """As the reader's ``read``, later."""
        return self._receiving.submit(self._answer, self._sending.submit(self._ask, body))

    def _ask(self, body: bytes) -> None:
        try:
            _send(self._socket, False, body)
        except BaseException:
            self._hang_up()  # or both would wait for the other
            raise

    def _hang_up(self) -> None:
        with suppress(OSError):  # it has hung up first: some systems call that an error
            self._socket.shutdown(socket.SHUT_RDWR)

    def _answer(self, asked: Future[None]) -> Page:
        answer = _receive(self._socket)
        if answer is None:
            raise RuntimeError(
                "the process that takes pages apart has ended"
                f" (exit code {self._process.wait()}; -9 is often for want of memory)"
            ) from asked.exception()
        is_page, data = answer
        if not is_page:
            raise BadBody(data.decode())
        return _unpacked(data)


def _packed(page: Page) -> pa.Buffer:
    """A page as an Arrow stream; its columns are named by their paths."""
    told = {"rows": str(page.rows), "escaped": str(page.escaped), "nested": json.dumps(sorted(page.nested))}
    names = [json.dumps(path) for path in page.columns]
    table = pa.table(list(page.columns.values()), names=names).replace_schema_metadata(told)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


def _unpacked(data: bytearray) -> Page:
    table = pa.ipc.open_stream(data).read_all()
    paths = [tuple(json.loads(name)) for name in table.column_names]
    columns = {path: column.combine_chunks() for path, column in zip(paths, table.columns, strict=True)}
    told = table.schema.metadata
    nested = frozenset(tuple(path) for path in json.loads(told[b"nested"]))
    return Page(int(told[b"rows"]), columns, int(told[b"escaped"]), nested)


def _send(to: socket.socket, is_page: bool, data: bytes | pa.Buffer) -> None:
    to.sendall(_HEAD.pack(is_page, len(data)))
    to.sendall(data)


def _receive(source: socket.socket) -> tuple[bool, bytearray] | None:
    """What comes next; None if the other side has closed."""
    head = _exactly(source, _HEAD.size)
    if head is None:
        return None
    is_page, length = _HEAD.unpack(head)
    data = _exactly(source, length)
    return None if data is None else (is_page, data)


def _exactly(source: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    with memoryview(data) as view:
        got = 0
        while got < size:
            try:
                more = source.recv_into(view[got:], size - got, socket.MSG_WAITALL)
            except ConnectionResetError:  # it has ended with something of ours unread
                return None
            if not more:
                return None
            got += more
    return data


def _serve(descriptor: int, kind: dict[str, Any]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that reads: its end is ours
    redact.install()
    # A page is many thousands of objects without a cycle: to look for one would be a tenth of the work.
    gc.freeze()
    gc.set_threshold(100_000)
    reader = RecordReader(tuple(kind["records"]), kind["opens"])
    with socket.socket(fileno=descriptor) as asking, suppress(BrokenPipeError, ConnectionResetError):
        while (asked := _receive(asking)) is not None:
            try:
                page = reader.read(bytes(asked[1]))
            except BadBody as error:
                _send(asking, False, error.message.encode())
            else:
                _send(asking, True, _packed(page))


if __name__ == "__main__":
    _serve(int(sys.argv[1]), json.loads(sys.argv[2]))
