"""People and sales over a few hand-made days: who is who, what was sold, and the same when rebuilt.

One story in one database, told in order, because a dbt command costs seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from tests.dbt import business, people
from tests.dbt.people import at
from tests.dbt.star import Star, star

Dump = dict[str, list[tuple[Any, ...]]]


def land(built: Star, moment: datetime, found: dict[str, people.Sets]) -> None:
    """Land what a run of each source found."""
    for source, sets in found.items():
        built.landing.land(source, moment, sets)


@pytest.fixture(scope="module")
def built(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Star]:
    """The first days, built."""
    folder: Path = tmp_path_factory.mktemp("dbt")
    with star(server, folder) as found:
        found.landing.create("facebook_ads", "google_ads", "http_json", "rds", "clevertap", "sqs")
        ads = business.facebook(at(3, 6), 3, accounts=("111",))
        found.landing.land("facebook_ads", at(3, 6), ads)
        ads = business.google(at(3, 6), 3, customers=("901",)) | people.clicks()
        found.landing.land("google_ads", at(3, 6), ads)
        found.landing.land("http_json", at(3, 6), business.rates(3))
        land(found, at(3, 6), people.first())
        found.dbt("build")
        yield found


@pytest.fixture(scope="module")
def first(built: Star) -> Dump:
    """The marts after the first run."""
    return built.dump()


@pytest.fixture(scope="module")
def second(built: Star, first: Dump) -> Dump:
    """The marts after the next run, a file of which was loaded twice, and after one that never committed."""
    built.landing.execute(
        "alter table raw_clevertap.events add column profile__manufacturer text, add column profile__os text"
    )
    land(built, at(4, 6), people.second())
    built.landing.execute(
        "insert into raw_clevertap.events select * from raw_clevertap.events"
        " where _day = '2026-03-03' and _account = 'App Launched'",
        "insert into raw_sqs.login_queue select * from raw_sqs.login_queue where message_id = 'm4'",
    )
    lost: people.Sets = {
        ("users", people.DATABASE, None): [people.user("ann", people.TEN, updated=at(9, 1), plan="lost")],
        ("orders__keys", people.DATABASE, None): [],
    }
    built.landing.land("rds", at(5, 6), lost, commit=False)
    built.dbt("build")
    return built.dump()


def people_by_event(built: Star) -> list[tuple[str, str, str, str]]:
    """Day and hour, device, person and rule of every event."""
    return [
        (f"{row[0]:%d %H}", *row[1:])
        for row in built.landing.query(
            "select event_at at time zone 'utc', replace(devices.device_pseudonym, 'key:', ''),"
            " replace(coalesce(users.user_pseudonym, user_kind), 'key:', ''), events.match_rule"
            " from marts.fact_user_event as events join marts.dim_user as users using (user_key)"
            " join marts.dim_device as devices using (device_key)"
            " where event_name = 'App Launched' order by 1, 2"
        )
    ]


FIRST_EVENTS = [
    ("01 08", "d1", "ann", "device"),
    ("01 08", "d1", "ann", "device"),
    ("01 09", "d3", "anonymous", "anonymous"),
    ("01 09", "d9", "anonymous", "anonymous"),
    ("01 11", "d1", "ann", "user_id"),
    ("02 08", "d2", "bob", "user_id"),
    ("02 09", "d2", "bob", "device"),
    ("02 10", "d2", "fay", "user_id"),
    ("02 11", "d2", "fay", "device"),
    ("02 12", "d7", "ann", "email"),
]


def test_events_find_their_person(built: Star, first: Dump) -> None:
    """An anonymous device's go to its owner, a shared one's to whom it saw last; equal ones are all kept."""
    assert people_by_event(built) == FIRST_EVENTS


def test_who_signs_up_and_is_merged_takes_earlier_events_along(
    built: Star, first: Dump, second: Dump
) -> None:
    expected = [(*row[:2], "ann", "device") if row[1] == "d3" else row for row in FIRST_EVENTS]
    assert people_by_event(built) == [*expected, ("03 12", "d3", "ann", "merged_into")]


def test_old_and_new_shapes_of_the_api_stand_side_by_side(built: Star, first: Dump, second: Dump) -> None:
    """Renamed, nested and retyped: the devices look alike, and the drift is named."""
    found = built.landing.query(
        "select make, os_version from marts.dim_device"
        " where device_pseudonym in ('key:d2', 'key:d3') order by device_pseudonym"
    )
    assert found == [("Fair", None), ("Fair", "14")]
    drifted = built.landing.query(
        "select field, drift from reports.rpt_field_drift"
        " where platform = 'clevertap' and resource = 'events'"
        " and field in ('ts', 'profile__make', 'profile__os', 'profile__manufacturer')"
        " order by 1, 2"
    )
    assert drifted == [
        ("profile__make", "vanished"), ("profile__manufacturer", "new"), ("profile__os", "new"),
        ("ts", "another shape"),
    ]  # fmt: skip


def test_two_users_with_one_telephone_and_tablet_stay_two(built: Star, first: Dump, second: Dump) -> None:
    found = built.landing.query(
        "select user_pseudonym, match_rule, phone_pseudonym from marts.dim_user"
        " where user_pseudonym in ('key:bob', 'key:fay') order by 1"
    )
    assert found == [("key:bob", "device", "key:family"), ("key:fay", "device", "key:family")]


def test_a_changed_profile_is_one_person_as_last_known(built: Star, first: Dump, second: Dump) -> None:
    """Ann, with Cat who was merged into her and the lead found by her e-mail address."""
    found = built.landing.query(
        "select user_kind, match_rule, plan, has_marketing_consent, signed_up_at, first_seen_at, last_seen_at"
        " from marts.dim_user where user_pseudonym = 'key:ann'"
    )
    assert found == [("signed_up", "device", "pro", False, people.TEN, at(1, 8), at(3, 12))]


def test_everybody_is_there_once(built: Star, first: Dump, second: Dump) -> None:
    found = built.landing.query(
        "select user_kind, user_pseudonym, is_inferred from marts.dim_user order by 1, 2"
    )
    assert found == [
        ("anonymous", None, False),
        ("identified", "key:pair1", False),
        *(("signed_up", f"key:{name}", name == "gus") for name in ("ann", "bob", "dan", "fay", "gus")),
        ("unknown", None, True),
    ]


def test_who_is_only_known_by_a_login_is_inferred(built: Star, first: Dump) -> None:
    assert built.landing.query("select is_inferred from marts.dim_user where user_pseudonym = 'key:gus'") == [
        (True,)
    ]


def test_messages_count_once_and_retries_are_known(built: Star, first: Dump, second: Dump) -> None:
    found = built.landing.query(
        "select message_id, create_date, deliveries, is_duplicate, app_version, app_version_major,"
        " app_version_minor, app_version_patch, locale from marts.fact_user_login order by 1"
    )
    assert found == [
        ("m1", date(2026, 3, 2), 2, False, "1.10", 1, 10, None, "DE"),
        ("m2", date(2026, 3, 2), 1, False, "2.3.0", 2, 3, 0, "DE"),
        ("m3", date(2026, 3, 2), 1, True, "2.3.0", 2, 3, 0, "DE"),
        ("m4", date(2026, 3, 3), 1, False, "0.96", 0, 96, None, None),
        ("m5", date(2026, 3, 3), 1, False, "2.3.0", 2, 3, 0, "DE"),
    ]


def sales(built: Star) -> list[tuple[Any, ...]]:
    """Line, buyer, product, status and money of every sale."""
    return built.landing.query(
        "select order_line_id, user_pseudonym, coalesce(product_name, product_id), order_status,"
        " currency_code, gross_amount, refund_amount, net_amount from marts.fact_sales"
        " join marts.dim_user using (user_key) join marts.dim_product using (product_key) order by 1"
    )


def test_late_refunded_and_deleted_orders_come_out_right(built: Star, first: Dump, second: Dump) -> None:
    """Dan's order was committed late, Bob's changed within a second, a third of ten euros is no money.

    Product 2 is sold before it is listed, and is inferred.
    """
    assert sales(built) == [
        (number, f"key:{name}", product, status, currency, *map(Decimal, money))
        for number, name, product, status, currency, *money in (
            ("1", "ann", "Shirt", "partly_refunded", "EUR", "7", "3.33", "3.67"),
            ("2", "ann", "Shirt", "partly_refunded", "EUR", "7", "3.33", "3.67"),
            ("3", "ann", "2", "partly_refunded", "EUR", "7", "3.34", "3.66"),
            ("4", "bob", "Shirt", "refunded", "JPY", "500", "500", "0"),
            ("6", "dan", "Shirt", "paid", "EUR", "21", "0", "21"),
        )
    ]


def test_touches_and_goals_find_their_ads(built: Star, second: Dump) -> None:
    """Ann came by an ad of Google's before she signed up, Bob by one of Meta's after; Dan came by himself."""
    touches = built.landing.query(
        "select user_pseudonym, touch_rule, channel, touches.campaign_id, ad_group_id, ad_id, ad_key > 0"
        " from marts.bridge_user_campaign_touch as touches join marts.dim_user using (user_key) order by 1"
    )
    assert touches == [
        ("key:ann", "click_id", "google_ads", "31", "42", "77", True),
        ("key:bob", "utm_ids", "facebook_ads", "11", "111", "1101", True),
        (None, "none", "email", None, None, None, False),
    ]
    acquired = built.landing.query(
        "select user_pseudonym, acquisition_channel, campaign_name from marts.dim_user"
        " join marts.dim_campaign on campaign_key = acquisition_campaign_key"
        " where user_kind in ('signed_up', 'anonymous') order by 1"
    )
    assert acquired[:2] == [
        ("key:ann", "google_ads", "Search"),
        ("key:bob", "unattributed", "Unknown campaign"),  # touched after the sign-up
    ]
    assert acquired[-1] == (None, "email", "Unknown campaign")


def test_revenue_by_campaign_adds_up_in_the_reporting_currency(built: Star, second: Dump) -> None:
    """Five hundred yen at 160.75 a euro, all given back; the campaigns' spend is that of the ads."""
    yen = (Decimal(500) * (1 / Decimal("160.75")).quantize(Decimal(10) ** -15)).quantize(Decimal(10) ** -9)
    found = built.landing.query(
        "select channel, campaign_id, orders, gross_revenue_reporting, net_revenue_reporting, sign_ups,"
        " buyers from reports.rpt_campaign_roas"
        " where attribution_model = 'last_touch' and orders + sign_ups > 0"
        " order by 1"
    )
    assert found == [
        ("facebook_ads", "11", 1, yen, 0, 0, 1),
        ("google_ads", "31", 1, 21, 11, 1, 1),
        ("unattributed", None, 1, 21, 21, 3, 1),
    ]
    total = built.landing.query(
        "select sum(spend_reporting), sum(net_revenue_reporting), sum(orders) from reports.rpt_channel_daily"
    )
    assert total == built.landing.query(
        "select (select sum(spend_reporting) from marts.fact_ad_performance), sum(net_amount_reporting),"
        " count(distinct order_id) from marts.fact_sales"
    )
    cohort = built.landing.query(
        "select cohort_month, sum(distinct users), sum(orders) from reports.rpt_user_cohorts group by 1"
    )
    assert cohort == [(date(2026, 3, 1), 4, 3)]


