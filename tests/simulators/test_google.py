"""The Google Ads simulator speaks the vendor's wire format, and its figures are the business'."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest

from simulators import gaql, google
from simulators.business import Account, Business, KeywordDay, SearchTermDay
from simulators.faults import Faults
from simulators.server import State
from tests.simulators.serving import serve

NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)
SINCE, UNTIL = date(2026, 2, 1), date(2026, 2, 7)
DELIVERY = "metrics.impressions, metrics.clicks, metrics.cost_micros"
DAYS = f"segments.date BETWEEN '{SINCE}' AND '{UNTIL}'"


class Api:
    """A client with a token, and the simulator behind it."""

    def __init__(self, client: httpx.Client, state: State) -> None:
        self.client, self.state = client, state
        accounts = state.business.accounts("google_ads")
        self.manager = next(account for account in accounts if account.is_manager)
        self.customers = [account for account in accounts if not account.is_manager]
        self.headers = {"login-customer-id": self.manager.id}
        self.refresh()

    def token(self, **changed: str) -> httpx.Response:
        form = {
            "client_id": "sim-client",
            "client_secret": "sim-client-secret",
            "refresh_token": "sim-refresh-token",
            "grant_type": "refresh_token",
        }
        return self.client.post("/oauth2/token", data=form | changed)

    def refresh(self) -> None:
        self.headers["authorization"] = f"Bearer {self.token().json()['access_token']}"

    def call(
        self, query: str, customer: str | None = None, verb: str = "searchStream", **more: Any
    ) -> httpx.Response:
        version, headers = more.pop("version", "v26"), self.headers | more.pop("headers", {})
        path = f"/googleads/{version}/customers/{customer or self.customers[0].id}/googleAds:{verb}"
        headers = {name: value for name, value in headers.items() if value is not None}
        return self.client.post(path, json={"query": query, **more}, headers=headers)

    def rows(self, query: str, customer: str | None = None) -> list[dict[str, Any]]:
        answer = self.call(query, customer)
        assert answer.status_code == 200, answer.text
        return [row for batch in answer.json() for row in batch.get("results", [])]

    def refusal(self, query: str, **more: Any) -> tuple[int, dict[str, str]]:
        answer = self.call(query, **more)
        body = answer.json()
        (error,) = body if isinstance(body, list) else [body]
        (detail,) = error["error"]["details"]
        assert detail["@type"].endswith("errors.GoogleAdsFailure")
        return answer.status_code, detail["errors"][0]["errorCode"]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[httpx.Client, State]]:
    state = State(Business(7, date(2026, 1, 1), 60), NOW, Faults(7))
    with serve(google.routes(state)) as client:
        yield client, state


@pytest.fixture
def api(server: tuple[httpx.Client, State]) -> Iterator[Api]:
    client, state = server
    state.now = NOW
    yield Api(client, state)
    state.faults.clear()


def days() -> Iterator[date]:
    day = SINCE
    while day <= UNTIL:
        yield day
        day += timedelta(days=1)


def micros(account: Account, minor: int) -> int:
    return minor * 1_000_000 // account.minor_per_unit


# --- the wire


def test_the_vendors_own_classes_read_every_batch_the_loader_asks_for(
    server: tuple[httpx.Client, State], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And they give it back unchanged: no field is unknown, none of another type."""
    types = pytest.importorskip("google.ads.googleads.v26.services.types.google_ads_service")
    from google.protobuf import json_format

    from loaders._core.declare import Clock, Window
    from loaders._core.stream import whole
    from loaders.google_ads import LOADER, GoogleAdsSettings

    client, state = server
    state.now = NOW
    monkeypatch.setattr(google, "BATCH_ROWS", 40)
    manager, base = Api(client, state).manager, str(client.base_url).rstrip("/")
    settings = GoogleAdsSettings(
        client_id="sim-client", client_secret="sim-client-secret", refresh_token="sim-refresh-token",
        login_customer_id=manager.id, base_url=f"{base}/googleads", token_url=f"{base}/oauth2/token",
    )  # fmt: skip
    batches: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    with LOADER.connect(settings, Clock(NOW)) as api:
        accounts = LOADER.accounts(api)
        assert len(accounts) == 3
        for resource in LOADER.resources:
            for account in accounts if resource.per_account else [LOADER.root(api)]:
                window = Window(SINCE, SINCE + timedelta(days=1)) if resource.day else None
                for batch in whole(resource.read(api, account, window)):
                    response = types.SearchGoogleAdsStreamResponse.from_json(
                        batch, ignore_unknown_fields=False
                    )
                    told = json_format.MessageToDict(response._pb)
                    assert told == json.loads(batch)
                    batches[resource.name] += 1
                    rows[resource.name] += len(told.get("results", []))
    assert batches["ad_group_ad_day"] > 3
    assert all(rows[resource.name] for resource in LOADER.resources), rows


