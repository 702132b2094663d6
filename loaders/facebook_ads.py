"""Facebook Ads: Meta's Marketing API v26 (https://developers.facebook.com/docs/marketing-api).

Entities are listed with every ``effective_status``: without that filter an edge hides what is archived or
deleted, and so do insights. Daily insights of ads and campaigns come through asynchronous report runs, the
only way that holds for large accounts; account totals, one row a day, are read directly, as a run would
only add calls. Days are the account's own.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import field, replace
from datetime import date
from typing import Any

from dlt.common.configuration import configspec
from dlt.common.typing import TSecretStrValue

from loaders._core import errors
from loaders._core.declare import Account, Clock, Loader, Resource, Settings, Window
from loaders._core.http import Reply, Rule, as_json, decode, first_match
from loaders._core.pages import Api, Jobs, Listing, in_parts, listed
from loaders._core.redact import secret
from loaders._core.stream import Documents, whole

CAMPAIGN = ["ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES"]  # effective_status
ADSET = [*CAMPAIGN, "CAMPAIGN_PAUSED"]
AD = [*ADSET, "ADSET_PAUSED", "DISAPPROVED", "PENDING_REVIEW", "PENDING_BILLING_INFO", "PREAPPROVED"]
NAMED = "id,account_id,name"
ZONE = "timezone_name,timezone_offset_hours_utc"
ADACCOUNTS = f"{NAMED},created_time,currency,{ZONE},account_status,amount_spent,balance,business"
STATES = f"{NAMED},created_time,updated_time,status,configured_status,effective_status"
BUDGETS = "daily_budget,lifetime_budget,bid_strategy,start_time"
CAMPAIGNS = f"{STATES},{BUDGETS},budget_remaining,objective,buying_type,special_ad_categories,stop_time"
BIDDING = "billing_event,optimization_goal,bid_amount,attribution_spec"
ADSETS = f"{STATES},{BUDGETS},{BIDDING},campaign_id,targeting,end_time"
ADS = f"{STATES},campaign_id,adset_id,creative,conversion_domain"
ADCREATIVES = f"{NAMED},status,object_type,title,body,link_url,url_tags,thumbnail_url,object_story_spec"
FIGURES = "impressions,clicks,inline_link_clicks,spend,reach,frequency,actions,action_values"
INSIGHTS = f"account_id,account_currency,date_start,date_stop,attribution_setting,{FIGURES}"
USAGE = ("x-app-usage", "x-ad-account-usage", "x-business-use-case-usage", "x-fb-ads-insights-throttle")
SHARES = ("call_count", "total_time", "total_cputime", "acc_id_util_pct", "app_id_util_pct")
ADVICE = "put a new token into sources.facebook_ads.access_token"
RULES = (
    Rule(errors.TooLarge, {(100, 1487534)}, "reduce the amount of data|exceeds the max limit"),
    Rule(errors.Throttled, {4, 17, 32, 341, 613, *range(80000, 80015)}),
    Rule(errors.ConfigurationError, {102, 190}, advice=ADVICE),
    Rule(errors.ConfigurationError, {2635}, advice="set sources.facebook_ads.api_version to a living one"),
    Rule(errors.Transient, {1, 2, 104, 960, 2601, 2637, "passing"}),  # 2601, 2637: a run not yet readable
    Rule(errors.AccountError, {10, *range(200, 300), (100, 33)}, "Missing permission"),
)


@configspec
class FacebookAdsSettings(Settings):
    """``[sources.facebook_ads]``; without ``account_ids`` every account is read that the token sees."""

    access_token: TSecretStrValue = None  # type: ignore[assignment]
    app_secret: TSecretStrValue | None = None
    base_url: str = "https://graph.facebook.com"
    account_ids: list[str] = field(default_factory=list)
    api_version: str = "v26.0"
    api_version_sunset: date | None = date(2027, 10, 6)  # assumed: Meta has named no day yet


def classify(reply: Reply) -> errors.AdstarError | None:
    """Meta's error envelope: it throttles with HTTP 400 and may fail with HTTP 200."""
    if not isinstance(error := reply.error, dict):
        return None
    code, sub = error.get("code"), error.get("error_subcode")
    told = f"Meta error {code}/{sub}: {error.get('message')}"
    codes = {(code, sub), code, "passing" if error.get("is_transient") else None}
    return first_match(RULES, reply, told, codes, wait_seconds(reply))


def classify_run(reply: Reply) -> errors.AdstarError | None:
    """Of a report run, "does not exist" means not yet or no longer, not a lack of rights."""
    error = classify(reply)
    return errors.Lost(error.message) if isinstance(error, errors.AccountError) else error


