"""A few days of two advertisers, small enough to check by hand, with every trap the star must not fall into.

Facebook 111 (EUR, Berlin) and 222 (JPY, Tokyo) have the same name. Campaign 11 has two ads, 12 a deleted ad
whose figures only the campaign has, 13 a purchase on days without delivery, 14 differs from its ad by a
rounded cent, 15 is known only from what its report credits after its ad was deleted. In 222 the reports of
13 and 14 credit a contact that no ad has, and the third reading finds 13's ad gone and 14's deleted on the
second of March; its own second day is never restated.

The euro's rates come from a feed, which knows each day's on the next morning.

Google 901 (EUR, Berlin) and 902 (INR, Kolkata) lie below manager 900. Campaign 31 has ad 77 and criterion 500
in two ad groups, 32 is Performance Max, 33 (removed and never listed) has only conversions.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

Sets = dict[tuple[str, str, date | None], list[dict[str, Any]]]
FIRST = date(2026, 3, 1)


def days(count: int) -> list[date]:
    """The first `count` days."""
    return [FIRST + timedelta(days=number) for number in range(count)]


# What one euro is worth on the first day, and by how much more on each next one.
RATES = {"JPY": (Decimal("160.25"), Decimal("0.5")), "INR": (Decimal("90.125"), Decimal("0.25"))}


def rates(count: int, *, but: dict[tuple[str, int], str | None] | None = None) -> Sets:
    """The feed of exchange rates of the first `count` days; `but` has others of a currency and day."""
    changed = but or {}
    told: dict[tuple[str, int], str | None] = {
        (currency, number): str(first + number * step)
        for currency, (first, step) in RATES.items()
        for number in range(count)
    }
    return {
        ("exchange_rates", "exchange_rates", day): [
            {"date": day.isoformat(), "base": "EUR", "currency": currency, "rate": rate}
            for (currency, at), rate in (told | changed).items()
            if at == number and rate is not None
        ]
        for number, day in enumerate(days(count))
    }


def facebook(
    read_at: datetime, count: int, *, round_no: int = 1, accounts: tuple[str, ...] = ("111", "222")
) -> Sets:
    """What Facebook says in the `round_no`-th reading about the first `count` days."""
    sets: Sets = {
        ("adaccounts", "me", None): [
            {
                "id": f"act_{account}", "account_id": account, "name": "Shop", "account_status": 1,
                "currency": "EUR" if account == "111" else "JPY",
                "timezone_name": "Europe/Berlin" if account == "111" else "Asia/Tokyo",
                "amount_spent": str(1000 * round_no), "business": {"id": "5",
                "name": "Shops \N{SHOPPING TROLLEY}"},
            }
            for account in accounts
        ]
    }  # fmt: skip
    for account in accounts:
        sets |= _facebook_entities(account, round_no)
        for number, day in enumerate(days(count)):
            rows = list(_facebook_ads(account, number, round_no))
            campaigns = _facebook_campaigns(account, rows, number)
            stamp = {"account_id": account, "account_currency": "EUR" if account == "111" else "JPY",
                     "date_start": day.isoformat(), "date_stop": day.isoformat()}  # fmt: skip
            total = [_total(campaigns)] if campaigns else []
            for row in campaigns:
                if account == "222" and row["campaign_id"] in ("13", "14"):
                    row["actions"].append({"action_type": "contact", "value": "1"})
            for resource, found in (
                ("insights_ad", rows), ("insights_campaign", campaigns), ("insights_account", total),
            ):  # fmt: skip
                sets[resource, account, day] = [{**stamp, **row} for row in found]
    return sets


def _facebook_entities(account: str, round_no: int) -> Sets:
    status = {"status": "ACTIVE", "configured_status": "ACTIVE", "effective_status": "ACTIVE"}
    stamps = {"created_time": "2026-01-01T08:00:00+0100", "updated_time": "2026-01-02T08:00:00+0100"}
    gone = {"status": "DELETED", "configured_status": "DELETED", "effective_status": "DELETED",
            "created_time": "2026-01-01T08:00:00+0100",
            "updated_time": "2026-03-02T08:00:00+0100"}  # fmt: skip
    deleted = {"1202", "1501"} | ({"1401"} if (account, round_no) == ("222", 3) else set())
    names = {
        "11": "Spring" if round_no < 3 else "Spring, renamed",
        "12": "Brand",
        "13": "Leads",
        "14": "Spring",
    }
    return {
        ("campaigns", account, None): [
            {"id": number, "account_id": account, "name": name, "objective": "OUTCOME_SALES",
             "daily_budget": "5000",
             "budget_remaining": str(100 * round_no), **status, **stamps}
            for number, name in names.items()
        ],
        ("adsets", account, None): [
            {"id": f"{campaign}1", "account_id": account, "campaign_id": campaign, "name": "Everyone",
             "bid_amount": 120,
             **status, **stamps}
            for campaign in names
        ],
        ("ads", account, None): [
            {"id": ad, "account_id": account, "campaign_id": ad[:2], "adset_id": f"{ad[:2]}1",
             "name": f"Ad {ad}",
             "creative": {"id": "9"}, **status, **stamps,
             **(gone if ad in deleted else {})}
            for ad in ("1101", "1102", "1201", "1202", "1301", "1401", "1501")
            if (account, ad, round_no) != ("222", "1301", 3)
        ],
        ("adcreatives", account, None): [{"id": "9", "account_id": account, "name": "Picture",
        "title": "Buy"}],
    }  # fmt: skip


def _facebook_ads(account: str, number: int, round_no: int) -> Iterator[dict[str, Any]]:
    yen = account == "222"
    for ad in ("1101", "1102", "1201", "1301", "1401"):
        impressions, clicks = 1000 + 10 * number + int(ad) % 7, 20 + number
        cents = 1234 + 100 * number + int(ad) % 11
        bought = 2 + number % 3
        if ad == "1102" and (number % 3 == 2 or (number == 0 and round_no > 1)):
            continue  # no delivery; and of the first day a row that vanished on restatement
        if ad == "1301":
            impressions = clicks = cents = 0
        if ad == "1101" and number < 2 and not (yen and number == 1):
            cents, bought = cents + 5 * (round_no - 1), bought + round_no - 1
        yield {
            "campaign_id": ad[:2], "adset_id": f"{ad[:2]}1", "ad_id": ad,
            "impressions": str(impressions), "clicks": str(clicks), "inline_link_clicks": str(clicks // 2),
            "spend": str(cents) if yen else str(Decimal(cents) / 100),
            "reach": str(impressions // 2), "frequency": "2",
            "actions": [
                {"action_type": kind, "value": str(bought), "7d_click": str(bought), "1d_view": "1"}
                for kind in ("purchase", "omni_purchase", "offsite_conversion.fb_pixel_purchase")
            ] + [{"action_type": "link_click", "value": str(clicks)}],
            "action_values": [{"action_type": "omni_purchase", "value": f"{bought * 30}.5"}],
        }  # fmt: skip


def _facebook_campaigns(account: str, rows: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    found = []
    for campaign in ("11", "12", "13", "14"):
        total = _total([row for row in rows if row["campaign_id"] == campaign])
        if campaign == "12":  # the deleted ad
            total["impressions"] = str(int(total["impressions"]) + 100)
            total["clicks"] = str(int(total["clicks"]) + 3)
            total["spend"] = str(Decimal(total["spend"]) + 7)
            total["actions"].append({"action_type": "lead", "value": "4", "7d_click": "3"})
        if campaign == "14" and account == "111" and number == 1:
            total["spend"] = str(Decimal(total["spend"]) + Decimal("0.01"))
        found.append({"campaign_id": campaign, **total})
    nothing = dict.fromkeys(("impressions", "clicks", "inline_link_clicks", "spend"), "0")
    lead = {"action_type": "lead", "value": "2"}
    return [*found, {"campaign_id": "15", **nothing, "actions": [lead], "action_values": []}]


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    sums: dict[str, Any] = {}
    for name in ("impressions", "clicks", "inline_link_clicks", "spend"):
        sums[name] = str(sum((Decimal(row.get(name) or 0) for row in rows), Decimal(0)))
    for name in ("actions", "action_values"):
        kinds: dict[str, dict[str, Any]] = {}
        for action in (action for row in rows for action in row[name]):
            summed = kinds.setdefault(action["action_type"], {"action_type": action["action_type"]})
            for window in action.keys() - {"action_type"}:
                summed[window] = str(Decimal(summed.get(window, 0)) + Decimal(action[window]))
        sums[name] = list(kinds.values())
    return sums


def google(
    read_at: datetime, count: int, *, round_no: int = 1, customers: tuple[str, ...] = ("901", "902")
) -> Sets:
    """What Google says in the `round_no`-th reading about the first `count` days."""
    zones = {"900": ("EUR", "Europe/Berlin"), "901": ("EUR", "Europe/Berlin"), "902": ("INR", "Asia/Kolkata")}
    sets: Sets = {
        ("customer_client", "900", None): [
            {
                "customer_client__id": customer, "customer_client__descriptive_name": f"Customer {customer}",
                "customer_client__currency_code": zones[customer][0], "customer_client__status": "ENABLED",
                "customer_client__time_zone": zones[customer][1],
                "customer_client__level": str(int(customer != "900")),
                "customer_client__manager": customer == "900", "customer_client__hidden": False,
            }
            for customer in ("900", *customers)
        ]
    }  # fmt: skip
    for customer in customers:
        stamp = {"customer__id": customer, "customer__currency_code": zones[customer][0]}
        for resource, rows in _google_entities(round_no).items():
            sets[resource, customer, None] = [{**stamp, **row} for row in rows]
        for number, day in enumerate(days(count)):
            for resource, rows in _google_day(number, round_no).items():
                sets[resource, customer, day] = [
                    {**stamp, "segments__date": day.isoformat(), **row} for row in rows
                ]
    return sets


def _google_entities(round_no: int) -> dict[str, list[dict[str, Any]]]:
    in_31 = [{"campaign__id": "31", "ad_group__id": group} for group in ("41", "42")]
    return {
        "campaign": [
            {"campaign__id": "31", "campaign__name": "Search", "campaign__status": "ENABLED",
             "campaign__advertising_channel_type": "SEARCH",
             "campaign__start_date_time": "2026-01-01 00:00:00",
             "campaign_budget__id": "7", "campaign_budget__amount_micros": "25000000"},
            {"campaign__id": "32", "campaign__name": "Everything", "campaign__status": "ENABLED",
             "campaign__advertising_channel_type": "PERFORMANCE_MAX",
             "campaign_budget__amount_micros": "9990000"},
        ],
        "ad_group": [
            {**each, "ad_group__name": "Shoes", "ad_group__status": "ENABLED",
             "ad_group__type": "SEARCH_STANDARD",
             "ad_group__cpc_bid_micros": "150000"}
            for each in in_31
        ],
        "ad_group_ad": [
            {**each, "ad_group_ad__status": "ENABLED",
             "ad_group_ad__ad": {"resourceName": "customers/901/ads/77", "id": "77",
             "type": "RESPONSIVE_SEARCH_AD"}}
            for each in in_31
        ],
        "ad_group_criterion": [
            {**each, "ad_group_criterion__criterion_id": "500", "ad_group_criterion__status": "ENABLED",
             "ad_group_criterion__negative": False,
             "ad_group_criterion__keyword": {"text": "red shoes", "matchType": "EXACT"}}
            for each in in_31
        ],
        "conversion_action": [
            {"conversion_action__id": "61", "conversion_action__name": "Purchase",
             "conversion_action__category": "PURCHASE",
             "conversion_action__status": "ENABLED",
             "conversion_action__click_through_lookback_window_days": 90 - round_no}
        ],
    }  # fmt: skip


def _google_day(number: int, round_no: int) -> dict[str, list[dict[str, Any]]]:
    def metrics(impressions: int, clicks: int, micros: int, conversions: str = "0") -> dict[str, str]:
        return {
            "metrics__impressions": str(impressions), "metrics__clicks": str(clicks),
            "metrics__cost_micros": str(micros), "metrics__conversions": conversions,
            "metrics__conversions_value": "0", "metrics__all_conversions": conversions,
        }  # fmt: skip

    ad = {
        "ad_group_ad__ad": {
            "resourceName": "customers/901/ads/77",
            "id": "77",
            "type": "RESPONSIVE_SEARCH_AD",
        }
    }
    word = {"ad_group_criterion__criterion_id": "500",
            "ad_group_criterion__keyword": {"text": "red shoes", "matchType": "EXACT"}}  # fmt: skip
    base, micros = 100 + number, 1_230_000 + 10_000 * number
    first = [
        {"campaign__id": "31", "ad_group__id": group, **ad, "segments__device": device,
         "segments__ad_network_type": "SEARCH", **metrics(base, 5, micros + int(group), "0.5")}
        for group in ("41", "42") for device in ("MOBILE", "DESKTOP")
    ]  # fmt: skip
    every = (base * 4 + 1000, 20 + 40, micros * 4 + 166 + 5_000_000)
    worth = {"metrics__conversions": str(3 * (Decimal(round_no) + Decimal("0.25"))),
             "metrics__all_conversions": str(3 * (Decimal(round_no) + Decimal("0.75"))),
             "metrics__conversions_value": "299.7"}  # fmt: skip
    credit = {"metrics__conversions": f"{round_no}.25", "metrics__all_conversions": f"{round_no}.75",
              "metrics__conversions_value": "99.9",
              "segments__conversion_action": "customers/901/conversionActions/61",
              "segments__conversion_action_name": "Purchase",
              "segments__conversion_action_category": "PURCHASE"}  # fmt: skip
    return {
        "ad_group_ad_day": first,
        "campaign_day": [
            {"campaign__id": "31", **metrics(base * 4, 20, micros * 4 + 166)},
            {"campaign__id": "32", **metrics(1000, 40, 5_000_000)},
        ],
        "campaign_conversion_day": [{"campaign__id": campaign, **credit} for campaign in ("31", "32", "33")],
        "keyword_view_day": [
            {"campaign__id": "31", "ad_group__id": group, **word, **metrics(base, 4,
             micros)} for group in ("41", "42")
        ],
        "search_term_view_day": [
            {"campaign__id": "31", "ad_group__id": "41", "search_term_view__search_term": term,
             "search_term_view__status": "ADDED", "segments__search_term_match_type": match,
             "segments__keyword": {"info": {"text": "red shoes", "matchType": "EXACT"}}, **metrics(10, 1,
             100_000)}
            for term in ("red shoes", "scarlet shoes") for match in ("EXACT", "NEAR_EXACT")
        ],
        "customer_day": [{**metrics(*every), **worth}],
    }  # fmt: skip
