"""Avro and Protobuf of a schema registry over real HTTP: as JSON, with the bytes as they came beside it."""

from __future__ import annotations

import json
import sys
import threading
import types
import uuid
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from loaders._core import registry as registries
from loaders._core.declare import Clock
from loaders._core.errors import ConfigurationError
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target
from loaders.kafka import LOADER, KafkaSettings, Topic, resources
from simulators.kafka_cluster import KafkaCluster

SCHEMA = {
    "type": "record",
    "name": "Order",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "note", "type": ["null", "string"], "default": None},
        {"name": "paid", "type": {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
    ],
}


class Registry:
    """The few requests of a schema registry that its clients make, on a free port."""

    def __init__(self) -> None:
        self.schemas: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.status = 200
        registry = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                registry.asked.append(self.path)
                name = self.path.partition("?")[0].rpartition("/")[2]
                number = int(name) if name.isdecimal() else sys.maxsize
                if registry.status != 200:
                    self._answer(registry.status, {"error_code": registry.status, "message": "no"})
                elif number > len(registry.schemas):
                    self._answer(404, {"error_code": 40403, "message": "Schema not found"})
                else:
                    self._answer(200, registry.schemas[number - 1])

            def do_POST(self) -> None:
                told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if told not in registry.schemas:
                    registry.schemas.append(told)
                self._answer(200, {"id": registry.schemas.index(told) + 1, **told})

            def _answer(self, status: int, told: Any) -> None:
                body = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Bench:
    def __init__(self, target: Target, cluster: KafkaCluster, registry: Registry) -> None:
        self.target, self.cluster, self.registry = target, cluster, registry
        self.topic = f"orders-{uuid.uuid4().hex[:8]}"
        cluster.create_topic(self.topic, 1)
        self.client = SchemaRegistryClient({"url": registry.url})
        self.context = SerializationContext(self.topic, MessageField.VALUE)

    def put(self, *values: bytes | None) -> None:
        producer = Producer({"bootstrap.servers": self.cluster.bootstrap, "log_level": 0})
        for value in values:
            producer.produce(self.topic, value)
        assert producer.flush(20) == 0

    def run(self, **changes: Any) -> Result:
        found = KafkaSettings(bootstrap_servers=self.cluster.bootstrap, schema_registry_url=self.registry.url)
        found.topics = {"orders": Topic(topic=self.topic, **changes)}
        return SourceRun(LOADER, found, self.target, Clock()).execute()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.target.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with KafkaCluster() as found:
        yield found


@pytest.fixture
def bench(target: Target, cluster: KafkaCluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(registries, "TRIES", 0)
    registry = Registry()
    yield Bench(target, cluster, registry)
    registry.close()


def test_avro_lands_as_json_with_its_bytes_beside_it(bench: Bench) -> None:
    write: Any = AvroSerializer(bench.client, json.dumps(SCHEMA))
    order = {
        "id": 9007199254740993,
        "note": "é",
        "paid": Decimal("12345678901234.5600"),
        "at": datetime(2026, 3, 1, 12, 0, 0, 123000, tzinfo=UTC),
        "tags": ["a", "b"],
    }
    good = write(order, bench.context)
    unknown = b"\0" + (77).to_bytes(4, "big") + good[5:]
    bench.put(good, None, good, b"{}", unknown, good[:9])
    assert bench.run(format="avro").outcome == "ok"
    landed = bench.query(
        "select value, value__id, value__note, value__paid, value__at, value__tags, value_bytes"
        ' from raw_kafka.orders order by "offset"::int'
    )
    assert [row[1:6] for row in landed] == [
        ("9007199254740993", "é", "12345678901234.5600", "2026-03-01T12:00:00.123000Z", '["a","b"]'),
        (None,) * 5,
        landed[0][1:6],
    ]
    assert json.loads(landed[0][0])["tags"] == ["a", "b"]
    assert [row[6] and b64decode(row[6]) for row in landed] == [good, None, good]
    cut_off = "split_part(reason, '(', 2) = any (array['IndexError)', 'EOFError)'])"
    reason = f"case when {cut_off} then 'cut off' else reason end"
    assert dict(bench.query(f"select source_key, {reason} from raw_kafka.quarantine")) == {
        "1:0:3": "the value is no avro of the registry (SerializationError)",
        "1:0:4": "the registry does not know its schema (404 Schema not found)",
        "1:0:5": "cut off",
    }
    assert len([path for path in bench.registry.asked if "/schemas/ids/1" in path]) == 1


@pytest.mark.parametrize(
    ("status", "told"), [(503, "503 no"), (401, "see schema_registry_username"), (0, "no answer")]
)
def test_a_registry_that_fails_sends_nothing_to_the_quarantine(bench: Bench, status: int, told: str) -> None:
    write: Any = AvroSerializer(bench.client, json.dumps(SCHEMA))
    order = {
        "id": 1,
        "note": None,
        "paid": Decimal("1.0000"),
        "at": datetime(2026, 3, 1, tzinfo=UTC),
        "tags": [],
    }
    bench.put(write(order, bench.context))
    if status:
        bench.registry.status = status
    else:
        bench.registry.close()
    result = bench.run(format="avro")
    assert (result.outcome, told in (result.message or "")) == ("failed", True), result.message
    bench.registry.status = 200
    if status:
        assert bench.run(format="avro").outcome == "ok"
        assert bench.query("select value__paid from raw_kafka.orders") == [("1.0000",)]


def test_protobuf_lands_as_json_by_the_class_that_is_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = descriptor_pb2.FileDescriptorProto(name=f"{bench.topic}.proto", package="shop", syntax="proto3")
    message = file.message_type.add(name="Login")
    for number, (name, kind) in enumerate([("user_id", 9), ("at", 3), ("score", 1)], 1):
        message.field.add(name=name, number=number, type=kind, label=1)  # type: ignore[arg-type]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Login"))
    module: Any = types.ModuleType("logins_pb2")
    module.Login = kind
    monkeypatch.setitem(sys.modules, "logins_pb2", module)
    write: Any = ProtobufSerializer(kind, bench.client, {"use.deprecated.format": False})
    good = write(kind(user_id="u-1", at=9007199254740993, score=0.5), bench.context)
    bench.put(good, good[:8], None)
    assert bench.run(format="protobuf", message="logins_pb2:Login").outcome == "ok"
    assert bench.query(
        "select value__user_id, value__at, value__score, value_bytes is null from raw_kafka.orders"
        ' order by "offset"::int'
    ) == [("u-1", "9007199254740993", "0.5", False), (None, None, None, True)]
    assert bench.query("select reason from raw_kafka.quarantine")[0][0].startswith("the value is no protobuf")
    result = bench.run(format="protobuf", message="nowhere_pb2:Login")
    assert result.outcome == "ok"  # there was nothing to read


def test_what_a_format_needs_is_asked_for() -> None:
    chosen = KafkaSettings(bootstrap_servers="127.0.0.1:1")
    chosen.topics = {"orders": Topic(format="avro")}
    with pytest.raises(ConfigurationError, match="needs schema_registry_url under"):
        resources(chosen)
    with pytest.raises(ValueError, match="`message` names the class"):
        Topic(format="protobuf")
    chosen.schema_registry_url = "http://127.0.0.1:1"
    decoder = registries.Decoder("protobuf", "t", chosen, "nowhere:Login")
    with pytest.raises(ConfigurationError, match="no class that can be loaded"):
        decoder(b"\0")