def test_batches_carry_what_the_vendor_puts_there(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google, "BATCH_ROWS", 10)
    query = f"SELECT segments.date, campaign.id, metrics.clicks FROM campaign WHERE {DAYS}"
    answer = api.call(query)
    batches = answer.json()
    assert [len(batch["results"]) for batch in batches[:-1]] == [10] * (len(batches) - 1)
    assert {batch["fieldMask"] for batch in batches} == {"segments.date,campaign.id,metrics.clicks"}
    assert {batch["requestId"] for batch in batches} == {answer.headers["request-id"]}
    assert [("queryResourceConsumption" in batch) for batch in batches] == [False] * (len(batches) - 1) + [
        True
    ]
    assert b"\n,\r\n" in answer.content


def test_a_stream_without_rows_has_no_results(api: Api) -> None:
    (batch,) = api.call("SELECT campaign.id FROM campaign WHERE campaign.id = 1").json()
    assert set(batch) == {"fieldMask", "requestId", "queryResourceConsumption"}
    page = api.call("SELECT campaign.id FROM campaign WHERE campaign.id = 1", verb="search").json()
    assert set(page) == {"fieldMask", "queryResourceConsumption"}


def test_numbers_are_typed_as_in_the_discovery_document(api: Api) -> None:
    query = f"SELECT segments.date, {DELIVERY}, metrics.conversions, metrics.ctr FROM campaign WHERE {DAYS}"
    text = api.call(query).text
    metrics = [row["metrics"] for row in api.rows(query)]
    assert all(isinstance(m["clicks"], str) and isinstance(m["costMicros"], str) for m in metrics)
    assert all(isinstance(m["conversions"], int | float) for m in metrics)
    assert ".0," not in text
    assert ".0}" not in text
    assert {"ctr" in m for m in metrics if m["impressions"] == "0"} <= {False}
    keywords = api.rows("SELECT ad_group_criterion.quality_info.quality_score FROM ad_group_criterion")
    scores = [row["adGroupCriterion"].get("qualityInfo", {}).get("qualityScore") for row in keywords]
    assert None in scores
    assert all(score is None or isinstance(score, int) for score in scores)


def test_search_pages_are_the_stream(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google, "BATCH_ROWS", 50)
    query = f"SELECT segments.date, ad_group_ad.ad.id, metrics.clicks FROM ad_group_ad WHERE {DAYS}"
    rows, token, pages = [], "", 0
    while True:
        settings = {"returnTotalResultsCount": True}
        page = api.call(query, verb="search", pageToken=token, searchSettings=settings).json()
        rows += page["results"]
        pages += 1
        assert "requestId" not in page
        if not (token := page.get("nextPageToken", "")):
            break
    assert pages > 2
    assert rows == api.rows(query)
    assert page["totalResultsCount"] == str(len(rows))
    first = api.call(query, verb="search").json()["nextPageToken"]
    bad = {"requestError": "INVALID_PAGE_TOKEN"}
    assert api.refusal(query + " LIMIT 70", verb="search", pageToken=first) == (400, bad)
    assert api.refusal(query, verb="search", pageToken="nonsense") == (400, bad)
    assert api.refusal(query, verb="search", pageSize=5) == (400, {"requestError": "PAGE_SIZE_NOT_SUPPORTED"})


# --- the figures


@pytest.mark.parametrize("number", [0, 1, 2])
def test_reports_are_the_ledger(api: Api, number: int) -> None:
    account = api.customers[number]
    ledger = {day: api.state.business.ledger(account, day, NOW) for day in days()}

    def totals(source: str) -> dict[str, list[int]]:
        found: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
        for row in api.rows(f"SELECT segments.date, {DELIVERY} FROM {source} WHERE {DAYS}", account.id):
            for at, name in enumerate(("impressions", "clicks", "costMicros")):
                found[row["segments"]["date"]][at] += int(row["metrics"][name])
        return dict(found)

    def told(which: str) -> dict[str, list[int]]:
        parts = {str(day): getattr(totals, which) for day, totals in ledger.items()}
        names = ("impressions", "clicks")
        return {
            day: [*(p[n] for n in names), micros(account, p["spend"])]
            for day, p in parts.items()
            if any(p.values())
        }

    assert totals("customer") == totals("campaign") == told("total")
    assert totals("ad_group_ad") == totals("ad_group") == told("returned")
    assert told("returned") != told("total")


