"""Fixtures of the journeys and of the faults: small companies that have lived for two days.

Tests that begin in the middle of the life of one that lands ads only take `journey`, a copy of it with its
warehouse. `shops` is one with all sources, on Postgres and on Redshift's stand-in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from loaders._core.embedded import EmbeddedWarehouse

if TYPE_CHECKING:  # all tests load this module, few need what is slow to import
    from simulators.redshift import Redshift
    from simulators.redshift.storage import Bucket
    from tests.end_to_end.chain import Chain
    from tests.end_to_end.ledger import Funnel, Told

DAYS = 10
SMALL = {"people": True, "seed": 7, "days": 8, "scale": 0.5}


@dataclass(frozen=True)
class Morning:
    """What a shop's ads return once a day is built: by the star, and by what the business knows of itself."""

    star: Told
    business: Told
    funnel: Funnel
    ledger: Funnel


@dataclass(frozen=True)
class Shops:
    """The same shop on both engines, and what was said of the first on each of its mornings."""

    postgres: Chain
    redshift: Chain
    mornings: list[Morning] = field(default_factory=list)


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


@pytest.fixture(scope="session")
def shops(
    server: EmbeddedWarehouse,
    stand_in: tuple[Redshift, Bucket],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Shops]:
    """Two daily runs of all sources, the star built after each, and tested after the second.

    On Redshift it is built once: building on, and the tests of the data, are alike there in the full test.
    """
    from tests.end_to_end.chain import chain
    from tests.end_to_end.ledger import by_the_business, funnel_by_the_ledger, funnel_in_the_star, in_the_star

    folder = tmp_path_factory.mktemp("shops")
    on_redshift = {"database": "shops_redshift", "stand_in": stand_in, "shop_of": "shops"}
    with (
        chain(server, folder / "postgres", database="shops", **SMALL) as postgres,
        chain(server, folder / "redshift", **on_redshift, **SMALL) as redshift,
    ):
        made = Shops(postgres, redshift)
        for number in range(2):
            for each in (postgres, redshift):
                if number:
                    each.next_day()
                each.land_days(1)
            built = (
                postgres.dbt("build", "--exclude", "tag:wall_clock") if number else postgres.build_models()
            )
            assert built.code == 0, built.failed
            made.mornings.append(
                Morning(
                    in_the_star(postgres),
                    by_the_business(postgres),
                    funnel_in_the_star(postgres),
                    funnel_by_the_ledger(postgres),
                )
            )
        built = redshift.build_models()
        assert built.code == 0, built.failed
        yield made
