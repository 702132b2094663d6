"""What scripts/spark refuses, and what it hands to the job; no Spark is started."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
from typing import Any

import msgspec
import pytest

from loaders._core.errors import ConfigurationError, UsageError
from loaders._core.warehouse import Target
from loaders.spark.plan import Plan
from simulators.site_events import settings_env
from tests.conftest import PRIVACY_KEY, ROOT

sys.path.insert(0, str(ROOT / "scripts"))
import _spark

TOPIC = "SOURCES__KAFKA__TOPICS__SITE_EVENTS__"


@pytest.fixture
def configured(target: Target, monkeypatch: pytest.MonkeyPatch) -> Target:
    for name, value in settings_env("kafka-1:9092").items():
        monkeypatch.setenv(name, value)
    return target


def asked(*arguments: str) -> argparse.Namespace:
    return _spark.ask(list(arguments))


def test_the_job_is_told_what_the_settings_say(configured: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCES__KAFKA__SASL_MECHANISM", "SCRAM-SHA-512")
    monkeypatch.setenv("SOURCES__KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("SOURCES__KAFKA__SASL_USERNAME", "reader")
    monkeypatch.setenv("SOURCES__KAFKA__SASL_PASSWORD", 'pass"word\\')
    monkeypatch.setenv("SOURCES__KAFKA__SSL_CA_LOCATION", "/etc/ca.pem")
    told = asked("--every", "60", "--option", "minPartitions=8")
    plan = msgspec.json.decode(msgspec.json.encode(_spark.plan(told)), type=Plan)
    assert plan.options == {
        "subscribe": "site_events",
        "startingOffsets": "earliest",
        "failOnDataLoss": "true",
        "includeHeaders": "true",
        "maxOffsetsPerTrigger": "1000000",
        "minPartitions": "8",
        "kafka.bootstrap.servers": "kafka-1:9092",
        "kafka.isolation.level": "read_committed",
        "kafka.security.protocol": "SASL_SSL",
        "kafka.sasl.mechanism": "SCRAM-SHA-512",
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.location": "/etc/ca.pem",
    }
    assert plan.secrets.source == {
        "kafka.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required"
        ' username="reader" password="pass\\"word\\\\";'
    }
    assert (plan.source, plan.every, plan.secrets.key) == ("kafka", 60, PRIVACY_KEY)
    assert plan.target().dsn == configured.dsn
    command, environment = _spark.launch(told)
    assert "org.apache.spark:spark-sql-kafka-0-10_2.13:4." in environment["PYSPARK_SUBMIT_ARGS"]
    for hidden in (PRIVACY_KEY, configured.password, "pass"):
        assert hidden not in f"{command} {environment['PYSPARK_SUBMIT_ARGS']} {plan!r}".replace("pass\\", "")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PRIVACY__KEY", None, "no key to make their pseudonyms with"),
        (f"{TOPIC}PERSONAL", '{"user_id": "user_id"}', "does not say that device_id are personal"),
        (f"{TOPIC}FORMAT", "text", "`required`"),
        ("SOURCES__KAFKA__BOOTSTRAP_SERVERS", None, "no broker is named"),
        ("SOURCES__KAFKA__CLIENT", '{"a": 1}', "--option kafka.NAME=VALUE"),
        ("SOURCES__KAFKA__SASL_USERNAME", "reader", "sasl_mechanism ''"),
    ],
)
def test_settings_that_it_can_not_work_with(
    configured: Target, monkeypatch: pytest.MonkeyPatch, name: str, value: str | None, says: str
) -> None:
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as error:
        _spark.plan(asked())
    assert says in str(error.value)


def test_what_it_does_not_do(
    redshift: Target, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in settings_env("kafka-1:9092").items():
        monkeypatch.setenv(name, value)
    assert _spark.main([]) == 1
    assert "writes to Postgres only" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no such folder"):
        _spark.files("nowhere")
    for wrong in (["--every", "0"], ["--option", "a"], ["--option", "kafka.ssl.key.password=1"]):
        with pytest.raises(SystemExit):
            asked(*wrong)


def test_what_it_writes_to_is_declared_personal(configured: Target) -> None:
    _spark.plan(asked("--files", str(ROOT)))
    connection = configured.connect()
    with connection.cursor() as cursor:
        cursor.execute("select resource, column_name, class from ops.personal_columns order by 1, 2")
        found: list[Any] = cursor.fetchall()
    connection.close()
    assert found == [
        ("quarantine", "raw_bytes", "document"),
        ("site_events_flat", "value__device_id", "device_id"),
        ("site_events_flat", "value__user_id", "user_id"),
    ]


def test_the_lock_of_the_job_has_hashes_and_no_addresses() -> None:
    lock = (ROOT / "loaders" / "spark" / "requirements.lock").read_text()
    assert "://" not in lock
    pins = [entry for entry in lock.split("\n") if "==" in entry]
    assert len(pins) > 15
    assert lock.count("--hash=sha256:") >= len(pins)
    ours = (ROOT / "requirements.lock").read_text()
    shared = [pin.split()[0] for pin in pins if f"\n{pin.partition('==')[0]}==" in ours]
    assert "msgspec==0.22.0" in shared
    assert [pin for pin in shared if pin not in ours] == [], "judged by other versions than the loader's"


def test_the_pages_commands_are_understood(configured: Target) -> None:
    """The others of the page run in test_spark_job.py; these need the connector, or a cluster."""
    page = (ROOT / "docs" / "spark.md").read_text()
    lines = [line for block in re.findall(r"^```sh\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
             for line in block.splitlines()]  # fmt: skip
    commands = [
        words[1:] for line in lines if (words := shlex.split(line, comments=True))[0] == "scripts/spark"
    ]
    assert len(commands) == 3
    for words in commands:
        told = asked(*words)
        _spark.plan(told)
        _, environment = _spark.launch(told)
        assert ("yarn" in words) == ("--py-files" in environment["PYSPARK_SUBMIT_ARGS"])


def test_the_page_tells_every_option() -> None:
    page = (ROOT / "docs" / "spark.md").read_text()
    for option in vars(asked()):
        assert option == "target" or f"`--{option.replace('_', '-')}`" in page, option
