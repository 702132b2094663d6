"""Reads the steps of deploy/warehouse: what each does, how it is undone, what the warehouse has after it."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from _changes.facts import (
    PUBLIC,
    Change,
    Engine,
    Fact,
    Member,
    On,
    Right,
    Role,
    Schema,
    SearchPath,
    There,
    Withheld,
)
from loaders._core.errors import ConfigurationError

KINDS = ("schemas", "roles", "grants", "members", "search_paths", "unmanaged", "sql")
REVERSE = "reverse"
_ID = re.compile(r"(\d{3,})-[a-z0-9]+(?:-[a-z0-9]+)*")
_PARTS = re.compile(
    r"""[eE]'(?:\\.|''|[^'\\])*' | '(?:''|[^'])*' | "(?:""|[^"])*" | --[^\n]* | /\*.*?\*/
    | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | ;""",
    re.DOTALL | re.VERBOSE,
)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_ENDS_TRANSACTION = re.compile(r"(begin|start|commit|end|rollback|abort|prepare|savepoint|release)\b", re.I)
_PASSWORD = re.compile(r"\bpassword\s+'", re.I)
# What an engine runs in no transaction, or what ends the one it is in. Redshift: r_VACUUM_command.html,
# r_TRUNCATE.html, r_ALTER_TABLE_APPEND.html, r_ALTER_TABLE.html (types of columns, external tables),
# r_CREATE_DATABASE.html, r_CREATE_EXTERNAL_TABLE.html, all below https://docs.aws.amazon.com/redshift/latest/dg/.
# Postgres: the pages of these commands below https://www.postgresql.org/docs/current/.
_NO_TRANSACTION: dict[Literal["postgres", "redshift"], re.Pattern[str]] = {
    "redshift": re.compile(
        r"vacuum\b|truncate\b|alter\s+table\s+\S+\s+append\b|alter\s+table\s+\S+\s+alter\s+column\s+\S+\s+type\b"
        r"|(?:create|drop)\s+database\b|(?:create|drop)\s+external\s+table\b",
        re.I,
    ),
    "postgres": re.compile(
        r"vacuum\b|(?:create|drop)\s+(?:database|tablespace)\b|alter\s+system\b"
        r"|(?:create\s+(?:unique\s+)?index|drop\s+index|reindex\b.*)\s+concurrently\b",
        re.I,
    ),
}

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=127)]
Sql = str | dict[Literal["postgres", "redshift"], str]


class Grant(msgspec.Struct, forbid_unknown_fields=True, rename={"excluded": "except"}):
    """Rights of roles. `only` and `except` name tables of the schemas; `made_by`: later tables of whom."""

    to: list[Name]
    schemas: list[Name] = []
    on_database: list[Literal["create"]] = []
    on_schemas: list[Literal["usage", "create"]] = []
    on_tables: list[Literal["select", "insert", "update", "delete", "truncate", "references"]] = []
    only: list[Name] = []
    excluded: list[Name] = []
    made_by: list[Name] = []


class Impossible(msgspec.Struct, forbid_unknown_fields=True):
    """There is no way back, and why."""

    impossible: Annotated[str, msgspec.Meta(min_length=10)]


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """A step as it is written."""

    id: str
    owner: Name
    reason: Annotated[str, msgspec.Meta(min_length=10)]
    rollback: str | dict[str, str]
    schemas: list[Name] | None = None
    roles: list[Name] | None = None
    grants: list[Grant] | None = None
    members: dict[Name, list[Name]] | None = None
    search_paths: dict[Name, list[Name]] | None = None
    unmanaged: list[Name] | None = None
    sql: Sql | None = None
    remove: bool = False
    transaction: bool = True


@dataclass
class State:
    """What the steps up to one of them say that the warehouse has, each thing with the step that says so.

    Attributes:
        paths: search path of a role's members, or of a user.
        unmanaged: patterns of schemas that others make and that are not looked at.
    """

    facts: dict[Fact, str] = field(default_factory=dict)
    paths: dict[str, tuple[tuple[str, ...], str]] = field(default_factory=dict)
    unmanaged: dict[str, str] = field(default_factory=dict)

    def copy(self) -> State:
        """One that can be changed by itself."""
        return State(dict(self.facts), dict(self.paths), dict(self.unmanaged))

    @property
    def roles(self) -> frozenset[str]:
        """The names of all roles."""
        return frozenset(fact.name for fact in self.facts if isinstance(fact, Role))

    @property
    def schemas(self) -> frozenset[str]:
        """The names of all schemas."""
        return frozenset(fact.name for fact in self.facts if isinstance(fact, Schema))

    def of(self, engine: str) -> dict[Fact, str]:
        """The facts as an engine has them: search paths are users'; only Postgres asks who makes a table."""
        found = {
            fact: step
            for fact, step in self.facts.items()
            if engine == "postgres" or not (isinstance(fact, Right) and fact.on is On.LATER_TABLES)
        }
        roles = self.roles
        for who, (path, step) in self.paths.items():
            if who not in roles:
                found[SearchPath(who, path)] = step
        for fact, step in self.facts.items():
            if (
                isinstance(fact, Member)
                and fact.role in self.paths
                and fact.member not in {*roles, *self.paths}
            ):
                found[SearchPath(fact.member, self.paths[fact.role][0])] = step
        return found


