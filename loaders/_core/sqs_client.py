"""SQS's client: queues as `queues.Broker`, its errors as ours, and credentials where AWS looks for them."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

import boto3
from botocore import exceptions as aws
from botocore.config import Config

from loaders._core import errors
from loaders._core.archive.current import current
from loaders._core.declare import Account
from loaders._core.queues import Reading, Readings, Received, Refusal
from loaders._core.redact import secret
from loaders._core.stream import Keyed, Rejected
from loaders._core.tables import each_once

TRIES = 5  # of one request, by boto3
_CREDENTIALS = re.compile(
    "InvalidClientTokenId|UnrecognizedClient|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken"
    "|IncompleteSignature|InvalidSecurity|MissingAuthenticationToken|OptInRequired"
)
_REFUSED = re.compile("AccessDenied|AuthorizationError")
_ABSENT = re.compile("QueueDoesNotExist|NonExistentQueue|InvalidAddress")
_THROTTLED = re.compile("Throttl|TooManyRequests|RequestLimitExceeded|SlowDown")


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


class Queues(Readings):
    """The queues that the settings of `loaders.sqs` name; of none is asked where an archive answers."""

    def __init__(self, settings: Any, judge: Callable[[Any, bytes], Keyed | Rejected]) -> None:
        """Nothing is asked for yet.

        Args:
            judge: what of a record of a queue lands, or why it does not.

        Raises:
            ConfigurationError: two tables are of one queue, or there are no credentials, or no region.
        """
        names = [queue.name(table) for table, queue in settings.queues.items()]
        each_once("sources.sqs.queues", "queue", names)
        super().__init__(min(queue.visibility_seconds for queue in settings.queues.values()))
        self._settings, self._judge = settings, judge
        self._client: Any = None if current().plays else client_of(settings)

    def __enter__(self) -> Self:
        """What is received from now on is kept from coming again."""
        if self._client:
            self.start()
        return self

    def __exit__(self, *why: object) -> None:
        """Give back what is not deleted."""
        if self._client:
            self.close()
            self._client.close()

    def accounts(self) -> list[Account]:
        """One for each queue; with an error if there is none of that name, or none for us."""
        return [self._open(queue.name(table), queue) for table, queue in self._settings.queues.items()]

    def _open(self, name: str, queue: Any) -> Account:
        url, fault = current().told(f"queue {name}", partial(self._find, name, queue), tuple[str, str])
        if fault:
            return Account(name, error=errors.AccountError(fault))
        self.open[name] = Reading(Sqs(self._client, url), queue, partial(self._judge, queue))
        return Account(name)

    def _find(self, name: str, queue: Any) -> tuple[str, str]:
        """Its address, or why it has none."""
        try:
            with told(name):
                return queue.url or self._client.get_queue_url(QueueName=name)["QueueUrl"], ""
        except errors.AccountError as error:
            return "", str(error)


def client_of(settings: Any) -> Any:
    """The client; `settings` are those of `loaders.sqs`.

    Raises:
        ConfigurationError: there are no credentials, or no region.
    """
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


def _base64(value: bytes) -> str:
    return b64encode(value).decode()
