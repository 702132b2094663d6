"""A CSV of ad rows served as one Meta account's ad-day insights, all on one declared day.

The columns are those of Kaggle's "clicks-conversion-tracking": `ad_id`, `fb_campaign_id` (each has one age,
gender and interest, so it is served as the ad set), `xyz_campaign_id` (the campaign), `age`, `gender`,
`interest`, `Impressions`, `Clicks`, `Spent`, `Total_Conversion` (enquiries, served as `lead`) and
`Approved_Conversion` (sales: `purchase`).

Values keep the text of the file, however many decimals that has. Insights above the ad are exact decimal
sums of the ads. The file says neither account, currency nor time zone; they are declared here.
"""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from starlette.routing import Route

from simulators.graph_archive import GraphArchive, graph_routes

ACCOUNT = "act_1143"
CURRENCY = "USD"
_COLUMNS = {
    "ad_id", "xyz_campaign_id", "fb_campaign_id", "age", "gender", "interest",
    "Impressions", "Clicks", "Spent", "Total_Conversion", "Approved_Conversion",
}  # fmt: skip
_ACTIONS = {"Total_Conversion": "lead", "Approved_Conversion": "purchase"}
_IDS = {"campaign_id": "xyz_campaign_id", "adset_id": "fb_campaign_id", "ad_id": "ad_id"}
_GENDERS = {"M": [1], "F": [2]}

Line = dict[str, str]


def read(file: Path) -> list[Line]:
    """The lines of the CSV, all values as text.

    Raises:
        ValueError: a column is missing, a number isn't one, or an ad occurs twice; names the file and line.
    """
    with file.open(newline="", encoding="utf-8-sig") as handle:
        reader = csv.DictReader(handle)
        if missing := _COLUMNS - set(reader.fieldnames or ()):
            raise ValueError(f"{file}: column {', '.join(sorted(missing))} is missing")
        lines: dict[str, Line] = {}
        for line in reader:
            where = f"{file}:{reader.line_num}"
            if line["ad_id"] in lines:
                raise ValueError(f"{where}: ad {line['ad_id']} occurs twice, an ad has one row a day")
            for column in ("Impressions", "Clicks", "Spent", *_ACTIONS):
                try:
                    Decimal(line[column])
                except ArithmeticError as error:
                    raise ValueError(f"{where}: {column} is {line[column]!r}, not a number") from error
            lines[line["ad_id"]] = line
    return list(lines.values())


def routes(file: Path | str, day: date, sim: Any) -> list[Route]:
    """Routes under `/graph` that serve the CSV `file` as account `ACCOUNT` on the account-local `day`."""
    return graph_routes(archive(read(Path(file)), day), sim)


def archive(lines: list[Line], day: date) -> GraphArchive:
    """The account, its campaigns, ad sets and ads, and the day's insights at all four levels."""
    held = GraphArchive(accounts={ACCOUNT: None})
    account_id = ACCOUNT.removeprefix("act_")
    account = {
        "id": ACCOUNT, "account_id": account_id, "name": "Ads from a CSV file", "currency": CURRENCY,
        "timezone_name": "UTC", "timezone_offset_hours_utc": 0, "account_status": 1,
    }  # fmt: skip
    held.nodes[ACCOUNT] = _json(account)
    state = {"status": "ACTIVE", "configured_status": "ACTIVE", "effective_status": "ACTIVE"}
    own = {"account_id": account_id, **state}
    campaigns, ad_sets, ads = (_grouped(lines, key) for key in ("xyz_campaign_id", "fb_campaign_id", "ad_id"))
    entities: dict[str, list[dict[str, Any]]] = {
        "campaigns": [{"id": key, "name": f"Campaign {key}", **own} for key in campaigns],
        "adsets": [{"id": key, "name": _segment(group[0]), "campaign_id": group[0]["xyz_campaign_id"],
                    "targeting": _targeting(group[0]), **own} for key, group in ad_sets.items()],
        "ads": [{"id": key, "name": f"Ad {key}", "adset_id": group[0]["fb_campaign_id"],
                 "campaign_id": group[0]["xyz_campaign_id"], **own} for key, group in ads.items()],
    }  # fmt: skip
    for name, rows in entities.items():
        held.edge(ACCOUNT, name).add_loose(map(_json, rows))
        held.nodes |= {row["id"]: _json(row) for row in rows}
    levels: dict[str, tuple[list[list[Line]], list[str]]] = {
        "ad": (list(ads.values()), ["campaign_id", "adset_id", "ad_id"]),
        "adset": (list(ad_sets.values()), ["campaign_id", "adset_id"]),
        "campaign": (list(campaigns.values()), ["campaign_id"]),
        "account": ([lines] if lines else [], []),
    }
    shared = {"account_id": account_id, "account_currency": CURRENCY}
    dates = {"date_start": str(day), "date_stop": str(day)}
    for level, (groups, ids) in levels.items():
        held.edge(ACCOUNT, "insights", level).add_loose(
            _json({**shared, **{name: group[0][_IDS[name]] for name in ids}, **_figures(group), **dates})
            for group in groups
        )
    return held


def _grouped(lines: list[Line], key: str) -> dict[str, list[Line]]:
    groups: dict[str, list[Line]] = {}
    for line in lines:
        groups.setdefault(line[key], []).append(line)
    return groups


def _sum(group: list[Line], column: str) -> str:
    """The exact sum as text; of a single line, the text of the file itself."""
    return group[0][column] if len(group) == 1 else format(sum(Decimal(line[column]) for line in group), "f")


def _figures(group: list[Line]) -> dict[str, Any]:
    actions = [{"action_type": kind, "value": _sum(group, column)} for column, kind in _ACTIONS.items()]
    actions = [action for action in actions if Decimal(action["value"])]
    return {
        "impressions": _sum(group, "Impressions"),
        "clicks": _sum(group, "Clicks"),
        "spend": _sum(group, "Spent"),
        **({"actions": actions} if actions else {}),
    }


def _segment(line: Line) -> str:
    return f"{line['age']} {line['gender']} interest {line['interest']}"


def _targeting(line: Line) -> dict[str, Any]:
    low, _, high = line["age"].partition("-")
    ages = {"age_min": int(low), "age_max": int(high)} if low.isdigit() and high.isdigit() else {}
    return {
        **ages,
        **({"genders": _GENDERS[line["gender"]]} if line["gender"] in _GENDERS else {}),
        "flexible_spec": [{"interests": [{"id": line["interest"]}]}],
    }


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
