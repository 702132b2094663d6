"""What a demo run did, asked from the warehouse. Used by scripts/_demo.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

from rich.columns import Columns
from rich.console import Console
from rich.table import Table

from simulators.returns import Return, returns
from simulators.server import State
from simulators.site_events import STEPS, SiteEvents

Query = Callable[[str], list[tuple[Any, ...]]]

LANDED = """
    select resources.pipeline, resources.resource, sum(rows_read), sum(rows_landed), sum(sets_landed),
           sum(sets_unchanged), sum(rows_read) / nullif(sum(seconds), 0)
    from ops.run_resources as resources
    join ops.runs as runs using (run_id)
    where runs.started_at = '{clock}' and resources.outcome = 'ok'
    group by 1, 2
    order by 1, min(resources.run_seq), min(resources.ctid)
"""
STAR = """
    select string_agg(format('select %L, count(*) from marts.%I', table_name, table_name), ' union all ')
    from information_schema.tables
    where table_schema = 'marts' and table_type = 'BASE TABLE'
"""
STATES = """
    select state, count(*) from reports.rpt_reconciliation group by state order by state
"""
SPEND = """
    select platform, currency_code, sum(fact_spend), sum(control_spend)
    from reports.rpt_reconciliation
    group by platform, currency_code
    order by platform, currency_code
"""
# Only what conversion_definitions names, as in rpt_campaign_daily: Meta's action types overlap.
CONVERSIONS = """
    select facts.platform, facts.currency_code, sum(facts.conversions)
    from marts.fact_ad_conversion as facts
    join intermediate.conversion_definitions as definitions
        on definitions.platform = facts.platform
        and definitions.attribution_window = facts.attribution_window
        and definitions.conversion_action_id in (facts.conversion_action_id, '*')
    group by facts.platform, facts.currency_code
"""
# Of Google's account only the sum of all actions is told: no control of a single one.
CONTROL_CONVERSIONS = """
    select
        definitions.platform,
        raw.account_currency,
        sum((action ->> replace(definitions.attribution_window, 'default', 'value'))::numeric)
    from intermediate.conversion_definitions as definitions
    join staging.stg_facebook_ads__sets as sets on definitions.platform = 'facebook_ads'
    join raw_facebook_ads.insights_account as raw
        on raw._account = sets.account_id and raw._day = sets.date_day and raw._run_seq = sets.data_run_seq
    cross join jsonb_array_elements(coalesce(raw.actions, '[]')::jsonb) as action
    where
        sets.resource = 'insights_account'
        and sets.is_current
        and definitions.conversion_action_id in (action ->> 'action_type', '*')
    group by definitions.platform, raw.account_currency
    union all
    select definitions.platform, raw.customer__currency_code, sum(raw.metrics__conversions::numeric)
    from intermediate.conversion_definitions as definitions
    join staging.stg_google_ads__sets as sets
        on definitions.platform = 'google_ads'
        and definitions.conversion_action_id = '*'
        and definitions.attribution_window = 'default'
    join raw_google_ads.customer_day as raw
        on raw._account = sets.account_id and raw._day = sets.date_day and raw._run_seq = sets.data_run_seq
    where sets.resource = 'customer_day' and sets.is_current
    group by definitions.platform, raw.customer__currency_code
"""


ROAS = """
    select
        channel, sum(spend_reporting), sum(conversions), sum(sign_ups), sum(orders),
        sum(net_revenue_reporting)
    from reports.rpt_campaign_roas
    where attribution_model = 'last_touch'
    group by channel
    order by channel
"""


FUNNEL = f"""
    select hour_at, channel, coalesce(campaign_id, ''), {", ".join(map("sum({})".format, STEPS))}
    from reports.rpt_funnel
    group by 1, 2, 3
