"""Amazon SQS: queues declared in settings, each landed, committed and only then deleted from.

To the core a queue is an account with one raw table: see docs/runbooks/queues.md. Queues have no offsets; a
message that was not deleted comes again, with the same id, and the core knows it by that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core import errors
from loaders._core.archive.current import current
from loaders._core.declare import Account, Clock, Loader, Resource, Settings
from loaders._core.naming import ColumnNames
from loaders._core.privacy.values import Personal
from loaders._core.queues import Budget, Reading, Readings, fault_of
from loaders._core.sqs_client import Sqs, client_of, told
from loaders._core.stream import Keyed, Rejected


class Queue(Budget, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sources.sqs.queues.<name>]``; docs/runbooks/queues.md says what each setting means."""

    queue: str = ""
    url: str = ""
    format: Literal["json", "text"] = "json"
    required: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    personal: dict[str, Personal] = msgspec.field(default_factory=dict)
    wait_seconds: Annotated[int, msgspec.Meta(ge=0, le=20)] = 5
    visibility_seconds: Annotated[int, msgspec.Meta(ge=1, le=43_200)] = 300

    def __post_init__(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ValueError: with the setting in backquotes.
        """
        if self.url and self.queue:
            raise ValueError("`queue` and url are both set; the url says it all")
        if self.url and not self.url.startswith(("https://", "http://")):
            raise ValueError("`url` is no https://sqs.region.amazonaws.com/account/queue")
        if self.format == "text" and (self.required or self.fields or self.personal):
            raise ValueError("`required`, fields and personal are for format = 'json' only")

    def name(self, table: str) -> str:
        """What the vendor calls the queue; that of its table if nothing else is said."""
        return self.url.rstrip("/").rpartition("/")[2] or self.queue or table


@configspec
class SqsSettings(Settings):
    """``[sources.sqs]``; without a table ``[sources.sqs.queues.<name>]`` it is not configured.

    Without keys here AWS's own chain is asked: environment, profile, role of the machine.
    """

    queues: dict[str, Queue] = None  # type: ignore[assignment]
    region: str = ""
    endpoint_url: str = ""
    access_key_id: TSecretStrValue | None = None
    secret_access_key: TSecretStrValue | None = None
    session_token: TSecretStrValue | None = None
    api_version: str = "2012-11-05"


class Queues(Readings):
    """The queues that the settings name."""

    def __init__(self, settings: Any, client: Any) -> None:
        """Nothing is asked for yet."""
        super().__init__(min(queue.visibility_seconds for queue in settings.queues.values()))
        self._settings, self._client = settings, client

    def accounts(self) -> list[Account]:
        """One for each queue; with an error if there is none of that name, or none for us."""
        return [self._open(table, queue) for table, queue in self._settings.queues.items()]

    def _open(self, table: str, queue: Queue) -> Account:
        name = queue.name(table)
        url, fault = current().told(f"queue {name}", partial(self._find, name, queue), tuple[str, str])
        if fault:
            return Account(name, error=errors.AccountError(fault))
        self.open[name] = Reading(Sqs(self._client, url), queue, partial(judge, queue))
        return Account(name)

    def _find(self, name: str, queue: Queue) -> tuple[str, str]:
        """Its address, or why it has none."""
        try:
            with told(name):
                return queue.url or self._client.get_queue_url(QueueName=name)["QueueUrl"], ""
        except errors.AccountError as error:
            return "", str(error)


@contextmanager
def connect(settings: Any, clock: Clock) -> Iterator[Queues]:
    """The queues, open."""
    names = [queue.name(table) for table, queue in settings.queues.items()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise errors.ConfigurationError(
            f"[sources.sqs.queues] has two tables for the queue {', '.join(twice)}"
        )
    if current().plays:
        yield Queues(settings, None)
        return
    client = client_of(settings)
    queues = Queues(settings, client)
    queues.start()
    try:
        yield queues
    finally:
        queues.close()
        client.close()


def judge(queue: Queue, record: bytes) -> Keyed | Rejected:
    """A message as it lands: as the vendor gave it, and its body's own fields beside it."""
    message = json.loads(record)
    name, body = message["MessageId"], message["Body"]
    if queue.format == "text":
        return Keyed(name, record)
    if fault := fault_of(body, queue.required):
        return Rejected(name, fault, record)
    # Its text, not what was made of it: numbers stay as they are. Half of a UTF-16 pair is escaped.
    opened = body.encode("utf-8", "backslashreplace")
    return Keyed(name, record[:-1] + b', "body": ' + opened + b"}")


def resource(table: str, queue: Queue) -> Resource:
    """The raw table of a queue."""
    names = ColumnNames()
    system = ("SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp")
    paths: list[tuple[str, ...]] = [("MessageId",), ("MD5OfBody",), ("Body",), ("MessageAttributes",)]
    paths += [("Attributes", name) for name in system]
    fields = dict.fromkeys((*queue.required, *queue.fields, *queue.personal))
    paths += [("body", field) for field in fields]
    return Resource(
        table,
        lambda queues, account, window: queues.open[account.id].read(),
        records=(),
        opens=("Attributes", "body"),
        columns=tuple(names.name(path) for path in paths),
        personal={names.name(path): Personal.DOCUMENT for path in (("Body",), ("MessageAttributes",))}
        | {names.name(("body", field)): kind for field, kind in queue.personal.items()},
        only=(queue.name(table),),
        key="message_id",
        judge=partial(judge, queue),
    )


LOADER = Loader(
    name="sqs",
    settings=SqsSettings,
    connect=connect,
    root=lambda queues: Account("queues"),
    accounts=lambda queues: queues.accounts(),
    resources_of=lambda settings: tuple(resource(*each) for each in settings.queues.items()),
    confirm=lambda queues, account: queues.open[account.id].delete(),
    is_stream=True,
    archived=False,
)
