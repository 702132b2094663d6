"""Topics: logs whose records have offsets, read from where the warehouse says that it ends.

A loader gives a `Log` for each topic; here stands what every such log needs. How far each partition was read
lands as rows of ``offsets`` in the package of the records themselves, so both count or neither does. The
broker is told afterwards, as a hint to whoever watches it, and is never asked.
"""

from __future__ import annotations

import json
import logging
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, Protocol

import msgspec
import pyarrow as pa

from loaders._core import errors
from loaders._core.archive.current import current
from loaders._core.queues import fault_of
from loaders._core.records import Page, Path, RecordReader
from loaders._core.stopping import STOPPING
from loaders._core.stream import Documents, Loss, Rejected, Rows
from loaders._core.text import MARK, escape, has_mark

_log = logging.getLogger(__name__)
OFFSETS = "offsets"
OFFSET_COLUMNS = (
    "topic",
    "topic_id",
    "incarnation",
    "partition",
    "next_offset",
    "low_watermark",
    "high_watermark",
    "lost_from",
    "lost_before",
)
COLUMNS = (
    "message_id",
    "topic",
    "incarnation",
    "partition",
    "offset",
    "timestamp",
    "timestamp_type",
    "key",
    "key_encoding",
    "headers",
    "value",
    "value_encoding",
)
ORIGINAL = "value_bytes"  # of a value that was decoded, in base64
PACKAGE = 250_000  # messages read before they are landed
AT_ONCE = 1_000  # messages taken apart at once
WAIT_SECONDS = 0.2
SILENCE_SECONDS = 60.0
Headers = Sequence[tuple[str, bytes | None]]
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where reading begins, and how much is read in a run; docs/runbooks/kafka.md says it of each."""

    start: Literal["earliest", "latest"] = "earliest"
    incarnation: Positive = 1
    max_seconds: Positive = 300
    max_messages: Positive = 1_000_000


@dataclass
class Batch:
    """Messages side by side: the lists are of one length, an item of each is a message.

    Attributes:
        times: milliseconds since 1970; None without a time.
        kinds: what they are the time of.
        headers: in their order, names as often as they come; None without any.
        ends: partitions that have no more for now, and the offset that comes next.
        gone: partitions that no longer have, or not yet, what was asked for.
        decoded: of values in another form their JSON; empty if there are no such values.
        faults: why a value, by its place here, could not be decoded.
    """

    partitions: list[int] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    times: list[int | None] = field(default_factory=list)
    kinds: list[str | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    headers: list[Headers | None] = field(default_factory=list)
    values: list[bytes | None] = field(default_factory=list)
    ends: dict[int, int] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    decoded: list[bytes | None] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.offsets)

    def of(self, chosen: Sequence[int]) -> Batch:
        """Some of the messages, of those without a fault."""
        lists = (self.partitions, self.offsets, self.times, self.kinds, self.keys, self.headers, self.values)
        found = Batch(*([each[n] for n in chosen] for each in lists))  # type: ignore[arg-type]
        found.decoded = [self.decoded[n] for n in chosen] if self.decoded else []
        return found


class Log(Protocol):
    """One topic at its broker; raises the errors of ``loaders._core.errors``.

    Attributes:
        where: the topic, as it may be told.
    """

    where: str

    def partitions(self) -> tuple[str, dict[int, tuple[int, int]]]:
        """The id that no other topic of that name ever has, if there are such; and of each partition the
        first offset that is there and the one after the last.
        """

    def seek(self, positions: Mapping[int, int]) -> None:
        """Read these partitions, from these offsets on; an empty mapping ends reading."""

    def take(self, count: int, wait: float) -> Batch:
        """So many messages at most, and none if none comes in ``wait`` seconds."""

    def tell(self, positions: Mapping[int, int]) -> None:
        """Tell the broker which offsets come next."""


@dataclass
class _Position:
    """Of a partition the offset that is read next, and what of it was last found to be lost."""

    next: int
    low: int = 0
    high: int = 0
    lost: tuple[str | None, str | None] = (None, None)


class Reading:
    """How far a topic was read, and how much of its budget is left."""

    def __init__(self, log: Log, budget: Budget, cut: Cut) -> None:
        """Nothing is asked for yet."""
        self.budget = budget
        self._log, self._cut = log, cut
        self._positions: dict[int, _Position] = {}
        self._told: dict[int, int] = {}
        self._topic_id = ""
        self._left = budget.max_messages
        self._until = 0.0
        self._more = False

    def read(self, rows: Sequence[Mapping[str, str | None]]) -> Documents:
        """Messages up to where the topic ended at the beginning, or until a package or the budget is full.

        Args:
            rows: of ``offsets``, as the warehouse has them; none before the first run.
        """
        tape = current()
        known = tape.told("offsets", lambda: [*map(dict, rows)], list[dict[str, str | None]])
        yield from self._resume(known)
        for batch in tape.told_each("messages", self._batches(), Batch):
            if batch.offsets:
                yield from self._cut.documents(batch)
            for partition, offset in zip(batch.partitions, batch.offsets, strict=True):
                self._positions[partition].next = offset + 1
            # Beyond marks of transactions, which are no messages.
            for partition, offset in batch.ends.items():
                self._positions[partition].next = max(self._positions[partition].next, offset)
            if batch.gone:
                yield from self._look_again()

    def _batches(self) -> Iterator[Batch]:
        """What the broker gives; who takes it moves the positions before the next is asked for."""
        self._until = self._until or time.monotonic() + self.budget.max_seconds
        wanted = {n for n, each in self._positions.items() if each.next < each.high}
        self._log.seek({n: self._positions[n].next for n in wanted})
        taken = 0
        heard = time.monotonic()
        while wanted and taken < PACKAGE and self._has_budget():
            batch = self._cut.decode(self._log.take(min(AT_ONCE, self._left, PACKAGE - taken), WAIT_SECONDS))
            taken += len(batch)
            self._left -= len(batch)
            yield batch
            if batch.gone:
                self._log.seek({n: self._positions[n].next for n in wanted})
            wanted = {n for n in wanted - batch.ends.keys() if not self._is_done(n)}
            if batch.offsets or batch.ends or batch.gone:
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_SECONDS:
                raise errors.GaveUp(
                    f"no message for {SILENCE_SECONDS:.0f} s, though partition"
                    f" {', '.join(map(str, sorted(wanted)))} has more",
                    where=self._log.where,
                )
        self._log.seek({})
        self._more = bool(wanted)
        if wanted and not self._has_budget() and not STOPPING.is_set():
            _log.warning("the budget of %s is spent; the next run reads on", self._log.where)

    def offsets(self) -> bytes:
        """How far it was read: the rows of ``offsets``."""
        rows = []
        for number, position in sorted(self._positions.items()):
            values = (
                self._log.where,
                self._topic_id or None,
                self.budget.incarnation,
                number,
                position.next,
                position.low,
                position.high,
                *position.lost,
            )
            rows.append(dict(zip(OFFSET_COLUMNS, values, strict=True)))
        return json.dumps(rows).encode()

    def tell(self) -> bool:
        """Tell the broker how far it was read, as that counts; is there more to read?"""
        news = {n: each.next for n, each in self._positions.items() if self._told.get(n) != each.next}
        if news:
            try:
                self._log.tell(news)
                self._told |= news
            except errors.AdstarError as error:  # nothing here is ever read from it
                _log.warning("the broker could not be told how far %s was read: %s", self._log.where, error)
        return self._more and self._has_budget()

    def _is_done(self, partition: int) -> bool:
        return self._positions[partition].next >= self._positions[partition].high

    def _has_budget(self) -> bool:
        return self._left > 0 and time.monotonic() < self._until and not STOPPING.is_set()

    def _resume(self, rows: Sequence[Mapping[str, str | None]]) -> Iterator[Loss]:
        """Where each partition is read from now."""
        found = [each for each in rows if int(each["incarnation"] or 1) == self.budget.incarnation]
        if later := [each["incarnation"] for each in rows if each not in found]:
            newest = max(int(each or 1) for each in later)
            if newest > self.budget.incarnation:
                raise errors.AccountError(
                    f"incarnation {self.budget.incarnation} is set, but {newest} was read already: set that"
                    " one again, or a higher one to read the topic anew",
                    where=self._log.where,
                )
        topic_id, bounds = self._partitions()
        stored = {int(each["partition"] or 0): each for each in found}
        ids = {each["topic_id"] for each in found} - {None, ""}
        if topic_id and ids and topic_id not in ids:
            raise self._remade("its id is another one now")
        if absent := sorted(stored.keys() - bounds.keys()):
            raise self._remade(f"it has no partition {', '.join(map(str, absent))} any more")
        self._topic_id = topic_id or next(iter(ids), "") or ""
        self._positions = {}
        for number, (low, high) in bounds.items():
            before = stored.get(number)
            if before is not None:
                lost = (before["lost_from"], before["lost_before"])
                self._positions[number] = _Position(int(before["next_offset"] or 0), lost=lost)
            elif stored:
                self._positions[number] = _Position(0)  # made since: all that it ever had is new
            else:
                begins = high if self.budget.start == "latest" and not rows else low
                self._positions[number] = _Position(begins)
        yield from self._bounded(bounds)

    def _partitions(self) -> tuple[str, dict[int, tuple[int, int]]]:
        return current().told("partitions", self._log.partitions, tuple[str, dict[int, tuple[int, int]]])

    def _look_again(self) -> Iterator[Loss]:
        """A partition's offset is not there: why?"""
        before = {n: each.next for n, each in self._positions.items()}
        topic_id, bounds = self._partitions()
        if topic_id and self._topic_id and topic_id != self._topic_id:
            raise self._remade("its id has changed while it was read")
        highs = {n: each.high for n, each in self._positions.items()}
        yield from self._bounded({n: bounds.get(n, (0, 0)) for n in self._positions})
        for number, high in highs.items():  # what came since is the next run's
            self._positions[number].high = high
        if before == {n: each.next for n, each in self._positions.items()}:
            raise errors.VendorError(
                "the broker says of an offset that it is not there, and gives bounds in which it lies",
                where=self._log.where,
            )

    def _bounded(self, bounds: Mapping[int, tuple[int, int]]) -> Iterator[Loss]:
        """Note where partitions begin and end; what lies before their beginning is lost."""
        lost = []
        for number, (low, high) in sorted(bounds.items()):
            position = self._positions[number]
            if position.next > high:
                raise self._remade(
                    f"the warehouse has partition {number} up to offset {position.next - 1:,}, and it ends"
                    f" before {high:,}"
                )
            if position.next < low:
                lost.append(f"partition {number} from {position.next} to {low - 1}")
                position.lost = (str(position.next), str(low))
                position.next = low
            position.low, position.high = low, high
        if lost:
            yield Loss(
                f"offsets were deleted before they were read ({'; '.join(lost)}), and what was there is lost;"
                " reading goes on behind them. Run more often, or keep the topic for longer (retention.ms,"
                " retention.bytes)"
            )

    def _remade(self, why: str) -> errors.AccountError:
        return errors.AccountError(
            f"the topic was deleted and made anew, or is another cluster's: {why}. Nothing of it was read."
            " If that is what happened, all that it holds now is new: set incarnation ="
            f" {self.budget.incarnation + 1} in its table of settings, and it is read from its beginning. If"
            " not, see bootstrap_servers",
            where=self._log.where,
        )


