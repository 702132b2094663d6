"""Personal values: pseudonyms, sealing, and that nothing of an erased person comes back."""

from __future__ import annotations

import base64
import hashlib
import hmac
import stat
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loaders._core import privacy_keys
from loaders._core.declare import Loader
from loaders._core.errors import ConfigurationError
from loaders._core.privacy import LINKING, Key, Personal, Protection, Ring, is_sealed, normalised
from loaders._core.privacy_books import protect_range
from loaders._core.warehouse import Target
from tests.conftest import PRIVACY_KEY
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


def test_typed_columns_of_a_table_in_chunks_are_treated_as_their_texts() -> None:
    numbers = pa.chunked_array([[1, None], [2, 1]], pa.int64())
    table = Protection(Ring(KEY)).table({"user": Personal.USER_ID}, pa.table({"user": numbers}))
    assert table["user"].to_pylist() == [1, None, 2, 1]
    one, two = KEY.pseudonym(Personal.USER_ID, "1"), KEY.pseudonym(Personal.USER_ID, "2")
    assert table["user__pseudonym"].to_pylist() == [one, None, two, one]
    buried = Protection(Ring(KEY), tombstones=[one])
    assert buried.table({"user": Personal.USER_ID}, pa.table({"user": numbers}))["user"].to_pylist() == [
        None,
        None,
        2,
        None,
    ]


@given(st.sampled_from(sorted(LINKING)), st.from_regex(r"[a-z0-9]{6,12}", fullmatch=True), st.booleans())
def test_an_erased_value_takes_its_whole_row_with_it(kind: Personal, value: str, in_document: bool) -> None:
    grave = KEY.pseudonym(kind, value)
    assume(grave is not None)
    columns = {
        "a": pa.array([None if in_document else value, "other-9"]),
        "ip": pa.array(["192.0.2.1", "192.0.2.1"]),
        "doc": pa.array([f'{{"x": "{value}"}}', "{}"]),
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


def test_rows_that_landed_past_the_spool_can_be_treated_in_place(
    target: Target, people: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    people.run()
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "create table raw_vendor.users"
            " (_run_seq bigint, user_id uuid, email text, last_ip text, n numeric);"
            "insert into raw_vendor.users select s, gen_random_uuid(), ' A\\b' || g % 7 || '@X.io', null, g"
            " from generate_series(1, 100) g, generate_series(1, 2) s"
        )
    personal = {"user_id": Personal.USER_ID, "email": Personal.EMAIL, "last_ip": Personal.IP}
    assert protect_range(target, "vendor", "users", personal, 1) == 100
    for run_seq, user, email, *made in people.query(
        "select _run_seq, user_id::text, email, user_id__pseudonym, email__pseudonym, last_ip__pseudonym"
        " from raw_vendor.users"
    ):
        expected = [KEY.pseudonym(Personal.USER_ID, user), KEY.pseudonym(Personal.EMAIL, email), None]
        assert made == (expected if run_seq == 1 else [None] * 3)
    monkeypatch.setenv("PRIVACY__SEALING", "true")
    assert protect_range(target, "vendor", "users", {"email": Personal.EMAIL}, 2) == 100
    sealed = people.query("select distinct email from raw_vendor.users where _run_seq = 2")
    assert {KEY.unseal(Personal.EMAIL, row[0]) for row in sealed} == {f" A\\b{n}@X.io" for n in range(7)}
