"""Google Ads: every trap of Google's API that concerns reading it, on the wire and against the simulator."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow

from loaders import google_ads
from loaders._core import errors
from loaders._core.declare import Account, Clock, Window
from loaders._core.http import Reply
from loaders._core.pages import Api
from loaders._core.run import SourceRun
from loaders._core.stream import Mark, Version, whole
from loaders._core.warehouse import Target
from loaders.google_ads import LOADER, classify
from simulators.server import Simulator
from tests.loaders.wire import Answer, Ask, Time, vendor

MANAGER = "8033211460"
ACCOUNT = Account("123", timezone="Europe/Berlin")
NOON = Clock(datetime(2026, 2, 28, 12, tzinfo=UTC))
WINDOW = Window(date(2026, 2, 1), date(2026, 2, 28))
RESOURCES = {resource.name: resource for resource in LOADER.resources}
REPORTS = [name for name, resource in RESOURCES.items() if resource.totals]
ENTITIES = ["campaign", "ad_group", "ad_group_ad", "ad_group_criterion", "conversion_action"]
DELIVERY = {"metrics.impressions", "metrics.clicks", "metrics.cost_micros"}


@contextmanager
def opened(url: str, clock: Clock = NOON, **settings: Any) -> Iterator[tuple[Api, Time]]:
    chosen = LOADER.settings()
    plain = {
        "base_url": url,
        "token_url": f"{url}/token",
        "client_id": "client",
        "client_secret": "shh-client",
        "refresh_token": "shh-refresh",
        "login_customer_id": "803-321-1460",
    }
    for name, value in (plain | settings).items():
        setattr(chosen, name, value)
    time = Time()
    with LOADER.connect(chosen, clock) as api:
        api.http.clock, api.http.sleep = time.clock, time.sleep
        yield api, time


def read(api: Api, name: str, account: Account = ACCOUNT, window: Window = WINDOW) -> list[dict[str, Any]]:
    resource = RESOURCES[name]
    documents = resource.read(api, account, window if resource.day else None)
    return [row for document in whole(documents) for row in json.loads(document).get("results", [])]


class Google:
    """Google in its plainest form: ``answers`` are given one after another, then empty batches."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.tokens = 0

    def __call__(self, ask: Ask) -> Any:
        if ask.path == "/token":
            self.tokens += 1
            return {"access_token": f"ya29.token-{self.tokens}", "expires_in": 3599, "token_type": "Bearer"}
        if not self.answers:
            return [{"fieldMask": "campaign.id", "requestId": "r", "queryResourceConsumption": "1"}]
        return self.answers.pop(0)


def queries(asked: list[Ask]) -> list[str]:
    return [ask.json["query"] for ask in asked if ask.path != "/token"]


def query(name: str) -> str:
    with vendor(Google()) as server, opened(server.url) as (api, _):
        read(api, name, window=Window(WINDOW.since, WINDOW.since) if name == "click_view" else WINDOW)
    (found,) = queries(server.asked)
    return found


def selected(gaql: str) -> list[str]:
    match = re.fullmatch(r"SELECT (.+) FROM (\w+)( WHERE .+)?", gaql)
    assert match, gaql
    return match[1].split(", ")


def failure(
    status: int, name: str, family: str, value: str, message: str = "no", **more: Any
) -> dict[str, Any]:
    kind = "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure"
    one = {"errorCode": {family: value}, "message": message, **more}
    details = [{"@type": kind, "errors": [one], "requestId": "xN_K"}]
    return {"error": {"code": status, "message": "it failed", "status": name, "details": details}}


# --- what is asked for --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*ENTITIES, *REPORTS, "click_view"])
def test_every_field_of_every_query_exists_in_v26(name):
    for field in selected(query(name)):
        kind = GoogleAdsRow.meta.pb.DESCRIPTOR
        for part in field.split("."):
            assert kind is not None, field
            found = kind.fields_by_name.get(part) or kind.fields_by_name.get(f"{part}_")
            assert found is not None, f"{field} of {name}"
            kind = found.message_type


@pytest.mark.parametrize("name", [*ENTITIES, *REPORTS])
def test_no_query_leaves_out_what_was_removed(name):
    gaql = query(name)
    _, _, condition = gaql.partition(" WHERE ")
    assert "status" not in condition
    if name in REPORTS:
        assert condition == "segments.date BETWEEN '2026-02-01' AND '2026-02-28'"


