"""Functions and types."""

from __future__ import annotations

from collections.abc import Iterator

from simulators.redshift.known import (
    ALL_FUNCTIONS,
    BARE,
    CATALOGUE_TYPES,
    COMPUTE_ONLY,
    LEADER_ONLY,
    OF_THE_LEADER,
    TYPES,
)
from simulators.redshift.refusals import rule as rules
from simulators.redshift.refusals.rule import Refusal, missing, rule, unsupported, wrong
from simulators.redshift.shape import calls, reads_catalogue, reads_tables, type_places
from simulators.redshift.tokens import Sql

_LEADER_PAGE = "c_SQL_functions_leader_node_only.html"
# Statements in which a name before a bracket is no call.
_WITHOUT_CALLS = {"grant", "revoke", "copy", "unload", "comment", "analyze", "vacuum"}
# How many arguments, at least and at most, where it is not Postgres that counts them.
_ARGUMENTS = {"concat": (2, 2), "decode": (3, 1000), "listagg": (1, 2), "median": (1, 1), "nvl2": (3, 3)}
_ARGUMENTS |= {"to_timestamp": (2, 3)}
_LONGEST = {
    "varchar": 65535,
    "nvarchar": 65535,
    "varbyte": 16777216,
    "char": 4096,
    "nchar": 4096,
    "bpchar": 4096,
}


@rule
def functions(sql: Sql) -> Iterator[Refusal]:
    """Functions that Redshift has not, or not where the statement runs."""
    if sql[0].word in _WITHOUT_CALLS:
        return
    on_compute_nodes, asks_catalogue = reads_tables(sql), reads_catalogue(sql)
    for at in calls(sql):
        name, given = sql[at].name, len(sql.arguments(at + 1))
        if name in LEADER_ONLY | OF_THE_LEADER:
            if on_compute_nodes:
                yield _of_the_leader(name)
        elif name in COMPUTE_ONLY and not on_compute_nodes:
            yield unsupported(f"{name.upper()} in a query without a table of users", f"r_{name.upper()}.html")
        elif name in ALL_FUNCTIONS or name in TYPES:
            least, most = _ARGUMENTS.get(name, (given, given))
            if not least <= given <= most:
                yield missing(f"function {name} with {given} arguments", f"r_{name.upper()}.html")
        elif on_compute_nodes or not asks_catalogue:
            yield missing(f"function {name}()", rules.FUNCTIONS)
    for at, token in enumerate(sql):
        if token.word in BARE and sql[at - 1].text != "." and sql[at + 1].text != "(" and on_compute_nodes:
            yield _of_the_leader(token.word)


def _of_the_leader(name: str) -> Refusal:
    return Refusal(
        f'Specified types or functions (one per INFO message) not supported on Redshift tables: "{name}"',
        "0A000",
        _LEADER_PAGE,
    )


@rule
def types(sql: Sql) -> Iterator[Refusal]:
    """Types that Redshift has not, and lengths beyond what they hold."""
    on_leader = not reads_tables(sql)
    for at in type_places(sql):
        name = sql[at].name
        if name == "pg_catalog":
            continue
        behind = sql.close(at + 1) + 1 if sql[at + 1].text == "(" else at + 1
        if sql[behind].text == "[":
            yield unsupported(f"type {name}[]", rules.TYPES)
        elif sql[at].kind == "quoted" and name == "char" and not on_leader:
            yield unsupported('type "char"', rules.TYPES)
        elif name not in TYPES and not (on_leader and name in CATALOGUE_TYPES):
            yield Refusal(f'type "{name}" does not exist', "42704", rules.TYPES)
        else:
            yield from _lengths(sql, at, name)


def _lengths(sql: Sql, at: int, name: str) -> Iterator[Refusal]:
    varying = sql[at + 1].word == "varying"
    at += 1 + varying
    if sql[at].text != "(" or sql[at + 1].kind != "number":
        return
    length = int(float(sql[at + 1].text))
    if name in ("character", "national"):
        name = "varchar" if varying else "char"
    if name in _LONGEST and length > _LONGEST[name]:
        yield wrong(f"length for type {name} cannot exceed {_LONGEST[name]}", "r_Character_types.html")
    if name in ("numeric", "decimal"):
        scale = sql[at + 3].text
        if length > 38:
            yield wrong(f"DECIMAL precision {length} must be between 1 and 38", "r_Numeric_types201.html")
        if scale.isdigit() and int(scale) > min(37, length):
            yield wrong(f"DECIMAL scale {scale} must be between 0 and 37", "r_Numeric_types201.html")
