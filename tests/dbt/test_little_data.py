"""The project also builds where little is there: one source only, few fields, no totals."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from loaders._core.embedded import EmbeddedWarehouse
from tests.dbt.star import star


def test_one_source_with_few_fields_and_no_totals(server: EmbeddedWarehouse, tmp_path: Path) -> None:
    """As recorded traffic of old API versions has it: ad rows without campaign, currency and control.

    There is no feed of exchange rates: the account in euros needs none, the other has no use for it.
    """
    with star(server, "test_little_data", tmp_path) as found:
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
