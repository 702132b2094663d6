"""Kafka as a local server: librdkafka's own mock cluster, real brokers' protocol on real loopback ports.

`with KafkaCluster() as cluster: cluster.create_topic("site_events", 4)`; any Kafka client of any process
reaches it at `cluster.bootstrap`. What it holds is in memory and ends with the process. Unlike a broker it
keeps 5 MB of a partition at most (as sent, so compressed) and drops what is older: give a large topic many
partitions.

It is driven through the C interface of the library that confluent-kafka brings (rdkafka_mock.h): its Python
side can start a cluster, but neither say how many partitions a topic has nor delete what is in it.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import signal
from ctypes.util import find_library
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import confluent_kafka

_PRODUCER = 0
_TEXT = 512


class KafkaCluster:
    """Brokers on free ports of the loopback interface, as a context manager.

    A topic that is not created comes to be with 4 partitions when it is first written to.
    """

    def __init__(self, brokers: int = 1) -> None:
        """Nothing listens before `start` (or `with`)."""
        self.bootstrap = ""
        self._brokers = brokers
        self._host: Any = None
        self._cluster: Any = None

    def start(self) -> Self:
        """Listen and serve in threads of the library."""
        library = _library()
        said = ctypes.create_string_buffer(_TEXT)
        settings = library.rd_kafka_conf_new()
        library.rd_kafka_conf_set(settings, b"log_level", b"0", said, _TEXT)
        self._host = library.rd_kafka_new(_PRODUCER, settings, said, _TEXT)
        if not self._host:
            raise OSError(f"the cluster can't be started: {said.value.decode()}")
        self._cluster = library.rd_kafka_mock_cluster_new(self._host, self._brokers)
        library.rd_kafka_mock_set_controller_id(self._cluster, 1)  # or nobody answers for topics' ids
        self.bootstrap = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        return self

    def stop(self) -> None:
        """Stop serving; all that is in it is lost."""
        if self._cluster is not None:
            library = _library()
            library.rd_kafka_mock_cluster_destroy(self._cluster)
            library.rd_kafka_destroy(self._host)
            self._cluster = self._host = None

    def __enter__(self) -> Self:
        """As `start`."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As `stop`."""
        self.stop()

    def create_topic(self, topic: str, partitions: int = 4) -> None:
        """A topic of so many partitions; an OSError if there is one of that name."""
        _checked(_library().rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1))

    def delete_topic(self, topic: str) -> None:
        """The topic and all that is in it go; one of the same name may be created after."""
        _checked(_library().rd_kafka_mock_topic_delete(self._cluster, topic.encode()))

    def delete_records(self, topic: str, partition: int, before: int) -> None:
        """What lies before an offset goes, as if its time were over."""
        library = _library()
        _checked(
            library.rd_kafka_mock_partition_delete_records(self._cluster, topic.encode(), partition, before)
        )

    def refuse(self, request: int, *codes: int) -> None:
        """Answer the next requests of a kind with these errors.

        Their numbers: https://kafka.apache.org/protocol
        """
        said = (ctypes.c_int * len(codes))(*codes)
        _library().rd_kafka_mock_push_request_errors_array(self._cluster, request, len(codes), said)

    def settings_env(self, **topics: str) -> dict[str, str]:
        """The environment that makes `dlt pipeline kafka run` read topics: `table="name of the topic"`."""
        found = {"SOURCES__KAFKA__BOOTSTRAP_SERVERS": self.bootstrap}
        return found | {
            f"SOURCES__KAFKA__TOPICS__{table.upper()}__TOPIC": name for table, name in topics.items()
        }


def _checked(code: int) -> None:
    if code:
        raise OSError(_library().rd_kafka_err2str(code).decode())


@cache
def _library() -> Any:
    """The library of the installed client."""
    package = Path(confluent_kafka.__file__).parent
    folders = (package.parent / "confluent_kafka.libs", package / ".dylibs", package)
    found = [str(path) for folder in folders for path in folder.glob("*rdkafka*.*") if "rdkafka" in path.name]
    library = ctypes.CDLL(found[0] if found else find_library("rdkafka"))
    kinds: dict[str, Any] = {
        "rd_kafka_conf_new": ctypes.c_void_p,
        "rd_kafka_new": ctypes.c_void_p,
        "rd_kafka_mock_cluster_new": ctypes.c_void_p,
        "rd_kafka_mock_cluster_bootstraps": ctypes.c_char_p,
        "rd_kafka_err2str": ctypes.c_char_p,
    }
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    takes: dict[str, list[Any]] = {
        "rd_kafka_conf_set": [pointer, text, text, text, ctypes.c_size_t],
        "rd_kafka_new": [number, pointer, text, ctypes.c_size_t],
        "rd_kafka_mock_cluster_new": [pointer, number],
        "rd_kafka_mock_cluster_bootstraps": [pointer],
        "rd_kafka_mock_cluster_destroy": [pointer],
        "rd_kafka_destroy": [pointer],
        "rd_kafka_mock_set_controller_id": [pointer, ctypes.c_int32],
        "rd_kafka_mock_topic_create": [pointer, text, number, number],
        "rd_kafka_mock_topic_delete": [pointer, text],
        "rd_kafka_mock_partition_delete_records": [pointer, text, ctypes.c_int32, ctypes.c_int64],
        "rd_kafka_mock_push_request_errors_array": [pointer, ctypes.c_int16, ctypes.c_size_t, pointer],
        "rd_kafka_err2str": [number],
    }
    for name, arguments in takes.items():
        getattr(library, name).argtypes = arguments
    for name, kind in kinds.items():
        getattr(library, name).restype = kind
    return library


def main() -> None:
    """Serve until SIGTERM; print the address as JSON in the first line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--topic", action="append", default=[], metavar="NAME[:PARTITIONS]")
    options = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with KafkaCluster() as cluster:
        for each in options.topic:
            name, _, partitions = each.partition(":")
            cluster.create_topic(name, int(partitions or 4))
        print(json.dumps({"bootstrap": cluster.bootstrap}), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
