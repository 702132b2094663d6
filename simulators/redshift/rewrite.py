"""Redshift's SQL as Postgres' SQL: what Redshift has and Postgres has not, or means otherwise.

Functions that only have another name or meaning are made in `catalogue/`; here is what needs the statement's
text. What Redshift takes and this can't show raises `NotShown`, so that nothing passes by accident.
"""

from __future__ import annotations

from collections.abc import Callable

from simulators.redshift.definitions import define
from simulators.redshift.known import (
    FUNCTIONS_NOT_SHOWN,
    OBJECTS_NOT_SHOWN,
    SETTINGS,
    SETTINGS_NOT_SHOWN,
    STATEMENTS_NOT_SHOWN,
    TYPES_NOT_SHOWN,
    NotShown,
)
from simulators.redshift.navigation import navigate
from simulators.redshift.shape import SET_OPERATORS, Block, blocks, calls, columns, type_places
from simulators.redshift.tokens import Sql, words

# Same name in Postgres, another meaning, or a word of its grammar: `catalogue/` has them under this prefix.
PREFIX = "redshift_"
OTHERWISE = words(
    "avg concat json_serialize regexp_count regexp_instr regexp_replace regexp_substr trunc version"
)
# By their first word, as all words of a statement are looked up.
_CLAUSES_NOT_SHOWN: dict[str, list[tuple[str, ...]]] = {
    "connect": [("connect", "by")],
    "group": [("group", "by", "all")],
    "ignore": [("ignore", "nulls")],
    "pivot": [("pivot", "(")],
    "qualify": [("qualify",)],
    "remove": [("remove", "duplicates")],
    "unpivot": [("unpivot", "(")],
}
_EXACT = words("decimal numeric smallint int2 integer int int4 bigint int8")
_VACUUMS = {"full", "sort", "delete", "only", "reindex", "recluster", "boost"}
NAME_BYTES = 63


def rewritten(statement: Sql) -> Sql:
    """One statement as Postgres takes it, changed in place.

    Raises:
        NotShown: it uses what the stand-in has not.
    """
    for change in _CHANGES:
        change(statement)
        statement.known.clear()  # texts of tokens may be others now
    return statement


def _limits(sql: Sql) -> None:
    """What the stand-in has nothing for."""
    objects = [sql[at].word for at in (1, 2, 3) if sql[at].word in OBJECTS_NOT_SHOWN]
    if sql[0].word in STATEMENTS_NOT_SHOWN:
        raise NotShown(sql[0].word.upper())
    if sql[0].word in ("create", "alter", "drop") and objects:
        raise NotShown(f"{sql[0].word.upper()} {objects[0].upper()}")
    for at in calls(sql):
        if sql[at].name in FUNCTIONS_NOT_SHOWN:
            raise NotShown(f"{sql[at].name.upper()}()")
    for at in type_places(sql):
        if sql[at].name in TYPES_NOT_SHOWN:
            raise NotShown(f"the type {sql[at].name.upper()}")
    for at, token in enumerate(sql):
        for clause in _CLAUSES_NOT_SHOWN.get(token.word, ()):
            if sql.words(at, *clause) and sql[at - 1].text not in (".", ",") and sql[at - 1].word != "as":
                raise NotShown(" ".join(clause).upper())
        if token.name and len(token.name.encode()) > NAME_BYTES:
            raise NotShown(f"a name beyond {NAME_BYTES} bytes, such as {token.name}")
        if token.text == "#" and sql[at - 1].word in ("table", "into", "exists"):
            raise NotShown("a name that begins with #")


def _literals(sql: Sql) -> None:
    """A backslash escapes in texts (REGEXP_REPLACE.html), a literal's cast rounds (r_CAST_function.html)."""
    for at, token in enumerate(sql):
        if token.kind == "string" and token.text[0] == "'" and "\\" in token.text:
            token.text = "E" + token.text
        cast = sql[at + 1].text == "::" or (sql[at - 2].word == "cast" and sql[at + 1].word == "as")
        if token.kind == "number" and "." in token.text and cast:
            scale = sql[at + 6].text if sql[at + 3].text == "(" and sql[at + 5].text == "," else "0"
            if sql[at + 2].word in _EXACT:
                token.text = f"round({token.text}, {scale})"


def _names(sql: Sql) -> None:
    """Names are in lower case, quoted or not (r_names.html)."""
    for token in sql:
        if token.kind == "quoted":
            token.text = token.text.lower()