def test_ad_rows_are_the_business_ads_by_device_and_network(api: Api) -> None:
    account = api.customers[0]
    placed: Counter[tuple[Any, ...]] = Counter()
    for day in days():
        for ad in api.state.business.ad_days(account, day, NOW):
            key = (str(day), ad.ad_group_id, ad.ad_id, ad.device, ad.network)
            placed[key] += ad.impressions
    query = (
        "SELECT segments.date, ad_group.id, ad_group_ad.ad.id, segments.device, segments.ad_network_type, "
        f"metrics.impressions FROM ad_group_ad WHERE {DAYS}"
    )
    rows = [
        (
            (
                row["segments"]["date"],
                row["adGroup"]["id"],
                row["adGroupAd"]["ad"]["id"],
                row["segments"]["device"],
                row["segments"]["adNetworkType"],
            ),
            int(row["metrics"]["impressions"]),
        )
        for row in api.rows(query)
    ]
    assert len(rows) == len(dict(rows))
    assert dict(rows) == {key: value for key, value in placed.items() if value}
    ids = Counter(ad for _, _, ad, _, _ in {(0, key[1], key[2], 0, 0) for key, _ in rows})
    assert max(ids.values()) > 1, "an ad id stands in several ad groups"


def test_keywords_and_search_terms_are_the_business_own(api: Api) -> None:
    business, account = api.state.business, api.customers[0]
    fields = f"segments.date, ad_group.id, {DELIVERY}"

    def figures(row: dict[str, Any]) -> tuple[str, ...]:
        metrics = row["metrics"]
        return (
            row["segments"]["date"],
            row["adGroup"]["id"],
            metrics["impressions"],
            metrics["clicks"],
            metrics["costMicros"],
        )

    def expected(day: date, k: KeywordDay | SearchTermDay) -> tuple[str, ...]:
        return str(day), k.ad_group_id, str(k.impressions), str(k.clicks), str(micros(account, k.spend))

    keywords = api.rows(f"SELECT {fields}, ad_group_criterion.criterion_id, ad_group_criterion.keyword.text "
                        f"FROM keyword_view WHERE {DAYS}")  # fmt: skip
    mine = Counter(
        (*expected(day, k), k.criterion_id, k.text)
        for day in days()
        for k in business.keyword_days(account, day, NOW)
        if k.impressions + k.clicks + k.spend
    )
    assert mine == Counter(
        (*figures(r), r["adGroupCriterion"]["criterionId"], r["adGroupCriterion"]["keyword"]["text"])
        for r in keywords
    )
    terms = api.rows(f"SELECT {fields}, search_term_view.search_term, search_term_view.status, "
                     "segments.search_term_match_type, segments.keyword.info.text "
                     f"FROM search_term_view WHERE {DAYS}")  # fmt: skip
    mine = Counter(
        (*expected(day, t), t.search_term, t.status, t.search_term_match_type, t.text)
        for day in days()
        for t in business.search_term_days(account, day, NOW)
        if t.impressions + t.clicks + t.spend
    )
    assert mine == Counter(
        (
            *figures(r),
            r["searchTermView"]["searchTerm"],
            r["searchTermView"]["status"],
            r["segments"]["searchTermMatchType"],
            r["segments"]["keyword"]["info"]["text"],
        )
        for r in terms
    )


def test_conversions_by_action_sum_to_the_campaigns(api: Api) -> None:
    credit = "metrics.conversions, metrics.all_conversions, metrics.conversions_value"
    actions = (
        "segments.conversion_action, segments.conversion_action_name, segments.conversion_action_category"
    )
    by_action = api.rows(f"SELECT segments.date, campaign.id, {actions}, {credit} FROM campaign WHERE {DAYS}")
    plain = api.rows(f"SELECT segments.date, campaign.id, {credit} FROM campaign WHERE {DAYS}")

    def sums(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[int]]:
        found: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
        for row in rows:
            for at, name in enumerate(("conversions", "allConversions", "conversionsValue")):
                found[row["segments"]["date"], row["campaign"]["id"]][at] += round(row["metrics"][name] * 100)
        return dict(found)

    assert sums(by_action) == sums(plain)
    known = {a.name: a for a in api.state.business.conversion_actions(api.customers[0])}
    for row in by_action:
        action = known[row["segments"]["conversionActionName"]]
        assert row["segments"]["conversionAction"].endswith(f"/conversionActions/{action.id}")
        assert action.primary or row["metrics"]["conversions"] == 0
    assert {row["segments"]["conversionActionName"] for row in by_action} == set(known)


