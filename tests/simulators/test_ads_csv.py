"""The CSV arrives as one account's day: every row, every digit, and sums that reconcile."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from simulators import ads_csv
from tests.simulators.serving import serve

FILE = Path(__file__).parents[3] / "shared" / "data" / "ads_csv" / "kag_conversion_data.csv"
DAY = date(2026, 2, 14)
HEADER = (
    "ad_id,xyz_campaign_id,fb_campaign_id,age,gender,interest,Impressions,Clicks,Spent,Total_Conversion,"
    "Approved_Conversion\n"
)
SIM = SimpleNamespace(now=datetime(2026, 3, 1, tzinfo=UTC), log_request=lambda *_: None)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    if not FILE.exists():
        pytest.skip(f"no CSV at {FILE}")
    with serve(ads_csv.routes(FILE, DAY, SIM)) as client:
        yield client


def data(client: httpx.Client, path: str, **params: Any) -> list[dict[str, Any]]:
    url: str | None = str(
        httpx.URL(f"/graph/v26.0/{ads_csv.ACCOUNT}/{path}", params={"limit": 200, **params})
    )
    rows = []
    while url:
        body = client.get(url).json()
        rows += body["data"]
        url = body.get("paging", {}).get("next")
    return rows


def test_every_line_is_an_ad_row_with_the_text_of_the_file(client: httpx.Client) -> None:
    rows = data(client, "insights", level="ad", time_increment=1)
    with FILE.open() as handle:
        lines = {line["ad_id"]: line for line in csv.DictReader(handle)}
    assert len(rows) == len(lines) == 1143
    for row in rows:
        line = lines[row["ad_id"]]
        assert (row["impressions"], row["clicks"], row["spend"]) == (
            line["Impressions"],
            line["Clicks"],
            line["Spent"],
        )
        actions = {action["action_type"]: action["value"] for action in row.get("actions", [])}
        assert actions.get("lead", "0") == line["Total_Conversion"]
        assert actions.get("purchase", "0") == line["Approved_Conversion"]


@pytest.mark.parametrize(("level", "count"), [("ad", 1143), ("adset", 691), ("campaign", 3), ("account", 1)])
def test_every_level_sums_to_the_same_totals(client: httpx.Client, level: str, count: int) -> None:
    rows = data(client, "insights", level=level)
    assert len(rows) == count
    totals = {name: sum(Decimal(row[name]) for row in rows) for name in ("impressions", "clicks", "spend")}
    assert totals == {"impressions": 213_434_828, "clicks": 38_165, "spend": Decimal("58705.229958205")}
    assert round(totals["spend"], 2) == Decimal("58705.23")
    assert {(row["date_start"], row["date_stop"]) for row in rows} == {(str(DAY), str(DAY))}


def test_entities_carry_the_ids_of_the_file(client: httpx.Client) -> None:
    ads, ad_sets, campaigns = (data(client, name) for name in ("ads", "adsets", "campaigns"))
    assert [len(ads), len(ad_sets), len(campaigns)] == [1143, 691, 3]
    assert {ad["adset_id"] for ad in ads} == {ad_set["id"] for ad_set in ad_sets}
    assert {ad_set["campaign_id"] for ad_set in ad_sets} == {campaign["id"] for campaign in campaigns}
    (account,) = client.get("/graph/v26.0/me/adaccounts").json()["data"]
    assert (account["id"], account["currency"], account["timezone_name"]) == (ads_csv.ACCOUNT, "USD", "UTC")


def test_other_days_are_empty(client: httpx.Client) -> None:
    def on(day: str) -> int:
        return len(data(client, "insights", level="ad", time_range=json.dumps({"since": day, "until": day})))

    assert (on("2026-02-13"), on("2026-02-14"), on("2026-02-15")) == (0, 1143, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ad_id,Clicks\n1,2\n", "column .*Spent.* is missing"),
        (HEADER + "1,2,3,30-34,M,4,10,1,free,0,0\n", ":2: Spent is 'free', not a number"),
        (HEADER + "1,2,3,30-34,M,4,10,1,1.5,0,0\n" * 2, ":3: ad 1 occurs twice"),
    ],
)
def test_a_bad_file_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "ads.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        ads_csv.read(tmp_path / "ads.csv")
