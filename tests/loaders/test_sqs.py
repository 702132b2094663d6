"""A queue on moto's server, over HTTP: each message once, whatever dies, comes again or can't be read."""

from __future__ import annotations

import copy
import json
import os
import signal
import sys
import uuid
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import md5
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.sqs.exceptions import SQSException
from moto.sqs.models import SQSBackend

from loaders._core import configure, queues, sqs_client
from loaders._core.declare import Clock
from loaders._core.dry_run import describe
from loaders._core.errors import ConfigurationError
from loaders._core.quarantine import retried
from loaders._core.records import RecordReader
from loaders._core.redact import redact
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target
from loaders.sqs import LOADER, Queue, SqsSettings
from simulators.queue import FIELDS, REGION, REQUIRED, LoginQueue
from tests import preloaded
from tests.conftest import ROOT

REAL = ROOT.parent / "shared/data/sqs/fetch_rewards_login_queue_100.json"
# Of errors that the service model does not name, such as AccessDenied, moto warns.
pytestmark = pytest.mark.filterwarnings("ignore:Exception.SQSException")
SENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = "sim-secret-key-of-nobody"
LOGIN = {
    "user_id": "424cdd21-063a-43a7-b91b-7ca1a833afae",
    "app_version": "2.3.0",
    "device_type": "ios",
    "ip": "199.172.111.135",
    "locale": None,
    "device_id": "593-47-5928",
}
GOOD = json.dumps(LOGIN)


class Bench:
    """A queue, the loader for it, and the warehouse."""

    def __init__(self, target: Target, queue: LoginQueue) -> None:
        self.target, self.queue = target, queue
        self.said: dict[str, Any] = {"required": REQUIRED, "fields": FIELDS}

    def settings(self, **changes: Any) -> SqsSettings:
        told = {"queue": self.queue.name, "wait_seconds": 0, "empty_polls": 1, **self.said, **changes}
        found = SqsSettings(region=REGION, endpoint_url=self.queue.endpoint)
        found.access_key_id, found.secret_access_key = "sim-key", SECRET
        found.queues = {"login_queue": Queue(**told)}
        return found

    def run(self, **changes: Any) -> Result:
        return SourceRun(LOADER, self.settings(**changes), self.target, Clock()).execute()

    def retry(self, **changes: Any) -> Result | None:
        settings = self.settings(**changes)
        loader = retried(LOADER.made_for(settings), self.target)
        return loader and SourceRun(loader, settings, self.target, Clock()).execute()

    def start(self, **environment: str) -> tuple[int, str]:
        """A run in a process of its own."""
        table = "SOURCES__SQS__QUEUES__LOGIN_QUEUE__"
        quick = {f"{table}WAIT_SECONDS": "0"}
        code = "import sys; from loaders._core import command; sys.exit(command.main('sqs'))"
        process = preloaded.run(
            [sys.executable, "-c", code],
            check=False,
            cwd=ROOT,
            env={**os.environ, **self.queue.settings_env(), **quick, **environment},
            capture_output=True,
            text=True,
            timeout=120,
        )
        return process.returncode, process.stdout + process.stderr

    def put(self, *bodies: str, at: datetime = SENT) -> list[str]:
        names = [str(uuid.uuid4()) for _ in bodies]
        for name, body in zip(names, bodies, strict=True):
            self.queue.put(body, name, at)
        return names

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.target.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()
        finally:
            connection.close()

    def rows(self, columns: str = "message_id") -> list[tuple[Any, ...]]:
        """All that counts, every row."""
        return self.query(
            f"select {columns} from raw_sqs.login_queue join ops.commits on run_seq = _run_seq order by 1"
        )

    def aside(self, columns: str = "source_key") -> list[tuple[Any, ...]]:
        return self.query(
            f"select {columns} from raw_sqs.quarantine join ops.commits on run_seq = _run_seq order by 1"
        )

    def open(self) -> list[tuple[Any, ...]]:
        """What is in quarantine and not resolved."""
        return self.query(
            "select source_key from raw_sqs.quarantine q join ops.commits on run_seq = _run_seq where"
            " not exists (select 1 from raw_sqs.quarantine_resolved d where d.resource = q.resource and"
            " d.source_key = q.source_key) order by 1"
        )

    def counted(self) -> list[tuple[Any, ...]]:
        """Read, landed, in quarantine, known: each run's, oldest first."""
        return self.query(
            "select rows_read, rows_landed, rows_quarantined, rows_known from ops.run_resources"
            " where resource = 'login_queue' order by run_seq"
        )

    def redeliver(self, messages: list[Any]) -> None:
        """They come again, though they were deleted, as they may."""
        for message in messages:
            again = copy.deepcopy(message)
            again.visible_at = 0.0
            self.queue.state._messages.append(again)

    def come_again(self) -> None:
        """The time of all that is in flight is over."""
        for message in self.queue.state._messages:
            message.visible_at = 0.0