def test_conversions_grow_for_ninety_days_and_entities_are_as_of(api: Api) -> None:
    query = (
        "SELECT metrics.conversions, metrics.all_conversions FROM customer WHERE segments.date = '2026-01-20'"
    )
    told = []
    for later in (1, 30, 89, 90, 200):
        api.state.now = datetime(2026, 1, 20, 22, tzinfo=UTC) + timedelta(days=later)
        api.refresh()
        told.append(api.rows(query)[0]["metrics"]["conversions"])
    assert told[0] < told[1] < told[2] <= told[3] == told[4]
    names = []
    for moment in (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)):
        api.state.now = moment
        api.refresh()
        rows = api.rows("SELECT campaign.id, campaign.name, campaign.status FROM campaign")
        names.append({row["campaign"]["id"]: row["campaign"] for row in rows})
    both = names[0].keys() & names[1].keys()
    assert any(names[0][key]["name"] != names[1][key]["name"] for key in both)
    assert "REMOVED" in {campaign["status"] for campaign in names[1].values()}


def test_zero_rows_are_left_out_only_with_segments(api: Api) -> None:
    campaigns = len(api.rows("SELECT campaign.id FROM campaign"))
    total = api.rows(f"SELECT campaign.id, metrics.clicks FROM campaign WHERE {DAYS}")
    assert len(total) == campaigns
    assert "0" in {row["metrics"]["clicks"] for row in total}
    clicks = api.rows(f"SELECT segments.date, campaign.id, metrics.clicks FROM campaign WHERE {DAYS}")
    assert "0" not in {row["metrics"]["clicks"] for row in clicks}
    ads = (
        "SELECT segments.date, ad_group.id, ad_group_ad.ad.id, metrics.{} FROM ad_group_ad "
        "WHERE segments.date >= '2026-01-01' AND segments.date <= '2026-02-28'"
    )
    fewer, more = (api.rows(ads.format(names)) for names in ("clicks", "clicks, metrics.conversions"))
    assert len(fewer) < len(more), "conversions also happen on days without clicks"


def test_conditions_order_and_limit(api: Api) -> None:
    rows = api.rows(
        "SELECT campaign.name, campaign.id, metrics.clicks FROM campaign "
        "WHERE segments.date DURING LAST_30_DAYS AND campaign.status IN ('ENABLED', 'PAUSED') "
        "AND metrics.clicks > 0 ORDER BY metrics.clicks DESC LIMIT 3"
    )
    clicks = [int(row["metrics"]["clicks"]) for row in rows]
    assert len(clicks) == 3
    assert clicks == sorted(clicks, reverse=True)
    everyone = api.rows("SELECT campaign.status, campaign.name FROM campaign")
    for text, test in {
        "campaign.status != 'REMOVED'": lambda c: c["status"] != "REMOVED",
        "campaign.name LIKE '%wave%'": lambda c: "wave" in c["name"],
        "campaign.name NOT LIKE '%wave%'": lambda c: "wave" not in c["name"],
        "campaign.name REGEXP_MATCH '.*v[0-9].*'": lambda c: any(f"v{n}" in c["name"] for n in range(10)),
        "campaign.advertising_channel_sub_type IS NULL": lambda c: True,
    }.items():
        found = {
            row["campaign"]["resourceName"]
            for row in api.rows(f"SELECT campaign.id FROM campaign WHERE {text}")
        }
        wanted = {row["campaign"]["resourceName"] for row in everyone if test(row["campaign"])}
        if "IS NULL" in text:
            assert found < wanted
        else:
            assert found == wanted
    bare = api.rows("SELECT metrics.clicks FROM customer WHERE segments.date DURING YESTERDAY "
                    "PARAMETERS omit_unselected_resource_names=true")  # fmt: skip
    assert list(bare[0]) == ["metrics"]


