"""The embedded warehouse: started, killed, restarted, and kept private."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest

from loaders._core import embedded
from loaders._core.embedded import SETTINGS, EmbeddedError, EmbeddedWarehouse
from tests.conftest import ROOT
from tests.ports import free_port


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to all users, as a home folder of root is not: Postgres runs as another user then."""
    path = Path(tempfile.mkdtemp(prefix="adstar-embedded-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def warehouse(folder: Path) -> Iterator[EmbeddedWarehouse]:
    found = EmbeddedWarehouse(folder / "warehouse", free_port())
    yield found
    found.stop()


def ask(warehouse: EmbeddedWarehouse, sql: str) -> list[tuple]:
    connection = warehouse.connect()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def test_a_life(warehouse: EmbeddedWarehouse) -> None:
    """One server through all of it, because each costs a second to make."""
    assert warehouse.status()["running"] is False
    assert warehouse.stop() is False
    warehouse.start()
    pid = warehouse.status()["pid"]
    assert warehouse.status()["running"] is True

    # Only its owner reads the password, and nobody gets in without it.
    for file in (warehouse.password_file, warehouse.pgpass_file):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for password in ("", "wrong"):
        with pytest.raises(psycopg2.OperationalError):
            psycopg2.connect(
                host="127.0.0.1",
                port=warehouse.port,
                user="adstar",
                password=password,
                dbname="adstar",
                passfile="/nonexistent",
            )
    hba = ask(warehouse, "select distinct auth_method from pg_hba_file_rules")
    assert hba == [("scram-sha-256",)]
    assert ask(warehouse, "show listen_addresses") == [("127.0.0.1",)]
    assert ask(warehouse, "show unix_socket_directories") == [("",)]
    pgpass = psycopg2.connect(
        host="127.0.0.1",
        port=warehouse.port,
        user="adstar",
        dbname="adstar",
        passfile=str(warehouse.pgpass_file),
    )
    pgpass.close()

    # It is configured as intended, above all not to lose what it has said it has.
    for name, value in SETTINGS.items():
        assert ask(warehouse, f"show {name}")[0][0] in (value.strip("'"), "UTC", "pglz"), name
    if os.geteuid() == 0:
        owner = psutil.Process(pid).username()
        assert owner == "nobody"
        assert pwd.getpwuid(warehouse.data.stat().st_uid).pw_name == "nobody"

    ask(warehouse, "create table kept as select 42 as answer")
    warehouse.start()
    assert warehouse.status()["pid"] == pid

    # Killed: found dead at once, recovered, nothing lost.
    os.kill(pid, signal.SIGKILL)
    began = time.monotonic()
    warehouse.start()
    assert time.monotonic() - began < 20
    assert ask(warehouse, "select answer from kept") == [(42,)]
    assert warehouse.status()["pid"] != pid

    # The recorded process id now belongs to somebody else: start all the same.
    assert warehouse.stop() is True
    assert warehouse.status()["running"] is False
    (warehouse.data / "postmaster.pid").write_text(
        f"{os.getpid()}\n{warehouse.data}\n0\n{warehouse.port}\n\n127.0.0.1\n0 0\nready\n"
    )
    warehouse.start()
    assert ask(warehouse, "select answer from kept") == [(42,)]

    # The folder was thrown away under the running server.
    old = warehouse.status()["pid"]
    shutil.rmtree(warehouse.folder)
    EmbeddedWarehouse(warehouse.folder, warehouse.port).start()
    assert not psutil.pid_exists(old)
    assert ask(warehouse, "select count(*) from pg_tables where tablename = 'kept'") == [(0,)]

    # Running on another port than asked for.
    with pytest.raises(EmbeddedError, match=rf"already runs on port {warehouse.port}.*ADSTAR_PORT"):
        EmbeddedWarehouse(warehouse.folder, free_port()).start()


def test_a_stranger_on_the_port_is_told_from_our_server(warehouse: EmbeddedWarehouse) -> None:
    with socket.create_server(("127.0.0.1", warehouse.port)) as stranger:
        answering = threading.Thread(target=lambda: _hang_up(stranger), daemon=True)
        answering.start()
        with pytest.raises(EmbeddedError, match=f"port {warehouse.port}.*ADSTAR_PORT"):
            warehouse.start()
        assert not (warehouse.folder / "data").exists()


def _hang_up(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


def test_several_processes_may_start_it_at_once(warehouse: EmbeddedWarehouse) -> None:
    code = (
        "import sys; from pathlib import Path; from loaders._core.embedded import EmbeddedWarehouse as W;"
        "w = W(Path(sys.argv[1]), int(sys.argv[2])); w.start(); print(w.status()['pid'])"
    )
    command = [sys.executable, "-c", code, str(warehouse.folder), str(warehouse.port)]
    starts = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    pids = {process.communicate(timeout=60)[0].strip() for process in starts}
    assert pids == {str(warehouse.status()["pid"])}


def test_a_first_start_killed_half_way_is_begun_anew(warehouse: EmbeddedWarehouse) -> None:
    warehouse.folder.mkdir(parents=True, mode=0o711)
    (warehouse.folder / "data.new").mkdir()
    (warehouse.folder / "data.new" / "PG_VERSION").write_text("18")
    warehouse.start()
    assert ask(warehouse, "select 1") == [(1,)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a server of another user")
def test_root_in_a_folder_nobody_else_may_enter(folder: Path) -> None:
    folder.chmod(0o700)
    hidden = EmbeddedWarehouse(folder / "warehouse", free_port())
    try:
        hidden.start()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert folder not in hidden.data.parents
        assert ask(hidden, "select 1") == [(1,)]
        assert hidden.stop() is True
    finally:
        hidden.stop()
        shutil.rmtree(hidden.data, ignore_errors=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a server of another user")
def test_root_with_an_environment_nobody_else_may_enter(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in /root: the server's programs run from a copy, with the libraries the wheel keeps beside them."""
    wheel = embedded._wheel()
    monkeypatch.setattr(embedded, "_wheel", lambda: folder / "site" / wheel.name)
    monkeypatch.setattr(EmbeddedWarehouse, "_shared", folder / "shared")
    shutil.copytree(wheel / "pginstall18", folder / "site" / wheel.name / "pginstall18", symlinks=True)
    shutil.copytree(wheel.with_suffix(".libs"), folder / "site" / f"{wheel.name}.libs")
    (folder / "site").chmod(0o700)
    (folder / "shared").mkdir(mode=0o755)
    hidden = EmbeddedWarehouse(folder / "warehouse", free_port())
    try:
        hidden.start()
        assert ask(hidden, "select 1") == [(1,)]
    finally:
        hidden.stop()


@pytest.mark.parametrize("port", ["http", "0", "70000", "-1"])
def test_a_port_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("ADSTAR_PORT", port)
    with pytest.raises(EmbeddedError, match="ADSTAR_PORT"):
        EmbeddedWarehouse()
