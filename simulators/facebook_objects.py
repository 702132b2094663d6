"""Meta's accounts, campaigns, ad sets, ads and creatives as JSON objects: fields and types of v26."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from simulators.business import Account, Ad, AdGroup, Campaign

Entity = Campaign | AdGroup | Ad
OFFSET_BUDGET_SHARE = 40
"""Percent of a daily budget that is left: a constant, as nothing is spent from the simulated budgets."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_EVERY = _names("id account_id name status configured_status effective_status created_time updated_time")
NODE_FIELDS: dict[str, frozenset[str]] = {
    "AdAccount": _names(
        """
        id account_id name currency timezone_name timezone_id timezone_offset_hours_utc account_status
        age amount_spent balance spend_cap owner end_advertiser funding_source disable_reason
        is_personal min_daily_budget business business_name created_time capabilities io_number
        media_agency
        """
    ),
    "Campaign": _EVERY
    | _names(
        """
        objective buying_type bid_strategy daily_budget lifetime_budget budget_remaining spend_cap
        source_campaign_id smart_promotion_type special_ad_category special_ad_categories start_time
        stop_time budget_rebalance_flag can_use_spend_cap is_skadnetwork_attribution
        is_adset_budget_sharing_enabled adlabels pacing_type promoted_object issues_info
        """
    ),
    "AdSet": _EVERY
    | _names(
        """
        campaign_id daily_budget lifetime_budget budget_remaining daily_spend_cap lifetime_spend_cap
        billing_event optimization_goal bid_strategy bid_amount bid_info destination_type
        attribution_spec targeting promoted_object start_time end_time lifetime_imps
        is_dynamic_creative learning_stage_info recurring_budget_semantics frequency_control_specs
        campaign adlabels pacing_type
        """
    ),
    "Ad": _EVERY
    | _names(
        """
        campaign_id adset_id creative bid_type bid_amount conversion_domain tracking_specs
        conversion_specs display_sequence source_ad_id last_updated_by_app_id ad_review_feedback
        targeting priority adset campaign engagement_audience adlabels
        """
    ),
    "AdCreative": _names(
        """
        id account_id name object_type status title body link_url url_tags thumbnail_url
        object_story_spec object_story_id image_url image_hash video_id call_to_action_type
        asset_feed_spec
        """
    ),
    "User": _names(
        """
        id name
        """
    ),
}
"""Fields that exist; those that no object here has a value for are left out of answers, as Meta does."""


