"""How views, tables and what tests found are made: with adstar's macros in a small project of their own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from loaders._core.embedded import EmbeddedWarehouse

OURS = Path(__file__).parents[2] / "dbt_project" / "macros" / "materializations"
RUN_EACH = """
import json, sys
from dbt.cli.main import dbtRunner
for line in sys.stdin:
    ended = dbtRunner().invoke(json.loads(line))
    ends = {each.node.name: each.status for each in ended.result or []} or {"dbt": str(ended.exception)}
    print("\\n" + json.dumps([ends, [each.message for each in ended.result or []]]), flush=True)
"""


class Small:
    """A project of few models that can be changed, and dbt, which stays started."""

    told = ""  # what the last command said of each node

    def __init__(self, server: EmbeddedWarehouse, folder: Path) -> None:
        self.connection = server.connect()
        self.connection.autocommit = True
        self.folder = folder
        folder.mkdir()
        project = {"name": "small", "profile": "small", "macro-paths": [str(OURS)]}
        login = {"type": "postgres", "host": "127.0.0.1", "port": server.port, "user": "adstar"}
        output = {**login, "password": server.password, "dbname": "adstar", "schema": "small", "threads": 2}
        profile = {"small": {"target": "it", "outputs": {"it": output}}}
        (folder / "dbt_project.yml").write_text(yaml.safe_dump(project))
        (folder / "profiles.yml").write_text(yaml.safe_dump(profile))
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN_EACH],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self) -> None:
        """Nothing in the project and nothing in the warehouse."""
        self.ask("drop schema if exists small cascade; drop schema if exists small_dbt_test__audit cascade")
        for name in ("models", "tests"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir()

    def write(self, **models: str) -> None:
        for name, sql in models.items():
            (self.folder / "models" / f"{name}.sql").write_text(sql)

    def dbt(self, *arguments: str) -> dict[str, str]:
        """Run a command; what became of each node."""
        assert self.process.stdin
        assert self.process.stdout
        places = ["--quiet", "--project-dir", str(self.folder), "--profiles-dir", str(self.folder)]
        self.process.stdin.write(json.dumps([*arguments, *places]) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("[{"):
                ends: dict[str, str]
                ends, said = json.loads(line)
                self.told = "\n".join(map(str, said))
                return ends
        raise AssertionError(f"dbt ended with exit code {self.process.wait()}")

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def relations(self) -> dict[str, str]:
        """Everything in the project's schemas, by name: v for a view, r for a table."""
        return dict(
            self.ask(
                "select relname, relkind::text from pg_class"
                " where relnamespace::regnamespace::text like 'small%' and relkind in ('r', 'v')"
            )
        )


