"""Personal values: pseudonyms, sealing, and that nothing of an erased person comes back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import stat
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loaders._core.configure import available
from loaders._core.declare import Loader, Window
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.errors import ConfigurationError, UsageError
from loaders._core.lease import Lease, LeaseTaken
from loaders._core.privacy import books as privacy_books
from loaders._core.privacy import command as privacy_command
from loaders._core.privacy import keys as privacy_keys
from loaders._core.privacy import record as privacy_record
from loaders._core.privacy import texts as privacy_texts
from loaders._core.privacy.person import erase
from loaders._core.privacy.scan import luhn, scan
from loaders._core.privacy.values import LINKING, Key, Personal, Protection, Ring, is_sealed, normalised
from loaders._core.warehouse import Target
from tests import preloaded
from tests.conftest import PRIVACY_KEY, ROOT
from tests.loaders.vendor import LOADER, Vendor

OTHER_KEY = base64.b64encode(bytes(range(40))).decode()
KEY = Key(PRIVACY_KEY)
KINDS = st.sampled_from(Personal)
PSEUDONYMOUS = st.sampled_from([kind for kind in Personal if kind is not Personal.DOCUMENT])
TODAY, YESTERDAY = "2026-03-10", "2026-03-09"
PERSONAL = {
    "email": Personal.EMAIL,
    "phone": Personal.PHONE,
    "user_id": Personal.USER_ID,
    "device": Personal.DEVICE_ID,
    "ip": Personal.IP,
    "full_name": Personal.NAME,
    "props": Personal.DOCUMENT,
}


def with_people(loader: Loader = LOADER, **changes: Any) -> Loader:
    """The vendor's daily report, and its entities, with personal columns."""
    changed = {"personal": PERSONAL} | changes
    return replace(
        loader,
        resources=tuple(
            replace(r, **changed) if r.name in ("days", "entities") else r for r in loader.resources
        ),
    )


def person(number: int, **values: Any) -> dict[str, Any]:
    return {
        "id": f"r{number}",
        "spend": "1",
        "clicks": "1",
        "email": f"Planted.{number}@Example.com",
        "phone": f"+49 (30) 5550-{number:04}",
        "user_id": f"user-{number:06}",
        "device": f"DEVICE-{number:06}",
        "ip": f"203.0.113.{number}",
        "full_name": f"Plantagenet  Number{number:03}",
        "props": f'{{"contact": "planted.{number}@example.com"}}',
    } | values


@pytest.fixture
def people(vendor: Vendor) -> Vendor:
    vendor.data["days"] = {"1": {YESTERDAY: [person(n) for n in range(1, 6)], TODAY: [person(1), person(2)]}}
    return vendor


# -- values


@given(PSEUDONYMOUS, st.text())
def test_normalising_twice_is_normalising_once(kind: Personal, value: str) -> None:
    assert normalised(kind, normalised(kind, value)) == normalised(kind, value)


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        (Personal.EMAIL, ["ann@example.com", " Ann@Example.COM\n"]),
        (Personal.PHONE, ["+493055512", "+49 (30) 555-12", "00493055512", "49/30/55512", "+٤٩٣٠٥٥٥١٢"]),
        (Personal.IP, ["2001:db8::a", " 2001:DB8::A"]),
        (Personal.DEVICE_ID, ["a-b", "A-B "]),
        (Personal.USER_ID, ["u1", "U1"]),
        (Personal.NAME, ["Ann  STRASSE", "ann straße", " Ann\tStrasse "]),
    ],
)
def test_spellings_of_one_value_have_one_pseudonym(kind: Personal, spellings: list[str]) -> None:
    assert len({KEY.pseudonym(kind, spelling) for spelling in spellings}) == 1


@given(PSEUDONYMOUS, st.text())
def test_a_pseudonym_is_the_hmac_of_the_normalised_value_under_the_derived_key(
    kind: Personal, value: str
) -> None:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    raw = base64.b64decode(PRIVACY_KEY)
    derived = HKDF(SHA256(), 32, None, b"adstar pseudonym").derive(raw)
    mac = hmac.digest(derived, f"{kind.value}\0{normalised(kind, value)}".encode(), "sha256")[:16]
    expected = f"{hashlib.sha256(raw).hexdigest()[:8]}:{base64.urlsafe_b64encode(mac).decode()[:22]}"
    assert KEY.pseudonym(kind, value) == (expected if normalised(kind, value) else None)