def test_every_unit_test_passes(built: Star, first: Dump) -> None:
    statuses = built.dbt("test", "--select", "test_type:unit")
    assert set(statuses.values()) <= {"pass", "success"}  # hooks are told too
    assert len(statuses) >= 35


def test_a_full_refresh_makes_the_identical_marts(built: Star, second: Dump) -> None:
    built.dbt("run", "--full-refresh")
    assert built.dump() == second


def test_what_waits_in_quarantine_is_counted_and_warned_of(built: Star, second: Dump) -> None:
    """Of a file that was loaded twice each message counts once, of a run that never committed nothing."""
    columns = "_row_no, _run_seq, _account, resource, reason, source_key, detected_at, raw_bytes"
    aside = f"raw_sqs.quarantine ({columns})"
    row = "'login-queue', 'login_queue', 'no JSON', 'bad' || g % 3, '2026-03-05T06:00:0' || g, 'e30='"
    landed = "raw_sqs.quarantine_resolved (resource, source_key, resolved_at)"
    back = f"insert into {landed} select 'login_queue', 'bad' || g, now()"
    [(run,)] = built.landing.query("select max(run_seq) from ops.commits")
    built.landing.execute(
        f"insert into {aside} select g % 3, {run}, {row} from generate_series(0, 5) as g",
        f"insert into {aside} select g, {run + 1}, {row} from generate_series(6, 9) as g",
        f"{back} from generate_series(1, 1) as g",
        f"insert into {aside} select g, {run}, 'login-queue', 'login_queue', 'long ago', null, null, null"
        " from generate_series(7, 8) as g",
    )
    statuses = built.dbt("build", "--select", "stg_sqs__quarantine+")
    assert statuses["assert_nothing_waits_in_quarantine"] == "warn"
    told = "reason, records, waiting_records, last_detected_at from reports.rpt_quarantine order by 1 desc"
    found = datetime(2026, 3, 5, 6, 0, 2, tzinfo=UTC)
    assert built.landing.query(f"select {told}") == [
        ("no JSON", 3, 2, found),
        ("long ago", 2, 0, None),
    ]
    built.landing.execute(f"{back} from generate_series(0, 2, 2) as g")
    statuses = built.dbt("build", "--select", "stg_sqs__quarantine+")
    assert statuses["assert_nothing_waits_in_quarantine"] == "pass"