def _types(sql: Sql) -> None:
    """Lengths that are Redshift's own (r_Character_types.html, r_Numeric_types201.html)."""
    defined = {first + 1 for first, _ in columns(sql)}
    for at in sorted(set(type_places(sql)), reverse=True):
        name, bounded = sql[at].name, sql[at + 1].text == "("
        if name in ("varchar", "nvarchar", "text", "character", "char", "nchar", "bpchar", "national"):
            _text_type(sql, at, in_table=at in defined)
        elif name in ("numeric", "decimal") and not bounded:
            sql.put(at, at + 1, "numeric(18, 0)")
        elif name in ("varbyte", "varbinary", "binary"):
            until = at + 2 if sql[at + 1].word == "varying" else at + 1
            sql.put(at, sql.close(until) + 1 if sql[until].text == "(" else until, "bytea")
        elif name == "float" and not bounded:
            sql[at].text = "float8"


def _text_type(sql: Sql, at: int, *, in_table: bool) -> None:
    name, behind = sql[at].name, at + 1
    while sql[behind].word in ("character", "char", "varchar", "varying"):
        name, behind = name + sql[behind].word, behind + 1
    varying = "var" in name or name == "text"
    length = ""
    if sql[behind].text == "(":
        length, behind = sql.text(behind + 1, sql.close(behind)).lower(), sql.close(behind) + 1
        length = {"max": "65535" if varying else "4096"}.get(length, length)
    elif name == "bpchar":
        length = "256"
    elif in_table and varying:
        length = "256"  # in expressions a text is as long as it is
    sql.put(at, behind, ("varchar" if varying else "char") + (f"({length})" if length else ""))


def _calls(sql: Sql) -> None:
    """Functions whose form, not only whose name, is another."""
    for at in sorted(calls(sql), reverse=True):
        name, end = sql[at].name, sql.close(at + 1)
        arguments = [sql.text(*span) for span in sql.arguments(at + 1)]
        match name:
            case "dateadd" | "datediff" | "date_part" | "date_trunc" if sql[at + 2].kind == "word":
                sql[at + 2].text = f"'{sql[at + 2].word}'"
            case "extract":
                source = sql.text(at + 4, end)
                sql.put(at, end + 1, f"{PREFIX}part('{sql[at + 2].text.strip(chr(39))}', {source})")
            case "nvl":
                sql[at].text = "coalesce"
            case "nvl2":
                value, given, missing = arguments
                sql.put(at, end + 1, f"case when ({value}) is not null then {given} else {missing} end")
            case "decode":
                sql.put(at, end + 1, _decoded(arguments))
            case "try_cast":
                sql.put(at, end + 1, _tried(sql, at, end))
            case "convert" if len(arguments) == 2:
                sql.put(at, end + 1, f"cast({arguments[1]} as {arguments[0]})")
            case "median":
                sql.put(at, end + 1, f"percentile_cont(0.5) within group (order by {arguments[0]})")
            case "listagg":
                _listed(sql, at, end, arguments)
            case "array" | "object":
                sql.put(at, end + 1, f"cast(jsonb_build_{name}({', '.join(arguments)}) as super)")
            case _ if name in OTHERWISE:
                sql[at].text = PREFIX + name


def _decoded(arguments: list[str]) -> str:
    value, rest = arguments[0], arguments[1:]
    default = rest.pop() if len(rest) % 2 else "null"
    pairs = zip(rest[::2], rest[1::2], strict=True)
    # Unlike CASE, DECODE takes two nulls as equal (r_DECODE_expression.html).
    whens = " ".join(
        f"when ({value}) is not distinct from ({found}) then {result}" for found, result in pairs
    )
    return f"case {whens} else {default} end"


def _tried(sql: Sql, at: int, end: int) -> str:
    behind = sql.find("as", first=at + 2, until=end) or end
    value, kind = sql.text(at + 2, behind), sql.text(behind + 1, end)
    # The cast stands outside, or Postgres would try it on a constant before it asks.
    checked = (
        f"case when pg_input_is_valid(cast(({value}) as text), '{kind}') then cast(({value}) as text) end"
    )
    return f"cast({checked} as {kind})"


def _listed(sql: Sql, at: int, end: int, arguments: list[str]) -> None:
    """LISTAGG leaves out empty texts and ends at the longest VARCHAR (r_LISTAGG.html)."""
    distinct = "distinct " if sql[at + 2].word == "distinct" else ""
    value = arguments[0].removeprefix(sql[at + 2].text) if distinct else arguments[0]
    separator = arguments[1] if len(arguments) > 1 else "''"
    order, until = "", end + 1
    if sql.words(end + 1, "within", "group", "("):
        until = sql.close(end + 3) + 1
        order = " " + sql.text(end + 4, until - 1)
    if sql[until].word == "over":
        raise NotShown("LISTAGG() OVER")
    if distinct and order:
        raise NotShown("LISTAGG(DISTINCT ...) with an order")
    listed = f"string_agg({distinct}nullif(cast({value} as varchar), ''), {separator}{order})"
    sql.put(at, until, f"{PREFIX}listed({listed})")