@given(PSEUDONYMOUS, st.text(), st.text())
def test_pseudonyms_are_equal_just_where_normalised_values_are(kind: Personal, one: str, other: str) -> None:
    equal = normalised(kind, one) == normalised(kind, other)
    assert (KEY.pseudonym(kind, one) == KEY.pseudonym(kind, other)) == equal


@given(st.from_regex(r"\+?[0-9]{1,9}", fullmatch=True))
def test_other_classes_and_other_keys_give_other_pseudonyms(value: str) -> None:
    assume(normalised(Personal.PHONE, value))
    made = [KEY.pseudonym(kind, value) for kind in Personal if kind is not Personal.DOCUMENT]
    made += [Key(OTHER_KEY).pseudonym(Personal.EMAIL, value)]
    assert len(set(made)) == len(made)


@given(KINDS, st.text())
def test_sealing_is_undone_by_the_key_alone(kind: Personal, value: str) -> None:
    sealed = KEY.seal(kind, value)
    assert is_sealed(sealed)
    assert sealed.startswith(f"sealed:{KEY.id}:")
    assert sealed == KEY.seal(kind, value)
    assert Ring(Key(OTHER_KEY), [KEY]).revealed(kind, sealed) == value
    with pytest.raises(ConfigurationError, match=f"key {KEY.id} is not at hand"):
        Ring(Key(OTHER_KEY)).revealed(kind, sealed)


@given(KINDS, st.text(), st.integers(0, 10_000))
def test_what_was_altered_or_moved_to_another_class_is_refused(kind: Personal, value: str, at: int) -> None:
    sealed = KEY.seal(kind, value)
    other = next(each for each in Personal if each is not kind)
    with pytest.raises(ValueError, match="damaged"):
        KEY.unseal(other, sealed)
    head, text = sealed[:16], sealed[16:]
    cipher = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    cipher[at % len(cipher)] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        KEY.unseal(kind, head + base64.urlsafe_b64encode(bytes(cipher)).decode().rstrip("="))


@given(PSEUDONYMOUS, st.lists(st.none() | st.text()), st.booleans())
def test_a_column_is_treated_as_its_values_are(
    kind: Personal, values: list[str | None], sealing: bool
) -> None:
    protection = Protection(Ring(KEY), sealing=sealing)
    landed = protection.columns({"a": kind}, {"a": pa.array(values, pa.string()), "b": pa.array(values)})
    assert list(landed) == ["a", "b", "a__pseudonym"]
    assert landed["a__pseudonym"].to_pylist() == [KEY.pseudonym(kind, value) for value in values]
    sealed = [value if value is None or not sealing else KEY.seal(kind, value) for value in values]
    assert landed["a"].to_pylist() == sealed
    assert landed["b"].to_pylist() == values


def test_typed_columns_in_chunks_are_treated_as_their_texts() -> None:
    personal = {"user": Personal.USER_ID}
    numbers = {"user": pa.chunked_array([[1, None], [2, 1]], pa.int64())}
    landed = Protection(Ring(KEY)).columns(personal, numbers)
    assert landed["user"].to_pylist() == [1, None, 2, 1]
    one, two = KEY.pseudonym(Personal.USER_ID, "1"), KEY.pseudonym(Personal.USER_ID, "2")
    assert landed["user__pseudonym"].to_pylist() == [one, None, two, one]
    buried = Protection(Ring(KEY), tombstones=[one]).columns(personal, numbers)
    assert buried["user"].to_pylist() == [None, None, 2, None]


@given(
    st.sampled_from(sorted(LINKING)),
    st.from_regex(r"[a-z0-9]{6,12}", fullmatch=True),
    st.sampled_from(["", "by\\n"]),
    st.booleans(),
)
def test_an_erased_value_takes_its_whole_row_with_it(
    kind: Personal, value: str, before: str, in_document: bool
) -> None:
    grave = KEY.pseudonym(kind, value)
    assume(grave not in (None, KEY.pseudonym(kind, "other-9")))
    columns = {
        "a": pa.array([None if in_document else value, "other-9"]),
        "ip": pa.array(["192.0.2.1", "192.0.2.1"]),
        "doc": pa.array([f'{{"x": "{before}{value}"}}', "{}"]),
        "spend": pa.array(["1", "2"]),
    }
    personal = {"a": kind, "ip": Personal.IP, "doc": Personal.DOCUMENT}
    # The new key in use, the tombstone made with the one before.
    protection = Protection(Ring(Key(OTHER_KEY), [KEY]), tombstones=[grave])
    landed = {name: array.to_pylist() for name, array in protection.columns(personal, columns).items()}
    assert [landed["a"], landed["ip"], landed["doc"]] == [
        [None, "other-9"],
        [None, "192.0.2.1"],
        [None, "{}"],
    ]
    assert landed["spend"] == ["1", "2"]
    assert landed["a__pseudonym"][0] == (None if in_document else grave)
    assert landed["ip__pseudonym"][0] is None