@pytest.fixture
def bench(target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bench]:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with LoginQueue(name=f"login-{uuid.uuid4().hex[:8]}") as queue:
        yield Bench(target, queue)


# ---- what lands


def test_a_message_lands_as_it_was_given_with_the_fields_of_its_body_beside_it(bench: Bench) -> None:
    body = '{"user_id": "é \\u00e9 \\ud83d\\ude00", "app_version":2.30,\n'
    body += '"device_type": 12345678901234567890123, "ip": true, "device_id": {"a": [1.0, 2]},'
    body += '"locale": null, "brand new": 1E400}'
    (name,) = bench.put(body)
    bench.queue.state._messages[0].message_attributes = {"kind": {"StringValue": "x", "DataType": "String"}}
    assert bench.run().outcome == "ok"
    columns = (
        "message_id, body, body__user_id, body__app_version, body__device_type, body__ip, body__locale,"
        " body__device_id, body__brand_new, attributes__sent_timestamp,"
        " attributes__approximate_receive_count, message_attributes, md5_of_body, _account, _day"
    )
    (row,) = bench.rows(columns)
    assert row[:9] == (
        name, body, "é é 😀", "2.30", "12345678901234567890123", "true", None, '{"a": [1.0, 2]}', "1E400"
    )  # fmt: skip
    assert row[9:11] == (str(int(SENT.timestamp() * 1000)), "1")
    assert json.loads(row[11]) == {"kind": {"StringValue": "x", "DataType": "String"}}
    assert row[12:] == (md5(body.encode(), usedforsecurity=False).hexdigest(), bench.queue.name, None)
    assert bench.queue.left == 0


def test_no_receipt_handle_is_kept_anywhere(bench: Bench) -> None:
    bench.put(GOOD, "not json")
    assert bench.run().outcome == "ok"
    assert bench.queue.left == 0
    handles = {handle for handle in bench.queue.state.deleted_messages if handle}
    assert len(handles) == 2
    kept = str(bench.rows("login_queue::text")) + str([b64decode(raw) for (raw,) in bench.aside("raw_bytes")])
    assert not [handle for handle in handles if handle in kept]
    assert "receipt" not in kept.lower()


def test_declared_columns_exist_before_a_message_has_them(bench: Bench) -> None:
    """Staging reads them; and an empty queue, whose answer has no `Messages`, is no error."""
    assert bench.run().outcome == "ok"
    assert bench.rows(", ".join(f"body__{field}" for field in FIELDS)) == []
    assert bench.counted() == [(0, 0, 0, 0)]
    assert bench.query("select rows from raw_sqs.covered") == [(0,)]


def test_a_queue_of_text_takes_any_body(bench: Bench) -> None:
    bench.put("hello", "[1]", GOOD)
    assert bench.run(format="text", required=(), fields=()).outcome == "ok"
    assert Counter(bench.rows("body")) == Counter([("hello",), ("[1]",), (GOOD,)])
    assert bench.aside() == []


def test_two_queues_are_two_tables_and_fail_alone(bench: Bench) -> None:
    bench.put(GOOD)
    chosen = bench.settings()
    chosen.queues = {**chosen.queues, "orders": Queue(queue="there-is-none", wait_seconds=0)}
    result = SourceRun(LOADER, chosen, bench.target, Clock()).execute()
    assert result.outcome == "partial"
    assert "account there-is-none: there is no such queue" in (result.message or "")
    assert len(bench.rows()) == 1


# ---- once


