"""The main job on real input: recorded Graph API traffic, and a table of real ad rows.

The recording is read here once more by other means than the loaders': every value is compared with its text
in the file. `expected/` is what another tool made of the same traffic.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from simulators.replay import recorded_days
from tests.end_to_end.chain import MORNING, ROOT, Chain, chain

DATA = ROOT.parent / "shared" / "data"
RECORDING = DATA / "facebook"
ADS_CSV = DATA / "ads_csv" / "kag_conversion_data.csv"


def skip_unless(path: Path) -> None:
    if not path.exists():
        pytest.skip(f"the real data are not there: {path}")


# ---- the recording


@pytest.fixture(scope="module")
def replayed(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    """A run on the morning after the last recorded day, and a build with all tests."""
    skip_unless(RECORDING)
    days = recorded_days(RECORDING)
    assert days is not None
    now = datetime.combine(days[1] + timedelta(days=1), time(6), MORNING.tzinfo)
    folder = tmp_path_factory.mktemp("replayed")
    with chain(server, folder, replay=RECORDING, now=now, start=days[0]) as made:
        (landed,) = made.land("facebook_ads")  # nothing of Google was recorded
        assert landed.outcome == "ok", landed
        built = made.dbt("build")
        assert built.code == 0, built.failed
        yield made


class Recording:
    """The rows of the recording, by edge: every row as a set of (field, text)."""

    def __init__(self) -> None:
        self.text = "".join(file.read_text() for file in sorted(RECORDING.glob("*.jsonl")))
        self.rows: dict[str, Counter[frozenset[tuple[str, str]]]] = {
            "ads": Counter(), "adsets": Counter(), "campaigns": Counter(), "insights_ad": Counter()
        }  # fmt: skip
        for line in self.text.splitlines():
            # Numbers keep the text they were written with.
            exchange = json.loads(line, parse_float=str, parse_int=str)
            edge = urlsplit(exchange["url"]).path.split("/")[-1]
            body = exchange["body"]
            pages = [body] if "data" in body else list(body.values())
            for page in pages:
                for row in page["data"]:
                    self.rows[edge][flat(row)] += 1
                    for insight in row.get("insights", {}).get("data", []):
                        self.rows["insights_ad"][flat(insight)] += 1

    def assert_verbatim(self, text: str) -> None:
        """This text stands in the recording, byte for byte."""
        assert text in self.text


def flat(row: dict[str, Any]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (name, value if isinstance(value, str) else json.dumps(value)) for name, value in row.items()
    )


def landed(made: Chain, table: str) -> list[dict[str, str]]:
    """The landed rows, without what is null and what is not the vendor's."""
    lines = made.rows(f"select to_jsonb(landed) from raw_facebook_ads.{table} as landed")
    return [
        {name: value for name, value in line.items() if value is not None and not name.startswith("_")}
        for (line,) in lines
    ]


@pytest.mark.parametrize("table", ["ads", "adsets", "campaigns", "insights_ad"])
def test_every_recorded_row_lands_and_no_other_value_by_value(replayed: Chain, table: str) -> None:
    recording = Recording()
    found: Counter[frozenset[tuple[str, str]]] = Counter()
    for row in landed(replayed, table):
        values = dict(row)
        for name, text in row.items():
            if text[0] in "[{":
                recording.assert_verbatim(text)
                values[name] = json.dumps(json.loads(text, parse_float=str, parse_int=str))
        found[frozenset(values.items())] += 1
    assert found == recording.rows[table]
    print(f"figure: {sum(found.values()):,} recorded rows of {table}, all landed, no other")


def test_nothing_else_lands(replayed: Chain) -> None:
    """What was not recorded lands as nothing, with a receipt that says so."""
    accounts = [account["id"] for account in landed(replayed, "adaccounts")]
    assert sorted(accounts) == ["act_10152412627713995", "act_10152437784203995"]
    for table in ("adcreatives", "insights_campaign", "insights_account"):
        assert landed(replayed, table) == []
        receipts = replayed.rows("select rows from raw_facebook_ads.covered where resource = %s", [table])
        assert receipts
        assert set(receipts) == {(0,)}


@pytest.mark.parametrize(("node", "count"), [("ads", 788), ("adsets", 224), ("campaigns", 63)])
def test_entities_are_those_of_the_other_tool(replayed: Chain, node: str, count: int) -> None:
    theirs = expected("ads", node)
    assert len(theirs) == count
    shared = [name for name in ("id", "name", "adset_id", "account_id") if name in theirs[0]]
    columns = ", ".join(f"coalesce({name}, '')" for name in shared)
    ours = replayed.rows(
        f"select {columns} from raw_facebook_ads.{node} where _account = %s",
        [theirs[0]["ex-account-id"].removeprefix("act_")],
    )
    assert Counter(ours) == Counter(tuple(row[name] for name in shared) for row in theirs)
    print(f"figure: {len(ours)} {node}, equal to the other tool's")


def test_action_lines_are_those_of_the_other_tool(replayed: Chain) -> None:
    theirs = expected("adsinsights", "ads_insights")
    assert len(theirs) == 249
    figures = ("ad_id", "clicks", "date_start", "date_stop", "impressions", "reach", "spend")
    ours = [
        (name, action["action_type"], action["value"], *(row[figure] for figure in figures))
        for row in landed(replayed, "insights_ad")
        for name in ("actions", "video_p95_watched_actions", "video_30_sec_watched_actions")
        for action in json.loads(row.get(name, "[]"))
        if row["ad_id"] in {line["ad_id"] for line in theirs}
    ]
    told = [
        (line["ads_action_name"], line["action_type"], line["value"], *(line[figure] for figure in figures))
        for line in theirs
    ]
    assert Counter(ours) == Counter(told)
    print(f"figure: {len(ours)} action lines, equal to the other tool's")


def test_without_platform_totals_no_day_is_green(replayed: Chain) -> None:
    """The recording holds no account totals, and it says so of every account-day."""
    states = replayed.rows(
        "select distinct state from reports.rpt_reconciliation where platform = 'facebook_ads'"
    )
    assert states == [("no_control",)]


def test_the_recorded_figures_reach_the_fact(replayed: Chain) -> None:
    spend = sum(Decimal(row["spend"]) for row in landed(replayed, "insights_ad"))
    rows = replayed.rows("select count(*), sum(spend) from marts.fact_ad_performance where row_kind = 'ad'")
    assert rows == [(len(landed(replayed, "insights_ad")), spend)]


def expected(folder: str, node: str) -> list[dict[str, str]]:
    """A table of the other tool's; the names of its columns stand beside it."""
    place = RECORDING / "expected" / folder
    (file,) = place.glob(f"{node}__*.csv")
    columns = json.loads((place / f"{node}.manifest.json").read_text())["columns"]
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle, fieldnames=columns))


# ---- the table of ad rows


def test_the_rows_of_the_table_reach_the_fact_intact(server: EmbeddedWarehouse, tmp_path: Path) -> None:
    skip_unless(ADS_CSV)
    with ADS_CSV.open(newline="", encoding="utf-8-sig") as handle:
        lines = list(csv.DictReader(handle))
    day = (MORNING - timedelta(days=1)).date()
    with chain(server, tmp_path, ads_csv=ADS_CSV, ads_csv_day=day, start=day) as made:
        made.land_days(1)
        built = made.build_models()
        assert built.code == 0, built.failed
        facts = made.rows(
            "select ad_id, impressions, clicks, spend from marts.fact_ad_performance"
            " where platform = 'facebook_ads' and row_kind = 'ad' and date_day = %s",
            [day],
        )
        states = made.rows(
            "select state, spend_difference from reports.rpt_reconciliation where date_day = %s"
            " and platform = 'facebook_ads'",
            [day],
        )
    told = [
        (line["ad_id"], int(line["Impressions"]), int(line["Clicks"]), Decimal(line["Spent"]))
        for line in lines
    ]
    assert sorted(facts) == sorted(told)
    impressions, spend = sum(fact[1] for fact in facts), sum(fact[3] for fact in facts)
    assert (len(facts), impressions, round(spend, 2)) == (1143, 213_434_828, Decimal("58705.23"))
    assert states == [("matched", 0)]
    print(f"figure: {len(facts):,} rows, impressions {impressions:,}, spend {spend:,.2f}")
