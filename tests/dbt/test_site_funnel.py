"""The hourly funnel of the site's events, loaded from a broker and built in two mornings, against the ledger.

Of the dimensions only what these models read is there, and empty at first, as if nothing else had ever been
landed. On the second morning comes what devices tell late.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from loaders._core import configure, warehouse
from loaders._core.declare import Clock
from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.run import SourceRun
from loaders._core.text import unescape
from simulators.business import Business
from simulators.kafka_cluster import KafkaCluster
from simulators.people import People
from simulators.site_events import STEPS, TOPIC, Message, SiteEvents, send, settings_env
from tests.conftest import ROOT
from tests.dbt.star import Star, star

BIN = Path(sys.executable).parent
SINCE = datetime(2026, 2, 20, tzinfo=UTC)
FIRST = datetime(2026, 3, 1, 6, tzinfo=UTC)
SECOND = FIRST + timedelta(days=1)
DIMENSIONS = (
    "create schema intermediate",
    "create schema marts",
    "create table intermediate.int_identities__resolved (identity_pseudonym text, user_key bigint)",
    "create table marts.dim_campaign (platform text, account_id text, campaign_id text, campaign_key bigint,"
    " campaign_name text, valid_from_at timestamptz, valid_to_at timestamptz)",
)
FACTS = ("fact_site_event", "fact_site_session")
Funnel = dict[tuple[datetime, str, str], Counter[str]]


class Stream:
    """A topic, what is sent to it, the loader for it, and the models of it."""

    def __init__(self, built: Star, cluster: KafkaCluster) -> None:
        self.built, self.cluster = built, cluster
        self.site = SiteEvents(People(Business(7, date(2026, 2, 20), 8, 0.2)))
        self.variables = settings_env(cluster.bootstrap)

    def land(self, since: datetime, until: datetime) -> None:
        """Send what belongs to this time, and read it."""
        send(self.site.messages(since, until), self.cluster.bootstrap)
        with patch.dict(os.environ, self.built.environment | self.variables):
            loader = configure.available()["kafka"]
            settings = configure.settings_of(loader)
            result = SourceRun(loader, settings, warehouse.resolve(), Clock(until)).execute()
        assert result.outcome == "ok", result

    def funnel(self) -> Funnel:
        """As the report tells it."""
        rows = self.built.landing.query(
            f"select hour_at, channel, coalesce(campaign_id, ''), {', '.join(STEPS)} from reports.rpt_funnel"
        )
        found: Funnel = {}
        for hour, channel, campaign, *counts in rows:
            counted = Counter(dict(zip(STEPS, counts, strict=True)))
            key = (hour.astimezone(UTC), channel, campaign)
            found[key] = found.get(key, Counter()) + counted
        return found


@pytest.fixture(scope="module")
def stream(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stream]:
    """The first morning, built."""
    folder: Path = tmp_path_factory.mktemp("stream")
    with star(server, folder, selector="stream") as built, KafkaCluster() as cluster:
        cluster.create_topic(TOPIC, 4)
        built.landing.execute(*DIMENSIONS)
        built.dbt("run")
        assert built.landing.query("select count(*) from reports.rpt_funnel") == [(0,)], "no Kafka, no rows"
        found = Stream(built, cluster)
        found.land(SINCE, FIRST)
        built.dbt("run")
        yield found


@pytest.fixture(scope="module")
def first(stream: Stream) -> Funnel:
    """What was told of the first morning."""
    return stream.funnel()


@pytest.fixture(scope="module")
def second(stream: Stream, first: Funnel) -> Funnel:
    """And of the second, when what devices told late has come."""
    stream.land(FIRST, SECOND)
    stream.built.dbt("run")
    return stream.funnel()


def test_the_funnel_is_that_of_the_ledger(stream: Stream, first: Funnel) -> None:
    ledger = stream.site.ledger(SINCE, FIRST)
    assert first == ledger
    assert all(sum(steps[name] for steps in ledger.values()) for name in STEPS)


def test_late_events_count_in_the_hour_in_which_they_happened(
    stream: Stream, first: Funnel, second: Funnel
) -> None:
    assert second == stream.site.ledger(SINCE, SECOND)
    changed = {
        hour
        for hour, channel, campaign in second
        if hour < FIRST - timedelta(hours=2)
        and second[hour, channel, campaign] != first.get((hour, channel, campaign), Counter())
    }
    assert changed, "nothing came late, so nothing was tried"
    page = (ROOT / "docs" / "runbooks" / "funnel.md").read_text()
    asked = page.partition("```sql\n")[2].partition(";\n```")[0]
    assert changed & {hour for hour, *_ in stream.built.landing.query(asked)}


def test_what_was_built_piece_by_piece_is_what_is_built_at_once(
    stream: Stream, first: Funnel, second: Funnel
) -> None:
    def marts() -> dict[str, list[tuple[Any, ...]]]:
        return {name: stream.built.dump()[name] for name in FACTS}

    query = stream.built.landing.query
    assert query("select distinct user_key, campaign_key from marts.fact_site_event") == [(-1, -1)]
    # Whose they were is told after the events; then campaigns get another name.
    query("insert into intermediate.int_identities__resolved"
          " select user_pseudonym, min(event_key) from marts.fact_site_event where user_pseudonym is not null"
          " group by 1 returning 1")  # fmt: skip
    query("insert into marts.dim_campaign"
          " select platform, max(account_id), campaign_id, min(event_key), 'Spring', '-infinity', 'infinity'"
          " from marts.fact_site_event where campaign_id is not null group by 1, 3 returning 1")  # fmt: skip
    stream.built.dbt("run")
    known = "select count(*) from marts.fact_site_event where (user_pseudonym is null) <> (user_key = -1)"
    assert query(f"{known} or (campaign_id is null) <> (campaign_key = -1)") == [(0,)]
    half = f"'{FIRST - timedelta(days=1)}'"
    query("with older as (update marts.dim_campaign"
          f" set valid_to_at = {half} returning platform, account_id, campaign_id, campaign_key)"
          " insert into marts.dim_campaign"
          f" select platform, account_id, campaign_id, campaign_key + 1, 'Summer', {half}, 'infinity'"
          " from older returning 1")  # fmt: skip
    stream.built.dbt("run")
    names = dict(
        query(f"select campaign_name, count(*) from reports.rpt_funnel where hour_at < {half} group by 1")
    )
    assert names.keys() == {"Spring", None}
    names = dict(
        query(f"select campaign_name, count(*) from reports.rpt_funnel where hour_at > {half} group by 1")
    )
    assert names.keys() == {"Summer", None}
    assert stream.funnel() == second
    pieces = marts()
    assert all(pieces.values())
    stream.built.dbt("run", "--full-refresh")
    assert marts() == pieces


def test_nothing_of_it_is_lost_or_told_twice(stream: Stream, second: Funnel) -> None:
    """dbt's own tests of these models pass, and fail where an event is missing or a visit is too long."""
    tests = [
        "assert_fact_site_event_holds_every_event",
        "assert_the_funnel_holds_every_event",
        "assert_visits_do_not_overlap",
    ]
    unit = [f"{model},test_type:unit" for model in ("stg_kafka__site_events", *FACTS, "rpt_funnel")]
    statuses = stream.built.dbt("test", "--select", *tests, *unit)
    assert list(statuses.values()).count("pass") == len(tests) + len(unit)
    stream.built.landing.execute(
        "delete from marts.fact_site_event where event_name = 'order'",
        "update marts.fact_site_session set ended_at = ended_at + interval '40 days'",
    )
    statuses = stream.built.dbt("test", "--select", *tests, code=1)
    assert [statuses[name] for name in tests] == ["fail", "pass", "fail"]


