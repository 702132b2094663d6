"""Amazon SQS: queues declared in settings, each landed, committed and only then deleted from.

To the core a queue is an account with one raw table: see docs/runbooks/queues.md. Queues have no offsets; a
message that was not deleted comes again, with the same id, and the core knows it by that.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any, Literal

import boto3
import msgspec
from botocore import exceptions as aws
from botocore.config import Config
from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core import errors
from loaders._core.archive.current import current
from loaders._core.declare import Account, Clock, Loader, Resource, Settings
from loaders._core.naming import ColumnNames
from loaders._core.privacy.values import Personal
from loaders._core.queues import Budget, Reading, Readings, Received, Refusal, fault_of
from loaders._core.redact import secret
from loaders._core.stream import Keyed, Rejected

TRIES = 5  # of one request, by boto3
_CREDENTIALS = re.compile(
    "InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken"
    "|IncompleteSignature|InvalidSecurity|MissingAuthenticationToken|OptInRequired"
)
_REFUSED = re.compile("AccessDenied|AuthorizationError")
_ABSENT = re.compile("QueueDoesNotExist|NonExistentQueue|InvalidAddress")
_THROTTLED = re.compile("Throttl|TooManyRequests|RequestLimitExceeded|SlowDown")


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


class Sqs:
    """One queue, as `loaders._core.queues.Broker`; a group of a FIFO queue waits while some of it is held."""

    at_once = 10

    def __init__(self, client: Any, url: str) -> None:
        """Nothing is received yet."""
        self.where, self.holds_groups = url, url.endswith(".fifo")
        self._client = client

    def receive(self, count: int, wait: int, visibility: int) -> list[Received]:
        """ReceiveMessage; an empty answer has no list of messages."""
        with told(self.where):
            reply = self._client.receive_message(
                QueueUrl=self.where,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=wait,
                VisibilityTimeout=visibility,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        found = []
        for message in reply.get("Messages", ()):
            handle = message.pop("ReceiptHandle")
            found.append(
                Received(message["MessageId"], handle, json.dumps(message, default=_base64).encode())
            )
        return found

    def delete(self, handles: Mapping[str, str]) -> dict[str, Refusal]:
        """DeleteMessageBatch."""
        return self._each(self._client.delete_message_batch, handles)

    def hide(self, handles: Mapping[str, str], visibility: int) -> dict[str, Refusal]:
        """ChangeMessageVisibilityBatch."""
        return self._each(self._client.change_message_visibility_batch, handles, VisibilityTimeout=visibility)

    def _each(self, call: Callable[..., Any], handles: Mapping[str, str], **more: int) -> dict[str, Refusal]:
        """Call it for all of these; HTTP 200 may come with some that failed."""
        entries = [
            {"Id": str(number), "ReceiptHandle": handle, **more}
            for number, handle in enumerate(handles.values())
        ]
        with told(self.where):
            reply = call(QueueUrl=self.where, Entries=entries)
        names = list(handles)
        return {
            names[int(fault["Id"])]: Refusal(fault["Code"], fault["SenderFault"])
            for fault in reply.get("Failed", ())
        }


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
def told(where: str) -> Iterator[None]:
    """What boto3 raises as errors of ours; it has retried what may pass by itself."""
    try:
        yield
    except aws.ClientError as error:
        code = error.response["Error"]["Code"].rpartition("#")[2]
        # What stands in quotes may be a receipt handle, with which anybody could delete the message.
        # In place of a message a server in between sends a page of HTML.
        text = re.sub(
            '".*"', '"..."', f"{code}: {error.response['Error'].get('Message', '')}".partition("<")[0]
        )
        if _CREDENTIALS.search(code):
            advice = "see the credentials of [sources.sqs], or those of AWS's own chain, and the region"
            raise errors.ConfigurationError(f"{text}; {advice}", where=where) from None
        if _ABSENT.search(code):
            advice = "see the queue's name or url, and the region"
            raise errors.AccountError(f"there is no such queue ({text}); {advice}", where=where) from None
        if _REFUSED.search(code):
            needed = "it needs GetQueueUrl, ReceiveMessage, DeleteMessage and ChangeMessageVisibility"
            raise errors.AccountError(f"refused ({text}); {needed}", where=where) from None
        if _THROTTLED.search(code):
            raise errors.GaveUp(f"throttled {TRIES} times ({text})", where=where) from None
        raise errors.VendorError(text, where=where) from None
    except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.CredentialRetrievalError) as error:
        raise errors.ConfigurationError(_no_credentials(error)) from None
    except aws.NoRegionError:
        raise errors.ConfigurationError("no region is set; put region under [sources.sqs]") from None
    except (aws.HTTPClientError, aws.ConnectionError) as error:
        raise errors.GaveUp(f"no answer: {error}", where=where) from None
    except (aws.BotoCoreError, ValueError) as error:
        raise errors.ConfigurationError(f"{error}; see [sources.sqs]", where=where) from None


def _no_credentials(error: object) -> str:
    return (
        f"no AWS credentials that can be used ({error}): set AWS_PROFILE or AWS_ACCESS_KEY_ID and its secret,"
        " give this machine a role, or put access_key_id and secret_access_key under [sources.sqs] in"
        " .dlt/secrets.toml"
    )


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
    client = _client(settings)
    queues = Queues(settings, client)
    queues.start()
    try:
        yield queues
    finally:
        queues.close()
        client.close()


def _client(settings: Any) -> Any:
    longest = max(queue.wait_seconds for queue in settings.queues.values())
    config = Config(
        connect_timeout=10,
        read_timeout=longest + 20,  # or a long poll breaks off, and what it was sent is in flight
        retries={"mode": "standard", "total_max_attempts": TRIES},
    )
    with told("AWS"):
        session = boto3.session.Session(
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=settings.secret_access_key,
            aws_session_token=settings.session_token,
            region_name=settings.region or None,
        )
        found = session.get_credentials()
        keys = found.get_frozen_credentials() if found else None
        client = session.client("sqs", endpoint_url=settings.endpoint_url or None, config=config)
    if keys is None or not (keys.access_key and keys.secret_key):
        raise errors.ConfigurationError(_no_credentials("half a pair of keys" if keys else "none were found"))
    for each in filter(None, (keys.secret_key, keys.token)):
        secret(each)
    return client


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


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


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
