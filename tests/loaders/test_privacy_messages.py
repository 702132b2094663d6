"""A person in the bytes of messages, which stand in raw as base64 where no search for text finds them."""

from __future__ import annotations

import base64
import binascii
import json
import re
import sys
import types
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from loaders._core.privacy import books
from loaders._core.privacy.person import erase
from loaders._core.privacy.values import Personal, tokens, unpacked
from loaders._core.warehouse import Target
from simulators.kafka_cluster import KafkaCluster
from tests.loaders.test_kafka import Bench as Topics
from tests.loaders.test_privacy import dump
from tests.loaders.test_registry import Bench as Packed
from tests.loaders.test_registry import Registry

ANN, BOB = "ann.smith@example.com", "bob.jones@example.com"
PHONE = 4915112345678
PERSON = {
    "type": "record",
    "name": "Person",
    "fields": [
        {"name": "email", "type": "string"},
        {"name": "note", "type": "string"},
        {"name": "phone", "type": "long"},
    ],
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with KafkaCluster() as found:
        yield found


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are taken one at a time, so that what is written meanwhile is met."""
    monkeypatch.setattr(books, "PORTION", 1)


@pytest.fixture
def topic(target: Target, cluster: KafkaCluster) -> Topics:
    made = Topics(target, cluster)
    made.create(1)
    return made


@pytest.fixture
def packed(target: Target, cluster: KafkaCluster) -> Iterator[Packed]:
    registry = Registry()
    yield Packed(target, cluster, registry)
    registry.close()


@pytest.fixture(params=["open", "sealed"])
def sealing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setenv("PRIVACY__SEALING", str(request.param == "sealed").lower())
    return bool(request.param == "sealed")


def told(target: Target) -> bytes:
    """The whole warehouse, and what stands in it as base64, and as base64 of that."""
    return behind(dump(target).encode())


def behind(body: bytes) -> bytes:
    found = [body]
    for run in re.findall(rb"[A-Za-z0-9+/]{12,}={0,2}", body):
        with suppress(binascii.Error, ValueError):
            found.append(behind(base64.b64decode(run, validate=True)))
    return b"\n".join(found)


def test_a_message_in_quarantine_forgets_a_person(topic: Topics, sealing: bool) -> None:
    """There it stands as base64 of a record whose value is base64, too."""
    for who in (ANN, BOB):
        topic.put(json.dumps({"email": who}).encode(), f"no JSON of {who}".encode(), key=who.encode())
    assert topic.run(required=["event_id"]).outcome == "ok"
    if not sealing:
        assert ANN.encode() in told(topic.target)
    assert erase(topic.target, {Personal.EMAIL: ANN}).left == []
    assert ANN.encode() not in told(topic.target)
    assert topic.query("select count(*), count(raw_bytes) from raw_kafka.quarantine") == [(4, 2)]


@pytest.mark.parametrize("before", [b"\0\x2a", b"\xff\x300", b"\0A"])
def test_bytes_that_nobody_reads_forget_a_person(topic: Topics, sealing: bool, before: bytes) -> None:
    """As value, key and header; what stands in front of a text may be its length, and look like a letter."""
    for who in (ANN, BOB):
        body = before + who.encode() + b"\0"
        topic.put(body, key=b"k")
        topic.put(b"v", key=body)
        topic.put(b"w", headers=[("who", body)])
    assert topic.run(format="bytes").outcome == "ok"
    assert erase(topic.target, {Personal.EMAIL: ANN}).left == []
    assert ANN.encode() not in told(topic.target)
    columns = ("value", "key", "headers")
    counts = ", ".join(f"count({name})" for name in columns)
    assert topic.query(f"select {counts} from raw_kafka.events") == [(5, 3, 1)]


def test_a_personal_key_of_bytes_forgets_a_person(topic: Topics, sealing: bool) -> None:
    """What is a text in it has no pseudonym of its own; whoever comes back comes without it."""
    keys = [b"\0\0\0\0\7\x2a" + who.encode() for who in (ANN, BOB)]
    for _ in range(2):
        for key in keys:
            topic.put(b'{"n": 1}', key=key)
        assert topic.run(personal_key=Personal.USER_ID).outcome == "ok"
        assert erase(topic.target, {Personal.EMAIL: ANN}).left == []
        assert ANN.encode() not in told(topic.target)
    assert (
        topic.query('select key is null, key__pseudonym is null from raw_kafka.events order by "offset"::int')
        == [(True, True), (False, False)] * 2
    )


def test_the_bytes_of_a_value_go_with_what_they_say(packed: Packed, sealing: bool) -> None:
    """Also where no field is declared, and numbers, which no search finds in bytes."""
    write: Any = AvroSerializer(packed.client, json.dumps(PERSON))
    several = [(ANN, "", 1), (BOB, f"asks for {ANN}", 2), (BOB, "", 3), (BOB, "", PHONE)]
    for email, note, phone in several:
        packed.put(write({"email": email, "note": note, "phone": phone}, packed.context))
    assert packed.run(format="avro").outcome == "ok"
    assert erase(packed.target, {Personal.EMAIL: ANN, Personal.PHONE: str(PHONE)}).left == []
    assert ANN.encode() not in told(packed.target)
    kept = 'select "offset"::int from raw_kafka.orders where value_bytes is not null'
    assert packed.query(kept) == [(2,)]
    for settings in ({}, {"personal": {"email": Personal.EMAIL}}):
        for email, note, phone in several[:3]:
            packed.put(write({"email": email, "note": note, "phone": phone}, packed.context))
        assert packed.run(format="avro", **settings).outcome == "ok"
    assert packed.query(f"{kept} order by 1") == [(2,), (6,), (9,)]


def test_what_a_class_does_not_know_of_a_message_is_looked_for_in_its_bytes(
    packed: Packed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fields that a newer writer has are in no JSON."""
    kinds = [_class(f"{packed.topic}{n}", fields) for n, fields in enumerate([("id",), ("id", "email")])]
    module: Any = types.ModuleType("people_pb2")
    module.Person = kinds[0]
    monkeypatch.setitem(sys.modules, "people_pb2", module)
    write: Any = ProtobufSerializer(kinds[1], packed.client, {"use.deprecated.format": False})
    packed.put(*[write(kinds[1](id="1", email=who), packed.context) for who in (ANN, BOB)])
    assert packed.run(format="protobuf", message="people_pb2:Person").outcome == "ok"
    assert ANN.encode() in told(packed.target)
    assert erase(packed.target, {Personal.EMAIL: ANN}).left == []
    assert ANN.encode() not in told(packed.target)
    assert packed.query('select value_bytes is null from raw_kafka.orders order by "offset"::int') == [
        (True,),
        (False,),
    ]


def _class(name: str, fields: tuple[str, ...]) -> Any:
    file = descriptor_pb2.FileDescriptorProto(name=f"{name}.proto", package=f"p{name[-1]}", syntax="proto3")
    message = file.message_type.add(name="Person")
    for number, field in enumerate(fields, 1):
        message.field.add(name=field, number=number, type=9, label=1)  # type: ignore[arg-type]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"p{name[-1]}.Person"))


def test_base64_is_undone_wherever_it_stands_in_a_text() -> None:
    inner = base64.b64encode(b"\x2a" + ANN.encode() + b"\x06Ann").decode()
    outer = base64.b64encode(json.dumps({"value": inner, "n": "abcdefghijklmnop"}).encode()).decode()
    assert ANN.encode() in b"".join(unpacked(f"seen: {outer}, and no more"))
    for text in (inner, f'[{{"base64": "{inner}"}}]', outer):
        assert ANN in tokens(text)
    assert list(unpacked("short and plain text, 12345678901")) == []