class Probes:
    """One click after the other, each of a campaign of its own, told as it happens."""

    def __init__(self, bootstrap: str) -> None:
        self.happened: dict[str, float] = {}
        self._bootstrap = bootstrap
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)

    def __enter__(self) -> Probes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Send no more."""
        self._ended.set()
        self._thread.join()

    def _send(self) -> None:
        while not self._ended.wait(0.2):
            now, number = time.time(), str(10_000 + len(self.happened))
            event = {"event_id": f"probe-{now}", "event_name": "click", "occurred_at": _text(now)}
            body = {
                "batch_id": number, "sent_at": _text(now), "device_id": f"probe-{number}", "events": [event],
                "context": {"campaign": {"platform": "google_ads", "campaign_id": number}},
            }  # fmt: skip
            value = json.dumps(body).encode()
            send([Message(TOPIC, number.encode(), [], value, int(now * 1000))], self._bootstrap)
            self.happened[number] = now


def test_no_event_is_lost_for_its_characters(stream: Stream, second: Funnel) -> None:
    """JSON may spell characters that no text of Postgres holds: they become what raw has in their place."""
    half, other = r"\ud83d", r"\ude00"
    spelled = [
        *(r"\u0000", r"\u0000\u0000", half, other, half + other, half + half + other, other + half),
        *(r"\\u0000", r"\\\u0000", "\\\\" + half + other, "\\\\" + other, r"\uD83Dx"),
    ]
    events = [
        f'{{"event_id": "odd-{n}", "event_name": "page_view", "occurred_at": "2026-03-02T05:00:00Z",'
        f' "properties": {{"order_id": "{text}"}}}}'
        for n, text in enumerate(spelled)
    ]
    value = (
        '{"batch_id": "odd", "sent_at": "2026-03-02T05:00:01Z", "device_id": "odd", "user_id": null,'
        f' "context": {{"locale": "{spelled[0]}", "campaign": {{"utm_source": "spring"}}}},'
        f' "events": [{", ".join(events)}]}}'
    )
    moment = int(SECOND.timestamp() * 1_000)
    send([Message(TOPIC, b"odd", [], value.encode(), moment)], stream.cluster.bootstrap)
    stream.land(SECOND, SECOND)
    stream.built.dbt("run")
    found = stream.built.landing.query(
        "select event_id, order_id, locale, utm_source from staging.stg_kafka__site_events"
        " where event_id like 'odd-%'"
    )
    assert {each[0]: unescape(each[1]) for each in found} == {
        f"odd-{n}": json.loads(f'"{text}"') for n, text in enumerate(spelled)
    }
    assert {(unescape(locale), source) for _, _, locale, source in found} == {("\0", "spring")}


def test_events_are_not_joined_row_by_row_where_nothing_is_known_of_raw(
    stream: Stream, second: Funnel
) -> None:
    """Right after a large landing Postgres has no statistics, and expects one event."""
    for table in ("raw_kafka.site_events", "raw_kafka.covered", "ops.commits"):
        stream.built.landing.execute(f"delete from pg_statistic where starelid = '{table}'::regclass")
    stream.built.dbt("compile", "--full-refresh", "--select", "stg_kafka__site_events")
    compiled = Path(stream.built.environment["DBT_TARGET_PATH"]) / "compiled"
    (model,) = compiled.rglob("models/staging/kafka/stg_kafka__site_events.sql")
    plan = "\n".join(line for (line,) in stream.built.landing.query(f"explain {model.read_text()}"))
    assert "rows=1 " in plan.splitlines()[0], "it expects more than it is to"
    assert "Nested Loop Left Join" not in plan, plan
    assert "Hash Full Join" in plan, plan


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


@pytest.mark.parametrize(
    ("pause", "minutes"),
    [pytest.param(1, 0.1, id="small"), pytest.param(60, 6, id="full", marks=pytest.mark.full)],
)
def test_what_happens_is_in_the_report_within_two_minutes(
    stream: Stream, second: Funnel, pause: int, minutes: float
) -> None:
    """Followed every so many seconds by a process of its own, and built as often; in full by `dbt build`."""
    environment = stream.built.environment | stream.variables
    follow = [BIN / "dlt", "pipeline", "kafka", "run", "--follow", str(pause)]
    build = [BIN / "dbt", "--quiet", "build", "--selector", "stream"]
    seen: dict[str, float] = {}
    with (
        subprocess.Popen(follow, env=environment, cwd=ROOT, stdout=subprocess.DEVNULL) as process,
        Probes(stream.cluster.bootstrap) as probes,
    ):
        ends = time.monotonic() + minutes * 60
        while time.monotonic() < ends or probes.happened.keys() - seen.keys():
            began = time.monotonic()
            assert began < ends + 300, "what was sent does not arrive"
            if began >= ends:
                probes.end()
            if pause == 60:
                subprocess.run(build, env=environment, cwd=ROOT, check=True)
            else:
                stream.built.dbt("build")
            told = stream.built.landing.query("select campaign_id from reports.rpt_funnel where clicks > 0")
            now = time.time()
            seen |= dict.fromkeys(probes.happened.keys() & {name for (name,) in told} - seen.keys(), now)
            if time.monotonic() < ends:
                time.sleep(max(0.0, began + pause - time.monotonic()))
        process.terminate()
        assert process.wait(60) == 0
    ages = sorted(seen[name] - happened for name, happened in probes.happened.items())
    assert len(ages) > 20
    middle = ages[len(ages) // 2]
    print(f"figure: {len(ages):,} clicks, in the report after {middle:.0f} s, at most {ages[-1]:.0f} s")
    assert ages[-1] < 120
