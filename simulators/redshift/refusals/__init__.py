"""What Redshift refuses and Postgres would take: each rule with the page of Redshift's guide that says so.

Statements, types and functions are lists of what is there (`known.py`), so that what nobody thought of is
refused; constructs are rules over tokens, in the modules of this package. Queries of the catalogue alone run
on Redshift's leader node, which is an old Postgres: none of their functions and types is refused.
"""

from __future__ import annotations

from simulators.redshift.refusals import functions, queries, statements, subqueries, tables, writes
from simulators.redshift.refusals.rule import RULES, Refusal
from simulators.redshift.tokens import Sql

__all__ = ["Refusal", "refusal"]

# What a statement is comes before what stands in it.
_ORDER = [module.__name__ for module in (statements, tables, writes, queries, subqueries, functions)]
RULES.sort(key=lambda check: _ORDER.index(check.__module__))


def refusal(statement: Sql, *, in_block: bool = False) -> Refusal | None:
    """The first reason to refuse a statement; None if Redshift, as far as we know, takes it.

    Args:
        in_block: whether a transaction is under way.
    """
    for check in RULES:
        for found in check(statement):
            if in_block or not found.in_blocks_only:
                return found
    return None