def stamp(instant: datetime) -> str:
    """Meta's time: no colon in the offset, the account's zone."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S%z")


def ad_account(account: Account, now: datetime) -> dict[str, Any]:
    """An ad account; money in minor units as strings. `amount_spent` grows with time: no sum of spend."""
    local = now.astimezone(account.zone)
    offset = local.utcoffset()
    hours = (now - account.created_at).days * 24
    return {
        "id": f"act_{account.id}",
        "account_id": account.id,
        "name": account.name,
        "currency": account.currency,
        "timezone_name": account.timezone,
        "timezone_id": 40 + account.index,
        "timezone_offset_hours_utc": (offset.total_seconds() / 3600) if offset else 0,
        "account_status": 1,
        "age": round(hours / 24 + 0.25, 6),
        "amount_spent": str(hours * 1731),
        "balance": str(hours % 9973),
        "disable_reason": 0,
        "is_personal": 0,
        "min_daily_budget": 100,
        "business": {"id": f"10{account.id[:13]}", "name": "Lumen Group"},
        "created_time": stamp(account.created_at.astimezone(account.zone)),
    }


def _state(one: Entity) -> dict[str, Any]:
    return {
        "id": one.id,
        "account_id": one.account_id,
        "name": one.name,
        "status": one.status,
        "configured_status": one.status,
        "effective_status": one.effective_status,
        "created_time": stamp(one.created_at),
        "updated_time": stamp(one.updated_at),
    }


def _budgets(daily: int | None, lifetime: int | None = None) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if daily is not None:
        out |= {"daily_budget": str(daily), "lifetime_budget": "0"}
    if lifetime is not None:
        out |= {"daily_budget": "0", "lifetime_budget": str(lifetime)}
    if out:
        out["budget_remaining"] = str((daily or lifetime or 0) * OFFSET_BUDGET_SHARE // 100)
    return out


def campaign(one: Campaign) -> dict[str, Any]:
    """A campaign; under ad set budgets it has no budget fields but `budget_remaining` "0"."""
    return {
        **_state(one),
        "objective": one.kind,
        "buying_type": "AUCTION",
        "bid_strategy": one.bidding,
        "special_ad_categories": [],
        "special_ad_category": "NONE",
        "smart_promotion_type": "GUIDED_CREATION",
        "budget_remaining": "0",
        **_budgets(one.daily_budget, one.lifetime_budget),
        "start_time": stamp(one.created_at),
        "budget_rebalance_flag": False,
        "can_use_spend_cap": True,
        "pacing_type": ["standard"],
    }


def ad_set(one: AdGroup) -> dict[str, Any]:
    """An ad set; under a campaign budget it has no budget fields."""
    out = {
        **_state(one),
        "campaign_id": one.campaign_id,
        "campaign": {"id": one.campaign_id},
        "billing_event": "IMPRESSIONS",
        "optimization_goal": one.kind,
        "bid_strategy": "LOWEST_COST_WITHOUT_CAP" if one.bid is None else "LOWEST_COST_WITH_BID_CAP",
        "attribution_spec": [
            {"event_type": "CLICK_THROUGH", "window_days": 7},
            {"event_type": "VIEW_THROUGH", "window_days": 1},
        ],
        "targeting": {
            "age_min": 25,
            "age_max": 54,
            "geo_locations": {"countries": ["DE", "AT"], "location_types": ["home", "recent"]},
            "targeting_automation": {"advantage_audience": 0},
        },
        "promoted_object": {"pixel_id": f"77{one.account_id[:13]}", "custom_event_type": "PURCHASE"},
        "destination_type": "WEBSITE",
        "start_time": stamp(one.created_at),
        "lifetime_imps": 0,
        "is_dynamic_creative": False,
        **_budgets(one.daily_budget),
    }
    if one.bid is not None:
        out["bid_amount"] = one.bid
    return out


def ad(one: Ad) -> dict[str, Any]:
    """An ad."""
    return {
        **_state(one),
        "campaign_id": one.campaign_id,
        "campaign": {"id": one.campaign_id},
        "adset_id": one.ad_group_id,
        "adset": {"id": one.ad_group_id},
        "creative": {"id": one.creative_id},
        "conversion_domain": "shop.example",
        "tracking_specs": [{"action.type": ["offsite_conversion"], "fb_pixel": [f"77{one.account_id[:13]}"]}],
    }


def creative(one: Ad) -> dict[str, Any]:
    """The creative of an ad."""
    out: dict[str, Any] = {
        "id": one.creative_id,
        "account_id": one.account_id,
        "name": f"{one.name} {one.created_at.date()}",
        "object_type": one.kind,
        "status": "ACTIVE",
        "title": "Sommer\u00adschlu\u00dfverkauf \u2600\ufe0f",
        "body": f'Only now: "{one.name}"\nfree shipping\u2026 \u00e0 bient\u00f4t',
        "url_tags": "utm_source=facebook&utm_medium=cpc&utm_campaign={{campaign.id}}&utm_content={{ad.id}}",
        "thumbnail_url": f"https://cdn.shop.example/t/{one.creative_id}.jpg",
        "object_story_spec": {
            "page_id": f"55{one.account_id[:13]}",
            "link_data": {"link": one.final_url, "message": "free shipping", "attachment_style": "link"},
        },
    }
    if one.kind != "VIDEO":
        out["link_url"] = one.final_url
    return out


EDGES: dict[str, tuple[str, Callable[[Any], dict[str, Any]]]] = {
    "campaigns": ("Campaign", campaign),
    "adsets": ("AdSet", ad_set),
    "ads": ("Ad", ad),
    "adcreatives": ("AdCreative", creative),
}
"""Edges with the type of their nodes and how those are written."""