def test_the_hierarchy(api: Api) -> None:
    fields = "customer_client.id, customer_client.level, customer_client.manager, customer_client.status"
    query = f"SELECT {fields} FROM customer_client"
    clients = [row["customerClient"] for row in api.rows(query, api.manager.id)]
    assert [client["level"] for client in clients] == ["0", "1", "1", "1", "1"]
    assert clients[0]["id"] == api.manager.id
    assert {c["id"] for c in clients if c["status"] == "ENABLED"} == {
        a.id for a in (api.manager, *api.customers)
    }
    (own,) = api.rows(query, api.customers[0].id)
    assert own["customerClient"]["level"] == "0"
    (closed,) = (c["id"] for c in clients if c["status"] == "CANCELED")
    refused = (403, {"authorizationError": "CUSTOMER_NOT_ENABLED"})
    assert api.refusal("SELECT customer.id FROM customer", customer=closed) == refused
    names = api.client.get("/googleads/v26/customers:listAccessibleCustomers", headers=api.headers).json()
    assert names == {"resourceNames": [f"customers/{api.manager.id}"]}


# --- refusals

DATED = "SELECT segments.date, metrics.clicks FROM campaign WHERE segments.date"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", "EXPECTED_SELECT"),
        ("SELECT campaign.id", "EXPECTED_FROM"),
        ("SELECT campaign.id FROM campaign WHERE", "UNEXPECTED_END_OF_QUERY"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id", "BAD_OPERATOR"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id = 'x", "STRING_NOT_TERMINATED"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id = 'x'", "BAD_NUMBER"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id IN ()", "PROHIBITED_EMPTY_LIST_IN_CONDITION"),
        ("SELECT campaign.id FROM campaign WHERE campaign.id CONTAINS ANY ('x')", "OPERATOR_FIELD_MISMATCH"),
        ("SELECT campaign.id FROM campaign LIMIT 0", "LIMIT_VALUE_TOO_LOW"),
        ("SELECT campaign.id FROM campaign LIMIT many", "BAD_LIMIT_VALUE"),
        ("SELECT campaign.id FROM campaign ORDER campaign.id", "EXPECTED_BY"),
        ("SELECT campaign.id FROM campaign PARAMETERS what=true", "BAD_PARAMETER_NAME"),
        ("SELECT campaign.id FROM campaign; SELECT 1", "BAD_SYMBOL"),
        ("SELECT campaign.id FROM campaign extra", "UNEXPECTED_INPUT"),
        ("SELECT campaign.id FROM campagne", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE"),
        ("SELECT campaign.start_date FROM campaign", "UNRECOGNIZED_FIELD"),
        ("SELECT ad_group.id FROM campaign", "PROHIBITED_RESOURCE_TYPE_IN_SELECT_CLAUSE"),
        ("SELECT metrics.clicks FROM conversion_action", "PROHIBITED_METRIC_IN_SELECT_OR_WHERE_CLAUSE"),
        ("SELECT segments.date FROM customer_client", "PROHIBITED_SEGMENT_IN_SELECT_OR_WHERE_CLAUSE"),
        ("SELECT segments.date, metrics.clicks FROM campaign", "EXPECTED_FILTERS_ON_DATE_RANGE"),
        (f"{DATED} >= '2026-02-01'", "EXPECTED_FILTERS_ON_DATE_RANGE"),
        (f"{DATED} DURING LAST_99_DAYS", "INVALID_VALUE_WITH_DURING_OPERATOR"),
        (f"{DATED} = 'yesterday'", "INVALID_DATE_FORMAT"),
        (f"{DATED} BETWEEN '2026-02-01' AND '2026-02-02' AND segments.device = 'MOBILE'",
         "EXPECTED_REFERENCED_FIELD_IN_SELECT_CLAUSE"),
        (DATED.replace("SELECT", "SELECT segments.conversion_action,") + " DURING YESTERDAY",
         "PROHIBITED_SEGMENT_WITH_METRIC_IN_SELECT_OR_WHERE_CLAUSE"),
    ],
)  # fmt: skip
def test_a_wrong_query_is_refused(api: Api, query: str, code: str) -> None:
    assert api.refusal(query) == (400, {"queryError": code})


def test_dates_out_of_range_are_refused(api: Api) -> None:
    backwards = f"{DATED} BETWEEN '2026-02-02' AND '2026-02-01'"
    assert api.refusal(backwards) == (400, {"dateRangeError": "START_DATE_AFTER_END_DATE"})
    assert api.refusal(f"{DATED} = '2026-02-30'") == (400, {"dateError": "INVALID_STRING_DATE"})
    kept, gone = (f"{DATED} BETWEEN '2023-0{day}' AND '2023-03-01'" for day in ("2-01", "1-31"))
    assert api.call(kept).status_code == 200
    assert api.refusal(gone) == (400, {"dateRangeError": "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED"})
    assert api.refusal(gone, version="v23") == (400, {"dateRangeError": "INVALID_DATE"})


