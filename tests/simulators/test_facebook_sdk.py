"""Meta's own SDK as a witness: it reads the simulator as it reads graph.facebook.com."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from facebook_business.adobjects.ad import Ad
from facebook_business.adobjects.adaccount import AdAccount
from facebook_business.adobjects.adreportrun import AdReportRun
from facebook_business.adobjects.adset import AdSet
from facebook_business.adobjects.adsinsights import AdsInsights
from facebook_business.adobjects.campaign import Campaign
from facebook_business.adobjects.user import User
from facebook_business.api import FacebookAdsApi
from facebook_business.exceptions import FacebookRequestError
from facebook_business.session import FacebookSession

from simulators.server import Simulator

NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
DAY = date(2026, 1, 20)
SECRET = "app-secret"
REPORT = {
    "level": "ad",
    "time_increment": 1,
    "time_range": {"since": DAY.isoformat(), "until": DAY.isoformat()},
    "filtering": [
        {
            "field": "ad.effective_status",
            "operator": "IN",
            "value": ["ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "CAMPAIGN_PAUSED", "ADSET_PAUSED"],
        }
    ],
    "action_attribution_windows": ["1d_click", "7d_click"],
    "limit": 11,
}
FIELDS = ["ad_id", "impressions", "clicks", "spend", "actions"]


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    with Simulator(seed=7, days=60, now=NOW, facebook_app_secret=SECRET) as running:
        yield running


@pytest.fixture
def api(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[FacebookAdsApi]:
    monkeypatch.setattr(FacebookSession, "GRAPH", sim.facebook_url)
    session = FacebookSession("4711", SECRET, sim.state.facebook_token)
    yield FacebookAdsApi(session)
    session.requests.close()


@pytest.fixture
def account(sim: Simulator, api: FacebookAdsApi) -> AdAccount:
    return AdAccount(f"act_{sim.business.accounts('facebook_ads')[0].id}", api=api)


def test_accounts(sim: Simulator, api: FacebookAdsApi) -> None:
    read = list(User("me", api=api).get_ad_accounts(fields=["id", "name", "currency", "timezone_name"]))
    assert [(one["id"], one["name"], one["currency"]) for one in read] == [
        (f"act_{one.id}", one.name, one.currency) for one in sim.business.accounts("facebook_ads")
    ]


def test_campaigns_ad_sets_and_ads(sim: Simulator, account: AdAccount) -> None:
    business, own = sim.business, sim.business.accounts("facebook_ads")[0]
    live = ["ACTIVE", "PAUSED", "CAMPAIGN_PAUSED", "ADSET_PAUSED"]

    def every(kind: type[Campaign | AdSet | Ad]) -> dict[str, object]:
        states = vars(kind.EffectiveStatus)
        return {"limit": 5, "effective_status": [states[name] for name in states if not name.startswith("_")]}

    campaigns = list(
        account.get_campaigns(fields=[Campaign.Field.id, Campaign.Field.name], params=every(Campaign))
    )
    ad_sets = list(
        account.get_ad_sets(fields=[AdSet.Field.id, AdSet.Field.attribution_spec], params=every(AdSet))
    )
    ads = list(account.get_ads(fields=[Ad.Field.id, Ad.Field.creative], params=every(Ad)))
    assert {one["id"]: one["name"] for one in campaigns} == {
        one.id: one.name for one in business.campaigns(own, NOW)
    }
    assert {one["id"] for one in ad_sets} == {one.id for one in business.ad_groups(own, NOW)}
    assert ad_sets[0]["attribution_spec"][0]["window_days"] == 7
    assert {one["id"]: one["creative"]["id"] for one in ads} == {
        one.id: one.creative_id for one in business.ads(own, NOW)
    }
    plain = {one["id"] for one in account.get_ads(fields=["id"])}
    assert plain == {one.id for one in business.ads(own, NOW) if one.effective_status in live}
    assert ads[0].api_get(fields=["name"])["name"] == business.ads(own, NOW)[0].name


def totals(rows: list[AdsInsights]) -> tuple[int, int, Decimal]:
    return (
        sum(int(row["impressions"]) for row in rows),
        sum(int(row["clicks"]) for row in rows),
        sum((Decimal(row["spend"]) for row in rows), Decimal()),
    )


def test_insights_agree_with_the_ledger(sim: Simulator, account: AdAccount) -> None:
    own = sim.business.accounts("facebook_ads")[0]
    returned = sim.business.ledger(own, DAY, NOW).returned
    rows = list(account.get_insights(fields=FIELDS, params=REPORT))
    assert totals(rows) == (returned["impressions"], returned["clicks"], Decimal(returned["spend"]) / 100)
    assert rows[0]["actions"][0]["value"] == rows[0]["actions"][0]["1d_click"]


def test_asynchronous_insights_are_the_same_rows(account: AdAccount) -> None:
    sync = [row.export_all_data() for row in account.get_insights(fields=FIELDS, params=REPORT)]
    for _ in range(3):
        run = account.get_insights(fields=FIELDS, params=REPORT, is_async=True)
        assert isinstance(run, AdReportRun)
        states = []
        while not states or states[-1]["async_status"] != "Job Completed":
            states.append(run.api_get().export_all_data())
            assert len(states) < 6
        assert states[-1]["async_percent_completion"] == 100
        assert [row.export_all_data() for row in run.get_insights(params={"limit": 9})] == sync


def test_errors_arrive_as_the_sdks_own(sim: Simulator, account: AdAccount) -> None:
    sim.fault("throttle", count=1)
    try:
        with pytest.raises(FacebookRequestError) as raised:
            account.api_get(fields=["name"])
        assert raised.value.http_status() == 400
        assert (raised.value.api_error_code(), raised.value.api_error_subcode()) == (80000, 2446079)
        assert "x-business-use-case-usage" in raised.value.http_headers()
    finally:
        sim.clear_faults()
    with pytest.warns(UserWarning, match="flavour"), pytest.raises(FacebookRequestError, match="nonexisting"):
        account.api_get(fields=["flavour"])


def test_batch(api: FacebookAdsApi, account: AdAccount) -> None:
    batch, names = api.new_batch(), []
    account.api_get(fields=["name"], batch=batch, success=lambda answer: names.append(answer.json()["name"]))
    account.get_campaigns(
        fields=["id"], batch=batch, success=lambda answer: names.append(len(answer.json()["data"]))
    )
    assert batch.execute() is None, "nothing left to retry"
    assert names[0] == "Nordwind Möbel"
    assert names[1] > 0
