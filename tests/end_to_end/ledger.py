"""What ads return: by the star, and by the business itself (`simulators.returns`), which has no SQL."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

from simulators.returns import returns
from simulators.site_events import STEPS
from tests.end_to_end.chain import Chain

Funnel = dict[tuple[datetime, str, str], Counter[str]]
Told = dict[str, tuple[Decimal, int, Decimal]]
ROAS = """
    select channel, sum(spend_reporting), sum(orders), sum(net_revenue_reporting)
    from reports.rpt_campaign_roas where attribution_model = 'last_touch' group by channel
"""


def funnel_in_the_star(found: Chain) -> Funnel:
    rows = found.rows(
        f"select hour_at, channel, coalesce(campaign_id, ''), {', '.join(STEPS)} from reports.rpt_funnel"
    )
    told: Funnel = {}
    for hour, channel, campaign, *counts in rows:  # a campaign that was renamed within the hour has two
        key = (hour.astimezone(UTC), channel, campaign)
        told[key] = told.get(key, Counter()) + Counter(dict(zip(STEPS, counts, strict=True)))
    return told


def funnel_by_the_ledger(found: Chain) -> Funnel:
    assert found.shop is not None
    return found.shop.site.ledger(found.shop.sent_since, found.shop.sent_until)


def in_the_star(found: Chain) -> Told:
    cents = Decimal("0.01")
    rows = found.rows(ROAS)
    return {
        channel: (spend.quantize(cents), int(n), kept.quantize(cents)) for channel, spend, n, kept in rows
    }


def by_the_business(found: Chain) -> Told:
    state = found.simulator.state
    assert state.people is not None
    zone = ZoneInfo(state.clevertap_timezone)
    told = returns(state.business, state.people, state.now, zone)
    return {name: (in_cents(one.spend), one.orders, in_cents(one.revenue)) for name, one in told.items()}


def in_cents(exact: Fraction) -> Decimal:
    return Decimal(round(exact * 100)).scaleb(-2)
