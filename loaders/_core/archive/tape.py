"""What was read for a load package, written down while it is read, and read again in place of the vendor.

While a source is read a ``Recorder`` keeps each answer's body, and of each package what was asked, and when.
What is not read over HTTP is an answer too (``told``): a message, or how far a topic goes.
A package is written down as ``prepared`` before it is committed and as ``counted`` behind that, so
one that failed, or was overtaken by another run, never counts. A ``Player`` answers the same questions in the
same order, without a network.
"""

from __future__ import annotations

import io
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import date, datetime
from typing import IO, Any
from urllib.parse import unquote

import httpx
import msgspec

from loaders._core.archive.current import State, T, Taken, Tape
from loaders._core.archive.store import ArchiveError, Store
from loaders._core.crash import kill_point
from loaders._core.declare import Account, Clock, Resource, Window
from loaders._core.feeds.formats import gunzipped
from loaders._core.ops import Run
from loaders._core.redact import is_secret_name, masked, redact

FORMAT = 1
_SESSION = {"set-cookie", "set-cookie2", "www-authenticate", "proxy-authenticate", "connection"}
_MEMORY = 4 << 20
_PIECE = 1 << 20
_Scope = tuple[str, str]  # account and resource; both empty while the accounts are listed
_TOLD = "TOLD"  # in place of a method of HTTP
TOLD_MARK = b"\0told\0"
"""Begins a body that ``told`` has kept: MessagePack of a list."""


class Answer(msgspec.Struct, kw_only=True):
    """An answer, and what was asked; without a secret.

    Attributes:
        sent: body of the request.
        body: its address; what came, without a Content-Encoding.
        bytes: length of the body.
    """

    account: str
    resource: str
    method: str
    url: str
    sent: str
    status: int
    headers: list[tuple[str, str]]
    read_at: datetime
    body: str
    bytes: int

    @property
    def question(self) -> str:
        """What was asked."""
        return _question(self.method, self.url, self.sent)


def _question(method: str, url: str, sent: str) -> str:
    return f"{method} {unquote(url)} {sent}"  # what an erasure has put there may be quoted or not


class Reading(msgspec.Struct, kw_only=True):
    """When a resource was read; one that was read again stands there twice."""

    resource: str
    at: datetime


class Task(msgspec.Struct, kw_only=True):
    """An account whose rows are in the package; ``read_at`` is that of its receipts."""

    account: str
    since: date | None
    until: date | None
    resources: list[str]
    readings: list[Reading] = []
    read_at: datetime | None = None


class Known(msgspec.Struct, kw_only=True, array_like=True):
    """A set's receipt, as far as it can't be told from the answers once a person is erased from them."""

    resource: str
    account: str
    day: date | None
    rows: int
    rows_hash: str


class Package(msgspec.Struct, kw_only=True):
    """A load package: what it was read from, and how.

    Attributes:
        begun_at: when the accounts were listed.
        settings: the source's, without secrets.
    """

    format: int
    pipeline: str
    run_seq: int
    load_id: str
    run_id: str
    mode: str
    since: date | None
    until: date | None
    api_version: str
    begun_at: datetime
    settings: dict[str, Any]
    answers: list[Answer]
    tasks: list[Task]
    sets: list[Known]


def question(request: httpx.Request, hidden: Collection[str]) -> tuple[str, str, str]:
    """Method, address and body of a request, without a secret."""
    address = request.url
    for name in set(address.params):
        if name in hidden or is_secret_name(name):
            address = address.copy_remove_param(name)
    return request.method, redact(str(address)), redact(request.content.decode("utf-8", "replace"))


