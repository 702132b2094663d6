"""Kafka's client: the partitions of topics, its errors as ours, and settings as it takes them.

Partitions are assigned by hand and never by the broker's groups: who may land is decided by the warehouse's
lease, which a consumer that was thought dead can't evade.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import confluent_kafka as client
from confluent_kafka.admin import AdminClient

from loaders._core import errors
from loaders._core.archive.current import current
from loaders._core.declare import Account, Resource
from loaders._core.redact import is_secret_name, secret
from loaders._core.tables import each_once
from loaders._core.topics import OFFSET_COLUMNS, OFFSETS, Batch, Budget, Cut, Reading

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


def _offsets(broker: Broker, account: Account, window: object) -> Iterator[bytes]:
    yield broker.open[account.id].offsets()


POSITIONS = Resource(OFFSETS, _offsets, columns=OFFSET_COLUMNS)
"""How far all topics were read: a raw table beside theirs."""


class Broker:
    """The client, and the topics that are open; `settings` are those of `loaders.kafka`."""

    def __init__(self, settings: Any) -> None:
        """Nothing is asked for yet, and an archive is read without a client.

        Raises:
            ConfigurationError: the client does not take these settings, or two tables are of one topic.
        """
        names = [topic.name(table) for table, topic in settings.topics.items()]
        each_once("sources.kafka.topics", "topic", names)
        self.settings = settings
        self._said = ""  # by the client's own threads, of why nothing comes
        self.open: dict[str, Reading] = {}
        self.consumer: Any = None
        self._admin: Any = None
        if current().plays:
            return
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
        """One for each topic that the settings name, open to be read."""
        return [
            self._open(topic.name(table), topic, topic.cut(table, self.settings))
            for table, topic in self.settings.topics.items()
        ]

    def _open(self, topic: str, budget: Budget, cut: Cut) -> Account:
        """A topic; with an error if there is none of that name, or none for us."""
        fault = current().told(f"topic {topic}", lambda: self._fault(topic), str)
        if fault:
            return Account(topic, error=errors.AccountError(fault))
        self.open[topic] = Reading(PartitionLog(self, topic), budget, cut)
        return Account(topic)

    def _fault(self, topic: str) -> str:
        try:
            self.numbers(topic)
        except errors.AccountError as error:
            return str(error)
        return ""

    def close(self) -> None:
        """Leave."""
        if self.consumer is not None:
            self.consumer.close()
        self._admin = None  # it has no other end, and its threads would outlive the run

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
            servers = self.settings.bootstrap_servers
            return errors.GaveUp(f"no answer from {servers} ({text})", where=where)
        return errors.VendorError(text, where=where)

    @property
    def _is_refused(self) -> bool:
        return self._said.startswith(("_AUTHENTICATION", "SASL_AUTHENTICATION_FAILED", "_SSL"))

    def _hear(self, fault: Any) -> None:
        if not self._is_refused:  # that all brokers are down is what follows from it
            self._said = f"{fault.name()}: {fault.str()}"


# What is fetched ahead is held in memory, and what was compressed is many times as large there. So little is
# taken apart in a quarter of a second; the client's own pause, when it has enough, would be a second.
_SMALL = {
    "queued.min.messages": 10_000,
    "queued.max.messages.kbytes": 4_096,
    "fetch.max.bytes": 1 << 20,
    "fetch.message.max.bytes": 1 << 17,
    "fetch.queue.backoff.ms": 50,
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
