"""How the stand-in for Redshift reads SQL: tokens come out as they went in, and lists leave nothing out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from loaders._core.warehouse import Target
from simulators.redshift import known
from simulators.redshift.refusals import refusal
from simulators.redshift.rewrite import NotShown, rewritten
from simulators.redshift.shape import blocks, calls, reads_tables, type_places
from simulators.redshift.tokens import Sql

LISTS = Path(__file__).parent / "redshift"
STATEMENTS = [
    case["sql"]
    for name in ("refused", "taken")
    for case in yaml.safe_load((LISTS / f"{name}.yml").read_text())
]
# What SQL is made of, and what ends or begins things in it.
PIECES = st.sampled_from(
    ["'", "''", '"', "$$", "$a$", "/*", "*/", "--", "\n", ";", "(", ")", "[", "]", "\\", "e'", "::", "->",
     ".", " ", "\t", "1.5", "1e9", "$1", "select", "FROM", "x", "Ä", "_y$1", "\u2028", "😀", "\0", "#>>",
     "!~*", "'a;b'"]
)  # fmt: skip
TEXTS = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=3))).map("".join))


@given(TEXTS)
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    assert str(Sql(text)) == text


@given(TEXTS)
def test_statements_are_the_text_between_its_semicolons(text: str) -> None:
    sql = Sql(text)
    cut = [token for statement in sql.statements() for token in statement]
    assert cut == [token for token in sql if token.text != ";"]


@given(
    st.one_of(TEXTS, st.sampled_from(STATEMENTS)),
    st.lists(st.tuples(st.integers(0, 80), st.booleans()), max_size=4),
)
def test_no_statement_makes_the_rules_fail(text: str, changes: list[tuple[int, bool]]) -> None:
    """Neither any text nor a statement of the lists in which words are missing or stand twice."""
    for statement in Sql(text).statements():
        for place, twice in changes:
            if place < len(statement):
                word = statement.tokens[place]
                statement.tokens[place : place + 1] = [replace(word), word] if twice else []
        if refusal(statement) is None:
            with suppress(NotShown):
                rewritten(statement)


@given(st.text(alphabet=st.characters(exclude_characters="'\\"), max_size=20))
def test_what_stands_in_a_text_or_a_comment_is_no_sql(inside: str) -> None:
    plain = [token.kind for token in Sql("select 'x' from t")]
    assert [token.kind for token in Sql(f"select '{inside}' from t")] == plain
    if (
        "*/" not in inside
        and "/*" not in inside
        and not inside.startswith("/")
        and not inside.endswith(("/", "*"))
    ):
        assert [token.kind for token in Sql(f"select /*{inside}*/ 'x' from t")] == plain


def test_a_text_without_an_end_costs_no_more_than_its_length() -> None:
    assert len(Sql("select '" + "a" * 1_000_000).tokens) == 3
    assert len(Sql("/*" * 2_000).tokens) == 2_000


@pytest.mark.parametrize(
    ("sql", "called"),
    [
        ('select f(a), g . h (b), "i"(c) from t', ["f", "h", "i"]),
        ("select count(*) over (partition by a) from t where a in (1) and exists (select 1)", ["count"]),
        ("insert into s.t (a, b) values (f(1), 2)", ["f"]),
        (
            "with x (a) as (select f(1)), y (b) as (select 2) select * from x, y as z (c), (select 3) v (d)",
            ["f"],
        ),
        ("create table t (a varchar(3), b decimal(3, 2) default f(1)) sortkey (a)", ["f"]),
        ("merge into t using s on t.a = s.a when not matched then insert (a) values (f(s.a))", ["f"]),
        (
            "select case when f(a) then (b) else (c) end, a::varchar(3), cast(b as numeric(3, 2)) from t",
            ["f", "cast"],
        ),
        (
            "select a at time zone f(b), not g(c), 1 + h(d) from t join u on i(e) using (f)",
            ["f", "g", "h", "i"],
        ),
    ],
)
def test_a_name_before_a_bracket_is_a_call_only_where_functions_stand(sql: str, called: list[str]) -> None:
    read = Sql(sql)
    assert [read[at].name for at in calls(read)] == called


def test_what_a_statement_reads_is_told_apart_from_what_it_defines() -> None:
    assert reads_tables(Sql("select 1 from s.t"))
    assert reads_tables(Sql("with x as (select 1) select * from x, (select 2 from t) y"))
    assert not reads_tables(Sql("with x as (select 1) select * from x"))
    assert not reads_tables(Sql("select extract(year from a), trim(both from b) from pg_class as t"))
    assert not reads_tables(Sql("select * from generate_series(1, 3) as g (n)"))
    found = blocks(Sql("select 1 from a union select 2 from b where exists (select 3 from c x, d)"))
    assert [[relation.name for relation in block.relations] for block in found] == [["a"], ["b"], ["x", "d"]]
    assert found[2].outer is found[1]


def test_types_are_found_wherever_they_stand() -> None:
    sql = Sql(
        "select cast(f(a, b) as int), b::varchar(3), date '2026-01-01', convert(real, c), try_cast(d as xml)"
    )
    assert [sql[at].name for at in type_places(sql)] == ["int", "varchar", "date", "real", "xml"]


def test_every_function_of_postgres_that_redshift_lacks_is_refused(target: Target) -> None:
    with target.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select distinct proname from pg_proc where proname ~ '^[a-z_0-9]+$'")
        names = {name for (name,) in cursor.fetchall()}
    taken = {name for name in names if refusal(Sql(f"select {name}(a, b) from t")) is None}
    assert len(names) > 2_000
    # Some names are words of Redshift's grammar.
    assert taken <= known.ALL_FUNCTIONS | known.TYPES | {
        "like",
        "isnull",
        "notnull",
        "overlaps",
        "similar_escape",
    }
    assert {"sum", "left", "varchar"} <= taken


def test_every_type_of_postgres_that_redshift_lacks_is_refused(target: Target) -> None:
    with target.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select typname from pg_type where typtype <> 'c' and typname ~ '^[a-z]'")
        names = {name for (name,) in cursor.fetchall()}
    taken = {name for name in names if refusal(Sql(f"select a::{name} from t")) is None}
    assert len(names) > 100
    assert taken <= known.TYPES
    assert {"int4", "varchar", "timestamptz"} <= taken


def test_every_function_of_redshift_is_there_or_is_said_not_to_be(redshift: Target) -> None:
    with redshift.connect() as connection, connection.cursor() as cursor:
        cursor.execute("select distinct proname::varchar from pg_proc")
        there = {name for (name,) in cursor.fetchall()}
    by_grammar = {"cast", "coalesce", "greatest", "grouping", "least", "nullif", "trim"}
    rewritten_away = {
        "array",
        "convert",
        "decode",
        "extract",
        "listagg",
        "median",
        "nvl",
        "nvl2",
        "object",
        "try_cast",
    }
    prefixed = {name.removeprefix("redshift_") for name in there if name.startswith("redshift_")}
    shown = known.ALL_FUNCTIONS - known.FUNCTIONS_NOT_SHOWN
    assert shown <= there | by_grammar | rewritten_away | prefixed
    assert not known.FUNCTIONS_NOT_SHOWN - known.ALL_FUNCTIONS
