"""Reads from a warehouse's catalogue what it has, and compares that with what the steps say."""

# ruff: noqa: S608  (what is put into statements are parts of them; nothing from outside)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

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
from _changes.steps import State
from loaders._core.warehouse import Target

_SYSTEM = ("information_schema", "catalog_history")
_TABLES = "('r', 'p', 'v', 'm', 'f')"


@dataclass
class Found:
    """What a warehouse has.

    Attributes:
        facts: of schemas, members and search paths all; of rights those that were granted, not the owners'.
        owners: of schemas and of tables (``schema.table``).
        note: what this login can't see, if there is such a thing.
    """

    facts: set[Fact] = field(default_factory=set)
    owners: dict[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def there(self) -> There:
        """What statements need to know."""
        return There(
            frozenset(fact.name for fact in self.facts if isinstance(fact, Role)),
            frozenset(name for name in self.owners if "." in name),
        )


@dataclass(frozen=True)
class Drift:
    """How a warehouse differs from what its applied steps say.

    Attributes:
        missing: what is no longer there, by what brings it back.
        unknown: what no step says, by what takes it away.
    """

    missing: list[Change]
    unknown: list[Change]

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.missing or self.unknown)


def read(target: Target, cursor: Any) -> Found:
    """All that is compared, of the database that the cursor is connected to."""
    return _Redshift(cursor).read() if target.kind == "redshift" else _Postgres(cursor).read()


class _Catalog:
    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.found = Found()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        self._cursor.execute(sql)
        return list(self._cursor.fetchall())

    def schemas_and_tables(self) -> None:
        """Both engines have these catalogues."""
        for schema, owner in self.query(
            "select n.nspname::text, pg_get_userbyid(n.nspowner)::text from pg_namespace n"
        ):
            if not _is_system(schema):
                self.found.facts.add(Schema(schema))
                self.found.owners[schema] = owner
        for schema, table, owner in self.query(
            "select n.nspname::text, c.relname::text, pg_get_userbyid(c.relowner)::text"
            f" from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in {_TABLES}"
        ):
            if not _is_system(schema):
                self.found.owners[f"{schema}.{table}"] = owner

    def right(self, on: On, place: str, right: str, to: str, *, maker: str = "", column: str = "") -> None:
        """Note a right, unless its holder is the owner, who needs none."""
        schema = place.partition(".")[0]
        if to != (maker or self.found.owners.get(place)) and not (schema and _is_system(schema)):
            self.found.facts.add(Right(on, place, right.lower(), to, maker, column))

    def search_path(self, user: str, settings: Iterable[str] | None, database: str = "") -> None:
        for setting in settings or ():
            name, _, value = setting.partition("=")
            if name == "search_path":
                path = tuple(part.strip().strip("\"'") for part in value.split(","))
                self.found.facts.add(SearchPath(user, path, database))


