"""The whole product against simulated platforms, in one go. Run by scripts/demo.

The simulators' clock stands still during a run. The first run reads all their days; each later one moves
the clock on by a day, and the loaders land what that day brought and what the platforms changed since.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import _demo_summary
import psycopg2
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from loaders._core import places
from loaders._core.embedded import EmbeddedWarehouse
from simulators import app_database, site_events
from simulators.kafka_cluster import KafkaCluster
from simulators.people import People
from simulators.queue import LoginQueue
from simulators.replay import read, recorded_days
from simulators.server import Simulator

FIRST_MORNING = datetime(2026, 3, 1, 6, tzinfo=UTC)
BIN = Path(sys.executable).parent
SHOP = "shop"
RETENTION = timedelta(days=4)
"""How long a queue keeps what nobody receives."""
UPLOADED_LATE = timedelta(days=7)
"""How long devices keep what they did to themselves, and how wrong their clocks are."""

if not sys.stdout.isatty():
    os.environ.setdefault("COLUMNS", "120")  # for the commands run from here, too
console = Console(highlight=False)


@dataclass(frozen=True)
class Options:
    """What decides which data the platforms have; another choice needs another warehouse."""

    days: int
    scale: float
    seed: int
    replay: str | None
    ads_csv: str | None
    target: str = "embedded"

    @property
    def database(self) -> str:
        """Of the embedded server; Redshift's stand-in has one of its own."""
        return "adstar" if self.target == "embedded" else f"adstar_{self.target}"


@dataclass(frozen=True)
class Morning:
    """One run of the demo: the platforms' clock, and the first day of their data."""

    first_day: str
    now: str
    before: str | None = None
    """The clock of the run before."""

    @property
    def clock(self) -> datetime:
        """The platforms' clock."""
        return datetime.fromisoformat(self.now)

    @property
    def streams_since(self) -> datetime:
        """When the oldest message was sent that the first run of all found."""
        return FIRST_MORNING - site_events.RETENTION

    def next(self) -> Morning:
        """The same a day later."""
        return Morning(self.first_day, (self.clock + timedelta(days=1)).isoformat(), self.now)


def main() -> int:
    """Run the demo; return the exit code."""
    options = ask()
    warehouse = EmbeddedWarehouse()
    with step("the embedded Postgres"):
        warehouse.start()
    morning = resume(options, warehouse)
    began = time.monotonic()
    with ExitStack() as stack:
        os.environ.update(stack.enter_context(engine(options, warehouse)))
        passed, state = show_it_all(options, morning, warehouse)
    ask_warehouse = partial(query, warehouse, options.database)
    _demo_summary.show(console, ask_warehouse, morning.now, passed, state, since=morning.streams_since)
    console.print(f"{time.monotonic() - began:.0f} s. Run scripts/demo again: a day later, incremental.")
    return 0


@contextmanager
def engine(options: Options, warehouse: EmbeddedWarehouse) -> Iterator[dict[str, str]]:
    """Start what stands in for another engine; yields the settings that make it the warehouse."""
    if options.target == "embedded":
        yield {}
        return
    from simulators.redshift import Redshift, bucket  # noqa: PLC0415  (slow to import)

    create(warehouse, options.database)
    # What lands has a key of its own here, as in every warehouse that is not the embedded one.
    key = places.state() / "demo" / "privacy.key"
    if not key.exists():
        key.parent.mkdir(parents=True, exist_ok=True)
        key.touch(mode=0o600)
        key.write_text(b64encode(secrets.token_bytes(32)).decode())
    with bucket() as storage, Redshift(warehouse, s3=storage.endpoint) as redshift:
        settings = redshift.settings_env(options.database) | storage.settings_env()
        yield settings | {"PRIVACY__KEY": key.read_text()}


def show_it_all(options: Options, morning: Morning, warehouse: EmbeddedWarehouse) -> tuple[int, Any]:
    """Land, build and document; how many tests passed, and what the simulators know."""
    console.print(
        f"The platforms' data begin on {morning.first_day}, their clock says {morning.clock:%F %R} UTC."
    )
    with simulators(options, morning, warehouse) as (simulator, settings):
        os.environ.update(settings, ADSTAR_NOW=morning.now)
        run("dlt", "pipeline", "run")
    passed = build()
    with step("the documentation site"):
        run("dbt", "--quiet", "docs", "generate", "--no-compile")  # dbt build has compiled all
    return passed, simulator.state


