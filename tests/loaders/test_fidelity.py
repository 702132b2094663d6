"""What a vendor sends is what raw holds: property tests over JSON, and over the way through the warehouse."""

from __future__ import annotations

import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from loaders._core.errors import BadBody
from loaders._core.naming import SYSTEM_COLUMNS, ColumnNames
from loaders._core.records import RecordReader
from loaders._core.text import escape, unescape
from tests.loaders.vendor import Vendor, with_resource

NASTY = [
    "",
    "\x00",
    "a\x00b",
    "\ue000",
    "\ue0000000",
    "\ud800",
    "x\udfff",
    "😀",
    "null",
    '"',
    "\\",
    "0.10",
    "é\u2028",
]
TEXT = st.one_of(st.text(st.characters(), max_size=12), st.sampled_from(NASTY), st.just("ü" * 3_000))
NUMBER = st.sampled_from(
    [
        "0",
        "-0",
        "1e400",
        "-1E-7",
        "0.10",
        "9007199254740993",
        "9223372036854775808",
        "1.0",
        "123456789" * 20,
        "1e5",
    ]
)
SPACE = st.sampled_from(["", " ", "\n\t "])


@st.composite
def literal(draw: st.DrawFn, depth: int = 2) -> str:
    """A JSON value as a vendor might write it: any spacing, any spelling of numbers, escapes or not."""
    kind = draw(st.integers(0, 6 if depth else 4))
    if kind <= 1:
        return json.dumps(draw(TEXT), ensure_ascii=draw(st.booleans()))
    if kind == 2:
        return draw(NUMBER)
    if kind <= 4:
        return draw(st.sampled_from(["true", "false", "null"]))
    space = draw(SPACE)
    parts = draw(st.lists(literal(depth - 1), max_size=3))
    if kind == 5:
        return "[" + f"{space},{space}".join(parts) + space + "]"
    return "{" + ",".join(f'{space}"k{n}"{space}:{space}{p}' for n, p in enumerate(parts)) + space + "}"


def holdable(text: str) -> bool:
    """Can this JSON text be sent as UTF-8 at all?"""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


RECORD = st.dictionaries(
    st.sampled_from(["a", "b", "Cc", "d-e", "open"]), literal().filter(holdable), max_size=5
)


def expected(raw: str) -> str | None:
    """The text raw holds for a JSON literal, said independently of the code under test."""
    raw = raw.strip()
    if raw == "null":
        return None
    return json.loads(raw) if raw.startswith('"') else raw


def document(records: list[dict[str, str]]) -> bytes:
    rows = ["{" + ",".join(f'"{k}": {v}' for k, v in record.items()) + "}" for record in records]
    return ('{"paging": {}, "data": [' + ",".join(rows) + "]}").encode()


@given(st.lists(st.lists(RECORD, max_size=6), min_size=1, max_size=5))
@settings(max_examples=120, deadline=None)
def test_every_value_of_every_page_is_the_exact_text(pages: list[list[dict[str, str]]]) -> None:
    reader = RecordReader(("data",))
    for records in [*pages, *pages]:  # the second time, the fast way has learnt them all
        page = reader.read(document(records))
        assert page.rows == len(records)
        for key in {key for record in records for key in record}:
            got = page.columns[(key,)].to_pylist() if (key,) in page.columns else [None] * len(records)
            want = [expected(record[key]) if key in record else None for record in records]
            assert [None if text is None else unescape(text) for text in got] == want
        for column in page.columns.values():
            column.validate(full=True)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["x", "y"]), literal(), max_size=2).map(dict), min_size=1, max_size=4
    )
)
@settings(max_examples=60, deadline=None)
def test_an_opened_object_gives_a_column_for_each_of_its_fields(objects: list[dict[str, str]]) -> None:
    objects = [{k: v for k, v in each.items() if holdable(v)} for each in objects]
    inner = ["{" + ",".join(f'"{k}":{v}' for k, v in each.items()) + "}" for each in objects]
    body = document([{"id": str(n), "m": text} for n, text in enumerate(inner)])
    reader = RecordReader(("data",), opens=("m",))
    for _ in range(2):
        page = reader.read(body)
        for key in {k for each in objects for k in each}:
            got = (
                page.columns[("m", key)].to_pylist() if ("m", key) in page.columns else [None] * len(objects)
            )
            assert [g and unescape(g) for g in got] == [
                expected(e[key]) if key in e else None for e in objects
            ]


