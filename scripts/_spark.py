"""Runs the job of loaders/spark in its own environment, as adstar's settings say. Used by scripts/spark.

    scripts/spark                    all there is now; then it ends
    scripts/spark --every 60         keeps running, a batch each 60 s; SIGTERM or Ctrl-C end it after a batch
    scripts/spark --files FOLDER     reads Parquet files with the columns of Spark's Kafka source
    scripts/spark --master yarn --conf spark.executor.instances=8

This process becomes the job: settings and secrets go to its standard input, and into no argument or file.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import msgspec
from dlt.common.configuration.exceptions import ConfigFieldMissingException

from loaders._core import configure, places
from loaders._core.errors import AdstarError, ConfigurationError, UsageError
from loaders._core.ops import Books
from loaders._core.privacy import keys
from loaders._core.privacy.books import protection_of
from loaders._core.privacy.values import Personal
from loaders._core.quarantine import QUARANTINE
from loaders._core.redact import is_secret_name
from loaders._core.warehouse import Target, ensure_started
from loaders.kafka import Topic
from loaders.spark.flatten import FLAT_COLUMNS
from loaders.spark.plan import FLAT, PERSONAL, TABLE, Plan, Secrets

HOME = places.home()
ENVIRONMENT = HOME / ".venv-spark"
CONNECTOR = "org.apache.spark:spark-sql-kafka-0-10_2.13"
FAILED, USAGE = 1, 2
_AT_ONCE = 60_000  # bytes that a pipe surely takes without a reader
_LOCAL_PARTS = 2  # of what the hours remember; a checkpoint keeps the number that it began with
_MECHANISMS = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


def main(arguments: list[str] | None = None) -> int:
    """Become the job; the exit code if it can't begin."""
    asked = ask(arguments)
    try:
        told = msgspec.json.encode(plan(asked))
        if len(told) > _AT_ONCE:
            raise ConfigurationError("the settings of the topic are too long to be handed to the job")
        command, environment = launch(asked)
    except AdstarError as error:
        print(f"scripts/spark: {error}", file=sys.stderr)
        return USAGE if isinstance(error, UsageError) else FAILED
    reading, writing = os.pipe()
    os.write(writing, told)
    os.close(writing)
    os.dup2(reading, 0)
    os.execve(command[0], command, environment)


def plan(asked: argparse.Namespace) -> Plan:
    """What the job shall do; the warehouse is running and has what the job writes to.

    Raises:
        ConfigurationError: a setting is missing, or asks for what this job can't do.
    """
    loader = configure.available()["kafka"]
    try:
        settings: Any = configure.settings_of(loader)
    except ConfigFieldMissingException:
        raise ConfigurationError(configure.missing_everything(loader)) from None
    topic = settings.topics.get(TABLE)
    where = f"[sources.kafka.topics.{TABLE}]"
    if topic is None:
        raise ConfigurationError(f"there is no {where} in .dlt/config.toml; docs/runbooks/funnel.md has it")
    if topic.format != "json":
        raise ConfigurationError(f"{where} has format {topic.format}; the job of Spark reads json only")
    needed = {name.removeprefix("value__"): kind for name, kind in PERSONAL.items()}
    if wrong := [name for name, kind in needed.items() if topic.personal.get(name) != kind]:
        raise ConfigurationError(
            f"{where} does not say that {' and '.join(wrong)} are personal, and would be no pseudonyms; write"
            ' personal = { device_id = "device_id", user_id = "user_id" }'
        )
    target = ensure_started(asked.target)
    if target.kind != "postgres":
        raise ConfigurationError(
            f"target {target.name!r} is Redshift, and the job of Spark writes to Postgres only: into Redshift"
            " its workers would have to write files to S3 for COPY, which is not built. Land the topic by"
            " `dlt pipeline kafka run --follow 60`, or see docs/spark.md"
        )
    secrets = keys.texts(target)
    prepare(target)
    name = topic.name(TABLE)
    source, options, hidden = files(asked.files) if asked.files else kafka(settings, topic, name)
    options |= dict(asked.option)
    warehouse = asdict(target)
    del warehouse["password"], warehouse["settings"]
    return Plan(
        topic=name,
        incarnation=topic.incarnation,
        required=topic.required,
        source=source,
        options=options,
        checkpoint=asked.checkpoint or str(places.state() / "spark" / f"{name}-{topic.incarnation}"),
        warehouse=warehouse,
        secrets=Secrets(
            key=secrets[0], previous_keys=tuple(secrets[1:]), password=target.password, source=hidden
        ),
        every=asked.every,
        watermark=asked.watermark,
        counts_hours=not asked.no_hours,
    )


def prepare(target: Target) -> None:
    """Make the tables that the job writes to, and note which of their columns are personal.

    Raises:
        ConfigurationError: the key is not that of the warehouse.
    """
    with closing(Books(target, "kafka")) as books:
        books.prepare()
        books.ensure_table(FLAT, FLAT_COLUMNS)
        books.ensure_table(QUARANTINE.name, QUARANTINE.columns)
        books.ensure_key(QUARANTINE.name, "source_key")
    protection_of(target, "kafka", {FLAT: PERSONAL, QUARANTINE.name: {"raw_bytes": Personal.DOCUMENT}})


