"""Cutting a streamed JSON array into its objects, and holding documents back until all have come."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders._core.errors import BadBody
from loaders._core.stream import Spool, split_array

TEXTS = st.text() | st.sampled_from(
    ['},{"', '"}]', "\\", '\\"}', "}\n,\n{", "[{}]", "é", "😀", "\u2028", "\ufeff"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=6,
)
OBJECTS = st.lists(st.dictionaries(TEXTS, JSON, max_size=4), max_size=6)
BLANK = st.text(alphabet=" \n\r\t", max_size=3)
FORMATS = st.sampled_from([{}, {"indent": 2}, {"separators": (",", ":")}, {"ensure_ascii": False}])


def pieces(body: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield body[at : at + size]
        at += size
    yield body[at:]


@settings(max_examples=60, deadline=None)
@given(OBJECTS, FORMATS, st.lists(BLANK, min_size=4, max_size=4), st.lists(st.integers(0, 40), max_size=30))
def test_any_array_in_any_format_and_any_chunks_gives_its_objects_byte_for_byte(objects, form, blanks, sizes):
    texts = [json.dumps(each, **form).encode() for each in objects]
    a, b, c, d = (blank.encode() for blank in blanks)
    body = a + b"[" + b + (c + b"," + d).join(texts) + a + b"]" + d
    assert list(split_array(pieces(body, sizes))) == texts


@settings(max_examples=50, deadline=None)
@given(OBJECTS.filter(bool), st.data(), st.lists(st.integers(0, 40), max_size=20))
def test_a_body_cut_anywhere_is_told_and_gives_no_wrong_object(objects, data, sizes):
    texts = [json.dumps(each).encode() for each in objects]
    body = b"[" + b",".join(texts) + b"]"
    cut = data.draw(st.integers(0, len(body) - 1))
    given: list[bytes] = []
    with pytest.raises(BadBody):
        given.extend(split_array(pieces(body[:cut], sizes)))
    assert given == texts[: len(given)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>502</html>",
        b"Service Unavailable",
        b"[1,2]",
        b'["a"]',
        b"[{},]",
        b"[,{}]",
        b"[{} {}]",
        b"[{}]]",
        b"[{}][{}]",
        b"[{}] trailing",
        b'[{"a":1}, {"a":',
        b"[",
        b'{"a":1',
        b"[{a}]",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_is_no_array_of_objects_is_a_bad_body(body, size):
    with pytest.raises(BadBody):
        list(split_array(pieces(body, [size] * 40)))


def test_an_error_that_stands_alone_is_given_as_it_is():
    assert list(split_array([b'{"error": {"co', b'de": 429}}\n'])) == [b'{"error": {"code": 429}}\n']


def batches(rows: int, count: int, pretty: bool) -> tuple[bytes, list[bytes]]:
    row = {"metrics": {"clicks": "204", "costMicros": "1061083620"}, "segments": {"date": "2024-06-01"}}
    batch = {"results": [row] * rows, "fieldMask": "metrics.clicks", "requestId": "V_Yz"}
    text = json.dumps(batch, indent=2 if pretty else None, separators=None if pretty else (",", ":")).encode()
    return b"[" + (b"\n,\n" if pretty else b",").join([text] * count) + b"]", [text] * count


@pytest.mark.parametrize("pretty", [True, False])
def test_work_is_linear_in_the_body(pretty):
    """Four times the rows in a batch takes about four times as long, not sixteen."""

    def seconds(rows: int) -> float:
        body, whole = batches(rows, 1, pretty)
        best = float("inf")
        for _ in range(5):
            begun = time.perf_counter()
            assert list(split_array(pieces(body, [16384] * (len(body) // 16384)))) == whole
            best = min(best, time.perf_counter() - begun)
        return best

    small, large = seconds(2500), seconds(10000)
    assert large < 1
    assert large < 9 * small + 0.02


def test_memory_stays_at_two_objects_however_many_come():
    body, whole = batches(1000, 60, pretty=False)
    tracemalloc.start()
    count = sum(1 for _ in split_array(body[i : i + 65536] for i in range(0, len(body), 65536)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 60
    assert peak < 5 * len(whole[0]) + 300_000 < len(body) / 4


def test_the_decoders_word_on_where_an_object_ends_is_understood():
    """A decoder with other words would only cost memory (the array is cut at its end); this tells of it."""
    chunks = iter([b'[{"a": 1}, {"b"', b": 2}]"])
    assert next(split_array(chunks)) == b'{"a": 1}'
    assert next(chunks) == b": 2}]"


def test_a_spool_gives_all_documents_in_order_and_nothing_of_a_broken_source():
    documents = [bytes([65 + i]) * (i * 400_000) for i in range(8)]  # 11 MB: beyond what is held in memory
    with Spool(documents) as spool:
        assert len(spool) == 8
        assert list(spool) == documents

    def breaking() -> Iterator[bytes]:
        yield b"one"
        raise BadBody("broke")

    with pytest.raises(BadBody):
        Spool(breaking())