class Recorder(Tape):
    """Writes down what is read of one source."""

    records = True

    def __init__(self, store: Store, pipeline: str) -> None:
        self._store = store
        self._pipeline = pipeline
        self._folder = f"{pipeline}/packages"
        self._scope: _Scope = ("", "")
        self._listing: list[Answer] = []
        self._answers: list[Answer] = self._listing
        self._tasks: list[Task] = []
        self._sets: list[Known] = []
        self._task: Task | None = None
        self._task_sets: list[Known] = []
        self._name = ""

    def take(
        self, response: httpx.Response, request: httpx.Request, hidden: Collection[str], *, raw: bool
    ) -> Taken:
        """As ``Tape``."""
        return _Kept(self, response, question(request, hidden), raw=raw)

    def keep(self, taken: _Kept) -> None:
        """Keep a body that has come whole."""
        with tempfile.SpooledTemporaryFile(max_size=_MEMORY) as file:
            for piece in masked(taken.pieces()):
                file.write(piece)
            self._keep(taken.asked, file, status=taken.status, headers=taken.headers)

    def _keep(
        self,
        asked: tuple[str, str, str],
        body: IO[bytes],
        *,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        method, url, sent = asked
        account, resource = self._scope
        address, size = self._store.keep(self._pipeline, body)
        self._answers.append(
            Answer(
                account=account,
                resource=resource,
                method=method,
                url=url,
                sent=sent,
                status=status,
                headers=list(headers),
                read_at=self._clock.now(),
                body=address,
                bytes=size,
            )
        )

    def told(self, question: str, ask: Callable[[], T], kind: type[T]) -> T:
        """As ``Tape``."""
        found = ask()
        self._keep_told(question, [msgspec.msgpack.encode(found)])
        return found

    def told_each(self, question: str, found: Iterator[T], kind: type[T]) -> Iterator[T]:
        """As ``Tape``; a body has some megabytes of them."""
        waiting: list[bytes] = []
        for each in found:
            waiting.append(msgspec.msgpack.encode(each))
            if sum(map(len, waiting)) >= _MEMORY:
                self._keep_told(question, waiting)
                waiting = []
            yield each
        if waiting:
            self._keep_told(question, waiting)

    def _keep_told(self, question: str, encoded: list[bytes]) -> None:
        body = TOLD_MARK + msgspec.msgpack.encode([msgspec.Raw(each) for each in encoded])
        self._keep((_TOLD, question, ""), io.BytesIO(body))

    def has(self, run_seq: int) -> bool:
        """As ``Tape``."""
        names = self._store.names(self._folder)
        return any(int(name.partition(".")[0]) == run_seq for name in names if not name.endswith(".failed"))

    def newest(self) -> int:
        """As ``Tape``."""
        return max((int(name.partition(".")[0]) for name in self._store.names(self._folder)), default=0)

    def settle(self, is_committed: Callable[[int, str], bool]) -> None:
        """As ``Tape``."""
        for name in self._store.names(self._folder):
            if name.endswith(".prepared"):
                package = read_package(self._store, self._folder, name)
                self._move(name, "counted" if is_committed(package.run_seq, package.load_id) else "failed")

    def begin_run(self, run: Run, settings: dict[str, Any], clock: Clock) -> None:
        """As ``Tape``."""
        self._run, self._settings, self._clock = run, settings, clock
        self._begun_at = clock.now()
        self._scope, self._answers = ("", ""), self._listing

    def begin_package(self) -> None:
        """As ``Tape``."""
        self._answers, self._tasks, self._sets, self._task, self._name = [], [], [], None, ""

    def begin_task(self, account: Account, window: Window | None, resources: Iterable[Resource]) -> None:
        """As ``Tape``."""
        since, until = (window.since, window.until) if window else (None, None)
        names = [resource.name for resource in resources]
        self._task = Task(account=account.id, since=since, until=until, resources=names)
        self._task_sets = []

    def reading(self, account: str, resource: str, clock: Clock) -> datetime:
        """As ``Tape``."""
        assert self._task
        self._scope = (account, resource)
        reading = Reading(resource=resource, at=clock.now())
        self._task.readings.append(reading)
        return reading.at

    def read(self, account: str, clock: Clock) -> datetime:
        """As ``Tape``."""
        assert self._task
        self._task.read_at = clock.now()
        return self._task.read_at

    def hash_of(
        self,
        resource: str,
        account: str,
        day: date | None,
        *,
        rows: int,
        rows_hash: str,
        comes_again: bool = False,
    ) -> str:
        """As ``Tape``."""
        self._task_sets.append(
            Known(resource=resource, account=account, day=day, rows=rows, rows_hash=rows_hash)
        )
        return rows_hash

    def done(self) -> None:
        """As ``Tape``."""
        assert self._task
        self._tasks.append(self._task)
        self._sets += self._task_sets

    def prepare(self, run_seq: int, load_id: str) -> None:
        """As ``Tape``."""
        run = self._run
        package = Package(
            format=FORMAT,
            pipeline=self._pipeline,
            run_seq=run_seq,
            load_id=load_id,
            run_id=run.run_id,
            mode=run.mode,
            since=run.since,
            until=run.until,
            api_version=run.api_version,
            begun_at=self._begun_at,
            settings=self._settings,
            answers=[*self._listing, *self._answers],
            tasks=self._tasks,
            sets=self._sets,
        )
        self._name = f"{run_seq:012}.{run.run_id}.prepared"
        self._store.write(f"{self._folder}/{self._name}", msgspec.json.encode(package, enc_hook=str))
        kill_point("archive.prepared")

    def conclude(self, state: State) -> None:
        """As ``Tape``."""
        if self._name:
            self._move(self._name, state)
            self._name = ""
            if state == "counted":
                kill_point("archive.counted")

    def _move(self, name: str, state: State) -> None:
        package = b"".join(self._store.read(f"{self._folder}/{name}"))
        self._store.write(f"{self._folder}/{name.removesuffix('prepared')}{state}", package)
        self._store.remove(f"{self._folder}/{name}")


class _Kept(Taken):
    """A body on its way into the archive."""

    def __init__(
        self, recorder: Recorder, response: httpx.Response, asked: tuple[str, str, str], *, raw: bool
    ) -> None:
        self.asked = asked
        self.status = response.status_code
        coding = response.headers.get("content-encoding", "")
        self._is_packed = raw and "gzip" in coding.lower()
        self.headers = [
            (name, redact(value))
            for name, value in response.headers.multi_items()
            if name not in _SESSION
            and not is_secret_name(name)
            and (name != "content-encoding" or (raw and not self._is_packed))
        ]
        self._recorder = recorder
        self._file: Any = tempfile.SpooledTemporaryFile(max_size=_MEMORY)  # noqa: SIM115

    def write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def whole(self) -> None:
        try:
            self._recorder.keep(self)
        finally:
            self.close()

    def close(self) -> None:
        self._file.close()

    def pieces(self) -> Iterator[bytes]:
        """The body without its Content-Encoding."""
        self._file.seek(0)
        chunks = iter(lambda: self._file.read(_PIECE), b"")
        return gunzipped(chunks) if self._is_packed else chunks


def read_package(store: Store, folder: str, name: str) -> Package:
    """What is written down of a package.

    Raises:
        ArchiveError: it is missing, damaged, or of another adstar.
    """
    body = b"".join(store.read(f"{folder}/{name}"))
    package: Package | None = None
    try:
        package = msgspec.json.decode(body, type=Package)
        why = f"format {package.format}"
    except msgspec.DecodeError as error:
        why = str(error)
    if package is None or package.format != FORMAT:
        raise ArchiveError(f"{store.url}/{folder}/{name} was written by another adstar ({why}); use that one")
    return package


class Player(Tape):
    """Answers what was asked for a package, in place of the vendor; its clock is that of the package."""

    plays = True

    def __init__(self, store: Store, pipeline: str) -> None:
        self._store = store
        self._pipeline = pipeline
        self._package: Package | None = None
        self._scope: _Scope = ("", "")
        self._answers: dict[tuple[_Scope, str], deque[Answer]] = {}
        self._readings: dict[_Scope, deque[datetime]] = {}
        self._known: dict[tuple[str, str, date | None], Known] = {}
        self._tasks: dict[str, Task] = {}
        self.clock = Clock()
        self.others = 0  # sets with another hash than then

    def load(self, package: Package) -> None:
        """Play this one from now on."""
        self._package, self._scope = package, ("", "")
        answers: defaultdict[tuple[_Scope, str], deque[Answer]] = defaultdict(deque)
        for answer in package.answers:
            answers[(answer.account, answer.resource), answer.question].append(answer)
        self._answers = dict(answers)
        self._tasks = {task.account: task for task in package.tasks}
        readings: defaultdict[_Scope, deque[datetime]] = defaultdict(deque)
        for task in package.tasks:
            for each in task.readings:
                readings[task.account, each.resource].append(each.at)
        self._readings = dict(readings)
        self._known = {(each.resource, each.account, each.day): each for each in package.sets}
        self._set_clock(package.begun_at)

    def _set_clock(self, instant: datetime | None) -> None:
        object.__setattr__(self.clock, "instant", instant)  # the api holds it as well

    def transport(self, hidden: Collection[str]) -> httpx.BaseTransport | None:
        """As ``Tape``."""
        return _Answering(self, hidden)

    def answer(self, asked: tuple[str, str, str]) -> httpx.Response:
        """What was answered then.

        Raises:
            ArchiveError: it was not asked, or the body is missing or damaged.
        """
        found = self._next(asked)
        return httpx.Response(
            found.status,
            headers=found.headers,
            stream=_Pieces(self._store.body(self._pipeline, found.body)),
        )

    def _next(self, asked: tuple[str, str, str]) -> Answer:
        assert self._package
        if waiting := self._waiting(asked):
            return waiting.popleft()
        account, resource = self._scope
        raise ArchiveError(
            f"package {self._package.run_seq} of {self._pipeline} has no answer to {asked[0]}"
            f" {asked[1]}{' ' + asked[2][:200] if asked[2] else ''} ({resource or 'the accounts'} of"
            f" {account or 'the source'}): was the loader or the vendor's base_url changed since? Make it"
            " what it was, for this rebuild"
        )

    def _waiting(self, asked: tuple[str, str, str]) -> deque[Answer]:
        return self._answers.get((self._scope, _question(*asked)), deque())

    def told(self, question: str, ask: Callable[[], T], kind: type[T]) -> T:
        """As ``Tape``: what was told then."""
        (found,) = self._told(self._next((_TOLD, question, "")), kind)
        return found

    def told_each(self, question: str, found: Iterator[T], kind: type[T]) -> Iterator[T]:
        """As ``Tape``: what was told then; there may have been none."""
        waiting = self._waiting((_TOLD, question, ""))
        while waiting:
            yield from self._told(waiting.popleft(), kind)

    def _told(self, answer: Answer, kind: type[T]) -> list[T]:
        body = b"".join(self._store.body(self._pipeline, answer.body))
        try:
            return msgspec.msgpack.decode(body.removeprefix(TOLD_MARK), type=list[kind])  # type: ignore[valid-type]
        except msgspec.DecodeError as error:
            raise ArchiveError(
                f"what {self._pipeline} told of {answer.url} was written by another adstar ({error});"
                " use that one"
            ) from None

    def reading(self, account: str, resource: str, clock: Clock) -> datetime:
        """As ``Tape``."""
        self._scope = (account, resource)
        if waiting := self._readings.get(self._scope):
            self._set_clock(waiting.popleft())
        return clock.now()

    def read(self, account: str, clock: Clock) -> datetime:
        """As ``Tape``."""
        self._set_clock(self._tasks[account].read_at)
        return clock.now()

    def hash_of(
        self,
        resource: str,
        account: str,
        day: date | None,
        *,
        rows: int,
        rows_hash: str,
        comes_again: bool = False,
    ) -> str:
        """As ``Tape``: what it was then, though an erased person may be missing by now.

        Raises:
            ArchiveError: it had another number of rows.
        """
        known = self._known.get((resource, account, day))
        if comes_again and known is not None and known.rows < rows:
            return rows_hash
        if known is None or known.rows != rows:
            had = "none" if known is None else f"{known.rows:,}"
            raise ArchiveError(
                f"{resource} of {account}{f' of {day}' if day else ''} has {rows:,} rows when it is read from"
                f" the archive, and had {had} when it was read from {self._pipeline}: was the loader changed"
                " since? Make it what it was, for this rebuild"
            )
        self.others += known.rows_hash != rows_hash
        return known.rows_hash


class _Answering(httpx.BaseTransport):
    def __init__(self, player: Player, hidden: Collection[str]) -> None:
        self._player = player
        self._hidden = hidden

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        return self._player.answer(question(request, self._hidden))


class _Pieces(httpx.SyncByteStream):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces
