"""Google Ads: REST v26, ``searchStream`` (https://developers.google.com/google-ads/api/rest/overview).

A query is one operation of the daily quota whatever it returns, so reports are asked for by month. No query
filters on status: REMOVED objects keep their figures. Campaign days are read beside ad days because
Performance Max and Smart campaigns have no ad rows; conversions by action need a query of their own, as
their segments exclude clicks and cost. Managers, cancelled and closed customers are not read (they have
no figures, or Google refuses them) unless asked for by id; hidden ones are: hiding concerns Google's own
screens only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field, replace
from datetime import date, timedelta
from functools import partial
from typing import Any
from zlib import crc32

from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core import errors
from loaders._core.declare import Account, Clock, Loader, Resource, Settings, Window
from loaders._core.http import Reply, Rule, anywhere, decode, first_match
from loaders._core.oauth import RefreshToken
from loaders._core.pages import Api, days, in_parts, listed
from loaders._core.redact import secret
from loaders._core.stream import Documents, Mark, Version


def of(thing: str, names: str) -> str:
    """Fields of an object as GAQL selects them."""
    return ", ".join(f"{thing}.{name}" for name in names.split())


OBJECTS = ["customer", "customerClient", "campaign", "campaignBudget", "adGroup", "adGroupAd", "metrics"]
OBJECTS += ["adGroupCriterion", "conversionAction", "keywordView", "searchTermView", "clickView", "segments"]
CLIENT = "id client_customer level manager descriptive_name currency_code time_zone status hidden"
CLIENTS = of("customer_client", f"{CLIENT} test_account")
CUSTOMER = of("customer", "id currency_code")
CAMPAIGN = f"{CUSTOMER}, campaign.id"
STATE = of("campaign", "name status serving_status bidding_strategy_type start_date_time end_date_time")
CHANNEL = of("campaign", "advertising_channel_type advertising_channel_sub_type")
BUDGET = of("campaign_budget", "id amount_micros")
GROUP = f"{CAMPAIGN}, ad_group.id"
GROUPS = f"{GROUP}, {of('ad_group', 'name status type cpc_bid_micros')}"
AD = f"{GROUP}, ad_group_ad.ad.id"
ADS = f"{AD}, {of('ad_group_ad', 'ad.name ad.type ad.final_urls status')}"
KEYWORD = f"{GROUP}, {of('ad_group_criterion', 'criterion_id keyword.text keyword.match_type status')}"
KEYWORDS = f"{KEYWORD}, {of('ad_group_criterion', 'negative quality_info.quality_score')}"
ONLY_KEYWORDS = " WHERE ad_group_criterion.type = 'KEYWORD'"
MATCH = of("segments", "search_term_match_type keyword.info.text")
TERM = f"{GROUP}, {of('search_term_view', 'search_term status')}, {MATCH}"
WINDOWS = "click_through_lookback_window_days view_through_lookback_window_days"
ACTIONS = f"{CUSTOMER}, {of('conversion_action', f'id name category type status {WINDOWS}')}"
ACTION = of("segments", "conversion_action conversion_action_name conversion_action_category")
DELIVERY = of("metrics", "impressions clicks cost_micros")
CREDIT = of("metrics", "conversions conversions_value all_conversions")
BOTH, DAY = f"{DELIVERY}, {CREDIT}", "segments.date"
PLACE, VIEWS = of("segments", "device ad_network_type"), "metrics.view_through_conversions"
CLICK = f"{DAY}, {PLACE}, {GROUP}, {of('click_view', 'gclid ad_group_ad keyword')}"
CLICK_DAYS, LATE_DAYS = 90, 3  # how far back clicks are told; after how many days none comes late (assumed)
UNREADABLE = {"CUSTOMER_NOT_ENABLED", "CUSTOMER_NOT_FOUND", "USER_PERMISSION_DENIED", "INVALID_CUSTOMER_ID"}
REFUSED = {"authenticationError", "authorizationError", "UNAUTHENTICATED", "CLOUD_PROJECT_NOT_FOUND"}
RULES = (
    Rule(errors.TooLarge, {"DATE_RANGE_TOO_WIDE"}),
    Rule(errors.Throttled, {"quotaError", "RESOURCE_EXHAUSTED"}),
    Rule(errors.AccountError, UNREADABLE, advice="see its state and sources.google_ads.login_customer_id"),
    Rule(errors.ConfigurationError, {"UNSUPPORTED_VERSION"}, advice="set sources.google_ads.api_version"),
    Rule(errors.ConfigurationError, REFUSED, "developer-token", "see the credentials in sources.google_ads"),
    Rule(errors.Transient, {"internalError", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED"}),
)


@configspec
class GoogleAdsSettings(Settings):
    """``[sources.google_ads]``; no ``customer_ids`` means all customers below ``login_customer_id``."""

    client_id: str = None  # type: ignore[assignment]
    client_secret: TSecretStrValue = None  # type: ignore[assignment]
    refresh_token: TSecretStrValue = None  # type: ignore[assignment]
    developer_token: TSecretStrValue | None = None
    login_customer_id: str = ""
    customer_ids: list[str] = field(default_factory=list)
    base_url: str = "https://googleads.googleapis.com"
    token_url: str = "https://oauth2.googleapis.com/token"  # noqa: S105
    window_days: int = 90  # the longest look-back of a conversion action
    api_version: str = "v26"
    api_version_sunset: date | None = date(2027, 10, 13)  # assumed: Google ends a version after about a year


def classify(reply: Reply) -> errors.AdstarError | None:
    """Google's error, alone or in an array, also behind good batches of a stream that began with 200."""
    if not isinstance(error := reply.error, dict):
        return None
    pairs = [pair for code in anywhere(error, "errorCode") for pair in code.items()]
    waits = [float(delay.rstrip("s")) for delay in anywhere(error, "retryDelay")]
    names = ", ".join(f"{family}: {value}" for family, value in pairs) or error.get("status")
    told = f"Google Ads error {names}: {' '.join(anywhere(error, 'message'))}"
    codes = {error.get("status"), *(code for pair in pairs for code in pair)}
    judged = replace(reply, status=error.get("code", reply.status))
    return first_match(RULES, judged, told, codes, max(waits, default=None))


def digits(customer: object) -> str:
    """A customer id as addresses have it; the website shows it with dashes."""
    return str(customer or "").replace("-", "").strip()


def connect(settings: GoogleAdsSettings, clock: Clock) -> Api:
    """A client with an access token of its own. A header without a value is left out: Google refuses it."""
    manager, token = digits(settings.login_customer_id), secret(settings.developer_token or "")
    if not manager and not settings.customer_ids:
        raise errors.ConfigurationError("set sources.google_ads.login_customer_id or .customer_ids")
    client = (settings.client_id, settings.client_secret, settings.refresh_token)
    headers = {"login-customer-id": manager, "developer-token": token}
    api = Api.of(settings, classify, auth=RefreshToken(settings.token_url, *client), headers=headers)
    return replace(api, clock=clock)


def search(api: Api, customer: str, fields: str, source: str) -> Iterator[bytes]:
    """The batches that answer a query, once all of them have come."""
    query = {"query": f"SELECT {' '.join(fields.split())} FROM {source}"}  # noqa: S608
    return api.http.stream("POST", f"customers/{customer}/googleAds:searchStream", json=query)


def accounts(api: Api) -> list[Account]:
    """The customers asked for, or all below the manager that can have figures of their own.

    Without a manager each customer lists itself, and one that is refused comes with its error.
    """
    asked = [digits(each) for each in api.settings.customer_ids]
    manager = digits(api.settings.login_customer_id)
    read = partial(search, api, fields=CLIENTS, source="customer_client")
    refused = api.list_each([] if manager else asked, read)
    if manager:
        api.listed = list(read(manager))
    batches = [decode(batch, dict[str, Any]).get("results", []) for batch in api.listed]
    found = {}
    for row in (row["customerClient"] for batch in batches for row in batch):
        if not row.get("manager") and (asked or row.get("status") not in ("CANCELED", "CLOSED")):
            found[row["id"]] = Account(row["id"], row.get("timeZone"))
    missing = errors.AccountError("no client account: see sources.google_ads.customer_ids, login_customer_id")
    return [found.get(each) or Account(each, error=refused.get(each, missing)) for each in asked or found]


