"""A person taken out of bodies, whatever vendors have sent: JSON of any spelling, and what is none."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loaders._core.archive.erasing import Eraser
from loaders._core.archive.tape import TOLD_MARK
from loaders._core.privacy.person import spelled
from loaders._core.privacy.values import Key, Personal, Ring
from tests.conftest import PRIVACY_KEY

ANN, OZLEM = "ann.smith@example.com", "Özlem Çelik"
RING = Ring(Key(PRIVACY_KEY))
PSEUDONYM = str(RING.current.pseudonym(Personal.EMAIL, ANN))
MARK = f"erased:{PSEUDONYM}"
ESCAPED = b"ann.smith\\u0040example.com"
ERASER = Eraser(
    RING,
    {Personal.EMAIL: {ANN}, Personal.NAME: {OZLEM}},
    spelled,
    pseudonyms={PSEUDONYM},
    personal={("raw_feed", "people"): {"value__email": Personal.EMAIL, "value__full_name": Personal.NAME}},
)


def cleaned(body: bytes | str) -> bytes:
    found = ERASER.cleaned("feed", body if isinstance(body, bytes) else body.encode())
    assert ERASER.cleaned("feed", found) == found
    return found


TEXTS = st.sampled_from(
    ["", "Ann", "a/b", 'say "é"', "half \ud83d", "half \udce9", "😀\0\n", ANN, f"call {ANN}, now", OZLEM]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["email", "full_name", "Full Name", "fullName", "n"]), inner)
    ),
    max_leaves=12,
)


def without(value: Any) -> Any:
    """A value of JSON as it shall be, and whether it is an object with the person's mark."""
    if isinstance(value, str):
        return value.replace(ANN, MARK).replace(OZLEM, "[erased]"), False
    if isinstance(value, list):
        return [without(each)[0] for each in value], False
    if not isinstance(value, dict):
        return value, False
    found = {name: without(each) for name, each in value.items()}
    own = any(each == MARK for each, _ in found.values())
    is_theirs = own or any(marks for _, marks in found.values())
    return {
        name: None if is_theirs and name != "email" and name != "n" else each
        for name, (each, _) in found.items()
    }, own


@given(VALUES, st.booleans(), st.booleans(), st.sampled_from([None, 1]))
def test_a_document_of_json_is_without_the_person_and_else_the_same(
    value: Any, is_ascii: bool, slashed: bool, indent: int | None
) -> None:
    value = [value]
    body = json.dumps(value, ensure_ascii=is_ascii, indent=indent).encode("utf-8", "backslashreplace")
    if slashed:
        body = body.replace(b"/", b"\\/").replace(b"@", b"\\u0040")
    found = cleaned(body)
    expected, _ = without(value)
    assert json.loads(found) == expected
    if expected == value:
        assert found == body


@given(VALUES)
def test_so_is_json_that_is_a_text_in_json(value: Any) -> None:
    expected, _ = without({"n": value})
    found = json.loads(cleaned(json.dumps({"n": json.dumps({"n": value})})))
    assert json.loads(found["n"]) == expected


@pytest.mark.parametrize(
    "body",
    [
        b'{"n": "Jos\xe9 \\/ x"}',
        b'{"k\xe9": "\\u0040"}',
        b"[" * 5_000 + b'"\\u0040"' + b"]" * 5_000,
        b'{"n": "\\q \\u00zz", "m": "\\u0040}',
        b'}}],:{"n": "\\u0040"}{',
        TOLD_MARK + b"\xc1",
        TOLD_MARK,
        b"\x1f\x8bno gzip",
        b"{",
        b"",
    ],
)
def test_what_is_no_document_stays_as_it_came(body: bytes) -> None:
    assert cleaned(body) == body
    told = TOLD_MARK + msgspec.msgpack.encode([{"values": [body]}])
    assert cleaned(told) == told


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"n": "Jos\xe9 \\/ %s"}' % ESCAPED, b'{"n": "Jos\xe9 / %s"}' % MARK.encode()),
        (b'{"n": "\\ud83d \xe9 %s"}' % ESCAPED, b'{"n": "\\ud83d \xe9 %s"}' % MARK.encode()),
        (
            b'{"email": "%s", "full_name": "A", "n": "\xe9"}',
            b'{"email": "%s", "full_name": null, "n": "\xe9"}',
        ),
        (b'\n {"email": "%s"}', b'\n {"email": "%s"}'),
        (b'{"%s": 1, "n": 2}', b'{"%s": 1, "n": 2}'),
        (b'{"n": "%s", "n": 1}', b'{"n": "%s", "n": 1}'),
        (
            b'{"email": "%s", "full_name": "A"}\n{"email": "b", "full_name": "B"}',
            b'{"email": "%s", "full_name": null}\n{"email": "b", "full_name": "B"}',
        ),
        (b"[" * 5_000 + b'"%s"' + b"]" * 5_000, b"[" * 5_000 + b'"%s"' + b"]" * 5_000),
        (TOLD_MARK + ANN.encode(), TOLD_MARK + MARK.encode()),
        ("call Özlem Çelik".encode(), b"call [erased]"),
        ('{"n": "call Özlem Çelik, or ÖZLEM ÇELIK"}'.encode(), b'{"n": "call [erased], or [erased]"}'),
    ],
)
def test_wherever_a_person_stands_only_they_go(body: bytes, expected: bytes) -> None:
    if b"%s" in body:
        body, expected = body.replace(b"%s", ESCAPED), expected.replace(b"%s", MARK.encode())
    assert cleaned(body) == expected
    (told,) = msgspec.msgpack.decode(
        cleaned(TOLD_MARK + msgspec.msgpack.encode([{"n": body}])).removeprefix(TOLD_MARK)
    )
    if not body.startswith(TOLD_MARK):
        assert told == {"n": expected}


def test_a_string_that_is_base64_and_names_them_goes() -> None:
    inner = base64.b64encode(b"\x2a" + ANN.upper().encode() + b"\x06Ann").decode()
    outer = base64.b64encode(json.dumps({"n": inner}).encode()).decode()
    other = base64.b64encode(b"somebody else").decode()
    found = json.loads(cleaned(json.dumps({"a": inner, "b": [outer], "c": other, "d": f"{outer}!"})))
    assert found == {"a": MARK, "b": [MARK], "c": other, "d": f"{outer}!"}
