"""Amazon SQS: queues declared in settings, each landed, committed and only then deleted from.

To the core a queue is an account with one raw table: see docs/runbooks/queues.md. Queues have no offsets; a
message that was not deleted comes again, with the same id, and the core knows it by that.
"""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Literal

import msgspec
from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core.declare import Account, Loader, Resource, Settings
from loaders._core.naming import ColumnNames, named_fields
from loaders._core.privacy.values import Personal
from loaders._core.queues import Budget, fault_of
from loaders._core.sqs_client import Queues
from loaders._core.stream import Keyed, Rejected

MESSAGE = (("MessageId",), ("MD5OfBody",), ("Body",), ("MessageAttributes",))
SYSTEM = ("SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp")


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
    columns = [names.name(path) for path in (*MESSAGE, *(("Attributes", name) for name in SYSTEM))]
    fields = named_fields(queue, "body", names)
    documents = {names.name((name,)): Personal.DOCUMENT for name in ("Body", "MessageAttributes")}
    return Resource(
        table,
        lambda queues, account, window: queues.open[account.id].read(),
        records=(),
        opens=("Attributes", "body"),
        columns=(*columns, *fields),
        personal=documents | {name: kind for name, kind in fields.items() if kind},
        only=(queue.name(table),),
        key="message_id",
        judge=partial(judge, queue),
    )


LOADER = Loader(
    name="sqs",
    settings=SqsSettings,
    connect=lambda settings, clock: Queues(settings, judge),
    root=lambda queues: Account("queues"),
    accounts=lambda queues: queues.accounts(),
    resources_of=lambda settings: tuple(resource(*each) for each in settings.queues.items()),
    confirm=lambda queues, account: queues.open[account.id].delete(),
    is_stream=True,
    archived=False,
)
