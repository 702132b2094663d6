"""The star that dbt builds at the side, day after day, is the one that people read, row for row."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.deploy.publishing import publish, rollback
from tests.end_to_end.chain import Chain

SIDE = "next_"
REMAINDERS = "where row_kind = 'remainder'"
LORE = "where remainder_evidence = 'lore'"


@pytest.fixture
def company(journey: Chain, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """It has built where people read until now; at the side there is what dbt goes on from."""
    journey.variables["DBT_TARGET_PATH"] += "-next"  # another prefix, another parsed project
    for name, value in journey.variables.items():
        monkeypatch.setenv(name, value)
    for table in (
        "marts.fact_ad_conversion",
        "marts.fact_ad_performance",
        "marts.fact_keyword_performance",
        "marts.fact_search_term_performance",
        "intermediate.int_conversion_actions__daily",
        "intermediate.built_partitions",
    ):
        journey.rows(f"create schema if not exists {SIDE}{table.partition('.')[0]}")
        journey.rows(f"create table {SIDE}{table} (like {table} including all)")
        journey.rows(f"insert into {SIDE}{table} select * from {table}")
    # As before there was anything to publish.
    journey.rows(f"alter table {SIDE}intermediate.built_partitions drop column built_by")
    return journey


def build(chain: Chain, *arguments: str) -> None:
    built = chain.dbt(*arguments, ADSTAR_SCHEMA_PREFIX=SIDE)
    assert built.code == 0, built.failed


def differing(chain: Chain) -> dict[str, int]:
    """Of each relation of the star, how many rows differ between side and live."""
    found = {}
    for schema, name, columns in chain.rows(
        "select table_schema, table_name, string_agg(column_name, ', ') from information_schema.columns"
        f" where table_schema in ('{SIDE}marts', '{SIDE}reports')"
        " and table_name <> 'rpt_table_design' group by 1, 2"  # it tells the catalogue's news of the moment
    ):
        live = f"{schema.removeprefix(SIDE)}.{name}"
        ((found[name],),) = chain.rows(
            "select count(*) from"
            f" ((select {columns} from {schema}.{name} except all select {columns} from {live}) union all"
            f" (select {columns} from {live} except all select {columns} from {schema}.{name})) as d"
        )
    assert len(found) > 15
    return {name: count for name, count in found.items() if count}


def test_what_dbt_builds_at_the_side_is_read_when_it_is_published(
    company: Chain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("_publish.apply_roles", lambda _: None)
    before = company.dump()
    company.next_day()
    company.land_days(1)
    build(company, "build", "--exclude-resource-type", "test")
    assert company.dump() == before
    assert publish() == 0, capsys.readouterr().err
    assert differing(company) == {}
    published = company.dump()
    assert published != before
    assert rollback() == 0
    assert company.dump() == before
    assert publish() == 3
    assert publish("--accept", "it was right") == 0
    assert company.dump() == published


@pytest.mark.full
def test_of_a_published_star_only_what_dbt_has_built_since_is_compared(
    company: Chain, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("_publish.apply_roles", lambda _: None)
    company.next_day()
    company.land_days(1)
    build(company, "build")
    assert publish() == 0, capsys.readouterr().err
    # From now on only what dbt has rebuilt is compared; it notes that also where the state stays what it was.
    company.next_day()
    company.land_days(1)
    for schema in ("marts", f"{SIDE}marts"):
        company.rows(f"update {schema}.fact_ad_performance set remainder_evidence = 'lore' {REMAINDERS}")
    build(company, "run")
    assert company.rows(f"select count(*) from {SIDE}marts.fact_ad_performance {LORE}") == [(0,)]
    assert publish() == 0
    assert differing(company) == {}
    build(company, "run", "--full-refresh", "--select", "fact_keyword_performance")
    assert company.rows(
        f"select count(distinct built_by) from {SIDE}intermediate.built_partitions"
        " where fact_name = 'fact_keyword_performance'"
    ) == [(1,)]
    assert publish() == 0
    assert differing(company) == {}


@pytest.mark.full
def test_the_command_builds_publishes_grants_and_stops_where_a_test_fails(company: Chain) -> None:
    """scripts/publish as people call it, with dbt as it comes."""
    first = company.dump()
    company.next_day()
    company.land_days(1)
    code, said = run(company, "publish", "--", "--selector", "ads")
    assert code == 0, said
    assert differing(company) == {}
    published = company.dump()
    assert published != first
    assert company.rows(
        "select has_table_privilege('adstar_analyst', 'marts.fact_ad_performance', 'select')"
    ) == [(True,)]
    company.rows("update raw_facebook_ads.insights_ad set spend = (spend::numeric + 1)::text")
    company.next_day()
    company.land_days(1)
    code, said = run(company, "publish", "--", "--selector", "ads")
    assert code == 1
    assert "assert_facebook_sets_add_up_to_their_receipts" in said
    assert "what people read is as it was" in said
    assert company.dump() == published
    code, said = run(company, "rollback", "--reason", "not asked for")
    assert code == 0, said
    assert company.dump() == first
    assert company.rows("select kind, outcome, undone_by from published.publishes order by number") == [
        ("publish", "published", 3),
        ("publish", "failed", None),
        ("rollback", "published", None),
    ]


def run(chain: Chain, program: str, *arguments: str) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, ROOT / "scripts" / f"_{program}.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **chain.variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout
