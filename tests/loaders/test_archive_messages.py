"""Messages of topics and queues in the archive: who has forgotten them can't be asked again."""

from __future__ import annotations

import json
import uuid
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka.schema_registry.avro import AvroSerializer

from loaders import kafka, sqs
from loaders._core import sqs_client, topics
from loaders._core.archive import tape as tapes
from loaders._core.archive.erasing import Eraser
from loaders._core.archive.rebuild import Rebuild
from loaders._core.archive.tape import TOLD_MARK
from loaders._core.declare import Clock, Loader
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.privacy.person import erase, spelled
from loaders._core.privacy.values import Key, Personal, Ring
from loaders._core.run import Result
from loaders._core.warehouse import Target
from simulators.kafka_cluster import KafkaCluster
from simulators.queue import LoginQueue
from tests.conftest import PRIVACY_KEY, recreate
from tests.loaders.test_archive import archived, archived_bytes, raw
from tests.loaders.test_kafka import GOOD
from tests.loaders.test_kafka import Bench as Topics
from tests.loaders.test_privacy_messages import PERSON, PHONE, behind, told
from tests.loaders.test_registry import Bench as Packed
from tests.loaders.test_registry import Registry
from tests.loaders.test_sqs import LOGIN
from tests.loaders.test_sqs import Bench as Queues

ANN, BOB = "ann.smith@example.com", "bob.jones@example.com"


@pytest.fixture(autouse=True)
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of all sources."""
    monkeypatch.setenv("ARCHIVE__URL", str(tmp_path / "archive"))
    monkeypatch.setenv("ARCHIVE__ALL", "true")
    return tmp_path / "archive"


@pytest.fixture
def topic(target: Target) -> Iterator[Topics]:
    with KafkaCluster() as cluster:
        made = Topics(target, cluster)
        made.create(2)
        yield made


@pytest.fixture
def queue(target: Target) -> Iterator[Queues]:
    with LoginQueue(name=f"login-{uuid.uuid4().hex[:8]}") as served:
        yield Queues(target, served)


def rebuild(loader: Loader, target: Target) -> Result:
    return Rebuild(loader, target, clock=Clock()).execute()


def test_a_topic_is_made_again_when_neither_warehouse_nor_broker_has_it(
    topic: Topics, target: Target, server: EmbeddedWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tapes, "_MEMORY", 200)  # a body of the archive for each few messages
    monkeypatch.setattr(topics, "AT_ONCE", 3)
    headers = [("trace", b"a"), ("trace", b"b"), ("none", None), ("bytes", b"\xff\x00")]
    topic.put(GOOD, None, b"\xff\xfe", b"not JSON", partition=0, key=b"k", headers=headers)
    topic.put(
        *[GOOD] * 7,
        b'{"event_id": 1, "n": 12345678901234567890.50, "half": "\\ud83d", "nul": "\\u0000"}',
        partition=1,
    )
    assert topic.run(required=["event_id"]).outcome == "ok"
    topic.put(GOOD, partition=1)
    assert topic.run(required=["event_id"]).outcome == "ok"
    assert topic.run(required=["event_id"]).outcome == "ok"  # nothing new
    before = raw(target, "raw_kafka")
    assert (len(before["raw_kafka.events"]), len(before["raw_kafka.quarantine"])) == (11, 2)
    topic.cluster.delete_topic(topic.topic)
    recreate(server, target.database)
    result = rebuild(kafka.LOADER, target)
    assert (result.outcome, result.message) == ("ok", None)
    assert raw(target, "raw_kafka") == before


def test_after_a_rebuild_a_topic_is_read_on(topic: Topics, target: Target, server: EmbeddedWarehouse) -> None:
    topic.put(*[GOOD] * 5)
    assert topic.run().outcome == "ok"
    recreate(server, target.database)
    assert rebuild(kafka.LOADER, target).outcome == "ok"
    topic.put(*[GOOD] * 2)
    assert topic.run().outcome == "ok"
    assert topic.rows() == [(0, n) for n in range(7)]
    assert topic.counted()[-1] == (2, 2, 0)


def test_a_queue_is_made_again_though_its_messages_were_deleted(
    queue: Queues, target: Target, server: EmbeddedWarehouse
) -> None:
    queue.put(*[json.dumps(LOGIN | {"app_version": f"{n}.10"}) for n in range(12)], "no JSON", "{}")
    assert queue.run().outcome == "ok"
    queue.put(json.dumps(LOGIN))
    assert queue.run().outcome == "ok"
    before = raw(target, "raw_sqs")
    assert (len(before["raw_sqs.login_queue"]), len(before["raw_sqs.quarantine"])) == (13, 2)
    recreate(server, target.database)
    queue.queue.stop()
    result = rebuild(sqs.LOADER, target)
    assert (result.outcome, result.message) == ("ok", None)
    assert raw(target, "raw_sqs") == before


def test_no_handle_with_which_a_message_could_be_deleted_is_kept(queue: Queues, target: Target) -> None:
    queue.put(json.dumps(LOGIN))
    handles: list[str] = []
    receive = sqs_client.Sqs.receive

    def heard(self: sqs_client.Sqs, *arguments: int) -> Any:
        found = receive(self, *arguments)
        handles.extend(each.handle for each in found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqs_client.Sqs, "receive", heard)
        assert queue.run().outcome == "ok"
    told = archived(target, "sqs")
    assert handles
    assert LOGIN["device_id"] in told
    assert not [handle for handle in handles if handle in told]


def test_a_person_is_in_no_message_of_the_archive_and_a_rebuild_is_what_the_erasure_left(
    topic: Topics, queue: Queues, target: Target, server: EmbeddedWarehouse
) -> None:
    declared = {"email": "email", "user_id": "user_id", "name": "name"}
    several = [
        {"event_id": f"e{n}", "email": who, "user_id": user, "name": name}
        for n, (who, user, name) in enumerate([(ANN, 17, "Ann Smith"), (BOB, 18, "Bob Jones")])
    ]
    for each in several:
        topic.put(json.dumps(each).encode(), key=str(each["user_id"]).encode())
    topic_settings = {"personal": declared, "personal_key": "user_id"}
    declared |= {"nested": "document"}
    queue.said = {"personal": {name: Personal(kind) for name, kind in declared.items()}}
    queue.put(*[json.dumps(each | {"nested": {"email": each["email"]}}) for each in several])
    assert topic.run(**topic_settings).outcome == "ok"
    assert queue.run().outcome == "ok"
    for source in ("kafka", "sqs"):
        assert ANN in archived(target, source)
    done = erase(target, {Personal.EMAIL: ANN})
    assert done.left == []
    assert {"kafka", "sqs"} <= {source for source, count in done.archive.items() if count}
    for source in ("kafka", "sqs"):
        told = archived(target, source)
        assert ANN not in told
        assert "Ann Smith" not in told
        assert BOB in told
        assert "Bob Jones" in told
    left = {schema: raw(target, schema) for schema in ("raw_kafka", "raw_sqs")}
    recreate(server, target.database)
    topic.cluster.delete_topic(topic.topic)
    queue.queue.stop()
    for loader in (kafka.LOADER, sqs.LOADER):
        result = rebuild(loader, target)
        assert result.outcome == "ok", result.message
    for schema, tables in left.items():
        again = raw(target, schema)
        for name, rows in tables.items():
            assert again[name] == rows, (schema, name)


def test_a_person_is_in_no_attribute_of_bytes(
    queue: Queues, target: Target, server: EmbeddedWarehouse
) -> None:
    """It stands in raw and in the archive as base64 in JSON; whoever comes back comes without it."""
    for turn in range(2):
        queue.put(json.dumps(LOGIN), json.dumps(LOGIN))
        for message, who in zip(queue.queue.state._messages, (ANN, BOB), strict=True):
            value = b"\x02" + who.encode()
            message.message_attributes = {"by": {"BinaryValue": b64encode(value), "DataType": "Binary"}}
        assert queue.run().outcome == "ok"
        if not turn:
            assert ANN.encode() in behind(archived_bytes(target, "sqs"))
            assert ANN.encode() in told(target)
        assert erase(target, {Personal.EMAIL: ANN}).left == []
        assert ANN.encode() not in behind(archived_bytes(target, "sqs"))
        assert ANN.encode() not in told(target)
    attributes = "select message_id, message_attributes from raw_sqs.login_queue order by 1"
    before = queue.query(attributes)
    assert sum(each is not None for _, each in before) == 2
    recreate(server, target.database)
    queue.queue.stop()
    assert rebuild(sqs.LOADER, target).outcome == "ok"
    assert queue.query(attributes) == before


@pytest.fixture
def packed(target: Target) -> Iterator[Packed]:
    registry = Registry()
    with KafkaCluster() as cluster:
        yield Packed(target, cluster, registry)
    registry.close()


def people(packed: Packed, *several: tuple[str, str, int]) -> list[bytes]:
    """Messages in Avro."""
    write: Any = AvroSerializer(packed.client, json.dumps(PERSON))
    return [
        write({"email": email, "note": note, "phone": phone}, packed.context)
        for email, note, phone in several
    ]


def test_a_topic_of_a_registry_is_made_again_without_it(
    packed: Packed, target: Target, server: EmbeddedWarehouse
) -> None:
    good = people(packed, (ANN, "é", 2**53 + 1), (BOB, "\0", 2))
    packed.put(*good, None, b"", b"{}", good[0][:9], b"\0" + (77).to_bytes(4, "big") + good[0][5:])
    assert packed.run(format="avro").outcome == "ok"
    packed.put(good[1])
    assert packed.run(format="avro", required=("none",)).outcome == "ok"
    before = raw(target, "raw_kafka")
    assert (len(before["raw_kafka.orders"]), len(before["raw_kafka.quarantine"])) == (3, 5)
    packed.cluster.delete_topic(packed.topic)
    packed.registry.close()
    packed.registry.asked.clear()
    recreate(server, target.database)
    result = rebuild(kafka.LOADER, target)
    assert (result.outcome, result.message) == ("ok", None)
    assert raw(target, "raw_kafka") == before
    assert packed.registry.asked == []


def test_a_person_is_in_no_packed_message_of_the_archive(
    packed: Packed, target: Target, server: EmbeddedWarehouse
) -> None:
    """Neither in what it says nor, spelled or as a number, in its bytes; other messages stay as they came."""
    also = "ann@home.example.com"
    good = people(packed, (ANN, "", 1), (BOB, f"asks for {ANN}", 2), (also, "", PHONE), (BOB, "", 4))
    broken = b"\0\0\0\0\7" + b"A" + ANN.encode() + b"\0"
    packed.put(*good, broken)
    settings = {"format": "avro", "personal": {"email": Personal.EMAIL, "phone": Personal.PHONE}}
    assert packed.run(**settings).outcome == "ok"
    assert ANN.encode() in archived_bytes(target, "kafka")
    assert erase(target, {Personal.EMAIL: ANN, Personal.PHONE: str(PHONE)}).left == []
    kept = archived_bytes(target, "kafka")
    for value in (ANN.encode(), also.encode(), str(PHONE).encode(), good[2]):
        assert value not in kept
    assert good[3] in kept
    columns = "message_id, value, value_bytes, value__email, value__email__pseudonym"
    bobs = f"""select {columns} from raw_kafka.orders where "offset" = '3'"""
    left = packed.query(bobs)
    recreate(server, target.database)
    packed.cluster.delete_topic(packed.topic)
    packed.registry.close()
    assert rebuild(kafka.LOADER, target).outcome == "ok"
    columns = "value__email, value__phone, value_bytes is null"
    assert packed.query(f'select {columns} from raw_kafka.orders order by "offset"::int') == [
        (None, None, True),
        (BOB, "2", True),
        (None, None, True),
        (BOB, "4", False),
    ]
    assert packed.query(bobs) == left


def test_numbers_within_a_text_that_is_json_are_replaced_without_breaking_it() -> None:
    ring = Ring(Key(PRIVACY_KEY))
    phone = ring.current.pseudonym(Personal.PHONE, "4915112345678")
    eraser = Eraser(
        ring,
        {Personal.PHONE: {"4915112345678"}, Personal.NAME: {"Ann Smithson"}},
        spelled,
        pseudonyms={str(phone)},
        personal={("raw_feed", "people"): {"full_name": Personal.NAME}},
    )
    inner = (
        '{"phone": 4915112345678, "full_name": "Ann", "deep": "[{\\"by\\": \\"Ann Smithson\\"}]", "n": 1.50}'
    )
    body = json.dumps({"spec": inner, "n": 2.50}).encode()
    cleaned = eraser.cleaned("feed", body)
    outer = json.loads(cleaned)
    assert outer["n"] == 2.5
    spec = json.loads(outer["spec"])
    assert (spec["phone"], spec["full_name"], spec["n"]) == (f"erased:{phone}", None, 1.5)
    assert json.loads(spec["deep"]) == [{"by": "[erased]"}]
    told = TOLD_MARK + msgspec.msgpack.encode(
        [{"values": [body, None, b"\xff", b"\x1f\x8bno gzip"], "next": 4915112345678}]
    )
    (batch,) = msgspec.msgpack.decode(eraser.cleaned("feed", told).removeprefix(TOLD_MARK))
    assert batch == {"values": [cleaned, None, b"\xff", b"\x1f\x8bno gzip"], "next": 4915112345678}
