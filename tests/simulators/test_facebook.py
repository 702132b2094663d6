"""Meta's wire format as the simulator speaks it, over HTTP, and its totals against the ledger."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from simulators.business import Account
from simulators.server import Simulator

NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
EVERY_STATUS = [
    "ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "CAMPAIGN_PAUSED", "ADSET_PAUSED", "IN_PROCESS", "WITH_ISSUES",
]  # fmt: skip
DELETED_TOO = json.dumps([{"field": "ad.effective_status", "operator": "IN", "value": EVERY_STATUS}])
METRICS = "impressions,clicks,inline_link_clicks,spend,reach,frequency,actions,action_values"
WINDOWS = '["1d_click","7d_click","28d_click","1d_view"]'


class Api:
    """A client that knows the token."""

    def __init__(self, sim: Simulator, **params: str) -> None:
        self.sim, self.plain = sim, httpx.Client()
        self.http = httpx.Client(
            base_url=sim.facebook_url, params={"access_token": sim.state.facebook_token} | params
        )

    def get(self, path: str, status: int = 200, **params: Any) -> Any:
        answer = self.http.get(f"/v26.0/{path}", params=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, status: int = 200, **params: Any) -> Any:
        answer = self.http.post(f"/v26.0/{path}", data=params)
        assert answer.status_code == status, answer.text
        return answer.json()

    def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every row, by following `paging.next` until it is absent."""
        page = self.get(path, **params)
        rows = list(page["data"])
        while "next" in page.get("paging", {}):
            page = self.plain.get(page["paging"]["next"]).json()
            rows += page["data"]
        return rows

    def insights(self, account: Account, level: str, day: date, **params: Any) -> list[dict[str, Any]]:
        span = json.dumps({"since": day.isoformat(), "until": day.isoformat()})
        asked = {"level": level, "fields": f"campaign_id,adset_id,ad_id,{METRICS}", "time_range": span,
                 "time_increment": 1, "limit": 500, "action_attribution_windows": WINDOWS}  # fmt: skip
        return self.all(f"act_{account.id}/insights", **asked | params)


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator(seed=7, days=60, now=NOW) as running:
        yield running


@pytest.fixture(scope="module")
def api(sim: Simulator) -> Iterator[Api]:
    client = Api(sim)
    yield client
    client.http.close()
    client.plain.close()


@pytest.fixture(scope="module")
def accounts(sim: Simulator) -> list[Account]:
    return sim.business.accounts("facebook_ads")


def minor(account: Account, text: str) -> int:
    value = Decimal(text) * account.minor_per_unit
    assert value == int(value)
    return int(value)


# ---- figures
@pytest.mark.parametrize("age", [0, 1, 5, 30])
def test_served_insights_equal_the_ledger_on_every_level(
    api: Api, sim: Simulator, accounts: list[Account], age: int
) -> None:
    for account in accounts:
        day = NOW.astimezone(account.zone).date() - timedelta(age)
        ledger = sim.business.ledger(account, day, NOW)
        for level in ("account", "campaign", "adset", "ad"):
            rows = api.insights(account, level, day, **({"filtering": DELETED_TOO} if level == "ad" else {}))
            expected = ledger.returned if level == "ad" else ledger.total
            assert sum(int(row["impressions"]) for row in rows) == expected["impressions"], level
            assert sum(int(row["clicks"]) for row in rows) == expected["clicks"], level
            assert sum(int(row["inline_link_clicks"]) for row in rows) == expected["link_clicks"], level
            assert sum(minor(account, row["spend"]) for row in rows) == expected["spend"], level
            purchases = Counter[str]()
            for row in rows:
                for action in row.get("actions", []):
                    purchases[action["action_type"]] += int(action.get("value", 0))
            bought = expected["p1"] + expected["p7"] + expected["pv"]
            assert purchases["purchase"] == purchases["omni_purchase"] == bought
            assert purchases["offsite_conversion.fb_pixel_purchase"] == bought
            assert purchases["link_click"] == expected["link_clicks"]
            if level == "ad":
                assert len(rows) == ledger.ad_rows
            if level == "campaign":
                by_id = {row["campaign_id"]: int(row["impressions"]) for row in rows}
                assert by_id == {id_: part["impressions"] for id_, part in ledger.campaigns.items()}


