"""An insights feed that costs next to nothing to serve, so that a landing benchmark measures landing.

One account, one day, ad-level records of thirty columns with two nested lists; pages are cut from a
template, ids differ from row to row. Speaks as much of Meta's protocol as one reading needs.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from urllib.parse import parse_qs

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ACCOUNT = "900000000000001"
DAY = "2026-06-30"
PAGE_ROWS = 1000  # what the loader asks for
_NUMBER = "#########"


def record(ad: str) -> dict[str, object]:
    """One ad's day as Meta writes it: every figure a string, an empty string among them."""
    actions = [
        {"action_type": kind, "value": value, "7d_click": value, "1d_view": "1"}
        for kind, value in (("link_click", "12"), ("purchase", "2"), ("omni_purchase", "2"))
    ]
    return {
        "account_id": ACCOUNT,
        "account_currency": "EUR",
        "account_name": "Bänch 🛒",
        "campaign_id": "6074690353270",
        "campaign_name": 'Prospecting \\ "spring"',
        "adset_id": "6034803786708",
        "adset_name": "",
        "ad_id": ad,
        "ad_name": f"Ad {ad}",
        "impressions": "5812",
        "clicks": "42",
        "inline_link_clicks": "12",
        "spend": "16.30",
        "reach": "5331",
        "frequency": "1.090227",
        "cpc": "0.388095",
        "cpm": "2.804542",
        "cpp": "3.057588",
        "ctr": "0.722643",
        "unique_clicks": "40",
        "unique_ctr": "0.750328",
        "objective": "OUTCOME_SALES",
        "buying_type": "AUCTION",
        "optimization_goal": "OFFSITE_CONVERSIONS",
        "attribution_setting": "7d_click_1d_view",
        "quality_ranking": "AVERAGE",
        "date_start": DAY,
        "date_stop": DAY,
        "actions": actions,
        "action_values": [{"action_type": "purchase", "value": "59.80", "7d_click": "59.80"}],
    }


_TEMPLATE = b",".join(json.dumps(record(_NUMBER), ensure_ascii=False).encode() for _ in range(PAGE_ROWS))
_PARTS = _TEMPLATE.split(_NUMBER.encode())


def records(page: int) -> bytes:
    """The records of one page as the inside of a JSON list; row n of the feed has ad id 100000000 + n."""
    first = 100_000_000 + page * PAGE_ROWS
    numbers = [number for row in range(PAGE_ROWS) for number in (str(first + row).encode(),) * 2]
    return b"".join(part for pair in zip(_PARTS, [*numbers, b""], strict=True) for part in pair)


def body(page: int, pages: int, base: str) -> bytes:
    """A page of the report run, linked to its next."""
    following = f'"next":"{base}/v26.0/1/insights?after={page + 1}"' if page + 1 < pages else '"cursors":{}'
    return b'{"data":[%s],"paging":{%s}}' % (records(page), following.encode())


def bodies(rows: int) -> Iterator[bytes]:
    """All pages of a feed of so many rows."""
    pages = rows // PAGE_ROWS
    return (body(page, pages, "http://feed") for page in range(pages))


def application(rows: int) -> Starlette:
    """The server: one report run of `rows` ad rows, campaign and account rows that add up to it."""
    pages = rows // PAGE_ROWS
    sums = {
        "impressions": str(5812 * rows),
        "clicks": str(42 * rows),
        "spend": f"{rows * 1630 // 100}.{rows * 1630 % 100:02}",
    }
    total = {"account_id": ACCOUNT, "account_currency": "EUR", "date_start": DAY, "date_stop": DAY, **sums}

    async def answer(request: Request) -> Response:
        path = request.url.path.split("/", 2)[2]
        base = str(request.base_url).rstrip("/")
        if request.method == "POST":
            level = parse_qs((await request.body()).decode())["level"]
            return _json({"report_run_id": "1" if level == ["ad"] else "2"})
        if path in ("1", "2"):
            return _json({"id": path, "async_status": "Job Completed", "async_percent_completion": 100})
        if path == "1/insights":
            return Response(
                body(int(request.query_params.get("after", 0)), pages, base), media_type="application/json"
            )
        if path == "2/insights":
            return _json({"data": [{**total, "campaign_id": "6074690353270"}]})
        if path == "me/adaccounts":
            return _json(
                {
                    "data": [
                        {
                            "id": f"act_{ACCOUNT}",
                            "account_id": ACCOUNT,
                            "name": "Bench",
                            "currency": "EUR",
                            "timezone_name": "UTC",
                        }
                    ]
                }
            )
        if path.endswith("/insights"):
            return _json({"data": [total]})
        return _json({"data": []})

    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def _json(content: object) -> Response:
    return Response(json.dumps(content), media_type="application/json")


if __name__ == "__main__":
    uvicorn.run(
        application(int(sys.argv[1])),
        host="127.0.0.1",
        port=int(sys.argv[2]),
        log_level="error",
        access_log=False,
    )
