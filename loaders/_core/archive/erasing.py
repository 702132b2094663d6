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
from typing import Any

import msgspec

from loaders._core.archive.store import Store
from loaders._core.archive.tables import LINES, Lines
from loaders._core.archive.tape import TOLD_MARK, read_package
from loaders._core.copytext import field_value, line
from loaders._core.privacy.texts import any_of, bytes_pattern_of, pattern_of, without
from loaders._core.privacy.values import ERASED_MARK, IDENTITY, LINKING, Personal, Ring, marked, normalised
from loaders._core.warehouse import Target

TOMBSTONES = "tombstones"
_GONE = "[erased]"
_GZIP = b"\x1f\x8b"
_DOCUMENTS = ("json", "jsonb")
_TEXTS = ("text", "character varying", *_DOCUMENTS)
_SHORT = 8  # shorter values may be anything, and are only replaced where they are declared to be
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f]")
_RAW_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RAW_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


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
                    self._marks[form.lower().encode()] = mark
        forms = [form.decode() for form in self._marks]
        self._pattern = pattern_of(forms)
        self._numbers = re.compile(rb"(?i)([:\[,]\s*)(" + any_of(forms).encode() + rb")(?=\s*[,}\]])")
        self._anywhere = bytes_pattern_of(forms)
        self._in_bytes = re.compile(any_of(forms).encode(), re.IGNORECASE)

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
            told = msgspec.msgpack.decode(body.removeprefix(TOLD_MARK))
            without = self._in_told(source, told)
            return body if without == told else TOLD_MARK + msgspec.msgpack.encode(without)
        plain = _plain(body)
        is_json = plain[:1] in (b"{", b"[")
        found = plain
        if is_json and b'\\"' in plain:
            found = _each_document(found, lambda document: self._inside(source, document))
        found = self._replaced(source, found)
        # Vendors may write @ as \u0040 and / as \/.
        if is_json and (found != plain or b"\\u" in plain or b"\\/" in plain):
            theirs = frozenset(
                _flat(column.rpartition("__")[2])
                for column, kind in self._columns.get(source, {}).items()
                if kind not in LINKING
            )
            found = _each_document(found, lambda document: self._walked(document, theirs)[0])
        return body if found == plain else found

    def _in_told(self, source: str, value: Any) -> Any:
        """What a vendor told without the person: they may be named in bytes, of messages and keys."""
        if isinstance(value, bytes):
            keyed = self._columns.get(source, {}).get("key")
            whole = (
                mark
                for (kind, short), mark in self._short.items()
                if kind is keyed and short.encode() == value
            )
            found = next(whole, None) or self.cleaned(source, value)
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
        return said is not None and self.cleaned(source, said) != said

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
        cleaned = self.cleaned(source, text.encode()).decode()
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

    def _inside(self, source: str, raw: bytes) -> bytes:
        """A JSON value without the person in those of its texts that are JSON themselves."""
        if raw[:1] == b"{":
            members = {name: bytes(value).strip() for name, value in _RAW_MEMBERS.decode(raw).items()}
            found = {name: self._inside(source, value) for name, value in members.items()}
            return raw if found == members else _object(found)
        if raw[:1] == b"[":
            items = [bytes(each).strip() for each in _RAW_ITEMS.decode(raw)]
            cleaned = [self._inside(source, each) for each in items]
            return raw if cleaned == items else b"[" + b",".join(cleaned) + b"]"
        if raw[:2] in (b'"{', b'"['):
            text = msgspec.json.decode(raw, type=str).encode()
            without = self.cleaned(source, text)
            return raw if without == text else msgspec.json.encode(without.decode())
        return raw

    def _walked(self, raw: bytes, theirs: frozenset[str]) -> tuple[bytes, bool]:
        """A JSON value without the person and, in objects of theirs, without these members; the rest byte for
        byte. And whether it is an object that bears the person's mark.
        """
        first = raw[:1]
        if first == b"{":
            members = {name: bytes(value).strip() for name, value in _RAW_MEMBERS.decode(raw).items()}
            walked = {name: self._walked(value, theirs) for name, value in members.items()}
            own = any(_is_marked(value) for value, _ in walked.values())
            # As landing opens some objects one level, what marks an object also marks the one around it.
            is_theirs = own or any(marks for _, marks in walked.values())
            found = {
                name: b"null" if is_theirs and _flat(name) in theirs else value
                for name, (value, _) in walked.items()
            }
            if found == members:
                return raw, own
            return _object(found), own
        if first == b"[":
            items = [bytes(each).strip() for each in _RAW_ITEMS.decode(raw)]
            cleaned = [self._walked(each, theirs)[0] for each in items]
            return (raw if cleaned == items else b"[" + b",".join(cleaned) + b"]"), False
        if first == b'"' and b"\\" in raw:
            plain = msgspec.json.encode(msgspec.json.decode(raw, type=str))
            cleaned_text = self._anywhere.sub(self._mark, plain)
            return (raw if cleaned_text == plain else cleaned_text), False
        return raw, False

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


def _is_text(body: bytes) -> bool:
    try:
        return not _CONTROL.search(body.decode())
    except UnicodeDecodeError:
        return False


def _object(members: Mapping[str, bytes]) -> bytes:
    return (
        b"{" + b",".join(msgspec.json.encode(name) + b":" + value for name, value in members.items()) + b"}"
    )


def _member(column: str, value: str) -> re.Pattern[bytes]:
    """Finds a member of JSON with a short value, however its name is written."""
    words = [re.escape(word) for word in column.rpartition("__")[2].split("_") if word]
    literal = re.escape(msgspec.json.encode(value)[1:-1])
    name = r"[_\s-]?".join(words).encode()
    return re.compile(rb'(?i)("' + name + rb'"\s*:\s*)"?' + literal + rb'"?(?=\s*[,}\]])')


def _flat(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _each_document(body: bytes, treat: Callable[[bytes], bytes]) -> bytes:
    """A JSON document, or one a line; what has not changed stays byte for byte."""

    def treated(document: bytes) -> bytes:
        bare = document.strip()
        cleaned = treat(bare) if bare else bare
        return document if cleaned == bare else cleaned

    try:
        return treated(body)
    except msgspec.DecodeError:
        pass
    try:
        return b"\n".join(map(treated, body.split(b"\n")))
    except msgspec.DecodeError:  # something else that begins with a bracket
        return body


def _is_marked(raw: bytes) -> bool:
    return raw[:1] == b'"' and ERASED_MARK.fullmatch(raw[1:-1].decode("utf-8", "replace")) is not None


def columns_of(personal: Mapping[tuple[str, str], Mapping[str, Personal]]) -> dict[str, dict[str, Personal]]:
    """By source the personal columns of all its tables."""
    found: dict[str, dict[str, Personal]] = {}
    for (schema, _), columns in personal.items():
        found.setdefault(schema.removeprefix("raw_"), {}).update(columns)
    return found
