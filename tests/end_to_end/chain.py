"""The whole chain in one hand: simulated platforms, the loaders, dbt, and a database of their own.

The loaders run inside the test's process, because starting one costs more than a day's data; what is about
processes (kills, pauses, exit codes, networks) starts `dlt pipeline run` instead, and `dbt`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from unittest.mock import patch

from loaders._core import configure, warehouse
from loaders._core.declare import Clock, Window
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.run import Result, SourceRun
from loaders._core.warehouse import Target
from simulators import app_database, site_events
from simulators.business import Account, Platform
from simulators.kafka_cluster import KafkaCluster
from simulators.people import People
from simulators.queue import LoginQueue
from simulators.redshift import Redshift
from simulators.redshift.storage import Bucket
from simulators.server import Simulator
from tests import preloaded, resident
from tests.conftest import drop, recreate, variables

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MORNING = datetime(2026, 3, 1, 6, tzinfo=UTC)
PLATFORMS: tuple[Platform, ...] = ("facebook_ads", "google_ads")
SOURCES = (*PLATFORMS, "http_json")
OF_PEOPLE = ("clevertap", "rds", "sqs", "kafka")
# What says which run read a row, not what the platform said: a killed run leaves a gap in the numbers.
RUN_COLUMNS = ("run_seq",)

Dump = dict[str, tuple[int, str]]


@dataclass(frozen=True)
class Built:
    """How a dbt command ended.

    Attributes:
        failed: the nodes that did not pass, by name, with what dbt says of each.
        output: what it printed.
    """

    code: int
    failed: dict[str, str]
    output: str

    def __post_init__(self) -> None:
        """Nothing may look like a verdict that is none: a project that can't be compiled is an error here."""
        assert self.code in (0, 1), self.output


@dataclass
class Shop:
    """The shop's own database, its queue of logins, and the topic of its site."""

    people: People
    connection: Any
    queue: LoginQueue
    cluster: KafkaCluster
    site: site_events.SiteEvents
    sent_since: datetime
    sent_until: datetime

    def open(self, now: datetime) -> None:
        """Make all of them what they are at an instant."""
        app_database.sync(self.connection, self.people, now)
        self.queue.send(now)
        site_events.send(self.site.messages(self.sent_until, now), self.cluster.bootstrap)
        self.sent_until = now


