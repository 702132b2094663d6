"""Killed anywhere: the next plain run ends with the same star as one that nobody killed.

The landing path alone is killed in tests/loaders/test_kill_points.py. Here the shipped commands are, up
to the star: `dlt pipeline run` at every point of `loaders/_core/crash.py`, `dbt build` in its middle.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from loaders._core.crash import POINTS
from loaders._core.embedded import EmbeddedWarehouse
from tests import resident
from tests.end_to_end.chain import RUN_COLUMNS, Chain, Dump, chain, copied

DBT_QUICK = r"START .* marts\.fact_ad_performance "
DBT_POINTS = [
    DBT_QUICK,
    r"START hook",
    r"START .* staging\.",
    r"START .* intermediate\.int_account_days__read ",
    r"START .* marts\.fact_ad_conversion ",
    r"OK created .* marts\.fact_ad_performance ",
    r"START .* marts\.dim_campaign ",
    r"START test ",
]


@pytest.fixture(scope="module")
def twin(base: Chain, server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Dump:
    """The star of the next day, of a company in which nothing was ever killed."""
    with copied(base, server, tmp_path_factory.mktemp("twin")) as never_killed:
        never_killed.next_day()
        never_killed.land_days(1)
        built = never_killed.build_models()
        assert built.code == 0, built.failed
        return never_killed.dump(without=RUN_COLUMNS)


@pytest.mark.parametrize("wiped", [False, True], ids=["kept", "wiped"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.full
def test_killed_while_landing_the_next_plain_run_ends_with_the_same_star(
    journey: Chain, twin: Dump, point: str, wiped: bool
) -> None:
    journey.next_day()
    kill_loader(journey, point)
    if wiped:
        shutil.rmtree(journey.state)
    journey.run()
    built = journey.build_models()
    assert built.code == 0, built.failed
    assert journey.dump(without=RUN_COLUMNS) == twin
    print(f"figure: killed at {point}, the same star")


@pytest.mark.parametrize("wiped", [False, True], ids=["kept", "wiped"])
@pytest.mark.parametrize("point", DBT_POINTS)
@pytest.mark.full
def test_killed_while_building_the_next_plain_build_ends_with_the_same_star(
    journey: Chain, twin: Dump, point: str, wiped: bool
) -> None:
    journey.next_day()
    journey.land_days(1)
    kill_dbt(journey, point)
    if wiped:
        shutil.rmtree(journey.variables["DBT_TARGET_PATH"])
    build(journey)
    assert journey.dump(without=RUN_COLUMNS) == twin
    print(f"figure: killed at {point}, the same star")


def test_killed_every_day_the_star_is_that_of_a_company_never_killed(
    base: Chain, server: EmbeddedWarehouse, tmp_path: Path
) -> None:
    """The full tests in short: the same two days, with kills while landing and one while building."""
    with chain(server, tmp_path, selector=base.selector, **base.world) as killed:
        kill_loader(killed, "extract.first_file")
        assert killed.run()[0] == 0
        killed.next_day()
        kill_loader(killed, "load.file_committed:3")
        shutil.rmtree(killed.state)
        assert killed.run()[0] == 0
        resident.parse(os.environ | killed.variables)
        kill_dbt(killed, DBT_QUICK)
        build(killed)
        assert killed.dump(without=RUN_COLUMNS) == base.dump(without=RUN_COLUMNS)


def kill_loader(victim: Chain, point: str) -> None:
    code, output = victim.run(ADSTAR_KILL_AT=point)
    assert code == -signal.SIGKILL, output


def kill_dbt(victim: Chain, point: str) -> None:
    """kill -9 as soon as dbt says a line that matches, while its threads are at work."""
    process = victim.start_dbt("build")
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if re.search(point, line):
            os.kill(process.pid, signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "".join(said)


def build(victim: Chain) -> None:
    """The next plain `dbt build`: a process of its own, with what the killed one has left in its folder."""
    process = victim.start_dbt("build")
    output, _ = process.communicate(timeout=1800)
    assert process.returncode == 0, output
