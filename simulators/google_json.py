"""Rows printed as GoogleAdsRow JSON: one text with placeholders for all rows of a piece of the answer."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from simulators.google_fields import FIELDS, Coded, Constant, Field, Rows, Values, plain

_PLACEHOLDER = re.compile(r"(%d|%s|%\.15g)")


@dataclass
class Changes:
    """What a fault changes about the rows: fields left out, sent as something else, and added (by path)."""

    vanished: set[str] = field(default_factory=set)
    retyped: dict[str, str | None] = field(default_factory=dict)
    added: dict[tuple[str, ...], str] = field(default_factory=dict)

    def apply(self, name: str, printed: _Printed) -> _Printed | None:
        """The field as it is sent; None if it isn't. A retyped field without a value is a list of itself."""
        if _named(name, self.vanished):
            return None
        for wanted, instead in self.retyped.items():
            if _named(name, {wanted}):
                return replace(printed, text=f"[{printed.text}]") if instead is None else _literal(instead)
        return printed


@dataclass
class _Printed:
    """JSON of one value in every row: `text` with a placeholder for each column; None where it is unset."""

    text: str
    columns: list[Sequence[Any]]
    optional: bool = False


def camel(name: str) -> str:
    """A snake_case name as the REST interface writes it."""
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


def printed(rows: Rows, names: Sequence[str], changes: Changes) -> list[str]:
    """Each row as the JSON of a GoogleAdsRow with the fields `names`."""
    tree: dict[str, Any] = {}
    for name in names:
        value = changes.apply(name, _value(rows, FIELDS[name]))
        if value is not None:
            _put(tree, [camel(part) for part in name.split(".")], value)
    for path, text in changes.added.items():
        _put(tree, list(path), _literal(text))
    whole = _object(tree)
    if whole.optional:
        return [text or "{}" for text in whole.columns[0]]
    if not whole.columns:
        return [whole.text % ()] * rows.size
    return [whole.text % row for row in zip(*whole.columns, strict=True)]


def _named(name: str, wanted: set[str]) -> bool:
    return bool({name, name.rpartition(".")[2], name.replace(".", "__")} & wanted)


def _literal(text: str) -> _Printed:
    return _Printed(text.replace("%", "%%"), [])


def _value(rows: Rows, known: Field) -> _Printed:
    pieces = _PLACEHOLDER.split(known.text)
    columns: list[Sequence[Any]] = []
    for at, part in enumerate(known.parts(rows)):
        place = 2 * at + 1
        if isinstance(part, Constant):
            value = (
                json.dumps(part.value, ensure_ascii=False)
                if known.text == "%s"
                else pieces[place] % part.value
            )
            pieces[place] = value.replace("%", "%%")
        else:
            columns.append(_encoded(part) if known.text == "%s" else plain(part, rows.size))
    listed = isinstance(part, list) or (isinstance(part, np.ndarray) and part.dtype == object)
    if len(columns) == 1 and listed and None in columns[0]:
        text = "".join(pieces)
        return _Printed("%s", [[None if v is None else text % v for v in columns[0]]], optional=True)
    return _Printed("".join(pieces), columns)


def _encoded(part: Values) -> list[str | None]:
    """JSON texts; equal values are encoded once."""
    if isinstance(part, Coded):
        table = np.array([json.dumps(text, ensure_ascii=False) for text in part.table], dtype=object)
        return list(table[part.index].tolist())
    known: dict[Any, str | None] = {None: None}
    texts = []
    for value in plain(part, 0):
        key = tuple(value) if isinstance(value, list) else value
        if key not in known:
            known[key] = json.dumps(value, ensure_ascii=False)
        texts.append(known[key])
    return texts


def _put(tree: dict[str, Any], path: list[str], value: _Printed) -> None:
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


def _object(tree: dict[str, Any]) -> _Printed:
    """An object out of its members; it is unset where all of them are."""
    members = {key: _object(value) if isinstance(value, dict) else value for key, value in tree.items()}
    always = {key: value for key, value in members.items() if not value.optional}
    maybe = {key: value.columns[0] for key, value in members.items() if value.optional}
    if not always:
        lists = [[v and f'"{key}":{v}' for v in column] for key, column in maybe.items()]
        texts = [",".join(filter(None, row)) for row in zip(*lists, strict=True)]
        return _Printed("%s", [[f"{{{text}}}" if text else None for text in texts]], optional=True)
    text = ",".join(f'"{key}":{value.text}' for key, value in always.items())
    columns = [column for value in always.values() for column in value.columns]
    columns += [["" if v is None else f',"{key}":{v}' for v in column] for key, column in maybe.items()]
    return _Printed("{" + text + "%s" * len(maybe) + "}", columns)