# -- keys


@pytest.mark.parametrize(
    "text", ["", "short", "A" * 40, "not base64 at all, but long enough to be one!!", "é" * 50]
)
def test_a_bad_key_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="no base64 of 32 bytes") as caught:
        Key(text)
    assert not text or text not in str(caught.value)


def test_the_embedded_warehouse_makes_its_own_key_once(
    target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PRIVACY__KEY")
    with pytest.raises(
        ConfigurationError, match=r"(?s)\[privacy\].*key = .*PRIVACY__KEY.*secrets.token_bytes"
    ):
        privacy_keys.ring(target)
    embedded = replace(target, name="embedded")
    first = privacy_keys.ring(embedded)
    assert privacy_keys.ring(embedded).current.id == first.current.id
    path = privacy_keys.key_file()
    assert path == tmp_path / "state" / "privacy" / "keys"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    renewed = privacy_keys.renewed()
    assert renewed.current.id != first.current.id
    assert set(renewed.keys) == {first.current.id, renewed.current.id}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    privacy_keys.forget_previous()
    assert list(privacy_keys.ring(embedded).keys) == [renewed.current.id]


# -- landing


def test_pseudonyms_land_beside_the_values(people: Vendor) -> None:
    assert people.run(with_people()).outcome == "ok"
    rows = people.current("days", "id, email, email__pseudonym, ip__pseudonym, phone__pseudonym")
    assert len(rows) == 7
    for name, email, pseudonym, ip, phone in rows:
        number = int(name[1:])
        assert email == person(number)["email"]
        assert pseudonym == KEY.pseudonym(Personal.EMAIL, email)
        assert ip == KEY.pseudonym(Personal.IP, person(number)["ip"])
        assert phone == KEY.pseudonym(Personal.PHONE, person(number)["phone"])
    columns = people.query("select column_name from information_schema.columns where table_name = 'days'")
    assert ("props__pseudonym",) not in columns


def test_without_a_key_a_personal_column_does_not_land(
    people: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PRIVACY__KEY")
    result = people.run(with_people())
    assert result.outcome == "failed"
    assert result.message
    assert "PRIVACY__KEY" in result.message
    assert people.query("select 1 from information_schema.tables where table_name = 'days'") == []
    assert people.run().outcome == "ok"  # Nothing is personal, so no key is asked for.


@pytest.mark.parametrize("sealing", ["false", "true"])
def test_neither_pseudonyms_nor_sealing_make_another_set(
    people: Vendor, monkeypatch: pytest.MonkeyPatch, sealing: str
) -> None:
    people.run()
    before = people.query("select rows_hash from raw_vendor.covered where resource = 'days' and rows > 0")
    monkeypatch.setenv("PRIVACY__SEALING", sealing)
    for _ in range(2):
        result = people.run(with_people())
        record = next(r for r in result.records if r.resource == "days")
        assert (record.sets_landed, record.sets_unchanged) == (0, 3)
    # A column that comes after the pseudonyms makes another set of its own day only.
    people.data["days"]["1"][TODAY][0]["later"] = "x"
    record = next(r for r in people.run(with_people()).records if r.resource == "days")
    assert (record.sets_landed, record.sets_unchanged) == (1, 2)
    record = next(r for r in people.run(with_people()).records if r.resource == "days")
    assert (record.sets_landed, record.sets_unchanged) == (0, 3)
    hashes = people.query("select distinct rows_hash from raw_vendor.covered where resource = 'days'")
    assert set(before) < set(hashes)


def test_sealed_values_land_as_ciphertext_that_the_key_undoes(
    people: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRIVACY__SEALING", "true")
    people.run(with_people())
    columns = ", ".join(PERSONAL)
    for name, *values in people.current("days", f"id, {columns}, spend"):
        original = person(int(name[1:]))
        for (column, kind), value in zip(PERSONAL.items(), values, strict=False):
            assert KEY.unseal(kind, value) == original[column]
        assert values[-1] == "1"
    assert people.current("days", "count(distinct email), count(*)") == [(5, 7)]


def test_another_key_is_refused_until_the_warehouse_is_rotated(
    people: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.run(with_people())
    monkeypatch.setenv("PRIVACY__KEY", OTHER_KEY)
    result = people.run(with_people())
    assert result.outcome == "failed"
    assert result.message
    assert f"made with the key {KEY.id}" in result.message
    assert OTHER_KEY not in result.message


def test_a_vendors_field_can_not_pass_for_a_pseudonym(vendor: Vendor) -> None:
    records = [
        {"id": "a", "nested": {"email": "a@example.com", "pseudonym": "forged"}, "email": "a@example.com"}
    ]
    vendor.data["entities"] = {"1": [{"id": "a", "email": {"pseudonym": "forged"}, "nested": {}}, *records]}
    loader = with_people(opens=("email",), day=(), personal={"email": Personal.EMAIL})
    loader = replace(loader, resources=tuple(r for r in loader.resources if r.name == "entities"))
    assert vendor.run(loader).outcome == "ok"
    found = {row[0] for row in vendor.query("select email__pseudonym from raw_vendor.entities")}
    assert found == {None, KEY.pseudonym(Personal.EMAIL, "a@example.com")}


# -- a person, and everything of them


def values_of(number: int) -> list[str]:
    """What would tell this person, as it may stand in a dump."""
    found = person(number)
    return [
        *(found[name] for name in ("email", "phone", "user_id", "device", "ip", "full_name")),
        f"planted.{number}@example.com",
        base64.b64encode(raw_bytes(number)).decode(),
    ]


def raw_bytes(number: int) -> bytes:
    return f'{{"user": "user-{number:06}", broken'.encode()


def dump(target: Target, *options: str) -> str:
    """The whole warehouse as pg_dump tells it."""
    done = subprocess.run(
        [EmbeddedWarehouse()._binaries / "pg_dump", "--data-only", "--inserts", *options, target.dsn],
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout


def kept(folder: Path) -> str:
    """All that is in the files of a folder, compressed ones aside."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return "".join(file.read_bytes().decode("utf-8", "replace") for file in files)


def planted_in(text: str, *numbers: int) -> list[str]:
    return [value for number in numbers for value in values_of(number) if value.lower() in text.lower()]


@pytest.fixture(params=["open", "sealed"])
def landed(people: Vendor, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Vendor:
    """Five people in raw, three of them in the quarantine, the first in a message of ops and in the marts."""
    monkeypatch.setenv("PRIVACY__SEALING", str(request.param == "sealed").lower())
    people.data["entities"] = {"1": [person(1, full_name="Plantagenet Number001"), person(5)]}
    people.run(with_people())
    with closing(people.target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("alter table raw_vendor.quarantine add column if not exists raw_bytes text")
        for number in (1, 2, 3):
            text = base64.b64encode(raw_bytes(number)).decode()
            text = KEY.seal(Personal.DOCUMENT, text) if request.param == "sealed" else text
            cursor.execute(
                "insert into raw_vendor.quarantine (resource, raw_bytes) values ('days', %s)", [text]
            )
        cursor.execute(
            "create schema marts;"
            "create table marts.dim_user (user_key bigint, email_pseudonym text, note text);"
            "create table marts.fact_sales (user_key bigint, total numeric)"
        )
        for number in (1, 2):
            cursor.execute(
                "insert into marts.dim_user values (%s, %s, null)",
                [number, KEY.pseudonym(Personal.EMAIL, person(number)["email"])],
            )
            cursor.execute("insert into marts.fact_sales values (%s, 7.5)", [number])
    return people


def state(target: Target, query: str) -> list[tuple[Any, ...]]:
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


CONSERVED = (
    "select count(*), sum(spend::numeric), count(distinct _row_no) from raw_vendor.days",
    "select * from raw_vendor.covered order by run_seq, resource, day",
    "select count(*) from raw_vendor.entities",
    "select sum(total) from marts.fact_sales",
)


def test_planted_values_are_in_raw_alone_and_sealed_nowhere(
    landed: Vendor, tmp_path: Path, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    outside = dump(landed.target, "--exclude-schema=raw_*") + kept(tmp_path / "state") + caplog.text
    assert list((tmp_path / "state").rglob("*.parquet")) == []
    assert KEY.id in outside
    assert planted_in(outside, 1, 2, 3, 4, 5) == []
    inside = planted_in(dump(landed.target), 1, 2, 3)
    assert len(inside) == (0 if "[sealed]" in request.node.name else 24)


ANNS_ADDRESS = "anna@example.com"
_json = st.recursive(
    st.none()
    | st.booleans()
    | st.sampled_from(
        [ANNS_ADDRESS, f"to {ANNS_ADDRESS}!", f"\n{ANNS_ADDRESS}", 4915112345678, "4915112345678"]
    )
    | st.integers()
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(_json, st.booleans())
def test_json_stays_json_when_a_person_is_taken_out_of_it(document: Any, nested: bool) -> None:
    """A number becomes text; what is JSON inside a text stays that, and all else stays byte for byte."""
    pattern = privacy_texts.pattern_of({ANNS_ADDRESS, "4915112345678"})
    said = json.dumps({"n": 0.10, "inside": json.dumps([document])} if nested else [document])
    cleaned = json.loads(privacy_texts.without(said, pattern))
    if nested:
        assert cleaned["n"] == 0.10
        cleaned = json.loads(cleaned["inside"])

    def expected(value: Any) -> Any:
        if isinstance(value, dict):
            return {expected(name): expected(each) for name, each in value.items()}
        if isinstance(value, list):
            return [expected(each) for each in value]
        if isinstance(value, str):
            return privacy_texts.without(value, pattern)
        return privacy_texts.ERASED if value == 4915112345678 else value

    assert cleaned == [expected(document)]
    assert privacy_texts.without("[Anna] 4915112345678", pattern) == "[Anna] [erased]"
    assert privacy_texts.without("4915112345678", pattern, "jsonb") == '"[erased]"'


def test_after_an_erasure_nothing_is_left_and_nothing_comes_back(landed: Vendor, tmp_path: Path) -> None:
    target = landed.target
    email = person(1)["email"]
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("update ops.runs set message = %s", [f"account 1: {email} can't be read; see the log"])
        cursor.execute(
            "update marts.dim_user set note = %s where user_key = 1", [f"wrote as {email.upper()}"]
        )
        invited = json.dumps({"note": f"invited by\n{email}"})  # the n of its escape is no part of a word
        cursor.execute("update raw_vendor.days set clicks = %s where id = 'r2'", [invited])
        privacy_books.prepare(cursor)
        privacy_books.note(cursor, "erase", f"{email} has asked")
    log = tmp_path / "state" / "some.log"
    log.write_text(f"x user-000001 x user-0000012 {email}\n")
    before = [state(target, query) for query in CONSERVED]
    others = state(
        target, "select count(email), count(props), count(ip) from raw_vendor.days where id <> 'r1'"
    )

    done = erase(target, {Personal.PHONE: "0049 30 5550 0001"})
    assert done.left == []
    assert done.pseudonyms == 4  # e-mail, phone, user and device
    assert done.rows == {"raw_vendor.days": 2, "raw_vendor.entities": 1}
    assert state(target, "select reason from ops.privacy_audit") == [("[erased] has asked",)]
    assert {"ops.runs.message", "marts.dim_user.note", "raw_vendor.days.clicks"} <= set(done.texts)
    assert str(log) in done.files
    assert log.read_text() == "x [erased] x user-0000012 [erased]\n"
    assert planted_in(dump(target) + kept(tmp_path / "state").replace("user-0000012", ""), 1) == []
    assert [state(target, query) for query in CONSERVED] == before
    counts = "select count(email), count(props), count(ip) from raw_vendor.days where id <> 'r1'"
    assert state(target, counts) == others
    assert state(target, "select count(raw_bytes), count(*) from raw_vendor.quarantine") == [(2, 3)]
    pseudonyms = state(
        target,
        "select distinct user_id__pseudonym, email__pseudonym, ip__pseudonym"
        " from raw_vendor.days where id = 'r1'",
    )
    assert pseudonyms == [
        (KEY.pseudonym(Personal.USER_ID, "user-000001"), KEY.pseudonym(Personal.EMAIL, email), None)
    ]
    again = erase(target, {Personal.PHONE: person(1)["phone"]})
    assert (again.rows, again.texts, again.left) == ({}, {}, [])

    # The same days again, as they were; then as a platform restates them; then the days before, anew.
    assert landed.run(with_people()).outcome == "ok"
    landed.data["days"]["1"][TODAY][0]["spend"] = "2"
    landed.data["days"]["1"]["2026-02-01"] = [person(1), person(2)]
    landed.data["entities"]["1"][0] = {"id": "changed", "device": person(1)["device"], "ip": "203.0.113.1"}
    assert landed.run(with_people()).outcome == "ok"
    assert landed.run(with_people(), backfill=Window(date(2026, 2, 1), date(2026, 3, 10))).outcome == "ok"
    text = dump(target) + kept(tmp_path / "state").replace("user-0000012", "")
    assert planted_in(text, 1) == []
    rows = landed.current("days", "r._day::text, email, ip, props, spend, user_id__pseudonym, id")
    mine = [row[1:6] for row in rows if row[6] == "r1"]
    assert mine == [(None, None, None, spend, pseudonyms[0][0]) for spend in ("1", "1", "2")]


def test_an_erasure_follows_a_person_and_stops_at_what_strangers_share(vendor: Vendor) -> None:
    shared = {"ip": "198.51.100.7", "full_name": "Ann Smith-Shared", "props": "{}"}
    nothing = dict.fromkeys(("email", "phone", "user_id", "device"))
    vendor.data["entities"] = {
        "1": [
            {
                **person(1),
                **nothing,
                **shared,
                "id": "mail+user",
                "email": "a@example.com",
                "user_id": "u-aaaaaa",
            },
            {
                **person(1),
                **nothing,
                **shared,
                "id": "user+device",
                "user_id": "U-AAAAAA",
                "device": "tablet-of-a-and-b",
            },
            {**person(1), **nothing, **shared, "id": "device", "device": "tablet-of-a-and-b"},
            {
                **person(1),
                **nothing,
                **shared,
                "id": "stranger",
                "user_id": "u-bbbbbb",
                "device": "tablet-of-a-and-b",
            },
            {**person(1), **nothing, **shared, "id": "nobody"},
        ]
    }
    vendor.run(with_people())
    done = erase(vendor.target, {Personal.EMAIL: "A@example.com"})
    assert (done.left, done.pseudonyms) == ([], 3)
    query = "select id, user_id, device, ip, full_name from raw_vendor.entities order by _run_seq, _row_no"
    expected = [
        ("mail+user", *[None] * 4),
        ("user+device", *[None] * 4),
        ("device", *[None] * 4),
        ("stranger", "u-bbbbbb", "tablet-of-a-and-b", "198.51.100.7", "Ann Smith-Shared"),
        ("nobody", None, None, "198.51.100.7", "Ann Smith-Shared"),
    ]
    assert vendor.query(query) == expected
    # And so does landing, which knows the tombstones only.
    vendor.data["entities"]["1"].append({"id": "one more"})
    vendor.run(with_people())
    assert vendor.query(query)[5:] == [*expected, ("one more", *[None] * 4)]


def test_a_value_that_is_everybodys_does_not_erase_everybody(people: Vendor) -> None:
    people.data["entities"] = {"1": [person(n, email="unknown@example.com") for n in range(100, 120)]}
    people.run(with_people())
    with pytest.raises(UsageError, match=r"identities belong together .* hardly one person"):
        erase(people.target, {Personal.USER_ID: "user-000100"})
    assert people.query("select count(*) from ops.tombstones") == [(0,)]


def test_an_erasure_waits_for_no_run_but_keeps_what_it_lands_out(people: Vendor) -> None:
    people.run(with_people())
    with Lease(people.target, "vendor"), pytest.raises(LeaseTaken):
        erase(people.target, {Personal.EMAIL: person(1)["email"]})
    assert people.query("select count(*) from ops.tombstones") == [(4,)]
    assert erase(people.target, {Personal.EMAIL: person(1)["email"]}).left == []


def dlt(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return preloaded.run(
        [Path(sys.executable).with_name("dlt"), "privacy", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )


def test_an_export_has_every_row_of_the_person_and_nobody_elses(landed: Vendor, tmp_path: Path) -> None:
    file = tmp_path / "person.jsonl"
    done = dlt("export", "--email", "PLANTED.1@example.com", "--to", str(file))
    assert done.returncode == 0, done.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    tables = Counter(row["table"] for row in rows)
    assert tables == {
        "raw_vendor.days": 2,
        "raw_vendor.entities": 1,
        "raw_vendor.quarantine": 1,
        "marts.dim_user": 1,
        "marts.fact_sales": 1,
    }
    days = next(row["row"] for row in rows if row["table"] == "raw_vendor.days")
    assert {name: days[name] for name in PERSONAL} == {name: person(1)[name] for name in PERSONAL}
    assert planted_in(file.read_text(), 2, 3, 4, 5) == []
    assert planted_in(done.stdout + done.stderr, 1) == []
    assert dlt("export", "--email", "x@example.com", "--to", str(file)).returncode == 2
    assert landed.query("select action, who from ops.privacy_audit")[0] == ("export", "adstar")


def test_revealing_needs_key_and_reason_and_is_noted(landed: Vendor) -> None:
    pseudonym = KEY.pseudonym(Personal.EMAIL, person(3)["email"])
    assert pseudonym
    assert dlt("reveal", "--pseudonym", pseudonym).returncode == 2
    done = dlt("reveal", "--pseudonym", pseudonym, "--reason", "ticket 42: a chargeback")
    assert done.stdout.splitlines() == [person(3)["email"]], done.stderr
    refused = dlt("reveal", "--pseudonym", pseudonym, "--reason", "without key", PRIVACY__KEY=OTHER_KEY)
    assert refused.returncode == 1
    assert person(3)["email"] not in refused.stdout + refused.stderr
    unknown = KEY.pseudonym(Personal.EMAIL, "nobody@example.com")
    assert unknown
    assert dlt("reveal", "--pseudonym", unknown, "--reason", "curious").returncode == 2
    assert landed.query("select who, reason, pseudonym, column_name from ops.privacy_audit order by at") == [
        ("adstar", "ticket 42: a chargeback", pseudonym, "raw_vendor.days.email"),
        ("adstar", "curious", unknown, None),
    ]
    for statement in ("delete from ops.privacy_audit", "update ops.privacy_audit set who = 'x'"):
        with pytest.raises(psycopg2.errors.RaiseException, match="only ever added to"):
            landed.query(statement)


def test_rotation_makes_every_pseudonym_and_ciphertext_anew(
    landed: Vendor, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    erase(landed.target, {Personal.EMAIL: person(1)["email"]})
    grave = KEY.pseudonym(Personal.EMAIL, person(1)["email"])
    equal = "select count(*) from raw_vendor.days a join raw_vendor.entities b using (email__pseudonym)"
    pairs = landed.query(equal)
    assert dlt("rotate").returncode == 2
    done = dlt("rotate", PRIVACY__KEY=OTHER_KEY)
    assert done.returncode == 1
    assert "previous_keys" in done.stderr
    monkeypatch.setenv("PRIVACY__KEY", OTHER_KEY)
    monkeypatch.setenv("PRIVACY__PREVIOUS_KEYS", PRIVACY_KEY)
    # Broken off after the first table.
    with pytest.raises(KeyboardInterrupt):
        privacy_command.rotate(landed.target, _interrupt)
    ids = "select distinct split_part(email__pseudonym, ':', 1) from raw_vendor.{}"
    made = {name: {row[0] for row in landed.query(ids.format(name))} for name in ("days", "entities")}
    assert made == {"days": {KEY.id, Key(OTHER_KEY).id}, "entities": {KEY.id}}
    done = dlt("rotate")
    assert done.returncode == 0, done.stderr
    new = Key(OTHER_KEY)
    sealed = "[sealed]" in request.node.name
    for name, email, pseudonym in landed.query("select id, email, email__pseudonym from raw_vendor.days"):
        number = int(name[1:])
        expected = new.pseudonym(Personal.EMAIL, person(number)["email"])
        assert pseudonym == (grave if number == 1 else expected)
        if number > 1:
            assert (new.unseal(Personal.EMAIL, email) if sealed else email) == person(number)["email"]
    for (text,) in landed.query("select raw_bytes from raw_vendor.quarantine where raw_bytes is not null"):
        assert base64.b64decode(new.unseal(Personal.DOCUMENT, text) if sealed else text).endswith(b"broken")
    assert landed.query(equal) == pairs
    assert KEY.id in done.stdout  # needed for the tombstones
    # What lands now equals what was re-keyed, and the erased stay so.
    landed.data["days"]["1"][TODAY][1]["spend"] = "9"
    assert landed.run(with_people()).outcome == "ok"
    found = dict(landed.query("select id, email__pseudonym from raw_vendor.days where _run_seq > 1"))
    assert found == {"r1": grave, "r2": new.pseudonym(Personal.EMAIL, person(2)["email"])}
    assert planted_in(dump(landed.target), 1) == []
    monkeypatch.delenv("PRIVACY__PREVIOUS_KEYS")
    result = landed.run(with_people())
    assert result.outcome == "failed"
    assert result.message
    assert f"the key {KEY.id} is not at hand" in result.message


def _interrupt(text: str) -> None:
    raise KeyboardInterrupt


def test_the_embedded_warehouse_rotates_by_itself(people: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRIVACY__KEY")
    people.target = replace(people.target, name="embedded")
    assert people.run(with_people()).outcome == "ok"
    first = privacy_keys.ring(people.target).current
    privacy_command.rotate(people.target, lambda text: None)
    ring = privacy_keys.ring(people.target)
    assert list(ring.keys) == [ring.current.id] != [first.id]
    pseudonyms = {row[0] for row in people.query("select email__pseudonym from raw_vendor.days")}
    assert pseudonyms == {ring.current.pseudonym(Personal.EMAIL, person(n)["email"]) for n in range(1, 6)}
    assert people.run(with_people()).outcome == "ok"


def test_personal_values_go_by_age_and_rows_and_pseudonyms_stay(landed: Vendor) -> None:
    landed.query("update ops.commits set committed_at = now() - interval '400 days' returning 1")
    landed.data["days"]["1"][TODAY] = [person(1, spend="5")]
    landed.run(with_people())
    before = [landed.query(query) for query in CONSERVED]
    counted = ("email", "props", "email__pseudonym", "ip__pseudonym")
    count = f"select {', '.join(f'count({name})' for name in counted)} from raw_vendor.days"
    assert (
        "days: 7 rows older than 365 days would be blanked" in dlt("retention", "--older-than", "365").stdout
    )
    assert landed.query(count) == [(8, 8, 8, 8)]
    assert dlt("retention", "--older-than", "365", "--apply").returncode == 0
    assert landed.query(count) == [(1, 1, 8, 8)]
    assert [landed.query(query) for query in CONSERVED] == before
    assert ("retention", "older than 365 days: 7 rows") in landed.query(
        "select action, reason from ops.privacy_audit"
    )


# -- looking for what was not declared


def test_the_scan_is_quiet_where_all_is_declared_and_names_what_is_not(vendor: Vendor) -> None:
    undeclared = {
        "contact": "someone@example.org",
        "landing": "https://x.example/?mail=a%40example.org",
        "whatsapp": "+49 30 1234567",
        "origin": "203.0.113.77",
        "origin6": "2001:db8::77",
        "card": "4111 1111 1111 1111",
        "birth_date": "1990-01-01",
        "first_name": "Ann",
        "payload": '{"from": "203.0.113.9"}',
    }
    harmless = {
        "ad_name": "Summer 2026",
        "number": "4111111111111112",
        "app_version": "8.1.0.12",
        "picture": "icon@2x.png",
        "at": "12:30:45",
        "when": "2026-03-10T12:00:00+00:00",
        "price": "10.00",
        "zip": None,
    }
    vendor.data["entities"] = {"1": [{**person(1), **harmless}]}
    vendor.run(with_people())
    assert scan(vendor.target) == []
    assert dlt("scan").returncode == 0
    vendor.data["entities"] = {"1": [{**person(1), **harmless, **undeclared}]}
    vendor.run(with_people())
    with closing(vendor.target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("create schema marts; create table marts.dim_user as select 'a@b.example' as name")
    done = dlt("scan")
    assert done.returncode == 1
    found = {
        line.split(": ")[0].rpartition(".")[2] for line in done.stdout.splitlines() if " values look" in line
    }
    assert found == {*undeclared, "name"}
    assert "marts.dim_user.name: 1 values look like e-mail addresses" in done.stdout
    assert not any(value in done.stdout for value in undeclared.values())


@pytest.mark.parametrize(
    "good", ["4111111111111111", "5500000000000004", "378282246310005", "6011000000000004"]
)
def test_cards_are_told_by_their_last_digit(good: str) -> None:
    assert luhn(good)
    assert not any(luhn(good[:-1] + str((int(good[-1]) + n) % 10)) for n in range(1, 10))


# -- what the pages say


def test_the_pages_code_breaks_plain_hashes_and_not_keyed_ones() -> None:
    page = (ROOT / "docs" / "privacy.md").read_text()
    (code,) = [part for part in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "hashlib" in part]
    ran: dict[str, Any] = {}
    exec(code, ran)
    # Any machine that runs this project would be through with all of them within a day.
    assert max(ran["minutes"].values()) < 24 * 60


def test_the_record_of_processing_is_what_the_loaders_declare() -> None:
    assert privacy_record.path().read_text() == privacy_record.record(available().values()), (
        "run `python -m loaders._core.privacy.record`"
    )


def test_the_record_of_processing_names_every_personal_column() -> None:
    told = privacy_record.record([with_people()])
    for resource in ("days", "entities"):
        for column, kind in PERSONAL.items():
            line = next(each for each in told.splitlines() if f"raw_vendor.{resource}.{column}`" in each)
            assert kind.value in line
            assert (f"{column}__pseudonym" in line) == (kind is not Personal.DOCUMENT)
