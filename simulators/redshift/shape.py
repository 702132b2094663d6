"""What stands where in a statement: queries, tables that are read, functions, types, columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from simulators.redshift.tokens import Sql, words

SET_OPERATORS = {"union", "except", "intersect", "minus"}
_VERBS = {"select", "insert", "update", "delete", "merge"}
_WITH_QUERIES = _VERBS | {"with", "create", "explain", "prepare", "declare", "("}
_CLAUSES = words("select from where on group having qualify window order limit offset set")
_BEHIND_A_TABLE = SET_OPERATORS | _CLAUSES | words(
    "using join left right full inner outer cross natural values default with as at pivot unpivot for"
    " fetch returning tablesample when"
)  # fmt: skip
# In these calls FROM names no table.
_WITH_FROM = {"extract", "trim", "substring", "overlay", "position"}
# Words before a bracket that call nothing.
_NO_CALL = SET_OPERATORS | _CLAUSES | _VERBS | words(
    "all and any as between by case check cube default distinct else end exclude exists filter"
    " foreign identity ilike in include interval into is isnull join key lateral like not notnull null"
    " only option or over partition primary recursive references returning role rollup rows sets"
    " similar some sortkey distkey table then to top unique using values view when with within zone"
)  # fmt: skip
# Words behind which a name before a bracket is one of a table with its columns.
_NAMING = {"as", "into", "table", "view", "exists", "references", "update", "recursive", "with", "merge"}
# Types that may stand before their literal, as in ``date '2026-03-01'``.
_BEFORE_LITERALS = words(
    "date timestamp timestamptz time timetz bit bytea cidr inet json jsonb macaddr money oid point uuid xml"
)
_CONSTRAINTS = words("constraint primary foreign unique check like exclude")
_CATALOGUES = ("pg_", "information_schema", "svv_", "stv_", "stl_", "svl_", "sys_", "svcs_")


@dataclass(frozen=True)
class Relation:
    """What FROM, JOIN, INTO and their like name.

    Attributes:
        at: where it stands.
        parts: its name with what qualifies it; empty for a query in brackets and for a function.
        alias: what it is called in the query.
    """

    at: int
    parts: tuple[str, ...]
    alias: str

    @property
    def name(self) -> str:
        """What its columns are qualified with."""
        return self.alias or (self.parts[-1] if self.parts else "")

    @property
    def is_catalogue(self) -> bool:
        """Whether it is one of the system's."""
        return any(part.startswith(_CATALOGUES) for part in self.parts)


@dataclass(eq=False)
class Block:
    """A query, or another statement that reads tables.

    Attributes:
        at: where its verb stands.
        outer: the block around it.
        clause: of the block around it, in which it stands.
        until: where it ends.
        places: its tokens, without those of blocks within it.
        now: the clause that was read last.
    """

    at: int
    outer: Block | None
    clause: str
    until: int
    relations: list[Relation] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    now: str = "select"

    @property
    def names(self) -> set[str]:
        """What columns of its tables can be qualified with."""
        return {relation.name for relation in self.relations}


@dataclass
class _Level:
    """One level of brackets: the block that began on it, the one around it, and what is called with it."""

    outer: Block | None
    clause: str
    called: str
    block: Block | None = None


def blocks(sql: Sql) -> list[Block]:
    """All queries of a statement, in the order in which they begin."""
    if "blocks" not in sql.known:  # each rule asks, and of a long statement it is most of the work
        sql.known["blocks"] = _blocks(sql)
    found: list[Block] = sql.known["blocks"]
    return found


def _blocks(sql: Sql) -> list[Block]:
    found: list[Block] = []
    if (sql[0].word or sql[0].text) not in _WITH_QUERIES:
        return found
    levels = [_Level(None, "", "")]
    for at, token in enumerate(sql):
        level = levels[-1]
        word = token.word if sql[at - 1].text != "." else ""
        if level.block and word in SET_OPERATORS:
            level.block.until, level.block = at, None
        if word in _VERBS and _begins(sql, at):
            if level.block:
                level.block.until = at
            level.block = Block(at, level.outer, level.clause, len(sql))
            found.append(level.block)
        owner = level.block or level.outer
        if owner:
            owner.places.append(at)
            if level.block and word in _CLAUSES and not sql.words(at - 1, "distinct", "from"):
                owner.now = word
            _relate(sql, at, word, level, owner)
        if token.text in ("(", "["):
            levels.append(
                _Level(owner, owner.now if level.block and owner else level.clause, sql[at - 1].word)
            )
        elif token.text in (")", "]") and len(levels) > 1:
            if level.block:
                level.block.until = at
            levels.pop()
    return found


def _begins(sql: Sql, at: int) -> bool:
    """All but SELECT may also stand within a statement, as in ``when matched then update``."""
    before = sql[at - 1]
    return (
        sql[at].word == "select" or at == 0 or before.text in ("(", ")") or before.word in ("as", "explain")
    )


