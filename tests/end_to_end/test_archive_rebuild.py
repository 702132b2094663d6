"""Mornings archived, the warehouse dropped, and made again from the archive alone: the same in every row."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from loaders._core import configure, warehouse
from loaders._core.archive.rebuild import Rebuild
from loaders._core.declare import Clock
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.run import Result
from simulators import site_events
from tests.conftest import drop, recreate
from tests.end_to_end.chain import MORNING, Chain, chain
from tests.loaders.test_archive import raw

ARCHIVED = ("facebook_ads", "google_ads", "clevertap", "http_json", "rds", "sqs", "kafka")
SHORT = {
    "SOURCES__CLEVERTAP__WINDOW_DAYS": "1",
    "SOURCES__CLEVERTAP__START_DATE": "2026-02-28",
    "SOURCES__GOOGLE_ADS__WINDOW_DAYS": "10",
    "SOURCES__FACEBOOK_ADS__WINDOW_DAYS": "10",
}


@pytest.fixture
def lived(server: EmbeddedWarehouse, tmp_path: Path) -> Iterator[Chain]:
    """Two mornings of all sources, archived."""
    with chain(server, tmp_path, database="archived", people=True, seed=7, days=4, now=MORNING) as made:
        made.variables |= {"ARCHIVE__URL": str(tmp_path / "archive"), "ARCHIVE__ALL": "true"} | SHORT
        for morning in range(2):
            if morning:
                made.next_day()
            results = made.land(*ARCHIVED)
            assert [result.outcome for result in results] == ["ok"] * len(ARCHIVED), results
        yield made


def rebuilt(made: Chain, *sources: str) -> list[Result]:
    with patch.dict(os.environ, made._environment()):
        loaders = configure.available()
        return [
            Rebuild(loaders[name], warehouse.resolve(), clock=Clock()).execute()
            for name in sources or ARCHIVED
        ]


@pytest.mark.full
def test_every_table_of_raw_is_made_again_without_asking_a_vendor(
    lived: Chain, server: EmbeddedWarehouse
) -> None:
    before = raw(lived.target)
    assert {table.partition(".")[0] for table in before} == {f"raw_{name}" for name in ARCHIVED}
    runs = "select pipeline, run_id, mode, run_seq from ops.commits order by run_seq"
    commits = lived.rows(runs)
    recreate(server, lived.target.database)
    lived.simulator.stop()
    assert lived.shop
    lived.shop.queue.stop()
    drop(server, "archived_shop")
    lived.shop.cluster.delete_topic(site_events.TOPIC)
    results = rebuilt(lived)
    assert [(result.outcome, result.message) for result in results] == [("ok", None)] * len(ARCHIVED)
    after = raw(lived.target)
    assert after.keys() == before.keys()
    for table, rows in before.items():
        assert after[table] == rows, table
    assert sum(map(len, before.values())) > 1_000
    assert lived.rows(runs) == commits
    again = rebuilt(lived)
    assert {result.message for result in again} == {"the warehouse has every package of the archive"}
    assert raw(lived.target) == after


@pytest.mark.full
def test_a_week_and_the_star_on_top_are_made_again(server: EmbeddedWarehouse, tmp_path: Path) -> None:
    with chain(server, tmp_path, database="archived", selector="ads", seed=7, days=10, now=MORNING) as made:
        made.variables |= {"ARCHIVE__URL": str(tmp_path / "archive"), "ARCHIVE__ALL": "true"}
        sources = ("facebook_ads", "google_ads", "http_json")
        for morning in range(7):
            if morning:
                made.next_day()
            results = made.land(*sources)
            assert [result.outcome for result in results] == ["ok"] * 3, results
        built = made.build_models()
        assert built.code == 0, built.failed
        tables, star = raw(made.target), made.dump()
        recreate(server, made.target.database)
        made.simulator.stop()
        assert [result.outcome for result in rebuilt(made, *sources)] == ["ok"] * 3
        assert raw(made.target) == tables
        built = made.build_models()
        assert built.code == 0, built.failed
        assert made.dump() == star
        print(f"figure: {len(tables)} tables of raw and {len(star)} marts equal")