def test_metrics_of_a_manager_are_refused(api: Api) -> None:
    code = {"queryError": "REQUESTED_METRICS_FOR_MANAGER"}
    assert api.refusal(f"{DATED} DURING YESTERDAY", customer=api.manager.id) == (400, code)
    assert api.rows("SELECT campaign.id FROM campaign", api.manager.id) == []


def test_credentials(api: Api) -> None:
    query = "SELECT customer.id FROM customer"
    for changed, status, error in (
        ({"refresh_token": "revoked"}, 400, "invalid_grant"),
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ):
        answer = api.token(**changed)
        assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert api.token().json().keys() == {"access_token", "expires_in", "scope", "token_type"}

    def code(name: str) -> tuple[int, dict[str, str]]:
        return 401, {"authenticationError": name}

    assert api.refusal(query, headers={"authorization": None}) == code("OAUTH_TOKEN_HEADER_INVALID")
    assert api.refusal(query, headers={"authorization": "Bearer x"}) == code("OAUTH_TOKEN_INVALID")
    api.state.now += timedelta(hours=1)
    assert api.refusal(query) == code("OAUTH_TOKEN_EXPIRED")
    api.refresh()
    assert api.call(query).status_code == 200


def test_headers_and_addresses(api: Api) -> None:
    query = "SELECT customer.id FROM customer"
    denied = (403, {"authorizationError": "USER_PERMISSION_DENIED"})
    assert api.refusal(query, headers={"login-customer-id": None}) == denied
    assert api.refusal(query, headers={"login-customer-id": api.customers[1].id}) == denied
    invalid = (400, {"requestError": "INVALID_CUSTOMER_ID"})
    assert api.refusal(query, headers={"login-customer-id": "123-456-7890"}) == invalid
    assert api.refusal(query, customer="123-456-7890") == invalid
    assert api.refusal(query, customer="123") == (401, {"authenticationError": "CUSTOMER_NOT_FOUND"})
    missing = (400, {"requestError": "DEVELOPER_TOKEN_PARAMETER_MISSING"})
    assert api.refusal(query, headers={"developer-token": ""}) == missing
    assert api.call(query, headers={"developer-token": "anything"}).status_code == 200
    assert api.refusal(query, version="v22") == (400, {"requestError": "UNSUPPORTED_VERSION"})
    assert isinstance(api.call("", verb="search").json(), dict)
    assert isinstance(api.call("").json(), list)


# --- faults

ADS = f"SELECT segments.date, campaign.id, ad_group_ad.ad.id, metrics.clicks FROM ad_group_ad WHERE {DAYS}"


def test_throttling_and_server_errors(api: Api) -> None:
    api.state.faults.set("throttle", {"wait_seconds": 90, "count": 1, "resource": "ad_group_ad_day"})
    assert api.call("SELECT campaign.id FROM campaign").status_code == 200
    answer = api.call(ADS)
    (error,) = answer.json()[0]["error"]["details"][0]["errors"]
    assert answer.status_code == 429
    assert error["errorCode"] == {"quotaError": "RESOURCE_EXHAUSTED"}
    assert error["details"]["quotaErrorDetails"]["retryDelay"] == "90s"
    assert api.call(ADS).status_code == 200
    for status in (500, 503, 504):
        api.state.faults.set("server_error", {"status": status, "count": 1})
        assert api.refusal(ADS)[0] == status


def test_bodies_that_break(api: Api) -> None:
    whole = api.call(ADS)
    api.state.faults.set("truncated_body", {"count": 1})
    half = api.call(ADS)
    assert half.status_code == 200
    assert half.content == whole.content[: len(half.content)].replace(
        whole.headers["request-id"].encode(), half.headers.get("request-id", "").encode()
    )
    assert 0 < len(half.content) < len(whole.content)
    with pytest.raises(json.JSONDecodeError):
        half.json()
    api.state.faults.set("html_body", {"count": 1})
    assert api.call(ADS).text.startswith("<!DOCTYPE html>")
    api.state.faults.set("mid_stream_error", {"count": 1, "after": 2})
    answer = api.call(ADS)
    *good, bad = answer.json()
    assert answer.status_code == 200
    assert len(good) == 2
    assert [row for batch in good for row in batch["results"]] == api.rows(ADS)[
        : sum(len(b["results"]) for b in good)
    ]
    assert sum(len(b["results"]) for b in good) < len(api.rows(ADS))
    assert bad["error"]["details"][0]["errors"][0]["errorCode"] == {"internalError": "INTERNAL_ERROR"}