def files(folder: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """Format, options and secret options of files in place of the topic.

    Raises:
        UsageError: there is no such folder.
    """
    if "://" not in folder and not Path(folder).is_dir():
        raise UsageError(f"--files {folder}: there is no such folder")
    return "parquet", {"path": folder, "maxFilesPerTrigger": "100"}, {}


def kafka(settings: Any, topic: Topic, name: str) -> tuple[str, dict[str, str], dict[str, str]]:
    """As ``files``, of the topic, in the words of Spark and of Kafka's own client.

    https://kafka.apache.org/documentation/#consumerconfigs

    Raises:
        ConfigurationError: a setting is missing, or has no counterpart there.
    """
    if not settings.bootstrap_servers:
        raise ConfigurationError("no broker is named: put bootstrap_servers under [sources.kafka]")
    if settings.client:
        raise ConfigurationError(
            "[sources.kafka.client] is for librdkafka, which Spark does not use; give Kafka's own settings by"
            " --option kafka.NAME=VALUE"
        )
    options = {
        "subscribe": name,
        "startingOffsets": topic.start,
        "failOnDataLoss": "true",
        "includeHeaders": "true",
        "maxOffsetsPerTrigger": str(topic.max_messages),
        "kafka.bootstrap.servers": settings.bootstrap_servers,
        "kafka.isolation.level": settings.isolation_level,
        "kafka.security.protocol": settings.security_protocol,
        "kafka.sasl.mechanism": settings.sasl_mechanism,
    }
    secrets = {}
    if settings.sasl_username:
        module = _MECHANISMS.get(settings.sasl_mechanism)
        if module is None:
            raise ConfigurationError(
                f"sasl_mechanism {settings.sasl_mechanism!r} with a name and a password; known are"
                f" {', '.join(_MECHANISMS)}"
            )
        login = f"username={_quoted(settings.sasl_username)} password={_quoted(settings.sasl_password or '')}"
        secrets["kafka.sasl.jaas.config"] = f"{module} required {login};"
    if settings.ssl_ca_location:
        options |= {
            "kafka.ssl.truststore.type": "PEM",
            "kafka.ssl.truststore.location": settings.ssl_ca_location,
        }
    if settings.ssl_certificate_location:
        pem = (Path(settings.ssl_key_location), Path(settings.ssl_certificate_location))
        options["kafka.ssl.keystore.type"] = "PEM"
        secrets["kafka.ssl.keystore.key"] = pem[0].read_text()
        secrets["kafka.ssl.keystore.certificate.chain"] = pem[1].read_text()
        if settings.ssl_key_password:
            secrets["kafka.ssl.key.password"] = settings.ssl_key_password
    return "kafka", {key: value for key, value in options.items() if value}, secrets


def launch(asked: argparse.Namespace) -> tuple[list[str], dict[str, str]]:
    """The job's command and its environment."""
    logging = f"-Dlog4j2.configurationFile=file:{HOME / 'loaders' / 'spark' / 'log4j2.properties'}"
    words = ["--master", asked.master, "--driver-java-options", logging]
    words += ["--conf", "spark.ui.showConsoleProgress=false"]
    python = str(ENVIRONMENT / "bin" / "python")
    environment = os.environ | {"PYTHONPATH": str(HOME), "PYSPARK_DRIVER_PYTHON": python}
    environment.setdefault("PYSPARK_PYTHON", python)
    environment.setdefault("JAVA_HOME", str(ENVIRONMENT / "java"))
    if asked.master.startswith("local"):
        environment.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        words += [
            "--conf",
            "spark.ui.enabled=false",
            "--conf",
            f"spark.sql.shuffle.partitions={_LOCAL_PARTS}",
        ]
    else:
        words += ["--py-files", _packed()]
    if not asked.files:
        words += ["--packages", asked.packages or f"{CONNECTOR}:{_version()}"]
    for each in asked.conf:
        words += ["--conf", each]
    environment["PYSPARK_SUBMIT_ARGS"] = shlex.join([*words, "pyspark-shell"])
    return [python, "-m", "loaders.spark.job"], environment


def _packed() -> str:
    """The package ``loaders`` as a file, for workers on other machines."""
    base = places.state() / "spark" / "loaders"
    base.parent.mkdir(parents=True, exist_ok=True)
    return shutil.make_archive(str(base), "zip", HOME, "loaders")


def _version() -> str:
    lock = (HOME / "loaders" / "spark" / "requirements.lock").read_text()
    return lock.partition("pyspark==")[2].split()[0]


def _quoted(text: str) -> str:
    """As JAAS has values: https://docs.oracle.com/javase/8/docs/api/javax/security/auth/login/Configuration.html"""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _pair(text: str) -> tuple[str, str]:
    name, is_given, value = text.partition("=")
    if not is_given or is_secret_name(name.replace(".", "_")):
        raise argparse.ArgumentTypeError("write NAME=VALUE; secrets go to .dlt/secrets.toml")
    return name, value


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise ValueError
    return seconds


def ask(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/spark", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--every", type=_seconds, metavar="SECONDS", help="keep running, a batch this often")
    parser.add_argument("--files", metavar="FOLDER", help="read Parquet files in place of the topic")
    parser.add_argument("--watermark", default="3 days", help="how late an event still counts in its hour")
    parser.add_argument("--no-hours", action="store_true", help="land events only, count no hours")
    parser.add_argument("--checkpoint", metavar="FOLDER", help="where Spark notes how far it has read")
    parser.add_argument("--master", default="local[*]", help="of Spark; local[*]")
    parser.add_argument("--packages", help=f"in place of {CONNECTOR} of the version of Spark")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        type=_pair,
        metavar="NAME=VALUE",
        help="of the source; repeat it",
    )
    parser.add_argument(
        "--conf", action="append", default=[], metavar="NAME=VALUE", help="of Spark; repeat it"
    )
    parser.add_argument("--target", help="of profiles.yml; else ADSTAR_TARGET")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
