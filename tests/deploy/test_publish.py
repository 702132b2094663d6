"""Readers see one star or the next, whatever happens to the publisher; and the way back is short."""

from __future__ import annotations

import os
import random
import re
import shlex
import signal
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from loaders._core import warehouse
from loaders._core.errors import ConfigurationError, UsageError
from loaders._core.warehouse import Target
from tests import resident
from tests.conftest import ROOT
from tests.deploy import publishing
from tests.deploy.publishing import (
    Busy,
    Ledger,
    Project,
    PublishError,
    Readers,
    Settings,
    Site,
    Turn,
    engine,
    publish,
    rollback,
)

BOUNDS = ROOT / "dbt_project" / "publish.yml"
SIZES = [pytest.param(20, 5, id="small"), pytest.param(200, 40, id="full", marks=pytest.mark.full)]


@pytest.fixture
def granted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often the rights were to be granted; dbt, which does that, takes its time."""
    calls: list[str] = []
    monkeypatch.setattr(publishing._publish, "apply_roles", calls.append)
    return calls


@pytest.fixture
def site(target: Target, tmp_path: Path, granted: list[str], monkeypatch: pytest.MonkeyPatch) -> Site:
    """A star at the side, and published."""
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    made = Site(target, tmp_path / "target")
    assert publish() == 0
    return made


def test_the_first_publish_makes_what_the_side_has(site: Site, granted: list[str]) -> None:
    assert site.differing() == {}
    assert granted == [""]
    kinds = dict(
        site.run(
            "select table_name, table_type from information_schema.tables where table_schema = 'reports'"
        )
    )
    # A report that reads only what is published can't be ahead of it.
    assert {name for name, kind in kinds.items() if kind == "VIEW"} == {
        "rpt_campaign_daily",
        "rpt_channel_daily",
    }
    live, side = (
        site.run(
            "select regexp_replace(indexdef, 'INDEX .* USING', '') from pg_indexes"
            f" where schemaname = '{schema}' order by 1"
        )
        for schema in ("marts", "next_marts")
    )
    assert live == side


@pytest.mark.parametrize(("publishes", "kills"), SIZES)
def test_readers_see_one_star_or_the_next_however_often_publishers_are_killed(
    site: Site, publishes: int, kills: int
) -> None:
    chance = random.Random(publishes)
    killed = set(chance.sample(range(3, publishes), kills))
    seconds = 1.0
    hit = dict.fromkeys(("before it began", "while it was at work", "after it had committed"), 0)
    with Readers(site.target).reading() as readers:
        for number in range(publishes):
            site.build()
            if number in killed:
                hit[kill(site, chance, seconds)] += 1
            began = time.monotonic()
            assert publish() == 0
            seconds = time.monotonic() - began
            assert site.differing() == {}
    assert readers.seen == []
    assert len(readers.versions) > publishes / 2
    assert readers.looks > publishes * 10
    when = ", ".join(f"{count} {moment}" for moment, count in hit.items())
    print(f"figure: {publishes} publishes, {kills} kills ({when}), {readers.looks:,} looks: no half state")


def kill(site: Site, chance: random.Random, seconds: float) -> str:
    """Kill a publisher at some moment of its work, which takes so long, or as it starts; say when it was."""
    ((before,),) = site.run("select max(number) from published.publishes")
    process = site.start("publish", "--built")
    if chance.random() > 0.1:
        while (
            site.run("select max(number) from published.publishes") == [(before,)] and process.poll() is None
        ):
            time.sleep(0.01)
    time.sleep(chance.uniform(0, seconds))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ((number, outcome),) = site.run(
        "select number, outcome from published.publishes order by number desc limit 1"
    )
    if number == before:
        return "before it began"
    return "while it was at work" if outcome == "at work" else "after it had committed"


# ---- what is published
def test_rows_that_are_equal_are_left_alone(site: Site) -> None:
    where = "from marts.fact_ad_performance where date_day < '2026-02-01'"
    before = site.run(f"select xmin::text, ctid::text {where} order by 2")
    site.build()
    assert publish() == 0
    assert site.run(f"select xmin::text, ctid::text {where} order by 2") == before
    assert site.differing() == {}


def test_nothing_differs_and_that_is_no_publish(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert publish() == 0
    assert "nothing differs" in capsys.readouterr().out
    assert site.entries()[-1] == ("publish", "unchanged")
    site.build()
    assert publish() == 0
    before = site.dump()
    assert publish() == 0  # this is not what a rollback means
    assert rollback() == 0
    assert site.dump() != before


def test_rows_that_occur_twice_and_rows_of_nulls_are_published_as_often_as_they_are(site: Site) -> None:
    row = (
        "select date '2026-05-01', null, null, null, null, null, null, null, null from generate_series(1, {})"
    )
    assert site.run(
        "select count(*) from (select 1 from marts.fact_sales t group by t.* having count(*) > 1) d"
    ) > [(0,)]
    for copies in (3, 1, 4, 0):
        site.run(
            "delete from next_marts.fact_sales where sold_date = '2026-05-01'",
            f"insert into next_marts.fact_sales {row.format(copies)}",
        )
        assert publish() == 0
        assert site.differing() == {}
        assert site.run("select count(*) from marts.fact_sales where sold_date = '2026-05-01'") == [(copies,)]


def test_of_a_fact_only_what_was_built_since_is_compared(site: Site) -> None:
    """A word changed without a build is not seen until the whole is compared; a number is, by the sums."""
    where = "where date_day = '2026-01-05' and account_key = 1"
    site.run(f"update next_marts.fact_ad_performance set remainder_cause = 'rounding' {where}")
    assert publish() == 0
    assert site.differing() == {"fact_ad_performance": 10}
    assert publish("--whole") == 0
    assert site.differing() == {}
    site.run(f"update next_marts.fact_ad_performance set reach = reach + 1 {where}")
    assert publish() == 0
    assert site.differing() == {}


def test_a_partition_that_was_emptied_is_emptied(site: Site) -> None:
    site.run(
        "delete from next_marts.fact_ad_performance where date_day = '2026-02-27' and account_key = 2",
        "delete from next_intermediate.built_partitions where date_day = '2026-02-27' and account_key = 2",
    )
    assert publish() == 0
    assert site.differing() == {}


def test_a_star_that_dbt_built_where_it_is_read_is_taken_over(site: Site) -> None:
    """The first publish of a company that has built in place until now."""
    site.run(
        "drop schema published cascade",
        "drop view reports.rpt_channel_daily, reports.rpt_campaign_daily",
        "create view reports.rpt_campaign_daily as select * from marts.fact_ad_performance",
        "create view reports.rpt_channel_daily as select * from reports.rpt_campaign_daily",
        "drop table reports.rpt_restatements",
        "create view reports.rpt_restatements as select * from next_staging.stg_sets",
    )
    before = site.dump()
    site.build()
    assert publish() == 0
    assert site.differing() == {}
    assert rollback() == 0
    after = site.dump()
    ahead = "reports.rpt_restatements"  # a view of what is not published, as it was
    assert after.pop(ahead) != before.pop(ahead)
    assert after == before


# ---- the audit
def test_what_is_out_of_bounds_is_refused_by_name_until_somebody_accepts_it(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    before = site.dump()
    site.run(
        "update next_marts.fact_ad_performance set spend = spend * 0.9 where platform = 'google_ads'",
        "delete from next_marts.fact_sales where net_amount < 100",
    )
    assert publish() == 3
    assert site.dump() == before
    said = capsys.readouterr().err
    for finding in (
        r"fact_ad_performance \(platform google_ads, currency_code EUR\), history days: spend fell by 10\.",
        r"fact_sales, all days: rows fell by 5\.\d\d %, and 0\.1 % is the bound \(2,0\d\d -> 1,9\d\d\)",
        r"fact_sales \(currency_code EUR\), all days: quantity fell by 5\.\d\d %, and 1 % is the bound",
    ):
        assert re.search(finding, said), said
    assert "facebook_ads" not in said
    assert "unit_price" not in said
    assert publish("--accept", "the credit note of March") == 0
    assert site.differing() == {}
    assert "accepted: fact_sales, all days: rows fell" in capsys.readouterr().out
    assert site.run("select outcome, reason from published.publishes order by number desc limit 1") == [
        ("published", "the credit note of March")
    ]
    assert site.run("select count(*) > 2 from published.figures where finding is not null") == [(True,)]


def test_a_rise_counts_on_history_only(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    tripled = "update next_marts.fact_ad_performance set impressions = impressions * 3 where date_day"
    site.run(f"{tripled} >= '2026-02-28'")
    assert publish("--whole") == 0
    site.run(f"{tripled} < '2026-02-01'")
    assert publish() == 3
    said = capsys.readouterr().err
    assert "history days: impressions rose by" in said
    assert "all days" not in said


def test_only_what_was_refused_can_be_accepted(site: Site) -> None:
    with pytest.raises(UsageError, match="nothing to accept"):
        publish("--accept", "why not")
    site.run("delete from next_marts.fact_sales where net_amount < 200")
    assert publish() == 3
    site.run("delete from next_marts.fact_sales where net_amount < 300")
    with pytest.raises(UsageError, match="no longer what publish 3 was refused for"):
        publish("--accept", "two hundred test sales")
    assert publish() == 3
    assert publish("--accept", "three hundred test sales") == 0
    assert site.differing() == {}


def test_what_is_read_and_was_not_built_is_an_error_that_nobody_can_accept(site: Site) -> None:
    site.run("drop table next_marts.fact_sales")
    before = site.dump()
    with pytest.raises(PublishError, match='fact_sales" is read, and dbt has not built'):
        publish()
    assert site.dump() == before
    assert site.entries()[-1] == ("publish", "failed")


def test_bounds_that_mean_nothing_are_named(tmp_path: Path) -> None:
    shipped = BOUNDS.read_text()
    file = tmp_path / "publish.yml"
    for right, wrong in (
        ("bounds:", "bound:"),
        ("rows_fall: 0.1", "rows_fal: 0.1"),
        ("rows_fall: 0.1", "rows_fall: some"),
        ("keep: 3", "keep: three"),
        ("few: 50, ", ""),
    ):
        assert right in shipped
        file.write_text(shipped.replace(right, wrong))
        with pytest.raises(ConfigurationError) as raised:
            Settings.read(file)
        assert str(file) in str(raised.value)


def test_a_manifest_of_another_build_is_refused(site: Site) -> None:
    site.nodes["model.adstar.dim_account"]["schema"] = "marts"
    site.tell()
    with pytest.raises(ConfigurationError, match="build into marts, not into next_"):
        publish()


def test_a_report_can_be_left_out_and_only_one_that_there_is(site: Site) -> None:
    file = site.folder / "manifest.json"
    whole, part = Project.read(file, ""), Project.read(file, "", ["rpt_campaign_daily"])
    gone = {each.name for each in whole.models} - {each.name for each in part.models}
    assert gone == {"rpt_campaign_daily", "conversion_definitions"}  # a seed that nothing else reads
    # What reads it can no longer be a view.
    queries = {each.name: each.query for each in part.models}
    assert queries["rpt_channel_daily"] is None
    with pytest.raises(ConfigurationError, match="leaves out rpt_campaign_dayly: there"):
        Project.read(file, "", ["rpt_campaign_dayly"])


# ---- going back
def test_a_rollback_gives_back_every_row_and_holds_the_next_publish(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    before = site.dump()
    site.build()
    assert publish() == 0
    assert site.dump() != before
    assert rollback("the rates of yesterday are wrong") == 0
    assert site.dump() == before
    assert publish() == 3
    assert "took the last publish back: the rates of yesterday are wrong" in capsys.readouterr().err
    assert site.dump() == before
    assert publish() == 3  # asking twice is not accepting
    assert publish("--accept", "they were right") == 0
    assert site.differing() == {}


def test_publishes_are_undone_one_after_the_other_as_far_as_they_are_kept(site: Site) -> None:
    stars = []
    for _ in range(4):
        stars.append(site.dump())
        site.build()
        assert publish() == 0
    for star in stars[:0:-1]:
        assert rollback() == 0
        assert site.dump() == star
    with pytest.raises(UsageError, match="publish 2 can't be undone"):
        rollback()
    kept = site.run(
        "select relname from pg_class where relnamespace = 'published'::regnamespace and relname ~ '_[0-9]+$'"
    )
    assert kept == []


def test_the_first_star_can_not_be_taken_back(site: Site) -> None:
    with pytest.raises(UsageError, match="there was no star before it"):
        rollback()


def test_what_somebody_changed_by_hand_is_not_made_worse_by_a_rollback(site: Site) -> None:
    site.build()
    assert publish() == 0
    site.run("delete from marts.dim_account where account_key = 1")
    before = site.dump()
    with pytest.raises(PublishError, match="holds 3 of the 4 rows that are to go"):
        rollback()
    assert site.dump() == before


# ---- definitions
def test_a_new_column_is_filled_without_anybody_seeing_the_table_empty(site: Site) -> None:
    before = site.dump()
    with closing(site.target.connect()) as connection, connection.cursor() as old:
        old.execute("begin isolation level repeatable read")
        old.execute("select 1")
        site.run(
            "alter table next_marts.dim_account add column country text",
            "update next_marts.dim_account set country = 'CH' where account_key > 1",
        )
        site.build()
        assert publish() == 0
        old.execute("select count(*), max(version) from marts.dim_account")
        assert old.fetchone() == (4, 1)
    assert site.differing() == {}
    assert rollback() == 0
    after = {name: [row for (row,) in rows] for name, rows in site.dump().items()}
    assert after.pop("marts.dim_account") == [
        row.replace(")", ",)") for (row,) in before.pop("marts.dim_account")
    ]
    assert after == {name: [row for (row,) in rows] for name, rows in before.items()}


def test_a_changed_type_a_new_mart_a_changed_report_are_published_in_one_and_undone_in_one(
    site: Site,
) -> None:
    before = site.dump()
    site.run(
        "alter table next_marts.dim_account alter account_name type varchar(90)",
        "create table next_marts.dim_product as select 1 as product_key, 1 as version",
    )
    site.add("dim_product", "marts", {"product_key": "integer"})
    query, reads = publishing.REPORTS["rpt_campaign_daily"]
    site.view("rpt_campaign_daily", query.replace("sum(spend) as spend", "count(*) as spend"), reads)
    site.view("rpt_channel_daily", *publishing.REPORTS["rpt_channel_daily"])
    # It reads what is published from now on, and can be a view.
    site.view(
        "rpt_restatements",
        'select account_key, version, null as age from {side}"next_marts"."dim_account"',
        ["model.adstar.dim_account"],
    )
    site.build()
    with Readers(site.target, isolated=False).reading() as readers:
        assert publish() == 0
        assert site.differing() == {}
        assert rollback() == 0
    assert readers.seen == []
    assert site.dump() == before
    assert publish() == 3
    assert publish("--accept", "again") == 0
    assert site.differing() == {}


def test_a_mart_that_left_the_project_is_dropped_when_somebody_accepts_that(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    before = site.dump()
    del site.nodes["model.adstar.fact_sales"]
    site.tell()
    assert publish() == 3
    assert '"marts"."fact_sales" is no longer in the project' in capsys.readouterr().err
    assert publish("--accept", "sold to another company") == 0
    assert "marts.fact_sales" not in site.dump()
    assert rollback() == 0
    assert site.dump() == before


def test_what_somebody_else_made_of_a_mart_is_not_broken_silently(site: Site) -> None:
    site.run(
        "create view public.theirs as select * from marts.dim_account",
        "alter table next_marts.dim_account alter account_name type varchar(90)",
    )
    before = site.dump()
    with pytest.raises(PublishError, match=r"(?s)depends on what changes.*theirs"):
        publish()
    assert site.dump() == before
    site.run("drop view public.theirs")
    assert publish() == 0
    assert site.differing() == {}


def test_who_could_read_still_can_and_of_a_new_mart_too(site: Site) -> None:
    role = f"reader_{site.target.database}"
    site.run(f"create role {role}", f"grant select on all tables in schema marts, reports to {role}")
    site.run(
        "alter table next_marts.dim_account alter account_name type varchar(90)",
        "create table next_marts.dim_product as select 1 as product_key",
    )
    site.add("dim_product", "marts", {"product_key": "integer"})
    assert publish() == 0
    lacking = site.run(
        "select relname from pg_class where relnamespace in ('marts'::regnamespace, 'reports'::regnamespace)"
        f" and relkind in ('r', 'v') and not has_table_privilege('{role}', oid, 'select')"
    )
    site.run(f"drop owned by {role}", f"drop role {role}")
    assert lacking == []


def test_an_index_that_a_model_gets_is_made_live(site: Site) -> None:
    site.run("create index on next_marts.fact_sales (sold_date)")
    site.build()
    assert publish() == 0
    assert (
        len(site.run("select 1 from pg_indexes where schemaname = 'marts' and tablename = 'fact_sales'")) == 1
    )


def test_a_definition_waits_for_who_reads_and_gives_up_naming_them(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "PATIENCE_SECONDS", 3)
    monkeypatch.setattr(engine, "QUEUE_MILLISECONDS", 200)
    site.run("alter table next_marts.dim_account alter account_name type varchar(90)")
    before = site.dump()
    with closing(site.target.connect()) as connection, connection.cursor() as reader:
        reader.execute("begin")
        reader.execute("select count(*), pg_backend_pid() from marts.dim_account")
        pid = reader.fetchone()[1]
        with pytest.raises(PublishError, match=rf"reading marts\.dim_account.*held by {pid} \(adstar"):
            publish()
        assert site.dump() == before
        end = threading.Timer(1, lambda: reader.execute("commit"))
        end.start()
        assert publish() == 0
        end.join()
    assert site.differing() == {}


def test_a_reader_who_comes_to_what_a_waiting_definition_holds_goes_on(site: Site) -> None:
    """Each would wait for the other, and Postgres would end one of them."""
    site.run("alter table next_marts.dim_account alter account_name type varchar(90)")
    resident.parse(os.environ | {"DBT_TARGET_PATH": str(site.folder.with_name("target-live"))})
    with closing(site.target.connect()) as connection, connection.cursor() as reader:
        reader.execute("begin")
        reader.execute("select count(*) from marts.dim_account")
        publisher = site.start("publish", "--built")
        waiting = "select 1 from pg_locks where not granted and mode = 'AccessExclusiveLock'"
        deadline = time.monotonic() + 60
        while not site.run(waiting):
            assert publisher.poll() is None, publisher.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        reader.execute("select count(*) from reports.rpt_campaign_daily")
        reader.execute("commit")
    told, _ = publisher.communicate(timeout=60)
    assert publisher.returncode == 0, told
    assert site.differing() == {}


# ---- whose turn it is
def test_the_second_publisher_is_refused_and_told_who_is_at_work(site: Site) -> None:
    site.build()
    with Ledger(engine.engine(site.target), "published") as ledger, Turn(ledger):
        ledger.begin("publish", None)
        with pytest.raises(Busy, match=r"publish 2 of \S+:\d+, begun 20\d\d-"):
            publish()
        with pytest.raises(Busy, match="another publish or rollback is at work"):
            rollback()
    assert publish() == 0
    assert site.entries()[-2:] == [("publish", "killed"), ("publish", "published")]


def test_of_many_at_once_one_publishes(site: Site) -> None:
    site.build()
    processes = [site.start("publish", "--built") for _ in range(3)]
    said = [process.communicate()[0] for process in processes]
    codes = [process.returncode for process in processes]
    assert 0 in codes
    assert all(code == 0 or "is at work" in text for code, text in zip(codes, said, strict=True)), said
    assert site.differing() == {}


def test_who_lost_the_turn_publishes_nothing(site: Site) -> None:
    """The warehouse cuts the connection that holds the lock, and another publisher has come and gone."""
    with Ledger(engine.engine(site.target), "published") as ledger, Turn(ledger) as turn:
        turn._connection.rollback()
        site.build()
        assert publish() == 0
        with pytest.raises(Busy, match="has been at work meanwhile"), turn.transaction():
            pytest.fail("it had no right to")


@pytest.mark.parametrize("point", ["publish.rows", "publish.definitions", "publish.committed"])
def test_killed_at_a_given_point_the_next_run_publishes(site: Site, point: str) -> None:
    before = site.dump()
    site.build()
    process = site.start("publish", "--built", ADSTAR_KILL_AT=point)
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    done = point == "publish.committed"
    assert (site.differing() == {}) == done
    assert (site.dump() == before) == (not done)
    assert publish() == 0
    assert site.differing() == {}
    assert rollback() == 0
    assert site.dump() == before


def test_a_rollback_that_is_killed_is_done_again(site: Site) -> None:
    before = site.dump()
    site.build()
    assert publish() == 0
    process = site.start("rollback", "--reason", "wrong", ADSTAR_KILL_AT="rollback.rows")
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    assert site.differing() == {}
    assert rollback() == 0
    assert site.dump() == before


# ---- the runbook
def test_what_the_runbook_says_can_be_done(site: Site) -> None:
    page = (ROOT / "docs" / "runbooks" / "publish.md").read_text()
    commands = re.findall(r"`scripts/(publish|rollback)( [^`]*)?`", page)
    assert len(commands) > 8
    for program, arguments in commands:
        ask = publishing._publish.ask if program == "publish" else publishing._rollback.ask
        if arguments or program == "publish":
            ask(shlex.split(arguments))
    with pytest.raises(SystemExit):
        publishing._publish.ask(["--", "--select", "fact_sales"])
    queries = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    assert len(queries) == 2
    for query in queries:
        site.run(query)
    for bounds in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        told = yaml.safe_load(bounds)
        assert told["bounds"]["default"] == yaml.safe_load(BOUNDS.read_text())["bounds"]["default"]
        file = site.folder / "publish.yml"
        file.write_text(yaml.safe_dump(yaml.safe_load(BOUNDS.read_text()) | told))
        assert Settings.read(file).bounds["fact_ad_conversion"].rows_rise == 15


# ---- Redshift
def test_redshift_takes_every_kind_of_publish_and_rollback(
    redshift: Target, tmp_path: Path, granted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its stand-in, which refuses what Redshift refuses; the side is made past it, as plain Postgres."""
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    site = Site(warehouse.resolve("postgres", ROOT / "profiles"), tmp_path / "target")
    monkeypatch.setenv("ADSTAR_TARGET", redshift.name)
    assert publish() == 0
    assert site.differing() == {}
    stars = [site.dump()]
    site.build()
    assert publish() == 0
    stars.append(site.dump())
    site.run(
        "alter table next_marts.dim_account alter account_name type varchar(90)",
        "alter table next_marts.fact_sales add column country varchar(2)",
        "update next_marts.fact_sales set country = 'CH' where net_amount > 100",
        "create table next_marts.dim_product as select 1 as product_key",
    )
    site.add("dim_product", "marts", {"product_key": "integer"})
    del site.nodes["model.adstar.rpt_reconciliation"]
    query, reads = publishing.REPORTS["rpt_channel_daily"]
    site.view("rpt_channel_daily", query.replace("sum(spend) as spend", "max(spend) as spend"), reads)
    site.build()
    assert publish() == 3
    assert publish("--accept", "nobody has ever looked at it") == 0
    assert "reports.rpt_reconciliation" not in site.dump()
    site.run("drop table next_reports.rpt_reconciliation")
    assert site.differing() == {}
    assert rollback() == 0
    undone = site.dump()
    sales = undone.pop("marts.fact_sales")
    assert sales == [(row.replace(")", ",)"),) for (row,) in stars[1].pop("marts.fact_sales")]
    assert undone == stars[1]
    assert rollback() == 0
    assert site.dump().keys() == stars[0].keys()
    with (
        Ledger(engine.engine(redshift), "published") as ledger,
        Turn(ledger),
        pytest.raises(Busy, match="another publish or rollback is at work"),
    ):
        publish()


@pytest.mark.full
def test_a_star_of_a_million_rows_is_taken_back_in_seconds(
    target: Target, tmp_path: Path, granted: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a day's publish; after one that has changed every row it takes as long as writing them does."""
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    site = Site(target, tmp_path / "target", accounts=28, ads=98, days=365, rebuilt_days=28)
    seconds = {"the first publish": timed(publish)}
    ((rows,),) = site.run("select count(*) from marts.fact_ad_performance")
    assert rows > 1_000_000
    site.build()
    seconds["a day's publish"] = timed(publish)
    seconds["its rollback"] = timed(rollback)
    site.version += 1
    site.rebuild(0, site.days)
    assert publish() == 3
    seconds["a publish of every row"] = timed(publish, "--accept", "another rate")
    seconds["the rollback of that"] = timed(rollback)
    told = ", ".join(f"{what} {taken:.1f} s" for what, taken in seconds.items())
    print(f"figure: {rows:,} rows: {told}")
    assert seconds["its rollback"] < 5


def timed(work: Callable[..., int], *arguments: str) -> float:
    """How many seconds something takes that works."""
    began = time.monotonic()
    assert work(*arguments) == 0
    return time.monotonic() - began
