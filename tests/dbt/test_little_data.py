"""The project also builds where little is there: one source only, few fields, no totals."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from loaders._core.embedded import EmbeddedWarehouse
from tests import resident
from tests.dbt.star import Star, star

DIMENSIONS = {"completeness", "accuracy", "consistency", "timeliness", "uniqueness"}
SEVERITIES = {"critical", "major", "minor"}
HALF_FILLED = """
from dbt.adapters.cache import RelationsCache
from dbt.cli.main import cli

add = RelationsCache.add
def first_only(self, relation):
    if relation.schema == "ops" or relation.schema.startswith("raw_"):
        self.update_schemas([(relation.database, relation.schema)])
    else:
        add(self, relation)
RelationsCache.add = first_only
cli()
"""


def test_one_source_with_few_fields_and_no_totals(server: EmbeddedWarehouse, tmp_path: Path) -> None:
    """As recorded traffic of old API versions has it: ad rows without campaign, currency and control.

    There is no feed of exchange rates: the account in euros needs none, the other has no use for it.
    """
    with star(server, tmp_path) as found:
        found.landing.create("facebook_ads")
        found.landing.execute(
            *(
                f"alter table raw_facebook_ads.insights_ad drop column {name}"
                for name in (
                    "campaign_id",
                    "adset_id",
                    "account_currency",
                    "attribution_setting",
                    "action_values",
                )
            ),
            "drop table raw_facebook_ads.adcreatives",
        )
        day = date(2026, 3, 1)
        rows = [
            {"ad_id": "1", "impressions": "5812", "clicks": "42", "spend": "1.429999948", "reach": "5331",
             "actions": [{"action_type": "omni_purchase", "value": "2"}]},
            {"ad_id": "9007199254740993", "impressions": "7", "clicks": "0", "spend": "0.10", "reach": "7"},
        ]  # fmt: skip
        euros = {"id": "act_556", "account_id": "556", "currency": "EUR", "timezone_name": "Europe/Berlin"}
        found.landing.land(
            "facebook_ads",
            datetime(2026, 3, 3, 6, tzinfo=UTC),
            {
                ("adaccounts", "me", None): [euros],
                ("insights_ad", "556", day): [{"ad_id": "2", "impressions": "1", "spend": "2.5"}],
                ("insights_ad", "555", day): rows,
                ("insights_campaign", "555", day): [],
                ("insights_account", "555", day): [],
            },
        )
        # Of March: stale, which is an answer, and asked before anything was built.
        fresh = found.dbt("source", "freshness", code=1)
        assert (fresh["insights_ad"], fresh["ad_group_ad_day"]) == ("error", "pass")
        statuses = found.dbt("build")
        assert statuses["assert_every_amount_has_a_rate"] == "pass"
        assert statuses["assert_every_account_has_a_currency"] == "warn"
        query = found.landing.query
        assert query(
            "select account_id, sum(impressions), sum(spend)::text, sum(spend_reporting)::text"
            " from marts.fact_ad_performance group by 1 order by 1"
        ) == [("555", 5819, "1.529999948", None), ("556", 1, "2.500000000", "2.500000000")]
        assert query("select distinct state from reports.rpt_reconciliation") == [("no_control",)]
        assert query(
            "select count(*) from marts.fact_ad_performance where campaign_key = -1 and currency_code = 'XXX'"
        ) == [(2,)]
        assert query(
            "select conversions::int, campaign_name, spend_reporting from reports.rpt_campaign_daily"
            " where account_id = '555'"
        ) == [(2, "Unknown campaign", None)]
        assert query("select ad_id from marts.dim_ad where is_inferred and ad_id is not null order by 1") == [
            ("1",), ("2",), ("9007199254740993",)
        ]  # fmt: skip
        every_test_says_what_it_is_about(found)
        what_tests_said_is_kept_and_scored(found)


def every_test_says_what_it_is_about(found: Star) -> None:
    for test in data_tests(found):
        meta = test["config"]["meta"]
        assert meta.get("dimension") in DIMENSIONS, f"{test['name']} names no dimension of quality"
        assert meta.get("severity") in SEVERITIES, f"{test['name']} has no severity"


def what_tests_said_is_kept_and_scored(found: Star) -> None:
    """Each test of a build counts for what it looked at; one that fails lowers that, and the past stays."""
    query = found.landing.query
    kept = {name for (name,) in query("select distinct test_name from quality.test_results")}
    assert kept == {test["name"][:200] for test in data_tests(found)}
    assert set(query("select subject_kind, subject from quality.test_results")) >= {
        ("source", "facebook_ads"),
        ("mart", "fact_ad_performance"),
        ("mart", "dim_ad"),
        ("report", "rpt_coverage"),
    }
    scored = (
        "select score, tests, failed_tests from reports.rpt_quality_score"
        " where subject = 'dim_account' and dimension = 'accuracy'"
    )
    ((before, tests, failed),) = query(scored)
    assert (before, failed) == (100, 0)
    found.landing.execute("update marts.dim_account set platform = 'nobody' where account_id = '555'")
    found.dbt("test", "--select", "dim_account", code=1)
    ((after, again, failed),) = query(f"{scored} and is_newest")
    assert (again, failed) == (tests, 1)
    assert after == round(100 * (1 - 1 / tests), 2)
    assert len(query(scored)) == 2


def data_tests(found: Star) -> list[dict[str, Any]]:
    """The project's tests of data as dbt has parsed them; unit tests are none."""
    manifest = json.loads((Path(found.environment["DBT_TARGET_PATH"]) / "manifest.json").read_text())
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "test"]


def test_tables_are_read_that_one_of_dbts_threads_has_not_yet_noted(
    server: EmbeddedWarehouse, tmp_path: Path
) -> None:
    """dbt notes the tables of a schema it doesn't write to one by one, while its other threads look there.

    A source built as empty, with success, was what that came to: here the moment lasts.
    """
    with star(server, tmp_path, selector="ads") as found:
        found.landing.create("facebook_ads")
        sets = ("insights_ad", "insights_campaign", "insights_account")
        found.landing.land(
            "facebook_ads",
            datetime(2026, 3, 3, 6, tzinfo=UTC),
            {
                ("adaccounts", "me", None): [{"id": "act_555", "account_id": "555", "currency": "USD"}],
                **{(name, "555", date(2026, 3, 1)): [] for name in sets},
            },
        )
        resident.parse(found.environment)
        built = subprocess.run(
            [sys.executable, "-c", HALF_FILLED, "run", "--select", "+stg_facebook_ads__accounts"],
            check=False,
            env=found.environment,
            capture_output=True,
            text=True,
        )
        assert built.returncode == 0, built.stdout
        (accounts,) = found.landing.query(
            "select count(*) from staging.stg_facebook_ads__accounts where account_id = '555'"
        )
        assert accounts == (1,), "what has landed is not in staging"