def test_deleted_ads_are_missing_unless_asked_for_and_some_even_then(
    api: Api, sim: Simulator, accounts: list[Account]
) -> None:
    account, day = accounts[1], date(2026, 1, 20)
    spend = {
        name: sum(minor(account, row["spend"]) for row in api.insights(account, level, day, **more))
        for name, level, more in (
            ("plain", "ad", {}),
            ("filtered", "ad", {"filtering": DELETED_TOO}),
            ("campaign", "campaign", {}),
        )
    }
    ledger = sim.business.ledger(account, day, NOW)
    assert spend["plain"] < spend["filtered"] == ledger.returned["spend"]
    assert spend["campaign"] - spend["filtered"] == ledger.hidden["deleted"]["spend"] > 0


def test_rows_are_strings_omit_what_is_empty_and_have_no_row_without_delivery(
    api: Api, accounts: list[Account]
) -> None:
    idle = busy = 0
    for account in accounts:
        for n in range(12):
            for row in api.insights(account, "ad", date(2026, 2, 1) + timedelta(n), filtering=DELETED_TOO):
                texts = {
                    name: value for name, value in row.items() if name not in ("actions", "action_values")
                }
                assert all(isinstance(value, str) for value in texts.values())
                assert None not in row.values()
                assert [] not in row.values()
                assert row["date_start"] == row["date_stop"]
                assert re.fullmatch(r"\d+" if account.currency == "JPY" else r"\d+\.\d\d", row["spend"])
                for action in row.get("actions", []) + row.get("action_values", []):
                    assert all(isinstance(value, str) for value in action.values())
                if row["impressions"] == "0":
                    idle += 1
                    assert "frequency" not in row
                    assert any(action["action_type"] == "purchase" for action in row["actions"])
                else:
                    busy += 1
                    assert Decimal(row["frequency"]) >= 1
    assert idle, "purchases on days without delivery"
    assert busy


def test_attribution_windows_are_there_only_when_asked_for(api: Api, accounts: list[Account]) -> None:
    plain = api.insights(accounts[0], "account", date(2026, 1, 20), action_attribution_windows="")[0]
    assert {frozenset(action) for action in plain["actions"]} == {frozenset({"action_type", "value"})}
    full = api.insights(accounts[0], "account", date(2026, 1, 20))[0]
    by_type = {action["action_type"]: action for action in full["actions"]}
    bought = by_type["purchase"]
    assert int(bought["1d_click"]) <= int(bought["7d_click"]) <= int(bought["28d_click"])
    assert int(bought["value"]) == int(bought["7d_click"]) + int(bought.get("1d_view", 0))
    assert bought["value"] == by_type["omni_purchase"]["value"]
    assert "1d_view" not in by_type["link_click"]
    assert int(by_type["page_engagement"]["value"]) >= int(by_type["post_engagement"]["value"])
    assert int(by_type["post_engagement"]["value"]) >= int(by_type["link_click"]["value"])
    gone = api.insights(accounts[0], "account", date(2026, 1, 20), action_attribution_windows='["7d_view"]')[
        0
    ]
    assert gone["actions"] == plain["actions"] or all("7d_view" not in one for one in gone["actions"])


def test_reach_is_not_additive_and_ratios_have_six_decimals(api: Api, accounts: list[Account]) -> None:
    ads = api.insights(
        accounts[1], "ad", date(2026, 1, 20), filtering=DELETED_TOO, fields="reach,ctr,cpm,cpc,clicks"
    )
    whole = api.insights(accounts[1], "account", date(2026, 1, 20), fields="reach")[0]
    assert int(whole["reach"]) < sum(int(row["reach"]) for row in ads)
    for row in ads:
        assert re.fullmatch(r"\d+(\.\d{1,6})?", row.get("ctr", "0"))
        assert ("cpc" in row) == (row["clicks"] != "0")