def ask() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--days", type=int, default=60, help="days of data on the first run (60)")
    parser.add_argument("--scale", type=float, default=1.0, help="1 is some hundred ad rows a day (1)")
    parser.add_argument("--seed", type=int, default=7, help="another seed, another business (7)")
    parser.add_argument("--replay", type=Path, metavar="DIR", help="recorded exchanges instead of simulated")
    parser.add_argument("--ads-csv", type=Path, metavar="FILE", help="ad rows to serve as one account's day")
    parser.add_argument(
        "--target",
        choices=["embedded", "redshift"],
        default="embedded",
        help="redshift: its stand-in over the embedded Postgres, through S3 (embedded)",
    )
    asked = parser.parse_args()
    for path in filter(None, (asked.replay, asked.ads_csv)):
        if not path.exists():
            parser.error(f"there is no {path}")
    replay = str(asked.replay.resolve()) if asked.replay else None
    ads_csv = str(asked.ads_csv.resolve()) if asked.ads_csv else None
    return Options(asked.days, asked.scale, asked.seed, replay, ads_csv, asked.target)


def resume(options: Options, warehouse: EmbeddedWarehouse) -> Morning:
    """Go on a day later, or begin anew in an empty warehouse if something else is asked for."""
    notes = places.state() / "demo" / "state.json"
    earlier = json.loads(notes.read_text()) if notes.exists() else {}
    last = Morning(**earlier["morning"]) if earlier else None
    if foreign_runs(warehouse, options.database, last):
        sys.exit(
            f"scripts/demo: the warehouse in {warehouse.folder} holds data that no demo has landed, and"
            " simulated figures must not mix with them; set ADSTAR_STATE and ADSTAR_PORT to another folder"
            " and port for the demo"
        )
    if last and earlier["options"] == asdict(options):
        console.print("The warehouse holds the earlier run; this one is a day later and incremental.")
        morning = last.next()
    else:
        if last:
            console.print("Other options than last time: beginning anew in an empty warehouse.")
            forget(warehouse, options.database)
        morning = recorded(Path(options.replay)) if options.replay else simulated(options.days)
    notes.parent.mkdir(parents=True, exist_ok=True)
    notes.write_text(json.dumps({"options": asdict(options), "morning": asdict(morning)}, indent=2))
    return morning


def simulated(days: int) -> Morning:
    """The first run on simulated data."""
    first_day = FIRST_MORNING.date() - timedelta(days=days - 1)
    return Morning(first_day.isoformat(), FIRST_MORNING.isoformat())


def recorded(folder: Path) -> Morning:
    """The first run on recorded exchanges: the morning after the last day they report."""
    days = recorded_days(folder)
    if days is None:
        return simulated(days=1)
    clock = datetime.combine(days[1] + timedelta(days=1), FIRST_MORNING.timetz())
    return Morning(days[0].isoformat(), clock.isoformat())


def forget(warehouse: EmbeddedWarehouse, database: str) -> None:
    """Empty the demo's warehouse."""
    connection = warehouse.connect("postgres")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"drop database if exists {database} with (force)")
        cursor.execute(f"create database {database}")
        cursor.execute(f"drop database if exists {SHOP} with (force)")
    connection.close()
    shutil.rmtree(places.state() / "dlt", ignore_errors=True)


@contextmanager
def simulators(
    options: Options, morning: Morning, warehouse: EmbeddedWarehouse
) -> Iterator[tuple[Simulator, dict[str, str]]]:
    """Serve platforms and shop; yields the simulator, and the settings that point the loaders there."""
    with (
        ExitStack() as stack,
        Simulator(
            seed=options.seed,
            scale=options.scale,
            now=morning.clock,
            first_day=date.fromisoformat(morning.first_day),
            replay=options.replay,
            ads_csv=options.ads_csv,
            ads_csv_day=morning.clock.date() - timedelta(days=1) if options.ads_csv else None,
        ) as simulator,
    ):
        settings = simulator.settings_env()
        for source in ("FACEBOOK_ADS", "GOOGLE_ADS"):
            settings[f"SOURCES__{source}__START_DATE"] = morning.first_day
        if simulator.state.people is not None:
            since = date.fromisoformat(morning.first_day) - UPLOADED_LATE
            settings["SOURCES__CLEVERTAP__START_DATE"] = since.isoformat()
            settings["SOURCES__CLEVERTAP__WINDOW_DAYS"] = str(UPLOADED_LATE.days)
            settings |= app_database.settings_env(shop(simulator.state.people, morning, warehouse))
            sent = datetime.fromisoformat(morning.before) if morning.before else morning.clock - RETENTION
            queue = stack.enter_context(LoginQueue(simulator.state.people, since=sent))
            queue.send(morning.clock)
            settings |= queue.settings_env()
            settings |= streamed(simulator.state.people, morning, stack.enter_context(KafkaCluster()))
        yield simulator, only_recorded(settings, Path(options.replay)) if options.replay else settings