def test_removed_fields_of_older_versions_are_not_asked_for():
    fields = selected(query("campaign"))
    assert {"campaign.start_date_time", "campaign.end_date_time"} < set(fields)
    assert not {"campaign.start_date", "campaign.end_date"} & set(fields)
    assert {"campaign_budget.id", "campaign_budget.amount_micros"} < set(fields)


def test_conversion_segments_are_never_mixed_with_delivery():
    fields = set(selected(query("campaign_conversion_day")))
    assert {"segments.conversion_action", "segments.conversion_action_name"} < fields
    assert not DELIVERY & fields
    for name in set(REPORTS) - {"campaign_conversion_day"}:
        fields = set(selected(query(name)))
        assert fields > DELIVERY
        assert not any(field.startswith("segments.conversion") for field in fields)


def test_keys_are_wide_enough_for_ids_that_are_unique_only_within_an_ad_group():
    ids = {"customer.id", "campaign.id", "ad_group.id"}
    assert set(selected(query("ad_group_ad_day"))) > ids | {
        "ad_group_ad.ad.id",
        "segments.device",
        "segments.ad_network_type",
    }
    assert set(selected(query("keyword_view_day"))) > ids | {"ad_group_criterion.criterion_id"}
    assert set(selected(query("search_term_view_day"))) > ids | {
        "search_term_view.search_term",
        "segments.search_term_match_type",
        "segments.keyword.info.text",
    }


def test_only_keywords_of_all_criteria():
    assert query("ad_group_criterion").endswith(
        "FROM ad_group_criterion WHERE ad_group_criterion.type = 'KEYWORD'"
    )


def test_campaign_days_are_read_beside_ad_days_and_checked_by_customer_days():
    assert query("campaign_day").partition(" FROM ")[2].startswith("campaign WHERE")
    assert RESOURCES["customer_day"].control == "campaign_day"


def test_a_long_window_is_cut_into_months_without_gap_or_overlap():
    with vendor(Google()) as server, opened(server.url) as (api, _):
        read(api, "campaign_day", window=Window(date(2023, 11, 1), date(2026, 11, 20)))
    days = []
    for gaql in queries(server.asked):
        since, until = map(date.fromisoformat, re.findall(r"'([\d-]+)'", gaql))
        assert (until - since).days < 31
        days += [since + timedelta(n) for n in range((until - since).days + 1)]
    assert days == [date(2023, 11, 1) + timedelta(n) for n in range(len(days))]
    assert days[-1] == date(2026, 11, 20)


def test_tables_days_totals_and_opened_objects_are_declared():
    assert list(RESOURCES) == ["customer_client", *ENTITIES, *REPORTS, "click_view"]
    for name in REPORTS:
        resource = RESOURCES[name]
        assert resource.day == ("segments", "date")
        assert set(resource.totals) < set(resource.columns)
    assert RESOURCES["campaign_day"].totals == (
        "metrics__impressions",
        "metrics__clicks",
        "metrics__cost_micros",
    )
    assert {"campaign__id", "segments__date", "metrics__cost_micros"} < set(RESOURCES["campaign_day"].columns)
    assert "ad_group_ad__ad" in RESOURCES["ad_group_ad"].columns
    assert "campaign_budget__amount_micros" in RESOURCES["campaign"].columns
    assert "ad_group_criterion__keyword" in RESOURCES["ad_group_criterion"].columns
    assert {"metrics", "segments", "campaign", "customerClient", "campaignBudget"} < set(
        RESOURCES["campaign"].opens
    )


def test_settings_name_the_window_the_floor_and_the_version():
    settings = LOADER.settings()
    assert (settings.window_days, settings.history_months, settings.api_version) == (90, 37, "v26")
    assert settings.api_version_sunset is not None


# --- clicks: one day a query, and not again once it was read late enough ------------------------------------


def clicks_read(server: Any, window: Window, versions: dict[date | None, str] | None = None) -> list[Any]:
    account = replace(ACCOUNT, versions=versions or {})
    with opened(server.url) as (api, _):
        return list(RESOURCES["click_view"].read(api, account, window))


