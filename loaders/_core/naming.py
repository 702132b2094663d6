"""Names of raw columns: dlt's snake_case, the same path always the same column, no two paths one column."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from dlt.common.normalizers.naming.snake_case import NamingConvention

from loaders._core.errors import BadBody
from loaders._core.privacy.values import SUFFIX, Personal

MAX_LENGTH = 63
MAX_COLUMNS = 1500  # warehouses stop at 1600
SYSTEM_COLUMNS = ("_run_seq", "_row_no", "_account", "_day", "_dlt_load_id")
_RESERVED = frozenset(SYSTEM_COLUMNS) | {"_dlt_id", "_dlt_parent_id", "_dlt_list_idx", "_dlt_root_id"}
_SNAKE_CASE = NamingConvention(max_length=MAX_LENGTH)


class TooManyColumns(BadBody):
    """A record would widen its table beyond what a warehouse can hold."""


class ColumnNames:
    """The columns of one raw table, in the order of their making.

    Args:
        columns: columns the table has or shall have.
        paths: which path (as ``path_text``) each of them was made for, as far as recorded.

    Attributes:
        nested: columns that were seen to hold lists or objects since.
    """

    def __init__(self, columns: Iterable[str] = (), paths: Mapping[str, str] | None = None) -> None:
        self.paths: dict[str, str] = dict(paths or {})
        self.order: list[str] = [
            c for c in dict.fromkeys([*columns, *self.paths.values()]) if c not in SYSTEM_COLUMNS
        ]
        self.nested: set[str] = set()
        self._taken = set(self.paths.values())

    def name(self, path: tuple[str, ...]) -> str:
        """The column of a path in a record; a new one if the path was never seen.

        The first path to ask for a name gets it; a later one that would fall on it gets a suffix made of
        its own spelling, so it does not depend on what else there is.

        Raises:
            TooManyColumns: there are too many of them already.
        """
        key = path_text(path)
        if key not in self.paths:
            if len(self.order) >= MAX_COLUMNS:
                raise TooManyColumns(f"it has a new field, and its table {MAX_COLUMNS:,} columns already")
            name = _snake_case(path)
            if name in self._taken or name in _RESERVED or name.endswith(SUFFIX):
                name = _suffixed(name, key)
            self.paths[key] = name
            self._taken.add(name)
            if name not in self.order:
                self.order.append(name)
        return self.paths[key]


def named_fields(declared: Any, within: str, names: ColumnNames) -> dict[str, Personal | None]:
    """The raw columns of the fields that the table of a queue or topic names, and of those with personal data
    the class.

    Args:
        declared: has ``required``, ``fields`` and ``personal``.
        within: the column of which they are fields, such as "body".
    """
    fields = dict.fromkeys((*declared.required, *declared.fields, *declared.personal))
    return {names.name((within, field)): declared.personal.get(field) for field in fields}


def path_text(path: tuple[str, ...]) -> str:
    """A path as kept in ``ops.columns``: the JSON list of its keys."""
    return json.dumps(path, ensure_ascii=True)


def _snake_case(path: tuple[str, ...]) -> str:
    parts = [_SNAKE_CASE.normalize_identifier(part) if part.strip() else "" for part in path]
    if not all(parts):
        return _suffixed("column", path_text(path))
    name: str = _SNAKE_CASE.normalize_path(_SNAKE_CASE.make_path(*parts))
    return name


def _suffixed(name: str, key: str) -> str:
    digest = hashlib.sha256(key.encode()).digest()
    # Letters only: snake_case leaves them alone, whatever stands before.
    suffix = "".join(chr(ord("a") + byte % 26) for byte in digest[:8])
    return f"{name[: MAX_LENGTH - 9].rstrip('_')}_{suffix}"
