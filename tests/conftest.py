"""What all tests share: one embedded warehouse for the session, a fresh database in it for each test."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from loaders._core import warehouse
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.warehouse import Target
from tests.end_to_end.fixtures import base, journey, shops
from tests.ports import free_port

if TYPE_CHECKING:  # few tests need what is slow to import
    from simulators.redshift import Redshift
    from simulators.redshift.storage import Bucket

__all__ = ["base", "journey", "redshift", "server", "shops", "stand_in", "state_folder", "target"]

ROOT = Path(__file__).parents[1]
OURS = ("ADSTAR_", "SOURCES__", "PRIVACY__", "DBT_", "PGPASS", "PGHOST", "PGPORT")
JOURNEYS = {"end_to_end", "faults"}
PRIVACY_KEY = "dGVzdHMgb25seSwgYW5kIG5vIHNlY3JldCBhdCBhbGwuLi4="


class Sharing(LoadScopeScheduling):
    """Keeps together, when several processes share the tests, those that share what costs much to make.

    xdist's own marks are ignored with pytest 9.2 (xdist 3.8 writes them into ``Item._nodeid``, which pytest
    no longer reads): every fixture was made in both processes.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.partition("::")[0])
        if file.name in {"test_redshift_star.py", "test_returns.py"}:
            return "shops"
        return "journeys" if file.parent.name in JOURNEYS else str(file)


@pytest.hookimpl(optionalhook=True)  # without xdist there is none to make
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing:
    """Share the tests as ``Sharing`` says."""
    return Sharing(config, log)


def pytest_configure() -> None:
    """Look for cycles seldom: an eighth of the time went to looking in what is imported and stays."""
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long comes first: the many short tests then fill up what one process has left at the end."""
    order = {**dict.fromkeys(JOURNEYS, 0), "loaders": 2, "simulators": 2}
    items.sort(key=lambda item: order.get(item.path.parent.name, 1))


@pytest.fixture(scope="session")
def state_folder() -> Iterator[Path]:
    """A folder every user may enter: the server runs as another one when the tests run as root."""
    folder = Path(tempfile.mkdtemp(prefix="adstar-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def server(state_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWarehouse]:
    """The session's embedded warehouse, running; ADSTAR_STATE and ADSTAR_PORT point to it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        patch.setenv("ADSTAR_STATE", str(state_folder))
        patch.setenv("ADSTAR_PORT", str(free_port()))
        patch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
        # Of xdist's processes each has a folder of its own, below one of all.
        above = tmp_path_factory.getbasetemp()
        patch.setenv(
            "ADSTAR_TESTS_PARSED", str(above.parent if "PYTEST_XDIST_WORKER" in os.environ else above)
        )
        warehouse.ensure_started("embedded", ROOT / "profiles")
        server = EmbeddedWarehouse()
        # No test pulls the plug, and dropping a database waits for the disk: half a second a test.
        _administer(server, "alter system set fsync = off", "select pg_reload_conf()")
        yield server
        server.stop()


@pytest.fixture
def target(server: EmbeddedWarehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Target]:
    """An empty database of its own, also what profiles.yml gives to any process started by the test."""
    yield from database(server, monkeypatch, tmp_path)


def database(server: EmbeddedWarehouse, monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[Target]:
    """As the fixture ``target``, for a fixture of another scope."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    recreate(server, name)
    for variable, value in variables(server, name, folder / "state").items():
        monkeypatch.setenv(variable, value)
    found = warehouse.resolve("postgres", ROOT / "profiles")
    yield replace(found, database=name)
    drop(server, name)


@pytest.fixture(scope="session")
def stand_in(server: EmbeddedWarehouse) -> Iterator[tuple[Redshift, Bucket]]:
    """Redshift's stand-in over the session's warehouse, and the bucket that its COPY reads."""
    from simulators.redshift import Redshift, bucket

    with bucket() as storage, Redshift(server, s3=storage.endpoint) as proxy:
        yield proxy, storage


@pytest.fixture
def redshift(
    server: EmbeddedWarehouse,
    stand_in: tuple[Redshift, Bucket],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> Iterator[Target]:
    """As ``target``, but an empty database of Redshift's stand-in with a folder of its own in the bucket."""
    proxy, storage = stand_in
    name = f"test_{uuid.uuid4().hex[:12]}"
    recreate(server, name)
    settings = variables(server, name, tmp_path / "state") | storage.settings_env() | proxy.settings_env(name)
    settings["ADSTAR_REDSHIFT_STAGING_BUCKET"] = f"s3://{storage.name}/{name}"
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    yield warehouse.resolve("redshift", ROOT / "profiles")
    drop(server, name)


def variables(server: EmbeddedWarehouse, database: str, state: Path) -> dict[str, str]:
    """The environment that points adstar and dbt at a database of the server.

    dbt parses the whole project again when its profile changes: it has one target folder for each name of a
    database, and tests that run it use few names.
    """
    return {
        "ADSTAR_TARGET": "postgres",
        "ADSTAR_POSTGRES_HOST": "127.0.0.1",
        "ADSTAR_POSTGRES_PORT": str(server.port),
        "ADSTAR_POSTGRES_USER": "adstar",
        "ADSTAR_POSTGRES_PASSWORD": server.password,
        "ADSTAR_POSTGRES_DATABASE": database,
        "ADSTAR_POSTGRES_SSLMODE": "disable",
        "ADSTAR_STATE": str(state),
        "PRIVACY__KEY": PRIVACY_KEY,
        "DBT_PROJECT_DIR": str(ROOT / "dbt_project"),
        "DBT_PROFILES_DIR": str(ROOT / "profiles"),
        "DBT_TARGET_PATH": str(server.folder.parent / f"target-{database}"),
        "DBT_LOG_PATH": str(state / "logs"),
        "ADSTAR_SCHEMA_PREFIX": "",
    }


def recreate(server: EmbeddedWarehouse, database: str, template: str = "template1") -> None:
    """Make a database that is empty or a copy of another one, in place of what has its name."""
    drop(server, database)
    _administer(server, f'create database "{database}" template "{template}" strategy file_copy')


def drop(server: EmbeddedWarehouse, database: str) -> None:
    """Drop a database, if there is one of that name, whoever uses it."""
    _administer(server, f'drop database if exists "{database}" with (force)')


def _administer(server: EmbeddedWarehouse, *statements: str) -> None:
    connection = server.connect("postgres")
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
    finally:
        connection.close()
