"""The stand-in's server: takes Redshift's clients, and asks the embedded Postgres in their place.

`with Redshift(server, s3=endpoint) as redshift: redshift.port`. What a client says is passed on message by
message; SQL is refused or rewritten on its way, COPY, UNLOAD and TRUNCATE are done here.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg2

from loaders._core.embedded import HOST, USER, EmbeddedWarehouse
from simulators.redshift import wire
from simulators.redshift.backend import Backend, Refused, truncate
from simulators.redshift.copying import copy
from simulators.redshift.known import GUIDE, NotShown
from simulators.redshift.refusals import refusal
from simulators.redshift.rewrite import rewritten
from simulators.redshift.storage import Storage
from simulators.redshift.tokens import Sql
from simulators.redshift.unloading import unload
from simulators.redshift.wire import Closed, Wire

_log = logging.getLogger(__name__)
README = "simulators/redshift/README.md"
CATALOGUE = [
    Path(__file__).parent / "catalogue" / f"{name}.sql"
    for name in ("super", "casts", "functions", "tables", "rights", "views")
]
PASSED_ON = ("user", "database", "application_name", "client_encoding")
# What Redshift says of itself, and what its sessions begin with (r_timezone_config.html).
PARAMETERS = {"server_version": "8.0.2", "standard_conforming_strings": "off"}
SETTINGS = {"TimeZone": "UTC", "DateStyle": "ISO, MDY"}


class Redshift:
    """A stand-in for a cluster on a free port of the loopback interface, as a context manager.

    Its databases, logins and passwords are those of the embedded Postgres.

    Args:
        server: a running embedded Postgres; a database gets Redshift's catalogue with its first session.
        s3: address of the S3 that COPY reads and UNLOAD writes.
    """

    def __init__(self, server: EmbeddedWarehouse, *, s3: str = "", port: int = 0) -> None:
        """Nothing listens before `with`."""
        self.server = server
        self.port = port
        self._bucket = Storage(s3)
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        """Listen and serve in threads."""
        self._listener = socket.create_server((HOST, self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="redshift", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; sessions end with their clients."""
        if self._listener is not None:
            # Closing alone leaves the thread in accept.
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()

    def settings_env(self, database: str) -> dict[str, str]:
        """What makes adstar's target `redshift` a database of it."""
        return {
            "ADSTAR_TARGET": "redshift",
            "ADSTAR_REDSHIFT_HOST": HOST,
            "ADSTAR_REDSHIFT_PORT": str(self.port),
            "ADSTAR_REDSHIFT_USER": USER,
            "ADSTAR_REDSHIFT_PASSWORD": self.server.password,
            "ADSTAR_REDSHIFT_DATABASE": database,
            "ADSTAR_REDSHIFT_SSLMODE": "disable",
        }

    def prepare(self, database: str) -> None:
        """Make sure that a database has Redshift's catalogue; with each session, as they are made anew."""
        with closing(self.server.connect(database)) as connection, connection, connection.cursor() as cursor:
            # Two sessions may have the same thought.
            cursor.execute("select pg_advisory_xact_lock(5439)")
            cursor.execute("select to_regtype('pg_catalog.super') is null")
            if cursor.fetchone()[0]:
                # All of it goes into pg_catalog: Redshift's own names are found whatever the search path is.
                cursor.execute("set local allow_system_table_mods = on")
                for part in CATALOGUE:
                    cursor.execute(part.read_text())

    def _accept(self) -> None:
        listener = self._listener
        assert listener is not None
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=[client], name="redshift session", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        backend = socket.create_connection((HOST, self.server.port))
        backend.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, backend:
            try:
                self._begin(Wire(client), Wire(backend))
            except Closed:
                pass
            except Exception as error:
                _log.exception("a session with the stand-in for Redshift has failed")
                said = f"the stand-in for Redshift has failed: {type(error).__name__}: {error}"
                with suppress(OSError):
                    Wire(client).send(b"E", wire.told({"S": "FATAL", "C": "XX000", "M": said}))

    def _begin(self, client: Wire, backend: Wire) -> None:
        while True:
            code, body = client.first()
            if code not in (wire.SSL_REQUEST, wire.GSS_REQUEST):
                break
            client.socket.sendall(b"N")
        if code == wire.CANCEL_REQUEST:
            backend.socket.sendall((16).to_bytes(4, "big") + code.to_bytes(4, "big") + body)
            return
        parts = [part.decode() for part in body.split(b"\0")]
        given = dict(zip(parts[::2], parts[1::2], strict=False))
        database = given.get("database") or given.get("user") or USER
        with suppress(psycopg2.OperationalError):  # there is no such database: Postgres says it best
            self.prepare(database)
        backend.socket.sendall(
            wire.startup(SETTINGS | {name: given[name] for name in PASSED_ON if given.get(name)})
        )
        if "driver_version" in given:
            # redshift_connector takes the empty name that ends the list of ways to log in for one of them.
            kind, body = backend.one()
            client.send(kind, body.removesuffix(b"\0"))
        Session(client, backend, self._bucket).run()