@dataclass
class Chain:
    """Simulators (made of `world`), loaders and dbt over one database. Use `chain` to make one."""

    simulator: Simulator
    target: Target
    state: Path
    variables: dict[str, str]
    world: dict[str, Any]
    selector: str = "daily"
    shop: Shop | None = None

    # ---- the loaders
    def land(self, *sources: str, backfill: Window | None = None) -> list[Result]:
        """A daily run of the sources (all) at the simulators' clock, in this process."""
        with patch.dict(os.environ, self._environment()):
            clock = Clock(self.simulator.now)
            loaders = configure.available()
            return [
                SourceRun(
                    loaders[name],
                    configure.settings_of(loaders[name]),
                    warehouse.resolve(),
                    clock,
                    backfill=backfill,
                ).execute()
                for name in sources or (SOURCES + OF_PEOPLE if self.shop else SOURCES)
            ]

    def land_days(self, count: int) -> None:
        """So many daily runs, each a day after the one before; the first at the clock as it stands."""
        for number in range(count):
            if number:
                self.next_day()
            results = self.land()
            assert [result.outcome for result in results] == ["ok"] * len(results), results

    def next_day(self) -> None:
        """Move the clock of the platforms and the loaders."""
        self.simulator.set_now(self.simulator.now + timedelta(days=1))
        if self.shop:
            self.shop.open(self.simulator.now)

    def start(self, *arguments: str, command: str = "pipeline", **variables: str) -> subprocess.Popen[str]:
        """`dlt pipeline run` as a process of its own, output in one stream."""
        return self._popen("dlt", command, *(arguments or ("run",)), **variables)

    def run(self, *arguments: str, **variables: str) -> tuple[int, str]:
        """The same to its end: exit code and output."""
        process = self.start(*arguments, **variables)
        output, _ = process.communicate(timeout=600)
        return process.returncode, output

    # ---- dbt
    def dbt(self, *arguments: str, **variables: str) -> Built:
        """A dbt command to its end."""
        (Path(self.variables["DBT_TARGET_PATH"]) / "run_results.json").unlink(missing_ok=True)
        environment = {**os.environ, **self._environment(), **variables}
        code, output = resident.dbt(self._dbt(arguments), environment)
        return Built(code, self._failures(), output)

    def build_models(self, *arguments: str) -> Built:
        """`dbt build` without the tests: the star as it is, right or wrong."""
        return self.dbt("build", "--exclude-resource-type", "test", *arguments)

    def start_dbt(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """A dbt command as a process."""
        return self._popen("dbt", *self._dbt(arguments), **variables)

    def _dbt(self, arguments: Iterable[str]) -> list[str]:
        return ["--no-use-colors", *resident.completed(arguments, self.selector)]

    def _failures(self) -> dict[str, str]:
        file = Path(self.variables["DBT_TARGET_PATH"]) / "run_results.json"
        if not file.exists():
            return {}
        results = json.loads(file.read_text())["results"]
        return {
            result["unique_id"].split(".")[2]: f"{result['status']}: {result['message']}"
            for result in results
            if result["status"] not in ("success", "pass", "skipped", "no-op", "warn")
        }

    # ---- the warehouse
    def rows(self, sql: str, parameters: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """What a statement returns."""
        connection = self.target.connect()
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, list(parameters) or None)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()

    def dump(self, *, without: Iterable[str] = ()) -> Dump:
        """Every table of the star: how many rows, and a digest of all of them in the order of their texts."""
        found: Dump = {}
        tables = self.rows(
            "select table_name, string_agg(format('%%I', column_name), ', ' order by ordinal_position)"
            " from information_schema.columns join information_schema.tables using (table_schema, table_name)"
            " where table_schema = 'marts' and table_type = 'BASE TABLE' and column_name <> all(%s)"
            " group by table_name order by table_name",
            [list(without)],
        )
        assert tables, "there is no star"
        for table, columns in tables:
            found[table] = self.rows(
                "select count(*), coalesce(md5(string_agg(line, '' order by line)), '') from"
                f" (select md5(row({columns})::text) as line from marts.{table}) as lines"
            )[0]
        return found

    def forget_all_but_raw(self) -> None:
        """Drop everything that dbt has made."""
        for (schema,) in self.rows(
            "select nspname from pg_namespace where nspname not in ('ops', 'public', 'information_schema')"
            " and nspname not like 'raw\\_%' and nspname not like 'pg\\_%'"
        ):
            self.rows(f'drop schema "{schema}" cascade')

    def accounts(self, *platforms: Platform) -> list[Account]:
        """The accounts that have figures."""
        return [
            account
            for platform in platforms or PLATFORMS
            for account in self.simulator.business.accounts(platform)
            if not account.is_manager
        ]

    # ---- processes
    def _environment(self) -> dict[str, str]:
        return self.variables | {"ADSTAR_NOW": self.simulator.now.isoformat()}

    def _popen(self, program: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        # A dbt that is killed is one as it comes; the loaders need only be processes.
        start = preloaded.Popen if program == "dlt" else subprocess.Popen
        return start(
            [BIN / program, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, "COLUMNS": "200", **self._environment(), **variables},
        )


def told(chain: Chain, account: Account, day: date, as_of: datetime) -> tuple[int, int, Decimal]:
    """What the simulators' ledger says of an account-day: impressions, clicks, spend in the currency."""
    total = chain.simulator.business.ledger(account, day, as_of).total
    return total["impressions"], total["clicks"], Decimal(total["spend"]) / account.minor_per_unit


@contextmanager
def chain(
    server: EmbeddedWarehouse,
    folder: Path,
    *,
    database: str = "journey",
    start: date | None = None,
    people: bool = False,
    selector: str = "daily",
    stand_in: tuple[Redshift, Bucket] | None = None,
    shop_of: str | None = None,
    **world: Any,
) -> Iterator[Chain]:
    """A chain over an empty database of `server`; `start` is the first day read, `world` is the Simulator's.

    With `people` it has the shop's sources, too: a database of its own, or that of the chain over `shop_of`.
    With a `stand_in` its warehouse is Redshift.
    """
    recreate(server, database)
    world = {"now": MORNING, **world}
    with ExitStack() as stack, Simulator(**world) as simulator:
        first = start or simulator.business.first_day
        settings = simulator.settings_env() | {
            f"SOURCES__{name.upper()}__START_DATE": first.isoformat() for name in PLATFORMS
        }
        shop_database = f"{shop_of or database}_shop"
        shop = _opened(stack, simulator, server, shop_database, not shop_of) if people else None
        if shop:
            early = first - timedelta(days=7)  # clocks of devices may be slow
            settings |= shop.queue.settings_env() | {
                "SOURCES__CLEVERTAP__START_DATE": early.isoformat(),
                "SOURCES__CLEVERTAP__WINDOW_DAYS": "8",
            }
            place = f"adstar:{server.password}@127.0.0.1:{server.port}/{shop_database}"
            settings |= app_database.settings_env(f"postgresql://{place}")
            settings |= site_events.settings_env(shop.cluster.bootstrap)
        else:
            settings = {name: text for name, text in settings.items() if "__CLEVERTAP__" not in name}
        if stand_in:
            settings |= on_redshift(stand_in, database)
        found = _connected(simulator, server, database, folder, settings, world)
        found.shop, found.selector = shop, selector
        yield found
    drop(server, database)


@contextmanager
def copied(
    base: Chain, server: EmbeddedWarehouse, folder: Path, *, database: str = "journey"
) -> Iterator[Chain]:
    """The same platforms over a copy of the database; clock and faults are put back afterwards."""
    now = base.simulator.now
    recreate(server, database, template=base.target.database)
    settings = {name: value for name, value in base.variables.items() if name.startswith("SOURCES__")}
    try:
        found = _connected(base.simulator, server, database, folder, settings, base.world)
        found.selector = base.selector
        yield found
    finally:
        base.simulator.set_now(now)
        base.simulator.clear_faults()
        drop(server, database)


def on_redshift(stand_in: tuple[Redshift, Bucket], database: str) -> dict[str, str]:
    """Settings that make the warehouse a database of Redshift's stand-in."""
    proxy, storage = stand_in
    own = {"ADSTAR_REDSHIFT_STAGING_BUCKET": f"s3://{storage.name}/{database}"}
    return storage.settings_env() | proxy.settings_env(database) | own


def _opened(
    stack: ExitStack, simulator: Simulator, server: EmbeddedWarehouse, database: str, is_own: bool
) -> Shop:
    people = simulator.state.people
    assert people is not None
    if is_own:
        recreate(server, database)
        stack.callback(drop, server, database)
    connection = stack.enter_context(closing(server.connect(database)))
    queue = stack.enter_context(LoginQueue(people, name=f"logins-{uuid.uuid4().hex}"))
    cluster = stack.enter_context(KafkaCluster())
    cluster.create_topic(site_events.TOPIC, 4)
    since = simulator.now - site_events.RETENTION
    shop = Shop(people, connection, queue, cluster, site_events.SiteEvents(people), since, since)
    shop.open(simulator.now)
    return shop


def _connected(
    simulator: Simulator,
    server: EmbeddedWarehouse,
    database: str,
    folder: Path,
    settings: dict[str, str],
    world: dict[str, Any],
) -> Chain:
    environment = variables(server, database, folder) | settings | {"RUNTIME__DLTHUB_TELEMETRY": "false"}
    with patch.dict(os.environ, environment):
        return Chain(simulator, warehouse.resolve(), folder, environment, world)
