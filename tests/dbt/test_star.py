"""The star over a few hand-made days: right, restated in place, the same when rebuilt, and red when damaged.

One story in one database, told in order, because a dbt command costs seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from tests.dbt import business
from tests.dbt.star import Star, star

Dump = dict[str, list[tuple[Any, ...]]]


def morning(day: int) -> datetime:
    """Six o'clock UTC on a day of March 2026."""
    return datetime(2026, 3, day, 6, tzinfo=UTC)


def land(built: Star, day: int, round_no: int) -> None:
    """Read both platforms and the rates on the morning of a day of March: all days until then."""
    built.landing.land("facebook_ads", morning(day), business.facebook(morning(day), day, round_no=round_no))
    built.landing.land("google_ads", morning(day), business.google(morning(day), day, round_no=round_no))
    built.landing.land("http_json", morning(day), business.rates(day - 1))


@pytest.fixture(scope="module")
def built(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Star]:
    """Two days' readings, built."""
    folder: Path = tmp_path_factory.mktemp("dbt")
    with star(server, folder, "ads") as found:
        found.landing.create("facebook_ads", "google_ads", "http_json")
        land(found, 3, 1)
        found.dbt("build")
        yield found


@pytest.fixture(scope="module")
def first(built: Star) -> Dump:
    """The marts after the first reading."""
    return built.dump()


@pytest.fixture(scope="module")
def restated(built: Star, first: Dump) -> Dump:
    """The marts after the next day's incremental build.

    Restated days, a vanished row, a rename, a set without rows, a file that was loaded twice, a run that
    never committed, and a corrected rate.
    """
    rows = "select ctid, xmin, account_id, date_day::text from marts.fact_ad_performance"
    kept = set(built.landing.query(rows))
    second = business.facebook(morning(4), 4, round_no=2)
    second["insights_ad", "222", date(2026, 3, 3)] = []
    second["insights_campaign", "222", date(2026, 3, 3)] = []
    second["insights_account", "222", date(2026, 3, 3)] = []
    run = built.landing.land("facebook_ads", morning(4), second)
    built.landing.land("google_ads", morning(4), business.google(morning(4), 4, round_no=2))
    built.landing.land("http_json", morning(4), business.rates(3, but={("INR", 1): "91.5"}))
    built.landing.execute(
        "insert into raw_facebook_ads.insights_ad"
        f" select * from raw_facebook_ads.insights_ad where _run_seq = {run}",
        f"insert into raw_facebook_ads.covered select * from raw_facebook_ads.covered where run_seq = {run}",
    )
    built.landing.land(
        "facebook_ads",
        morning(5),
        {("insights_ad", "111", date(2026, 3, 2)): [{"ad_id": "666", "impressions": "1", "spend": "1"}]},
        commit=False,
    )
    third = business.facebook(morning(5), 4, round_no=3)
    built.landing.land("facebook_ads", morning(5), {key: rows for key, rows in third.items() if not key[2]})
    built.dbt("build")
    now = set(built.landing.query(rows))
    built.kept = {(account, day) for *_, account, day in kept & now}  # type: ignore[attr-defined]
    return built.dump()


def one(built: Star, query: str) -> Any:
    """The one value a query answers."""
    ((value,),) = built.landing.query(query)
    return value


def test_every_account_day_that_was_over_matches(built: Star, first: Dump) -> None:
    states = built.landing.query(
        "select state, count(*) from reports.rpt_reconciliation group by 1 order by 1"
    )
    assert states == [("matched", 8), ("unsettled", 4)]


def test_remainders_carry_their_cause(built: Star, first: Dump) -> None:
    found = built.landing.query(
        "select distinct platform, campaign_id, remainder_cause from marts.fact_ad_performance"
        " where row_kind = 'remainder' order by 1, 2"
    )
    assert found == [
        ("facebook_ads", "12", "deleted_ads"),
        ("facebook_ads", "14", "rounding"),
        ("google_ads", "32", "performance_max"),
    ]


def test_conversions_of_a_deleted_ad_stand_in_its_campaign(built: Star, first: Dump) -> None:
    found = built.landing.query(
        "select distinct campaign_id, conversion_action_id, attribution_window, conversions"
        " from marts.fact_ad_conversion where platform = 'facebook_ads' and ad_id is null order by 1, 3"
    )
    assert found == [
        ("12", "lead", "7d_click", 3),
        ("12", "lead", "default", 4),
        ("15", "lead", "default", 2),
    ]


def test_a_campaign_known_only_from_its_credit_is_inferred(built: Star, first: Dump) -> None:
    assert one(built, "select bool_and(is_inferred) from marts.dim_campaign where campaign_id = '15'")