@pytest.fixture(scope="module")
def started(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    made = Small(server, tmp_path_factory.mktemp("small") / "project")
    with closing(made.connection), made.process:
        yield made
        made.process.kill()


@pytest.fixture
def small(started: Small) -> Small:
    started.begin()
    return started


def test_a_view_is_replaced_where_it_stands_and_made_anew_only_when_its_columns_change(small: Small) -> None:
    small.write(
        rows_of="{{ config(materialized='table', indexes=[{'columns': ['a']}]) }} select 1 as a, 2 as b",
        seen="select a, b from {{ ref('rows_of') }}",
        report="select a + 10 as c from {{ ref('seen') }}",
    )
    assert set(small.dbt("run").values()) == {"success"}
    small.ask(
        "create view small.of_an_analyst as select a from small.seen; grant select on small.seen to public"
    )

    small.write(seen="select a * 2 as a, b, 3 as added from {{ ref('rows_of') }}")
    assert small.dbt("run", "--select", "seen") == {"seen": "success"}
    assert small.ask("select c from small.report") == [(12,)]
    assert small.ask("select a from small.of_an_analyst") == [(2,)]
    assert small.ask("select relacl::text like '%=r/%' from pg_class where relname = 'seen'") == [(True,)]

    small.write(seen="select b as a, a as b from {{ ref('rows_of') }}")
    assert small.dbt("run", "--select", "seen") == {"seen": "success"}
    assert small.ask("select a, b from small.seen") == [(2, 1)]

    small.write(seen="select 'text' as d, a from {{ ref('rows_of') }}")
    assert small.dbt("run") == {"rows_of": "success", "seen": "success", "report": "success"}
    assert small.ask("select d, a from small.seen") == [("text", 1)]
    assert small.ask("select c from small.report") == [(11,)]
    assert small.relations() == {"rows_of": "r", "seen": "v", "report": "v"}, (
        "something is left under another name"
    )


def test_what_was_a_table_becomes_a_view_and_the_other_way(small: Small) -> None:
    kinds = {"one": "table", "two": "view"}
    for turn in range(2):
        one, two = ("{{ config(materialized='" + kinds[name] + "') }}" for name in ("one", "two"))
        small.write(one=f"{one} select {turn} as a", two=f"{two} select a from {{{{ ref('one') }}}}")
        assert small.dbt("run") == {"one": "success", "two": "success"}
        assert small.ask("select a from small.two") == [(turn,)]
        assert small.relations() == {name: {"table": "r", "view": "v"}[kind] for name, kind in kinds.items()}
        kinds = {"one": kinds["two"], "two": kinds["one"]}


def test_what_fails_leaves_what_was_there(small: Small) -> None:
    small.write(one="{{ config(materialized='table') }} select 1 as a", two="select a from {{ ref('one') }}")
    small.dbt("run")
    small.write(one="{{ config(materialized='table') }} select 1 / (random() * 0)::int as a")
    assert small.dbt("run") == {"one": "error", "two": "skipped"}
    small.write(one="select 1 / (random() * 0)::int as a, row(1, 2) as b")
    assert small.dbt("run", "--select", "one") == {"one": "error"}
    for broken in ("a, a", "row(1, 2) as b"):
        small.write(two=f"select {broken} from {{{{ ref('one') }}}}")
        assert small.dbt("run", "--select", "two") == {"two": "error"}
    assert "pseudo-type record" in small.told
    assert small.ask("select a from small.two") == [(1,)]
    assert small.relations() == {"one": "r", "two": "v"}


def test_what_a_killed_build_of_dbts_own_left_goes(small: Small) -> None:
    small.write(one="{{ config(materialized='table') }} select 1 as a")
    small.dbt("run")
    small.ask(
        "create table small.one__dbt_backup as select 'Ann' as name; create table small.one__dbt_tmp (a int)"
    )
    assert small.dbt("run") == {"one": "success"}
    assert small.relations() == {"one": "r"}


def test_a_reader_of_a_view_and_a_build_of_its_table_both_come_to_their_end(
    small: Small, server: EmbeddedWarehouse
) -> None:
    small.write(one="{{ config(materialized='table') }} select 1 as a", two="select a from {{ ref('one') }}")
    small.dbt("run")
    small.write(one="{{ config(materialized='table') }} select 2 as a")
    with closing(server.connect()) as reader, reader.cursor() as cursor, ThreadPoolExecutor(1) as aside:
        # As a query of the view does before it goes on to the table.
        cursor.execute("create temporary view of_reader as select a from small.two")
        building = aside.submit(small.dbt, "run", "--select", "one")
        wanted = "select 1 from pg_locks where not granted and relation = 'small.two'::regclass"
        while not small.ask(wanted):
            assert not building.done()
            time.sleep(0.05)
        cursor.execute("select a from small.one")
        assert cursor.fetchall() == [(1,)]
        reader.rollback()
        assert building.result(60) == {"one": "success"}
    assert small.ask("select a from small.one") == [(2,)]


def test_rows_that_a_test_found_are_those_of_its_last_run(small: Small) -> None:
    small.write(one="{{ config(materialized='table') }} select a from generate_series(1, 3) a")
    (small.folder / "tests" / "large.sql").write_text(
        "{{ config(store_failures=true) }} select a from {{ ref('one') }} where a > 1"
    )
    assert small.dbt("build") == {"one": "success", "large": "fail"}
    assert small.ask("select a from small_dbt_test__audit.large order by a") == [(2,), (3,)]
    small.write(one="{{ config(materialized='table') }} select 1 as a")
    assert small.dbt("build") == {"one": "success", "large": "pass"}
    assert small.ask("select a from small_dbt_test__audit.large") == []