class Session:
    """One client's connection, from the moment its greeting was passed on."""

    def __init__(self, client: Wire, backend: Wire, storage: Storage) -> None:
        """Stand between two connections."""
        self.client = client
        self.backend = backend
        self._storage = storage
        self._expected = 1  # how often the backend will still say that it is ready
        self._state = b""
        self._prepared: dict[str, Sql] = {}  # what is done here, by name of statement
        self._portals: dict[str, Sql] = {}
        self._skipping = False

    def run(self) -> None:
        """Pass messages on until one side ends.

        Raises:
            Closed: it has.
        """
        while True:
            ready, _, _ = select.select([self.client.socket, self.backend.socket], [], [])
            if self.backend.socket in ready:
                for kind, body in self.backend.arrived():
                    self._answer(kind, body)
            if self.client.socket in ready:
                for kind, body in self.client.arrived():
                    self._request(kind, body)

    # -- from the backend
    def _answer(self, kind: bytes, body: bytes) -> None:
        if kind == b"Z":
            self._expected -= 1
            self._state = body
        self.client.send(kind, _as_redshift_says(kind, body))

    def _settle(self) -> None:
        """Pass on all answers that are still to come."""
        while self._expected > 0:
            self._answer(*self.backend.one())

    # -- from the client
    def _request(self, kind: bytes, body: bytes) -> None:
        if self._skipping and kind != b"S":
            return
        match kind:
            case b"Q":
                self._simple(body[:-1].decode())
            case b"P":
                (name, query), rest = wire.texts(body, 2)
                self.backend.send(kind, wire.text(name) + wire.text(self._parsed(name, query)) + rest)
            case b"B":
                (portal, name), _ = wire.texts(body, 2)
                self._portals.pop(portal, None)
                if name in self._prepared:
                    self._portals[portal] = self._prepared[name]
                self.backend.send(kind, body)
            case b"E" if wire.texts(body, 1)[0][0] in self._portals:
                self._execute(self._portals[wire.texts(body, 1)[0][0]])
            case b"S":
                self._skipping = False
                self._expected += 1
                self.backend.send(kind, body)
            case _:
                self.backend.send(kind, body)

    def _simple(self, query: str) -> None:
        self._settle()  # what is taken depends on whether a transaction is under way
        statement = self._done_here(query)
        if statement is not None:
            self._do(statement)
            self.client.send(b"Z", self._state)
            return
        self._expected += 1
        self.backend.send(b"Q", wire.text(self._translated(query)))

    def _parsed(self, name: str, query: str) -> str:
        self._prepared.pop(name, None)
        statement = self._done_here(query)
        if statement is not None:
            self._prepared[name] = statement
            return "select"
        return self._translated(query)

    def _execute(self, statement: Sql) -> None:
        """What is done here, amid messages that wait for a Sync."""
        self.backend.send(b"S", b"")
        while True:
            kind, body = self.backend.one()
            if kind == b"Z" and self._expected == 0:
                break
            self._answer(kind, body)
        self._skipping = not self._do(statement)

    def _done_here(self, query: str) -> Sql | None:
        """The statement, if it is one that Postgres can't be asked and that is taken."""
        statements = Sql(query).statements()
        if len(statements) == 1 and statements[0][0].word in _DONE_HERE:
            return statements[0] if refusal(statements[0], in_block=self._in_block) is None else None
        return None

    @property
    def _in_block(self) -> bool:
        return self._state == b"T"

    def _translated(self, query: str) -> str:
        return translated(query, in_block=self._in_block)

    def _do(self, statement: Sql) -> bool:
        """Do it, and tell how it went; return whether it is done."""
        backend = Backend(self.backend)
        try:
            tag, notice = _DONE_HERE[statement[0].word](statement, backend, self._storage)
        except Refused as refused:
            self._fail(backend, refused)
        except NotShown as limit:
            self._fail(backend, Refused(f"the stand-in for Redshift can't show {limit}", "0A000", README))
        except (OSError, ValueError) as error:  # of files that are no such files
            self._fail(backend, Refused(f"{type(error).__name__}: {error}", "XX000", "r_COPY.html"))
        else:
            if notice:
                self.client.send(b"N", wire.told({"S": "INFO", "C": "00000", "M": notice}))
            self.client.send(b"C", wire.text(tag))
            self._state = backend.state
            return True
        return False

    def _fail(self, backend: Backend, refused: Refused) -> None:
        if refused.failed is None:
            backend.ask(_refusing(refused.code, str(refused), refused.page))  # ends the transaction
        told = wire.told({"S": "ERROR", "C": refused.code, "M": str(refused), "H": GUIDE + refused.page})
        self.client.send(b"E", _as_redshift_says(b"E", refused.failed or told))
        self._state = backend.state


