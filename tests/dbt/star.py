"""A hand-filled raw layer and the dbt project over it, in a database of their own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loaders._core.embedded import EmbeddedWarehouse
from tests import resident
from tests.conftest import drop, recreate, variables
from tests.dbt.landing import Landing

ROOT = Path(__file__).parents[2]


@dataclass
class Star:
    """What the tests of the dbt project share: `landing` fills raw, `dbt` builds, `dump` shows the marts."""

    landing: Landing
    environment: dict[str, str]
    selector: str = "daily"

    def dbt(self, *arguments: str, code: int = 0) -> dict[str, str]:
        """Run dbt and say what became of each node, by name."""
        ended, output = resident.dbt(resident.completed(arguments, self.selector), self.environment)
        assert ended == code, output[-6000:]
        told = "sources.json" if "freshness" in arguments else "run_results.json"
        results = json.loads((Path(self.environment["DBT_TARGET_PATH"]) / told).read_text())
        return {_name(each["unique_id"]): each["status"] for each in results["results"]}

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """All rows of all marts, in an order that does not depend on how they came."""
        tables = self.landing.query(
            "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
        )
        return {
            name: self.landing.query(f"select t::text from marts.{name} as t order by 1")
            for (name,) in tables
        }

    def offenders(self, test: str) -> list[dict[str, Any]]:
        """The rows a test stored."""
        with self.landing.connection.cursor() as cursor:
            cursor.execute(f"select * from test_failures.{test}")
            names = [column.name for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def places(self, test: str) -> set[tuple[str, str]]:
        """The accounts and days a test named."""
        return {(row["account_id"], row["date_day"].isoformat()) for row in self.offenders(test)}


@contextmanager
def star(server: EmbeddedWarehouse, folder: Path, selector: str = "daily") -> Iterator[Star]:
    """An empty database, the environment that points dbt at it, and the nodes that its commands mean."""
    name = "journey"
    recreate(server, name)
    inside = server.connect(name)
    inside.autocommit = True
    try:
        environment = os.environ | variables(server, name, folder) | {"DBT_USE_COLORS": "false"}
        yield Star(Landing(inside), environment, selector)
    finally:
        inside.close()
        drop(server, name)


def _name(unique_id: str) -> str:
    """Of a node; a unit test's id has its model's name before its own, a table's its source's."""
    kind, _, *names = unique_id.split(".")
    return names[1] if kind in ("unit_test", "source") else names[0]