def test_equal_ids_in_two_ad_groups_stay_apart(built: Star, first: Dump) -> None:
    for table, key in (("ad", "ad_key"), ("keyword", "keyword_key")):
        count = one(
            built,
            f"select count(distinct {key}) from marts.dim_{table}"
            " where platform = 'google_ads' and account_id = '901' and ad_group_id in ('41', '42')",
        )
        assert count == 2
    assert one(built, "select count(*) from marts.dim_account where account_name = 'Shop'") == 2


def test_conversions_without_delivery_are_kept_and_types_not_summed(built: Star, first: Dump) -> None:
    found = built.landing.query(
        "select campaign_id, impressions, conversions, cost_per_click from reports.rpt_campaign_daily"
        " where account_id = '111' and date_day = '2026-03-02' and campaign_id in ('11', '13') order by 1"
    )
    assert [row[:3] for row in found] == [("11", 2025, Decimal(6)), ("13", 0, Decimal(3))]
    assert found[1][3] is None
    assert one(built, "select conversions from reports.rpt_campaign_daily where account_id = '901'"
                      " and campaign_id = '33' and date_day = '2026-03-02'") == Decimal("1.25")  # fmt: skip


def test_only_changed_partitions_are_rebuilt(built: Star, restated: Dump) -> None:
    """Facebook restated all but one, the third became settled, the second's rate of rupees was corrected."""
    kept: set[tuple[str, str]] = built.kept  # type: ignore[attr-defined]
    assert kept == {
        ("222", "2026-03-02"),
        ("901", "2026-03-01"),
        ("901", "2026-03-02"),
        ("902", "2026-03-01"),
    }


def test_money_is_converted_with_the_rate_of_the_accounts_own_day(built: Star, restated: Dump) -> None:
    """The fourth day's rate is not out yet: the third's stands in."""
    facts = ("fact_ad_performance", "spend"), ("fact_ad_conversion", "conversion_value")
    euros = {
        "EUR": ["1"] * 4,
        "INR": ["90.125", "91.5", "90.625", "90.625"],
        "JPY": ["160.25", "160.75", "161.25", "161.25"],
    }
    rates = {
        (currency, f"2026-03-0{number}"): (1 / Decimal(euro)).quantize(Decimal(10) ** -15)
        for currency, told in euros.items()
        for number, euro in enumerate(told, start=1)
    }
    for fact, money in facts:
        rows = built.landing.query(
            f"select currency_code, date_day::text, {money}, {money}_reporting from marts.{fact}"
            f" where {money} is not null"
        )
        assert {currency for currency, *_ in rows} == set(euros)
        for currency, day, amount, converted in rows:
            assert converted == round(amount * rates[currency, day], 9), (fact, currency, day)
    held = built.landing.query(
        "select distinct currency_code, date_day::text, exchange_rate from marts.fact_ad_performance"
    )
    assert {(currency, day): rate for currency, day, rate in held}.items() <= rates.items()
    total = "select sum(spend_reporting), min(reporting_currency_code) from {}"
    assert built.landing.query(total.format("reports.rpt_campaign_daily")) == built.landing.query(
        total.format("marts.fact_ad_performance")
    )


def test_restated_days_are_replaced_whole(built: Star, restated: Dump) -> None:
    rows = built.landing.query(
        "select ad_id, spend from marts.fact_ad_performance where account_id = '111'"
        " and date_day = '2026-03-01' and campaign_id = '11'"
    )
    assert rows == [("1101", Decimal("12.40"))]  # 1102 vanished, 1101 costs five cents more
    assert not built.landing.query(
        "select 1 from marts.fact_ad_performance where account_id = '222' and date_day = '2026-03-03'"
    )


def test_what_was_reported_before_stays_known(built: Star, first: Dump, restated: Dump) -> None:
    columns = "date_day, account_id, campaign_id, ad_id, row_kind, impressions, clicks, spend, currency_code"
    for moment, version in (("2026-03-03 12:00+00", first), ("2026-03-06 12:00+00", restated)):
        told = built.landing.query(
            f"select {columns} from reports.rpt_ad_performance_as_reported"
            f" where '{moment}'::timestamptz between reported_from and reported_to"
        )
        assert len(told) == len(version["fact_ad_performance"])
    now = built.landing.query(f"select {columns} from marts.fact_ad_performance")
    assert sorted(told, key=str) == sorted(now, key=str)
    changed = built.landing.query(
        "select spend_change from reports.rpt_restatements"
        " where account_id = '111' and date_day = '2026-03-01' and report = 'account'"
    )
    assert changed == [(Decimal("-12.31"),)]


