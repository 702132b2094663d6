"""The same days on Postgres and on Redshift's stand-in make the same star, whatever the business."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from scripts._compare import compared
from simulators.redshift import Redshift
from simulators.redshift.storage import Bucket
from tests.end_to_end.chain import Chain, chain
from tests.end_to_end.fixtures import Shops

StandIn = tuple[Redshift, Bucket]
LARGER = {"people": True, "days": 6, "scale": 0.3}


def test_both_engines_make_the_same_star(shops: Shops) -> None:
    alike(shops.postgres, shops.redshift)


@pytest.mark.full
@pytest.mark.parametrize("seed", [7, 11, 42])
def test_both_engines_make_the_same_star_of_more_days(
    server: EmbeddedWarehouse, stand_in: StandIn, tmp_path: Path, seed: int
) -> None:
    on_redshift = {"database": "journey_redshift", "stand_in": stand_in, "shop_of": "journey"}
    with (
        chain(server, tmp_path / "postgres", database="journey", seed=seed, **LARGER) as postgres,
        chain(server, tmp_path / "redshift", **on_redshift, seed=seed, **LARGER) as redshift,
    ):
        for number in range(2 if seed == 7 else 1):
            for each in (postgres, redshift):
                if number:
                    each.next_day()
                each.land_days(1)
                # The tests of the data have their turn on Redshift once: they are the same for all seeds.
                whole = each is redshift and seed == 7 and number
                left_out = ("--exclude", "tag:wall_clock")
                built = each.dbt("build", *left_out) if whole else each.build_models()
                assert built.code == 0, built.failed
        alike(postgres, redshift)


def alike(postgres: Chain, redshift: Chain) -> None:
    """Every mart is the same row by row, none that matters is empty, and each lies as its model says."""
    differences, rows = compared(postgres.target, redshift.target)
    assert not differences, "\n".join(map(str, differences))
    assert {"fact_ad_performance", "fact_ad_conversion", "fact_sales", "fact_user_login"} <= rows.keys()
    assert all(rows[mart] for mart in rows if mart.startswith(("fact_ad", "fact_sales", "dim_")))
    designs(redshift, rows)


def designs(redshift: Chain, rows: dict[str, int]) -> None:
    """Every mart lies as its model says; of empty ones Redshift tells nothing."""
    found = redshift.rows(
        "select mart, state, declared_distribution, actual_distribution from reports.rpt_table_design"
    )
    assert found
    empty = {mart for mart, count in rows.items() if not count}
    assert {mart for mart, state, _, _ in found if state != "as declared"} == empty, found


def test_a_difference_is_named(server: EmbeddedWarehouse, stand_in: StandIn, tmp_path: Path) -> None:
    with (
        chain(server, tmp_path / "one", database="journey", days=2, seed=7) as one,
        chain(server, tmp_path / "other", database="journey_other", days=2, seed=7) as other,
    ):
        for each in (one, other):
            with closing(each.target.connect()) as connection, connection.cursor() as cursor:
                cursor.execute(
                    "create schema marts; create table marts.t (id bigint, amount numeric(38, 9), name text)"
                )
                cursor.execute("insert into marts.t values (1, 1.50, 'a'), (2, 2.00, null), (3, 3, 'c')")
        assert compared(one.target, other.target) == ([], {"t": 3})
        other.rows("update marts.t set amount = 2.01 where id = 2")
        (found,), _ = compared(one.target, other.target)
        assert "Decimal('2') <> Decimal('2.01')" in str(found)
        other.rows("delete from marts.t where id = 1")
        (found,), _ = compared(one.target, other.target)
        assert str(found).startswith("t: only in the first: {'id': 1")
        other.rows("create table marts.u (id bigint)")
        found, _ = compared(one.target, other.target)
        assert [each.mart for each in found] == ["t", "u"]
