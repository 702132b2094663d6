"""The options of COPY and UNLOAD (r_COPY-parameters.html, r_UNLOAD.html)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from simulators.redshift.backend import Refused
from simulators.redshift.known import NotShown
from simulators.redshift.tokens import Sql, words

# With whose rights (copy-parameters-authorization.html); all are followed by a value.
AUTHORITY = words("iam_role credentials access_key_id secret_access_key session_token")
_ROLE = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/.+|default")
# Words that say no more than what follows them.
_FILLING = {"format", "as", "with", "authorization"}


@dataclass(frozen=True)
class Options:
    """Those of a command.

    Attributes:
        values: those that a value follows.
        sizes: those that a number follows, and perhaps a unit.
        flags: those that nothing follows.
        others: those that Redshift has and the stand-in has not.
        page: of Redshift's guide.
    """

    values: frozenset[str]
    sizes: frozenset[str]
    flags: frozenset[str]
    others: frozenset[str]
    page: str

    def read(self, sql: Sql, at: int) -> dict[str, str]:
        """Those from a place on, each with its value, which may be empty.

        Raises:
            Refused: there is no such option, or it is not said with whose rights.
            NotShown: it is one of the others.
        """
        found: dict[str, str] = {}
        while at < len(sql):
            word = sql[at].word
            if word in _FILLING:
                at += 1
            elif word == "partition" and sql.words(at + 1, "by", "(") and word in self.flags:
                end = sql.close(at + 2)
                found[word] = ",".join(sql[place].name for place in range(at + 3, end) if sql[place].name)
                at = end + 1
            elif word in self.values | self.sizes:
                at += 2 if sql[at + 1].word == "as" else 1
                found[word] = literal(sql, at)
                at += 2 if word in self.sizes and sql[at + 1].word in ("mb", "gb") else 1
            elif word in self.flags:
                found[word] = ""
                at += 1
            elif word in self.others:
                raise NotShown(f"the option {word.upper()}")
            else:
                raise Refused(f'syntax error at or near "{sql[at].text}"', "42601", self.page)
        if not any(name in found for name in ("iam_role", "credentials", "access_key_id")):
            raise Refused("CREDENTIALS argument is required but missing", "42601", self.page)
        if not _ROLE.fullmatch(found.get("iam_role", "default")):
            raise Refused("Invalid IAM_ROLE: not an ARN of a role", "42601", self.page)
        return found


def literal(sql: Sql, at: int) -> str:
    """What a text or a word says."""
    text = sql[at].text
    return text[1:-1].replace("''", "'").replace("\\'", "'") if sql[at].kind == "string" else text
