"""What a job of Spark is told: made by scripts/_spark.py, and read by the job from its standard input."""

from __future__ import annotations

from typing import Any

import msgspec

from loaders._core.privacy.values import Key, Personal, Protection, Ring
from loaders._core.topics import Cut
from loaders._core.warehouse import Target

TABLE = "site_events"
FLAT = f"{TABLE}_flat"
HOURS = "site_event_hours"
PROGRESS = "site_event_progress"
PIPELINE = "kafka_spark"
SCHEMA = "raw_kafka"
PERSONAL = {"value__device_id": Personal.DEVICE_ID, "value__user_id": Personal.USER_ID}


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What no message may show; `repr` tells none of it."""

    key: str
    previous_keys: tuple[str, ...] = ()
    password: str = ""
    source: dict[str, str] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        """Nothing of it."""
        return "Secrets(***)"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A job.

    Attributes:
        topic: as the broker calls it.
        required: fields that a message must have.
        source: format of the stream and its options; secret ones are in `secrets`.
        checkpoint: the folder of Spark's own notes of how far it has read.
        every: seconds between two batches; None ends the job once all there is has been read.
        watermark: how late an event may be and still be counted in its hour, such as ``3 days``.
        counts_hours: whether events are counted by the hour while they come.
        warehouse: fields of `loaders._core.warehouse.Target`.
    """

    topic: str
    incarnation: int
    required: tuple[str, ...]
    source: str
    options: dict[str, str]
    checkpoint: str
    warehouse: dict[str, Any]
    secrets: Secrets
    every: float | None = None
    watermark: str = "3 days"
    counts_hours: bool = True

    def target(self) -> Target:
        """The warehouse."""
        return Target(**self.warehouse, password=self.secrets.password)

    def cut(self) -> Cut:
        """What judges messages and takes them apart, as the loader does."""
        return Cut(self.topic, self.incarnation, "json", self.required)

    def protection(self, tombstones: tuple[str, ...] = ()) -> Protection:
        """What lands in place of personal values: ciphertext always, and pseudonyms as the loader's."""
        ring = Ring(Key(self.secrets.key), [Key(each) for each in self.secrets.previous_keys])
        return Protection(ring, sealing=True, tombstones=tombstones)
