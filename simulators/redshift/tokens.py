"""SQL as a list of tokens that can be changed and written out again, comments and spaces kept.

No parser: neither of the open ones reads Redshift's DDL, and what is left alone must come out as it went in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

# Repetitions are possessive: a text that nobody closes costs one look, not one for each character in it.
_PATTERN = re.compile(
    r"""
    (?P<space>(?:\s|--[^\n]*)++)
    |(?P<comment>/\*)
    |(?P<string>[eE]?'(?:[^'\\]++|''|\\.)*+')
    |(?P<dollar>(?P<tag>\$(?:[^\W\d]\w*)?\$).*?(?P=tag))
    |(?P<quoted>"(?:[^"]++|"")*+")
    |(?P<number>\d++(?:\.\d*+)?(?:[eE][+-]?\d++)?|\.\d++(?:[eE][+-]?\d++)?)
    |(?P<parameter>\$\d++)
    |(?P<word>[^\W\d][\w$]*+)
    |(?P<operator>::|->>?|\#>>?|@>|<@|\?\||\?&|&&|-\|-|@@|<=|>=|<>|!=|!?~~?\*?|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT = re.compile(r"/\*|\*/")
_OPEN, _CLOSED = {"(", "["}, {")", "]"}


def words(listed: str) -> frozenset[str]:
    """Words with spaces between them, as a set."""
    return frozenset(listed.split())


@dataclass
class Token:
    """A piece of SQL; `before` are the spaces and comments in front of it.

    Attributes:
        kind: string, dollar, quoted, number, parameter, word or operator.
        text: as written; may be changed.
    """

    kind: str
    text: str
    before: str = ""

    @property
    def word(self) -> str:
        """A keyword or a name without quotes, in lower case; else empty."""
        return self.text.lower() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """What an identifier names: Redshift folds quoted ones, too (r_names.html); else empty."""
        if self.kind == "quoted":
            return self.text[1:-1].replace('""', '"').lower()
        return self.word


class Sql:
    """The tokens of a text of one or more statements; a list as far as it is needed, which may be changed.

    Attributes:
        known: what was found out about the statement as it is; gone when it changes.
    """

    def __init__(self, text: str) -> None:
        """Take a text apart; what is no SQL comes out as tokens of one character each."""
        self.tokens: list[Token] = []
        self.known: dict[str, Any] = {}
        self._after = ""
        at, before = 0, ""
        while at < len(text):
            found = _PATTERN.match(text, at)
            assert found  # the last of the operators is any character
            end = _end_of_comment(text, at) if found["comment"] else found.end()
            if found["space"] or end > found.end():
                before += text[at:end]
            else:
                kind = next(kind for kind in _KINDS if found[kind] is not None)
                self.tokens.append(Token(kind, found[0], before))
                before = ""
            at = end
        self._after = before

    @classmethod
    def of(cls, tokens: list[Token]) -> Sql:
        """Tokens that are there already."""
        made = cls("")
        made.tokens = tokens
        return made

    def __str__(self) -> str:
        """The text as it is now."""
        return "".join(token.before + token.text for token in self.tokens) + self._after

    def __len__(self) -> int:
        """How many tokens."""
        return len(self.tokens)

    def __getitem__(self, at: int) -> Token:
        """A token; an empty one beyond the ends."""
        return self.tokens[at] if 0 <= at < len(self.tokens) else Token("end", "")

    def __iter__(self) -> Iterator[Token]:
        """All tokens."""
        return iter(self.tokens)

    def words(self, at: int, *words: str) -> bool:
        """Whether these words (or signs) stand at a place."""
        for place, word in enumerate(words, at):
            token = self[place]
            if (token.word or token.text) != word:
                return False
        return True

    def find(self, *words: str, first: int = 0, until: int | None = None) -> int | None:
        """Where one of these words stands first, outside brackets; None if none does."""
        return next((at for at in self.outside(first, until) if self[at].word in words), None)

    def outside(self, first: int, until: int | None = None) -> Iterator[int]:
        """The places between two that are not within brackets which open there."""
        at, end = first, len(self) if until is None else until
        while at < end:
            yield at
            at = self.close(at) + 1 if self[at].text in _OPEN else at + 1

    def close(self, at: int) -> int:
        """The place of the bracket that closes the one at a place; the end where none does."""
        depth = 0
        for place in range(at, len(self)):
            depth += (self[place].text in _OPEN) - (self[place].text in _CLOSED)
            if depth == 0:
                return place
        return len(self)

    def open(self, at: int) -> int:
        """The place of the bracket that a bracket at a place closes; the beginning where none does."""
        depth = 0
        for place in range(at, -1, -1):
            depth += (self[place].text in _CLOSED) - (self[place].text in _OPEN)
            if depth == 0:
                return place
        return 0

    def arguments(self, at: int) -> list[tuple[int, int]]:
        """From and until where each argument stands, in the brackets that open at a place."""
        end = self.close(at)
        if end == at + 1:
            return []
        commas = [place for place in self.outside(at + 1, end) if self[place].text == ","]
        return list(zip([at + 1, *(comma + 1 for comma in commas)], [*commas, end], strict=True))

    def text(self, first: int, until: int) -> str:
        """What is written between two places, without the spaces in front."""
        return "".join(token.before + token.text for token in self.tokens[first:until]).strip()

    def put(self, first: int, until: int, text: str) -> None:
        """Write something else in place of what stands between two places; spaces in front are kept."""
        new = Sql(text).tokens
        if new:
            new[0].before = (self[first].before if first < len(self) else "") or new[0].before
        self.tokens[first:until] = new
        self.known.clear()

    def statements(self) -> list[Sql]:
        """Each statement by itself, without semicolons; empty ones are left out."""
        parts: list[list[Token]] = [[]]
        for token in self.tokens:
            if token.text == ";":
                parts.append([])
            else:
                parts[-1].append(token)
        return [Sql.of(part) for part in parts if part]


_KINDS = ("string", "dollar", "quoted", "number", "parameter", "word", "operator", "comment")


def _end_of_comment(text: str, at: int) -> int:
    """Where the comment ends that begins at a place, with those within it; behind its sign if nowhere."""
    depth = 0
    for sign in _COMMENT.finditer(text, at):
        depth += 1 if sign[0] == "/*" else -1
        if depth == 0:
            return sign.end()
    return at + 2