def test_a_dead_token_is_replaced_by_one_that_lives(api: Api) -> None:
    api.state.faults.set("expired_token", {})
    expired = (401, {"authenticationError": "OAUTH_TOKEN_EXPIRED"})
    assert api.refusal(ADS) == expired
    assert api.refusal(ADS) == expired
    api.refresh()
    assert api.call(ADS).status_code == 200


def test_accounts_and_rows_that_are_withheld(api: Api) -> None:
    first, second = api.customers[0].id, api.customers[1].id
    api.state.faults.set("forbidden_account", {"account": second})
    assert api.refusal(ADS, customer=second) == (403, {"authorizationError": "USER_PERMISSION_DENIED"})
    rows = api.rows(ADS, first)
    api.state.faults.set("empty_success", {"resource": "campaign_day", "count": 1})
    campaigns = ADS.replace("ad_group_ad.ad.id, ", "").replace("FROM ad_group_ad", "FROM campaign")
    assert api.rows(campaigns) == []
    assert api.rows(campaigns) != []
    api.state.faults.set("withhold_ads", {"count": 1})
    fewer = api.rows(ADS)
    (gone,) = {r["campaign"]["id"] for r in rows} - {r["campaign"]["id"] for r in fewer}
    assert fewer == [row for row in rows if row["campaign"]["id"] != gone]
    api.state.faults.set("withhold_ads", {"count": 1, "campaign": gone, "day": str(SINCE)})
    fewer = api.rows(ADS)
    assert fewer == [r for r in rows if r["campaign"]["id"] != gone or r["segments"]["date"] != str(SINCE)]
    api.state.faults.set("too_large", {"rows": 3, "count": 1})
    assert api.refusal(ADS) == (400, {"queryError": "DATE_RANGE_TOO_WIDE"})


def test_fields_that_change(api: Api) -> None:
    plain = api.rows(ADS)
    api.state.faults.set(
        "new_field", {"field": "metrics.shiny_thing", "value": {"deep": ["100 %"]}, "count": 1}
    )
    api.state.faults.set("vanished_field", {"field": "campaign.id", "count": 1})
    api.state.faults.set("changed_type", {"field": "metrics.clicks", "count": 1})
    for row, before in zip(api.rows(ADS), plain, strict=True):
        assert row["metrics"] == {"clicks": [before["metrics"]["clicks"]], "shinyThing": {"deep": ["100 %"]}}
        assert "id" not in row["campaign"]
    api.state.faults.set("changed_type", {"field": "clicks", "value": 0.5, "count": 1})
    assert {row["metrics"]["clicks"] for row in api.rows(ADS)} == {0.5}
    api.state.faults.set("slow", {"seconds": 0.2, "count": 1})
    began = time.perf_counter()
    assert api.rows(ADS) == plain
    assert time.perf_counter() - began >= 0.2


# --- the query language


def test_a_query_is_read_whole() -> None:
    query = gaql.parse(
        "select campaign.id, metrics.clicks FROM campaign WHERE campaign.name = 'it\\'s' "
        "AND campaign.id IN (1, 2) AND segments.date BETWEEN '2026-01-01' AND '2026-01-31' "
        "AND segments.date < '2026-01-15' "
        "ORDER BY metrics.clicks DESC, campaign.id LIMIT 5 PARAMETERS omit_unselected_resource_names = true"
    )
    assert asdict(query)["where"][:2] == (
        {"field": "campaign.name", "operator": "=", "values": ("it's",)},
        {"field": "campaign.id", "operator": "IN", "values": ("1", "2")},
    )
    assert query.fields == ("campaign.id", "metrics.clicks")
    assert query.order == (("metrics.clicks", True), ("campaign.id", False))
    assert (query.limit, query.parameters) == (5, {"omit_unselected_resource_names": True})
    assert query.dates(NOW.date()) == (date(2026, 1, 1), date(2026, 1, 14))


@pytest.mark.parametrize(
    ("literal", "first", "last"),
    [
        ("TODAY", "2026-03-04", "2026-03-04"),
        ("LAST_7_DAYS", "2026-02-25", "2026-03-03"),
        ("THIS_MONTH", "2026-03-01", "2026-03-31"),
        ("LAST_MONTH", "2026-02-01", "2026-02-28"),
        ("LAST_WEEK_MON_SUN", "2026-02-23", "2026-03-01"),
        ("LAST_WEEK_SUN_SAT", "2026-02-22", "2026-02-28"),
        ("LAST_BUSINESS_WEEK", "2026-02-23", "2026-02-27"),
        ("THIS_WEEK_SUN_TODAY", "2026-03-01", "2026-03-04"),
    ],
)
def test_during(literal: str, first: str, last: str) -> None:
    assert gaql.during(literal, date(2026, 3, 4)) == (date.fromisoformat(first), date.fromisoformat(last))


