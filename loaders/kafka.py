"""Kafka: topics declared in settings, each read from where the warehouse has it to where it ends now.

To the core a topic is an account with one raw table and the offsets of its partitions: see
docs/runbooks/kafka.md. Partitions are assigned by hand and never by the broker's groups: who may land is
decided by the warehouse's lease, which a consumer that was thought dead can't evade.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import confluent_kafka as client
import msgspec
from confluent_kafka.admin import AdminClient
from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core import errors
from loaders._core.declare import Account, Clock, Loader, Resource, Settings
from loaders._core.naming import ColumnNames
from loaders._core.privacy.values import Personal
from loaders._core.redact import is_secret_name, secret
from loaders._core.registry import Decoder, Registry
from loaders._core.topics import OFFSET_COLUMNS, OFFSETS, ORIGINAL, Batch, Budget, Cut, Reading

_log = logging.getLogger(__name__)
ASKING_SECONDS = 20.0  # for metadata and bounds, retries included
_KINDS = {client.TIMESTAMP_CREATE_TIME: "create_time", client.TIMESTAMP_LOG_APPEND_TIME: "log_append_time"}
_FAULT = client.KafkaError
_CREDENTIALS = {_FAULT._AUTHENTICATION, _FAULT.SASL_AUTHENTICATION_FAILED, _FAULT._SSL}
_REFUSED = {_FAULT.TOPIC_AUTHORIZATION_FAILED, _FAULT.GROUP_AUTHORIZATION_FAILED}
_ABSENT = {_FAULT.UNKNOWN_TOPIC_OR_PART, _FAULT._UNKNOWN_TOPIC, _FAULT._UNKNOWN_PARTITION}
_GONE = {_FAULT._AUTO_OFFSET_RESET, _FAULT.OFFSET_OUT_OF_RANGE}
_UNREACHABLE = {
    _FAULT._ALL_BROKERS_DOWN,
    _FAULT._TRANSPORT,
    _FAULT._TIMED_OUT,
    _FAULT._RESOLVE,
    _FAULT._TIMED_OUT_QUEUE,
}
_SAID = {  # by settings of their own, or by how this loader works
    "bootstrap.servers",
    "security.protocol",
    "group.id",
    "isolation.level",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.partition.eof",
    "auto.offset.reset",
}


class Topic(Budget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sources.kafka.topics.<name>]``; docs/runbooks/kafka.md says what each setting means."""

    topic: str = ""
    format: Literal["json", "avro", "protobuf", "text", "bytes"] = "json"
    message: str = ""
    required: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    personal: dict[str, Personal] = msgspec.field(default_factory=dict)
    personal_key: Personal | None = None

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ValueError: with the setting in backquotes.
        """
        if self.format in ("text", "bytes") and (self.required or self.fields or self.personal):
            raise ValueError("`required`, fields and personal are for values with fields, as format = 'json'")
        if (self.format == "protobuf") != bool(self.message):
            raise ValueError(
                "`message` names the class of the messages, for format = 'protobuf' and no other"
            )

    def name(self, table: str) -> str:
        """What the broker calls the topic; as its table if nothing else is said."""
        return self.topic or table

    def cut(self, table: str, settings: Any) -> Cut:
        """What lands of its messages.

        Raises:
            ConfigurationError: there is no registry for a format that needs one.
        """
        decode = None
        if self.format in ("avro", "protobuf"):
            if not settings.schema_registry_url:
                raise errors.ConfigurationError(
                    f"[sources.kafka.topics.{table}] has format {self.format}, which needs"
                    " schema_registry_url under [sources.kafka]"
                )
            password = secret(settings.schema_registry_password or "")
            registry = Registry(settings.schema_registry_url, settings.schema_registry_username, password)
            decode = Decoder(self.format, self.name(table), registry, self.message)
        return Cut(self.name(table), self.incarnation, self.format, self.required, decode)


@configspec
class KafkaSettings(Settings):
    """``[sources.kafka]``; without a table ``[sources.kafka.topics.<name>]`` it is not configured."""

    topics: dict[str, Topic] = None  # type: ignore[assignment]
    bootstrap_servers: str = ""
    group_id: str = "adstar"
    isolation_level: str = "read_committed"
    security_protocol: str = ""
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: TSecretStrValue | None = None
    ssl_ca_location: str = ""
    ssl_certificate_location: str = ""
    ssl_key_location: str = ""
    ssl_key_password: TSecretStrValue | None = None
    schema_registry_url: str = ""
    schema_registry_username: str = ""
    schema_registry_password: TSecretStrValue | None = None
    client: dict[str, Any] | None = None
    api_version: str = ""


class PartitionLog:
    """One topic, as `loaders._core.topics.Log`."""

    def __init__(self, broker: Broker, topic: str) -> None:
        """Nothing is asked for yet."""
        self.where = topic
        self._broker, self._consumer = broker, broker.consumer

    def partitions(self) -> tuple[str, dict[int, tuple[int, int]]]:
        """Metadata, and the watermarks of each partition."""
        numbers = self._broker.numbers(self.where)
        with self._broker.told(self.where):
            bounds = {
                number: self._consumer.get_watermark_offsets(
                    client.TopicPartition(self.where, number), timeout=ASKING_SECONDS
                )
                for number in numbers
            }
        return self._broker.topic_id(self.where), bounds

    def seek(self, positions: Mapping[int, int]) -> None:
        """Assign them, and no others."""
        with self._broker.told(self.where):
            if positions:
                self._consumer.assign(self._places(positions))
            else:
                self._consumer.unassign()

    def take(self, count: int, wait: float) -> Batch:
        """Messages, and in their place what the client says of partitions."""
        with self._broker.told(self.where):
            found = self._consumer.consume(count, wait)
        batch = Batch()
        messages: list[Any] = []  # typed as if a message might lack its place
        message: Any
        for message in found:
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.code() == _FAULT._PARTITION_EOF:
                batch.ends[message.partition()] = message.offset()
            elif error.code() in _GONE:
                batch.gone.add(message.partition())
            elif error.fatal() or not error.retriable():
                with self._broker.told(self.where):
                    raise client.KafkaException(error)
        stamps = [message.timestamp() for message in messages]
        batch.partitions = [message.partition() for message in messages]
        batch.offsets = [message.offset() for message in messages]
        batch.times = [time if kind in _KINDS else None for kind, time in stamps]
        batch.kinds = [_KINDS.get(kind) for kind, _ in stamps]
        batch.keys = [message.key() for message in messages]
        batch.headers = [message.headers() or None for message in messages]
        batch.values = [message.value() for message in messages]
        return batch

    def tell(self, positions: Mapping[int, int]) -> None:
        """Commit for the group, which nobody here ever reads."""
        with self._broker.told(self.where):
            done = self._consumer.commit(offsets=self._places(positions), asynchronous=False)
            for place in done or ():
                if place.error:
                    raise client.KafkaException(place.error)

    def _places(self, positions: Mapping[int, int]) -> list[Any]:
        return [client.TopicPartition(self.where, *each) for each in positions.items()]


class Broker:
    """The client, and the topics that the settings name."""

    def __init__(self, settings: Any) -> None:
        """Nothing is asked for yet.

        Raises:
            ConfigurationError: the client does not take these settings.
        """
        self._settings = settings
        self._said = ""  # by the client's own threads, of why nothing comes
        self.open: dict[str, Reading] = {}
        with self.told("the client's settings"):
            shared = {**_options(settings), "error_cb": self._hear, "logger": _Logger()}
            self.consumer = client.Consumer(
                {
                    **_SMALL,
                    **shared,
                    "group.id": settings.group_id,
                    "isolation.level": settings.isolation_level,
                    "enable.auto.commit": False,
                    "enable.auto.offset.store": False,
                    "enable.partition.eof": True,
                    "auto.offset.reset": "error",  # or it would jump over what is lost without a word
                }
            )
            self._admin = AdminClient(shared)

    def accounts(self) -> list[Account]:
        """One for each topic; with an error if there is none of that name, or none for us."""
        return [self._open(table, topic) for table, topic in self._settings.topics.items()]

    def close(self) -> None:
        """Leave."""
        self.consumer.close()
        del self._admin  # it has no other end, and its threads would outlive the run

    def numbers(self, topic: str) -> list[int]:
        """The partitions of a topic."""
        with self.told(topic):
            found = self.consumer.list_topics(topic, timeout=ASKING_SECONDS).topics[topic]
            if found.error:
                raise client.KafkaException(found.error)
        return sorted(found.partitions)

    def topic_id(self, topic: str) -> str:
        """What tells a topic from one of the same name after it; empty where the broker has no such ids.

        https://cwiki.apache.org/confluence/display/KAFKA/KIP-516%3A+Topic+Identifiers
        """
        try:
            asked = self._admin.describe_topics(client.TopicCollection([topic]), request_timeout=5)
            found = str(asked[topic].result().topic_id)
        except client.KafkaException as error:
            _log.debug("no id of %s: %s", topic, error)
            return ""
        return "" if set(found) <= {"A"} else found

    @contextmanager
    def told(self, where: str) -> Iterator[None]:
        """What the client raises as errors of ours; it has retried what may pass by itself."""
        try:
            yield
        except client.KafkaException as error:
            raise self._of(error.args[0], where) from None
        except (TypeError, ValueError) as error:
            raise errors.ConfigurationError(f"{error}; see [sources.kafka]", where=where) from None

    def _of(self, fault: Any, where: str) -> errors.AdstarError:
        code, text = fault.code(), f"{fault.name()}: {fault.str()}"
        if code in _UNREACHABLE and self._said:
            text += f"; {self._said}"
        if code in _CREDENTIALS or self._is_refused:
            advice = "see security_protocol and the sasl_ and ssl_ settings of [sources.kafka]"
            return errors.ConfigurationError(f"{text}; {advice}", where=where)
        if code == _FAULT._INVALID_ARG:
            return errors.ConfigurationError(f"{text}; see [sources.kafka]", where=where)
        if code in _ABSENT:
            advice = "see the topic's name, and whether the user may describe it"
            return errors.AccountError(f"there is no such topic ({text}); {advice}", where=where)
        if code in _REFUSED:
            needed = "it needs Describe and Read on the topic"
            return errors.AccountError(f"refused ({text}); {needed}", where=where)
        if code in _UNREACHABLE:
            servers = self._settings.bootstrap_servers
            return errors.GaveUp(f"no answer from {servers} ({text})", where=where)
        return errors.VendorError(text, where=where)

    @property
    def _is_refused(self) -> bool:
        return self._said.startswith(("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "_SSL"))

    def _hear(self, fault: Any) -> None:
        if not self._is_refused:  # that all brokers are down is what follows from it
            self._said = f"{fault.name()}: {fault.str()}"

    def _open(self, table: str, topic: Topic) -> Account:
        name = topic.name(table)
        try:
            self.numbers(name)
        except errors.AccountError as error:
            return Account(name, error=error)
        self.open[name] = Reading(PartitionLog(self, name), topic, topic.cut(table, self._settings))
        return Account(name)


# What is fetched ahead is held in memory, and what was compressed is many times as large there.
_SMALL = {
    "queued.min.messages": 10_000,
    "queued.max.messages.kbytes": 4_096,
    "fetch.max.bytes": 1 << 20,
    "fetch.message.max.bytes": 1 << 17,
}


class _Logger:
    """What the client's threads have to say; what of it matters comes as an error, too."""

    def log(self, level: int, text: str, *values: object) -> None:
        """As ``logging.Logger``."""
        _log.debug(text, *values)