def table(name: str, source: str, fields: str, *, control: str | None = None, where: str = "") -> Resource:
    """The raw table of a query; one that selects ``segments.date`` is a report."""

    def read(api: Api, account: Account, window: Window | None, limit: int) -> Documents:
        when = f" WHERE segments.date BETWEEN '{window.since}' AND '{window.until}'" if window else where
        return search(api, account.id, fields, source + when)

    names = [each.strip().split(".") for each in fields.split(",")]
    columns = tuple(dict.fromkeys("__".join(parts[:2]) for parts in names))
    found = Resource(name, in_parts(read), ("results",), tuple(OBJECTS), columns=columns)
    if ["segments", "date"] not in names:
        return found
    totals = (DELIVERY if DELIVERY in fields else CREDIT).replace(".", "__").split(", ")
    return replace(found, day=("segments", "date"), totals=tuple(totals), control=control)


def clicks(api: Api, account: Account, window: Window | None) -> Documents:
    """Clicks, of which Google tells one day a query. They aren't restated, so a day that was once read late
    enough is not asked for again; that one, and any that Google tells no more, stays as it has landed.
    """
    assert window is not None
    today, query = api.clock.today(account.timezone), f"{crc32(CLICK.encode()):08x}"
    for n in range(days(window)):
        day = window.since + timedelta(days=n)
        age, known = (today - day).days, account.versions.get(day, "")
        if known == f"all {query}" or (known and age >= CLICK_DAYS):
            yield Version(known, (day,), unchanged=True)
        elif age < CLICK_DAYS:
            yield from search(api, account.id, CLICK, f"click_view WHERE segments.date = '{day}'")
            yield Mark.WHOLE
            yield Version(f"{'all' if age > LATE_DAYS else 'some'} {query}", (day,))


LOADER = Loader(
    name="google_ads",
    settings=GoogleAdsSettings,
    connect=connect,
    root=lambda api: Account(digits(api.settings.login_customer_id or api.settings.customer_ids[0])),
    accounts=accounts,
    resources=(
        replace(table("customer_client", "", CLIENTS), read=listed, per_account=False),
        table("campaign", "campaign", f"{CAMPAIGN}, customer.time_zone, {STATE}, {CHANNEL}, {BUDGET}"),
        table("ad_group", "ad_group", GROUPS),
        table("ad_group_ad", "ad_group_ad", ADS),
        table("ad_group_criterion", "ad_group_criterion", KEYWORDS, where=ONLY_KEYWORDS),
        table("conversion_action", "conversion_action", ACTIONS),
        table("ad_group_ad_day", "ad_group_ad", f"{DAY}, {PLACE}, {AD}, {BOTH}, {VIEWS}"),
        table("campaign_day", "campaign", f"{DAY}, {CAMPAIGN}, {BOTH}"),
        table("campaign_conversion_day", "campaign", f"{DAY}, {CAMPAIGN}, {ACTION}, {CREDIT}"),
        table("keyword_view_day", "keyword_view", f"{DAY}, {KEYWORD}, {BOTH}"),
        table("search_term_view_day", "search_term_view", f"{DAY}, {TERM}, {BOTH}"),
        table("customer_day", "customer", f"{DAY}, {CUSTOMER}, {BOTH}", control="campaign_day"),
        replace(table("click_view", "click_view", CLICK), read=clicks, totals=()),
    ),
    archived=False,
)