class _Postgres(_Catalog):
    """https://www.postgresql.org/docs/current/catalogs.html"""

    def read(self) -> Found:
        self.schemas_and_tables()
        # Predefined ones are no roles that a step could make, but being a member of one is a right.
        for (name,) in self.query("select rolname::text from pg_roles where rolname !~ '^pg_'"):
            self.found.facts.add(Role(name))
        given = f"a.privilege_type, coalesce(r.rolname::text, '{PUBLIC}')"
        explode = "cross join lateral aclexplode({}) a left join pg_roles r on r.oid = a.grantee"
        tables = "pg_class c join pg_namespace n on n.oid = c.relnamespace"
        for right, to in self.query(
            f"select {given} from pg_database d {explode.format('d.datacl')}"
            " where d.datname = current_database() and a.privilege_type = 'CREATE' and a.grantee <> d.datdba"
        ):
            self.right(On.DATABASE, "", right, to)
        for schema, right, to in self.query(
            f"select n.nspname::text, {given} from pg_namespace n {explode.format('n.nspacl')}"
        ):
            self.right(On.SCHEMA, schema, right, to)
        for place, right, to, column in self.query(
            f"select n.nspname || '.' || c.relname, {given}, '' from {tables} {explode.format('c.relacl')}"
            f" where c.relkind in {_TABLES} union all"
            f" select n.nspname || '.' || c.relname, {given}, t.attname from {tables}"
            f" join pg_attribute t on t.attrelid = c.oid {explode.format('t.attacl')}"
            f" where c.relkind in {_TABLES} and not t.attisdropped"
        ):
            self.right(On.TABLE, place, right, to, column=column)
        for schema, right, to, maker in self.query(
            f"select coalesce(n.nspname::text, ''), {given}, pg_get_userbyid(d.defaclrole)::text"
            " from pg_default_acl d left join pg_namespace n on n.oid = d.defaclnamespace"
            f" {explode.format('d.defaclacl')} where d.defaclobjtype = 'r'"
        ):
            self.right(On.LATER_TABLES, schema, right, to, maker=maker)
        for role, member in self.query(
            "select r.rolname::text, m.rolname::text from pg_auth_members x"
            " join pg_roles r on r.oid = x.roleid join pg_roles m on m.oid = x.member"
            # Who may make roles is a member of those it made, without their rights.
            " where x.inherit_option or x.set_option"
        ):
            self.found.facts.add(Member(role, member))
        for user, database, settings in self.query(
            "select coalesce(r.rolname::text, ''), coalesce(d.datname::text, ''), s.setconfig"
            " from pg_db_role_setting s left join pg_roles r on r.oid = s.setrole"
            " left join pg_database d on d.oid = s.setdatabase"
            " where s.setdatabase = 0 or d.datname = current_database()"
        ):
            self.search_path(user, settings, database)
        return self.found


class _Redshift(_Catalog):
    """Pages below https://docs.aws.amazon.com/redshift/latest/dg/, named as the views: r_SVV_ROLES.html,
    r_SVV_DATABASE_PRIVILEGES.html, r_SVV_SCHEMA_PRIVILEGES.html, r_SVV_RELATION_PRIVILEGES.html,
    r_SVV_COLUMN_PRIVILEGES.html, r_SVV_DEFAULT_PRIVILEGES.html, r_SVV_USER_GRANTS.html,
    r_SVV_ROLE_GRANTS.html and pg_user_info.html (``pg_user`` is the same without passwords). Only
    superusers and those with ACCESS SYSTEM TABLE see what concerns others. The views are asked one by one and
    joined here, as some of them can't be joined with tables of the catalogue.
    """

    def read(self) -> Found:
        self.schemas_and_tables()
        for (name,) in self.query("select role_name from svv_roles"):
            self.found.facts.add(Role(name))
        for right, *party in self.query(
            "select privilege_type, identity_name, identity_type from svv_database_privileges"
            " where database_name = current_database() and privilege_scope = 'DATABASE'"
        ):
            if right.lower() == "create":
                self.right(On.DATABASE, "", right, _party(*party))
        for schema, right, scope, *party in self.query(
            "select namespace_name, privilege_type, privilege_scope, identity_name, identity_type"
            " from svv_schema_privileges"
        ):
            on = {"SCHEMA": On.SCHEMA, "TABLES": On.ALL_TABLES}.get(scope.upper())
            if on:
                self.right(on, schema, right, _party(*party))
        for schema, table, right, *party in self.query(
            "select namespace_name, relation_name, privilege_type, identity_name, identity_type"
            " from svv_relation_privileges"
        ):
            self.right(On.TABLE, f"{schema}.{table}", right, _party(*party))
        for schema, table, column, right, *party in self.query(
            "select namespace_name, relation_name, column_name, privilege_type, identity_name, identity_type"
            " from svv_column_privileges"
        ):
            self.right(On.TABLE, f"{schema}.{table}", right, _party(*party), column=column)
        for schema, maker, right, *party in self.query(
            "select schema_name, owner_name, privilege_type, grantee_name, grantee_type"
            " from svv_default_privileges where object_type = 'RELATION'"
        ):
            self.right(On.LATER_TABLES, schema or "", right, _party(*party), maker=maker)
        for role, member in self.query(
            "select role_name, user_name from svv_user_grants"
            " union all select granted_role_name, role_name from svv_role_grants"
        ):
            self.found.facts.add(Member(role, member))
        for user, settings in self.query("select usename::text, useconfig from pg_user"):
            self.search_path(user, settings)
        if not self.query("select 1 from pg_user where usename = current_user and usesuper"):
            self.found.note = (
                "this login is no superuser: without ACCESS SYSTEM TABLE it sees only its own rights,"
                " and what it does not see counts as missing"
            )
        return self.found