def _options(settings: Any) -> dict[str, Any]:
    """Settings as the client calls them.

    https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
    """
    if not settings.bootstrap_servers:
        raise errors.ConfigurationError(
            'no broker is named: put bootstrap_servers = "host:9092,host:9092" under [sources.kafka] in'
            " .dlt/config.toml, or in the environment (SOURCES__KAFKA__BOOTSTRAP_SERVERS)"
        )
    more = {str(name): value for name, value in (settings.client or {}).items()}
    for name in more:
        if name in _SAID:
            raise errors.ConfigurationError(f"[sources.kafka.client] can't set {name}: this loader does")
        if is_secret_name(name.replace(".", "_")):
            raise errors.ConfigurationError(
                f"{name} is a secret and has no place in [sources.kafka.client]; put {name.replace('.', '_')}"
                " under [sources.kafka] in .dlt/secrets.toml"
            )
    for value in filter(None, (settings.sasl_password, settings.ssl_key_password)):
        secret(value)
    names = (
        "bootstrap_servers",
        "security_protocol",
        "sasl_mechanism",
        "sasl_username",
        "sasl_password",
        "ssl_ca_location",
        "ssl_certificate_location",
        "ssl_key_location",
        "ssl_key_password",
    )
    given = {name.replace("_", "."): getattr(settings, name) for name in names}
    return more | {name: value for name, value in given.items() if value}