def test_time_increment_makes_other_rows_of_the_same_days(api: Api, accounts: list[Account]) -> None:
    span = json.dumps({"since": "2026-01-05", "until": "2026-02-14"})
    path, fields = f"act_{accounts[0].id}/insights", "impressions"
    daily = api.all(path, fields=fields, time_range=span, time_increment=1, limit=500)
    weekly = api.all(path, fields=fields, time_range=span, time_increment=7)
    monthly = api.all(path, fields=fields, time_range=span, time_increment="monthly")
    whole = api.all(path, fields=fields, time_range=span)
    assert [len(rows) for rows in (daily, weekly, monthly, whole)] == [41, 6, 2, 1]
    assert (whole[0]["date_start"], whole[0]["date_stop"]) == ("2026-01-05", "2026-02-14")
    assert (
        len({sum(int(row["impressions"]) for row in rows) for rows in (daily, weekly, monthly, whole)}) == 1
    )
    assert len(api.all(path, fields=fields)) == 1, "no time: one row of the last 30 days"


def test_today_is_the_accounts_own_day(api: Api, sim: Simulator, accounts: list[Account]) -> None:
    try:
        sim.set_now(datetime(2026, 2, 20, 4, tzinfo=UTC))
        day = date(2026, 2, 20)
        berlin, pacific, tokyo = (api.insights(account, "account", day) for account in accounts)
        assert pacific == []
        assert int(berlin[0]["impressions"]) > 0
        assert int(tokyo[0]["impressions"]) > 0
        sim.set_now(datetime(2026, 2, 21, 4, tzinfo=UTC))
        assert (
            int(api.insights(accounts[0], "account", day)[0]["impressions"])
            > int(berlin[0]["impressions"]) * 3
        )
    finally:
        sim.set_now(NOW)


def test_insights_below_an_object(api: Api, sim: Simulator, accounts: list[Account]) -> None:
    day = date(2026, 1, 20)
    span = json.dumps({"since": day.isoformat(), "until": day.isoformat()})
    row = api.insights(accounts[0], "ad", day)[0]
    for name in ("campaign_id", "adset_id", "ad_id"):
        own = api.all(
            f"{row[name]}/insights", time_range=span, fields=f"{name},impressions", time_increment=1
        )
        assert [one[name] for one in own] == [row[name]]
        assert int(own[0]["impressions"]) >= int(row["impressions"])
    below = api.all(f"{row['campaign_id']}/insights", time_range=span, fields="ad_id,campaign_id", level="ad")
    assert {one["campaign_id"] for one in below} == {row["campaign_id"]}
    filtering = json.dumps([{"field": "campaign.id", "operator": "IN", "value": [row["campaign_id"]]}])
    same = api.insights(accounts[0], "ad", day, filtering=filtering)
    assert {one["ad_id"] for one in same} == {one["ad_id"] for one in below}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"fields": "impressions,bogus"}, 100),
        ({"fields": "age"}, 100),
        ({"level": "creative"}, 100),
        ({"time_range": '{"since":"2026-02-02","until":"2026-02-01"}'}, 100),
        ({"time_range": '{"since":"2023-01-15","until":"2023-01-16"}'}, 3018),
        ({"time_range": "yesterday"}, 100),
        ({"time_increment": "91"}, 100),
        ({"action_attribution_windows": '["9d_click"]'}, 100),
        ({"after": "§§"}, 100),
        ({"limit": "0"}, 100),
    ],
)
def test_refused_reports(api: Api, accounts: list[Account], params: dict[str, str], code: int) -> None:
    error = api.get(f"act_{accounts[0].id}/insights", status=400, **params)["error"]
    assert error["code"] == code
    assert error["type"] == "OAuthException"
    assert error["fbtrace_id"]


