"""COPY and UNLOAD of the stand-in for Redshift: bytes, positions, errors, and files that come back equal."""

from __future__ import annotations

import gzip
import io
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders._core.embedded import EmbeddedWarehouse
from simulators.redshift import Redshift
from simulators.redshift.known import GUIDE
from simulators.redshift.storage import ROLE, Bucket
from tests.simulators.redshift.sessions import Refused, Session, session

COLUMNS = {
    "id": "bigint", "small": "smallint", "number": "integer", "amount": "decimal(38, 9)",
    "ratio": "double precision", "is_good": "boolean", "day": "date", "at": "timestamp",
    "seen_at": "timestamptz", "note": "varchar(200)",
}  # fmt: skip
# Any text that Postgres can hold, within the column's bytes.
NOTES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=50)
INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30))
ROWS = st.lists(
    st.tuples(
        st.integers(-(2**63), 2**63 - 1),
        st.none() | st.integers(-(2**15), 2**15 - 1),
        st.none() | st.integers(-(2**31), 2**31 - 1),
        st.none() | st.decimals(-(10**28), 10**28, places=9),
        st.none() | st.floats(allow_nan=False, allow_infinity=False),
        st.none() | st.booleans(),
        st.none() | st.dates(),
        st.none() | INSTANTS,
        st.none() | INSTANTS.map(lambda found: found.replace(tzinfo=UTC)),
        st.none() | NOTES,
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda row: row[0],
)
MANY = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Storehouse:
    """The bucket, as a client of S3 has it."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket.name
        keys = {"aws_access_key_id": "x", "aws_secret_access_key": "x", "region_name": "eu-central-1"}
        self._s3 = boto3.client("s3", endpoint_url=bucket.endpoint, **keys)

    def folder(self) -> str:
        """An address that nothing is at yet."""
        return f"s3://{self.bucket}/{uuid.uuid4().hex}/"

    def put(self, data: bytes, name: str = "data", folder: str = "") -> str:
        """Write an object; the address of its folder."""
        folder = folder or self.folder()
        self._s3.put_object(Bucket=self.bucket, Key=folder.split("/", 3)[3] + name, Body=data)
        return folder

    def names(self, folder: str) -> list[str]:
        """The objects below an address, by what follows it."""
        prefix = folder.split("/", 3)[3]
        found = self._s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [item["Key"].removeprefix(prefix) for item in found]

    def read(self, address: str) -> bytes:
        """An object."""
        body = self._s3.get_object(Bucket=self.bucket, Key=address.split("/", 3)[3])["Body"]
        return bytes(body.read())


@pytest.fixture(scope="module")
def shared(server: EmbeddedWarehouse, stand_in: tuple[Redshift, Bucket]) -> Iterator[Session]:
    listed = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    with session(server, stand_in[0], "psycopg2", f"create table things ({listed})") as found:
        yield found


@pytest.fixture
def client(shared: Session) -> Iterator[Session]:
    yield shared
    shared.run("rollback")
    shared.run("truncate things")


@pytest.fixture
def store(stand_in: tuple[Redshift, Bucket]) -> Storehouse:
    return Storehouse(stand_in[1])


def parquet(**columns: pa.Array) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def copy(client: Session, table: str, source: str, options: str) -> None:
    client.run(f"copy {table} from '{source}' iam_role '{ROLE}' {options}")


def refused(client: Session, table: str, source: str, options: str) -> tuple[str, str, str]:
    with pytest.raises(Refused) as found:
        copy(client, table, source, options)
    code, hint, message = found.value.args
    return code, hint.removeprefix(GUIDE), message


# ---- there and back
@MANY
@given(rows=ROWS)
def test_rows_come_back_from_parquet_as_they_were(
    client: Session, store: Storehouse, rows: list[tuple[Any, ...]]
) -> None:
    client.run("truncate things")
    marks = ", ".join(["%s"] * len(COLUMNS))
    for row in rows:
        client.run(f"insert into things values ({marks})", *row)
    folder = store.folder()
    client.run(f"unload ('select * from things') to '{folder}' iam_role '{ROLE}' format as parquet")
    client.run("truncate things")
    copy(client, "things", folder, "format as parquet")
    assert client.run("select * from things order by id") == sorted(rows)


@MANY
@given(rows=ROWS)
def test_rows_come_from_json_lines_as_they_are_in_them(
    client: Session, store: Storehouse, rows: list[tuple[Any, ...]]
) -> None:
    client.run("truncate things")
    written = [
        {name: value if isinstance(value, int | float | str | None) else str(value)
         for name, value in zip(COLUMNS, row, strict=True)}
        for row in rows
    ]  # fmt: skip
    folder = store.put(gzip.compress(lines(*written)))
    copy(client, "things", folder, "format as json 'auto' gzip dateformat 'auto' timeformat 'auto'")
    assert client.run("select * from things order by id") == sorted(rows)
    assert client.run("select pg_last_copy_count()") == [(len(rows),)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    document=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | NOTES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NOTES, inner, max_size=3),
    )
)
def test_json_lands_as_super_and_text_as_a_text(client: Session, store: Storehouse, document: Any) -> None:
    client.run("drop table if exists documents")
    client.run("create table documents (body super)")
    copy(client, "documents", store.put(lines({"body": document})), "json 'auto'")
    ((serialized, kind),) = client.run("select json_serialize(body), json_typeof(body) from documents")
    if document is None:
        assert (serialized, kind) == (None, None)
    else:
        assert json.loads(serialized) == document
        assert (
            kind
            == {str: "string", bool: "boolean", int: "number", list: "array", dict: "object"}[type(document)]
        )


# ---- Parquet: by position
def test_columns_of_parquet_are_taken_by_position_whatever_their_names(
    client: Session, store: Storehouse
) -> None:
    client.run("create temp table pair (first varchar(9), second varchar(9))")
    swapped = parquet(second=pa.array(["for second"[:9]]), first=pa.array(["first"]))
    copy(client, "pair", store.put(swapped), "parquet")
    assert client.run("select first, second from pair") == [("for secon", "first")]
    client.run("drop table pair")


def test_another_number_of_columns_or_another_type_is_refused(client: Session, store: Storehouse) -> None:
    client.run("create temp table pair (first varchar(9), second int)")
    three = store.put(parquet(first=["a"], second=pa.array([1], pa.int32()), third=["b"]))
    code, page, message = refused(client, "pair", three, "parquet")
    assert (code, page) == ("XX000", "copy-usage_notes-copy-from-columnar.html")
    assert "Table columns: 2, Data columns: 3" in message
    wide = store.put(parquet(first=["a"], second=pa.array([1], pa.int64())))
    assert "incompatible Parquet schema for column 'second'" in refused(client, "pair", wide, "parquet")[2]
    copy(client, "pair (first)", store.put(parquet(x=["only"])), "parquet")
    assert client.run("select * from pair") == [("only", None)]
    client.run("drop table pair")


def test_a_text_of_parquet_in_super_is_a_text(client: Session, store: Storehouse) -> None:
    client.run("create temp table held (body super)")
    copy(client, "held", store.put(parquet(body=['{"a": 1}'])), "parquet serializetojson")
    assert client.run("select json_typeof(body) from held") == [("string",)]
    client.run("drop table held")


@pytest.mark.parametrize("option", ["region 'eu-central-1'", "gzip", "maxerror 10", "truncatecolumns"])
def test_options_that_columnar_formats_have_not(client: Session, store: Storehouse, option: str) -> None:
    folder = store.put(parquet(id=[1]))
    assert refused(client, "things", folder, f"parquet {option}")[:2] == (
        "0A000",
        "copy-usage_notes-copy-from-columnar.html",
    )


# ---- what a column takes
@pytest.mark.parametrize("form", ["parquet", "json 'auto'"])
def test_bytes_are_counted_not_characters(client: Session, store: Storehouse, form: str) -> None:
    client.run("create temp table short (word varchar(6), code char(2))")
    fits, long = ("äöü", "ab"), ("äöüa", "ab")
    make = {
        "parquet": lambda row: parquet(word=[row[0]], code=[row[1]]),
        "json 'auto'": lambda row: lines({"word": row[0], "code": row[1]}),
    }[form]
    copy(client, "short", store.put(make(fits)), form)
    _, _, message = refused(client, "short", store.put(make(long)), form)
    assert "7" in message
    assert "6" in message
    assert client.run("select word from short") == [("äöü",)]
    client.run("drop table short")


def test_what_is_too_long_may_be_cut_on_demand_at_a_whole_character(
    client: Session, store: Storehouse
) -> None:
    client.run("create temp table short (word varchar(5))")
    copy(client, "short", store.put(lines({"word": "äöü"})), "json 'auto' truncatecolumns")
    assert client.run("select word from short") == [("äö",)]
    client.run("drop table short")


def test_the_longest_text_fits_and_one_byte_more_does_not(client: Session, store: Storehouse) -> None:
    client.run("create temp table wide (word varchar(max), body super)")
    copy(client, "wide", store.put(lines({"word": "x" * 65_535, "body": "y" * 65_535})), "json 'auto'")
    assert client.run("select len(word), json_size(body) from wide") == [(65_535, 65_537)]
    assert "65536" in refused(client, "wide", store.put(lines({"word": "x" * 65_536})), "json 'auto'")[2]
    assert "65535" in refused(client, "wide", store.put(lines({"body": "y" * 65_536})), "json 'auto'")[2]
    client.run("drop table wide")


def test_decimals_are_cut_off_unless_rounding_is_asked_for(client: Session, store: Storehouse) -> None:
    client.run("create temp table paid (amount decimal(8, 2))")
    folder = store.put(lines({"amount": 20.259}, {"amount": "-1.999"}))
    copy(client, "paid", folder, "json 'auto'")
    copy(client, "paid", folder, "json 'auto' roundec")
    assert [amount for (amount,) in client.run("select amount from paid order by amount")] == [
        Decimal("-2.00"), Decimal("-1.99"), Decimal("20.25"), Decimal("20.26"),
    ]  # fmt: skip
    assert "Overflow" in refused(client, "paid", store.put(lines({"amount": 1_000_000})), "json 'auto'")[2]
    client.run("drop table paid")


def test_json_is_matched_by_names_and_what_is_missing_is_null(client: Session, store: Storehouse) -> None:
    folder = store.put(
        lines({"note": "a", "unknown": 1, "ID": 7, "id": 1}, {"id": 2, "number": "", "note": ""})
    )
    copy(client, "things", folder, "json 'auto'")
    assert client.run("select id, number, note from things order by id") == [(1, None, "a"), (2, None, "")]
    client.run("truncate things")
    copy(client, "things", store.put(lines({"ID": 7, "Note": "n"})), "json 'auto ignorecase'")
    assert client.run("select id, note from things") == [(7, "n")]


def test_lists_and_objects_in_a_text_are_their_json(client: Session, store: Storehouse) -> None:
    copy(client, "things", store.put(b'{"id": 1, "note": {"a": [1, 2.50]}}'), "json 'auto'")
    assert client.run("select note from things") == [('{"a": [1, 2.50]}',)]


def test_times_need_auto_unless_they_are_written_as_the_guide_says(
    client: Session, store: Storehouse
) -> None:
    plain = store.put(lines({"id": 1, "at": "2026-03-01 06:00:00", "day": "2026-03-01"}))
    other = store.put(lines({"id": 2, "at": "2026-03-01T06:00:00Z", "day": "2026-03-01"}))
    copy(client, "things", plain, "json 'auto'")
    assert "Invalid timestamp format" in refused(client, "things", other, "json 'auto'")[2]
    copy(client, "things", other, "json 'auto' timeformat 'auto'")
    assert client.run("select distinct at, day from things") == [(datetime(2026, 3, 1, 6), date(2026, 3, 1))]


# ---- errors
def test_a_prefix_without_objects_and_a_bucket_that_is_not_there(client: Session, store: Storehouse) -> None:
    code, page, message = refused(client, "things", f"s3://{store.bucket}/nothing/here", "parquet")
    assert (code, page) == ("XX000", "r_COPY.html")
    assert "prefix 'nothing/here' does not exist" in message
    _, page, message = refused(client, "things", "s3://no-such-bucket/x", "parquet")
    assert page == "s3serviceexception-error.html"
    assert "NoSuchBucket" in message


def test_without_credentials_nothing_is_copied(client: Session, store: Storehouse) -> None:
    folder = store.put(lines({"id": 1}))
    for authority, said in (("", "CREDENTIALS"), ("iam_role 'admin'", "IAM_ROLE")):
        with pytest.raises(Refused, match=said):
            client.run(f"copy things from '{folder}' {authority} json 'auto'")
    client.run(
        f"copy things from '{folder}' credentials 'aws_access_key_id=x;aws_secret_access_key=y' json 'auto'"
    )
    client.run(f"copy things from '{folder}' iam_role default json 'auto'")
    assert client.run("select count(*) from things") == [(2,)]


def test_options_that_do_not_exist_and_formats_that_are_not_shown(client: Session, store: Storehouse) -> None:
    folder = store.put(lines({"id": 1}))
    assert refused(client, "things", folder, "json 'auto' quickly")[0] == "42601"
    assert "can't show the option CSV" in refused(client, "things", folder, "csv")[2]
    assert "can't show COPY from dynamodb" in refused(client, "things", "dynamodb://table", "json 'auto'")[2]


def test_some_bad_rows_may_be_left_out(client: Session, store: Storehouse) -> None:
    data = lines({"id": 1}, {"id": "one"}, {"id": 2, "note": "n" * 201}, {"id": 3}) + b"{no json\n"
    folder = store.put(data)
    assert "String length exceeds DDL length" in refused(client, "things", folder, "json 'auto'")[2]
    _, page, message = refused(client, "things", folder, "json 'auto' maxerror 3")
    assert page == "copy-parameters-data-load.html"
    assert "3 errors" in message
    assert client.run("select count(*) from things") == [(0,)]
    copy(client, "things", folder, "json 'auto' maxerror 4")
    assert client.run("select id from things order by id") == [(1,), (3,)]
    assert "3 record(s) could not be loaded" in client.connection.notices[-1]


def test_an_error_in_a_transaction_ends_it_and_one_without_does_not(
    client: Session, store: Storehouse
) -> None:
    good, bad = store.put(lines({"id": 1})), store.put(b"no json")
    client.run("begin")
    copy(client, "things", good, "json 'auto'")
    refused(client, "things", bad, "json 'auto'")
    with pytest.raises(Refused, match="25P02"):
        client.run("select 1")
    client.run("rollback")
    assert client.run("select count(*) from things") == [(0,)]
    refused(client, "things", bad, "json 'auto'")
    copy(client, "things", good, "json 'auto'")
    assert client.run("select count(*) from things") == [(1,)]


def test_not_null_is_kept_by_copy(client: Session, store: Storehouse) -> None:
    client.run("create temp table strict_things (id int not null, note varchar(9))")
    assert "not-null" in refused(client, "strict_things", store.put(lines({"note": "a"})), "json 'auto'")[2]
    client.run("drop table strict_things")


def test_a_manifest_names_what_is_loaded(client: Session, store: Storehouse) -> None:
    folder = store.put(lines({"id": 1}), "a.json")
    store.put(lines({"id": 2}), "b.json", folder)
    listing = {"entries": [{"url": f"{folder}b.json", "mandatory": True}]}
    place = store.put(json.dumps(listing).encode(), "manifest")
    copy(client, "things", f"{place}manifest", "json 'auto' manifest")
    assert client.run("select id from things") == [(2,)]
    assert "manifest" in refused(client, "things", f"{place}man", "json 'auto' manifest")[2]


# ---- UNLOAD
def unload(client: Session, query: str, to: str, options: str = "") -> None:
    quoted = query.replace("'", "''")
    client.run(f"unload ('{quoted}') to '{to}' iam_role '{ROLE}' format parquet {options}")


def fill(client: Session, *notes: str | None) -> None:
    for number, note in enumerate(notes):
        client.run("insert into things (id, note, day) values (%s, %s, '2026-03-01')", number, note)


def test_unload_writes_a_file_for_each_slice_and_partition(client: Session, store: Storehouse) -> None:
    fill(client, "a", "b", "a", None, "it's")
    folder = store.folder()
    unload(client, "select id, note, day from things where note <> 'it''s' or note is null", folder[:-1],
           "partition by (note)")  # fmt: skip
    assert store.names(folder) == [
        "note=__HIVE_DEFAULT_PARTITION__/0000_part_00.parquet",
        "note=a/0000_part_00.parquet",
        "note=a/0001_part_00.parquet",
        "note=b/0000_part_00.parquet",
    ]
    found = pq.read_table(io.BytesIO(store.read(f"{folder}note=b/0000_part_00.parquet")))
    assert found.to_pylist() == [{"id": 1, "day": date(2026, 3, 1)}]
    unload(
        client, "select id, note from things where note = 'a'", f"{folder}all/", "partition by (note) include"
    )
    found = pq.read_table(io.BytesIO(store.read(f"{folder}all/note=a/0000_part_00.parquet")))
    assert found.column_names == ["id", "note"]


def test_unload_serially_writes_one_file(client: Session, store: Storehouse) -> None:
    fill(client, "a", "b")
    folder = store.folder()
    unload(client, "select * from things", folder, "parallel off")
    assert store.names(folder) == ["000.parquet"]


def test_a_manifest_tells_files_rows_and_columns(client: Session, store: Storehouse) -> None:
    fill(client, "a", "b", "c")
    folder = store.folder()
    unload(client, "select id, note from things", f"{folder}x_", "manifest verbose")
    assert store.names(folder) == ["x_0000_part_00.parquet", "x_0001_part_00.parquet", "x_manifest"]
    told = json.loads(store.read(f"{folder}x_manifest"))
    assert [entry["url"] for entry in told["entries"]] == [
        f"{folder}{name}" for name in store.names(folder)[:2]
    ]
    assert [entry["meta"]["record_count"] for entry in told["entries"]] == [2, 1]
    assert told["entries"][0]["meta"]["content_length"] == len(store.read(told["entries"][0]["url"]))
    assert told["meta"]["record_count"] == 3
    assert [column["name"] for column in told["schema"]["elements"]] == ["id", "note"]
    assert told["author"]["name"] == "Amazon Redshift"
    plain = store.folder()
    unload(client, "select id from things", plain, "manifest")
    assert json.loads(store.read(f"{plain}manifest")) == {
        "entries": [{"url": f"{plain}000{number}_part_00.parquet"} for number in (0, 1)]
    }


def test_nothing_is_overwritten_unless_asked_for(client: Session, store: Storehouse) -> None:
    fill(client, "a", "b")
    folder = store.folder()
    unload(client, "select * from things", folder)
    before = store.read(f"{folder}0000_part_00.parquet")
    client.run("update things set note = 'changed'")
    with pytest.raises(Refused, match="is not empty"):
        unload(client, "select * from things", folder)
    assert store.read(f"{folder}0000_part_00.parquet") == before
    unload(client, "select * from things", folder, "allowoverwrite")
    assert store.read(f"{folder}0000_part_00.parquet") != before
    client.run("delete from things where id = 1")
    unload(client, "select * from things", folder, "cleanpath")
    assert store.names(folder) == ["0000_part_00.parquet"]


@pytest.mark.parametrize(
    ("query", "options", "said"),
    [
        ("select * from things limit 10", "", "Limit clause"),
        ("select * from things", "cleanpath allowoverwrite", "CLEANPATH"),
        ("select * from things", "verbose", "VERBOSE"),
        ("select * from things", "kms_key_id 'key'", "KMS_KEY_ID"),
        ("select * from things", "partition by (nothing)", 'column "nothing"'),
        ("select note from things", "partition by (note)", "at least one column"),
        ("select string_agg(note, ',') from things", "", "string_agg"),
        ("select * from no_such_table", "", "no_such_table"),
    ],
)
def test_what_unload_does_not_do(
    client: Session, store: Storehouse, query: str, options: str, said: str
) -> None:
    folder = store.folder()
    with pytest.raises(Refused, match=said):
        unload(client, query, folder, options)
    assert store.names(folder) == []


def test_a_query_without_rows_leaves_one_file_with_its_columns(client: Session, store: Storehouse) -> None:
    folder = store.folder()
    unload(client, "select id, amount, seen_at from things", folder)
    (name,) = store.names(folder)
    assert pq.read_schema(io.BytesIO(store.read(folder + name))).types == [
        pa.int64(), pa.decimal128(38, 9), pa.timestamp("us"),
    ]  # fmt: skip
