"""SQL as a list of tokens that can be changed and written out again, comments and spaces kept.

No parser: neither of the open ones reads Redshift's DDL, and what is left alone must come out as it went in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_PATTERN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<string>[eE]?'(?:[^'\\]|''|\\.)*')
    |(?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
    |(?P<quoted>"(?:[^"]|"")*")
    |(?P<number>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)
    |(?P<parameter>\$\d+)
    |(?P<word>[^\W\d][\w$]*)
    |(?P<operator>::|->>|->|\#>>|\#>|@>|<@|\?\||\?&|&&|-\|-|@@|<=|>=|<>|!=|!~~\*|!~~|!~\*|!~|~~\*|~~|~\*|\|\||.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass
class Token:
    """A piece of SQL; `before` are the spaces and comments in front of it.

    Attributes:
        kind: string, dollar, quoted, number, parameter, word or operator.
        text: as written; may be changed.
        word: of a word, its lower case; else empty.
    """

    kind: str
    text: str
    before: str = ""

    @property
    def word(self) -> str:
        """For comparing with keywords."""
        return self.text.lower() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        """What an identifier names: Redshift folds quoted ones, too, unless told otherwise."""
        if self.kind == "quoted":
            return self.text[1:-1].replace('""', '"').lower()
        return self.word


class Sql:
    """The tokens of a text of one or more statements; a list as far as it is needed, which may be changed."""

    def __init__(self, text: str) -> None:
        self.tokens: list[Token] = []
        before = ""
        for found in _PATTERN.finditer(text):
            if found.lastgroup == "space":
                before += found[0]
            else:
                kind = "dollar" if found["dollar"] else str(found.lastgroup)
                self.tokens.append(Token(kind, found[0], before))
                before = ""
        self._after = before

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
        return all((self[at + n].word or self[at + n].text) == word for n, word in enumerate(words))

    def close(self, at: int) -> int:
        """The place of the bracket that closes the one at a place; the end where none does."""
        depth = 0
        for place in range(at, len(self)):
            depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(self[place].text, 0)
            if depth == 0:
                return place
        return len(self)

    def arguments(self, at: int) -> list[tuple[int, int]]:
        """From and until where each argument stands, in the brackets that open at a place."""
        end = self.close(at)
        if end == at + 1:
            return []
        found, first, place = [], at + 1, at + 1
        while place < end:
            if self[place].text in "([":
                place = self.close(place)
            elif self[place].text == ",":
                found.append((first, place))
                first = place + 1
            place += 1
        return [*found, (first, end)]

    def text(self, first: int, until: int) -> str:
        """What is written between two places, without the spaces in front."""
        return "".join(token.before + token.text for token in self.tokens[first:until]).strip()

    def put(self, first: int, until: int, text: str) -> None:
        """Write something else in place of what stands between two places."""
        before = (self[first].before if first < len(self) else "") or (" " if text[:1] == " " else "")
        new = Sql(text).tokens
        if new:
            new[0].before = before
        self.tokens[first:until] = new

    def statements(self) -> list[Sql]:
        """Each statement by itself, without semicolons; empty ones are left out."""
        parts: list[list[Token]] = [[]]
        for token in self.tokens:
            if token.text == ";":
                parts.append([])
            else:
                parts[-1].append(token)
        found = []
        for part in parts:
            if part:
                one = Sql("")
                one.tokens = part
                found.append(one)
        return found
