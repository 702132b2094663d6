"""Kafka: topics declared in settings, each read from where the warehouse has it to where it ends now.

To the core a topic is an account with one raw table and the offsets of its partitions: see
docs/runbooks/kafka.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core import errors
from loaders._core.broker import Broker
from loaders._core.declare import Account, Clock, Loader, Resource, Settings
from loaders._core.naming import ColumnNames
from loaders._core.privacy.values import Personal
from loaders._core.redact import secret
from loaders._core.registry import Decoder, Registry
from loaders._core.topics import OFFSET_COLUMNS, OFFSETS, ORIGINAL, Budget, Cut


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


def accounts(broker: Broker) -> list[Account]:
    """One for each topic that the settings name."""
    settings = broker.settings
    return [
        broker.account(topic.name(table), topic, topic.cut(table, settings))
        for table, topic in settings.topics.items()
    ]


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
    accounts=accounts,
    resources_of=resources,
    confirm=lambda broker, account: broker.open[account.id].tell(),
    is_stream=True,
    archived=False,
)
