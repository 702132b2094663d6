"""Looks for personal values where none should be: in columns of raw that nobody declared, and anywhere else.

Judged are the values that landed, by their form, and the columns' names. Tables and columns are told, and how
many values; never a value.
"""

# ruff: noqa: S608  (what is put into statements are names of the catalogue)

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from loaders._core.privacy.books import catalogue
from loaders._core.privacy.values import SUFFIX
from loaders._core.warehouse import Target

_TEXTS = ("text", "character varying", "character", "json", "jsonb", "inet", "ARRAY", "super")
_SAMPLE = 1_000
# A value alone, or as a string in JSON: inside longer texts such numbers are versions, ids and prices.
_ALONE = '(^|")({})("|$)'
_NAMED = re.compile(
    r"e_?mail|phone|msisdn|passport|iban|ssn|birth_?(day|date)|date_of_birth|(^|_)dob($|_)"
    r"|(^|_)(first|last|full|given|family|sur|middle|maiden)_?name$"
    r"|(^|_)(street|postal_?code|post_?code|zip|zip_?code|house_number)($|_)|(^|_)ip(_?address)?$"
)
# What a name like that may hold and be nobody's: figures, flags, settings.
_HARMLESS = r"^(-?[0-9]{1,5}([.][0-9]+)?|true|false|[A-Z_]{2,40}|sealed:.*)?$"


@dataclass(frozen=True)
class Form:
    """What personal values look like.

    Attributes:
        pattern: finds what may be one, in SQL and here; its second group is the value. Without a backslash,
            which in Redshift's literals is an escape.
        proves: decides of one value.
        share: how much of what may be one must be, since ids look like cards.
    """

    name: str
    pattern: str
    proves: Callable[[str], bool]
    share: float = 0.0


@dataclass(frozen=True)
class Finding:
    """Values of a column that look personal; ``looks_like`` is the form's name, or ``name`` of the column."""

    column: str
    looks_like: str
    count: int

    def __str__(self) -> str:
        return f"{self.column}: {self.count:,} values look like {self.looks_like}"


def luhn(digits: str) -> bool:
    """Whether the last digit of a card's number agrees with the others (ISO/IEC 7812-1)."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_email(text: str) -> bool:
    # Pictures for dense screens are named icon@2x.png.
    return not re.search(r"(?i)@\dx\.|\.(png|jpe?g|gif|webp|svg|js|css)$", text)


def _is_card(text: str) -> bool:
    return luhn(re.sub(r"\D", "", text))


FORMS = (
    Form(
        "e-mail addresses",
        "()([A-Za-z0-9._%+-]+(@|%40)[A-Za-z0-9-]+([.][A-Za-z0-9-]+)*[.][A-Za-z]{2,})",
        _is_email,
    ),
    Form("telephone numbers", _ALONE.format("([+]|00)[1-9][0-9]{0,2}[0-9 ()./-]{5,16}[0-9]"), bool),
    Form("IPv4 addresses", _ALONE.format("([0-9]{1,3}[.]){3}[0-9]{1,3}"), _is_address, 0.5),
    Form("IPv6 addresses", _ALONE.format("[0-9A-Fa-f]{0,4}(:[0-9A-Fa-f]{0,4}){2,7}"), _is_address),
    Form(
        "payment cards",
        _ALONE.format("(4[0-9]{3}|5[1-5][0-9]{2}|2[2-7][0-9]{2}|6011|65[0-9]{2})([ -]?[0-9]{4}){3}"),
        _is_card,
        # A tenth of all numbers passes Luhn's test.
        0.5,
    ),
    Form("payment cards", _ALONE.format("3[47][0-9]{2}[ -]?[0-9]{6}[ -]?[0-9]{5}"), _is_card, 0.5),
)


def scan(target: Target) -> list[Finding]:
    """All columns of the warehouse that look personal and must not: undeclared ones of raw, any of the rest.

    ``ops.tombstones`` and pseudonym columns hold pseudonyms, which look like nothing.
    """
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        found = catalogue(cursor)
        return [
            finding
            for place, columns in found.tables.items()
            for finding in _table(
                cursor,
                *place,
                {
                    column: found.text(place, column)
                    for column, kind in columns.items()
                    if kind in _TEXTS
                    and column not in found.personal.get(place, {})
                    and not column.endswith(SUFFIX)
                },
            )
        ]


def _table(cursor: Any, schema: str, table: str, columns: dict[str, str]) -> Iterator[Finding]:
    """Findings in the columns of a table, given with the SQL for their texts."""
    where = f'"{schema}"."{table}"'
    counts = [
        f"sum(case when {text} ~ '{form.pattern}' then 1 else 0 end)"
        for text in columns.values()
        for form in FORMS
    ]
    # A statement has room for 1,664 results.
    found: list[int] = []
    for start in range(0, len(counts), 1_500):
        cursor.execute(f"select {', '.join(counts[start : start + 1_500])} from {where}")
        found += cursor.fetchone()
    each = iter(found)
    for column, text in columns.items():
        name = f"{schema}.{table}.{column}"
        told = False
        for form in FORMS:
            count = next(each)
            if count and ("version" not in column or "IP" not in form.name):
                proven = _proven(cursor, where, text, form)
                if proven:
                    told = True
                    yield Finding(name, form.name, count)
        if not told and schema.startswith("raw_") and _NAMED.search(column):
            cursor.execute(
                f"select count(*) from {where} where \"{column}\" is not null and {text} !~ '{_HARMLESS}'"
            )
            if count := cursor.fetchone()[0]:
                yield Finding(name, "personal data, by the column's name", count)


def _proven(cursor: Any, where: str, text: str, form: Form) -> bool:
    """Whether what has the form is it, judged by some of its values."""
    cursor.execute(
        f"select distinct regexp_substr({text}, '{form.pattern}') from {where}"
        f" where {text} ~ '{form.pattern}' limit {_SAMPLE}"
    )
    found = [re.search(form.pattern, row[0]) for row in cursor.fetchall()]
    values = [each[2] for each in found if each and each[2]]
    right = sum(map(form.proves, values))
    return right > 0 and right >= form.share * len(values)
