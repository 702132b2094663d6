"""The files that scripts/ddl reads: what is wrong is named; what is shipped agrees with loaders and dbt."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from _changes import steps as ddl_steps
from _changes.facts import On, Right

from loaders._core import configure
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.errors import AdstarError
from loaders._core.ops import Books
from loaders._core.privacy import books as privacy_books
from loaders._core.warehouse import Target
from tests import resident
from tests.conftest import ROOT, recreate, variables
from tests.deploy.ddl_bench import NO_DRIFT, Bench, facts, run

SHIPPED = ROOT / "deploy" / "warehouse"


GOOD: dict[str, Any] = {
    "id": "010-good",
    "owner": "me",
    "reason": "it is needed",
    "rollback": "reverse",
    "schemas": ["sales"],
}
GRANT = {"to": ["reader"], "schemas": ["sales"], "on_tables": ["select"]}


def step(**other: Any) -> dict[str, Any]:
    """A good step but for this; None leaves a key out."""
    if "sql" in other:
        other = {"schemas": None, "rollback": "drop table t", **other}
    return {key: value for key, value in {**GOOD, **other}.items() if value is not None}


def granting(**other: Any) -> list[dict[str, Any]]:
    return [
        GOOD,
        step(id="020-roles", schemas=None, roles=["reader", "writer"]),
        step(id="030-bad", schemas=None, grants=[{**GRANT, **other}]),
    ]


IN_NO_TRANSACTION = "runs that in no transaction, or ends the one it is in: make it a step of its own"
BAD: list[tuple[Any, str]] = [
    ([step(reason=None)], "010-first.yml, step 010-good: Object missing required field `reason`"),
    ([step(owner=None)], "step 010-good: Object missing required field `owner`"),
    ([step(rollback=None)], "step 010-good: Object missing required field `rollback`"),
    ([step(reason="because")], "step 010-good: Expected `str` of length >= 10 - at `$.reason`"),
    ([step(reaso="typo")], "step 010-good: Object contains unknown field `reaso`"),
    ([step(id=None)], "010-first.yml, a step without id: Object missing required field `id`"),
    ([step(id="10-short")], "its id has to be a number of three digits or more and a name"),
    ([step(id="010")], "its id has to be a number of three digits or more and a name"),
    ([GOOD, GOOD], "step 010-good: 010-first.yml has a step of that id already"),
    ([step(id="020-later"), GOOD], "higher than that of 020-later (010-first.yml) before it"),
    ([GOOD, step(id="010-other")], "its number has to be higher than that of 010-good"),
    ([step(schemas=None)], "it needs exactly one of schemas, roles,"),
    ([step(roles=["a"], schemas=["b"])], "it needs exactly one of schemas, roles, grants, members,"),
    ([step(schemas="sales")], "Expected `array | null`, got `str` - at `$.schemas`"),
    ([step(schemas=[1])], "Expected `str`, got `int` - at `$.schemas[0]`"),
    ([step(transaction=False)], "`transaction: false` is for sql"),
    ([step(rollback="drop schema sales")], "what is declared has the rollback `reverse`"),
    ([step(rollback={"impossible": "no"})], "rollback: Expected `str` of length >= 10 - at `$.impossible`"),
    ([step(remove=True)], "it removes what no step before it has made: Schema(name='sales')"),
    ([step(sql="select 1", rollback="reverse")], "the reverse of sql can't be derived"),
    ([step(sql="select 1", rollback="")], "rollback: there is no statement in its SQL for redshift"),
    ([step(sql="-- only words;")], "there is no statement in its SQL for redshift"),
    ([step(sql={"mysql": "select 1"})], "Invalid enum value 'mysql' - at `key` in `$.sql`"),
    ([step(sql="vacuum a; vacuum b", transaction=False)], "it has 2 statements for redshift; outside"),
    ([step(sql="vacuum a")], f"`vacuum a`: redshift {IN_NO_TRANSACTION}"),
    ([step(sql="select 1; /* all */ truncate t")], f"`truncate t`: redshift {IN_NO_TRANSACTION}"),
    ([step(sql="alter table s.t append from u")], f"from u`: redshift {IN_NO_TRANSACTION}"),
    ([step(sql="alter table t alter column c type varchar(9)")], f"redshift {IN_NO_TRANSACTION}"),
    ([step(sql="create index concurrently i on t (a)")], f"postgres {IN_NO_TRANSACTION}"),
    ([step(sql="create table t (a int); commit")], "`commit`: transactions are begun and ended by"),
    ([step(sql="create table t (a int)", rollback="rollback")], "rollback: `rollback`: transactions are"),
    ([step(sql="create user ann password 'hunter22'")], "it holds a password; make logins where"),
    ([step(sql="select 1", remove=True)], "`remove` is for what is declared"),
    ([step(members={"reader": ["ann"]}, schemas=None)], "it names the role reader, which no step before it"),
    (
        [step(search_paths={"ann": ["sales"]}, schemas=None)],
        "the schema sales, which no step before it makes",
    ),
    (granting(to=["nobody"]), "step 030-bad: it names the role nobody, which no step before it makes"),
    (granting(schemas=["nowhere"]), "it names the schema nowhere, which no step before it makes"),
    (granting(made_by=["nobody"]), "it names the role nobody, which no step before it makes"),
    (granting(schemas=[]), "a grant on schemas or tables needs `schemas`"),
    (granting(on_tables=[]), "a grant needs on_database, on_schemas or on_tables"),
    (granting(on_tables=["drop"]), "Invalid enum value 'drop' - at `$.grants[0].on_tables[0]`"),
    (granting(on_schemas=["select"]), "Invalid enum value 'select' - at `$.grants[0].on_schemas[0]`"),
    (granting(only=["a"], made_by=["writer"]), "`only`, `except` and `made_by` exclude each other"),
    (granting(on_tables=[], on_schemas=["usage"], only=["a"]), "are about tables: on_tables is missing"),
    (
        [
            *granting()[:2],
            step(id="030-path", schemas=None, search_paths={"reader": ["sales"], "writer": []}),
            step(id="040-ann", schemas=None, members={"reader": ["ann"], "writer": ["ann"]}),
        ],
        "step 040-ann: ann is in reader and writer, whose search paths differ: give ann one",
    ),
    ({"steps": []}, "010-first.yml has to be a list of steps"),
    ("", "010-first.yml has to be a list of steps"),
    ("- id: 010-a\n  id: 010-b", "010-first.yml is no valid YAML: the key 'id' stands there twice"),
    ("- [", "010-first.yml is no valid YAML: "),
    ("- text", "010-first.yml, a step without id: Expected `object`, got `str`"),
]


@pytest.mark.parametrize(("written", "told"), BAD, ids=[told[-60:] for _, told in BAD])
def test_a_bad_file_is_named_with_step_and_reason(tmp_path: Path, written: Any, told: str) -> None:
    text = written if isinstance(written, str) else yaml.safe_dump(written)
    (tmp_path / "010-first.yml").write_text(text)
    with pytest.raises(AdstarError) as refused:
        ddl_steps.load(tmp_path)
    assert told in str(refused.value)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdstarError, match=r"there are no steps \(\*\.yml\) in "):
        ddl_steps.load(tmp_path)


def test_statements_are_told_apart() -> None:
    whole = [
        "create function f() returns int language plpgsql as $body$ begin return 1; end $body$",
        "do $$ begin perform 'a;b'; end $$",
        """insert into t values ('it''s; one', "odd;name", E'\\';', 1)""",
        "select 1 -- the first; not the last\nfrom t",
        "/* ; */ select 2",
    ]
    assert ddl_steps.statements(";\n".join(whole) + "\n;; -- the end;\n") == whole


