"""Kinds of statements, and what they may say of the session, of rights and of housekeeping."""

from __future__ import annotations

from collections.abc import Iterator

from simulators.redshift.known import OBJECTS, STATEMENTS
from simulators.redshift.refusals.rule import FEATURES, FUNCTIONS, Refusal, rule, syntax, unsupported
from simulators.redshift.tokens import Sql

# Words between CREATE and what is created.
_MANNERS = {"or", "replace", "temp", "temporary", "local"}


@rule
def kinds(sql: Sql) -> Iterator[Refusal]:
    """Statements that Redshift has not, and what can't be made or dropped there."""
    first = sql[0].word or sql[0].text
    if first not in STATEMENTS and first != "(":
        yield syntax(sql[0].text, "c_SQL_commands.html")
    if first in ("create", "drop", "alter"):
        at = 1
        while sql[at].word in _MANNERS:
            at += 1
        if sql[at].word not in OBJECTS and sql[at].word != "default":
            yield unsupported(f'SQL command "{first.upper()} {sql[at].text.upper()}"', FEATURES)
        if first == "create" and sql[at].word == "table" and sql[1].word == "or":
            yield syntax("table", "r_CREATE_TABLE_NEW.html")
    if first == "rollback" and sql.find("to") is not None:
        yield unsupported("ROLLBACK TO SAVEPOINT", FUNCTIONS)
    if first == "explain" and (sql[1].word == "analyze" or sql.words(1, "(", "analyze")):
        yield syntax(sql[1].text, "r_EXPLAIN.html")


@rule
def housekeeping(sql: Sql) -> Iterator[Refusal]:
    """COPY, TRUNCATE, LOCK, VACUUM and ANALYZE take other options than in Postgres."""
    last = sql[len(sql) - 1]
    match sql[0].word:
        case "copy":
            source = sql.find("from")
            if source is None or sql[source + 1].kind != "string" or "://" not in sql[source + 1].text:
                yield unsupported("COPY from or to anything but S3 and its like", "r_COPY.html")
        case "truncate" if any(token.text == "," for token in sql) or last.word in (
            "cascade",
            "restrict",
            "identity",
        ):
            yield syntax(last.text, "r_TRUNCATE.html")
        case "lock" if last.word in ("mode", "nowait"):
            yield syntax(sql[len(sql) - 1].text, "r_LOCK.html")
        case "vacuum" if sql[1].text == "(" or sql[1].word in ("analyze", "verbose", "freeze"):
            yield syntax(sql[1].text, "r_VACUUM_command.html")
        case "analyze" if sql[1].text == "(":
            yield syntax("(", "r_ANALYZE.html")
