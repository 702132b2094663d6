"""Values of a person in any text of the warehouse: found there, and replaced by ``[erased]``.

What is looked for never stands in a statement: those are seen in the server's views and logs.
"""

# ruff: noqa: S608  (what is put into statements are names of the catalogue; values go beside them)

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any

from loaders._core.privacy.books import (
    TEXTS,
    Catalogue,
    Tables,
    as_text,
    copy_in,
    from_text,
    portions,
    rows_of,
)
from loaders._core.privacy.values import SUFFIX
from loaders._core.warehouse import Target

ERASED = "[erased]"
_AUDIT = ("ops", "privacy_audit")
_JSON = ("json", "jsonb", "super")
_SEARCHED = (*TEXTS, "json", "jsonb")
# What is no letter and no digit, as it stands or as JSON escapes it: the n of "\n" begins no word.
_ESCAPED = r"\\u(?:00[0-7ab]|20[0-6])[0-9a-f]"
_BEFORE = rf"(?:(?<![^\W_])|(?<=(?<!\\)\\[bfnrt])|(?<={_ESCAPED}))"
_BEFORE_IN_POSTGRES = rf"(?:(?<![[:alnum:]])|(?<=(?<!\\)\\[bfnrt])|(?<={_ESCAPED}))"
_SCALAR = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*')


def search(target: Target, cursor: Any, found: Catalogue) -> PostgresSearch | RedshiftSearch:
    """What looks for texts in the tables of a warehouse; columns of pseudonyms are left out."""
    searched = {
        place: {c: kind for c, kind in columns.items() if kind in _SEARCHED and not c.endswith(SUFFIX)}
        for place, columns in found.tables.items()
        if place != ("ops", "tombstones")
    }
    kind = PostgresSearch if target.kind == "postgres" else RedshiftSearch
    return kind(target, cursor, found, {place: columns for place, columns in searched.items() if columns})


def without(text: str, pattern: re.Pattern[str], kind: str = "text") -> str:
    """A text with ``[erased]`` in place of what a pattern finds; JSON stays JSON, and all else as it is.

    Args:
        kind: the type of its column.
    """
    if text.lstrip()[:1] not in ("{", "[") and kind not in _JSON:
        return pattern.sub(ERASED, text)

    def in_scalar(found: re.Match[str]) -> str:
        scalar = found[0]
        if not scalar.startswith('"'):
            return f'"{ERASED}"' if pattern.fullmatch(scalar) else scalar
        if scalar[1:2] in ("{", "["):
            inner = json.loads(scalar)
            cleaned = without(inner, pattern)
            return scalar if cleaned == inner else json.dumps(cleaned)
        return pattern.sub(ERASED, scalar)

    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return pattern.sub(ERASED, text)
    return _SCALAR.sub(in_scalar, text)


def pattern_of(spellings: Collection[str]) -> re.Pattern[str]:
    """Finds these as words of their own, in any case; also right behind an escape, as JSON has them."""
    return re.compile(rf"{_BEFORE}(?:{any_of(spellings)})(?![^\W_])", re.IGNORECASE)


def bytes_pattern_of(spellings: Collection[str]) -> re.Pattern[bytes]:
    """As ``pattern_of``, in UTF-8."""
    cased = {form.decode("utf-8", "surrogatepass") for each in spellings for form in cases(each)}
    return re.compile(pattern_of(cased).pattern.encode("utf-8", "surrogatepass"), re.IGNORECASE)


def cases(spelling: str) -> set[bytes]:
    """A spelling in UTF-8, for a search that finds letters of ASCII in any case, and no others."""
    forms = (spelling, spelling.lower(), spelling.upper(), spelling.title())
    return {form.encode("utf-8", "surrogatepass").lower() for form in forms}


def any_of(spellings: Collection[str]) -> str:
    """A regular expression that matches each of these, the longest first, and nothing if there is none."""
    return "|".join(map(re.escape, sorted(spellings, key=len, reverse=True))) or "(?!x)x"


