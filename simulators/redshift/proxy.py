"""The stand-in's server: takes Redshift's clients, and asks the embedded Postgres in their place.

`with Redshift(server, s3=endpoint) as redshift: redshift.port`. What a client says is passed on message by message;
SQL is refused or rewritten on its way, COPY and UNLOAD are done here.
"""

from __future__ import annotations

import logging
import re
import select
import socket
import threading
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg2

from loaders._core.embedded import HOST, USER, EmbeddedWarehouse
from simulators.redshift import bulk, wire
from simulators.redshift.refuse import GUIDE, refusal
from simulators.redshift.rewrite import NotShown, rewritten
from simulators.redshift.tokens import Sql
from simulators.redshift.wire import Closed, Wire

_log = logging.getLogger(__name__)
CATALOGUE = Path(__file__).with_name("catalogue.sql")
PASSED_ON = ("user", "database", "application_name", "client_encoding")
# What Redshift says of itself.
PARAMETERS = {"server_version": "8.0.2", "standard_conforming_strings": "off"}


class Redshift:
    """A stand-in for a cluster on a free port of the loopback interface, as a context manager.

    Its databases, logins and passwords are those of the embedded Postgres.

    Args:
        server: a running embedded Postgres; a database gets Redshift's catalogue when it is first connected to.
        s3: address of the S3 that COPY reads and UNLOAD writes.
    """

    def __init__(self, server: EmbeddedWarehouse, *, s3: str = "", port: int = 0) -> None:
        self.server = server
        self.port = port
        self._bucket = bulk.Storage(s3)
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
        """Make sure that a database has Redshift's catalogue; asked for each session, as databases are made anew."""
        with closing(self.server.connect(database)) as connection, connection, connection.cursor() as cursor:
            # Two sessions may have the same thought.
            cursor.execute("select pg_advisory_xact_lock(5439)")
            cursor.execute("select to_regtype('pg_catalog.super') is null")
            if cursor.fetchone()[0]:
                cursor.execute(CATALOGUE.read_text())

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
        try:
            with client, backend:
                self._begin(Wire(client), Wire(backend))
        except Closed:
            pass
        except Exception:
            _log.exception("a session with the stand-in for Redshift has failed")

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
        try:
            self.prepare(database)
        except psycopg2.OperationalError:
            pass  # there is no such database: Postgres says it best
        backend.socket.sendall(wire.startup({name: given[name] for name in PASSED_ON if given.get(name)}))
        if "driver_version" in given:
            # redshift_connector takes the empty name that ends the list of ways to log in for one of them.
            kind, body = backend.one()
            client.send(kind, body.removesuffix(b"\0"))
        Session(client, backend, self._bucket).run()


class Session:
    """One client's connection, from the moment its greeting was passed on."""

    def __init__(self, client: Wire, backend: Wire, bucket: bulk.Storage) -> None:
        self.client = client
        self.backend = backend
        self.bucket = bucket
        self._expected = 1  # how often the backend will still say that it is ready
        self._prepared: dict[str, Sql] = {}  # COPY and UNLOAD by name of statement
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
        statements = Sql(query).statements()
        if len(statements) == 1 and _is_bulk(statements[0]) and refusal(statements[0]) is None:
            self._settle()
            _, state = self._transfer(statements[0])
            self.client.send(b"Z", state)
            return
        self._expected += 1
        self.backend.send(b"Q", wire.text(translated(query)))

    def _parsed(self, name: str, query: str) -> str:
        self._prepared.pop(name, None)
        statements = Sql(query).statements()
        if len(statements) == 1 and _is_bulk(statements[0]) and refusal(statements[0]) is None:
            self._prepared[name] = statements[0]
            return "select"
        return translated(query)

    def _execute(self, statement: Sql) -> None:
        """A COPY or UNLOAD amid messages that wait for a Sync."""
        self.backend.send(b"S", b"")
        while True:
            kind, body = self.backend.one()
            if kind == b"Z" and self._expected == 0:
                break
            self._answer(kind, body)
        done, _ = self._transfer(statement)
        self._skipping = not done

    def _transfer(self, statement: Sql) -> tuple[bool, bytes]:
        """Do a COPY or UNLOAD and say how it ended: whether it is done, and the state of the transaction."""
        backend = bulk.Backend(self.backend)
        try:
            tag, notice = bulk.transfer(statement, backend, self.bucket, translated)
            self.client.send(b"N", wire.told({"S": "INFO", "C": "00000", "M": notice}))
            self.client.send(b"C", wire.text(tag))
        except bulk.Refused as refused:
            if refused.failed is None:
                backend.ask(_refusing(refused.code, str(refused), refused.page))  # ends the transaction
            said = wire.told({"S": "ERROR", "C": refused.code, "M": str(refused), "H": GUIDE + refused.page})
            self.client.send(b"E", _as_redshift_says(b"E", refused.failed or said))
            return False, backend.state
        return True, backend.state


def translated(query: str) -> str:
    """What Postgres is asked in place of a query: the same in its words, or a refusal that raises."""
    done = []
    for statement in Sql(query).statements():
        refused = refusal(statement)
        if refused is not None:
            return _refusing(refused.code, refused.message, GUIDE + refused.page)
        try:
            done.append(str(rewritten(statement)))
        except NotShown as limit:
            return _refusing("0A000", f"the stand-in for Redshift can't show {limit}", "simulators/redshift/README.md")
    return ";".join(done)


def _refusing(code: str, said: str, page: str) -> str:
    values = ", ".join("'" + value.replace("'", "''") + "'" for value in (code, said, page))
    return f"select pg_catalog.redshift_refuse({values})"


def _is_bulk(statement: Sql) -> bool:
    return statement[0].word in ("copy", "unload")


def _as_redshift_says(kind: bytes, body: bytes) -> bytes:
    """A message of Postgres' as Redshift would have it."""
    if kind == b"S":
        name, value, _ = body.split(b"\0")
        return wire.text(name.decode()) + wire.text(PARAMETERS.get(name.decode(), value.decode()))
    if kind == b"E":
        found = wire.fields(body)
        if limit := re.match(r"redshift_bytes_(\d+)_", found.get("n", "")):
            found |= {"C": "22001", "M": f"value too long for type character varying({limit[1]})"}
            return wire.told(found)
    return body