def test_a_renamed_campaign_has_two_versions(built: Star, restated: Dump) -> None:
    versions = built.landing.query(
        "select campaign_name, is_current, valid_from_at::text from marts.dim_campaign"
        " where account_id = '111' and campaign_id = '11' order by version_no"
    )
    assert versions == [
        ("Spring", False, "1900-01-01 00:00:00+00"),
        ("Spring, renamed", True, "2026-03-05 06:00:00+00"),
    ]


def test_a_deletion_concerns_the_days_that_were_told_after_it(built: Star, restated: Dump) -> None:
    """Also where it is heard of after they were built: 14's. 13's ad was still there when they were told."""
    found = built.landing.query(
        "select campaign_id, date_day::text, conversions from marts.fact_ad_conversion"
        " where conversion_action_id = 'contact' order by 1, 2"
    )
    assert found == [("14", day, 1) for day in ("2026-03-01", "2026-03-02", "2026-03-04")]


def test_unlisted_campaigns_are_inferred(built: Star, restated: Dump) -> None:
    assert one(built, "select bool_and(is_inferred) from marts.dim_campaign where campaign_id = '33'")


def test_a_full_refresh_makes_the_identical_star(built: Star, restated: Dump) -> None:
    built.dbt("run", "--full-refresh")
    assert built.dump() == restated


def test_what_counts_as_a_conversion_can_be_changed(built: Star, restated: Dump) -> None:
    """Each day's campaigns are added up again, though no report of it has changed."""
    counted = "select sum(conversions) from reports.rpt_campaign_daily where platform = 'facebook_ads'"
    told = (
        "select sum(conversions) from marts.fact_ad_conversion where platform = 'facebook_ads'"
        " and attribution_window = 'default' and conversion_action_id = '{}'"
    )
    before = one(built, counted)
    built.landing.execute(
        "update intermediate.conversion_definitions set conversion_action_id = 'lead'"
        " where platform = 'facebook_ads'"
    )
    built.dbt("run", "--select", "int_account_days__read", "fact_campaign_performance")
    assert before == one(built, told.format("omni_purchase")) != one(built, counted)
    assert one(built, counted) == one(built, told.format("lead"))
    built.dbt("seed")
    built.dbt("run", "--select", "int_account_days__read", "fact_campaign_performance")
    assert built.dump() == restated


def test_what_was_built_of_a_fact_that_was_left_out_is_built_again(built: Star, restated: Dump) -> None:
    built.landing.execute(
        "update marts.fact_ad_conversion set conversions = conversions + 1",
        "update intermediate.built_partitions set state = ''"
        " where fact_name in ('fact_ad_conversion', 'fact_campaign_performance')",
    )
    built.dbt("run", "--select", "fact_campaign_performance")
    assert built.dump() != restated
    built.dbt("run")
    assert built.dump() == restated


def test_a_campaign_that_holds_more_than_its_ads_is_named(built: Star, restated: Dump) -> None:
    test = "assert_campaigns_hold_what_their_ads_do"
    damage = (
        "update marts.fact_campaign_performance set conversions = conversions {} 1"
        " where account_id = '111' and date_day = '2026-03-01' and campaign_id = '11'"
    )
    built.landing.execute(damage.format("+"))
    assert built.dbt("test", "--select", test, "--vars", "{verify_all: true}", code=1)[test] == "fail"
    assert built.places(test) == {("111", "2026-03-01")}
    built.landing.execute(damage.format("-"))
    assert built.dbt("test", "--select", test, "--vars", "{verify_all: true}")[test] == "pass"


def test_keys_are_what_redshift_would_make_of_them(built: Star, first: Dump) -> None:
    """strtol(left(md5(text), 15), 16), on the parts with their lengths before them."""
    digest = hashlib.md5(b"12:facebook_ads3:111", usedforsecurity=False).hexdigest()
    assert one(built, "select account_key from marts.dim_account where account_id = '111'") == int(
        digest[:15], 16
    )


def test_days_that_passed_are_tested_again_when_that_is_asked(built: Star, restated: Dump) -> None:
    test, days = "assert_facebook_sets_add_up_to_their_receipts", "intermediate.built_partitions"
    row = "raw_facebook_ads.insights_ad set spend = (spend::numeric {} 0.01)::text where _day = '2026-03-01'"
    # So much later that the loader does not read March again.
    later = "'fact_ad_performance', 0, 0, date '2026-12-31', '', true"
    built.landing.execute(
        f"update {days} set is_verified = true",
        f"insert into {days} select {later}",
        "update " + row.format("+"),
    )
    assert built.dbt("test", "--select", test)[test] == "pass"
    assert built.dbt("test", "--select", test, "--vars", "{verify_all: true}", code=1)[test] == "fail"
    assert ("111", "2026-03-01") in built.places(test)
    built.landing.execute(f"delete from {days} where account_key = 0", "update " + row.format("-"))


