"""Values in a schema registry's wire format, made JSON: Avro by the writer's schema, Protobuf by a class.

What JSON has no form for becomes text: moments in ISO 8601, bytes in base64. Decimals stay numbers, digit for
digit. The bytes as they came land beside the JSON, so nothing hangs on these rules.
"""

from __future__ import annotations

import importlib
from typing import Any

import httpx
import msgspec

from loaders._core import errors
from loaders._core.redact import secret

TIMEOUT_SECONDS = 10
TRIES = 3
_BY_TOPIC = {"subject.name.strategy.type": "TOPIC"}  # or each topic is asked for what few registries have
_JSON = msgspec.json.Encoder(decimal_format="number")


FORMATS = ("avro", "protobuf")


class Decoder:
    """Makes JSON of the values of a topic; the registry is asked once for each schema, when one is met.

    Args:
        form: one of `FORMATS`.
        settings: those of `loaders.kafka`.
        message: of Protobuf, the class of the messages as ``package.module:Class``.

    Raises:
        ConfigurationError: no registry is named.

    https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format
    """

    def __init__(self, form: str, topic: str, settings: Any, message: str = "") -> None:
        """Nothing is asked for yet."""
        if not settings.schema_registry_url:
            raise errors.ConfigurationError(
                f"the topic {topic} has format {form}, which needs schema_registry_url under [sources.kafka]"
            )
        self._form, self._topic, self._message = form, topic, message
        self._url, self._username = settings.schema_registry_url, settings.schema_registry_username
        self._password = secret(settings.schema_registry_password or "")
        self._read: Any = None

    def __call__(self, value: bytes) -> bytes:
        """The JSON of a value.

        Raises:
            ValueError: the value is not what the registry says, or the registry does not know its schema.
            GaveUp: the registry does not answer.
            ConfigurationError: it refuses us, or there is no such class.
        """
        from confluent_kafka.schema_registry.error import SchemaRegistryError  # noqa: PLC0415  (slow)

        if self._read is None:
            self._read = self._reader()
        try:
            found = self._read(value)
        except SchemaRegistryError as error:
            text = f"{error.http_status_code} {error.error_message}"
            if error.http_status_code == 404:
                raise ValueError(f"the registry does not know its schema ({text})") from None
            if error.http_status_code in (401, 403):
                advice = "see schema_registry_username and schema_registry_password of [sources.kafka]"
                raise errors.ConfigurationError(f"refused ({text}); {advice}", where=self._where) from None
            raise errors.GaveUp(text, where=self._where) from None
        except errors.AdstarError:
            raise
        except Exception as error:  # whatever bytes do to the libraries that read them; it may quote them
            # The client brings one of two libraries for HTTP, and says nowhere which.
            if "TransportError" in {kind.__name__ for kind in type(error).__mro__}:
                raise errors.GaveUp(f"no answer: {error}", where=self._where) from None
            raise ValueError(
                f"the value is no {self._form} of the registry ({type(error).__name__})"
            ) from None
        return found if isinstance(found, bytes) else _JSON.encode(found)

    @property
    def _where(self) -> str:
        return f"schema registry {httpx.URL(self._url).copy_with(userinfo=b'')}"

    def _reader(self) -> Any:
        # Not needed by topics of JSON, and slow to import.
        from confluent_kafka.schema_registry import SchemaRegistryClient  # noqa: PLC0415
        from confluent_kafka.serialization import MessageField, SerializationContext  # noqa: PLC0415

        settings: dict[str, Any] = {"url": self._url, "timeout": TIMEOUT_SECONDS, "max.retries": TRIES}
        if self._username:
            settings["basic.auth.user.info"] = f"{self._username}:{self._password}"
        try:
            client = SchemaRegistryClient(settings)
        except ValueError as error:
            raise errors.ConfigurationError(f"{error}; see schema_registry_url of [sources.kafka]") from None
        context = SerializationContext(self._topic, MessageField.VALUE)
        if self._form == "avro":
            from confluent_kafka.schema_registry.avro import AvroDeserializer  # noqa: PLC0415

            read: Any = AvroDeserializer(client, conf=_BY_TOPIC)
            return lambda value: read(value, context)
        from confluent_kafka.schema_registry.protobuf import ProtobufDeserializer  # noqa: PLC0415
        from google.protobuf.json_format import (  # type: ignore[import-untyped]  # noqa: PLC0415
            MessageToJson,
        )

        parse: Any = ProtobufDeserializer(
            self._class(), {**_BY_TOPIC, "use.deprecated.format": False}, client
        )
        return lambda value: MessageToJson(
            parse(value, context), preserving_proto_field_name=True, indent=None, ensure_ascii=False
        ).encode()

    def _class(self) -> Any:
        module, _, name = self._message.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise errors.ConfigurationError(
                f"message = {self._message!r} is no class that can be loaded ({error}); write it as"
                " package.module:Class, made by protoc, on the PYTHONPATH",
                where=self._topic,
            ) from None
