"""The options of COPY and UNLOAD (r_COPY-parameters.html, r_UNLOAD.html)."""

from __future__ import annotations

import re

from simulators.redshift.backend import Refused
from simulators.redshift.known import NotShown
from simulators.redshift.tokens import Sql

_AUTHORITY = ("iam_role", "credentials", "access_key_id")
_ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+|default")
# Words that say no more than what follows them.
_FILLING = {"format", "as", "with", "authorization"}


def options(sql: Sql, at: int, shown: dict[str, int], others: set[str], page: str) -> dict[str, str]:
    """Read the options from a place on: each with its value, which may be empty.

    Args:
        shown: the options that the stand-in knows, and how many words follow each.
        others: those that Redshift has, too.

    Raises:
        Refused: there is no such option, or it is not said with whose rights.
        NotShown: it is one of the others.
    """
    found: dict[str, str] = {}
    while at < len(sql):
        word = sql[at].word
        if word in _FILLING:
            at += 1
        elif word == "partition" and sql[at + 1].word == "by" and "partition" in shown:
            end = sql.close(at + 2)
            found["partition"] = ",".join(sql[place].name for place in range(at + 3, end) if sql[place].name)
            at = end + 1
        elif word in shown:
            at += 2 if shown[word] and sql[at + 1].word == "as" else 1
            count = shown[word] - (shown[word] == 2 and sql[at + 1].word not in ("mb", "gb"))
            found[word] = " ".join(literal(sql, at + n) for n in range(count))
            at += count
        elif word in others:
            raise NotShown(f"the option {word.upper()}")
        else:
            raise Refused(f'syntax error at or near "{sql[at].text}"', "42601", page)
    if not any(name in found for name in _AUTHORITY):
        raise Refused("CREDENTIALS argument is required but missing", "42601", page)
    if not _ROLE.fullmatch(found.get("iam_role", "default")):
        raise Refused("Invalid IAM_ROLE: not an ARN of a role", "42601", page)
    return found


def literal(sql: Sql, at: int) -> str:
    """What a text or a word says."""
    text = sql[at].text
    return text[1:-1].replace("''", "'").replace("\\'", "'") if sql[at].kind == "string" else text