_DONE_HERE: dict[str, Callable[[Sql, Backend, Storage], tuple[str, str]]] = {
    "copy": copy,
    "truncate": lambda statement, backend, _: truncate(rewritten(statement), backend),
    "unload": lambda statement, backend, storage: unload(statement, backend, storage, translated),
}


def translated(query: str, *, in_block: bool = False) -> str:
    """What Postgres is asked in place of a query: the same in its words, or a refusal that raises."""
    done = []
    for statement in Sql(query).statements():
        in_block = {"begin": True, "start": True, "commit": False, "end": False}.get(
            statement[0].word, in_block
        )
        refused = refusal(statement, in_block=in_block)
        if refused is not None:
            return _refusing(refused.code, refused.message, GUIDE + refused.page)
        try:
            if statement[0].word in _DONE_HERE:
                raise NotShown(f"{statement[0].word.upper()} in one query with other statements")
            done.append(str(rewritten(statement)))
        except NotShown as limit:
            return _refusing("0A000", f"the stand-in for Redshift can't show {limit}", README)
    return ";".join(done)


def _refusing(code: str, said: str, page: str) -> str:
    values = ", ".join("'" + value.replace("'", "''") + "'" for value in (code, said, page))
    return f"select pg_catalog.redshift_refuse({values})"


def _as_redshift_says(kind: bytes, body: bytes) -> bytes:
    """A message of Postgres' as Redshift would send it: its version, none of the stand-in's functions."""
    if kind == b"S":
        name, value, _ = body.split(b"\0")
        return wire.text(name.decode()) + wire.text(PARAMETERS.get(name.decode(), value.decode()))
    if kind == b"E":
        found = wire.fields(body)
        if "redshift_" in found.get("W", ""):
            return wire.told({field: value for field, value in found.items() if field != "W"})
    return body