"""  # noqa: S608


def show(
    console: Console, query: Query, clock: str, tests: int, simulated: State, *, since: datetime
) -> None:
    """Print the summary of the run of the simulated instant `clock`, in which so many tests passed.

    `since` is when the oldest message of the site was sent.
    """
    landed = query(LANDED.format(clock=clock))
    ((each_table,),) = query(STAR)
    console.print(Columns([landed_table(landed), star_table(sorted(query(each_table)))], padding=(0, 4)))
    console.print(agreement_table(query))
    if simulated.people is not None:
        console.print(return_table(query, simulated))
        console.print(funnel_line(query, SiteEvents(simulated.people).ledger(since, simulated.now)))
    read, rows, sets, unchanged = (sum(line[column] for line in landed) for column in (2, 3, 4, 5))
    states = ", ".join(f"{count} {state}" for state, count in query(STATES))
    console.print(f"This run read {read:,} rows and landed the {rows:,} of {sets:,} new or changed sets;")
    console.print(f"{unchanged:,} sets had not changed. {tests:,} tests passed. Account-days: {states}.")


def table(title: str, names: Iterable[str], numbers: Iterable[str]) -> Table:
    """An empty table with text columns first, numeric ones after."""
    made = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in names:
        made.add_column(name, style="dim" if name == "" else None)
    for number in numbers:
        made.add_column(number, justify="right")
    return made


def landed_table(landed: list[tuple[Any, ...]]) -> Table:
    """Rows of this run for each resource."""
    made = table("Landed by this run", ["source", "resource"], ["read", "landed", "rows/s"])
    last = None
    for source, resource, read, rows, _, _, rate in landed:
        shown = source if source != last else ""
        made.add_row(shown, resource, f"{read:,}", f"{rows:,}", f"{rate:,.0f}" if rate else "")
        last = source
    return made


def star_table(counts: list[tuple[Any, ...]]) -> Table:
    """Rows of each table of the star."""
    made = table("The star", ["table"], ["rows"])
    for name, rows in counts:
        made.add_row(name, f"{rows:,}")
    return made


def agreement_table(query: Query) -> Table:
    """Spend and conversions of the star beside the platforms' own account totals."""
    title = "The star beside the platforms' own totals"
    columns = ["spend", "platform", "difference", "conversions", "platform", "difference"]
    made = table(title, ["platform", "currency"], columns)
    ours = {line[:2]: line[2] for line in query(CONVERSIONS)}
    theirs = {line[:2]: line[2] for line in query(CONTROL_CONVERSIONS)}
    for platform, currency, spend, control in query(SPEND):
        key = (platform, currency)
        money = compared(spend, control, 2)
        made.add_row(platform, currency, *money, *compared(ours.get(key), theirs.get(key), 2))
    return made


def return_table(query: Query, simulated: State) -> Table:
    """What each channel cost and brought, in euros, beside what the business itself knows of it."""
    title = "Return on ad spend by last touch, in EUR, beside the business' own ledger"
    columns = ["spend", "ledger", "claimed", "sign-ups", "orders", "ledger", "revenue", "ledger", "ROAS"]
    made = table(title, ["channel"], columns)
    zone = ZoneInfo(simulated.clevertap_timezone)
    assert simulated.people is not None
    ledger = returns(simulated.business, simulated.people, simulated.now, zone)
    for channel, spend, claimed, sign_ups, orders, revenue in query(ROAS):
        told = ledger.pop(channel, Return())
        made.add_row(
            channel,
            *beside(spend, told.spend, 2),
            f"{claimed:,.0f}",
            f"{sign_ups:,}",
            *beside(orders, told.orders, 0),
            *beside(revenue, told.revenue, 2),
            f"{revenue / spend:.2f}" if spend else "",
        )
    for channel, told in ledger.items():
        made.add_row(channel, *beside(Decimal(0), told.spend, 2), "", "", *beside(Decimal(0), told.orders, 0))
    return made


def funnel_line(query: Query, ledger: Mapping[tuple[datetime, str, str], Counter[str]]) -> str:
    """The funnel of all hours, and how much of it the ledger tells otherwise in any hour and campaign."""
    told = {
        (hour.astimezone(UTC), channel, campaign): Counter(dict(zip(STEPS, map(int, counts), strict=True)))
        for hour, channel, campaign, *counts in query(FUNNEL)
    }
    nothing: Counter[str] = Counter()
    difference = sum(
        abs(told.get(key, nothing)[step] - ledger.get(key, nothing)[step])
        for key in told.keys() | ledger.keys()
        for step in STEPS
    )
    sums = {step: sum(counts[step] for counts in told.values()) for step in STEPS}
    shown = ", ".join(f"{count:,} {step.replace('_', '-')}" for step, count in sums.items())
    style = "bold red" if difference else "green"
    hours = len({hour for hour, _, _ in told})
    return (
        f"The funnel of {hours:,} hours: {shown}.\n"
        f"Beside the ledger, hour by hour, late events included: difference [{style}]{difference:,}[/]."
    )


def beside(ours: Decimal, theirs: Fraction | int, places: int) -> list[str]:
    """Both numbers; green if they are the same as far as they are shown."""
    exact = Decimal(round(Fraction(theirs) * 10**places)).scaleb(-places)
    shown, told = f"{ours:,.{places}f}", f"{exact:,.{places}f}"
    style = "green" if shown == told else "bold red"
    return [shown, f"[{style}]{told}[/]"]


def compared(ours: Decimal | None, theirs: Decimal | None, places: int) -> list[str]:
    """Both numbers and their difference; a missing control is said, never taken for zero."""
    mine = ours or Decimal(0)
    if theirs is None:
        return [f"{mine:,.{places}f}", "no control", ""]
    difference = mine - theirs
    style = "green" if not difference else "bold red"
    return [f"{mine:,.{places}f}", f"{theirs:,.{places}f}", f"[{style}]{difference:,.{places}f}[/]"]