def _words(sql: Sql) -> None:
    """Words that Postgres has others for."""
    for block in reversed(blocks(sql)):
        _top(sql, block)
    for at in range(len(sql) - 1, -1, -1):
        word = sql[at].word if sql[at - 1].text != "." else ""
        if word == "minus" and (sql[at + 1].word == "select" or sql[at + 1].text == "("):
            sql[at].text = "except"
        elif word == "sysdate":
            sql[at].text = f"{PREFIX}sysdate()"
        elif (word == "approximate" and sql[at + 1].word == "count") or sql.words(at, "respect", "nulls"):
            sql.put(at, at + (1 if word == "approximate" else 2), "")
        elif word == "delete" and at == blocks_begin(sql) and sql[at + 1].word != "from":
            sql[at].text = "delete from"


def blocks_begin(sql: Sql) -> int:
    """Where the verb of a statement stands behind its WITH."""
    return next(
        (block.at for block in blocks(sql) if block.outer is None and sql[block.at].word != "select"), 0
    )


def _top(sql: Sql, block: Block) -> None:
    """SELECT TOP number (r_SELECT_list.html)."""
    at = block.at + 2 if sql[block.at + 1].word in ("distinct", "all") else block.at + 1
    if sql[at].word != "top" or sql[at + 1].kind != "number":
        return
    if sql[block.until].word in SET_OPERATORS or sql[block.at - 1].word in SET_OPERATORS:
        raise NotShown("TOP within UNION and its like")
    sql.put(block.until, block.until, f" limit {sql[at + 1].text}")
    sql.put(at, at + 2, "")


def _commands(sql: Sql) -> None:
    """Statements about the session, rights and housekeeping."""
    first = sql[0].word
    words = [token.word for token in sql]
    if first in ("set", "reset", "show"):
        at = 2 if sql[1].word in ("session", "local") else 1
        if sql[at].name in SETTINGS_NOT_SHOWN and first == "set":
            raise NotShown(f"SET {sql[at].name}")
        if sql[at].name in SETTINGS:
            sql[at].text = f"redshift.{sql[at].name}"
    if first in ("grant", "revoke") or words[:2] == ["alter", "default"]:
        # Postgres has one kind of grantee, which it names without saying so.
        for at in range(len(sql) - 2, 0, -1):
            behind = sql[at - 1].word in ("to", "from", "grant", "revoke") or sql[at - 1].text == ","
            if words[at] in ("role", "group") and behind and sql[at + 1].name not in ("to", "from", ""):
                sql.put(at, at + 1, "")
        _scoped(sql)
    if first == "vacuum":
        kept = [at for at in range(1, len(sql)) if words[at] not in _VACUUMS]
        until = next((at for at in kept if words[at] == "to"), len(sql))
        sql.put(1, len(sql), " " + "".join(sql[at].text for at in kept if at < until))
    if first == "analyze":
        choice = sql.find("predicate", "all")
        if choice is not None and sql[choice + 1].word == "columns":
            sql.put(choice, choice + 2, "")
    if first == "lock":
        sql.put(len(sql), len(sql), " in access exclusive mode")


def _scoped(sql: Sql) -> None:
    """Rights on the tables that a schema has and will have (t_scoped-permissions.html)."""
    scope = next((at for at in range(len(sql)) if sql.words(at, "for", "tables", "in", "schema")), None)
    if scope is None:
        return
    parties = sql.find("to", "from", first=scope)
    if parties is None or sql.find("with", "grant", first=parties) is not None:
        raise NotShown("rights FOR TABLES IN SCHEMA without TO or FROM, or WITH GRANT OPTION")
    rights, schemas, names = (
        ", ".join(_literal(token.name) for token in sql.tokens[first:until] if token.text != ",")
        for first, until in ((1, scope), (scope + 4, parties), (parties + 1, len(sql)))
    )
    called = f"redshift_scope('{sql[0].word}', array[{rights}], array[{schemas}], array[{names}])"
    sql.put(0, len(sql), f"do $$ begin perform pg_catalog.{called}; end $$")


def _literal(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"


_CHANGES: list[Callable[[Sql], None]] = [
    _limits,
    _literals,
    _names,
    _types,
    navigate,
    _calls,
    _words,
    define,
    _commands,
]