def test_damage_turns_the_build_red(built: Star, second: Dump) -> None:
    """Lost and invented rows, a ring of mergers, a plain address in a mart: each is named by its test."""
    resolved = "intermediate.int_identities__resolved"
    built.landing.execute(
        "delete from marts.fact_sales where order_line_id = '6'",
        "update marts.fact_sales set refund_amount = refund_amount + 0.01 where order_line_id = '1'",
        "update marts.fact_user_login set deliveries = 1, user_key = 5 where message_id = 'm1'",
        "delete from marts.fact_user_event where match_rule = 'email'",
        "update marts.dim_user set plan = 'of ann@example.com' where user_pseudonym = 'key:ann'",
        "update marts.dim_device set model = '+4915112345678' where make is null",
        "update marts.fact_user_event set utm_content = '199.172.111.135'",
        "update staging.stg_clevertap__sets set read_rows = read_rows + 1 where date_day = '2026-03-02'",
        f"update {resolved} set user_key = 7 where identity_pseudonym = 'key:pair2'",
        f"update {resolved} set person = 'key:cat' where person = 'key:ann'",
    )
    statuses = built.dbt("test", "--exclude", "test_type:unit", code=1)
    red = {name for name, status in statuses.items() if status == "fail"}
    assert red == {
        "assert_order_lines_are_sold_once",
        "assert_sales_add_up_to_the_database",
        "assert_refunds_are_shared_whole",
        "assert_fact_user_login_holds_every_message",
        "assert_fact_user_event_holds_what_was_read",
        "assert_people_sets_hold_the_rows_of_their_receipts",
        "assert_people_facts_find_their_dimension_rows",
        "assert_marts_hold_no_plain_personal_values",
        "assert_mergers_have_an_end",
        "assert_attributed_revenue_is_all_revenue",
    }
    warned = {name for name, status in statuses.items() if status == "warn"}
    assert warned >= {"assert_order_lines_have_their_order", "assert_people_do_not_share_an_address"}
    plain = {
        (row["mart"], row["mart_column"], row["looks_like"])
        for row in built.offenders("assert_marts_hold_no_plain_personal_values")
    }
    assert plain == {
        ("dim_user", "plan", "email"),
        ("dim_device", "model", "phone"),
        ("fact_user_event", "utm_content", "ip"),
    }