def days_asked(server: Any) -> list[str]:
    return [
        re.fullmatch(r".+ FROM click_view WHERE segments.date = '(\S+)'", each)[1]
        for each in queries(server.asked)
    ]


def test_clicks_are_asked_for_day_by_day():
    with vendor(Google()) as server:
        read_ = clicks_read(server, Window(date(2026, 2, 22), date(2026, 2, 28)))
        assert days_asked(server) == [f"2026-02-{day}" for day in range(22, 29)]
    told = [each for each in read_ if isinstance(each, Version)]
    assert [each.days for each in told] == [(date(2026, 2, day),) for day in range(22, 29)]
    assert not any(each.unchanged for each in told)
    assert [each.text.split()[0] for each in told] == ["all"] * 3 + ["some"] * 4


def test_clicks_of_a_day_read_late_enough_are_not_asked_for_again():
    window = Window(date(2026, 2, 22), date(2026, 2, 28))
    with vendor(Google()) as server:
        told = [each for each in clicks_read(server, window) if isinstance(each, Version)]
    versions = {each.days[0]: each.text for each in told}
    with vendor(Google()) as server:
        again = clicks_read(server, window, versions)
        assert days_asked(server) == [f"2026-02-{day}" for day in range(25, 29)]
    kept = [each for each in again if isinstance(each, Version) and each.unchanged]
    assert [each.days for each in kept] == [(date(2026, 2, day),) for day in range(22, 25)]
    with vendor(Google()) as server:  # what an older query has read
        clicks_read(server, window, dict.fromkeys(versions, "all 00000000"))
        assert len(days_asked(server)) == 7


def test_clicks_that_google_tells_no_more_stay_as_they_have_landed():
    window = Window(date(2025, 11, 29), date(2025, 12, 1))  # 91, 90 and 89 days before
    with vendor(Google()) as server:
        found = clicks_read(server, window, {date(2025, 11, 30): "some 00000000"})
        assert days_asked(server) == ["2025-12-01"]
    assert [each for each in found if isinstance(each, Version) and each.unchanged] == [
        Version("some 00000000", (date(2025, 11, 30),), unchanged=True)
    ]


# --- the wire -----------------------------------------------------------------------------------------------


def test_address_and_headers():
    with vendor(Google()) as server, opened(server.url, developer_token="dev-token") as (api, _):
        read(api, "campaign")
    token, ask = server.asked
    assert token.form["grant_type"] == "refresh_token"
    assert (ask.method, ask.path) == ("POST", "/v26/customers/123/googleAds:searchStream")
    assert ask.headers["authorization"] == "Bearer ya29.token-1"
    assert ask.headers["login-customer-id"] == MANAGER
    assert ask.headers["developer-token"] == "dev-token"
    assert ask.query == {}


@pytest.mark.parametrize("token", [None, ""])
def test_a_developer_token_that_is_not_set_is_no_header_at_all(token):
    with vendor(Google()) as server, opened(server.url, developer_token=token) as (api, _):
        read(api, "campaign")
    assert "developer-token" not in server.asked[-1].headers


def test_batches_are_the_vendors_bytes_pretty_printed_as_google_sends_them():
    batches = [
        b'{\n  "results": [\n    {\n      "metrics": {"clicks": "9007199254740993"}\n    }\n  ]\n}',
        b'{\n  "results": [\n    {"campaign": {"name": "a},{b"}}\n  ],\n  "requestId": "V_Y"\n}',
    ]
    body = b"[" + b"\n,\n".join(batches) + b"]"
    with vendor(Google(Answer(body))) as server, opened(server.url) as (api, _):
        assert whole(RESOURCES["campaign"].read(api, ACCOUNT, None)) == batches


@pytest.mark.parametrize("body", [[], [{"fieldMask": "campaign.id", "requestId": "r"}]])
def test_no_rows_come_as_a_batch_without_results_or_as_an_empty_array(body):
    with vendor(Google(Answer(body))) as server, opened(server.url) as (api, _):
        assert read(api, "campaign_day") == []


