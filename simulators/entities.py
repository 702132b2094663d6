"""What the business answers with: accounts, entities as of an instant, and rows of figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

Platform = Literal["facebook_ads", "google_ads"]
META_SETTLED_DAYS = 28
GOOGLE_SETTLED_DAYS = 90
"""From this age on (account-local days) a day's figures do not change any more."""


@dataclass(frozen=True, slots=True)
class Account:
    """An ad account. `id` is digits only (Facebook's `act_` prefix is the wire's business)."""

    platform: Platform
    index: int
    id: str
    name: str
    currency: str
    timezone: str
    minor_per_unit: int
    created_at: datetime
    is_manager: bool = False
    manager_id: str | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The IANA zone whose midnight separates the account's days."""
        return ZoneInfo(self.timezone)


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as of an instant. Statuses and kinds in the platform's words; budgets in minor units."""

    account_id: str
    id: str
    name: str
    status: str
    effective_status: str
    kind: str
    """Facebook: objective. Google: advertising_channel_type."""
    bidding: str
    budget_id: str
    daily_budget: int | None
    lifetime_budget: int | None
    has_ads: bool
    """False for Performance Max and Smart: spend without ad groups, ads, or ad rows."""
    start_day: date
    end_day: date
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AdGroup:
    """A Facebook ad set or a Google ad group as of an instant."""

    account_id: str
    id: str
    campaign_id: str
    name: str
    status: str
    effective_status: str
    kind: str
    """Facebook: optimization_goal. Google: ad group type."""
    daily_budget: int | None
    bid: int | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Ad:
    """An ad as of an instant. Google's `id` is unique only within its ad group."""

    account_id: str
    id: str
    ad_group_id: str
    campaign_id: str
    name: str
    status: str
    effective_status: str
    kind: str
    hidden: bool
    """Deleted, and its rows appear in no ad-level report any more, filtered or not."""
    creative_id: str
    final_url: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Keyword:
    """A Google keyword criterion. Equal text and match type have equal ids, in whatever ad group."""

    account_id: str
    criterion_id: str
    ad_group_id: str
    campaign_id: str
    text: str
    match_type: str
    status: str
    quality_score: int | None


@dataclass(frozen=True, slots=True)
class ConversionAction:
    """A Google conversion action; `primary` ones count in `conversions`, all in `all_conversions`."""

    account_id: str
    id: str
    name: str
    category: str
    primary: bool
    lookback_days: int
    status: str = "ENABLED"


@dataclass(frozen=True, slots=True)
class Figures:
    """What one row reports. Money in minor units, `*_x100` in hundredths of a conversion."""

    impressions: int
    clicks: int
    link_clicks: int
    spend: int
    reach: int
    conversions_x100: int
    all_conversions_x100: int
    conversions_value: int
    all_conversions_value: int
    view_through_conversions: int


@dataclass(frozen=True, slots=True)
class AdDay(Figures):
    """One ad (Google: in one device and network) on one account-local day."""

    campaign_id: str
    ad_group_id: str
    ad_id: str
    device: str | None
    network: str | None
    hidden: str | None
    """Why no ad-level report has this row: None, 'deleted', 'performance_max' or 'smart'."""


@dataclass(frozen=True, slots=True)
class CampaignDay(Figures):
    """The exact sum of a campaign's units on one day, hidden ones included."""

    campaign_id: str


@dataclass(frozen=True, slots=True)
class KeywordDay(Figures):
    """One keyword on one day; an ad group's keywords sum to its ads."""

    campaign_id: str
    ad_group_id: str
    criterion_id: str
    text: str
    match_type: str


@dataclass(frozen=True, slots=True)
class SearchTermDay(Figures):
    """One search term under one keyword on one day; about a tenth of a keyword is withheld for privacy."""

    campaign_id: str
    ad_group_id: str
    criterion_id: str
    text: str
    match_type: str
    search_term: str
    search_term_match_type: str
    status: str


@dataclass(frozen=True, slots=True)
class ConversionDay:
    """Conversions of one kind of one ad on one day; device and network as in `AdDay`.

    Facebook: `action` is an action type (they overlap, never add them up), `count_x100` the default
    attribution (7-day click + 1-day view), `windows` whole conversions per attribution window. Google:
    `action` is a conversion action's id, `windows` is empty, `primary` says whether it counts in
    `conversions`.
    """

    campaign_id: str
    ad_group_id: str
    ad_id: str
    device: str | None
    network: str | None
    hidden: str | None
    action: str
    primary: bool
    count_x100: int
    value: int
    windows: dict[str, int] = field(default_factory=dict)
    window_values: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Totals:
    """What a platform must say of one account-day: `returned` by ad rows, `hidden` by cause, and together."""

    account_id: str
    day: date
    total: dict[str, int]
    returned: dict[str, int]
    hidden: dict[str, dict[str, int]]
    campaigns: dict[str, dict[str, int]]
    ad_rows: int
    settled: bool
