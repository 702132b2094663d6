"""Personal values: what they are, how two spellings of one become the same, and what lands in their place.

Beside every personal column lands ``<column>__pseudonym``: a keyed HMAC of the normalised value, the same for
the same value whatever the source, and worth nothing without the key. (A plain hash is undone by trying all
telephone numbers, as docs/privacy.md does.) With sealing on, the value itself lands as AES-SIV ciphertext
(RFC 5297): deterministic, so that equal stays equal, and authenticated, so that it can't be altered unseen.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from loaders._core.errors import ConfigurationError
from loaders._core.redact import secret

SUFFIX = "__pseudonym"
SEALED = "sealed:"
ERASED_MARK = re.compile(r"erased:([0-9a-f]{8}:[\w-]{22})")
"""What stands in the archive in place of a value of an erased person: their tombstone."""
KEY_BYTES = 32
_PSEUDONYM_BYTES = 16


class Personal(StrEnum):
    """The classes of personal data; the same value in two classes has two pseudonyms."""

    EMAIL = "email"
    PHONE = "phone"
    NAME = "name"
    IP = "ip"
    DEVICE_ID = "device_id"
    USER_ID = "user_id"
    DOCUMENT = "document"
    """Free text or JSON that may hold any of them: has no pseudonym, and is sealed whole."""


IDENTITY = frozenset({Personal.EMAIL, Personal.PHONE, Personal.USER_ID})
"""The classes that name a person: rows with one of these in common are one person's."""

LINKING = IDENTITY | {Personal.DEVICE_ID}
"""With devices, which link only rows that name nobody: two people may share one. Names and network addresses
are shared by many, and link nothing."""


def marked(pseudonym: str) -> str:
    """What stands in the archive in place of the value of an erased person's pseudonym."""
    return f"erased:{pseudonym}"


def pseudonym_column(column: str) -> str:
    """Where the pseudonym of a personal column stands."""
    return column + SUFFIX


def pseudonym_columns(personal: Mapping[str, Personal]) -> dict[str, str]:
    """The columns that landing adds, by the personal column each is made of."""
    return {c: pseudonym_column(c) for c, kind in personal.items() if kind is not Personal.DOCUMENT}


def bytes_of(column: str, personal: Mapping[str, Personal]) -> list[str]:
    """The column with the bytes that a document was made of, if there is one: no search finds a person in
    them, so they go with what the document says.
    """
    name = f"{column}_bytes"
    return [name] if personal.get(name) is personal.get(column) is Personal.DOCUMENT else []


def normalised(kind: Personal, value: str) -> str:
    """The spelling of a value that its pseudonym is made of; empty if there is nothing in it.

    Telephone numbers keep their digits behind one ``+``; ``00`` in front of them means the same.
    """
    if kind is Personal.PHONE:
        digits = "".join(str(int(c)) for c in value if c.isdecimal()).removeprefix("00")
        return f"+{digits}" if digits else ""
    if kind is Personal.NAME:
        return " ".join(value.casefold().split())
    return value.strip().lower()