def test_damage_turns_the_build_red_and_is_named(built: Star, restated: Dump) -> None:
    where = "where _account = '{}' and _day = '{}' and _run_seq = (select max(_run_seq) from {} {})"

    credit = "raw_google_ads.campaign_conversion_day"

    def newest(table: str, account: str, day: str) -> str:
        return where.format(account, day, table, f"where _account = '{account}' and _day = '{day}'")

    ads, google_ads = "raw_facebook_ads.insights_ad", "raw_google_ads.ad_group_ad_day"
    last = f"where _run_seq = (select max(_run_seq) from {ads})"
    withheld = business.facebook(morning(6), 4, round_no=2)
    key = ("insights_ad", "111", date(2026, 3, 3))
    withheld[key] = [row for row in withheld[key] if row["campaign_id"] not in ("11", "12")]
    nothing = {(name, "222", date(2026, 3, 2)): [] for name in ("insights_ad", "insights_campaign")}
    built.landing.land("facebook_ads", morning(6), {key: withheld[key], **nothing})
    no_rupees = dict.fromkeys((("INR", number) for number in range(4)), None)
    built.landing.land("http_json", morning(6), business.rates(4, but=no_rupees))
    built.landing.execute(
        f"delete from {google_ads} {newest(google_ads, '901', '2026-03-02')} and _row_no < 2",
        f"update {credit} set metrics__conversions_value = '1' {newest(credit, '902', '2026-03-02')}",
        f"update {ads} set action_values = replace(action_values, '.5\"', ',5\"') {last} and ad_id = '1301'",
        f"update {ads} set spend = '12.41' {newest(ads, '111', '2026-03-01')} and ad_id = '1101'",
        f"insert into {google_ads} select * from {google_ads} {newest(google_ads, '902', '2026-03-01')}"
        " and _row_no = 0",
        f"update {google_ads} set _row_no = 9 where ctid = (select max(ctid) from {google_ads}"
        f" {newest(google_ads, '902', '2026-03-01')} and _row_no = 0)",
        f"alter table {ads} add column brand_new text",
        f"update {ads} set brand_new = 'x', inline_link_clicks = null {last}",
        f"update {ads} set reach = '[1]' {last} and ad_id = '1401'",
    )
    statuses = built.dbt("build", code=1)
    red = {name for name, status in statuses.items() if status == "fail"}
    expected = {
        "assert_google_sets_hold_the_rows_of_their_receipts": {("901", "2026-03-02"), ("902", "2026-03-01")},
        "assert_facebook_sets_add_up_to_their_receipts": {("111", "2026-03-01")},
        "assert_google_conversions_add_up_to_their_receipts": {("902", "2026-03-02")},
        "assert_fact_ad_conversion_holds_what_was_read": {("111", "2026-03-03")},
        "assert_remainders_have_a_cause": {("111", "2026-03-03")},
        "assert_account_days_match_the_platform": {("111", "2026-03-03"), ("222", "2026-03-02")},
    }
    for test, places in expected.items():
        assert test in red
        assert built.places(test) >= places, test
    lacking = built.offenders("assert_every_amount_has_a_rate")
    assert {(row["fact"], row["currency_code"], str(row["first_day"])) for row in lacking} == {
        ("fact_ad_performance", "INR", "2026-03-01"),
        ("fact_ad_conversion", "INR", "2026-03-01"),
    }
    assert all("declare the feed exchange_rates" in row["advice"] for row in lacking)
    waiting = [row["row_count"] for row in lacking if row["fact"] == "fact_ad_performance"]
    in_rupees = "from marts.fact_ad_performance where currency_code = 'INR'"
    assert built.landing.query(f"select count(*), count(spend_reporting) {in_rupees}") == [(*waiting, 0)]
    warned = {name for name, status in statuses.items() if status == "warn"}
    for test in ("assert_account_conversions_match_the_platform", "assert_deleted_ads_hide_no_other"):
        assert test in warned
        assert ("111", "2026-03-03") in built.places(test), test
    drifted = {(row["field"], row["drift"]) for row in built.offenders("assert_fields_are_as_declared")}
    assert {("brand_new", "new"), ("inline_link_clicks", "vanished"), ("reach", "another shape")} <= drifted