def compare(engine: Engine, found: Found, applied: State, allowed: State) -> Drift:
    """What is missing of what applied steps say, and what is there that none of `allowed` says.

    Args:
        allowed: what all steps say, so that what a pending one will declare is not called unknown.
    """
    expected = [*_expected(engine, found, list(applied.of(engine.kind)))]
    missing = [fact for fact in expected if fact not in found.facts]
    # scripts/ddl makes the schema of its own books.
    said = {Schema("ops"), *applied.of(engine.kind), *allowed.of(engine.kind)}
    schemas, roles = applied.schemas | allowed.schemas, applied.roles | allowed.roles
    users = {fact.member for fact in found.facts if isinstance(fact, Member) and fact.role in roles}
    users |= {fact.user for fact in said if isinstance(fact, SearchPath)}
    unknown = [
        fact
        for fact in sorted(found.facts - said, key=str)
        if _is_ours(fact, schemas, roles, users, [*applied.unmanaged, *allowed.unmanaged])
        and not (isinstance(fact, Right) and _is_covered(fact, said))
    ]
    return Drift(engine.changes(missing, [], found.there), engine.changes([], unknown, found.there))


def _expected(engine: Engine, found: Found, facts: list[Fact]) -> Iterable[Fact]:
    """The facts as a catalogue has them: a right on all tables as one on each table that there is."""
    withheld = {fact for fact in facts if isinstance(fact, Withheld)}
    tables = [name for name in found.owners if "." in name]
    for fact in facts:
        match fact:
            case Right(On.ALL_TABLES) if engine.kind == "redshift":
                yield fact
            case Right(On.ALL_TABLES | On.TABLES_NOW, schema, right, to):
                for table in tables:
                    held = Withheld(table, to) in withheld or found.owners[table] == to
                    if table.partition(".")[0] == schema and not held:
                        yield Right(On.TABLE, table, right, to)
            case Right(On.TABLE, place, _, to):
                if place in found.owners and found.owners[place] != to:
                    yield fact
            case Right(On.SCHEMA, place, _, to):
                if found.owners.get(place) != to:
                    yield fact
            case Withheld():
                pass
            case _:
                yield fact


def _is_ours(
    fact: Fact, schemas: frozenset[str], roles: frozenset[str], users: set[str], unmanaged: list[str]
) -> bool:
    """Whether a fact is about something that steps decide about."""
    ours = False
    match fact:
        case Schema(name):
            ours = not any(fnmatchcase(name, pattern) for pattern in unmanaged)
        case Right(On.DATABASE | On.LATER_TABLES, ""):
            ours = True
        case Right(_, place):
            ours = place.partition(".")[0] in schemas
        case Member(role, member):
            ours = role in roles or member in roles
        case SearchPath(user):
            ours = not user or user in users
    return ours


def _is_covered(fact: Right, said: set[Fact]) -> bool:
    """Whether a right on one table, a column or later tables follows from one on more."""
    if fact.on not in (On.TABLE, On.LATER_TABLES):
        return False
    schema = fact.place.partition(".")[0]
    if any(Right(on, schema, fact.right, fact.to) in said for on in (On.ALL_TABLES, On.TABLES_NOW)):
        return Withheld(fact.place, fact.to) not in said
    return bool(fact.column) and Right(On.TABLE, fact.place, fact.right, fact.to) in said


def _is_system(schema: str) -> bool:
    return schema.startswith("pg_") or schema in _SYSTEM


def _party(name: str, kind: str) -> str:
    """Somebody as facts name them, of svv's name and type (user, role, group or public)."""
    return PUBLIC if kind == "public" else f"group {name}" if kind == "group" else name
