"""scripts/ddl for tests: with steps of their own, in this process or in another."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import _ddl
import pytest
from _changes import catalog as ddl_catalog

from loaders._core.errors import AdstarError
from loaders._core.warehouse import Target
from tests.conftest import ROOT

NO_DRIFT = "-- nothing was made or removed by hand\n"


def run(target: Target, *statements: str) -> list[tuple[Any, ...]]:
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        for sql in statements:
            cursor.execute(sql)
        return list(cursor.fetchall()) if cursor.description else []


@dataclass
class Bench:
    """scripts/ddl with steps of its own."""

    target: Target
    steps: Path
    suffix: str

    def write(self, text: str, file: str = "010-first.yml") -> None:
        """A file of steps; ROLE stands for the end of a role's name: roles are the server's."""
        (self.steps / file).write_text(text.replace("ROLE", self.suffix))

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """What it prints, errors included; it has to end with this code."""
        with redirect_stdout(io.StringIO()) as told, redirect_stderr(told):
            try:
                ended = _ddl.main([*arguments, "--steps", str(self.steps)])
            except AdstarError as error:
                ended = 1
                print(f"scripts/ddl: {error}")
        assert ended == code, told.getvalue()
        return told.getvalue()

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """The same in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "scripts/_ddl.py", *arguments, "--steps", str(self.steps)],
            env={**os.environ, **environment},
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def noted(self) -> list[tuple[Any, ...]]:
        return run(self.target, "select id, outcome from ops.ddl_steps order by entry")

    def facts(self) -> set[Any]:
        return facts(self.target)


def facts(target: Target) -> set[Any]:
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        return ddl_catalog.read(target, cursor).facts


def bench(target: Target, folder: Path) -> Iterator[Bench]:
    steps = folder / "steps"
    steps.mkdir()
    found = Bench(target, steps, secrets.token_hex(4))
    yield found
    for (name,) in run(target, f"select rolname from pg_roles where rolname like '%{found.suffix}'"):
        run(
            target, f"reassign owned by {name} to {target.user}", f"drop owned by {name}", f"drop role {name}"
        )


@pytest.fixture
def ddl(target: Target, tmp_path: Path) -> Iterator[Bench]:
    yield from bench(target, tmp_path)


SALES = """
- id: 010-sales
  owner: data platform
  reason: Sales have a place of their own.
  rollback: reverse
  schemas: [sales, archive]

- id: 020-roles
  owner: data platform
  reason: Rights are given to roles.
  rollback: reverse
  roles: [reader_ROLE, writer_ROLE]

- id: 030-rights
  owner: data platform
  reason: Readers read and writers write.
  rollback: reverse
  grants:
    - to: [writer_ROLE]
      on_database: [create]
    - to: [writer_ROLE]
      schemas: [sales, archive]
      on_schemas: [usage, create]
      on_tables: [select, insert]
    - to: [reader_ROLE]
      schemas: [sales]
      on_schemas: [usage]
      on_tables: [select]
      made_by: [writer_ROLE]
    - to: [reader_ROLE]
      schemas: [archive]
      on_schemas: [usage]
      on_tables: [select]
      except: [secret]

- id: 040-paths
  owner: data platform
  reason: Readers leave out the schema.
  rollback: reverse
  search_paths: {reader_ROLE: [sales, archive]}

- id: 050-people
  owner: data platform
  reason: Ann reads sales as of today.
  rollback: reverse
  members: {reader_ROLE: [ann_ROLE]}

- id: 060-others
  owner: data platform
  reason: Throw-away schemas and what every database has.
  rollback: reverse
  unmanaged: ["ci_*", public]
"""
ONE = "- {{id: {}, owner: me, reason: it is needed, rollback: reverse, schemas: [{}]}}\n"
INDEX = """
- id: 070-table
  owner: data platform
  reason: Orders are looked up by day.
  rollback: drop table sales.orders
  sql: |
    create table sales.orders (day date, note text default 'a;b');  -- not yet filled; by hand
    insert into sales.orders (day) values ('2026-03-01') -- one; the first

- id: 080-index
  owner: data platform
  reason: It must not lock out who writes.
  rollback: drop index concurrently sales.orders_day
  transaction: false
  sql:
    postgres: create index concurrently orders_day on sales.orders (day)
    redshift: vacuum sort only sales.orders
"""