def test_the_floor_is_37_months(api: Api, accounts: list[Account]) -> None:
    path = f"act_{accounts[0].id}/insights"
    span = {"since": "2023-02-01", "until": "2023-02-03"}
    assert api.get(path, time_range=json.dumps(span), time_increment=1)["data"] == []
    span["since"] = "2023-01-31"
    assert "37 months" in api.get(path, status=400, time_range=json.dumps(span))["error"]["message"]


# ---- paging
def test_paging_is_followed_by_next_and_cursors_stay_on_the_last_page(
    api: Api, accounts: list[Account]
) -> None:
    path = f"act_{accounts[1].id}/ads"
    first = api.get(path, fields="id", limit=10)
    assert len(first["data"]) == 10
    assert "previous" not in first["paging"]
    link = urlsplit(first["paging"]["next"])
    assert f"{link.scheme}://{link.netloc}" == api.sim.state.base_url
    query = parse_qs(link.query)
    assert query["access_token"] == [api.sim.state.facebook_token]
    assert query["after"] == [first["paging"]["cursors"]["after"]]
    page, seen = first, [one["id"] for one in first["data"]]
    while "next" in page["paging"]:
        page = api.plain.get(page["paging"]["next"]).json()
        assert "previous" in page["paging"]
        seen += [one["id"] for one in page["data"]]
    assert page["paging"]["cursors"]["after"]
    assert len(seen) == len(set(seen))
    assert seen == [one["id"] for one in api.get(path, fields="id", limit=500)["data"]]
    assert len(api.get(path)["data"]) == 25, "the default limit"


def test_insight_pages_cut_through_days_without_loss(api: Api, accounts: list[Account]) -> None:
    asked = {
        "level": "ad", "fields": "ad_id,impressions", "time_increment": 1, "filtering": DELETED_TOO,
        "time_range": '{"since":"2026-01-01","until":"2026-01-09"}',
    }  # fmt: skip
    path = f"act_{accounts[0].id}/insights"
    whole = api.all(path, limit=1000, **asked)
    assert api.all(path, limit=37, **asked) == whole
    assert len({(row["ad_id"], row["date_start"]) for row in whole}) == len(whole) > 100
    assert {row["date_start"] for row in whole} == {f"2026-01-{day:02d}" for day in range(1, 10)}


def test_an_empty_list_has_no_paging(api: Api, accounts: list[Account]) -> None:
    assert api.get(f"act_{accounts[0].id}/campaigns", effective_status='["IN_PROCESS"]') == {"data": []}
    before = json.dumps({"since": "2025-06-01", "until": "2025-06-02"})
    assert api.get(f"act_{accounts[0].id}/insights", time_range=before) == {"data": []}


def test_more_than_500_entities_at_once_are_too_many(api: Api, accounts: list[Account]) -> None:
    error = api.get(f"act_{accounts[0].id}/ads", status=500, limit=501)["error"]
    assert error["code"] == 1
    assert "reduce the amount of data" in error["message"]
    assert "type" not in error


# ---- entities
def test_accounts(api: Api, accounts: list[Account]) -> None:
    fields = "id,account_id,name,currency,timezone_offset_hours_utc,account_status,amount_spent"
    rows = api.all("me/adaccounts", fields=fields)
    assert [row["id"] for row in rows] == [f"act_{one.id}" for one in accounts]
    assert [row["currency"] for row in rows] == ["EUR", "USD", "JPY"]
    assert [row["timezone_offset_hours_utc"] for row in rows] == [1.0, -8.0, 9.0]
    assert isinstance(rows[0]["account_status"], int)
    assert isinstance(rows[0]["amount_spent"], str)
    assert rows[1]["name"] == rows[2]["name"]
    assert api.get(rows[0]["id"], fields="name,currency") == {
        "name": rows[0]["name"], "currency": "EUR", "id": rows[0]["id"],
    }  # fmt: skip
    assert api.get("me/adaccounts")["data"][0] == {"id": rows[0]["id"]}