def streamed(people: People, morning: Morning, cluster: KafkaCluster) -> dict[str, str]:
    """Send what the site has told since the run before; the settings that read it.

    The cluster ends with the run, so each run's topic is another one of the same name.
    """
    cluster.create_topic(site_events.TOPIC, 4)
    since = datetime.fromisoformat(morning.before) if morning.before else morning.streams_since
    site_events.send(site_events.SiteEvents(people).messages(since, morning.clock), cluster.bootstrap)
    incarnation = (morning.clock.date() - date.fromisoformat(morning.first_day)).days + 1
    return site_events.settings_env(cluster.bootstrap, incarnation)


def shop(people: People, morning: Morning, warehouse: EmbeddedWarehouse) -> str:
    """Make the shop's own database what it is that morning; its address."""
    create(warehouse, SHOP)
    with closing(warehouse.connect(SHOP)) as connection:
        app_database.sync(connection, people, morning.clock)
        return f"postgresql://{connection.info.user}:{warehouse.password}@127.0.0.1:{warehouse.port}/{SHOP}"


def create(warehouse: EmbeddedWarehouse, database: str) -> None:
    """Make a database if it is not there."""
    with closing(warehouse.connect("postgres")) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select from pg_database where datname = %s", [database])
            if not cursor.rowcount:
                cursor.execute(f"create database {database}")


def only_recorded(settings: dict[str, str], folder: Path) -> dict[str, str]:
    """Without the settings of a platform that nothing was recorded of."""
    recorded = {"GOOGLE_ADS" if exchange.is_google else "FACEBOOK_ADS" for exchange in read(folder)}
    return {name: value for name, value in settings.items() if name.split("__")[1] in recorded}


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is being done and how long it took."""
    began = time.monotonic()
    with console.status(f"{what} ..."):
        yield
    console.print(f"{what}: {time.monotonic() - began:.1f} s")


def run(*command: str) -> None:
    """Run a command of the environment; a failure ends the demo with its exit code."""
    code = subprocess.run([BIN / command[0], *command[1:]], check=False).returncode
    if code:
        console.print(f"[red]{' '.join(command)} ended with exit code {code}[/]")
        sys.exit(code)


def build() -> int:
    """`dbt build` with a bar; returns how many tests passed."""
    began = time.monotonic()
    counts: dict[str, int] = {}
    warned: list[str] = []
    # Simulated days are long over for a test that looks at the wall clock; unit tests are not of the data.
    left_out = ["--exclude", "tag:wall_clock", "test_type:unit"]
    command = [str(BIN / "dbt"), "--log-format", "json", "--no-use-colors", "build", *left_out]
    columns = TextColumn("dbt build"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process,
        Progress(
            *columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal
        ) as bar,
    ):
        task = bar.add_task("", total=None)
        for line in process.stdout or ():
            event = json.loads(line) if line.startswith("{") else {"info": {"msg": line, "level": "error"}}
            node = follow(event, bar, task)
            if node is None:
                continue
            outcome = f"{node['resource_type'].removeprefix('unit_')} {node['node_status']}"
            counts[outcome] = counts.get(outcome, 0) + 1
            if node["node_status"] == "warn":
                warned.append(node["node_name"])
    if process.returncode:
        console.print(f"[red]dbt build ended with exit code {process.returncode}[/]")
        sys.exit(process.returncode)
    built, passed = counts.get("model success", 0), counts.get("test pass", 0)
    console.print(f"dbt build: {built} models, {passed} tests passed: {time.monotonic() - began:.1f} s")
    if warned:
        console.print(f"Tests that warn: {', '.join(warned)}")
    return passed


def follow(event: dict[str, Any], bar: Progress, task: TaskID) -> dict[str, Any] | None:
    """Show the node that dbt has finished, and return it; print an error."""
    info, data = event["info"], event.get("data", {})
    if info["level"] == "error":
        console.print(info["msg"].rstrip(), markup=False)
    if info.get("name") not in ("LogModelResult", "LogTestResult", "LogSeedResult"):
        return None
    node: dict[str, Any] = data["node_info"]
    total = data.get("total") or data.get("num_models")
    bar.update(task, completed=data["index"], total=total, description=node["node_name"][:50])
    return node


def foreign_runs(warehouse: EmbeddedWarehouse, database: str, last: Morning | None) -> bool:
    """Whether the warehouse has seen runs that were no demo's: they are later than the simulated clock."""
    since = last.now if last else "-infinity"
    later = f"select 1 from ops.runs where started_at > '{since}' limit 1"  # noqa: S608
    try:
        return bool(query(warehouse, database, later))
    except (psycopg2.errors.UndefinedTable, psycopg2.OperationalError):  # nothing there yet
        return False


def query(warehouse: EmbeddedWarehouse, database: str, sql: str) -> list[tuple[Any, ...]]:
    """Ask the warehouse."""
    connection = warehouse.connect(database)
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
