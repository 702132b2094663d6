"""Amazon SQS as a local server (moto's), and the application that sends a message for each login.

`with LoginQueue(people) as queue: queue.send(until)`. Messages carry the ids and the times of the simulated
logins, and now and then one comes that nobody can use.
"""

from __future__ import annotations

import json
import logging
import uuid
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from moto.backends import get_backend
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer
from moto.sqs.models import Message

from simulators.people import People

REGION = "eu-central-1"
FIELDS = ("user_id", "app_version", "device_type", "ip", "locale", "device_id")
PERSONAL = {"user_id": "user_id", "ip": "ip", "device_id": "device_id"}
REQUIRED = ("user_id", "app_version", "device_type", "ip", "device_id")
POISON = ('{"foo": "a message of another kind", "bar": "123"}', "user_id=1;ip=none", '["a", "list"]')
POISON_ONE_IN = 61
_BEGINNING = datetime.min.replace(tzinfo=UTC)


class LoginQueue:
    """A queue on a free port of the loopback interface, as a context manager; one server serves many of them.

    The server lives in this process and forgets everything with it. To go on where another process has ended,
    say with `since` until when that one has sent.
    """

    def __init__(
        self,
        people: People | None = None,
        *,
        name: str = "login-queue",
        since: datetime | None = None,
        port: int = 0,
    ) -> None:
        """Nothing listens before `start` (or `with`)."""
        self.name = name
        self.sent_until = since or _BEGINNING
        self.endpoint = ""
        self._people = people
        self._port = port
        self._server: ThreadedMotoServer | None = None

    def start(self) -> Self:
        """Listen and serve in threads."""
        logging.getLogger("werkzeug").setLevel(logging.WARNING)  # or it prints a line for each request
        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.endpoint = f"http://{host}:{port}"
        backend: Any = get_backend("sqs")[DEFAULT_ACCOUNT_ID][REGION]
        backend.create_queue(self.name)
        # Simulated days may be long past. To look whether a message is too old, moto counts the whole queue
        # thrice: a quarter of a second for each message of a thousand.
        backend.is_message_valid_based_on_retention_period = lambda *_: True
        return self

    def stop(self) -> None:
        """Stop serving; what is in the queue is lost."""
        if self._server is not None:
            get_backend("sqs")[DEFAULT_ACCOUNT_ID][REGION].delete_queue(self.name)
            self._server.stop()
            self._server = None

    def __enter__(self) -> Self:
        """As `start`."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """As `stop`."""
        self.stop()

    def send(self, until: datetime) -> tuple[int, int]:
        """Send the logins from the last call's `until` to before this one; how many, and how many useless."""
        assert self._people is not None
        logins = [login for login in self._people.logins(until) if self.sent_until <= login.at < until]
        self.sent_until = max(self.sent_until, until)
        useless = 0
        for login in logins:
            body = json.dumps({name: getattr(login, name) for name in FIELDS})
            self.put(body, login.message_id, login.at)
            number = uuid.uuid5(uuid.NAMESPACE_OID, login.message_id)
            if number.int % POISON_ONE_IN == 0:
                useless += 1
                self.put(POISON[useless % len(POISON)], str(number), login.at)
        return len(logins), useless

    def put(self, body: str, message_id: str, at: datetime) -> None:
        """Put one message into the queue, whatever it says."""
        message: Any = Message(message_id, body)
        message.sent_timestamp = int(at.timestamp() * 1000)
        self.state.add_message(message)

    @property
    def state(self) -> Any:
        """Moto's queue."""
        return get_backend("sqs")[DEFAULT_ACCOUNT_ID][REGION].get_queue(self.name)

    @property
    def left(self) -> int:
        """How many messages are not deleted."""
        return len(self.state._messages)

    def settings_env(self) -> dict[str, str]:
        """The environment that makes `dlt pipeline sqs run` read this queue."""
        table = "SOURCES__SQS__QUEUES__LOGIN_QUEUE__"
        return {
            "SOURCES__SQS__REGION": REGION,
            "SOURCES__SQS__ENDPOINT_URL": self.endpoint,
            "SOURCES__SQS__ACCESS_KEY_ID": "sim-key",
            "SOURCES__SQS__SECRET_ACCESS_KEY": "sim-secret-key",
            f"{table}QUEUE": self.name,
            f"{table}REQUIRED": json.dumps(REQUIRED),
            f"{table}FIELDS": json.dumps(FIELDS),
            f"{table}PERSONAL": json.dumps(PERSONAL),
            f"{table}WAIT_SECONDS": "1",
            f"{table}EMPTY_POLLS": "1",
        }
