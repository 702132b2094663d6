"""A topic as Parquet files, for a Spark that has no broker: what its Kafka source would give of it.

https://spark.apache.org/docs/latest/streaming/structured-streaming-kafka-integration.html has the columns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import count
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from simulators.site_events import Message

SCHEMA = pa.schema(
    [
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("topic", pa.string()),
        ("partition", pa.int32()),
        ("offset", pa.int64()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("timestampType", pa.int32()),
        ("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))),
    ]
)


class TopicFiles:
    """A folder of files, each written whole under a name of its own before it is there.

    Args:
        partitions: as for `simulators.site_events.send`, which gives each message the same place.
    """

    def __init__(self, folder: Path, partitions: int = 4) -> None:
        """No file is written yet."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._partitions = partitions
        self._next: Counter[int] = Counter()
        self._numbers = count()

    def write(self, messages: Iterable[Message]) -> int:
        """Write one more file; how many messages are in it."""
        rows = [self._row(message) for message in messages]
        number = next(self._numbers)
        part = self.folder / f"_{number:06}.part"  # a name that Spark passes over
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), part)
        part.rename(self.folder / f"{number:06}.parquet")
        return len(rows)

    def _row(self, message: Message) -> dict[str, object]:
        partition = message.partition(self._partitions)
        offset = self._next[partition]
        self._next[partition] += 1
        return {
            "key": message.key,
            "value": message.value,
            "topic": message.topic,
            "partition": partition,
            "offset": offset,
            "timestamp": message.timestamp * 1000,
            "timestampType": 0,
            "headers": [{"key": name, "value": value} for name, value in message.headers],
        }