@pytest.mark.full
def test_it_is_fast_at_scale() -> None:
    state = State(Business(7, date(2026, 1, 1), 60, 100), NOW, Faults(7))
    query = ADS.replace("metrics.clicks", f"segments.device, segments.ad_network_type, {DELIVERY}")
    with serve(google.routes(state)) as client:
        api = Api(client, state)
        api.rows("SELECT ad_group_ad.ad.id FROM ad_group_ad LIMIT 1")
        began = time.process_time()
        body = api.call(query).content
        seconds = time.process_time() - began
    rows = body.count(b'"metrics":{')
    assert rows > 30_000
    assert rows / seconds > 50_000


# --- click_view ---------------------------------------------------------------------------------------------

CLICKS = (
    "SELECT segments.date, segments.device, segments.ad_network_type, campaign.id, ad_group.id,"
    " click_view.gclid, click_view.ad_group_ad, click_view.keyword FROM click_view"
)


def test_click_view_tells_of_each_click_of_one_day_what_it_was(api: Api) -> None:
    people = api.state.people
    assert people is not None
    without_ads = keywords = 0
    for customer in api.customers:
        for day in days():
            rows = api.rows(f"{CLICKS} WHERE segments.date = '{day}'", customer.id)
            views = people.click_views(customer, day, NOW)
            assert [row["clickView"]["gclid"] for row in rows] == [view.gclid for view in views]
            for row, view in zip(rows, views, strict=True):
                above, click = f"customers/{customer.id}", row["clickView"]
                assert click["resourceName"] == f"{above}/clickViews/{day}~{view.gclid}"
                assert row["campaign"]["id"] == view.campaign_id
                assert row["segments"] == {
                    "date": str(day), "device": view.device, "adNetworkType": view.network,
                }  # fmt: skip
                if view.ad_id:
                    assert click["adGroupAd"] == f"{above}/adGroupAds/{view.ad_group_id}~{view.ad_id}"
                    assert row["adGroup"]["resourceName"] == f"{above}/adGroups/{view.ad_group_id}"
                    assert row["adGroup"]["id"] == view.ad_group_id
                else:
                    assert "adGroup" not in row
                    assert "adGroupAd" not in click
                    without_ads += 1
                keyword = f"{above}/adGroupCriteria/{view.ad_group_id}~{view.criterion_id}"
                assert click.get("keyword") == (keyword if view.criterion_id else None)
                keywords += "keyword" in click
    assert without_ads
    assert keywords


def test_click_view_is_filtered_and_counted_like_any_resource(api: Api) -> None:
    where = f"FROM click_view WHERE segments.date = '{SINCE}'"
    one, *_ = api.rows(f"SELECT click_view.gclid {where}")
    gclid = one["clickView"]["gclid"]
    found = api.rows(f"SELECT click_view.gclid, metrics.clicks {where} AND click_view.gclid = '{gclid}'")
    assert [row["metrics"] for row in found] == [{"clicks": "1"}]
    assert found[0]["clickView"] == one["clickView"]


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("", "EXPECTED_FILTER_ON_A_SINGLE_DAY"),
        (f" WHERE {DAYS}", "EXPECTED_FILTER_ON_A_SINGLE_DAY"),
        (f" WHERE segments.date >= '{SINCE}'", "EXPECTED_FILTER_ON_A_SINGLE_DAY"),
        (" WHERE segments.date = '2025-11-30'", "DATE_TOO_OLD"),
    ],
)
def test_click_view_wants_one_day_of_the_last_ninety(api: Api, where: str, code: str) -> None:
    assert api.refusal(CLICKS + where) == (400, {"clickViewError": code})


def test_click_view_has_days_without_clicks_and_no_cost(api: Api) -> None:
    assert api.rows(f"{CLICKS} WHERE segments.date BETWEEN '2025-12-01' AND '2025-12-01'") == []
    assert api.rows(f"{CLICKS} WHERE segments.date = '2026-03-02'") == []
    query = f"SELECT click_view.gclid, metrics.cost_micros FROM click_view WHERE segments.date = '{SINCE}'"
    assert api.refusal(query) == (400, {"queryError": "PROHIBITED_METRIC_IN_SELECT_OR_WHERE_CLAUSE"})