@given(st.text(st.characters()))
def test_the_escape_is_reversible_and_leaves_nothing_unholdable(text: str) -> None:
    escaped = escape(text)
    assert unescape(escaped) == text
    assert "\x00" not in escaped
    escaped.encode()


def test_escapes_are_counted() -> None:
    page = RecordReader(("data",)).read(
        b'{"data":[{"a":"\\u0000","b":"ok","c":"\\ud800"},{"a":"\xee\x80\x80"}]}'
    )
    assert page.escaped == 3


def test_a_scalar_where_an_object_was_opened_gets_a_column_of_its_own() -> None:
    reader = RecordReader(("data",), opens=("m",))
    bodies = [
        b'{"data":[{"m":{"x":1}}]}',
        b'{"data":[{"m":"none"}]}',
        b'{"data":[{"m":{"x":2}}]}',
        b'{"data":[{"m":null}]}',
    ]
    seen = [
        {path: column.to_pylist() for path, column in reader.read(body).columns.items()} for body in bodies
    ]
    assert seen == [{("m", "x"): ["1"]}, {("m",): ["none"]}, {("m", "x"): ["2"]}, {("m",): [None]}]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"data":[{"a":1}',
        b'{"data":{}}',
        b'{"data":[1]}',
        b'{"data":[{"a":"\xff"}]}',
        b'{"data":[null]}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_a_list_of_records_is_a_bad_body(body: bytes) -> None:
    reader = RecordReader(("data",))
    reader.read(b'{"data":[{"a":"x"}]}')
    with pytest.raises(BadBody):
        reader.read(body)


@pytest.mark.parametrize("body", [b"{}", b'{"data":null}', b'{"data":[]}', b'{"other":[{"a":1}]}'])
def test_no_records_are_no_rows(body: bytes) -> None:
    reader = RecordReader(("data",))
    assert reader.read(body).rows == 0
    reader.read(b'{"data":[{"a":"x"}]}')
    assert reader.read(body).rows == 0


def test_documents_without_a_path_are_a_list_or_one_record() -> None:
    reader = RecordReader(())
    for body, rows in (
        (b'[{"a":1},{"a":2}]', 2),
        (b'{"a":3}', 1),
        (b' [{"a":"4"}]', 1),
        (b"[]", 0),
        (b'{"a":5}', 1),
    ):
        assert reader.read(body).rows == rows


@given(st.lists(st.lists(st.text(max_size=80), min_size=1, max_size=2).map(tuple), max_size=20))
def test_column_names_are_unique_short_stable_and_left_alone_by_dlt(paths: list[tuple[str, ...]]) -> None:
    from dlt.common.normalizers.naming.snake_case import NamingConvention

    names = ColumnNames(["id"])
    made = {path: names.name(path) for path in paths}
    assert len(set(made.values())) == len(made)
    again = ColumnNames(names.order, names.paths)
    convention = NamingConvention(63)
    for path, name in made.items():
        assert again.name(path) == name
        assert len(name.encode()) <= 63
        assert name not in SYSTEM_COLUMNS
        assert convention.normalize_path(name) == name


def test_the_second_of_two_names_that_fall_together_gets_a_suffix_whatever_the_order() -> None:
    one, other = ColumnNames(), ColumnNames()
    assert one.name(("adId",)) == "ad_id"
    suffixed = one.name(("ad_id",))
    assert suffixed.startswith("ad_id_")
    assert other.name(("AdId",)) == "ad_id"
    assert other.name(("ad_id",)) == suffixed
    assert one.name(("_account",)).startswith("_account_")


def land(vendor: Vendor, *pages: list[dict[str, Any]] | bytes, opens: tuple[str, ...] = ()) -> None:
    def read(api, account, window):
        for page in pages:
            yield page if isinstance(page, bytes) else json.dumps({"data": page}).encode()

    result = vendor.run(with_resource("entities", read=read, opens=opens))
    assert result.outcome == "ok", result.message


@given(st.lists(RECORD, min_size=1, max_size=6))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_survive_the_whole_way_to_the_warehouse(vendor: Vendor, records: list[dict[str, str]]) -> None:
    land(vendor, document([{"n": str(n), **record} for n, record in enumerate(records)]))
    columns = [
        name
        for (name,) in vendor.query(
            "select column_name::text from information_schema.columns"
            " where table_schema='raw_vendor' and table_name='entities'"
        )
    ]
    for key, column in {"a": "a", "b": "b", "Cc": "cc", "d-e": "d_e", "open": "open"}.items():
        want = [expected(record[key]) if key in record else None for record in records]
        if column not in columns:
            assert want == [None] * len(records)
            continue
        got = vendor.current("entities", f'n::int, "{column}"')
        assert [None if text is None else unescape(text) for _, text in got] == want


def test_the_list_of_the_issue_comes_through(vendor: Vendor) -> None:
    values = {
        "big": 2**63 + 1,
        "text_id": "9007199254740993",
        "cents": "0.10",
        "empty": "",
        "emoji": "🛒",
        "nul": "a\0b",
        "long": "ä" * 30_000,
        "nested": [{"v": "1.50", "e": ""}],
        "none": None,
        "flag": True,
    }
    land(vendor, [values])
    got = vendor.current("entities", "big, text_id, cents, empty, emoji, nul, long, nested, none, flag")[0]
    want = (
        str(2**63 + 1),
        "9007199254740993",
        "0.10",
        "",
        "🛒",
        "a\0b",
        "ä" * 30_000,
        json.dumps(values["nested"]),
        None,
        "true",
    )
    assert tuple(v and unescape(v) for v in got) == want
    assert vendor.query("select escaped from ops.run_resources where resource='entities'") == [(1,)]
    types = vendor.query(
        "select distinct data_type from information_schema.columns where table_schema='raw_vendor'"
        " and table_name='entities' and left(column_name, 1) <> '_'"
    )
    assert types == [("text",)]


def test_fields_that_appear_vanish_or_change_type_break_nothing(vendor: Vendor) -> None:
    land(vendor, [{"n": "1", "kept": "x", "gone": "y"}])
    land(vendor, [{"n": "1", "kept": 5, "brandNew": None}, {"n": "2", "kept": {"a": 1}, "brandNew": "z"}])
    assert vendor.current("entities", "n, kept, gone, brand_new") == [
        ("1", "5", None, None),
        ("2", '{"a": 1}', None, "z"),
    ]


def test_a_column_that_is_always_null_exists(vendor: Vendor) -> None:
    land(vendor, [{"n": "1", "never": None}])
    assert vendor.current("entities", "n, never") == [("1", None)]


def test_colliding_names_keep_their_columns_over_runs(vendor: Vendor) -> None:
    land(vendor, [{"n": "1", "adId": "camel", "ad_id": "snake"}])
    # The other one comes first now; the columns are remembered.
    land(vendor, [{"n": "2", "ad_id": "snake", "adId": "camel"}])
    (suffixed,) = vendor.query("select column_name from ops.columns where path = '[\"ad_id\"]'")[0]
    assert vendor.current("entities", f'n, ad_id, "{suffixed}"') == [("2", "camel", "snake")]