class Key:
    """One key: a secret of 32 bytes or more, from which the keys for both uses are derived.

    Attributes:
        id: the first 8 hexadecimal digits of its SHA-256; stands before every pseudonym and ciphertext.
    """

    def __init__(self, text: str) -> None:
        """Take the key as base64.

        Raises:
            ConfigurationError: it is none, or too short.
        """
        try:
            raw = base64.b64decode(text.strip().translate(_STANDARD), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) < KEY_BYTES:
            raise ConfigurationError(f"a key of [privacy] is no base64 of {KEY_BYTES} bytes or more; {MAKE}")
        secret(text.strip())
        self.id = hashlib.sha256(raw).hexdigest()[:8]
        self._mac_key = _derived(raw, b"adstar pseudonym", 32)
        self._siv = AESSIV(_derived(raw, b"adstar sealing", 64))
        self._archive_mac_key = _derived(raw, b"adstar archive address", 32)
        self._archive = AESSIV(_derived(raw, b"adstar archive", 64))

    def pseudonym(self, kind: Personal, value: str | None) -> str | None:
        """The pseudonym of a value; None of none and of an empty one: that would make strangers one."""
        text = normalised(kind, value) if value else ""
        if not text:
            return None
        message = f"{kind.value}\x00{text}".encode("utf-8", "surrogatepass")
        digest = hmac.digest(self._mac_key, message, "sha256")[:_PSEUDONYM_BYTES]
        return f"{self.id}:{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    def seal(self, kind: Personal, value: str) -> str:
        """The ciphertext of a value, as text; the class goes into it."""
        cipher = self._siv.encrypt(value.encode("utf-8", "surrogatepass"), [kind.value.encode()])
        return f"{SEALED}{self.id}:{base64.urlsafe_b64encode(cipher).decode().rstrip('=')}"

    def archive_hash(self) -> hmac.HMAC:
        """What makes the address of a body of the archive, to be fed with it."""
        return hmac.new(self._archive_mac_key, digestmod="sha256")

    def archive_seal(self, piece: bytes, about: list[bytes]) -> bytes:
        """The ciphertext of a piece of an object of the archive; 16 bytes longer than the piece."""
        return self._archive.encrypt(piece, about)

    def archive_open(self, cipher: bytes, about: list[bytes]) -> bytes:
        """The piece that ``archive_seal`` was given.

        Raises:
            InvalidTag, ValueError: it is none of this key, or was altered.
        """
        return self._archive.decrypt(cipher, about)

    def unseal(self, kind: Personal, sealed: str) -> str:
        """The value that ``seal`` was given.

        Raises:
            ValueError: the text is no ciphertext of this key and class, or was altered.
        """
        text = sealed.removeprefix(f"{SEALED}{self.id}:")
        if text == sealed:
            raise ValueError(f"not sealed with key {self.id}")
        try:
            cipher = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return self._siv.decrypt(cipher, [kind.value.encode()]).decode("utf-8", "surrogatepass")
        except (InvalidTag, ValueError):
            raise ValueError(f"what was sealed with key {self.id} as {kind} is damaged") from None


_STANDARD = str.maketrans("-_", "+/")
MAKE = (
    "make one by"
    ' `python -c "import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())"`'
)


