"""What tables and views are made of, and what may be changed in them."""

from __future__ import annotations

from collections.abc import Iterator

from simulators.redshift.known import SYSTEM_COLUMNS
from simulators.redshift.refusals.rule import FEATURES, Refusal, rule, syntax, unsupported, wrong
from simulators.redshift.shape import blocks, columns, common, table_body, table_name
from simulators.redshift.tokens import Sql

_CREATE, _ALTER = "r_CREATE_TABLE_NEW.html", "r_ALTER_TABLE.html"
_NO_SYNTAX = {"inherits", "tablespace", "unlogged", "without", "exclude"}
_NO_KEYS = {"super", "varbyte", "varbinary", "geometry", "geography", "hllsketch"}
# What ALTER COLUMN may change.
_COLUMN_CHANGES = {"type", "encode"}


@rule
def created(sql: Sql) -> Iterator[Refusal]:
    """CREATE TABLE."""
    if sql.words(0, "create", "unlogged"):
        yield syntax("unlogged", FEATURES)
    at = table_name(sql)
    if at is None:
        return
    body = table_body(sql)
    behind = sql.close(body) + 1 if body is not None else at
    query = sql.find("as", first=behind)
    if query is not None and sql[at - 1].word == "exists":
        yield syntax("as", "r_CREATE_TABLE_AS.html")
    for place in sql.outside(behind, query):
        if (
            sql[place].word in _NO_SYNTAX
            or sql.words(place, "partition", "by")
            or sql.words(place, "on", "commit")
        ):
            yield syntax(sql[place].text, FEATURES)
        if sql.words(place, "with", "("):
            yield syntax("with", _CREATE)
    if body is not None:
        yield from _body(sql, body)
        yield from _keys(sql, behind)


def _body(sql: Sql, body: int) -> Iterator[Refusal]:
    for first, until in sql.arguments(body):
        words = [sql[place].word for place in sql.outside(first, until)]
        if "check" in words:
            yield unsupported("CHECK constraint", FEATURES)
        if "exclude" in words:
            yield unsupported("EXCLUDE constraint", FEATURES)
        if "stored" in words or "virtual" in words:
            yield unsupported("generated column", _CREATE)
        if words[:1] == ["like"] and "including" in words and "defaults" not in words:
            yield syntax(words[-1], _CREATE)
    primary = sum(sql.words(at, "primary", "key") for at in range(body, sql.close(body)))
    if primary > 1:
        yield wrong("multiple primary keys for a table are not allowed", _CREATE)
    for first, _ in columns(sql):
        if sql[first].name in SYSTEM_COLUMNS:
            yield wrong(f'column name "{sql[first].name}" conflicts with a system column name', FEATURES)


def _keys(sql: Sql, behind: int) -> Iterator[Refusal]:
    """Of distribution and order."""
    distributed, sorted_by, types = [], [], {}
    for first, until in columns(sql):
        words = [sql[at].word for at in sql.outside(first + 1, until)]
        types[sql[first].name] = sql[first + 1].name
        distributed += [sql[first].name] * words.count("distkey")
        sorted_by += [sql[first].name] * words.count("sortkey")
        yield from _identity(sql, first, until)
    style = ""
    for at in sql.outside(behind):
        if sql[at].word == "diststyle":
            style = sql[at + 1].word
        if sql[at].word in ("distkey", "sortkey") and sql[at + 1].text == "(":
            named = [sql[place].name for place in range(at + 2, sql.close(at + 1)) if sql[place].name]
            distributed += named if sql[at].word == "distkey" else []
            sorted_by += named if sql[at].word == "sortkey" else []
            if sql[at - 1].word == "interleaved" and len(named) > 8:
                yield wrong("an interleaved sort key can't have more than 8 columns", _CREATE)
    if len(distributed) > 1:
        yield wrong("a table can have one DISTKEY only", _CREATE)
    if style == "key" and not distributed:
        yield wrong("DISTSTYLE KEY needs a DISTKEY", _CREATE)
    if style not in ("", "key") and distributed:
        yield wrong(f"a DISTKEY can't be with DISTSTYLE {style.upper()}", _CREATE)
    for name in (*distributed, *sorted_by):
        if name not in types:
            yield Refusal(f'column "{name}" named in key does not exist', "42703", _CREATE)
        elif types[name] in _NO_KEYS:
            yield wrong(f'column "{name}" of type {types[name]} can\'t be a key', "limitations-super.html")


def _identity(sql: Sql, first: int, until: int) -> Iterator[Refusal]:
    at = sql.find("identity", first=first + 1, until=until)
    if at is not None and sql[first + 1].name not in ("int", "integer", "int4", "bigint", "int8"):
        yield wrong("an IDENTITY column must be INT or BIGINT", _CREATE)
    if at is not None and len(sql.arguments(at + 1)) != 2:
        yield syntax(sql[at + 1].text, _CREATE)


@rule
def altered(sql: Sql) -> Iterator[Refusal]:
    """ALTER TABLE."""
    if not sql.words(0, "alter", "table"):
        return
    if sql[2].word in ("if", "only"):
        yield syntax(sql[2].text, _ALTER)
    actions = [at for at in sql.outside(2) if sql[at].word in ("add", "drop", "alter", "set")]
    if not actions:
        return
    action = actions[0]
    column = action + 2 if sql[action + 1].word == "column" else action + 1
    if any(sql[at].text == "," for at in sql.outside(action)) and sql[action].word in ("add", "drop"):
        yield syntax(",", _ALTER)
    if sql[action].word == "set":
        yield syntax("set", _ALTER)
    if sql[column].word == "if":
        yield syntax("if", _ALTER)
    if sql[action].word == "add":
        yield from _added(sql, action)
    if sql.words(action, "alter", "column"):
        change = sql[column + 1].word
        if change not in _COLUMN_CHANGES:
            yield syntax(sql[column + 1].text, _ALTER)
        elif change == "type":
            if sql[column + 2].word not in ("varchar", "character", "nvarchar"):
                yield unsupported("ALTER COLUMN TYPE of a column that is not VARCHAR", _ALTER)
            yield Refusal(
                "ALTER TABLE ALTER COLUMN cannot run inside a transaction block", "25001", _ALTER, True
            )


def _added(sql: Sql, action: int) -> Iterator[Refusal]:
    words = [sql[at].word for at in sql.outside(action)]
    if "check" in words:
        yield unsupported("CHECK constraint", FEATURES)
    if not columns(sql):
        return
    for word in ("unique", "primary", "references", "identity", "distkey", "sortkey"):
        if word in words:
            yield unsupported(f"ADD COLUMN with {word.upper()}", _ALTER)


@rule
def views(sql: Sql) -> Iterator[Refusal]:
    """CREATE VIEW."""
    view = sql.find("view", until=4)
    if sql[0].word != "create" or view is None or sql[view - 1].word == "materialized":
        return
    if sql.words(len(sql) - 2, "check", "option"):
        yield syntax("check", "r_CREATE_VIEW.html")
    if sql.words(len(sql) - 4, "with", "no", "schema", "binding"):
        own = common(sql)
        for relation in (relation for block in blocks(sql) for relation in block.relations):
            if len(relation.parts) == 1 and relation.parts[0] not in own:
                yield wrong(
                    f"a view with no schema binding must name the schema of {relation.parts[0]}",
                    "r_CREATE_VIEW.html",
                )
