"""A person taken out of the archive, so that a rebuild makes what an erasure has left.

Bodies hold many people, so no key of one person's own could be destroyed: those that name the person are
written anew, with ``erased:<pseudonym>`` in place of what names them. Landing takes that for the value it
stood for (``privacy/values.py``), so their rows are blanked and still are one person's. The tombstones are
kept here, too: the archive outlives the warehouse.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import msgspec

from loaders._core.archive.store import Store
from loaders._core.archive.tables import LINES, Lines
from loaders._core.archive.tape import TOLD_MARK, read_package
from loaders._core.copytext import field_value, line
from loaders._core.privacy.texts import any_of, bytes_pattern_of, cases, pattern_of, without
from loaders._core.privacy.values import (
    ERASED_MARK,
    IDENTITY,
    LINKING,
    Personal,
    Ring,
    marked,
    normalised,
    unpacked,
)
from loaders._core.warehouse import Target

TOMBSTONES = "tombstones"
_GONE = "[erased]"
_GZIP = b"\x1f\x8b"
_DOCUMENTS = ("json", "jsonb")
_TEXTS = ("text", "character varying", *_DOCUMENTS)
_SHORT = 8  # shorter values may be anything, and are only replaced where they are declared to be
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_PACKED = re.compile(
    rb'"((?:[A-Za-z0-9+/]{4}){2,}(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==))"'
)
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")  # of a pair of UTF-16, those aside that stand for bytes
_TOKEN = re.compile(_STRING.pattern + rb'|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)


def bury(store: Store, pseudonyms: Collection[str]) -> None:
    """Keep tombstones in the archive as well."""
    content = msgspec.json.encode(sorted(pseudonyms))
    digest = store.key.archive_hash()
    digest.update(content)
    store.write(f"{TOMBSTONES}/{digest.hexdigest()[:40]}", content)


def restore_tombstones(store: Store, target: Target) -> None:
    """Put the archive's tombstones into the warehouse."""
    buried: set[str] = set()
    for name in store.names(TOMBSTONES):
        buried |= set(msgspec.json.decode(b"".join(store.read(f"{TOMBSTONES}/{name}")), type=list[str]))
    if not buried:
        return
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        for pseudonym in sorted(buried):
            cursor.execute(
                f"insert into ops.tombstones (pseudonym, erased_at) select %s, {target.clock}"  # noqa: S608
                " where not exists (select 1 from ops.tombstones where pseudonym = %s)",
                [pseudonym] * 2,
            )