def _derived(raw: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(raw)


class Ring:
    """The key in use and those before it, which still read what they have written."""

    def __init__(self, current: Key, previous: Collection[Key] = ()) -> None:
        self.current = current
        self.keys = {key.id: key for key in (*previous, current)}

    def key_of(self, text: str) -> Key:
        """The key that a pseudonym or a ciphertext was made with.

        Raises:
            ConfigurationError: it is not at hand.
        """
        key_id = text.removeprefix(SEALED).partition(":")[0]
        if key_id not in self.keys:
            raise ConfigurationError(
                f"the key {key_id} is not at hand, and what was made with it can't be read; put it into"
                " [privacy] previous_keys"
            )
        return self.keys[key_id]

    def revealed(self, kind: Personal, value: str) -> str:
        """A value as landed, unsealed if it is sealed.

        Raises:
            ConfigurationError: it is sealed with a key that is not at hand.
            ValueError: it was altered.
        """
        return self.key_of(value).unseal(kind, value) if is_sealed(value) else value


_SEALED_TEXT = re.compile(r"sealed:[0-9a-f]{8}:[\w-]+")


def is_sealed(value: str) -> bool:
    """Whether a text is a ciphertext of ``seal``."""
    return _SEALED_TEXT.fullmatch(value) is not None


class Protection:
    """What lands in place of personal values.

    Args:
        ring: None if nothing is personal; columns then pass as they are.
        sealing: put ciphertext in place of the values.
        tombstones: pseudonyms of erased persons. A row that is one's (it has one of them in a column that
            names a person; or as its device, or in its free text, and names nobody) lands without its
            personal values, and of its pseudonyms with the linking ones only, so that rows that were
            counted still count. A free text that names one is left out of anybody's row.
    """

    def __init__(
        self, ring: Ring | None = None, *, sealing: bool = False, tombstones: Collection[str] = ()
    ) -> None:
        self._ring = ring
        self.sealing = sealing
        self._tombstones = frozenset(tombstones)
        buried = {text.partition(":")[0] for text in self._tombstones}
        self._graves = [ring.key_of(f"{key_id}:") for key_id in sorted(buried)] if ring else []

    def pseudonym(self, kind: Personal, value: str | None) -> str | None:
        """The pseudonym of one value: of the key in use or, if the value is erased, its tombstone."""
        assert self._ring is not None
        mark = ERASED_MARK.fullmatch(value) if value and self._tombstones else None
        if mark and mark[1] in self._tombstones:
            return mark[1]
        for key in self._graves if kind in LINKING else ():
            if (found := key.pseudonym(kind, value)) in self._tombstones:
                return found
        return self._ring.current.pseudonym(kind, value)

    def revealed(self, kind: Personal, value: str) -> str:
        """As ``Ring.revealed``."""
        return self._ring.revealed(kind, value) if self._ring else value

    def pseudonyms(self, kind: Personal, values: pa.Array) -> pa.Array:
        """The pseudonyms of an array's values, worked out once for each that is different."""
        return _each(values, partial(self.pseudonym, kind))

    def columns(
        self, personal: Mapping[str, Personal], columns: Mapping[str, pa.Array]
    ) -> dict[str, pa.Array]:
        """Columns as they shall land: personal ones treated, pseudonym columns at the end, in order.

        Args:
            personal: the personal columns and their classes; one that is not among the columns is left out.
            columns: Arrow arrays by name, of any type; a value that is sealed becomes text.
        """
        present = {name: kind for name, kind in personal.items() if name in columns}
        if not present or self._ring is None:
            return dict(columns)
        key = self._ring.current
        pseudonyms = {
            name: self.pseudonyms(kind, columns[name])
            for name, kind in present.items()
            if kind is not Personal.DOCUMENT
        }
        landed = dict(columns)
        if self.sealing:
            for name, kind in present.items():
                landed[name] = _each(columns[name], partial(key.seal, kind))
        for name, kind in present.items() if self._tombstones else ():
            documents = columns[name] if kind is Personal.DOCUMENT else _in_base64(name, columns)
            if telling := set(_where(documents, self.mentions_erased)):
                for gone in (name, *bytes_of(name, present)):
                    landed[gone] = _without(landed[gone], telling)
                if name in pseudonyms:
                    pseudonyms[name] = _without(pseudonyms[name], telling)
        if erased := self._erased_rows(present, columns, pseudonyms):
            for name in present:
                landed[name] = _without(landed[name], erased)
            pseudonyms |= {
                name: _without(array, erased)
                for name, array in pseudonyms.items()
                if present[name] not in LINKING
            }
        return landed | {pseudonym_column(name): array for name, array in pseudonyms.items()}

    def treatments(
        self, kind: Personal, values: Sequence[str]
    ) -> Iterator[tuple[str | None, str | None, bool]]:
        """Of each value its pseudonym, what lands in its place, and whether it is an erased person's."""
        assert self._ring is not None
        for value in values:
            pseudonym = None if kind is Personal.DOCUMENT else self.pseudonym(kind, value)
            if kind is Personal.DOCUMENT:
                erased = self.mentions_erased(value)
            else:
                erased = kind in LINKING and pseudonym in self._tombstones
            yield pseudonym, self._ring.current.seal(kind, value) if self.sealing else value, erased

    def _erased_rows(
        self,
        present: Mapping[str, Personal],
        columns: Mapping[str, pa.Array],
        pseudonyms: Mapping[str, pa.Array],
    ) -> set[int]:
        if not self._tombstones:
            return set()
        erased: set[int] = set()
        hinted: set[int] = set()
        named: set[int] = set()
        for name, kind in present.items():
            if kind in IDENTITY:
                erased.update(_where(pseudonyms[name], self._tombstones.__contains__))
                named.update(_where(pseudonyms[name], bool))
            elif kind is Personal.DEVICE_ID:
                hinted.update(_where(pseudonyms[name], self._tombstones.__contains__))
            elif kind is Personal.DOCUMENT:
                hinted.update(_where(columns[name], self.mentions_erased))
        return erased | (hinted - named)

    def mentions_erased(self, text: str) -> bool:
        """Whether a free text, or what it is the base64 of, names an erased person or their device."""
        if not self._tombstones:
            return False
        if any(mark in self._tombstones for part in _readings(text) for mark in ERASED_MARK.findall(part)):
            return True
        return any(
            key.pseudonym(kind, token) in self._tombstones
            for token in tokens(text)
            for kind in LINKING
            for key in self._graves
        )


# What is no text ends a word: in bytes the next one's length stands there.
_TOKEN = re.compile(r"[^\s\"'<>(){}\[\],;=&?|\\\x00-\x1f\x7f\ufffd]{4,200}")
_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{3,200}")
_DIGITS = re.compile(r"\+?\d[\d ().-]{5,20}\d")
_ESCAPE = re.compile(r"\\(?:[bfnrt]|u[0-9a-fA-F]{4})")  # the n of "\n", as JSON writes it, begins no word
_BASE64 = re.compile(
    r"(?<![A-Za-z0-9+/])(?:[A-Za-z0-9+/]{4}){2,}(?:[A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)"
)


def unpacked(text: str) -> Iterator[bytes]:
    """What the base64 in a text was made of, and the base64 in that: so raw holds what is no text."""
    for run in _BASE64.findall(text):
        plain = base64.b64decode(run)
        yield plain
        yield from unpacked(plain.decode("utf-8", "replace"))


def _readings(text: str) -> Iterator[str]:
    """A text as it stands and without JSON's escapes; so, too, what its base64 was made of."""
    for part in (text, *(plain.decode("utf-8", "replace") for plain in unpacked(text))):
        yield part
        if "\\" in part:
            yield _ESCAPE.sub(" ", part)


def tokens(text: str) -> set[str]:
    """What in a free text may be an e-mail address, a telephone number or an id; also behind base64."""
    found: set[str] = set()
    for part in _readings(text):
        for token in _TOKEN.findall(part):
            found.update((token, token.strip(".:!"), *token.split(":"), *token.split("/")))
        found.update(_ADDRESS.findall(part))
        found.update(_DIGITS.findall(part))
    return found


def _texts(values: Any) -> pa.Array:
    """Any Arrow column as one array of text."""
    one = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    if isinstance(one, pa.ChunkedArray):
        one = pa.concat_arrays(one.chunks)
    if one.type == pa.string():
        return one
    return pa.array([None if value is None else str(value) for value in one.to_pylist()], pa.string())


def _each(values: Any, treat: Callable[[str], str | None]) -> pa.Array:
    coded = _texts(values).dictionary_encode()
    treated = pa.array([treat(value) for value in coded.dictionary.to_pylist()], pa.string())
    return treated.take(coded.indices)


def _where(values: Any, found: Callable[[str], bool]) -> Iterator[int]:
    coded = _texts(values).dictionary_encode()
    chosen = [value is not None and found(value) for value in coded.dictionary.to_pylist()]
    for row, code in enumerate(coded.indices.to_pylist()):
        if code is not None and chosen[code]:
            yield row


def _in_base64(name: str, columns: Mapping[str, Any]) -> Any:
    """Those values of a column that are base64, as the column beside it says; nulls for the others."""
    said = columns.get(f"{name}_encoding")
    if said is None:
        return pa.array([], pa.string())
    chosen = {row for row, how in enumerate(said.to_pylist()) if how != "base64"}
    return _without(columns[name], chosen)


def _without(values: Any, rows: set[int]) -> Any:
    """The column with nulls in these rows, whatever its type."""
    indices = pa.array([None if row in rows else row for row in range(len(values))], pa.int64())
    return values.take(indices)
