"""Messages of the site's collector as rows of text, one for each event; no Spark in it, only Arrow.

Spark's own JSON functions pass numbers through doubles (12.50 becomes 12.5, 12345678901234567.89 loses its
cents), so documents are taken apart by the loader's reader, in Spark's Python workers. What is not as
declared is told by the same judge as in the loader.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
import pyarrow as pa

from loaders._core.privacy.values import Personal, Protection
from loaders._core.records import Page, Path, RecordReader, elements_of, value_of
from loaders._core.stream import Rejected, Rows
from loaders._core.text import MARK, escape_in_json, unescape
from loaders._core.topics import Batch, Cut
from loaders.spark.plan import PERSONAL

MESSAGE = ("message_id", "timestamp", "value__batch_id", "value__sent_at")
DEVICE = tuple(column for name in PERSONAL for column in (name, f"{name}__pseudonym"))
CONTEXT: dict[str, Path] = {
    "page_url": ("page", "url"),
    "platform": ("campaign", "platform"),
    "ad_account_id": ("campaign", "account_id"),
    "campaign_id": ("campaign", "campaign_id"),
    "ad_group_id": ("campaign", "ad_group_id"),
    "ad_id": ("campaign", "ad_id"),
    "click_id": ("campaign", "click_id"),
    "gclid": ("campaign", "gclid"),
    "fbclid": ("campaign", "fbclid"),
    "utm_source": ("campaign", "utm_source"),
    "utm_medium": ("campaign", "utm_medium"),
    "utm_campaign": ("campaign", "utm_campaign"),
    "utm_content": ("campaign", "utm_content"),
    "locale": ("locale",),
    "app_version": ("app", "version"),
    "device_platform": ("app", "platform"),
}
EVENT: dict[str, Path] = {
    "event_id": ("event_id",),
    "event_name": ("event_name",),
    "occurred_at": ("occurred_at",),
    "order_id": ("properties", "order_id"),
    "order_amount": ("properties", "value"),
    "currency_code": ("properties", "currency"),
    "items": ("properties", "items"),
}
COUNTED = ("item_count", "item_quantity")
FLAT_COLUMNS = (*MESSAGE, *DEVICE, "element_no", *EVENT, *COUNTED, *CONTEXT)
"""The columns of the table, all text; ``event_id`` is never empty."""
ASIDE = ("reason", "raw_bytes")
"""Of a message that can't be taken, which has a row alone with its ``message_id``."""
PLACE = pa.schema([("source_partition", pa.int32()), ("source_offset", pa.int64())])
SCHEMA = pa.schema([*PLACE, *((name, pa.string()) for name in (*FLAT_COLUMNS, *ASIDE))])
OCCURRED = pa.schema(
    [("event_id", pa.string()), ("event_name", pa.string()), ("event_at", pa.timestamp("us", "UTC"))]
)

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_WHOLE = re.compile(r"\s*[+-]?[0-9]+\s*")
_EMPTY = b"{}"
_KINDS = {0: "create_time", 1: "log_append_time"}  # as Spark's Kafka source numbers them


class _Item(msgspec.Struct, gc=False):
    quantity: msgspec.Raw = msgspec.Raw(b"null")


_ITEM = msgspec.json.Decoder(_Item)
_TEXT = msgspec.json.Decoder(str)


