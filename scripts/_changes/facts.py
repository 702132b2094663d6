"""What a warehouse has (schemas, roles, rights, members, search paths) as facts, and SQL that changes it.

Steps declare facts and a catalogue is read as facts, so what a step does, how it is undone, and what somebody
has changed by hand are all the difference of two sets.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

DATABASE_RIGHTS = ("create",)
SCHEMA_RIGHTS = ("usage", "create")
TABLE_RIGHTS = ("select", "insert", "update", "delete", "truncate", "references")
PUBLIC = "public"


class On(Enum):
    """What a right is on."""

    DATABASE = "database"
    SCHEMA = "schema"
    ALL_TABLES = "all tables, now and later"
    TABLES_NOW = "all tables there are now"
    TABLE = "table"
    LATER_TABLES = "tables that somebody will make"


@dataclass(frozen=True)
class Schema:
    """There is a schema."""

    name: str


@dataclass(frozen=True)
class Role:
    """There is a role, to which rights are given and which nobody logs in as."""

    name: str


@dataclass(frozen=True)
class Right:
    """Somebody may do something.

    Attributes:
        on: what `place` is.
        place: a schema, or ``schema.table``; empty for the database, and for later tables of every schema.
        to: a role or user, ``group x`` (Redshift), or ``public``.
        maker: of later tables.
        column: the right is on this column of the table only.
    """

    on: On
    place: str
    right: str
    to: str
    maker: str = ""
    column: str = ""


@dataclass(frozen=True)
class Withheld:
    """A right on all tables of a schema leaves out this one."""

    place: str
    to: str


@dataclass(frozen=True)
class Member:
    """A user or role has the rights of a role."""

    role: str
    member: str


@dataclass(frozen=True)
class SearchPath:
    """Where a user's names without a schema are looked for.

    Attributes:
        user: empty for everybody.
        database: set in this database only (Postgres), which overrules what is set for the user.
    """

    user: str
    path: tuple[str, ...]
    database: str = ""


Fact = Schema | Role | Right | Withheld | Member | SearchPath
_ORDER: tuple[object, ...] = (
    Schema,
    Role,
    On.DATABASE,
    On.SCHEMA,
    On.ALL_TABLES,
    On.TABLES_NOW,
    Withheld,
    On.TABLE,
    On.LATER_TABLES,
    Member,
    SearchPath,
)


@dataclass(frozen=True)
class Change:
    """A fact, or several that one statement makes true or untrue.

    Attributes:
        facts: what changes.
        text: the same in words.
        sql: one statement without its semicolon.
        drops: whether it makes something untrue.
    """

    facts: tuple[Fact, ...]
    text: str
    sql: str
    drops: bool


@dataclass(frozen=True)
class There:
    """What is there already, or is not: not every statement has an ``if exists``."""

    roles: frozenset[str] = frozenset()
    tables: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Engine:
    """Writes statements for one warehouse.

    Attributes:
        kind: ``postgres`` or ``redshift``.
        roles: names that are roles and not users, which Redshift wants to be told.

    The statements for Redshift are those of https://docs.aws.amazon.com/redshift/latest/dg/r_GRANT.html,
    t_scoped-permissions.html (``for tables in schema``: present and future tables, whoever makes them),
    r_CREATE_ROLE.html, r_DROP_ROLE.html, r_ALTER_USER.html and r_ALTER_DEFAULT_PRIVILEGES.html.
    """

    kind: str
    database: str
    roles: frozenset[str] = field(default=frozenset())

    def changes(self, add: Collection[Fact], drop: Collection[Fact], there: There) -> list[Change]:
        """The statements that make facts untrue and others true, in an order in which they can be run."""
        named = {fact.user for fact in add if isinstance(fact, SearchPath) and not fact.database}
        drop = [
            # It is not taken away but replaced.
            fact
            for fact in drop
            if not (isinstance(fact, SearchPath) and fact.user in named and not fact.database)
        ]
        made = self._sorted(add, there, drops=False)
        undone = self._sorted(drop, there, drops=True)
        # A role can't be dropped while it has rights, and no right given on a schema that isn't there.
        return [*reversed(undone), *made]

    def _sorted(self, facts: Collection[Fact], there: There, *, drops: bool) -> list[Change]:
        found = [*self._single(facts, there, drops=drops), *self._rights(facts, there, drops=drops)]
        return sorted(found, key=lambda change: _ORDER.index(_sort(change.facts[0])))

    def _single(self, facts: Collection[Fact], there: There, *, drops: bool) -> Iterable[Change]:
        for fact in facts:
            sql = text = ""
            match fact:
                case Schema(name):
                    text = f"schema {name}"
                    verb = "drop schema if exists" if drops else "create schema if not exists"
                    sql = f"{verb} {quoted(name)}"
                case Role(name) if (name in there.roles) == drops:
                    text = f"role {name}"
                    nologin = " nologin" if self.kind == "postgres" else ""
                    sql = f"drop role {quoted(name)}" if drops else f"create role {quoted(name)}{nologin}"
                case Withheld(place, to) if place in there.tables and not drops:
                    text = f"{to}: nothing on {place}"
                    sql = f"revoke all on {_dotted(place)} from {self.party(to)}"
                case Member(role, member):
                    text = f"{member} in {role}"
                    whom = f"{'from' if drops else 'to'} {self.party(member)}"
                    sql = f"{'revoke' if drops else 'grant'} {self.party(role)} {whom}"
                case SearchPath(user, path, database):
                    text = f"search path of {' in '.join(filter(None, (user, database)))}: {', '.join(path)}"
                    whose = f"user {quoted(user)}" if user else ""
                    where = f"database {quoted(database)}" if database else ""
                    to_path = f"set search_path to {', '.join(map(quoted, path))}"
                    verb = "reset search_path" if drops else to_path
                    sql = f"alter {' in '.join(filter(None, (whose, where)))} {verb}"
            if sql:
                yield Change((fact,), text, sql, drops)

    def _rights(self, facts: Collection[Fact], there: There, *, drops: bool) -> Iterable[Change]:
        by_place: dict[tuple[On, str, str, str, str], list[str]] = defaultdict(list)
        for fact in facts:
            if isinstance(fact, Right) and (fact.on is not On.TABLE or fact.place in there.tables):
                by_place[fact.on, fact.to, fact.maker, fact.column, fact.place].append(fact.right)
        alike: dict[tuple[On, str, str, str, tuple[str, ...]], list[str]] = defaultdict(list)
        for (on, to, maker, column, place), given in by_place.items():
            alike[on, to, maker, column, tuple(sorted(given, key=_right_order))].append(place)
        for (on, to, maker, column, rights), places in alike.items():
            # The syntax takes one; and later tables of every schema have no place to be listed with.
            one_each = "" in places or (self.kind == "redshift" and on is On.ALL_TABLES)
            for part in [[place] for place in places] if one_each else [places]:
                same = _Given(on, part, rights, to, maker, column)
                yield Change(same.facts(), same.told(), self._grant(same, drops=drops), drops)

    def _grant(self, given: _Given, *, drops: bool) -> str:
        column = f" ({quoted(given.column)})" if given.column else ""
        verb = f"{'revoke' if drops else 'grant'} {', '.join(right + column for right in given.rights)}"
        whom = f"{'from' if drops else 'to'} {self.party(given.to)}"
        where = ", ".join(map(_dotted, filter(None, given.places)))
        match given.on:
            case On.DATABASE:
                return f"{verb} on database {quoted(self.database)} {whom}"
            case On.SCHEMA:
                return f"{verb} on schema {where} {whom}"
            case On.ALL_TABLES if self.kind == "redshift":
                return f"{verb} for tables in schema {where} {whom}"
            case On.ALL_TABLES | On.TABLES_NOW:
                return f"{verb} on all tables in schema {where} {whom}"
            case On.TABLE:
                return f"{verb} on {where} {whom}"
        kind = "user" if self.kind == "redshift" else "role"
        inside = f" in schema {where}" if where else ""
        return f"alter default privileges for {kind} {quoted(given.maker)}{inside} {verb} on tables {whom}"

    def party(self, name: str) -> str:
        """How somebody is named in a grant."""
        if name == PUBLIC:
            return name
        if self.kind == "redshift" and name.startswith("group "):
            return f"group {quoted(name.removeprefix('group '))}"
        return f"{'role ' if self.kind == 'redshift' and name in self.roles else ''}{quoted(name)}"


class _Given(NamedTuple):
    """Rights that one statement gives or takes."""

    on: On
    places: list[str]
    rights: tuple[str, ...]
    to: str
    maker: str
    column: str

    def facts(self) -> tuple[Right, ...]:
        return tuple(
            Right(self.on, place, right, self.to, self.maker, self.column)
            for place in self.places
            for right in self.rights
        )

    def told(self) -> str:
        where = ", ".join(self.places)
        place = {
            On.DATABASE: "the database",
            On.SCHEMA: f"schema {where}",
            On.ALL_TABLES: f"all tables of {where}",
            On.TABLES_NOW: f"all tables of {where}",
            On.TABLE: f"{where}{f' ({self.column})' if self.column else ''}",
            On.LATER_TABLES: f"tables that {self.maker} will make in {where or 'any schema'}",
        }[self.on]
        return f"{self.to}: {', '.join(self.rights)} on {place}"


def quoted(name: str) -> str:
    """A name as it stands in SQL: in quotes where it needs them."""
    return (
        name
        if re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name not in _KEYWORDS.split()
        else _in_quotes(name)
    )


def _in_quotes(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _dotted(place: str) -> str:
    schema, _, table = place.partition(".")
    return f"{quoted(schema)}.{quoted(table)}" if table else quoted(schema)


def _sort(fact: Fact) -> object:
    return fact.on if isinstance(fact, Right) else type(fact)


def _right_order(right: str) -> tuple[int, str]:
    known = (*SCHEMA_RIGHTS, *TABLE_RIGHTS)
    return (known.index(right) if right in known else len(known), right)


# The reserved words of both engines that somebody may want as a name
# (https://docs.aws.amazon.com/redshift/latest/dg/r_pg_keywords.html).
_KEYWORDS = """
all analyse analyze and any array as asc authorization backup between binary both case cast check column
constraint create cross current_date current_role current_time current_user database default delta desc
distinct do else encode end except external false fetch for foreign freeze from full grant group having
identity ignore in initially inner intersect into is join language left like limit localtime lun minus
natural new not null off offset old on only open or order outer parallel partition percent permissions
primary public raw references resort restore right role rows select session_user similar snapshot some
sysdate system table tag then to top trailing true truncatecolumns union unique user using verbose
wallet when where window with without
"""