def test_a_mid_stream_error_after_good_batches_reruns_the_query_and_hands_over_nothing_twice():
    good = [{"results": [{"campaign": {"id": str(n)}}]} for n in range(4)]
    broken = failure(500, "INTERNAL", "internalError", "INTERNAL_ERROR")
    with vendor(Google([*good[:2], broken], good)) as server, opened(server.url) as (api, time):
        assert [row["campaign"]["id"] for row in read(api, "campaign")] == ["0", "1", "2", "3"]
    assert len(queries(server.asked)) == 2
    assert len(time.slept) == 1


def test_a_mid_stream_error_that_stays_hands_over_nothing():
    broken = failure(400, "INVALID_ARGUMENT", "queryError", "UNRECOGNIZED_FIELD")
    given: list[bytes | Mark] = []
    with (
        vendor(Google([{"results": [{}]}, broken])) as server,
        opened(server.url) as (api, _),
        pytest.raises(errors.VendorError, match="UNRECOGNIZED_FIELD"),
    ):
        given.extend(RESOURCES["campaign"].read(api, ACCOUNT, None))
    assert given == []


def test_a_window_too_wide_is_split():
    wide = Answer([failure(400, "INVALID_ARGUMENT", "queryError", "DATE_RANGE_TOO_WIDE")], 400)
    with vendor(Google(wide)) as server, opened(server.url) as (api, time):
        read(api, "campaign_day")
    spans = [re.findall(r"'([\d-]+)'", gaql) for gaql in queries(server.asked)]
    assert spans == [
        ["2026-02-01", "2026-02-28"],
        ["2026-02-01", "2026-02-14"],
        ["2026-02-15", "2026-02-28"],
    ]
    assert time.slept == []


# --- credentials --------------------------------------------------------------------------------------------


UNAUTHENTICATED = Answer([failure(401, "UNAUTHENTICATED", "authenticationError", "OAUTH_TOKEN_EXPIRED")], 401)


def test_a_token_that_dies_in_mid_run_is_renewed_once():
    google = Google(UNAUTHENTICATED, [{"results": [{"campaign": {"id": "1"}}]}])
    with vendor(google) as server, opened(server.url) as (api, _):
        assert len(read(api, "campaign")) == 1
        read(api, "ad_group")
    assert google.tokens == 2
    assert server.asked[-1].headers["authorization"] == "Bearer ya29.token-2"


def test_a_401_that_stays_is_a_configuration_error():
    google = Google(UNAUTHENTICATED, UNAUTHENTICATED)
    with (
        vendor(google) as server,
        opened(server.url) as (api, _),
        pytest.raises(errors.ConfigurationError, match=r"sources\.google_ads"),
    ):
        read(api, "campaign")
    assert google.tokens == 2