# ---- what is shipped


def landed(target: Target) -> None:
    """A table in each layer, as loaders and dbt make them, by one login."""
    books = Books(target, "rds")
    books.prepare()
    books.close()
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        privacy_books.prepare(cursor)
    run(target, "create table raw_rds.users (email text)")
    for schema in ("staging", "intermediate", "marts", "reports", "test_failures", "quality"):
        run(target, f"create schema if not exists {schema}", f"create table {schema}.t (a int)")


def dbt_roles(target: Target, server: EmbeddedWarehouse, state: Path) -> None:
    environment = {**os.environ, **variables(server, target.database, state)}
    code, told = resident.dbt(["--quiet", "run-operation", "apply_roles"], environment)
    assert code == 0, told


def rights(target: Target) -> set[Right]:
    return {each for each in facts(target) if isinstance(each, Right) and each.on in (On.SCHEMA, On.TABLE)}


def test_steps_and_dbt_give_the_same_roles_the_same_rights(
    target: Target, server: EmbeddedWarehouse, tmp_path: Path
) -> None:
    ddl = Bench(target, SHIPPED, "")
    landed(target)
    dbt_roles(target, server, tmp_path)
    by_dbt = rights(target)
    told = ddl("plan")
    assert "by hand:" not in told
    assert "create role" not in told
    ddl("apply")
    assert ddl("drift") == NO_DRIFT

    recreate(server, target.database)
    ddl("apply")
    landed(target)
    dbt_roles(target, server, tmp_path)
    assert ddl("drift") == NO_DRIFT
    both = rights(target)
    assert by_dbt <= both
    roles = ("adstar_loader", "adstar_transformer")
    more = {f"raw_{name}" for name in configure.available()} - {"raw_rds"} | {"ops.ddl_lock"}
    expected = {(place, to) for place in more for to in roles}
    assert {(each.place, each.to) for each in both - by_dbt} == expected


def test_every_schema_that_loaders_and_dbt_write_to_has_a_step() -> None:
    schemas = ddl_steps.load(SHIPPED)[-1].after.schemas
    project = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text())
    layers = {each["+schema"] for each in project["models"]["adstar"].values() if "+schema" in each}
    layers |= {project["seeds"]["adstar"]["+schema"], project["data_tests"]["adstar"]["+schema"]}
    assert layers >= {"staging", "marts", "test_failures"}
    assert schemas == {"ops", "quality"} | layers | {f"raw_{name}" for name in configure.available()}
