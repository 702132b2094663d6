"""The loader that docs/add-a-source.md shows runs as it stands there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from loaders._core.warehouse import Target

ROOT = Path(__file__).parents[1]
TOKEN = "a-secret-token"
ACCOUNTS = [
    {"id": "1", "name": "North", "timezone": "Europe/Oslo", "currency": "NOK"},
    {"id": "2", "name": "South", "timezone": "Europe/Rome", "currency": "EUR"},
]
CAMPAIGNS = [{"id": f"c{number}", "name": f"Campaign {number}", "status": "ACTIVE"} for number in range(5)]


def figures(campaign: str, day: str) -> dict[str, object]:
    return {"campaign_id": campaign, "day": day, "impressions": 100, "clicks": 3, "spend": "1.50"}


class ExampleAds(BaseHTTPRequestHandler):
    """Three edges; campaigns come in pages of two."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.answer(401, {"error": "who are you?"})
        elif url.path == "/v1/accounts":
            self.answer(200, {"data": ACCOUNTS})
        elif url.path.endswith("/campaigns"):
            page = int(query.get("page", "0"))
            body: dict[str, object] = {"data": CAMPAIGNS[2 * page : 2 * page + 2]}
            if 2 * page + 2 < len(CAMPAIGNS):
                body["next"] = f"http://{self.headers['Host']}{url.path}?page={page + 1}"
            self.answer(200, body)
        else:
            days = [f"2026-02-{day:02}" for day in range(1, 29)]
            asked = [day for day in days if query["since"] <= day <= query["until"]]
            self.answer(200, {"data": [figures(each["id"], day) for day in asked for each in CAMPAIGNS]})

    def answer(self, status: int, body: dict[str, object]) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


@pytest.fixture
def vendor() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), ExampleAds)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_documented_loader_lands_what_the_vendor_has(
    vendor: str, target: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "add-a-source.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    shutil.copytree(ROOT / "loaders", tmp_path / "loaders")
    (tmp_path / "loaders" / "example_ads.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("ADSTAR_HOME", str(ROOT))
    monkeypatch.setenv("ADSTAR_NOW", "2026-02-10T12:00:00+00:00")
    monkeypatch.setenv("SOURCES__EXAMPLE_ADS__BASE_URL", vendor)
    monkeypatch.setenv("SOURCES__EXAMPLE_ADS__ACCESS_TOKEN", TOKEN)

    run = subprocess.run(
        [Path(sys.executable).parent / "dlt", "pipeline", "example_ads", "run"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert TOKEN not in run.stdout + run.stderr
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*), count(distinct _account) from raw_example_ads.campaigns")
        assert cursor.fetchone() == (10, 2)
        cursor.execute(
            "select count(*), min(_day)::text, max(_day)::text, min(spend), sum(clicks::int)"
            " from raw_example_ads.campaign_days"
        )
        assert cursor.fetchone() == (100, "2026-02-01", "2026-02-10", "1.50", 300)
        cursor.execute(
            "select (totals::jsonb ->> 'spend')::float from raw_example_ads.covered"
            " where resource = 'campaign_days' and account = '2' and day = '2026-02-03'"
        )
        assert cursor.fetchall() == [(7.5,)]
