"""Fixtures of the journeys and of the faults: one small company that has lived for two days.

Tests that begin in the middle of its life take `journey`, a copy of it with its warehouse.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loaders._core.embedded import EmbeddedWarehouse

if TYPE_CHECKING:  # all tests load this module, few need what is slow to import
    from tests.end_to_end.chain import Chain

DAYS = 10


@pytest.fixture(scope="session")
def base(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """Two daily runs with the star built after each, the second time incrementally and with all tests."""
    from tests.end_to_end.chain import MORNING, chain

    folder = tmp_path_factory.mktemp("base")
    with chain(
        server, folder, database="journey_base", selector="ads", seed=7, days=DAYS, now=MORNING
    ) as made:
        made.land_days(1)
        built = made.build_models()
        assert built.code == 0, built.failed
        made.next_day()
        made.land_days(1)
        built = made.dbt("build")
        assert built.code == 0, built.failed
        yield made


@pytest.fixture
def journey(base: Chain, server: EmbeddedWarehouse, tmp_path: Path) -> Iterator[Chain]:
    """A copy of that company and its warehouse, to go on with."""
    from tests.end_to_end.chain import copied

    with copied(base, server, tmp_path) as made:
        yield made