class Eraser:
    """Takes one person out of bodies.

    Args:
        values: what names the person, or is theirs, by class.
        spelled: (class, value) -> how it may stand in a text.
        pseudonyms: the person's tombstones.
        personal: by (schema, table) of raw the personal columns and their classes.
    """

    def __init__(
        self,
        ring: Ring,
        values: Mapping[Personal, Collection[str]],
        spelled: Callable[[Personal, str], Collection[str]],
        *,
        pseudonyms: Collection[str],
        personal: Mapping[tuple[str, str], Mapping[str, Personal]],
    ) -> None:
        self._ring = ring
        self._pseudonyms = pseudonyms
        self._personal = personal
        self._columns = columns_of(personal)
        self._marks: dict[bytes, bytes] = {}
        self._short: dict[tuple[Personal, str], bytes] = {}
        for kind, several in values.items():
            for value in several:
                mine = [p for key in ring.keys.values() if (p := key.pseudonym(kind, value)) in pseudonyms]
                mark = (marked(str(mine[0])) if mine and kind in LINKING else _GONE).encode()
                if len(value) < _SHORT:
                    self._short[kind, value] = mark
                for form in spelled(kind, value):
                    self._marks |= dict.fromkeys(cases(form), mark)
        forms = [form.decode("utf-8", "surrogatepass") for form in self._marks]
        self._pattern = pattern_of(forms)
        either = any_of(forms).encode("utf-8", "surrogatepass")
        self._numbers = re.compile(rb"(?i)([:\[,]\s*)(" + either + rb")(?=\s*[,}\]])")
        self._anywhere = bytes_pattern_of(forms)
        self._in_bytes = re.compile(either, re.IGNORECASE)

    def erase(self, store: Store, say: Callable[[str, int], None]) -> None:
        """Write all bodies and packages that name the person anew; may be repeated.

        Args:
            say: told how many objects of each source.

        Raises:
            ArchiveError: an object can't be read or written.
        """
        for source in store.sources():
            folder = f"{source}/packages"
            renamed: dict[str, str] = {}
            for address in store.addresses(source):
                body = b"".join(store.body(source, address))
                cleaned = self.cleaned(source, body)
                if cleaned != body:
                    renamed[address] = store.keep_bytes(source, cleaned)
            changed = 0
            named: set[str] = set()
            for name in store.names(folder):
                package = read_package(store, folder, name)
                before = msgspec.json.encode(package)
                for answer in package.answers:
                    answer.body = renamed.get(answer.body, answer.body)
                    answer.url, answer.sent = self._in_text(answer.url), self._in_text(answer.sent)
                    named.add(answer.body)
                package.settings = self._in_settings(package.settings)
                after = msgspec.json.encode(package)
                if after != before:
                    store.write(f"{folder}/{name}", after)
                    changed += 1
            # What no package names was read by a run that was killed.
            for address in {*renamed, *store.addresses(source)} - named:
                store.remove_body(source, address)
            say(source, len(renamed) + changed)

    def cleaned(self, source: str, body: bytes) -> bytes:
        """A body without the person; the same if it does not name them."""
        if body.startswith(TOLD_MARK):
            with suppress(msgspec.DecodeError):  # an answer of HTTP may begin like that, too
                told = msgspec.msgpack.decode(body.removeprefix(TOLD_MARK))
                without = self._in_told(source, told)
                return body if without == told else TOLD_MARK + msgspec.msgpack.encode(without)
        return self._cleaned(source, body)

    def _cleaned(self, source: str, body: bytes) -> bytes:
        """What a vendor has sent, which may be anything."""
        plain = _plain(body)
        if plain.lstrip()[:1] not in (b"{", b"["):
            found = self._replaced(source, plain)
        else:
            found = _STRING.sub(partial(self._in_string, source), plain) if b"\\" in plain else plain
            found = _PACKED.sub(self._opened, self._replaced(source, found))
            if found != plain:
                found = _without_members(found, self._beside(source))
        return body if found == plain else found

    def _beside(self, source: str) -> frozenset[str]:
        """The names of members that are personal and link nothing."""
        columns = self._columns.get(source, {})
        return frozenset(_flat(c.rpartition("__")[2]) for c, kind in columns.items() if kind not in LINKING)

    def _in_string(self, source: str, found: re.Match[bytes]) -> bytes:
        """A string of JSON without the person: one that is JSON itself, or has escapes that it does not need,
        as vendors write @ as \\u0040 and / as \\/.
        """
        raw = found[0]
        if raw[:2] in (b'"{', b'"[') and b'\\"' in raw:
            with suppress(ValueError):  # looks like a string, and is none
                text = _said(raw).encode("utf-8", "surrogatepass")
                cleaned = self._cleaned(source, text)
                return raw if cleaned == text else _spelled(cleaned.decode("utf-8", "surrogatepass"), raw)
        if b"\\u" not in raw and b"\\/" not in raw:
            return raw
        plain = _respelled(raw)
        cleaned = self._anywhere.sub(self._mark, plain)
        return raw if cleaned == plain else cleaned

    def _in_told(self, source: str, value: Any) -> Any:
        """What a vendor told without the person: they may be named in bytes, of messages and keys."""
        if isinstance(value, bytes):
            keyed = self._columns.get(source, {}).get("key")
            whole = (
                mark
                for (kind, short), mark in self._short.items()
                if kind is keyed and short.encode() == value
            )
            found = next(whole, None) or self._cleaned(source, value)
            return found if _is_text(found) else self._in_bytes.sub(self._mark, found)
        if isinstance(value, list):
            return [self._in_told(source, each) for each in value]
        if isinstance(value, dict) and value.get("type") == LINES:
            return value | {"text": self._in_lines(source, msgspec.convert(value, Lines))}
        if isinstance(value, dict) and value.get("decoded"):
            value = self._unpacked(source, value)
        if isinstance(value, dict):
            return {name: self._in_told(source, each) for name, each in value.items()}
        return value

    def _unpacked(self, source: str, batch: dict[str, Any]) -> dict[str, Any]:
        """Messages whose values are in another form, without the bytes of those that name the person: in
        them or, as numbers are no text there, in what they say.
        """
        values = [
            b"" if packed and (self._says(source, said) or self._in_bytes.search(packed)) else packed
            for packed, said in zip(batch["values"], batch["decoded"], strict=True)
        ]
        return batch | {"values": values}

    def _says(self, source: str, said: bytes | None) -> bool:
        return said is not None and self._cleaned(source, said) != said

    def _opened(self, found: re.Match[bytes]) -> bytes:
        """A string of JSON, or the person's mark if it is base64 and names them."""
        for plain in unpacked(found[1].decode()):
            if told := self._in_bytes.search(plain):
                return b'"' + self._mark(told) + b'"'
        return found[0]

    def _mark(self, found: re.Match[bytes]) -> bytes:
        return self._marks[found[0].lower()]

    def _in_lines(self, source: str, lines: Lines) -> bytes:
        """Rows of a table without the person: of theirs only marks are left, which link them."""
        personal = {**self._personal.get((f"raw_{source}", lines.table), {}), **lines.personal}
        found = bytearray()
        for row in lines.text.split(b"\n")[:-1]:
            fields = map(field_value, row.split(b"\t"))
            before = dict(zip((column.name for column in lines.columns), fields, strict=True))
            marks = self._marks_of({name: (kind, before.get(name)) for name, kind in personal.items()})
            # A rebuild looks for marks where the package says that a column is personal.
            after = before | {
                name: marks[name] if name in lines.personal else None for name in marks.keys() & before
            }
            for column in lines.columns:
                if (text := after[column.name]) and column.type in _TEXTS:
                    after[column.name] = self._in_field(source, text, column.type)
            found += row + b"\n" if after == before else line(after.values())
        return bytes(found)

    def _in_field(self, source: str, text: str, kind: str) -> str:
        """A text or document of a row without the person; a document stays one."""
        cleaned = self._cleaned(source, text.encode()).decode()
        if cleaned == text or kind not in _DOCUMENTS:
            return cleaned
        try:
            json.loads(cleaned)
        except (ValueError, RecursionError):
            return without(text, self._pattern, kind)
        return cleaned

    def _marks_of(self, held: Mapping[str, tuple[Personal, str | None]]) -> dict[str, str | None]:
        """What shall stand in the personal columns of a row that is the person's, as ``person._theirs`` says.

        Args:
            held: by column its class and value.
        """
        theirs = {
            name: mine
            for name, (kind, text) in held.items()
            if text and kind in LINKING and (mine := self._pseudonym(kind, text))
        }
        names_anybody = any(
            text and (ERASED_MARK.fullmatch(text) or normalised(kind, text))
            for kind, text in held.values()
            if kind in IDENTITY
        )
        if not any(held[name][0] in IDENTITY or not names_anybody for name in theirs):
            return {}
        found: dict[str, str | None] = dict.fromkeys(held)
        return found | {name: marked(mine) for name, mine in theirs.items()}

    def _pseudonym(self, kind: Personal, text: str) -> str | None:
        """The person's tombstone that a value, or the mark of one, stands for."""
        mark = ERASED_MARK.fullmatch(text)
        said = [mark[1]] if mark else [key.pseudonym(kind, text) for key in self._ring.keys.values()]
        return next((each for each in said if each in self._pseudonyms), None)

    def _replaced(self, source: str, plain: bytes) -> bytes:
        for (kind, value), mark in self._short.items():
            for column, of in self._columns.get(source, {}).items():
                if of is kind:
                    plain = _member(column, value).sub(rb'\1"' + mark + b'"', plain)
        plain = self._numbers.sub(lambda it: it[1] + b'"' + self._marks[it[2].lower()] + b'"', plain)
        return self._anywhere.sub(self._mark, plain)

    def _in_settings(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: self._in_settings(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._in_settings(each) for each in value]
        return self._in_text(value) if isinstance(value, str) else value

    def _in_text(self, text: str) -> str:
        return self._anywhere.sub(self._mark, text.encode()).decode()


def _plain(body: bytes) -> bytes:
    if body.startswith(_GZIP):
        with suppress(OSError, EOFError, zlib.error):  # a message may begin like that, and be no such thing
            return gzip.decompress(body)
    return body


def _said(raw: bytes) -> str:
    """What a string of JSON says; halves of a pair of UTF-16 stand for bytes that are no UTF-8."""
    return str(json.loads(raw.decode("utf-8", "surrogateescape"), strict=False))


def _spelled(said: str, raw: bytes) -> bytes:
    """A string of JSON with no escapes but those that it needs; as ``raw`` with bytes that are no UTF-8."""
    text = json.dumps(said, ensure_ascii=False)
    try:
        raw.decode()
    except UnicodeDecodeError:
        text = _HALF.sub(lambda it: f"\\u{ord(it[0]):04x}", text)
        return text.encode("utf-8", "surrogateescape")
    return text.encode("utf-8", "backslashreplace")


def _respelled(raw: bytes) -> bytes:
    """A string of JSON with no escapes but those that it needs; itself if it is none."""
    try:
        return _spelled(_said(raw), raw)
    except ValueError:
        return raw


def _is_text(body: bytes) -> bool:
    try:
        return not _CONTROL.search(body.decode())
    except UnicodeDecodeError:
        return False


def _member(column: str, value: str) -> re.Pattern[bytes]:
    """Finds a member of JSON with a short value, however its name is written."""
    words = [re.escape(word) for word in column.rpartition("__")[2].split("_") if word]
    literal = re.escape(msgspec.json.encode(value)[1:-1])
    name = r"[_\s-]?".join(words).encode()
    return re.compile(rb'(?i)("' + name + rb'"\s*:\s*)"?' + literal + rb'"?(?=\s*[,}\]])')


@lru_cache(1024)
def _flat(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


@dataclass
class _Open:
    """An object or list of JSON that has begun.

    Attributes:
        key: of the member whose value comes next; None in a list, and where a name comes next.
        spans: of values that go if the object is the person's.
    """

    start: int
    key: str | None = None
    spans: list[tuple[int, int]] = field(default_factory=list)
    is_marked: bool = False
    is_around: bool = False


def _without_members(body: bytes, theirs: Collection[str]) -> bytes:
    """JSON, one document or more, with null for these members of objects that bear a person's mark; as
    landing opens some objects one level, also in the objects around those. The rest stays byte for byte.
    """
    gone: list[tuple[int, int]] = []
    within = [_Open(0)]
    name = b""
    for found in _TOKEN.finditer(body):
        token, inner = found[0], within[-1]
        start = found.start()
        if token in (b"{", b"["):
            within.append(_Open(start))
            continue
        if token == b":":
            inner.key = _flat((_respelled(name) if b"\\" in name else name).decode("utf-8", "replace"))
            continue
        if token == b",":
            continue
        is_marked = _is_marked(token)
        if token in (b"}", b"]") and len(within) > 1:
            within.pop()
            if inner.is_marked or inner.is_around:
                gone += inner.spans
            start, is_marked, around = inner.start, False, within[-1]
            around.is_around |= inner.is_marked and around.key is not None
            inner = around
        name = token
        if inner.key is not None:
            inner.is_marked |= is_marked
            if inner.key in theirs:
                inner.spans.append((start, found.end()))
            inner.key = None
    kept, at = [], 0
    for start, end in sorted(gone):
        if start >= at:  # else it is within one that goes
            kept += [body[at:start], b"null"]
            at = end
    return b"".join([*kept, body[at:]])


def _is_marked(raw: bytes) -> bool:
    return raw[:1] == b'"' and ERASED_MARK.fullmatch(raw[1:-1].decode("utf-8", "replace")) is not None


def columns_of(personal: Mapping[tuple[str, str], Mapping[str, Personal]]) -> dict[str, dict[str, Personal]]:
    """By source the personal columns of all its tables."""
    found: dict[str, dict[str, Personal]] = {}
    for (schema, _), columns in personal.items():
        found.setdefault(schema.removeprefix("raw_"), {}).update(columns)
    return found