@dataclass(frozen=True)
class Step:
    """One step.

    Attributes:
        file: where it is written.
        sql: its statements by engine; None if it declares facts.
        undo: as `sql`; None if it is undone by the reverse of its facts, a text if it can't be.
        before, after: what the warehouse has without and with it.
        checksum: of what it does; not of who owns it, why, and how it is undone.
    """

    id: str
    file: str
    owner: str
    reason: str
    kind: str
    transaction: bool
    sql: dict[str, list[str]] | None
    undo: dict[str, list[str]] | str | None
    before: State
    after: State
    checksum: str

    def changes(self, engine: Engine, there: There, *, backwards: bool = False) -> list[Change]:
        """What a step that declares facts changes, or its rollback."""
        first, last = (self.after, self.before) if backwards else (self.before, self.after)
        had, has = first.of(engine.kind), last.of(engine.kind)
        return engine.changes(
            [fact for fact in has if fact not in had], [fact for fact in had if fact not in has], there
        )

    def statements(self, engine: Engine, there: There) -> list[str]:
        """What it runs."""
        if self.sql is not None:
            return self.sql.get(engine.kind, [])
        return [change.sql for change in self.changes(engine, there)]

    def rollback(self, engine: Engine, there: There) -> list[str]:
        """What undoes it.

        Raises:
            ConfigurationError: it says that nothing does.
        """
        if isinstance(self.undo, str):
            raise ConfigurationError(f"{self.id} can't be rolled back: {self.undo}")
        if self.undo is not None:
            return self.undo.get(engine.kind, [])
        return [change.sql for change in self.changes(engine, there, backwards=True)]


def load(folder: Path) -> list[Step]:
    """The steps of all files of a folder, in their order.

    Raises:
        ConfigurationError: a file or step is not as it has to be; the message names both.
    """
    files = sorted(folder.glob("*.yml"))
    if not files:
        raise ConfigurationError(f"there are no steps (*.yml) in {folder}")
    steps: list[Step] = []
    for file in files:
        for document in _documents(file):
            steps.append(_step(document, file.name, steps))
    return steps


def statements(text: str) -> list[str]:
    """The statements of a text of SQL; those that are only comments are left out."""
    ends = [part.start() for part in _PARTS.finditer(text) if part[0] == ";"]
    starts = [0, *(end + 1 for end in ends)]
    parts = [text[start:end].strip() for start, end in zip(starts, [*ends, len(text)], strict=True)]
    return [part for part in parts if _COMMENT.sub("", part).strip()]


