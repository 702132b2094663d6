"""The demo, twice, on a machine that is cut off from the network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from scripts._demo_summary import CONTROL_CONVERSIONS, CONVERSIONS
from tests.ports import free_port

ROOT = Path(__file__).parents[1]
# Python imports a module of this name when it starts: dlt, dbt and the demo itself are all Python.
REFUSE = """
import os, socket
HERE = {"127.0.0.1", "localhost", "::1", None, ""}

def refuse(host):
    with open(os.environ["REFUSED"], "a") as notes:
        notes.write(f"{host}\\n")
    raise ConnectionRefusedError(f"no network in this test: {host}")

def guarded(connect):
    def guard(self, address, *rest):
        if isinstance(address, tuple) and address[0] not in HERE:
            refuse(address[0])
        return connect(self, address, *rest)
    return guard

def resolve(host, *rest, **named):
    if host not in HERE:
        refuse(host)
    return getaddrinfo(host, *rest, **named)

getaddrinfo, socket.getaddrinfo = socket.getaddrinfo, resolve
socket.socket.connect = guarded(socket.socket.connect)
socket.socket.connect_ex = guarded(socket.socket.connect_ex)
"""


class Demo:
    """Runs of scripts/demo after its set-up, in a state folder of their own."""

    def __init__(self, folder: Path) -> None:
        self.refused = folder / "refused"
        self.state = folder / "state"
        self.port = free_port()
        (folder / "sitecustomize.py").write_text(REFUSE)
        kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG")}
        self.environment = kept | {
            "ADSTAR_HOME": str(ROOT),
            "ADSTAR_STATE": str(self.state),
            "ADSTAR_PORT": str(self.port),
            "DBT_PROJECT_DIR": str(ROOT / "dbt_project"),
            "DBT_PROFILES_DIR": str(ROOT / "profiles"),
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "PYTHONPATH": str(folder),
            "REFUSED": str(self.refused),
        }

    def run(self, *options: str) -> str:
        """What the demo prints; it must end well."""
        ran = subprocess.run(
            [sys.executable, ROOT / "scripts" / "_demo.py", *options],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
        return ran.stdout


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    for each in (folder, folder.parent):
        each.chmod(0o755)
    demo = Demo(folder)
    yield demo
    EmbeddedWarehouse(demo.state / "warehouse", demo.port).stop()


SMALL = ("--days", "4")


@pytest.fixture(scope="module")
def first(demo: Demo) -> str:
    return demo.run(*SMALL)


@pytest.fixture(scope="module")
def second(demo: Demo, first: str) -> str:
    return demo.run(*SMALL)


def changed(output: str) -> tuple[int, int]:
    """Sets that landed, and sets that had not changed."""
    found = re.search(r"of ([\d,]+) new or changed sets;\s+([\d,]+) sets had not changed", output)
    assert found, output
    landed, unchanged = (int(number.replace(",", "")) for number in found.groups())
    return landed, unchanged


def test_the_first_run_lands_everything_and_agrees(first: str) -> None:
    assert "their clock says 2026-03-01 06:00 UTC" in first
    landed, unchanged = changed(first)
    assert landed > 0
    assert unchanged == 0
    assert re.search(r"insights_ad +[1-9]", first)
    assert re.search(r"ad_group_ad_day +[1-9]", first)
    assert re.search(r"fact_ad_performance +[1-9]", first)
    assert "mismatch" not in first


def test_spend_and_conversions_stand_beside_the_platforms_totals(first: str) -> None:
    lines = re.findall(r"^(?:facebook_ads|google_ads) +[A-Z]{3} .*$", first, re.MULTILINE)
    assert len(lines) == 6
    for line in lines:
        spend, their_spend, difference, conversions, theirs, missing = line.split()[2:]
        assert (spend, difference) == (their_spend, "0.00"), line
        assert (conversions, missing) == (theirs, "0.00"), line


def test_the_conversions_shown_are_those_that_conversion_definitions_names(demo: Demo, first: str) -> None:
    """On both sides, and the same that rpt_campaign_daily counts."""
    report = "select platform, currency_code, sum(conversions) from reports.rpt_campaign_daily group by 1, 2"
    warehouse = EmbeddedWarehouse(demo.state / "warehouse", demo.port)
    with closing(warehouse.connect()) as connection, connection.cursor() as cursor:

        def asked(sql: str) -> dict[tuple[str, str], Decimal]:
            cursor.execute(sql)
            return {(platform, currency): conversions for platform, currency, conversions in cursor}

        # What the test changes is never committed.
        purchases = asked(CONVERSIONS)
        assert purchases == asked(CONTROL_CONVERSIONS) == asked(report)
        cursor.execute(
            "update intermediate.conversion_definitions set conversion_action_id = 'lead',"
            " attribution_window = '7d_click' where platform = 'facebook_ads'"
        )
        leads = asked(CONVERSIONS)
        assert leads == asked(CONTROL_CONVERSIONS)
        changed = {
            platform for (platform, currency), sums in leads.items() if sums != purchases[platform, currency]
        }
        assert changed == {"facebook_ads"}
        cursor.execute("update intermediate.conversion_definitions set conversion_action_id = '7'")
        assert asked(CONTROL_CONVERSIONS) == {}


@pytest.mark.full
def test_the_second_run_is_a_day_later_and_incremental(demo: Demo, second: str) -> None:
    assert "a day later and incremental" in second
    assert "their clock says 2026-03-02 06:00 UTC" in second
    landed, unchanged = changed(second)
    assert landed > 0
    assert unchanged > 0
    assert not demo.refused.exists(), demo.refused.read_text()


def test_nothing_asked_for_the_network(demo: Demo, first: str) -> None:
    assert not demo.refused.exists(), demo.refused.read_text()


def test_a_warehouse_with_other_data_is_refused(demo: Demo, first: str) -> None:
    warehouse = EmbeddedWarehouse(demo.state / "warehouse", demo.port)
    with warehouse.connect() as connection, connection.cursor() as cursor:
        cursor.execute("update ops.runs set started_at = started_at + interval '1 year'")
    connection.close()
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / "_demo.py", *SMALL],
        env=demo.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 1
    assert "holds data that no demo has landed" in ran.stderr


@pytest.mark.full
def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    """All figures but times; the demo's data depend on nothing but its options."""
    (shown,) = re.findall(r"```\n(The star beside.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    tmp_path.chmod(0o755)
    demo = Demo(tmp_path)
    try:
        printed = "\n".join(line.rstrip() for line in demo.run().splitlines())
    finally:
        EmbeddedWarehouse(demo.state / "warehouse", demo.port).stop()
    assert re.sub(r"\d+ s\.", "", shown.strip()) in re.sub(r"\d+ s\.", "", printed)