class PostgresSearch:
    """Looks for one regular expression, which stands in a temporary table."""

    def __init__(self, target: Target, cursor: Any, found: Catalogue, tables: Tables) -> None:
        self._cursor = cursor
        self._found = found
        self._tables = tables
        self._pattern = pattern_of(())

    def remember(self, spellings: Collection[str]) -> None:
        """Look for these from now on, as words of their own and in any case."""
        self._pattern = pattern_of(spellings)
        ordered = sorted(spellings, key=len, reverse=True)
        forms = "|".join(re.sub(r"([^\w\s@])", r"\\\1", each) for each in ordered) or "(?!x)x"
        pattern = f"{_BEFORE_IN_POSTGRES}({forms})(?![[:alnum:]])"
        copy_in(self._cursor, None, "privacy_pattern", ("pattern",), [[pattern]])

    def mentions(self) -> dict[str, int]:
        """How many rows hold one of them, by schema.table.column."""
        return {".".join(place): count for place, count in self._counts().items()}

    def _counts(self) -> dict[tuple[str, str, str], int]:
        """One reading of each table."""
        found = {}
        for (schema, table), columns in self._tables.items():
            counts = [f'count(*) filter (where "{column}"::text ~* {_PATTERN})' for column in columns]
            self._cursor.execute(f'select {", ".join(counts)} from "{schema}"."{table}"')
            for column, count in zip(columns, self._cursor.fetchone(), strict=True):
                if count:
                    found[schema, table, column] = count
        return found

    def clean(self) -> dict[str, int]:
        """Replace them; as ``mentions``."""
        found = self._counts()
        for schema, table, column in found:
            kind = self._tables[schema, table][column]
            if (schema, table) == _AUDIT:  # Whoever wrote a value into a reason: it may not stay.
                self._cursor.execute("alter table ops.privacy_audit disable trigger user")
            place, said = f'"{schema}"."{table}"', f'"{column}"::text'
            also = self._found.without_bytes((schema, table), column)
            is_document = "true" if kind in _JSON else f"left(ltrim({said}), 1) in ('{{', '[')"
            self._clean_documents(place, column, kind, f"{said} ~* {_PATTERN} and {is_document}", also)
            self._cursor.execute(
                f'update {place} set "{column}" ='
                f" regexp_replace({said}, {_PATTERN}, '{ERASED}', 'gi')::{kind}{also}"
                f" where {said} ~* {_PATTERN} and not {is_document}"
            )
            if (schema, table) == _AUDIT:
                self._cursor.execute("alter table ops.privacy_audit enable trigger user")
        return {".".join(place): count for place, count in found.items()}

    def _clean_documents(self, place: str, column: str, kind: str, where: str, also: str) -> None:
        """Replace them in what is JSON, or begins like it."""
        found = rows_of(self._cursor, f'select distinct "{column}"::text from {place} where {where}')
        for some in portions(found):
            texts = [(text, without(text, self._pattern, kind)) for (text,) in some]
            copy_in(self._cursor, None, "privacy_texts", ("privacy_value", "privacy_cleaned"), texts)
            self._cursor.execute(
                f'update {place} set "{column}" = privacy_cleaned::{kind}{also} from privacy_texts'
                f' where "{column}"::text = privacy_value'
            )


_PATTERN = "(select pattern from privacy_pattern)"


class RedshiftSearch:
    """As ``PostgresSearch``.

    Redshift wants its regular expressions as literals, so the server only says which texts hold one of the
    spellings, and the rest is done here.
    """

    def __init__(self, target: Target, cursor: Any, found: Catalogue, tables: Tables) -> None:
        self._target = target
        self._cursor = cursor
        self._found = found
        self._tables = tables
        self._pattern = pattern_of(())

    def remember(self, spellings: Collection[str]) -> None:
        """As ``PostgresSearch``."""
        self._pattern = pattern_of(spellings)
        lower = sorted({each.lower() for each in spellings})
        copy_in(self._cursor, self._target, "privacy_spellings", ("spelling",), [[each] for each in lower])

    def mentions(self) -> dict[str, int]:
        """As ``PostgresSearch``."""
        return self._each(cleaning=False)

    def clean(self) -> dict[str, int]:
        """As ``PostgresSearch``."""
        return self._each(cleaning=True)

    def _each(self, *, cleaning: bool) -> dict[str, int]:
        found = {}
        for (schema, table), columns in self._tables.items():
            place = f'"{schema}"."{table}"'
            for column in self._suspected(place, columns):
                also = self._found.without_bytes((schema, table), column)
                count = self._in_column(place, column, columns[column], also, cleaning=cleaning)
                if count:
                    found[f"{schema}.{table}.{column}"] = count
        return found

    def _suspected(self, place: str, columns: Mapping[str, str]) -> list[str]:
        """Columns with a text that has a spelling anywhere in it."""
        sums = [
            f"sum(case when {_holds(column, kind)} then 1 else 0 end)" for column, kind in columns.items()
        ]
        self._cursor.execute(f"select {', '.join(sums)} from {place} cross join privacy_spellings")
        return [column for column, count in zip(columns, self._cursor.fetchone(), strict=True) if count]

    def _in_column(self, place: str, column: str, kind: str, also: str, *, cleaning: bool) -> int:
        """Count, or clean, what the pattern finds."""
        said = as_text(column, kind)
        found = rows_of(
            self._cursor,
            f"select distinct {said} from {place} cross join privacy_spellings where {_holds(column, kind)}",
        )
        count = 0
        for some in portions(found):
            texts = [(text, without(text, self._pattern, kind)) for (text,) in some]
            changed = [(text, cleaned) for text, cleaned in texts if text != cleaned]
            if not changed:
                continue
            copy_in(
                self._cursor, self._target, "privacy_texts", ("privacy_value", "privacy_cleaned"), changed
            )
            self._cursor.execute(f"select count(*) from {place} join privacy_texts on {said} = privacy_value")
            count += int(self._cursor.fetchone()[0])
            if cleaning:
                self._cursor.execute(
                    f'update {place} set "{column}" = {from_text("privacy_cleaned", column, kind)}'
                    f"{also} from privacy_texts where {said} = privacy_value"
                )
        return count


def _holds(column: str, kind: str) -> str:
    """SQL: does a column's text have the spelling in it?"""
    return f"strpos(lower({as_text(column, kind)}), spelling) > 0"
