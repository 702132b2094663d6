"""A small star at the side, made by SQL as dbt would, its manifest, people who read, publishers to kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2

from loaders._core.warehouse import Target
from tests import preloaded
from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "scripts"))

import _publish
import _rollback
from _publishing import Busy, PublishError, engine
from _publishing.ledger import Ledger, Turn
from _publishing.project import Project, Settings

__all__ = [
    "Busy",
    "Ledger",
    "Project",
    "PublishError",
    "Readers",
    "Settings",
    "Site",
    "Turn",
    "engine",
    "publish",
    "rollback",
]

FACT = """
    create table next_marts.fact_ad_performance (
        date_day date not null, account_key bigint not null, campaign_key bigint not null,
        ad_group_key bigint not null, ad_key bigint not null, platform text not null,
        account_id text not null, campaign_id text, ad_group_id text, ad_id text, row_kind text not null,
        impressions bigint not null, clicks bigint not null, link_clicks bigint,
        spend numeric(38,9) not null, currency_code text not null, spend_reporting numeric(38,9),
        exchange_rate numeric(38,15), reach bigint, remainder_cause text, is_settled boolean not null,
        run_seq bigint not null, read_at timestamptz not null, version integer not null
    );
    create index on next_marts.fact_ad_performance (date_day, account_key)
"""
STAR = f"""
    create schema next_marts; create schema next_reports;
    create schema next_intermediate; create schema next_staging;
    create table next_staging.stg_sets (account_key bigint, version integer);
    create table next_intermediate.conversion_definitions (platform text, reason text);
    insert into next_intermediate.conversion_definitions
    values ('facebook_ads', 'sales'), ('google_ads', null);
    create table next_intermediate.built_partitions (
        fact_name varchar(64), partition_key bigint, account_key bigint, date_day date, state varchar(32),
        is_verified boolean, built_by varchar(64)
    );
    create table next_marts.dim_account (
        account_key bigint not null, account_name text, version integer not null
    );
    create unique index on next_marts.dim_account (account_key);
    {FACT};
    create table next_marts.fact_sales (
        sold_date date not null, order_line_id text, quantity bigint, unit_price numeric(38,9),
        net_amount numeric(38,9), currency_code text, refunded_at timestamptz, is_gift boolean,
        version integer
    );
    create table next_reports.rpt_reconciliation (account_key bigint, version integer)
