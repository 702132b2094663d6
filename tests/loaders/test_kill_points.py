"""Killed, paused, overtaken: the next plain run ends with the same data, nothing lost and nothing twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from loaders._core.lease import Lease, LeaseLost, LeaseTaken
from loaders._core.ops import Books
from loaders._core.warehouse import Target
from tests import preloaded
from tests.conftest import ROOT
from tests.loaders.kills import kills
from tests.loaders.vendor import Vendor

KILLS = kills([("read.file_written", False), ("load.file_committed", True), ("commit.inside", False)])


def days(value: str) -> dict[str, list[dict[str, str]]]:
    return {
        f"2026-03-{d:02}": [{"id": f"{d}-{n}", "spend": value, "clicks": "1"} for n in range(30)]
        for d in (8, 9, 10)
    }


def start(vendor: Vendor, **environment: str) -> subprocess.Popen[str]:
    vendor.write()
    return preloaded.Popen(
        [sys.executable, "-m", "tests.loaders.vendor", str(vendor.file)],
        cwd=ROOT,
        env={**os.environ, "ADSTAR_NOW": vendor.now, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def truth(vendor: Vendor) -> list[tuple]:
    return vendor.current("days", "_account, id, spend")


def expected(vendor: Vendor) -> list[tuple]:
    return sorted(
        (account, row["id"], row["spend"])
        for account, by_day in vendor.data["days"].items()
        for rows in by_day.values()
        for row in rows
    )


@pytest.mark.parametrize(("point", "wiped"), KILLS)
def test_killed_at_any_point_the_next_plain_run_is_right(vendor: Vendor, point: str, wiped: bool) -> None:
    vendor.data["accounts"] = [{"id": "1"}, {"id": "2"}]
    vendor.data["days"] = {"1": days("1"), "2": days("1")}
    assert finish(start(vendor))[0] == 0
    before = expected(vendor)
    vendor.data["days"] = {"1": days("2"), "2": {**days("1"), "2026-03-09": days("3")["2026-03-09"]}}
    code, output = finish(start(vendor, ADSTAR_KILL_AT=point))
    assert code == -signal.SIGKILL, output
    # What was not committed does not count; what was, does, whether or not the process could still say so.
    after = expected(vendor) if point in ("commit.after", "run.before_end") else before
    assert sorted(truth(vendor)) == after
    if wiped:
        shutil.rmtree(os.environ["ADSTAR_STATE"])
    code, output = finish(start(vendor))
    assert (code, "ok" in output) == (0, True), output
    assert sorted(truth(vendor)) == expected(vendor)
    outcomes = vendor.query("select outcome from ops.runs order by started_at, outcome")
    assert ("running",) not in outcomes
    assert ("failed",) in outcomes or point == "lease.taken"


def test_the_data_of_the_day_of_the_rerun_counts_not_that_of_the_killed_run(vendor: Vendor) -> None:
    """A package left pending must not be loaded instead of what is true now."""
    vendor.data["days"] = {"1": days("1")}
    assert finish(start(vendor, ADSTAR_KILL_AT="normalize.done"))[0] == -signal.SIGKILL
    vendor.data["days"] = {"1": days("2")}
    assert finish(start(vendor))[0] == 0
    assert truth(vendor) == expected(vendor)


def test_a_paused_run_that_wakes_after_a_newer_one_changes_nothing(vendor: Vendor, tmp_path: Path) -> None:
    vendor.data["days"] = {"1": days("1")}
    gate = tmp_path / "gate"
    process = start(vendor, VENDOR_PAUSE=str(gate), ADSTAR_LEASE_SECONDS="1")
    wait_for(gate.exists)
    os.kill(process.pid, signal.SIGSTOP)
    time.sleep(1.5)
    vendor.data["days"] = {"1": days("2")}
    code, output = finish(start(vendor, ADSTAR_LEASE_SECONDS="1"))
    assert code == 0, output
    gate.unlink()
    os.kill(process.pid, signal.SIGCONT)
    code, output = finish(process)
    assert code == 1, output
    assert truth(vendor) == expected(vendor)
    assert vendor.query("select count(*) from ops.commits") == [(1,)]


def test_a_second_run_is_refused_while_the_first_is_alive(vendor: Vendor, tmp_path: Path) -> None:
    vendor.data["days"] = {"1": days("1")}
    gate = tmp_path / "gate"
    process = start(vendor, VENDOR_PAUSE=str(gate))
    wait_for(gate.exists)
    result = vendor.run()
    assert result.outcome == "failed"
    assert "another run of vendor is at work" in (result.message or "")
    assert str(process.pid) in (result.message or "")
    gate.unlink()
    assert finish(process)[0] == 0
    assert vendor.run().outcome == "ok"


def test_a_commit_after_losing_the_lease_writes_nothing(target: Target) -> None:
    Books(target, "vendor").prepare()
    with Lease(target, "vendor") as lease:
        connection = target.connect()
        with connection.cursor() as cursor:
            cursor.execute("update ops.lease set run_seq = run_seq + 1, holder = 'another:1:0:0'")
            with pytest.raises(LeaseLost):
                lease.commit(lambda c: c.execute("insert into ops.commits values (99, 'vendor', 'x', now())"))
            with pytest.raises(LeaseLost):
                lease.advance()
            cursor.execute("select count(*) from ops.commits")
            assert cursor.fetchone() == (0,)
        connection.close()


def test_numbers_rise_over_all_pipelines_and_never_repeat(target: Target) -> None:
    Books(target, "a").prepare()
    numbers = []
    for name in ("a", "b", "a", "b"):
        with Lease(target, name) as lease:
            numbers += [lease.run_seq, lease.advance()]
    assert numbers == sorted(set(numbers))


def test_two_pipelines_hold_leases_at_once_and_one_pipeline_does_not(target: Target) -> None:
    Books(target, "a").prepare()
    with Lease(target, "a"), Lease(target, "b"), pytest.raises(LeaseTaken), Lease(target, "a"):
        pass


def test_taking_at_the_same_moment_one_gets_it(target: Target) -> None:
    Books(target, "a").prepare()
    outcomes: list[str] = []
    done = threading.Event()

    def take() -> None:
        try:
            with Lease(target, "a"):
                outcomes.append("taken")
                done.wait(10)
        except LeaseTaken:
            outcomes.append("refused")

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(outcomes) == 4)
    done.set()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "refused", "refused", "taken"]


def test_the_heart_beats_while_a_run_reads(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADSTAR_LEASE_SECONDS", "0.8")
    Books(target, "a").prepare()
    with Lease(target, "a"):
        time.sleep(1.6)
        with pytest.raises(LeaseTaken), Lease(target, "a"):
            pass


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "waited for a minute"
        time.sleep(0.02)