def test_edges_hide_archived_and_deleted_unless_listed(
    api: Api, sim: Simulator, accounts: list[Account]
) -> None:
    account = accounts[1]
    path, every = f"act_{account.id}/ads", sim.business.ads(account, NOW)
    shown = {one["effective_status"] for one in api.all(path, fields="effective_status", limit=500)}
    assert shown
    assert not shown & {"ARCHIVED", "DELETED"}
    only = api.all(path, fields="effective_status", effective_status='["ARCHIVED","DELETED"]', limit=500)
    assert {one["effective_status"] for one in only} == {"ARCHIVED", "DELETED"}
    filtering = json.dumps([{"field": "effective_status", "operator": "IN", "value": EVERY_STATUS}])
    assert len(api.all(path, filtering=filtering, limit=500)) == len(every)
    assert len(api.all(path, effective_status=json.dumps(EVERY_STATUS), limit=500)) == len(every)
    deleted = next(ad for ad in every if ad.effective_status == "DELETED")
    assert api.get(deleted.id, fields="effective_status")["effective_status"] == "DELETED"


def test_entity_shapes(api: Api, accounts: list[Account]) -> None:
    account = f"act_{accounts[1].id}"
    status = json.dumps(EVERY_STATUS)
    campaigns = api.all(
        f"{account}/campaigns", effective_status=status,
        fields="id,account_id,name,daily_budget,lifetime_budget,created_time,updated_time,special_ad_categories",
    )  # fmt: skip
    assert all(re.fullmatch(r"\d{18}", one["id"]) for one in campaigns)
    assert {one["account_id"] for one in campaigns} == {accounts[1].id}
    assert any("daily_budget" not in one for one in campaigns)
    assert all(isinstance(one.get("daily_budget", ""), str) for one in campaigns)
    assert all(
        re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d-0[78]00", one["created_time"]) for one in campaigns
    )

    adsets = api.all(
        f"{account}/adsets", effective_status=status, limit=500,
        fields="id,campaign_id,daily_budget,bid_amount,attribution_spec,targeting",
    )  # fmt: skip
    budgets = {one["campaign_id"]: "daily_budget" in one for one in adsets}
    for campaign in campaigns:
        assert ("daily_budget" in campaign or "lifetime_budget" in campaign) != budgets[campaign["id"]]
    assert all(isinstance(one.get("bid_amount", 0), int) for one in adsets)
    assert adsets[0]["attribution_spec"][0] == {"event_type": "CLICK_THROUGH", "window_days": 7}

    ads = api.all(
        f"{account}/ads",
        fields="id,adset_id,campaign_id,creative{id,name}",
        effective_status=status,
        limit=500,
    )
    creatives = {
        one["id"]: one for one in api.all(f"{account}/adcreatives", fields="id,name,body", limit=500)
    }
    assert {one["adset_id"] for one in ads} <= {one["id"] for one in adsets}
    for one in ads:
        assert one["creative"] == {name: creatives[one["creative"]["id"]][name] for name in ("id", "name")}
    of_campaign = api.all(f"{campaigns[0]['id']}/ads", effective_status=status, limit=500)
    assert {one["id"] for one in of_campaign} == {
        one["id"] for one in ads if one["campaign_id"] == campaigns[0]["id"]
    }
    pair = ",".join(one["id"] for one in campaigns[:2])
    assert api.get("", ids=pair, fields="name") == {
        one["id"]: {"name": one["name"], "id": one["id"]} for one in campaigns[:2]
    }