class Cut:
    """What lands of the messages of a topic.

    Attributes:
        names: the columns that every message has.

    Args:
        required: fields that a JSON value must have.
        decode: makes JSON of a value that is in another form; raises ValueError, with what is wrong as its
            text, of one that can't be taken.
    """

    def __init__(
        self,
        topic: str,
        incarnation: int,
        form: str,
        required: tuple[str, ...] = (),
        decode: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._topic, self._incarnation, self._form, self._required = topic, incarnation, form, required
        self._decode = decode
        self.names = (*COLUMNS, ORIGINAL) if decode else COLUMNS
        self._reader = RecordReader(())
        self._nested: set[Path] = set()

    def decode(self, batch: Batch) -> Batch:
        """The same messages, with what values in another form say."""
        if self._decode is None:
            return batch
        for n, value in enumerate(batch.values):
            try:
                batch.decoded.append(value if value is None else self._decode(value))
            except ValueError as error:
                batch.decoded.append(None)
                batch.faults[n] = str(error)
        return batch

    def documents(self, batch: Batch) -> Iterator[Rows | Rejected]:
        """The messages, decoded, as rows; those that are not what was declared, one by one."""
        faults = dict(batch.faults)
        values = {n: said for n, said in enumerate(batch.decoded or batch.values) if said is not None}
        opened = self._opened(values, faults)
        for n, fault in faults.items():
            yield self._rejected(batch, n, fault)
        good = [n for n in range(len(batch)) if n not in faults]
        if not good:
            return
        kept = batch.of(good) if faults else batch
        texts = [values.get(n) for n in good]
        columns, escaped = self._columns(kept, texts)
        whose = {n: at for at, n in enumerate(n for n in values if n not in faults)}
        if len(whose) < len(good):
            order = pa.array([whose.get(n) for n in good], pa.int32())
            opened.columns = {path: column.take(order) for path, column in opened.columns.items()}
        columns |= {("value", *path): column for path, column in opened.columns.items()}
        nested = frozenset(path for path in self._nested if path in columns)
        self._nested -= nested
        page = Page(len(good), columns, escaped + opened.escaped, nested)
        yield Rows(page, lambda at, why: self._rejected(kept, at, why))

    def judge(self, record: bytes) -> Rows | Rejected:
        """What a message that was rejected is today.

        Args:
            record: as in the quarantine.
        """
        told = json.loads(record)
        headers = told["headers"] and [(name, _bytes(value)) for name, value in told["headers"]]
        batch = Batch(
            [told["partition"]],
            [told["offset"]],
            [told["timestamp"]],
            [told["timestamp_type"]],
            [_bytes(told["key"])],
            [headers],
            [_bytes(told["value"])],
        )
        then = Cut(self._topic, told["incarnation"], self._form, self._required, self._decode)
        return next(then.documents(then.decode(batch)))

    def _rejected(self, batch: Batch, n: int, fault: str) -> Rejected:
        headers = batch.headers[n]
        record: dict[str, object] = {
            "topic": self._topic,
            "incarnation": self._incarnation,
            "partition": batch.partitions[n],
            "offset": batch.offsets[n],
            "timestamp": batch.times[n],
            "timestamp_type": batch.kinds[n],
            "key": _base64(batch.keys[n]),
            "headers": headers and [(name, _base64(value)) for name, value in headers],
            "value": _base64(batch.values[n]),
        }
        return Rejected(self._name(batch.partitions[n], batch.offsets[n]), fault, json.dumps(record).encode())

    def _name(self, partition: int, offset: int) -> str:
        return f"{self._incarnation}:{partition}:{offset}"

    # -- the fields of JSON values ----------------------------------------------------------------

    def _opened(self, values: dict[int, bytes], faults: dict[int, str]) -> Page:
        """The fields of these values, without those that have faults."""
        if self._form == "bytes":
            return Page(0, {})
        if self._form == "text":
            faults |= {n: fault for n, value in values.items() if (fault := _not_text(value))}
            return Page(0, {})
        page = self._page(list(values.values()))
        if page is None:
            found = {n: self._fault(value) for n, value in values.items()}
            faults |= {n: fault for n, fault in found.items() if fault}
            page = self._page([value for n, value in values.items() if n not in faults])
        if page is None:
            raise errors.BadBody("messages can be read one by one and not together", where=self._topic)
        return page

    def _page(self, values: list[bytes]) -> Page | None:
        """None if one of them is not as declared."""
        if not values:
            return Page(0, {})
        try:
            page = self._reader.read_each(values)
        except errors.BadBody:
            return None
        self._nested |= {("value", *path) for path in page.nested}  # told once, whatever becomes of the page
        for name in self._required:
            column = page.columns.get((name,))
            if column is None or column.null_count:
                return None
        return page

    def _fault(self, value: bytes) -> str:
        if fault := _not_text(value) or fault_of(value.decode(), self._required, "value"):
            return fault
        return "" if self._page([value]) else "it can't be read as a record"

    # -- what every message has -------------------------------------------------------------------

    def _columns(self, batch: Batch, values: Sequence[bytes | None]) -> tuple[dict[Path, pa.Array], int]:
        """And how many values had to be escaped."""
        count = len(batch)
        names = [self._name(*each) for each in zip(batch.partitions, batch.offsets, strict=True)]
        keys, key_encodings = _plain(batch.keys)
        escaped = 0
        if self._form == "bytes":
            texts, encoding = pa.array(map(_base64, values), pa.string(), size=count), "base64"
        else:
            encoding = "utf-8"
            texts, escaped = _texts(values)
        encodings = [None if value is None else encoding for value in values]
        columns = {
            "message_id": pa.array(names, pa.string()),
            "topic": pa.repeat(self._topic, count),
            "incarnation": pa.repeat(str(self._incarnation), count),
            "partition": pa.array(batch.partitions, pa.int32()).cast(pa.string()),
            "offset": pa.array(batch.offsets, pa.int64()).cast(pa.string()),
            "timestamp": pa.array(batch.times, pa.int64()).cast(pa.string()),
            "timestamp_type": pa.array(batch.kinds, pa.string()),
            "key": keys,
            "key_encoding": key_encodings,
            "headers": pa.array([each and _told(each) for each in batch.headers], pa.string()),
            "value": texts,
            "value_encoding": pa.array(encodings, pa.string()),
        }
        if self._decode:
            # An erasure in the archive leaves nothing of them, and none that was decoded is empty.
            originals = (_base64(value or None) for value in batch.values)
            columns[ORIGINAL] = pa.array(originals, pa.string(), size=count)
        return {(name,): column for name, column in columns.items()}, escaped


def _not_text(value: bytes) -> str:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return f"the value is not UTF-8, from byte {error.start} of {len(value)}"
    return ""


def _texts(values: Sequence[bytes | None]) -> tuple[pa.Array, int]:
    """UTF-8 as texts, and how many of them had to be escaped."""
    everything = b"".join(filter(None, values))
    if b"\0" not in everything and not has_mark(everything):
        return pa.array(values, pa.binary()).cast(pa.string()), 0
    before = [None if value is None else value.decode() for value in values]
    after = [None if text is None else escape(text) for text in before]
    return pa.array(after, pa.string()), sum(map(str.__ne__, filter(None, before), filter(None, after)))


def _plain(values: Sequence[bytes | None]) -> tuple[pa.Array, pa.Array]:
    """Texts of any bytes, and how each of them is to be read."""
    everything = b"".join(filter(None, values))
    if b"\0" not in everything and not has_mark(everything):
        try:
            texts = pa.array(values, pa.binary()).cast(pa.string())
        except pa.ArrowInvalid:
            pass  # one of them is no UTF-8
        else:
            return texts, pa.array([None if value is None else "utf-8" for value in values], pa.string())
    pairs = [(None, None) if value is None else _readable(value) for value in values]
    return pa.array([text for text, _ in pairs], pa.string()), pa.array(
        [how for _, how in pairs], pa.string()
    )


def _readable(value: bytes) -> tuple[str, str]:
    """A text that is holdable as it is, or else base64; and which of them."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = MARK
    if MARK in text or "\0" in text:
        return b64encode(value).decode(), "base64"
    return text, "utf-8"


def _told(headers: Headers) -> str:
    """Headers as a JSON list, in their order."""
    found = []
    for name, value in headers:
        text, how = (None, "utf-8") if value is None else _readable(value)
        found.append({"name": escape(name), "value" if how == "utf-8" else "base64": text})
    return json.dumps(found, ensure_ascii=False)


def _base64(value: bytes | None) -> str | None:
    return None if value is None else b64encode(value).decode()


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)