class Flattener:
    """Takes batches of messages apart; for one thread. It learns what they look like, and is quicker then."""

    def __init__(self, cut: Cut, protection: Protection) -> None:
        """Nothing is read yet."""
        self._cut = cut
        self._protection = protection
        self._contexts = RecordReader((), ("page", "campaign", "app"))
        self._events = RecordReader((), ("properties",))

    def rows(self, messages: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """Batches of ``SCHEMA``.

        Args:
            messages: with the columns of Spark's Kafka source (key, value, partition, offset, timestamp,
                timestampType, headers).
        """
        for item in self._cut.documents(_batch(messages)):
            if isinstance(item, Rejected):
                yield self._aside(item)
            elif (found := self._flat(item)) is not None:
                yield found

    def _flat(self, rows: Rows) -> pa.RecordBatch | None:
        """One row for each event; None if there is none. Tombstones have none."""
        page = rows.page
        lists = [_elements(text) for text in _column(page, ("value", "events")).to_pylist()]
        parents = pa.array([n for n, found in enumerate(lists) for _ in found], pa.int32())
        if not len(parents):
            return None
        numbers = [str(place) for found in lists for place in range(len(found))]
        opened = self._events.read_each([_object(raw) for found in lists for raw in found])
        context = _column(page, ("value", "context")).to_pylist()
        beside = self._contexts.read_each([_object(_json(text)) for text in context])
        personal = {name: _column(page, ("value", name.removeprefix("value__"))) for name in PERSONAL}
        columns = {name: _column(page, (name,)) for name in ("message_id", "timestamp")}
        columns |= {name: _column(page, ("value", name.removeprefix("value__"))) for name in MESSAGE[2:]}
        columns |= self._protection.columns(PERSONAL, personal)
        columns |= {name: _column(beside, path) for name, path in CONTEXT.items()}
        places = {"source_partition": ("partition",), "source_offset": ("offset",)}
        columns |= {name: _column(page, path) for name, path in places.items()}
        flat = {name: column.take(parents) for name, column in columns.items()}
        flat |= {name: _column(opened, path) for name, path in EVENT.items()}
        flat["element_no"] = pa.array(numbers, pa.string())
        flat["event_id"] = _known(flat["event_id"], flat["message_id"], flat["element_no"])
        items = [_items(text) for text in flat["items"].to_pylist()]
        for at, name in enumerate(COUNTED):
            flat[name] = pa.array([str(each[at]) for each in items], pa.string())
        return _shaped(len(parents), flat)

    def _aside(self, item: Rejected) -> pa.RecordBatch:
        _, partition, offset = item.key.rsplit(":", 2)
        raw = {"raw_bytes": pa.array([b64encode(item.record).decode()], pa.string())}
        told = {"message_id": item.key, "reason": item.reason}
        told |= {"source_partition": partition, "source_offset": offset}
        columns = {name: pa.array([value], pa.string()) for name, value in told.items()}
        return _shaped(1, columns | self._protection.columns({"raw_bytes": Personal.DOCUMENT}, raw))


def occurred(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Of rows of ``SCHEMA`` those that are events: which, and when it happened, as staging decides it."""
    texts = [rows.column(name).to_pylist() for name in ("occurred_at", "value__sent_at", "timestamp")]
    moments = [
        instant(at) or instant(sent) or _from_epoch(came) for at, sent, came in zip(*texts, strict=True)
    ]
    found = pa.RecordBatch.from_arrays(
        [
            rows.column("event_id"),
            rows.column("event_name").fill_null("unnamed"),
            pa.array(moments, OCCURRED.field("event_at").type),
        ],
        schema=OCCURRED,
    )
    return found.filter(found.column("event_id").is_valid())


def instant(text: str | None) -> datetime | None:
    """A moment in ISO 8601; one without an offset is UTC's, and what is none is None."""
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _from_epoch(text: str | None) -> datetime | None:
    return datetime.fromtimestamp(int(text) / 1000, UTC) if text else None


def _batch(messages: pa.RecordBatch) -> Batch:
    """As the loader's client gives them."""
    at = {name: messages.column(name) for name in messages.schema.names}
    kinds = [_KINDS.get(kind) for kind in at["timestampType"].to_pylist()]
    times = at["timestamp"].cast(pa.timestamp("ms", at["timestamp"].type.tz), safe=False).cast(pa.int64())
    headers: list[Any] = [
        [(each["key"], each["value"]) for each in told] if told else None
        for told in at["headers"].to_pylist()
    ]
    return Batch(
        at["partition"].to_pylist(),
        at["offset"].to_pylist(),
        [time if kind else None for time, kind in zip(times.to_pylist(), kinds, strict=True)],
        kinds,
        at["key"].to_pylist(),
        headers,
        at["value"].to_pylist(),
    )


def _column(page: Page, path: Path) -> pa.Array:
    """A column, of nulls if no record has it."""
    found = page.columns.get(path)
    return pa.nulls(page.rows, pa.string()) if found is None else found


def _shaped(count: int, columns: Mapping[str, Any]) -> pa.RecordBatch:
    arrays = [
        columns[field.name].cast(field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in SCHEMA
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _elements(text: str | None) -> Sequence[bytes | msgspec.Raw]:
    """The elements of a landed JSON list; none of what is no list."""
    if not text or text[0] != "[":
        return ()
    whole = _unescaped(text)
    try:
        return _LIST.decode(whole)
    except msgspec.DecodeError:  # also of half a pair of surrogates, which JSON may spell
        with suppress(ValueError):
            return [each.encode() for each in elements_of(whole)]
    return ()


def _json(text: str | None) -> bytes:
    """A landed text that is JSON; that of an object if it is none."""
    whole = _unescaped(text or "")
    try:
        return bytes(msgspec.json.decode(whole, type=msgspec.Raw))
    except msgspec.DecodeError:  # as above
        with suppress(ValueError):
            return value_of(whole).encode()
    return _EMPTY


def _unescaped(text: str) -> str:
    """A text as it came: what is taken out of it is escaped anew."""
    return unescape(text) if MARK in text else text


def _object(raw: bytes | msgspec.Raw) -> bytes:
    """An object, and in place of anything else an empty one."""
    found = bytes(raw)
    return found if found[:1] == b"{" else _EMPTY


def _known(ids: pa.Array, messages: pa.Array, places: pa.Array) -> pa.Array:
    """Ids of events; one without an id is told from others by its place in its message."""
    if not ids.null_count:
        return ids
    rows = zip(ids.to_pylist(), messages.to_pylist(), places.to_pylist(), strict=True)
    return pa.array(
        [f"{message}/{place}" if id_ is None else id_ for id_, message, place in rows], pa.string()
    )


def _items(text: str | None) -> tuple[int, int]:
    """How many lines a list of goods has, and how many pieces; a line that says no number is one piece."""
    found = _elements(text and escape_in_json(text))
    return len(found), sum(map(_quantity, found))


def _quantity(item: bytes | msgspec.Raw) -> int:
    try:
        told = bytes(_ITEM.decode(item).quantity)
        text = _TEXT.decode(told) if told[:1] == b'"' else told.decode()
    except msgspec.DecodeError:
        return 1
    return int(text) if _WHOLE.fullmatch(text) else 1
