"""The HTTP feeds as the lake has them: the newest committed rows of raw, typed as settings say.

    [lake.feeds.exchange_rates]        # .dlt/config.toml
    date = "date"
    rate = "numeric(38,9)"

A column that is not named there is text, as in raw. Personal columns stay in raw; their pseudonyms come.
"""

# ruff: noqa: S608  (what is put into statements are names of the catalogue, quoted, and types that we know)

from __future__ import annotations

import json
import re
from typing import Any

from _exporting.manifest import Column
from _exporting.postgres import Snapshot, quoted, tables

from loaders._core.errors import ConfigurationError

SOURCE = "http_json"
_OWN = ("covered", "quarantine", "quarantine_resolved")
_NAMED = re.compile(r"numeric\((\d+),(\d+)\)")
DAY = "_day"


def feeds(cursor: Any) -> list[str]:
    """The feeds that have landed."""
    return [
        name for name in tables(cursor, f"raw_{SOURCE}") if name not in _OWN and not name.startswith("_dlt")
    ]


class FeedSnapshot(Snapshot):
    """A feed as it stands in a transaction.

    Raises:
        ConfigurationError: settings name a column or a type that there is not.
    """

    def __init__(self, cursor: Any, feed: str) -> None:
        """Look at its columns."""
        types = _types(feed)
        cursor.execute(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s"
            " and left(column_name, 1) <> '_' and column_name not in (select column_name from"
            " ops.personal_columns where pipeline = %s and resource = %s) order by ordinal_position",
            [f"raw_{SOURCE}", feed, SOURCE, feed],
        )
        names = [name for (name,) in cursor.fetchall()]
        if unknown := sorted(types.keys() - set(names)):
            raise ConfigurationError(
                f"[lake.feeds.{feed}] names {', '.join(unknown)}; the feed has {', '.join(names)}"
            )
        cursor.execute(
            f"select 1 from raw_{SOURCE}.covered where resource = %s and day is not null limit 1", [feed]
        )
        self.by = DAY if cursor.fetchone() else None
        own = [Column(DAY, "date")] if self.by else []
        self.columns = (*own, *(Column(name, types.get(name, "text")) for name in names))
        self.publish = None
        self._cursor = cursor
        self._mart = f"the feed {feed}"
        picked = [quoted(DAY)] if self.by else []
        picked += [f"cast({quoted(n)} as {types.get(n, 'text')}) as {quoted(n)}" for n in names]
        self._table = (
            f"(select {', '.join(picked)} from (select distinct on (_run_seq, _row_no) raw.*"
            f" from raw_{SOURCE}.{quoted(feed)} as raw join (select c.*, row_number() over (partition by"
            f" c.account, c.day order by c.run_seq desc) as age from raw_{SOURCE}.covered as c"
            f" join ops.commits as k on k.run_seq = c.run_seq where c.resource = {_literal(feed)}) as newest"
            " on newest.age = 1 and raw._account = newest.account"
            " and raw._day is not distinct from newest.day and raw._run_seq = newest.data_run_seq) as landed)"
        )


def _types(feed: str) -> dict[str, str]:
    import dlt  # noqa: PLC0415  (slow to import)

    told: Any = dlt.config.get(f"lake.feeds.{feed}") or {}
    if isinstance(told, str):
        told = json.loads(told)
    for name, kind in told.items():
        try:
            known = bool(_NAMED.fullmatch(str(kind))) or bool(Column(name, str(kind)).arrow)
        except KeyError:
            known = False
        if not known:
            raise ConfigurationError(
                f"lake.feeds.{feed}.{name} is {kind!r}; write text, bigint, boolean, date, timestamptz,"
                " timestamp, double precision, or numeric(38,9)"
            )
    return dict(told)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