def test_redelivery_of_everything_lands_nothing_twice_and_is_counted(bench: Bench) -> None:
    bench.put(*[GOOD] * 23, "oops")
    before = list(bench.queue.state._messages)
    assert bench.run().outcome == "ok"
    bench.redeliver(before)
    assert bench.run().outcome == "ok"
    assert (len(bench.rows()), len(bench.aside()), bench.queue.left) == (23, 1, 0)
    assert bench.counted() == [(24, 23, 1, 0), (24, 0, 0, 24)]


def test_the_same_body_under_another_id_is_another_message(bench: Bench) -> None:
    """Only a business key can tell; staging has one."""
    bench.put(GOOD, GOOD)
    bench.run()
    assert len(bench.rows()) == 2


KILLS = ["extract.done", "load.done", "commit.before", "commit.inside", "commit.after", "run.before_end"]


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(each, marks=[] if each in ("load.done", "commit.after") else [pytest.mark.full])
        for each in KILLS
    ],
)
def test_killed_at_any_point_the_next_run_has_all_once(bench: Bench, point: str) -> None:
    names = bench.put(*[GOOD] * 30, "oops", "{}")
    code, output = bench.start(ADSTAR_KILL_AT=point)
    assert code == -signal.SIGKILL, output
    committed = point in ("commit.after", "run.before_end")
    assert bench.queue.left == (0 if point == "run.before_end" else 32)
    bench.come_again()
    code, output = bench.start()
    assert (code, "sqs ok" in output) == (0, True), output
    assert sorted(name for (name,) in bench.rows() + bench.aside()) == sorted(names)
    assert (len(bench.rows()), len(bench.aside()), bench.queue.left) == (30, 2, 0)
    known = 32 if point == "commit.after" else 0
    assert bench.counted()[-1][3] == known
    assert len(bench.counted()) == 1 + committed


def test_killed_while_deleting_the_rest_is_known(bench: Bench) -> None:
    bench.put(*[GOOD] * 25)
    assert bench.start(ADSTAR_KILL_AT="commit.after")[0] == -signal.SIGKILL
    del bench.queue.state._messages[:13]  # as far as it came
    bench.come_again()
    assert bench.run().outcome == "ok"
    assert bench.counted() == [(25, 25, 0, 0), (12, 0, 0, 12)]
    assert (len(bench.rows()), bench.queue.left) == (25, 0)


