"""A run that was paused and wakes after a newer one changes nothing."""

from __future__ import annotations

import signal
import time

from tests.end_to_end.chain import Chain

SILENCE = {"ADSTAR_LEASE_SECONDS": "2"}


def test_a_paused_run_that_wakes_after_a_newer_one_changes_nothing(journey: Chain) -> None:
    simulator = journey.simulator
    simulator.fault("slow", platform="facebook_ads", resource="insights_ad", seconds=0.5)
    asked = len(simulator.requests)
    paused = journey.start("facebook_ads", "run", **SILENCE)
    while not any("/insights" in request["path"] for request in simulator.requests[asked:]):
        assert paused.poll() is None
        time.sleep(0.02)
    paused.send_signal(signal.SIGSTOP)
    simulator.clear_faults()
    time.sleep(2.5)

    journey.next_day()
    code, output = journey.run("facebook_ads", "run", **SILENCE)
    assert code == 0, output
    newer = state_of(journey)

    paused.send_signal(signal.SIGCONT)
    output, _ = paused.communicate(timeout=300)
    assert paused.returncode == 1, output
    assert state_of(journey) == newer


def state_of(chain: Chain) -> list[tuple[object, ...]]:
    """What counts: the committed receipts, and how many rows stand behind each."""
    return chain.rows(
        "select covered.resource, covered.account, covered.day, covered.run_seq, covered.data_run_seq,"
        " covered.rows_hash, count(landed.ad_id) from raw_facebook_ads.covered"
        " join ops.commits using (run_seq) left join raw_facebook_ads.insights_ad as landed"
        " on covered.resource = 'insights_ad' and landed._account = covered.account"
        " and landed._day = covered.day and landed._run_seq = covered.data_run_seq"
        " group by 1, 2, 3, 4, 5, 6 order by 1, 2, 3, 4, 5, 6"
    )