def _relate(sql: Sql, at: int, word: str, level: _Level, owner: Block) -> None:
    """Note the relation that a word, a comma or a bracket at a place is followed by."""
    verb = sql[owner.at].word
    if level.called in _WITH_FROM or sql.words(at - 1, "distinct", "from"):
        return
    follows = word in ("from", "join") or (word == "into" and verb != "select")
    follows |= word == "update" and owner.at == at
    follows |= word == "using" and verb in ("delete", "merge")
    follows |= sql[at].text == "," and level.block is owner and owner.now == "from"
    follows |= (
        sql[at].text == "("
        and (sql[at - 1].word in ("from", "join"))
        and sql[at + 1].word not in ("select", "with")
    )
    if not follows:
        return
    if level.block is owner and word in ("join", "using"):
        owner.now = "from"
    at += 1
    while sql[at].word in ("only", "lateral", "table"):
        at += 1
    first, parts = at, []
    while sql[at].name:
        parts.append(sql[at].name)
        at += 1
        if sql[at].text != ".":
            break
        at += 1
    if sql[at].text == "(":
        if verb != "insert":
            parts = []
        at = sql.close(at) + 1
    if sql[at].word == "as":
        at += 1
    alias = "" if sql[at].word in _BEHIND_A_TABLE else sql[at].name
    owner.relations.append(Relation(first, tuple(parts), alias))


def common(sql: Sql) -> set[str]:
    """The names of the queries that WITH defines."""
    found = set()
    for at, token in enumerate(sql):
        if token.name and (sql[at - 1].word in ("with", "recursive") or sql[at - 1].text == ","):
            behind = sql.close(at + 1) + 1 if sql[at + 1].text == "(" else at + 1
            if sql.words(behind, "as", "("):
                found.add(token.name)
    return found


def reads_catalogue(sql: Sql) -> bool:
    """Whether a statement asks the system: its catalogue, or one of its functions."""
    relations = (relation for block in blocks(sql) for relation in block.relations)
    return any(relation.is_catalogue for relation in relations) or any(
        sql[at].name.startswith(("pg_", "has_")) for at in calls(sql)
    )


def reads_tables(sql: Sql) -> bool:
    """Whether a statement reads or fills tables or views of users, which is done on the compute nodes."""
    if table_name(sql) is not None:
        return True
    own = common(sql)
    return any(
        relation.parts
        and not relation.is_catalogue
        and not (len(relation.parts) == 1 and relation.name in own)
        for block in blocks(sql)
        for relation in block.relations
    )


def calls(sql: Sql) -> Iterator[int]:
    """Where functions are called; names of tables, types and aliases can stand before brackets, too."""
    types = set(type_places(sql))
    for at, token in enumerate(sql):
        if sql[at + 1].text != "(" or not token.name or token.word in _NO_CALL or at in types:
            continue
        first = at
        while sql[first - 1].text == ".":
            first -= 2
        before = sql[first - 1]
        names_a_query = before.text == "," and sql.words(sql.close(at + 1) + 1, "as", "(")
        aliases = before.text == ")" or (before.name and before.word not in _NO_CALL | {"and", "or"})
        if before.word not in _NAMING and not names_a_query and not (aliases and first == at):
            yield at


def type_places(sql: Sql) -> Iterator[int]:
    """Where names of types stand: in casts, before literals, in definitions of columns."""
    if sql[0].word in ("copy", "unload"):
        return  # JSON 'auto' is an option
    for at, token in enumerate(sql):
        if token.text == "::":
            yield at + 1
        elif token.word in ("cast", "try_cast") and sql[at + 1].text == "(":
            behind = sql.find("as", first=at + 2, until=sql.close(at + 1))
            if behind is not None:
                yield behind + 1
        elif token.word == "convert" and len(sql.arguments(at + 1)) == 2:
            yield at + 2
        elif token.word in _BEFORE_LITERALS and sql[at + 1].kind == "string":
            yield at
    for first, _ in columns(sql):
        yield first + 1


def table_name(sql: Sql) -> int | None:
    """Where the name of the table stands that a statement creates."""
    if sql[0].word != "create":
        return None
    at = 1
    while sql[at].word in ("temp", "temporary", "local"):
        at += 1
    if sql[at].word != "table":
        return None
    return at + 4 if sql.words(at + 1, "if", "not", "exists") else at + 1


def table_body(sql: Sql) -> int | None:
    """Where the bracket opens in a CREATE TABLE that holds columns with types; None if none does."""
    at = table_name(sql)
    if at is None:
        return None
    at += 1
    while sql[at].text == ".":
        at += 2
    if sql[at].text != "(":
        return None
    first, until = (sql.arguments(at) or [(at, at)])[0]
    # CREATE TABLE name (a, b) AS SELECT names columns without types.
    return at if until - first > 1 else None


def columns(sql: Sql) -> list[tuple[int, int]]:
    """From and until where each definition of a column stands, in CREATE TABLE and in ALTER TABLE."""
    if sql.words(0, "alter", "table"):
        found = []
        for at in sql.outside(2):
            first = at + 2 if sql[at + 1].word == "column" else at + 1
            if sql[at].word == "add" and sql[first].word not in _CONSTRAINTS:
                commas = [place for place in sql.outside(first) if sql[place].text == ","]
                found.append((first, commas[0] if commas else len(sql)))
            if sql.words(at, "alter", "column") and sql.words(at + 3, "type"):
                found.append((at + 3, len(sql)))
        return found
    body = table_body(sql)
    if body is None:
        return []
    return [(first, until) for first, until in sql.arguments(body) if sql[first].word not in _CONSTRAINTS]