def wait_seconds(reply: Reply) -> float | None:
    """What the usage headers ask to wait: minutes in one, seconds in the other."""
    minutes = reply.header_numbers("x-business-use-case-usage", "estimated_time_to_regain_access")
    seconds = reply.header_numbers("x-ad-account-usage", "reset_time_duration")
    return 60 * max(minutes, default=0) or max(seconds, default=0) or None


def used(reply: Reply) -> float:
    """The fullest of all quotas that the usage headers tell, in percent; Meta refuses at 100."""
    told = (reply.header_numbers(header, share) for header in USAGE for share in SHARES)
    return max((number for numbers in told for number in numbers), default=0.0)


PAGES = Listing(records=("data",), link=("paging", "next"))
ENDS = {"Job Completed": True, "Job Failed": False, "Job Skipped": False}
RUNS = Jobs(
    PAGES, ENDS, "report_run_id", "async_status", "async_percent_completion", "insights", classify_run
)


def connect(settings: FacebookAdsSettings, clock: Clock) -> Api:
    """A client that sends the token as a header, never in an address, and its proof if there is a key."""
    token, params = secret(settings.access_token), {}
    if settings.app_secret:
        proof = hmac.new(secret(settings.app_secret).encode(), token.encode(), hashlib.sha256)
        params = {"appsecret_proof": secret(proof.hexdigest())}
    headers = {"Authorization": f"Bearer {token}"}
    return Api.of(settings, classify, params=params, headers=headers, used=used)


def accounts(api: Api) -> list[Account]:
    """The accounts asked for, or all that the token sees; a refused one comes with its error."""
    asked = [str(each).removeprefix("act_") for each in api.settings.account_ids]
    query = {"fields": ADACCOUNTS}

    def read(account: str) -> list[bytes]:
        return [b'{"data":[%s]}' % api.http.fetch("GET", f"act_{account}", params=query)]

    refused = api.list_each(asked, read)
    if not asked:
        api.listed = whole(PAGES.pages(api.http, "me/adaccounts", query | {"limit": "100"}))
    rows = [row for page in api.listed for row in decode(page, dict[str, Any])["data"]]
    found = [Account(row["account_id"], row.get("timezone_name")) for row in rows]
    return [Account(each, error=why) for each, why in refused.items()] + found


def entities(name: str, fields: str, statuses: Sequence[str] = ()) -> Resource:
    """An edge of the account, read in every status."""
    query = {"fields": fields} | ({"effective_status": as_json(statuses)} if statuses else {})

    def read(api: Api, account: Account, window: None, limit: int) -> Documents:
        return PAGES.pages(api.http, f"act_{account.id}/{name}", query | {"limit": str(limit)})

    return Resource(name, in_parts(read, 200), ("data",), columns=tuple(fields.split(",")))


def insights(level: str, ids: str = "", statuses: Sequence[str] = (), control: str | None = None) -> Resource:
    """Daily insights of a level, of deleted objects too; by a report run unless it is the control."""
    fields = f"{INSIGHTS},{ids}".rstrip(",")
    windows = as_json(["1d_click", "7d_click", "28d_click", "1d_view"])
    query = {"level": level, "fields": fields, "time_increment": "1", "action_attribution_windows": windows}
    if statuses:
        among = {"field": f"{level}.effective_status", "operator": "IN", "value": statuses}
        query["filtering"] = as_json([among])

    def read(api: Api, account: Account, window: Window, limit: int) -> Documents:
        path, paging = f"act_{account.id}/insights", {"limit": str(limit)}
        order = query | {"time_range": as_json({"since": window.since, "until": window.until})}
        if control:
            return PAGES.pages(api.http, path, order | paging)
        return RUNS.pages(api.http, path, order, paging)

    table = Resource(f"insights_{level}", in_parts(read, 1000), ("data",), columns=tuple(fields.split(",")))
    return replace(table, day=("date_start",), totals=("impressions", "clicks", "spend"), control=control)


LOADER = Loader(
    name="facebook_ads",
    settings=FacebookAdsSettings,
    connect=connect,
    root=lambda api: Account("me"),
    accounts=accounts,
    resources=(
        Resource("adaccounts", listed, ("data",), columns=tuple(ADACCOUNTS.split(",")), per_account=False),
        entities("campaigns", CAMPAIGNS, CAMPAIGN),
        entities("adsets", ADSETS, ADSET),
        entities("ads", ADS, AD),
        entities("adcreatives", ADCREATIVES),
        insights("ad", "campaign_id,adset_id,ad_id", AD),
        insights("campaign", "campaign_id", CAMPAIGN),
        insights("account", control="insights_campaign"),
    ),
    archived=False,
)
