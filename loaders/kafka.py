"""Kafka: topics declared in settings, each read from where the warehouse has it to where it ends now.

To the core a topic is an account with one raw table and the offsets of its partitions: see
docs/runbooks/kafka.md.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any, Literal

import msgspec
from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core import errors
from loaders._core.broker import POSITIONS, Broker
from loaders._core.declare import Account, Loader, Resource, Settings
from loaders._core.naming import ColumnNames, named_fields
from loaders._core.privacy.values import Personal
from loaders._core.registry import FORMATS, Decoder
from loaders._core.topics import OFFSETS, ORIGINAL, Budget, Cut


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
        topic, decode = self.name(table), None
        if self.format in FORMATS:
            decode = Decoder(self.format, topic, settings, self.message)
        return Cut(topic, self.incarnation, self.format, self.required, decode)


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
    fields = named_fields(topic, "value", ColumnNames(cut.names))
    documents = {name: Personal.DOCUMENT for name in ("value", "headers", ORIGINAL) if name in cut.names}
    personal = {"key": topic.personal_key} | documents | fields
    return Resource(
        table,
        lambda broker, account, window: broker.open[account.id].read(account.rows),
        columns=(*cut.names, *fields),
        personal={name: kind for name, kind in personal.items() if kind},
        only=(topic.name(table),),
        key="message_id",
        judge=cut.judge,
        resumes=OFFSETS,
    )


def resources(settings: Any) -> tuple[Resource, ...]:
    """The raw tables of all topics, and how far they were read."""
    tables = [resource(table, topic, settings) for table, topic in settings.topics.items()]
    return (*tables, POSITIONS)


LOADER = Loader(
    name="kafka",
    settings=KafkaSettings,
    connect=lambda settings, clock: closing(Broker(settings)),
    root=lambda broker: Account("topics"),
    accounts=lambda broker: broker.accounts(),
    resources_of=resources,
    confirm=lambda broker, account: broker.open[account.id].tell(),
    is_stream=True,
    archived=False,
)