def test_invalid_grant_is_a_configuration_error_and_no_secret_is_told():
    told = Answer({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 400)
    with (
        vendor(lambda ask: told) as server,
        opened(server.url) as (api, _),
        pytest.raises(errors.ConfigurationError, match="invalid_grant") as caught,
    ):
        LOADER.accounts(api)
    assert len(server.asked) == 1
    assert "shh" not in str(caught.value)


def test_neither_manager_nor_customers_is_a_configuration_error_that_names_the_settings():
    with (
        pytest.raises(errors.ConfigurationError, match=r"login_customer_id.*customer_ids"),
        opened("http://127.0.0.1:9", login_customer_id=""),
    ):
        pass


# --- accounts -----------------------------------------------------------------------------------------------


def client(number: str, **more: Any) -> dict[str, Any]:
    plain = {
        "id": number,
        "descriptiveName": "A",
        "currencyCode": "EUR",
        "timeZone": "Europe/Berlin",
        "level": "1",
    }
    return {"customerClient": plain | {"status": "ENABLED", "manager": False, "hidden": False} | more}


CLIENTS = [
    {
        "results": [
            client(MANAGER, manager=True, level="0"),
            client("1"),
            client("2", timeZone="Asia/Kolkata", currencyCode="INR", hidden=True),
            client("3", manager=True),
        ]
    },
    {
        "results": [
            client("1", level="2"),  # linked below a second manager, too
            client("4", status="CANCELED"),
            client("5", status="CLOSED"),
            client("6", status="SUSPENDED"),
        ]
    },
]


def test_customers_below_the_manager_without_managers_cancelled_closed_and_doubles_but_with_hidden_ones():
    with vendor(Google(CLIENTS)) as server, opened(server.url) as (api, _):
        found = LOADER.accounts(api)
        assert [(a.id, a.timezone) for a in found] == [
            ("1", "Europe/Berlin"),
            ("2", "Asia/Kolkata"),
            ("6", "Europe/Berlin"),
        ]
        assert LOADER.root(api).id == MANAGER
        assert len(read(api, "customer_client", LOADER.root(api))) == 8
    assert len(queries(server.asked)) == 1
    assert server.asked[-1].path == f"/v26/customers/{MANAGER}/googleAds:searchStream"
    for field in selected(queries(server.asked)[0]):
        assert field.removeprefix("customer_client.") in GoogleAdsRow().customer_client.__class__.meta.fields


def test_customers_asked_for_by_id_are_read_whatever_their_state_and_an_unknown_one_is_told():
    with (
        vendor(Google(CLIENTS)) as server,
        opened(server.url, customer_ids=["4", "9"]) as (api, _),
    ):
        found = {account.id: account for account in LOADER.accounts(api)}
    assert set(found) == {"4", "9"}
    assert found["4"].error is None
    assert isinstance(found["9"].error, errors.AccountError)


def test_without_a_manager_each_customer_is_its_own_root():
    answers = ([{"results": [client("1111111111", level="0")]}], [{"results": [client("2", level="0")]}])
    settings = {"login_customer_id": "", "customer_ids": ["111-111-1111", "2"]}
    with vendor(Google(*answers)) as server, opened(server.url, **settings) as (api, _):
        assert [account.id for account in LOADER.accounts(api)] == ["1111111111", "2"]
    assert "login-customer-id" not in server.asked[-1].headers
    assert [ask.path.split("/")[3] for ask in server.asked[1:]] == ["1111111111", "2"]


UNKNOWN = failure(400, "INVALID_ARGUMENT", "queryError", "UNRECOGNIZED_FIELD")
NOT_ENABLED = failure(403, "PERMISSION_DENIED", "authorizationError", "CUSTOMER_NOT_ENABLED")
DEAD_TOKEN = failure(401, "UNAUTHENTICATED", "authenticationError", "OAUTH_TOKEN_INVALID")


@pytest.mark.parametrize(
    ("refusal", "kind"), [(NOT_ENABLED, errors.AccountError), (UNKNOWN, errors.VendorError)]
)
def test_without_a_manager_a_refused_customer_comes_with_its_error_and_the_others_are_listed(refusal, kind):
    answers = (Answer(refusal, refusal["error"]["code"]), [{"results": [client("2", level="0")]}])
    settings = {"login_customer_id": "", "customer_ids": ["1", "2"]}
    with vendor(Google(*answers)) as server, opened(server.url, **settings) as (api, _):
        found = {account.id: account for account in LOADER.accounts(api)}
        assert type(found["1"].error) is kind
        assert found["2"].error is None
        assert len(read(api, "customer_client", LOADER.root(api))) == 1


def test_a_refused_manager_or_a_dead_token_stops_the_source():
    settings = {"login_customer_id": "", "customer_ids": ["1", "2"]}
    for refusal, chosen in ((NOT_ENABLED, {"customer_ids": ["1"]}), (DEAD_TOKEN, settings)):
        google = Google(*[Answer(refusal, refusal["error"]["code"])] * 2)
        with vendor(google) as server, opened(server.url, **chosen) as (api, _):
            kind = errors.ConfigurationError if refusal is DEAD_TOKEN else errors.AccountError
            with pytest.raises(kind):
                LOADER.accounts(api)


def test_a_grant_that_the_token_endpoint_refuses_stops_the_source():
    def answer(ask: Ask) -> Any:
        return Answer({"error": "invalid_grant"}, 400)

    settings = {"login_customer_id": "", "customer_ids": ["1", "2"]}
    with (
        vendor(answer) as server,
        opened(server.url, **settings) as (api, _),
        pytest.raises(errors.ConfigurationError, match="invalid_grant"),
    ):
        LOADER.accounts(api)


def test_a_customer_without_a_time_zone_is_not_taken_for_one_in_utc():
    nowhere = client("2")
    del nowhere["customerClient"]["timeZone"]
    with vendor(Google([{"results": [client("1"), nowhere]}])) as server, opened(server.url) as (api, _):
        assert [account.timezone for account in LOADER.accounts(api)] == ["Europe/Berlin", None]


# --- errors -------------------------------------------------------------------------------------------------


TABLE = [
    (401, "UNAUTHENTICATED", "authenticationError", "OAUTH_TOKEN_INVALID", errors.ConfigurationError),
    (401, "UNAUTHENTICATED", "authenticationError", "NOT_ADS_USER", errors.ConfigurationError),
    (
        401,
        "UNAUTHENTICATED",
        "authenticationError",
        "TWO_STEP_VERIFICATION_NOT_ENROLLED",
        errors.ConfigurationError,
    ),
    (401, "UNAUTHENTICATED", "authenticationError", "CUSTOMER_NOT_FOUND", errors.AccountError),
    (403, "PERMISSION_DENIED", "authorizationError", "CUSTOMER_NOT_ENABLED", errors.AccountError),
    (403, "PERMISSION_DENIED", "authorizationError", "USER_PERMISSION_DENIED", errors.AccountError),
    (
        403,
        "PERMISSION_DENIED",
        "authorizationError",
        "DEVELOPER_TOKEN_NOT_APPROVED",
        errors.ConfigurationError,
    ),
    (
        403,
        "PERMISSION_DENIED",
        "authorizationError",
        "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION",
        errors.ConfigurationError,
    ),
    (400, "INVALID_ARGUMENT", "requestError", "UNSUPPORTED_VERSION", errors.ConfigurationError),
    (400, "INVALID_ARGUMENT", "requestError", "CLOUD_PROJECT_NOT_FOUND", errors.ConfigurationError),
    (400, "INVALID_ARGUMENT", "requestError", "INVALID_CUSTOMER_ID", errors.AccountError),
    (400, "INVALID_ARGUMENT", "queryError", "UNRECOGNIZED_FIELD", errors.VendorError),
    (400, "INVALID_ARGUMENT", "queryError", "REQUESTED_METRICS_FOR_MANAGER", errors.VendorError),
    (400, "INVALID_ARGUMENT", "dateRangeError", "INVALID_DATE", errors.VendorError),
    (400, "INVALID_ARGUMENT", "queryError", "DATE_RANGE_TOO_WIDE", errors.TooLarge),
    (429, "RESOURCE_EXHAUSTED", "quotaError", "RESOURCE_EXHAUSTED", errors.Throttled),
    (429, "RESOURCE_EXHAUSTED", "quotaError", "RESOURCE_TEMPORARILY_EXHAUSTED", errors.Throttled),
    (
        429,
        "RESOURCE_EXHAUSTED",
        "quotaError",
        "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION",
        errors.Throttled,
    ),
    (500, "INTERNAL", "internalError", "INTERNAL_ERROR", errors.Transient),
    (500, "INTERNAL", "internalError", "TRANSIENT_ERROR", errors.Transient),
    (503, "UNAVAILABLE", "internalError", "TRANSIENT_ERROR", errors.Transient),
    (504, "DEADLINE_EXCEEDED", "internalError", "DEADLINE_EXCEEDED", errors.Transient),
]


@pytest.mark.parametrize("where", ["alone", "in an array", "in mid-stream"])
@pytest.mark.parametrize(("status", "name", "family", "value", "kind"), TABLE)
def test_every_error_of_the_sheet_is_what_it_means_wherever_it_stands(
    status, name, family, value, kind, where
):
    found: Any = failure(status, name, family, value)
    body = [found] if where == "in an array" else found
    answered = 200 if where == "in mid-stream" else status
    error = classify(Reply(answered, httpx.Headers(), json.dumps(body).encode()))
    assert type(error) is kind
    assert value in str(error)


@pytest.mark.parametrize(
    ("status", "name", "kind"),
    [
        (503, "UNAVAILABLE", errors.Transient),
        (502, "A_STATUS_OF_TOMORROW", errors.Transient),
        (429, "RESOURCE_EXHAUSTED", errors.Throttled),
        (404, "NOT_FOUND", errors.VendorError),
    ],
)
def test_an_error_without_details_is_judged_by_its_status(status, name, kind):
    body = json.dumps({"error": {"code": status, "message": "no", "status": name}}).encode()
    assert type(classify(Reply(200, httpx.Headers(), body))) is kind


def test_of_several_errors_all_are_told():
    body = failure(400, "INVALID_ARGUMENT", "queryError", "BAD_FIELD_NAME", "first")
    body["error"]["details"][0]["errors"].append(
        {"errorCode": {"queryError": "EXPECTED_FROM"}, "message": "second"}
    )
    told = str(classify(Reply(400, httpx.Headers(), json.dumps(body).encode())))
    assert all(word in told for word in ("BAD_FIELD_NAME", "first", "EXPECTED_FROM", "second"))


def quota(delay: str | None) -> Answer:
    told = {"rateScope": "DEVELOPER", "rateName": "Number of operations for basic access"}
    details = {"quotaErrorDetails": told | ({"retryDelay": delay} if delay else {})}
    found = failure(
        429, "RESOURCE_EXHAUSTED", "quotaError", "RESOURCE_EXHAUSTED", "Too many requests.", details=details
    )
    return Answer([found], 429)


def test_the_delay_in_the_body_is_waited_for():
    with vendor(Google(quota("37s"), quota("1.5s"))) as server, opened(server.url) as (api, time):
        read(api, "campaign")
    assert 37 <= time.slept[0] <= 38
    assert 1.5 <= time.slept[1] <= 3.5


def test_a_delay_of_hours_stops_at_once_and_says_so():
    with (
        vendor(Google(quota("40591s"))) as server,
        opened(server.url) as (api, time),
        pytest.raises(errors.GaveUp, match="asks to wait 40591 s"),
    ):
        read(api, "campaign")
    assert time.slept == []
    assert len(queries(server.asked)) == 1


def test_a_quota_without_a_delay_backs_off():
    with vendor(Google(quota(None), quota(None))) as server, opened(server.url) as (api, time):
        read(api, "campaign")
    assert len(time.slept) == 2


@pytest.mark.parametrize("body", ["<html>502 Bad Gateway</html>", "", '[{"results": [{"a'])
def test_a_gateways_html_and_half_a_stream_are_retried(body):
    first = [Answer(body, 502 if "502" in body else 200)]
    with vendor(Google(*first)) as server, opened(server.url) as (api, _):
        assert read(api, "campaign") == []
    assert len(queries(server.asked)) == 2


# --- against the simulator ----------------------------------------------------------------------------------


NOW = datetime(2026, 3, 1, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with Simulator(seed=7, days=40, now=NOW) as running:
        yield running


@pytest.fixture
def sim(simulator: Simulator) -> Iterator[Simulator]:
    yield simulator
    simulator.clear_faults()


@contextmanager
def simulated(sim: Simulator, **more: Any) -> Iterator[tuple[Api, Time]]:
    prefix = "SOURCES__GOOGLE_ADS__"
    env = sim.settings_env().items()
    told = {name.removeprefix(prefix).lower(): value for name, value in env if name.startswith(prefix)}
    with opened(told.pop("base_url"), **told, **more) as found:
        yield found


@pytest.fixture(scope="module")
def plain(simulator: Simulator) -> dict[str, list[dict[str, Any]]]:
    """Everything of the first customer, read without a fault."""
    with simulated(simulator) as (api, _):
        account, root = LOADER.accounts(api)[0], LOADER.root(api)
        return {
            name: read(api, name, account if each.per_account else root) for name, each in RESOURCES.items()
        }


def cost(rows: list[dict[str, Any]]) -> dict[str, Decimal]:
    days: dict[str, Decimal] = {}
    for row in rows:
        day = row["segments"]["date"]
        days[day] = days.get(day, Decimal(0)) + Decimal(row["metrics"]["costMicros"])
    return days


def test_the_whole_customer_is_read_and_its_levels_agree(plain):
    assert all(plain.values())
    assert cost(plain["campaign_day"]) == cost(plain["customer_day"])
    ads, campaigns = cost(plain["ad_group_ad_day"]), cost(plain["campaign_day"])
    assert all(ads[day] <= campaigns[day] for day in ads)
    assert sum(ads.values()) < sum(campaigns.values())  # Performance Max and Smart have no ad rows
    assert "REMOVED" in {row["adGroupAd"]["status"] for row in plain["ad_group_ad"]}
    channels = {row["campaign"]["id"]: row["campaign"]["advertisingChannelType"] for row in plain["campaign"]}
    assert "PERFORMANCE_MAX" in channels.values()
    assert {row["campaign"]["id"] for row in plain["campaign_day"]} <= set(channels)
    bare = {row["campaign"]["id"] for row in plain["campaign_day"]} - {
        row["campaign"]["id"] for row in plain["ad_group_ad_day"]
    }
    assert "PERFORMANCE_MAX" in {channels[each] for each in bare}


PASSING_FAULTS = {
    "throttle": {"count": 3, "wait_seconds": 120},
    "server_error": {"count": 3, "status": 503},
    "truncated_body": {"count": 2},
    "html_body": {"count": 2},
    "expired_token": {"count": 1},
    "mid_stream_error": {"count": 1},
    "too_large": {"count": 2},
}


@pytest.mark.parametrize("name", PASSING_FAULTS)
def test_a_fault_that_passes_changes_nothing_in_what_is_read(sim, plain, name):
    with simulated(sim) as (api, _):
        account = LOADER.accounts(api)[0]
        sim.fault(name, **PASSING_FAULTS[name])
        for table in (
            ("campaign_day", "ad_group_ad_day") if name == "too_large" else ("ad_group_ad", "ad_group_ad_day")
        ):
            assert read(api, table, account) == plain[table], table
    (rule,) = sim.state.faults._rules[name]
    assert rule.struck


def test_a_forbidden_customer_is_an_account_error_and_the_others_are_read(sim):
    with simulated(sim) as (api, _):
        first, second, *_rest = LOADER.accounts(api)
        sim.fault("forbidden_account", account=first.id)
        with pytest.raises(errors.AccountError):
            read(api, "campaign", first)
        assert read(api, "campaign", second)


def test_a_quota_of_hours_stops_with_a_clear_message(sim):
    with simulated(sim) as (api, time):
        account = LOADER.accounts(api)[0]
        sim.fault("throttle", wait_seconds=40591)
        with pytest.raises(errors.GaveUp, match="asks to wait 40591 s"):
            read(api, "campaign", account)
    assert time.slept == []


def test_daily_runs_land_every_click_and_ask_for_the_last_days_only(target: Target):
    """Late clicks of the last days come with the next run; days before these are not asked for again."""
    only = replace(LOADER, resources=(RESOURCES["customer_client"], RESOURCES["click_view"]))
    with Simulator(seed=7, days=12, now=NOW) as sim:
        for run in range(2):
            sim.set_now(NOW + timedelta(days=run))
            settings = LOADER.settings()
            for name, value in sim.settings_env().items():
                if name.startswith("SOURCES__GOOGLE_ADS__"):
                    setattr(settings, name.removeprefix("SOURCES__GOOGLE_ADS__").lower(), value)
            settings.window_days = 20
            asked: list[str] = []
            with patch("loaders.google_ads.search", side_effect=noting(asked, google_ads.search)):
                assert SourceRun(only, settings, target, Clock(sim.now)).execute().outcome == "ok"
            days = {each.split("'")[1] for each in asked if each.startswith("click_view")}
            today = sim.now.date()
            assert len(days) >= 20 if run == 0 else min(days) >= str(today - timedelta(days=6)), run
        people = sim.state.people
        assert people is not None
        expected = {
            (account.id, day, view.gclid)
            for account in sim.business.accounts("google_ads")
            for day in (sim.business.first_day + timedelta(days=n) for n in range(12))
            for view in people.click_views(account, day, sim.now)
        }
    with target.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "select r._account, r._day, r.click_view__gclid from raw_google_ads.click_view r join"
            " (select distinct on (account, day) * from raw_google_ads.covered where resource = 'click_view'"
            " order by account, day, run_seq desc) c"
            " on (r._account, r._day, r._run_seq) = (c.account, c.day, c.data_run_seq)"
        )
        landed = cursor.fetchall()
    assert len(landed) == len(set(landed))
    assert {row for row in landed if row[1] < NOW.date()} == {row for row in expected if row[1] < NOW.date()}


def noting(asked: list[str], search: Any) -> Any:
    def noted(api: Api, customer: str, fields: str, source: str) -> Iterator[bytes]:
        asked.append(source)
        return search(api, customer, fields, source)

    return noted
