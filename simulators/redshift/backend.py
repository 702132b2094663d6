"""The session's own connection to Postgres, asked between the client's requests; TRUNCATE, which commits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from simulators.redshift import wire
from simulators.redshift.tokens import Sql
from simulators.redshift.wire import Wire


class Refused(Exception):
    """Redshift would end the command with this.

    Attributes:
        code: the SQLSTATE.
        page: of Redshift's guide.
        failed: the backend's own error, if it was that.
    """

    def __init__(self, said: str, code: str, page: str, failed: bytes | None = None) -> None:
        """Say it in Redshift's words."""
        super().__init__(said)
        self.code, self.page, self.failed = code, page, failed


@dataclass(frozen=True)
class Target:
    """A column that is filled.

    Attributes:
        kind: its type, as Postgres writes it.
    """

    name: str
    kind: str
    filled: bool


class Backend:
    """Postgres, while no request of the client's is under way.

    Attributes:
        state: of the transaction, as the last answer told it.
        error: how the last statement has failed, if it has.
        columns: of the last result.
    """

    def __init__(self, connection: Wire) -> None:
        """Use a connection on which no answer is still to come."""
        self._wire = connection
        self.state = b""
        self.error: bytes | None = None
        self.columns: list[wire.Column] = []

    def ask(self, query: str, feed: Iterator[bytes] | None = None) -> tuple[list[list[str | None]], bytes]:
        """Run a statement to its end.

        Args:
            feed: what a COPY FROM STDIN reads.

        Returns:
            The rows of its result, and what a COPY TO STDOUT wrote. After an error, `error` has it.
        """
        self.error = None
        self._wire.send(b"Q", wire.text(query))
        rows: list[list[str | None]] = []
        written = bytearray()
        failure: Exception | None = None
        while True:
            kind, body = self._wire.one()
            match kind:
                case b"G":
                    try:
                        for block in feed or ():
                            self._wire.send(b"d", block)
                        self._wire.send(b"c", b"")
                    except Exception as error:
                        failure = error
                        self._wire.send(b"f", wire.text(str(error)))
                case b"T":
                    self.columns = wire.described(body)
                case b"D":
                    rows.append(wire.row(body))
                case b"d":
                    written += body
                case b"E":
                    self.error = body
                case b"Z":
                    self.state = body
                    if failure is not None:
                        self.error = None
                        raise failure
                    return rows, bytes(written)

    def must(self, query: str, feed: Iterator[bytes] | None = None) -> tuple[list[list[str | None]], bytes]:
        """As `ask`, but an error is one.

        Raises:
            Refused: it has failed.
        """
        answer = self.ask(query, feed)
        if self.error is not None:
            said = wire.fields(self.error)
            raise Refused(said.get("M", ""), said.get("C", ""), "", failed=self.error)
        return answer

    def targets(self, table: str) -> list[Target]:
        """The columns of a table, named as in a statement.

        Raises:
            Refused: there is no such table.
        """
        quoted = table.replace("'", "''").lower()
        rows, _ = self.must(
            "select attname, format_type(atttypid, atttypmod), attnotnull from pg_attribute"  # noqa: S608
            f" where attrelid = '{quoted}'::regclass and attnum > 0 and not attisdropped order by attnum"
        )
        return [Target(str(name), str(kind), filled == "t") for name, kind, filled in rows]


def truncate(statement: Sql, backend: Backend) -> tuple[str, str]:
    """Empty a table and commit what has been done so far (r_TRUNCATE.html).

    Returns:
        The command's tag, and what there is to be told: nothing.

    Raises:
        Refused: it can't be emptied.
    """
    backend.must(str(statement))
    backend.must("commit")
    return "TRUNCATE TABLE", ""
