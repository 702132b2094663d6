"""Amazon SQS: queues declared in settings, each landed, committed and only then deleted from.

To the core a queue is an account with one raw table: see docs/runbooks/queues.md. Queues have no offsets; a
message that was not deleted comes again, with the same id, and the core knows it by that.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from typing import Annotated, Any, Literal

import boto3
import msgspec
from botocore import exceptions as aws
from botocore.config import Config
from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core import errors
from loaders._core.declare import Account, Clock, Loader, Resource, Settings
from loaders._core.naming import ColumnNames
from loaders._core.privacy import Personal
from loaders._core.redact import secret
from loaders._core.stream import Documents, Keyed, Rejected

_log = logging.getLogger(__name__)
AT_ONCE = 10  # messages of a request: the vendor's limit
PACKAGE = 10_000  # messages held before they are landed and deleted; the vendor gives out 120,000 at most
ATTEMPTS = 3  # of deleting what was not deleted
TRIES = 5  # of one request, by boto3
_CREDENTIALS = re.compile(
    "InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken"
    "|IncompleteSignature|InvalidSecurity|MissingAuthenticationToken|OptInRequired"
)
_REFUSED = re.compile("AccessDenied|AuthorizationError")
_ABSENT = re.compile("QueueDoesNotExist|NonExistentQueue|InvalidAddress")
_THROTTLED = re.compile("Throttl|TooManyRequests|RequestLimitExceeded|SlowDown")
Positive = Annotated[int, msgspec.Meta(ge=1)]


class Queue(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``[sources.sqs.queues.<name>]``; docs/runbooks/queues.md says what each setting means."""

    queue: str = ""
    url: str = ""
    format: Literal["json", "text"] = "json"
    required: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    personal: dict[str, Personal] = {}
    max_seconds: Positive = 300
    max_messages: Positive = 100_000
    empty_polls: Positive = 2
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


class Reading:
    """What of one queue was received and is not deleted yet, and how much of its budget is left."""

    def __init__(self, client: Any, url: str, queue: Queue) -> None:
        """Nothing is received before ``read``."""
        self._client, self._url, self._queue = client, url, queue
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, float]] = {}  # by message id: newest handle, when to extend
        self._left = queue.max_messages
        self._until = 0.0
        self._more = False

    def read(self) -> Documents:
        """Messages until the queue is empty, a package is full, or the budget is spent."""
        self._until = self._until or time.monotonic() + self._queue.max_seconds
        taken = empty = 0
        while empty < self._queue.empty_polls and taken < PACKAGE and self._has_budget():
            messages = self._receive(min(AT_ONCE, self._left))
            # What is held already says nothing of the queue: it would be read for ever, if it comes again.
            empty = empty + 1 if self._held.keys() >= {each["MessageId"] for each in messages} else 0
            taken += len(messages)
            self._left -= len(messages)
            for message in messages:
                handle = message.pop("ReceiptHandle")
                with self._lock:  # of one that came twice the older handle deletes nothing
                    self._held[message["MessageId"]] = (handle, self._half_time())
                yield judge(self._queue, json.dumps(message, default=_base64).encode())
        # A group of a FIFO queue gives no more while some of it is held.
        self._more = empty < self._queue.empty_polls or (taken > 0 and self._url.endswith(".fifo"))
        if self._more and not self._has_budget():
            _log.warning("sqs: the budget of %s is spent; the next run reads on", self._url)

    def delete(self) -> bool:
        """Delete what was read, as it counts; is there more to read?

        Raises:
            VendorError: some are not deleted: they come again and are dropped as known.
        """
        with self._lock:
            handles = {name: handle for name, (handle, _) in self._held.items()}
        refused: dict[str, dict[str, Any]] = {}
        for attempt in range(ATTEMPTS):
            time.sleep(0.2 * attempt)
            refused = self._in_batches(self._client.delete_message_batch, handles, self._forget)
            handles = {name: handles[name] for name, fault in refused.items() if not fault["SenderFault"]}
            if not handles:
                break
        if refused:
            codes = ", ".join(sorted({fault["Code"] for fault in refused.values()}))
            raise errors.VendorError(
                f"{len(refused):,} messages have landed and could not be deleted ({codes}): they come again"
                " and are dropped as known",
                where=self._url,
            )
        return self._more and self._has_budget()

    def extend(self) -> None:
        """Keep what is held for longer than half of its time from coming again."""
        with self._lock:
            due = {name: held[0] for name, held in self._held.items() if held[1] <= time.monotonic()}
        self._change(due, self._queue.visibility_seconds)

    def give_back(self) -> None:
        """What was not deleted may be received again at once."""
        with self._lock:
            held = {name: handle for name, (handle, _) in self._held.items()}
        self._change(held, 0)

    def _has_budget(self) -> bool:
        return self._left > 0 and time.monotonic() < self._until

    def _half_time(self) -> float:
        return time.monotonic() + self._queue.visibility_seconds / 2

    def _receive(self, count: int) -> list[dict[str, Any]]:
        wait = min(self._queue.wait_seconds, int(self._until - time.monotonic()))
        with told(self._url):
            reply = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=count,
                WaitTimeSeconds=max(wait, 0),
                VisibilityTimeout=self._queue.visibility_seconds,
                MessageSystemAttributeNames=["All"],
                MessageAttributeNames=["All"],
            )
        return list(reply.get("Messages", ()))

    def _in_batches(
        self, call: Callable[..., Any], handles: Mapping[str, str], done: Callable[[str], None], **more: Any
    ) -> dict[str, dict[str, Any]]:
        """Call it for all of these, ``done`` for each that it worked for; what it says of the others."""
        refused = {}
        left = iter(handles.items())
        while batch := list(islice(left, AT_ONCE)):
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, **more}
                for number, (_, handle) in enumerate(batch)
            ]
            with told(self._url):
                reply = call(QueueUrl=self._url, Entries=entries)
            faults = {int(fault["Id"]): fault for fault in reply.get("Failed", ())}
            for number, (name, _) in enumerate(batch):
                if number in faults:
                    refused[name] = faults[number]
                else:
                    done(name)
        return refused

    def _forget(self, name: str) -> None:
        with self._lock:
            self._held.pop(name, None)

    def _put_off(self, name: str) -> None:
        with self._lock:
            if name in self._held:
                self._held[name] = (self._held[name][0], self._half_time())

    def _change(self, handles: Mapping[str, str], seconds: int) -> None:
        change = self._client.change_message_visibility_batch
        try:
            refused = self._in_batches(change, handles, self._put_off, VisibilityTimeout=seconds)
        except errors.AdstarError as error:
            _log.info("sqs: visibility is not changed: %s", error)
        else:
            for name in refused:  # lost: it comes again, and is known then
                self._put_off(name)