"""
REPORTS = {
    "rpt_campaign_daily": (
        "select date_day, platform, sum(spend) as spend, max(version) as version"
        ' from {side}"next_marts"."fact_ad_performance"'
        ' where platform in (select platform from {side}"next_intermediate"."conversion_definitions")'
        " group by date_day, platform",
        ["model.adstar.fact_ad_performance", "seed.adstar.conversion_definitions"],
    ),
    "rpt_channel_daily": (
        'select platform, sum(spend) as spend from {side}"next_reports"."rpt_campaign_daily"'
        " group by platform",
        ["model.adstar.rpt_campaign_daily"],
    ),
    "rpt_restatements": (
        "select account_key, version, interval '1 day' * version as age"
        ' from {side}"next_staging"."stg_sets"',
        ["model.adstar.stg_sets"],
    ),
    # What dbt does not know of: a macro names the table.
    "rpt_quality_score": ('select max(version) as version from {side}"next_staging"."stg_sets"', []),
    "rpt_coverage": (
        'select account_key, version from {side}"next_marts"."dim_account"'
        ' union all select account_key, version from {side}"next_staging"."stg_sets"',
        ["model.adstar.dim_account"],
    ),
}
CONTRACTS = {
    "dim_account": {"account_key": "bigint", "account_name": "text", "version": "integer"},
    "fact_ad_performance": {
        "date_day": "date",
        "account_key": "bigint",
        "platform": "text",
        "currency_code": "text",
        "impressions": "bigint",
        "reach": "bigint",
        "spend": "numeric(38,9)",
    },
    "fact_sales": {
        "sold_date": "date",
        "currency_code": "text",
        "quantity": "bigint",
        "unit_price": "numeric(38,9)",
        "net_amount": "numeric(38,9)",
    },
}
TABLES = (
    "marts.dim_account",
    "marts.fact_ad_performance",
    "marts.fact_sales",
    "reports.rpt_campaign_daily",
    "reports.rpt_restatements",
    "reports.rpt_reconciliation",
)


@dataclass
class Site:
    """A warehouse with a star at the side; dbt's manifest of it is in `folder`."""

    target: Target
    folder: Path
    accounts: int = 4
    ads: int = 5
    days: int = 60
    rebuilt_days: int = 3
    version: int = 0
    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make everything, with a first build."""
        self.run(STAR)
        for name, contract in CONTRACTS.items():
            self.add(name, "marts", contract)
        self.nodes["model.adstar.fact_ad_performance"]["config"]["incremental_strategy"] = (
            "rebuilt_partitions"
        )
        self.add("conversion_definitions", "intermediate", {}, kind="seed")
        for name, (query, reads) in REPORTS.items():
            self.view(name, query, reads)
        self.add("rpt_reconciliation", "reports", {}, reads=["model.adstar.dim_account"])
        self.run(
            f"""
            insert into next_marts.dim_account
            select n, 'account ' || n, 0 from generate_series(1, {self.accounts}) n
            """,
            """
            insert into next_marts.fact_sales select
                date '2026-01-01' + n % 60, case when n % 7 > 0 then 'line ' || n end, 1, 10, n,
                case when n % 5 > 0 then 'EUR' end,
                case when n % 3 = 0 then timestamptz '2026-02-01 00:00+00' end, nullif(n % 2 = 0, false), 0
            from generate_series(1, 2000) n
            """,
            # Rows that nothing tells apart.
            "insert into next_marts.fact_sales"
            " select * from next_marts.fact_sales where order_line_id like 'line 1_'",
        )
        self.rebuild(0, self.days)
        self.build()

    # ---- the side
    def add(
        self,
        name: str,
        layer: str,
        contract: dict[str, str],
        *,
        kind: str = "model",
        reads: list[str] | None = None,
    ) -> dict[str, Any]:
        """Tell the manifest of a table."""
        node: dict[str, Any] = {
            "resource_type": kind,
            "name": name,
            "alias": name,
            "schema": f"next_{layer}",
            "relation_name": f'"{self.target.database}"."next_{layer}"."{name}"',
            "fqn": ["adstar", layer, name],
            "columns": {column: {"name": column, "data_type": type_} for column, type_ in contract.items()},
            "config": {"materialized": "table"},
            "depends_on": {"nodes": reads or []},
        }
        self.nodes[f"{kind}.adstar.{name}"] = node
        self.tell()
        return node

    def view(self, name: str, query: str, reads: list[str]) -> None:
        """Make a report, and tell the manifest."""
        node = self.add(name, "reports", {}, reads=reads)
        node["config"]["materialized"] = "view"
        node["compiled_code"] = query.format(side=f'"{self.target.database}".')
        self.run(
            f"drop view if exists next_reports.{name} cascade",
            f"create view next_reports.{name} as {query.format(side='')}",
        )
        self.tell()

    def tell(self) -> None:
        """Write the manifest."""
        self.folder.mkdir(parents=True, exist_ok=True)
        told = {"metadata": {"invocation_id": f"build {self.version}"}, "nodes": self.nodes}
        (self.folder / "manifest.json").write_text(json.dumps(told))

    def rebuild(self, first: int, days: int) -> None:
        """Rebuild partitions of the fact: so many days from the first on."""
        last = first + days - 1
        where = f"date_day between date '2026-01-01' + {first} and date '2026-01-01' + {last}"
        self.run(
            f"delete from next_marts.fact_ad_performance where {where}",
            f"""
            insert into next_marts.fact_ad_performance select
                date '2026-01-01' + d, a, a * 7, a * 70 + n % 9, a * 700 + n,
                case a % 2 when 0 then 'facebook_ads' else 'google_ads' end, 'account ' || a,
                'campaign ' || a, 'ad group ' || n % 9, case when n > 1 then 'ad ' || n end, 'ad', 100 + n,
                n % 10, null,
                (10 * n + {self.version}) / 7.0, 'EUR', (10 * n + {self.version}) / 7.0, 1,
                case when n % 2 = 0 then n end, null, true, {self.version}, '2026-03-01 06:00+00',
                {self.version}
            from
                generate_series({first}, {last}) d, generate_series(1, {self.accounts}) a,
                generate_series(1, {self.ads}) n
            """,
            f"delete from next_intermediate.built_partitions where {where}",
            f"""
            insert into next_intermediate.built_partitions
                (fact_name, partition_key, account_key, date_day, built_by)
            select 'fact_ad_performance', d * 1000 + a, a, date '2026-01-01' + d, '{uuid.uuid4()}'
            from generate_series({first}, {last}) d, generate_series(1, {self.accounts}) a
            """,
        )

    def build(self) -> None:
        """The next build: the last days of the fact, some sales, all rows of the dimension."""
        self.version += 1
        self.rebuild(self.days - self.rebuilt_days, self.rebuilt_days)
        self.run(
            f"update next_marts.dim_account set version = {self.version}",
            f"""
            update next_marts.fact_sales set version = {self.version}, is_gift = nullif(is_gift, true)
            where net_amount::integer % 50 = {self.version % 50}
            """,
            f"""
            insert into next_marts.fact_sales
            values (date '2026-03-01', null, 1, 1, 1, null, null, null, {self.version})
            """,
            "truncate next_staging.stg_sets, next_reports.rpt_reconciliation",
            f"insert into next_staging.stg_sets select n, {self.version} from generate_series(1, 10) n",
            "insert into next_reports.rpt_reconciliation select * from next_staging.stg_sets",
        )
        self.tell()

    # ---- what is asked
    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements; what the last returns."""
        with closing(self.target.connect()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def differing(self) -> dict[str, int]:
        """For each relation that is published, how many rows differ between side and live."""
        found = {}
        for layer, name in self.run(
            "select table_schema, table_name from information_schema.tables"
            " where table_schema in ('next_marts', 'next_reports') or table_name = 'conversion_definitions'"
            " and table_schema like 'next%' order by 1, 2"
        ):
            columns = ", ".join(
                column
                for (column,) in self.run(
                    f"select column_name from information_schema.columns where table_schema = '{layer}'"
                    f" and table_name = '{name}' order by 1"
                )
            )
            live = f"{layer.removeprefix('next_')}.{name}"
            ((count,),) = self.run(
                "select count(*) from"
                f" ((select {columns} from {layer}.{name} except all select {columns} from {live}) union all"
                f" (select {columns} from {live} except all select {columns} from {layer}.{name})) as d"
            )
            found[name] = count
        assert len(found) >= 9
        return {name: count for name, count in found.items() if count}

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """All that is read."""
        return {
            f"{schema}.{name}": self.run(f"select t::text from {schema}.{name} as t order by 1")
            for schema, name in self.run(
                "select table_schema, table_name from information_schema.tables"
                " where table_schema in ('marts', 'reports', 'intermediate') order by 1, 2"
            )
        }

    def entries(self) -> list[tuple[Any, ...]]:
        """The ledger: kind and outcome of each, the oldest first."""
        return self.run("select kind, outcome from published.publishes order by number")

    # ---- publishers
    def start(self, program: str = "publish", *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """A publisher as a process."""
        return preloaded.Popen(
            [sys.executable, ROOT / "scripts" / f"_{program}.py", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            env={**os.environ, **variables},
        )


def publish(*arguments: str) -> int:
    """scripts/publish of what is built, in this process."""
    return _publish.main(["--built", *arguments])


def rollback(reason: str = "wrong") -> int:
    """scripts/rollback, in this process."""
    return _rollback.main(["--reason", reason])


class Readers:
    """People who read all the time, in every way; what they have seen that nobody should."""

    STAR = ", ".join(f"(select max(version) from {table})" for table in TABLES)
    WHOLE = (
        "(select count(distinct version) from marts.dim_account), (select count(*) from marts.dim_account)"
    )

    def __init__(self, target: Target, *, isolated: bool = True) -> None:
        """Without `isolated` nobody holds a snapshot: what no table that is made anew can serve."""
        self.target = target
        self.isolated = isolated
        self.seen: list[str] = []
        self.looks = 0
        self.versions: set[int] = set()
        self._ended = threading.Event()

    def one_statement(self, cursor: Any) -> None:
        """Everything in one statement, at read committed."""
        self._judge("one statement", self._ask(cursor, f"select {self.STAR}, {self.WHOLE}"))

    def one_snapshot(self, cursor: Any) -> None:
        """One statement after the other, at repeatable read."""
        cursor.execute("begin isolation level repeatable read")
        cursor.execute("select 1")
        row = [self._ask(cursor, f"select max(version) from {table}")[0] for table in TABLES]
        row += self._ask(cursor, f"select {self.WHOLE}")
        cursor.execute("commit")
        self._judge("one snapshot", row)

    def many_statements(self, cursor: Any) -> None:
        """One statement after the other, at read committed: each sees a whole star, never an older one."""
        cursor.execute("begin")
        row = [self._ask(cursor, f"select max(version) from {table}")[0] for table in TABLES]
        cursor.execute("commit")
        self.looks += 1
        if None in row or row != sorted(row):
            self.seen.append(f"many statements: {row}")

    def _ask(self, cursor: Any, sql: str) -> list[Any]:
        cursor.execute(sql)
        return list(cursor.fetchone())

    def _judge(self, how: str, row: list[Any]) -> None:
        *versions, distinct, rows = row
        self.looks += 1
        self.versions |= set(versions)
        if None in versions or len(set(versions)) != 1 or distinct != 1 or rows == 0:
            self.seen.append(f"{how}: {row}")

    def _read(self, look: Any) -> None:
        with closing(self.target.connect()) as connection, connection.cursor() as cursor:
            while not self._ended.is_set():
                try:
                    look(cursor)
                except psycopg2.Error as error:
                    self.seen.append(f"{look.__name__}: {error}")
                    cursor.execute("rollback")
                time.sleep(0.02)

    @contextmanager
    def reading(self) -> Iterator[Readers]:
        """Read until the end of the block."""
        looks = [self.one_statement, self.many_statements]
        if self.isolated:
            looks.append(self.one_snapshot)
        threads = [threading.Thread(target=self._read, args=[look]) for look in looks]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            for thread in threads:
                thread.join()