def test_a_message_that_comes_twice_while_reading_lands_once_and_is_deleted(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without extension it is given again within the run, with a new handle; that one deletes it."""
    monkeypatch.setattr(queues.Reading, "extend", lambda reading: None)
    bench.put(*[GOOD] * 5)
    assert bench.run(visibility_seconds=1, wait_seconds=2).outcome == "ok"
    ((read, landed, aside, known),) = bench.counted()
    assert (landed, aside, read) == (5, 0, 5 + known)
    assert known >= 5
    assert (len(bench.rows()), bench.queue.left) == (5, 0)


def test_visibility_is_extended_while_reading_goes_on(bench: Bench) -> None:
    bench.put(*[GOOD] * 15, at=datetime.now(UTC))  # of the past moto changes no visibility
    assert bench.run(visibility_seconds=4, wait_seconds=7).outcome == "ok"
    assert bench.counted() == [(15, 15, 0, 0)]
    assert bench.queue.left == 0


def test_a_run_that_fails_gives_its_messages_back_at_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(*[GOOD] * 12, at=datetime.now(UTC))  # as above
    monkeypatch.setattr("loaders._core.landing.Landing._make_tables", lambda landing: 1 / 0)
    assert bench.run().outcome == "failed"
    assert len(bench.queue.state.messages) == 12


# ---- budget


def test_a_budget_of_messages_leaves_the_rest_to_the_next_run(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.put(*[GOOD] * 40)
    assert bench.run(max_messages=25).outcome == "ok"
    assert (len(bench.rows()), bench.queue.left) == (25, 15)
    assert "the budget of" in caplog.text
    assert bench.run().outcome == "ok"
    assert (len(bench.rows()), bench.queue.left) == (40, 0)


def test_a_budget_of_seconds_is_kept(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put(*[GOOD] * 40)
    clock = iter(range(10_000))
    monkeypatch.setattr(queues, "time", type("Clock", (), {"monotonic": lambda: next(clock), "sleep": print}))
    assert bench.run(max_seconds=4).outcome == "ok"
    assert 0 < len(bench.rows()) < 40
    assert bench.queue.left == 40 - len(bench.rows())


def test_a_full_package_is_committed_and_deleted_before_the_next_is_read(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queues, "PACKAGE", 20)
    bench.put(*[GOOD] * 45)
    result = bench.run()
    assert (result.outcome, result.packages) == ("ok", 3)
    assert [landed for _, landed, _, _ in bench.counted()] == [20, 20, 5]
    assert (len(bench.rows()), bench.queue.left) == (45, 0)


def test_a_fifo_queue_is_emptied_although_its_groups_are_blocked_while_held(bench: Bench) -> None:
    client = boto3.client(
        "sqs",
        region_name=REGION,
        endpoint_url=bench.queue.endpoint,
        aws_access_key_id="sim-key",
        aws_secret_access_key=SECRET,
    )
    name = f"{uuid.uuid4().hex[:8]}.fifo"
    url = client.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})["QueueUrl"]
    for number in range(25):
        client.send_message(
            QueueUrl=url, MessageBody=GOOD, MessageGroupId="one", MessageDeduplicationId=str(number)
        )
    client.close()
    result = bench.run(queue="", url=url)
    assert result.outcome == "ok"
    assert len(bench.rows()) == 25
    assert {account for (account,) in bench.rows("_account")} == {name}


# ---- quarantine

# Half a UTF-16 pair is no text that can be sent; a body may have its escape.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)  # JSON has no others
scalar = st.none() | st.booleans() | numbers | text
BODIES = st.one_of(
    st.just(("good", GOOD)),
    st.builds(
        lambda more: ("good", json.dumps({**more, **LOGIN})), st.dictionaries(text, scalar, max_size=3)
    ),
    st.sampled_from(
        [
            ("bad", ""),
            ("bad", " "),
            ("bad", "\ufeff" + GOOD),
            ("bad", '{"foo": "x"}'),
            ("bad", json.dumps({**LOGIN, "ip": None})),
            ("bad", "[" * 5_000),
            ("bad", '{"user_id":' * 2_000 + "1" + "}" * 2_000),
            ("bad", GOOD[:-1]),
            ("bad", GOOD + GOOD),
            ("bad", "\xff\xfe\x80 \ufffd"),
            ("bad", "[1, 2]"),
            ("bad", '"text"'),
            ("bad", "12"),
            ("bad", "null"),
            ("bad", "NaN"),
            ("bad", GOOD.replace("null", "NaN")),
            ("good", GOOD.replace("null", "9" * 5_000)),
            ("good", GOOD.replace("null", "-1e99999")),
            ("good", GOOD.replace("null", '"\\ud800"')),
            ("good", GOOD.replace("null", '"\\u0000\\ue000"')),
            ("good", GOOD.replace("null", "[" * 40 + "]" * 40)),
            ("good", '{"": 1, " ": 2, "_account": 3, "Body": 4, "body": 5, ' + GOOD[1:]),
            ("good", '{"ip": null, ' + GOOD[1:]),
        ]
    ),
    st.builds(lambda junk: ("bad", junk), text.filter(lambda junk: "{" not in junk)),
)


@pytest.mark.parametrize("key", ['a"b', "back\\slash", "\x17", "tab\t", "\ud800", "", "é"])
def test_a_field_may_have_any_name(key: str) -> None:
    """Some names the fast way of reading can't have: it then was no JSON at all."""
    reader = RecordReader(())
    for _ in range(2):
        page = reader.read(json.dumps([{key: "x", "other": 1}]).encode())
        assert {path: column.to_pylist() for path, column in page.columns.items()} == {
            (key,): ["x"],
            ("other",): ["1"],
        }


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(bodies=st.lists(BODIES, max_size=40))
def test_landed_and_quarantined_are_what_was_received(bench: Bench, bodies: list[tuple[str, str]]) -> None:
    kinds = dict(zip(bench.put(*[body for _, body in bodies]), [kind for kind, _ in bodies], strict=True))
    texts = {message.id: message.body for message in bench.queue.state._messages}
    has_run = bench.query("select 1 from information_schema.tables where table_name = 'login_queue'")
    landed = set(bench.rows()) if has_run else set()
    aside = set(bench.aside()) if has_run else set()
    assert bench.run().outcome == "ok"
    rows = [row[0] for row in bench.rows() if row not in landed]
    held = [row[0] for row in bench.aside() if row not in aside]
    assert sorted(rows) == sorted(name for name, kind in kinds.items() if kind == "good")
    assert sorted(held) == sorted(name for name, kind in kinds.items() if kind == "bad")
    assert bench.counted()[-1] == (len(bodies), len(rows), len(held), 0)
    assert bench.queue.left == 0
    for name, raw in bench.aside("source_key, raw_bytes"):
        if name in kinds:
            assert json.loads(b64decode(raw))["Body"] == texts[name]


def test_quarantine_says_why_and_quotes_nothing(bench: Bench) -> None:
    bench.put(json.dumps({"user_id": "somebody", "ip": "203.0.113.9"}), "jane@example.org", '["10.1.1.1"]')
    result = bench.run()
    assert result.message == "3 of 3 records of login_queue went to raw_sqs.quarantine, with the reason"
    assert sorted(reason for (reason,) in bench.aside("reason")) == [
        "the body is JSON, but no object",
        "the body is not JSON, from character 0 of 16",
        "the body lacks app_version, device_type, device_id",
    ]
    assert {row[1:] for row in bench.aside("detected_at, resource, _account, _day")} == {
        ("login_queue", bench.queue.name, None)
    }


def test_quarantine_comes_back_once_after_a_fix(bench: Bench) -> None:
    """Poison for want of a field that is not needed after all; what is really useless stays."""
    names = bench.put(json.dumps({**LOGIN, "device_id": None}), '{"foo": 1}', GOOD)
    bench.run()
    assert (len(bench.rows()), len(bench.open())) == (1, 2)
    again = bench.retry()
    assert again is not None
    assert (again.outcome, len(bench.rows()), len(bench.open())) == ("ok", 1, 2)
    fixed = tuple(name for name in REQUIRED if name != "device_id")
    for _ in range(2):
        again = bench.retry(required=fixed)
        assert again is not None
        assert again.outcome == "ok"
        assert sorted(name for (name,) in bench.rows()) == sorted([names[0], names[2]])
        assert bench.open() == [(names[1],)]
    assert (
        bench.rows("body__user_id, attributes__sent_timestamp, _account")
        == [(LOGIN["user_id"], str(int(SENT.timestamp() * 1000)), bench.queue.name)] * 2
    )
    # The rows never went away, so that what was wrong stays known.
    assert len(bench.aside()) == 2
    bench.retry(required=())
    assert bench.open() == []
    assert bench.retry() is None


def test_what_was_erased_from_quarantine_can_not_come_back_and_stops_nothing(bench: Bench) -> None:
    names = bench.put('{"foo": 1}', '{"bar": 1}')
    bench.run()
    blank = "update raw_sqs.quarantine set raw_bytes = null, source_key = null where source_key = %s"
    connection = bench.target.connect()
    with connection, connection.cursor() as cursor:
        cursor.execute(blank, [names[0]])
    connection.close()
    assert bench.retry(required=("bar",)) is not None
    assert [name for (name,) in bench.rows()] == [names[1]]
    assert bench.retry(required=()) is None


def test_a_retry_that_is_killed_brings_nothing_twice(bench: Bench) -> None:
    bench.put(*['{"user_id": "1"}'] * 3)
    bench.run()
    code = "import sys; from loaders._core import command; sys.exit(command.main('sqs', retry=True))"
    environment = {**os.environ, **bench.queue.settings_env()}
    environment["SOURCES__SQS__QUEUES__LOGIN_QUEUE__REQUIRED"] = '["user_id"]'
    for point, landed in (("commit.before", 0), ("commit.after", 3), ("", 3)):
        process = preloaded.run(
            [sys.executable, "-c", code],
            check=False,
            cwd=ROOT,
            env={**environment, "ADSTAR_KILL_AT": point},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert process.returncode == (-signal.SIGKILL if point else 0), process.stdout + process.stderr
        assert (len(bench.rows()), len(bench.open())) == (landed, 3 - landed)
    assert "nothing is in quarantine" in process.stdout


def test_what_was_poison_and_comes_again_after_the_fix_is_resolved(bench: Bench) -> None:
    bench.put('{"user_id": "1"}')
    before = list(bench.queue.state._messages)
    bench.run()
    bench.redeliver(before)
    bench.run(required=("user_id",))
    assert (len(bench.rows()), bench.open(), len(bench.aside())) == (1, [], 1)
    bench.redeliver(before)
    bench.run()  # now strict again: it has landed, so it is no news
    assert (len(bench.rows()), bench.open(), len(bench.aside())) == (1, [], 1)


def test_messages_with_ever_new_fields_do_not_stop_the_queue(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table has an end; what would go beyond it steps aside, the others land."""
    monkeypatch.setattr("loaders._core.naming.MAX_COLUMNS", 60)
    bench.put(*[json.dumps({**LOGIN, f"new {n}": n, f"other {n}": n}) for n in range(60)], GOOD)
    assert bench.run().outcome == "ok"
    ((read, landed, aside, _),) = bench.counted()
    assert (read, landed + aside, bench.queue.left) == (61, 61, 0)
    assert landed >= 20
    assert {reason for (reason,) in bench.aside("reason")} == {
        "it has a new field, and its table 60 columns already"
    }
    bench.put(GOOD)
    assert bench.run().outcome == "ok"
    assert len(bench.rows()) == landed + 1


# ---- the vendor's errors


GONE = "AWS.SimpleQueueService.NonExistentQueue"


def refuse(monkeypatch: pytest.MonkeyPatch, action: str, *errors: SQSException | None) -> list[str]:
    """Moto answers with these, one after another, then as ever."""
    left, asked = list(errors), []
    real = getattr(SQSBackend, action)

    def answer(backend: Any, *args: Any, **more: Any) -> Any:
        asked.append(action)
        if left and (error := left.pop(0)) is not None:
            raise error
        return real(backend, *args, **more)

    monkeypatch.setattr(SQSBackend, action, answer)
    return asked


def test_throttling_is_waited_out(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    throttled = SQSException("ThrottlingException", "Rate exceeded")
    asked = refuse(monkeypatch, "receive_message", throttled, throttled)
    bench.put(GOOD)
    assert bench.run().outcome == "ok"
    assert len(asked) == 4  # refused, refused, a message, empty
    assert len(bench.rows()) == 1


@pytest.mark.parametrize(
    ("action", "error", "said"),
    [
        ("receive_message", SQSException("AccessDenied", "No."), "refused (AccessDenied: No.); it needs"),
        ("receive_message", SQSException("OverLimit", "Too many in flight."), "OverLimit: Too many"),
        ("receive_message", SQSException(GONE, "None."), "there is no such queue"),
        ("receive_message", SQSException("InvalidClientTokenId", "The token is bad."), "see the credentials"),
        ("receive_message", SQSException("ExpiredToken", "It has expired."), "see the credentials"),
    ],
)
def test_what_the_vendor_refuses_is_said_and_nothing_is_lost(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, action: str, error: SQSException, said: str
) -> None:
    bench.put(GOOD)
    with monkeypatch.context() as patch:
        refuse(patch, action, *[error] * 20)
        result = bench.run()
    assert result.outcome == "failed"
    assert said in (result.message or "")
    assert SECRET not in (result.message or "")
    assert bench.queue.left == 1
    assert bench.run().outcome == "ok"
    assert len(bench.rows()) == 1


def test_an_error_after_some_messages_lands_none_of_them_and_loses_none(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(*[GOOD] * 15)
    with monkeypatch.context() as patch:
        refuse(patch, "receive_message", None, *[SQSException("AccessDenied", "no")] * 9)
        assert bench.run().outcome == "failed"
    assert bench.queue.left == 15
    bench.come_again()
    bench.run()
    assert (len(bench.rows()), bench.queue.left) == (15, 0)


def failing(monkeypatch: pytest.MonkeyPatch, code: str, ours: bool, times: int) -> list[int]:
    """The first of each batch can't be deleted, so many times: HTTP 200 with `Failed`."""
    real = SQSBackend.delete_message_batch
    calls: list[int] = []

    def answer(backend: SQSBackend, name: str, receipts: list[dict[str, Any]]) -> Any:
        calls.append(len(receipts))
        if len(calls) > times:
            return real(backend, name, receipts)
        done, failed = real(backend, name, receipts[1:])
        handle = receipts[0]["ReceiptHandle"]
        fault = {"Id": receipts[0]["Id"], "SenderFault": ours, "Code": code, "Message": f'"{handle}" is bad'}
        return done, [*failed, fault]

    monkeypatch.setattr(SQSBackend, "delete_message_batch", answer)
    return calls


def test_what_could_not_be_deleted_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.put(*[GOOD] * 20)
    calls = failing(monkeypatch, "InternalError", False, times=2)
    assert bench.run().outcome == "ok"
    assert (calls, bench.queue.left) == ([10, 10, 2], 0)


@pytest.mark.parametrize(("code", "ours"), [("ReceiptHandleIsInvalid", True), ("InternalError", False)])
def test_what_can_not_be_deleted_is_said_and_known_when_it_comes_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: str, ours: bool
) -> None:
    bench.put(*[GOOD] * 20)
    with monkeypatch.context() as patch:
        failing(patch, code, ours, times=99)
        result = bench.run()
    assert result.outcome == "partial"
    assert f"messages have landed and could not be deleted ({code})" in (result.message or "")
    left = bench.queue.left
    assert left > 0
    assert not any(m.receipt_handle in caplog.text for m in bench.queue.state._messages)
    bench.come_again()
    assert bench.run().outcome == "ok"
    assert bench.counted()[-1] == (left, 0, 0, left)
    assert (len(bench.rows()), bench.queue.left) == (20, 0)


def test_a_queue_that_is_gone_before_the_delete_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.put(GOOD)
    refuse(monkeypatch, "delete_message_batch", SQSException(GONE, "x"))
    result = bench.run()
    assert result.outcome == "partial"
    assert len(bench.rows()) == 1


def test_nobody_answers(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqs_client, "TRIES", 1)
    chosen = bench.settings()
    chosen.endpoint_url = "http://127.0.0.1:1"
    result = SourceRun(LOADER, chosen, bench.target, Clock()).execute()
    assert (result.outcome, "no answer" in (result.message or "")) == ("failed", True)


# ---- settings


def test_without_credentials_it_says_where_to_put_them(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    chosen = bench.settings()
    chosen.access_key_id = chosen.secret_access_key = None
    result = SourceRun(LOADER, chosen, bench.target, Clock()).execute()
    assert result.outcome == "failed"
    assert "no AWS credentials" in (result.message or "")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-the-chain")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-chain-secret")
    assert SourceRun(LOADER, chosen, bench.target, Clock()).execute().outcome == "ok"
    assert redact("of-the-chain-secret") == "***"


def test_half_a_pair_of_keys_or_no_region_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    half, nowhere = bench.settings(), bench.settings()
    half.secret_access_key = None
    nowhere.region = ""
    for chosen, said in ((half, "no AWS credentials"), (nowhere, "put region under [sources.sqs]")):
        result = SourceRun(LOADER, chosen, bench.target, Clock()).execute()
        assert (result.outcome, said in (result.message or "")) == ("failed", True), result.message


def test_it_is_configured_by_its_tables(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not configure.is_configured(LOADER)
    assert "[sources.sqs.queues.<name>]" in configure.missing_everything(LOADER)
    for name, value in bench.queue.settings_env().items():
        monkeypatch.setenv(name, value)
    assert configure.is_configured(LOADER)
    found: Any = configure.settings_of(LOADER)
    assert found.queues["login_queue"].required == REQUIRED
    assert (found.region, found.access_key_id) == (REGION, "sim-key")


@pytest.mark.parametrize(
    ("name", "setting", "value", "said"),
    [
        ("login_queue", "WAIT_SECONDS", "21", "<= 20"),
        ("login_queue", "URL", "login-queue", "is no https://"),
        ("login_queue", "FORMAT", "avro", "It is one of json, text"),
        ("login_queue", "COLOUR", "red", "There are max_seconds .* queue url"),
        ("quarantine", "QUEUE", "q", "can't have this name"),
        ("quarantine_resolved", "QUEUE", "q", "can't have this name"),
    ],
)
def test_settings_are_checked(
    target: Target, monkeypatch: pytest.MonkeyPatch, name: str, setting: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"SOURCES__SQS__QUEUES__{name.upper()}__{setting}", value)
    with pytest.raises(ConfigurationError, match=said.replace("[", r"\[")):
        configure.settings_of(LOADER)


def test_one_queue_in_two_tables_is_refused(bench: Bench) -> None:
    chosen = bench.settings()
    chosen.queues = {**chosen.queues, "other": chosen.queues["login_queue"]}
    result = SourceRun(LOADER, chosen, bench.target, Clock()).execute()
    assert "has two tables for the queue" in (result.message or "")


def test_a_dry_run_receives_nothing(bench: Bench) -> None:
    bench.put(GOOD)
    lines = list(describe(LOADER, bench.settings(), bench.target, Clock(), None))
    assert f"  account {bench.queue.name}: login_queue" in lines
    assert bench.queue.state._messages[0].approximate_receive_count == 0


# ---- the real messages


def test_the_recorded_queue_lands_99_rows_and_1_aside_whatever_happens(bench: Bench) -> None:
    if not REAL.is_file():
        pytest.skip(f"the recorded queue is not here: {REAL}")
    records = json.loads(REAL.read_text())
    assert len(records) == 100
    for number, record in enumerate(records):
        bench.queue.put(json.dumps(record), str(uuid.UUID(int=number)), SENT + timedelta(seconds=number))
    before = list(bench.queue.state._messages)
    state = (99, 1, 0)
    assert bench.start(ADSTAR_KILL_AT="commit.after")[0] == -signal.SIGKILL
    assert (len(bench.rows()), len(bench.aside()), bench.queue.left) == (99, 1, 100)
    bench.come_again()
    assert bench.run().outcome == "ok"
    assert (len(bench.rows()), len(bench.aside()), bench.queue.left) == state
    bench.redeliver(before)
    assert bench.run().outcome == "ok"
    assert (len(bench.rows()), len(bench.aside()), bench.queue.left) == state
    assert bench.counted() == [(100, 99, 1, 0), (100, 0, 0, 100), (100, 0, 0, 100)]
    landed = bench.rows(", ".join(f"body__{field}" for field in FIELDS))
    valid = [record for record in records if "user_id" in record]
    assert landed == sorted(tuple(record[field] for field in FIELDS) for record in valid)
    assert sum(row[4] is None for row in landed) == 29
    assert len({row[0] for row in landed}) == 99


# ---- the simulated queue


class Few:
    """Three hundred logins, one a minute."""

    def logins(self, until: datetime) -> list[Any]:
        every = [(str(uuid.UUID(int=n)), SENT + timedelta(minutes=n)) for n in range(300)]
        return [SimpleNamespace(**LOGIN, message_id=name, at=at) for name, at in every if at < until]


def test_the_simulator_sends_each_login_once_and_the_same_useless_ones(bench: Bench) -> None:
    with LoginQueue(Few(), name="another") as queue:
        first = queue.send(SENT + timedelta(minutes=150))
        assert first[0] == 150
        second = queue.send(SENT + timedelta(minutes=500))
        assert second[0] == 150
        assert queue.send(SENT + timedelta(minutes=900)) == (0, 0)
        useless = first[1] + second[1]
        assert 0 < useless < 30
        assert queue.left == 300 + useless
        sent = [(m.id, m.body, m.sent_timestamp) for m in queue.state._messages]
        code, output = Bench(bench.target, queue).start()
        assert code == 0, output
        assert queue.left == 0
    assert (len(bench.rows()), len(bench.aside())) == (300, useless)
    with LoginQueue(Few(), name="third", since=SENT + timedelta(minutes=150)) as queue:
        assert queue.send(SENT + timedelta(minutes=500)) == second
        at = [each for each in sent if each[2] >= (SENT + timedelta(minutes=150)).timestamp() * 1000]
        assert {m.id for m in queue.state._messages} == {name for name, _, _ in at}