@contextmanager
def connect(settings: Any, clock: Clock) -> Iterator[Broker]:
    """The topics, open."""
    names = [topic.name(table) for table, topic in settings.topics.items()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise errors.ConfigurationError(
            f"[sources.kafka.topics] has two tables for the topic {', '.join(twice)}"
        )
    broker = Broker(settings)
    try:
        yield broker
    finally:
        broker.close()


def resource(table: str, topic: Topic, settings: Any) -> Resource:
    """The raw table of a topic.

    Raises:
        ConfigurationError: it can't have this name, or lacks a setting.
    """
    if table == OFFSETS:
        raise errors.ConfigurationError(
            f"[sources.kafka.topics.{OFFSETS}] can't have this name: the table says how far topics were read"
        )
    cut = topic.cut(table, settings)
    names = ColumnNames(cut.names)
    fields = dict.fromkeys((*topic.required, *topic.fields, *topic.personal))
    columns = [*cut.names, *(names.name(("value", field)) for field in fields)]
    texts = ("value", "headers", ORIGINAL)
    personal = {name: Personal.DOCUMENT for name in texts if name in cut.names}
    if topic.personal_key:
        personal["key"] = topic.personal_key
    return Resource(
        table,
        lambda broker, account, window: broker.open[account.id].read(account.rows),
        columns=tuple(columns),
        personal=personal | {names.name(("value", field)): kind for field, kind in topic.personal.items()},
        only=(topic.name(table),),
        key="message_id",
        judge=cut.judge,
        resumes=OFFSETS,
    )


def resources(settings: Any) -> tuple[Resource, ...]:
    """The raw tables of all topics, and how far they were read."""
    tables = [resource(table, topic, settings) for table, topic in settings.topics.items()]
    return (*tables, Resource(OFFSETS, _offsets, columns=OFFSET_COLUMNS))


def _offsets(broker: Broker, account: Account, window: object) -> Iterator[bytes]:
    yield broker.open[account.id].offsets()


LOADER = Loader(
    name="kafka",
    settings=KafkaSettings,
    connect=connect,
    root=lambda broker: Account("topics"),
    accounts=lambda broker: broker.accounts(),
    resources_of=resources,
    confirm=lambda broker, account: broker.open[account.id].tell(),
    is_stream=True,
)