class _Strict(yaml.SafeLoader):
    """As PyYAML's own, which takes the last of two equal keys; here they are an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        keys = [self.construct_object(key) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands there twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


def _documents(file: Path) -> list[Any]:
    try:
        found = yaml.load(file.read_text(), _Strict)  # noqa: S506  (a SafeLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file.name} is no valid YAML: {error}") from None
    if not isinstance(found, list) or not found:
        raise ConfigurationError(f"{file.name} has to be a list of steps, each of which begins with `- id:`")
    return found


def _step(found: Any, file: str, earlier: Sequence[Step]) -> Step:
    named = found.get("id") if isinstance(found, dict) else None
    where = f"{file}, {f'step {named}' if named else 'a step without id'}"
    try:
        document = msgspec.convert(found, Document)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    try:
        _check_id(document.id, earlier)
        kinds = [kind for kind in KINDS if getattr(document, kind) is not None]
        if len(kinds) != 1:
            raise ConfigurationError(
                f"it needs exactly one of {', '.join(KINDS)}, and has {', '.join(kinds) or 'none'}"
            )
        before = earlier[-1].after if earlier else State()
        after = before.copy()
        _change(after, document, kinds[0])
        sql = _sql(document.sql, document.transaction) if document.sql is not None else None
        if sql is None and not document.transaction:
            raise ConfigurationError("`transaction: false` is for sql; what is declared runs in one")
        if sql is not None and document.remove:
            raise ConfigurationError("`remove` is for what is declared; sql says itself what it does")
        undo = _undo(document)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error.message}") from None
    does = [kinds[0], msgspec.to_builtins(getattr(document, kinds[0])), document.remove, document.transaction]
    return Step(
        id=document.id,
        file=file,
        owner=document.owner,
        reason=" ".join(document.reason.split()),
        kind=kinds[0],
        transaction=document.transaction,
        sql=sql,
        undo=undo,
        before=before,
        after=after,
        checksum=hashlib.sha256(json.dumps(does, sort_keys=True).encode()).hexdigest(),
    )


def _check_id(wanted: str, earlier: Sequence[Step]) -> None:
    match = _ID.fullmatch(wanted)
    if not match:
        raise ConfigurationError("its id has to be a number of three digits or more and a name: 120-sales")
    for step in earlier:
        if step.id == wanted:
            raise ConfigurationError(f"{step.file} has a step of that id already")
    if earlier and int(match[1]) <= int(earlier[-1].id.partition("-")[0]):
        raise ConfigurationError(
            f"its number has to be higher than that of {earlier[-1].id} ({earlier[-1].file}) before it"
        )


def _undo(document: Document) -> dict[str, list[str]] | str | None:
    rollback = document.rollback
    if isinstance(rollback, dict) and "impossible" in rollback:
        try:
            return msgspec.convert(rollback, Impossible).impossible
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"rollback: {error}") from None
    if rollback == REVERSE:
        if document.sql is not None:
            raise ConfigurationError(
                "the reverse of sql can't be derived: write its SQL, or `impossible: why`"
            )
        return None
    if document.sql is None:
        raise ConfigurationError("what is declared has the rollback `reverse`, or `impossible: why`")
    try:
        return _sql(msgspec.convert(rollback, Sql), document.transaction)
    except (msgspec.ValidationError, ConfigurationError) as error:
        raise ConfigurationError(f"rollback: {error}") from None


def _sql(written: Sql, transaction: bool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for engine, outside in _NO_TRANSACTION.items():
        text = written if isinstance(written, str) else written.get(engine)
        if text is None:
            continue
        parts = statements(text)
        if not parts:
            raise ConfigurationError(f"there is no statement in its SQL for {engine}")
        if not transaction and len(parts) > 1:
            raise ConfigurationError(
                f"it has {len(parts)} statements for {engine}; outside a transaction it may be one, because a"
                " step that stopped between two would be half done: make steps of them"
            )
        for part in parts:
            bare = " ".join(_COMMENT.sub(" ", part).split())
            if _ENDS_TRANSACTION.match(bare):
                raise ConfigurationError(f"`{bare[:40]}`: transactions are begun and ended by scripts/ddl")
            if transaction and outside.match(bare):
                raise ConfigurationError(
                    f"`{bare[:60]}`: {engine} runs that in no transaction, or ends the one it is in:"
                    " make it a step of its own with `transaction: false`"
                )
            if _PASSWORD.search(bare):
                raise ConfigurationError("it holds a password; make logins where secrets are kept, not here")
        found[engine] = parts
    return found


def _change(state: State, document: Document, kind: str) -> None:
    """Change a state as a step says, which has to fit to it."""
    said: dict[Any, Any]
    into: dict[Any, Any]
    if kind == "search_paths":
        for path in (document.search_paths or {}).values():
            _known(state.schemas, path, "schema")
        said = {who: (tuple(path), document.id) for who, path in (document.search_paths or {}).items()}
        into = state.paths
    elif kind == "unmanaged":
        said, into = dict.fromkeys(document.unmanaged or (), document.id), state.unmanaged
    else:
        said, into = dict.fromkeys(_facts(state, document), document.id), state.facts
    if document.remove:
        for key in said:
            if into.pop(key, None) is None:
                raise ConfigurationError(f"it removes what no step before it has made: {key}")
    elif into is state.paths:
        into.update(said)
    else:
        # A thing is its who said it first.
        into.update({key: step for key, step in said.items() if key not in into})
    _one_path_each(state)


def _facts(state: State, document: Document) -> Iterable[Fact]:
    for name in document.schemas or ():
        yield Schema(name)
    for name in document.roles or ():
        if name == PUBLIC:
            raise ConfigurationError("public is no role")
        yield Role(name)
    for role, members in (document.members or {}).items():
        _known(state.roles, [role], "role")
        yield from (Member(role, member) for member in members)
    for grant in document.grants or ():
        _known(state.roles, [*grant.to, *grant.made_by], "role")
        _known(state.schemas, grant.schemas, "schema")
        yield from _rights(grant)


def _rights(grant: Grant) -> Iterable[Fact]:
    if (grant.on_schemas or grant.on_tables) and not grant.schemas:
        raise ConfigurationError("a grant on schemas or tables needs `schemas`")
    if not (grant.on_database or grant.on_schemas or grant.on_tables):
        raise ConfigurationError("a grant needs on_database, on_schemas or on_tables")
    if (grant.only or grant.excluded or grant.made_by) and not grant.on_tables:
        raise ConfigurationError("`only`, `except` and `made_by` are about tables: on_tables is missing")
    if sum(map(bool, (grant.only, grant.excluded, grant.made_by))) > 1:
        raise ConfigurationError(
            "`only`, `except` and `made_by` exclude each other: later tables can't be told apart by name"
        )
    for to in grant.to:
        yield from (Right(On.DATABASE, "", right, to) for right in grant.on_database)
        for schema in grant.schemas:
            yield from (Right(On.SCHEMA, schema, right, to) for right in grant.on_schemas)
            for right in grant.on_tables:
                if grant.only:
                    yield from (Right(On.TABLE, f"{schema}.{table}", right, to) for table in grant.only)
                else:
                    yield Right(On.TABLES_NOW if grant.excluded else On.ALL_TABLES, schema, right, to)
                for maker in grant.made_by:
                    yield Right(On.LATER_TABLES, schema, right, to, maker)
            yield from (Withheld(f"{schema}.{table}", to) for table in grant.excluded)


def _known(known: frozenset[str], names: Iterable[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise ConfigurationError(f"it names the {what} {name}, which no step before it makes")


def _one_path_each(state: State) -> None:
    paths: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for fact in state.facts:
        if isinstance(fact, Member) and fact.role in state.paths and fact.member not in state.paths:
            paths[fact.member][fact.role] = state.paths[fact.role][0]
    for member, by_role in paths.items():
        if len(set(by_role.values())) > 1:
            raise ConfigurationError(
                f"{member} is in {' and '.join(by_role)}, whose search paths differ: give {member} one"
            )