def test_filters_on_time_and_parents(api: Api, sim: Simulator, accounts: list[Account]) -> None:
    account = accounts[1]
    every = sim.business.ads(account, NOW)
    middle = sorted(one.updated_at for one in every)[len(every) // 2]
    since = int(middle.timestamp())
    newer = {one.id for one in every if one.updated_at > middle}
    listed = json.dumps(EVERY_STATUS)
    filtering = json.dumps([{"field": "ad.updated_time", "operator": "GREATER_THAN", "value": since}])
    path = f"act_{account.id}/ads"
    asked = {"effective_status": listed, "limit": 500}
    assert {one["id"] for one in api.all(path, filtering=filtering, **asked)} == newer
    assert {one["id"] for one in api.all(path, updated_since=since, **asked)} == newer
    parent = json.dumps([{"field": "campaign.id", "operator": "EQUAL", "value": every[0].campaign_id}])
    assert {one["id"] for one in api.all(path, filtering=parent, **asked)} == {
        one.id for one in every if one.campaign_id == every[0].campaign_id
    }


@pytest.mark.parametrize("path", ["", "/campaigns", "/ads"])
def test_unknown_fields_are_errors(api: Api, accounts: list[Account], path: str) -> None:
    error = api.get(f"act_{accounts[0].id}{path}", status=400, fields="id,flavour")["error"]
    assert error["code"] == 100
    assert "nonexisting field (flavour)" in error["message"]


def test_unknown_objects_and_paths(api: Api, accounts: list[Account]) -> None:
    for path in ("act_1", "120200000000000000", "nobody"):
        error = api.get(path, status=400)["error"]
        assert (error["code"], error["error_subcode"]) == (100, 33)
    assert api.get(f"act_{accounts[0].id}/leads", status=400)["error"]["code"] == 2500
    assert api.get(f"act_{accounts[0].id}/ads", status=400, fields="a{b")["error"]["code"] == 2500


# ---- report runs
def test_report_runs_go_through_100_percent_running_and_give_the_sync_rows(
    api: Api, accounts: list[Account]
) -> None:
    asked = {
        "level": "ad", "fields": "ad_id,impressions,actions", "time_increment": 1,
        "time_range": '{"since":"2026-01-05","until":"2026-01-07"}',
    }  # fmt: skip
    path, paths = f"act_{accounts[0].id}/insights", set()
    expected = api.all(path, limit=500, **asked)
    for _ in range(3):
        run = api.post(path, **asked)["report_run_id"]
        assert re.fullmatch(r"\d{15}", run)
        seen = []
        early = api.get(f"{run}/insights", status=400)["error"]
        assert (early["code"], early["error_subcode"], early["is_transient"]) == (2601, 1815107, True)
        while not seen or seen[-1][0] != "Job Completed":
            state = api.get(run)
            assert isinstance(state["async_percent_completion"], int)
            assert (state["date_start"], state["date_stop"]) == ("2026-01-05", "2026-01-07")
            seen.append((state["async_status"], state["async_percent_completion"]))
            assert len(seen) < 6
        paths.add(tuple(seen))
        assert state["time_completed"] >= state["time_ref"]
        assert api.all(f"{run}/insights", limit=40) == expected
    assert any(("Job Running", 100) in path for path in paths)
    assert len(paths) == 3


def test_a_report_run_is_as_of_its_start_and_dies_after_30_days(
    api: Api, sim: Simulator, accounts: list[Account]
) -> None:
    day = '{"since":"2026-02-27","until":"2026-02-27"}'
    path = f"act_{accounts[0].id}/insights"
    run = api.post(path, fields="impressions,spend", time_range=day)["report_run_id"]
    before = api.get(path, fields="impressions,spend", time_range=day)["data"]
    try:
        sim.set_now(NOW + timedelta(days=29))
        while api.get(run)["async_status"] != "Job Completed":
            pass
        assert api.get(f"{run}/insights")["data"] == before
        assert api.get(path, fields="impressions,spend", time_range=day)["data"] != before
        sim.set_now(NOW + timedelta(days=31))
        assert api.get(run, status=400)["error"]["error_subcode"] == 33
    finally:
        sim.set_now(NOW)


def test_a_report_run_gives_only_what_it_was_made_with(api: Api, accounts: list[Account]) -> None:
    run = api.post(f"act_{accounts[0].id}/insights", fields="impressions")["report_run_id"]
    while api.get(run)["async_status"] != "Job Completed":
        pass
    error = api.get(f"{run}/insights", status=400, fields="spend")["error"]
    assert "weren't there while creating the report run" in error["message"]


# ---- access, headers, batches
def test_tokens(sim: Simulator, accounts: list[Account]) -> None:
    url = f"{sim.facebook_url}/v26.0/act_{accounts[0].id}"
    missing = httpx.get(url)
    wrong = httpx.get(url, params={"access_token": "stale"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, 104)
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, 190)
    bearer = {"Authorization": f"Bearer {sim.state.facebook_token}"}
    assert httpx.get(url, headers=bearer).json() == {"id": f"act_{accounts[0].id}"}
    unversioned = url.replace("/v26.0", "")
    assert httpx.get(unversioned, headers=bearer).status_code == 200


def test_app_secret_proof() -> None:
    with Simulator(seed=7, days=5, now=NOW, facebook_app_secret="s3cret") as sim:
        assert sim.settings_env()["SOURCES__FACEBOOK_ADS__APP_SECRET"] == "s3cret"
        token = sim.state.facebook_token
        proof = hmac.new(b"s3cret", token.encode(), hashlib.sha256).hexdigest()
        url = f"{sim.facebook_url}/v26.0/me/adaccounts"
        answers = [
            httpx.get(url, params={"access_token": token} | more)
            for more in ({}, {"appsecret_proof": "0" * 64}, {"appsecret_proof": proof})
        ]
        assert [one.status_code for one in answers] == [400, 400, 200]
        assert "requires" not in answers[2].text
        assert "require an appsecret_proof" in answers[0].json()["error"]["message"]
        assert "Invalid appsecret_proof" in answers[1].json()["error"]["message"]


def test_usage_headers(sim: Simulator, accounts: list[Account]) -> None:
    account, params = accounts[0], {"access_token": sim.state.facebook_token}
    headers = httpx.get(f"{sim.facebook_url}/v26.0/act_{account.id}/insights", params=params).headers
    case = json.loads(headers["x-business-use-case-usage"])[account.id][0]
    assert case["type"] == "ads_insights"
    assert case["estimated_time_to_regain_access"] == 0
    assert json.loads(headers["x-app-usage"]).keys() == {"call_count", "total_cputime", "total_time"}
    assert json.loads(headers["x-fb-ads-insights-throttle"])["acc_id_util_pct"] < 100
    assert "acc_id_util_pct" in json.loads(headers["x-ad-account-usage"])
    entities = httpx.get(f"{sim.facebook_url}/v26.0/act_{account.id}/ads", params=params).headers
    assert "x-fb-ads-insights-throttle" not in entities


def test_batches(api: Api, accounts: list[Account]) -> None:
    batch = [
        {"method": "GET", "relative_url": f"act_{accounts[0].id}?fields=name"},
        {"method": "GET", "relative_url": "act_1?fields=name"},
        {"method": "POST", "relative_url": f"act_{accounts[0].id}/insights", "body": "fields=impressions"},
    ]
    answers = api.post("", batch=json.dumps(batch))
    assert [one["code"] for one in answers] == [200, 400, 200]
    assert json.loads(answers[0]["body"])["name"] == accounts[0].name
    assert json.loads(answers[1]["body"])["error"]["error_subcode"] == 33
    assert "report_run_id" in json.loads(answers[2]["body"])
    assert "x-app-usage" in {header["name"] for header in answers[0]["headers"]}
    assert api.post("", status=400, batch=json.dumps(batch[:1] * 51))["error"]["code"] == 100


def test_requests_are_logged_without_secrets(api: Api, sim: Simulator, accounts: list[Account]) -> None:
    sim.requests.clear()
    api.get(f"act_{accounts[0].id}/ads", fields="id", limit=3)
    (entry,) = httpx.get(f"{sim.state.base_url}/_sim/requests").json()
    assert (entry["method"], entry["status"]) == ("GET", 200)
    assert entry["path"] == f"/graph/v26.0/act_{accounts[0].id}/ads"
    assert entry["query"] == {"fields": "id", "limit": "3"}
    assert entry["bytes"] > 0
    assert sim.state.facebook_token not in json.dumps(sim.requests)