class Queues:
    """All queues of a run; in a thread of its own it keeps what they gave from being given again."""

    def __init__(self, settings: Any, client: Any) -> None:
        """Nothing is asked for yet."""
        self._settings, self._client = settings, client
        self.readings: dict[str, Reading] = {}
        self._ended = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="visibility", daemon=True)

    def accounts(self) -> list[Account]:
        """One for each queue; with an error if there is none of that name, or none for us."""
        return [self._open(table, queue) for table, queue in self._settings.queues.items()]

    def start(self) -> None:
        """Begin to keep."""
        self._keeper.start()

    def close(self) -> None:
        """End, and give back what is not deleted."""
        self._ended.set()
        self._keeper.join(timeout=30)
        for reading in self.readings.values():
            with suppress(Exception):
                reading.give_back()

    def _open(self, table: str, queue: Queue) -> Account:
        name = queue.name(table)
        try:
            with told(name):
                url = queue.url or self._client.get_queue_url(QueueName=name)["QueueUrl"]
        except errors.AccountError as error:
            return Account(name, error=error)
        self.readings[name] = Reading(self._client, url, queue)
        return Account(name)

    def _keep(self) -> None:
        shortest = min(queue.visibility_seconds for queue in self._settings.queues.values())
        while not self._ended.wait(min(shortest / 8, 5.0)):
            for reading in list(self.readings.values()):
                with suppress(Exception):  # at worst it comes again, and is known then
                    reading.extend()


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
    if fault := _fault(body, queue.required):
        return Rejected(name, fault, record)
    # Its text, not what was made of it: numbers stay as they are. Half of a UTF-16 pair is escaped.
    opened = body.encode("utf-8", "backslashreplace")
    return Keyed(name, record[:-1] + b', "body": ' + opened + b"}")


def _fault(body: str, required: tuple[str, ...]) -> str:
    """What is wrong with a body; it does not quote it."""
    try:
        found = json.loads(body, parse_int=str, parse_float=str, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return f"the body is not JSON, from character {error.pos} of {len(body)}"
    except (ValueError, RecursionError):
        return "the body is not JSON: NaN, Infinity, or too deep"
    if not isinstance(found, dict):
        return "the body is JSON, but no object"
    lacking = [name for name in required if found.get(name) is None]
    return f"the body lacks {', '.join(lacking)}" if lacking else ""


def _refuse(constant: str) -> None:
    raise ValueError(constant)


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
        lambda queues, account, window: queues.readings[account.id].read(),
        records=(),
        opens=("Attributes", "body"),
        columns=tuple(names.name(path) for path in paths),
        personal={names.name(path): Personal.DOCUMENT for path in (("Body",), ("MessageAttributes",))}
        | {names.name(("body", field)): kind for field, kind in queue.personal.items()},
        account=queue.name(table),
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
    confirm=lambda queues, account: queues.readings[account.id].delete(),
)
