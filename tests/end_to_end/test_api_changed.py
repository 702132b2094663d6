"""CleverTap changes its API from one run to the next: the star stays, and each change is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from tests.end_to_end.chain import RUN_COLUMNS, chain


@pytest.mark.full
def test_the_star_stays_as_it_was_and_every_change_is_named(
    server: EmbeddedWarehouse, tmp_path: Path
) -> None:
    """A morning is read twice; the second time its last days come in the new shape."""
    with chain(server, tmp_path, people=True, days=20) as found:
        found.land_days(1)
        built = found.build_models()
        assert built.code == 0, built.output
        before = found.dump(without=RUN_COLUMNS)
        found.simulator.fault("api_changed")
        found.land_days(1)
        built = found.dbt("build", "--exclude", "tag:wall_clock")
        assert not built.failed, built.output
        assert found.dump(without=RUN_COLUMNS) == before
        shapes = "count(profile__make) > 0, count(profile__manufacturer) > 0 from raw_clevertap.events"
        assert found.rows(f"select {shapes}") == [(True, True)]
        drift = found.rows(
            "select field, drift from reports.rpt_field_drift"
            " where platform = 'clevertap' and resource = 'events' order by 1, 2"
        )
    assert drift == [
        ("profile__language", "new"),
        ("profile__make", "vanished"),
        ("profile__manufacturer", "new"),
        ("profile__os", "new"),
        ("profile__os_version", "vanished"),
        ("ts", "another shape"),
    ]
    print(f"figure: {len(drift)} changes named, {before['fact_user_event'][0]:,} events as before")
