"""What a rule is, and the ways in which Redshift says no."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from simulators.redshift.tokens import Sql

FEATURES = "c_unsupported-postgresql-features.html"
FUNCTIONS = "c_unsupported-postgresql-functions.html"
TYPES = "c_unsupported-postgresql-datatypes.html"


@dataclass(frozen=True)
class Refusal:
    """Why a statement is refused.

    Attributes:
        code: the SQLSTATE.
        page: of Redshift's guide, below `known.GUIDE`.
        in_blocks_only: whether it is taken outside of transactions.
    """

    message: str
    code: str
    page: str
    in_blocks_only: bool = False


Rule = Callable[[Sql], Iterator[Refusal]]
RULES: list[Rule] = []


def rule(check: Rule) -> Rule:
    """Ask this of each statement."""
    RULES.append(check)
    return check


def syntax(near: str, page: str) -> Refusal:
    """The page's syntax has no such words."""
    return Refusal(f'syntax error at or near "{near}"', "42601", page)


def unsupported(what: str, page: str) -> Refusal:
    """The page says that it can't be done."""
    return Refusal(f"{what} is not supported", "0A000", page)


def missing(what: str, page: str) -> Refusal:
    """A function or an operator that is not there."""
    return Refusal(f"{what} does not exist", "42883", page)


def wrong(message: str, page: str) -> Refusal:
    """A definition that contradicts itself or a limit."""
    return Refusal(message, "42P16", page)
