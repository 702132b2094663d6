"""scripts/ddl: what it prints, applies, refuses, takes back and finds changed by hand, on a real Postgres."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from _changes import steps as ddl_steps
from _changes.facts import On, Right, Role, Schema

from loaders._core.embedded import EmbeddedWarehouse
from tests.conftest import ROOT, database, drop, recreate
from tests.deploy.ddl_bench import INDEX, NO_DRIFT, ONE, SALES, Bench, bench, ddl, facts, run

__all__ = ["ddl"]


def apply_sales(ddl: Bench) -> Bench:
    """SALES is applied to a warehouse with tables in it, and ann is there."""
    run(ddl.target, f"create role ann_{ddl.suffix} login", f"create role bob_{ddl.suffix} login")
    ddl.write(SALES)
    run(ddl.target, "create schema sales", "create table sales.orders (id int, email text)")
    run(ddl.target, "create schema archive", "create table archive.old (id int)")
    run(ddl.target, "create table archive.secret (id int)")
    ddl("apply")
    return ddl


@pytest.fixture
def applied(ddl: Bench) -> Bench:
    return apply_sales(ddl)


@pytest.fixture(scope="module")
def kept(server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The same for all tests that leave it as it was."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("kept")
        made = database(server, patch, folder)
        benches = bench(next(made), folder)
        yield apply_sales(next(benches))
        next(benches, None)
        next(made, None)


# ---- plan and apply


def test_on_a_fresh_warehouse_the_plan_is_what_would_run_and_nothing_runs(
    ddl: Bench, server: EmbeddedWarehouse
) -> None:
    run(ddl.target, f"create role ann_{ddl.suffix} login")
    ddl.write(SALES)
    ddl.write(INDEX, "070-orders.yml")
    before = ddl.facts()
    told = ddl("plan")
    assert ddl.facts() == before
    assert ddl("plan", "--exit-code", code=3) == told
    order = [
        told.index(f"to apply {number}")
        for number in ("010", "020", "030", "040", "050", "060", "070", "080")
    ]
    assert order == sorted(order)
    for sql in (
        "create schema if not exists sales;",
        f"create role reader_{ddl.suffix} nologin;",
        f"grant create on database {ddl.target.database} to writer_{ddl.suffix};",
        f"grant usage, create on schema sales, archive to writer_{ddl.suffix};",
        f"grant select, insert on all tables in schema sales, archive to writer_{ddl.suffix};",
        f"alter default privileges for role writer_{ddl.suffix} in schema sales grant select on tables"
        f" to reader_{ddl.suffix};",
        f"grant reader_{ddl.suffix} to ann_{ddl.suffix};",
        f"alter user ann_{ddl.suffix} set search_path to sales, archive;",
        "create index concurrently orders_day on sales.orders (day);",
    ):
        assert f"\n{sql}\n" in told
    assert "vacuum" not in told, "that is for Redshift"
    assert told.endswith("-- 0 applied, 8 to apply, 0 changed by hand\n")

    # Run by hand, it is what apply makes.
    printed = "\n".join(line for line in told.splitlines() if not line.startswith("--"))
    other = replace(ddl.target, database=f"{ddl.target.database}_by_hand")
    recreate(server, other.database)
    try:
        run(other, *ddl_steps.statements(printed.replace(ddl.target.database, other.database)))
        made = facts(other)
        ddl("apply")
        assert ddl.facts() - made == {Schema("ops")}
        assert made <= ddl.facts()
    finally:
        drop(server, other.database)


def test_a_current_warehouse_has_nothing_to_do_and_each_step_ran_once(applied: Bench) -> None:
    everything = applied.noted()
    assert everything == [(f"{number}", "applied") for number in (
        "010-sales", "020-roles", "030-rights", "040-paths", "050-people", "060-others"
    )]  # fmt: skip
    told = applied("plan", "--exit-code")
    assert told.endswith("-- 6 applied, 0 to apply, 0 changed by hand\n")
    assert [line for line in told.splitlines() if not line.startswith("-- ")] == []
    assert applied("apply") == "nothing to apply\n"
    assert applied.noted() == everything
    ((who, seconds, owner),) = run(
        applied.target, "select applied_by, seconds, owner from ops.ddl_steps where id = '020-roles'"
    )
    assert (who, owner) == (applied.target.user, "data platform")
    assert 0 <= seconds < 60


def test_only_what_is_new_is_run(applied: Bench) -> None:
    run(applied.target, "drop table sales.orders")
    applied.write(INDEX, "070-orders.yml")
    told = applied("plan")
    assert "create schema" not in told
    assert "create table sales.orders" in told
    assert applied("apply").startswith("applied 070-table in ")
    assert run(applied.target, "select note from sales.orders") == [("a;b",)]
    assert run(applied.target, "select indexname from pg_indexes where schemaname = 'sales'") == [
        ("orders_day",)
    ]


def test_what_is_there_already_is_taken_in_and_is_no_drift(ddl: Bench) -> None:
    run(
        ddl.target, "create schema sales", f"create role reader_{ddl.suffix}", f"create role ann_{ddl.suffix}"
    )
    ddl.write(SALES)
    told = ddl("plan")
    assert f"create role reader_{ddl.suffix}" not in told
    assert f"create role writer_{ddl.suffix}" in told
    assert "by hand:" not in told
    ddl("apply")
    assert ddl("drift") == NO_DRIFT


@pytest.mark.parametrize(
    ("edit", "by"),
    [
        (("schemas: [sales, archive]", "schemas: [sales, archive, another]"), "010-sales was edited after"),
        (("on_tables: [select, insert]", "on_tables: [select]"), "030-rights was edited after"),
        (("transaction: false", "transaction: true"), "080-index was edited after"),
        (("drop table", "drop table if exists"), None),
        (("owner: data platform", "owner: somebody else"), None),
        (("reason: Rights are given to roles.", "reason: Rights are not given to people."), None),
    ],
)
def test_an_edited_step_is_named_and_nothing_is_applied(
    ddl: Bench, edit: tuple[str, str], by: str | None
) -> None:
    run(ddl.target, f"create role ann_{ddl.suffix} login")
    safe = INDEX.replace(" concurrently", "").replace("vacuum sort only", "analyze")
    ddl.write(SALES)
    ddl.write(safe, "070-orders.yml")
    ddl("apply")
    noted = ddl.noted()
    ddl.write(SALES.replace(*edit))
    ddl.write(safe.replace(*edit), "070-orders.yml")
    ddl.write(
        "- {id: 090-new, owner: me, reason: it is needed, rollback: reverse, schemas: [new]}", "090-new.yml"
    )
    if by is None:
        assert "applied 090-new" in ddl("apply")
        return
    told = ddl("plan", code=1)
    assert f"scripts/ddl: {by} it was applied (" in told
    assert "put back what it was in " in told
    assert "to apply 090-new" in told, "the rest is still told"
    assert by in ddl("apply", code=1)
    assert ddl.noted() == noted
    assert Schema("new") not in ddl.facts()


def test_a_step_that_was_taken_out_or_comes_too_late_is_named(applied: Bench) -> None:
    applied.write(SALES.partition("- id: 060")[0])
    assert "060-others was removed after it was applied" in applied("plan", code=1)
    late = "- {id: 055-late, owner: me, reason: it is needed, rollback: reverse, schemas: [late]}\n"
    before, mark, after = SALES.partition("- id: 060")
    applied.write(before + late + mark + after)
    told = applied("apply", code=1)
    assert "055-late (010-first.yml) comes before 060-others, which is applied" in told
    assert Schema("late") not in applied.facts()


# ---- failures

HALF = """
- id: 010-half
  owner: data platform
  reason: The second statement fails.
  rollback: drop table made
  sql: create table made (a int); insert into made select 1 / 0; create table never (a int)

- id: 020-next
  owner: data platform
  reason: It stands behind one that fails.
  rollback: reverse
  schemas: [later]
"""


def test_a_failed_step_leaves_nothing_stops_the_rest_and_is_tried_again(ddl: Bench) -> None:
    ddl.write(HALF)
    told = ddl("apply", code=1)
    assert "010-half: statement 2 of 3 (`insert into made select 1 / 0`): division by zero" in told
    assert run(ddl.target, "select to_regclass('made')") == [(None,)]
    assert Schema("later") not in ddl.facts()
    assert ddl.noted() == [("010-half", "failed")]
    told = ddl("plan")
    assert "-- failed 010-half: " in told
    assert "division by zero; apply tries it again" in told
    assert "-- 0 applied, 2 to apply" in told
    ddl("apply", code=1)
    ddl.write(HALF.replace("1 / 0", "1 / 1"))
    ddl("apply")
    assert ddl.noted() == [("010-half", "failed")] * 2 + [("010-half", "applied"), ("020-next", "applied")]
    assert run(ddl.target, "select a from made") == [(1,)]


def test_a_step_outside_a_transaction_fails_and_is_tried_again(ddl: Bench) -> None:
    ddl.write(
        """
- id: 010-vacuum
  owner: data platform
  reason: It has lost half of its rows.
  rollback: {impossible: what is vacuumed stays vacuumed}
  transaction: false
  sql: vacuum made
"""
    )
    assert '010-vacuum: statement 1 of 1 (`vacuum made`): relation "made" does not exist' in ddl(
        "apply", code=1
    )
    run(ddl.target, "create table made (a int)")
    ddl("apply")
    assert ddl.noted() == [("010-vacuum", outcome) for outcome in ("begun", "failed", "begun", "applied")]
    assert "what is vacuumed stays vacuumed" in ddl("rollback", "010-vacuum", code=1)


def test_no_secret_of_an_error_is_noted_or_printed(ddl: Bench) -> None:
    ddl.write(
        """
- id: 010-leak
  owner: data platform
  reason: Errors may hold what they were called with.
  rollback: select 1
  sql: do $$ begin raise exception 'no route to postgresql://etl:hunter22@db/shop'; end $$
"""
    )
    told = ddl("apply", code=1) + str(run(ddl.target, "select message from ops.ddl_steps"))
    assert told.count(": no route to postgresql://etl:***@db/shop") == 2
    assert "hunter22" not in told


SLOW = """
- id: 010-slow
  owner: data platform
  reason: It takes its time.
  rollback: drop table made
  transaction: TRANSACTION
  sql: SQL
"""


def slow(sql: str, *, transaction: bool = True) -> str:
    return SLOW.replace("TRANSACTION", str(transaction).lower()).replace("SQL", sql)


ASLEEP = (
    "from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
    " and datname = current_database() and query like 'select pg_sleep%'"
)


@contextmanager
def asleep(ddl: Bench) -> Iterator[subprocess.Popen[str]]:
    """An apply in the middle of a step that sleeps; ended with the block."""
    process = ddl.start("apply")
    until = time.monotonic() + 30
    while not run(ddl.target, f"select 1 {ASLEEP}"):
        assert time.monotonic() < until
        time.sleep(0.05)
    yield process
    process.kill()
    process.communicate()
    # A server finishes the statement of a client that is gone; nobody waits for it here.
    run(ddl.target, f"select pg_terminate_backend(pid) {ASLEEP}")


def test_killed_within_a_step_leaves_nothing_of_it(ddl: Bench) -> None:
    ddl.write(slow("create table made as select 1; select pg_sleep(60)"))
    with asleep(ddl):
        pass
    assert run(ddl.target, "select to_regclass('made')") == [(None,)]
    assert ddl.noted() == []
    ddl.write(slow("create table made as select 1"))
    ddl("apply")
    assert ddl.noted() == [("010-slow", "applied")]


def test_killed_within_a_step_outside_a_transaction_is_known_and_run_again(ddl: Bench) -> None:
    ddl.write(slow("select pg_sleep(60)", transaction=False))
    with asleep(ddl):
        assert "begun 010-slow: " in ddl("plan")
    ddl.write(slow("select pg_sleep(0)", transaction=False))
    assert "it was killed, or is at work; apply runs it again" in ddl("plan")
    ddl("apply")
    assert ddl.noted() == [("010-slow", "begun"), ("010-slow", "begun"), ("010-slow", "applied")]


def test_two_that_apply_at_once_do_not_interleave(ddl: Bench) -> None:
    run(ddl.target, "create table runs (step text)")
    steps = "\n".join(
        SLOW.replace("010", f"0{number}0").replace("TRANSACTION", str(number % 2 == 0).lower())
        .replace("SQL", f"insert into runs select 'step {number}' from pg_sleep(0.3)")
        for number in range(1, 6)
    )  # fmt: skip
    ddl.write(steps)
    both = [ddl.start("apply") for _ in range(3)]
    told = [process.communicate(timeout=60)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0, 0], told
    assert run(ddl.target, "select step from runs") == [(f"step {number}",) for number in range(1, 6)]
    assert sorted(text.count("applied") for text in told) == [0, 0, 5], told
    assert [entry for entry in ddl.noted() if entry[1] == "applied"] == [
        (f"0{number}0-slow", "applied") for number in range(1, 6)
    ]


def test_who_waits_too_long_for_another_gives_up(ddl: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ddl.write(slow("select pg_sleep(60)"))
    monkeypatch.setenv("ADSTAR_DDL_LOCK_SECONDS", "0.5")
    with asleep(ddl):
        assert "another scripts/ddl has been at work for" in ddl("apply", code=1)
        assert "to apply 010-slow" in ddl("plan"), "who only looks waits for nobody"


def test_a_table_in_use_fails_the_step_instead_of_its_readers(
    ddl: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADSTAR_DDL_LOCK_SECONDS", "0.5")
    run(ddl.target, "create table made (a int)")
    ddl.write(slow("alter table made add column b int"))
    with closing(ddl.target.connect()) as reader, reader.cursor() as cursor:
        # It does not stay for longer than this test shall take.
        cursor.execute("set idle_in_transaction_session_timeout to '10s'")
        cursor.execute("begin; select * from made")
        assert "canceling statement due to lock timeout" in ddl("apply", code=1)
    ddl("apply")


# ---- rollback


def test_a_rollback_undoes_the_newest_step_and_no_other(applied: Bench) -> None:
    before = applied.facts()
    run(applied.target, "drop table sales.orders")
    applied.write(INDEX, "070-orders.yml")
    applied("apply")
    assert "070-table is not the step that was applied last, that is 080-index" in applied(
        "rollback", "070-table", code=1
    )
    applied("rollback", "080-index")
    assert run(applied.target, "select indexname from pg_indexes where schemaname = 'sales'") == []
    assert "rolled back 070-table" in applied("rollback", "070-table")
    assert "-- rolled back 080-index" in applied("plan")
    for step in ("060-others", "050-people", "040-paths", "030-rights", "020-roles"):
        applied("rollback", step)
        assert applied("drift") == NO_DRIFT
    ours = {fact for fact in applied.facts() if applied.suffix in str(fact)}
    assert ours == {Role(f"{name}_{applied.suffix}") for name in ("ann", "bob")}
    assert "cannot drop schema archive because other objects depend on it" in applied(
        "rollback", "010-sales", code=1
    )
    run(applied.target, "drop table archive.old, archive.secret")
    applied("rollback", "010-sales")
    assert not {Schema("sales"), Schema("archive")} & applied.facts()
    assert "none is applied" in applied("rollback", "010-sales", code=1)
    applied.write(SALES)
    (applied.steps / "070-orders.yml").unlink()
    applied("apply")
    orders = {fact for fact in before if getattr(fact, "place", "").partition(".")[2]}
    assert applied.facts() == before - orders


def test_an_edited_step_is_not_rolled_back(applied: Bench) -> None:
    applied.write(SALES.replace('["ci_*", public]', '["ci_*"]'))
    assert "060-others is no longer what was applied" in applied("rollback", "060-others", code=1)


def test_what_is_declared_can_be_removed_by_a_later_step_and_that_undone(applied: Bench) -> None:
    before = applied.facts()
    applied.write(
        """
- id: 070-no-archive
  owner: data platform
  reason: Nobody reads the archive any more.
  rollback: reverse
  remove: true
  grants:
    - to: [reader_ROLE]
      schemas: [archive]
      on_schemas: [usage]
      on_tables: [select]
      except: [secret]

- id: 080-ann-leaves
  owner: data platform
  reason: Ann has another job.
  rollback: reverse
  remove: true
  members: {reader_ROLE: [ann_ROLE]}
""",
        "070-less.yml",
    )
    told = applied("plan")
    assert f"revoke usage on schema archive from reader_{applied.suffix};" in told
    assert f"revoke reader_{applied.suffix} from ann_{applied.suffix};" in told
    assert f"alter user ann_{applied.suffix} reset search_path;" in told
    applied("apply")
    gone = {str(fact) for fact in before - applied.facts()}
    assert len(gone) == 4, gone
    assert applied("drift") == NO_DRIFT
    run(applied.target, f"grant reader_{applied.suffix} to ann_{applied.suffix}")
    assert f"-- by hand: ann_{applied.suffix} in reader_{applied.suffix}" in applied("drift", code=3)
    applied("mend")
    applied("rollback", "080-ann-leaves")
    applied("rollback", "070-no-archive")
    assert applied.facts() == before


# ---- drift

BY_HAND: list[tuple[str, str]] = [
    ("revoke usage on schema sales from reader_ROLE", "missing: reader_ROLE: usage on schema sales"),
    ("grant create on schema sales to reader_ROLE", "by hand: reader_ROLE: create on schema sales"),
    ("grant usage on schema sales to public", "by hand: public: usage on schema sales"),
    ("revoke select on sales.orders from reader_ROLE", "missing: reader_ROLE: select on sales.orders"),
    ("grant select on sales.orders to bob_ROLE", "by hand: bob_ROLE: select on sales.orders"),
    ("grant delete on sales.orders to writer_ROLE", "by hand: writer_ROLE: delete on sales.orders"),
    ("grant select on archive.secret to reader_ROLE", "by hand: reader_ROLE: select on archive.secret"),
    ("grant select (email) on sales.orders to bob_ROLE", "by hand: bob_ROLE: select on sales.orders (email)"),
    ("grant all on all tables in schema sales to public", "by hand: public: select, insert, update,"),
    ("grant create on database DATABASE to bob_ROLE", "by hand: bob_ROLE: create on the database"),
    ("revoke create on database DATABASE from writer_ROLE", "missing: writer_ROLE: create on the database"),
    (
        "alter default privileges in schema sales grant select on tables to bob_ROLE",
        "by hand: bob_ROLE: select on tables that adstar will make in sales",
    ),
    (
        "alter default privileges grant select on tables to bob_ROLE",
        "by hand: bob_ROLE: select on tables that adstar will make in any schema",
    ),
    (
        "alter default privileges for role writer_ROLE in schema sales"
        " revoke select on tables from reader_ROLE",
        "missing: reader_ROLE: select on tables that writer_ROLE will make in sales",
    ),
    ("grant reader_ROLE to bob_ROLE", "by hand: bob_ROLE in reader_ROLE"),
    ("revoke reader_ROLE from ann_ROLE", "missing: ann_ROLE in reader_ROLE"),
    ("grant pg_read_all_data to reader_ROLE", "by hand: reader_ROLE in pg_read_all_data"),
    ("alter role ann_ROLE set search_path to public", "by hand: search path of ann_ROLE: public"),
    ("alter role ann_ROLE set search_path to public", "missing: search path of ann_ROLE: sales, archive"),
    ("alter role ann_ROLE reset search_path", "missing: search path of ann_ROLE: sales, archive"),
    ("alter database DATABASE set search_path to archive", "by hand: search path of DATABASE: archive"),
    (
        "alter role ann_ROLE in database DATABASE set search_path to archive",
        "by hand: search path of ann_ROLE in DATABASE: archive",
    ),
]


@pytest.mark.parametrize(("sql", "named"), BY_HAND)
def test_what_was_made_or_removed_by_hand_is_named_and_mended(kept: Bench, sql: str, named: str) -> None:
    def ours(text: str) -> str:
        return text.replace("ROLE", kept.suffix).replace("DATABASE", kept.target.database)

    before = kept.facts()
    run(kept.target, ours(sql))
    told = kept("drift", code=3)
    assert f"-- {ours(named)}" in told
    plan = kept("plan", "--exit-code", code=3)
    assert told.strip() in plan
    assert "0 to apply" in plan
    kept("mend")
    assert kept("drift") == NO_DRIFT
    assert kept.facts() == before
    assert kept.noted()[-1] == ("mend", "mended")


def test_a_schema_made_by_hand_is_named_and_left_one_removed_is_made_again(applied: Bench) -> None:
    before = applied.facts()
    run(applied.target, "create schema another", "drop schema archive cascade")
    told = applied("drift", code=3)
    assert "-- by hand: schema another\n" in told
    assert "-- missing: schema archive\n" in told
    assert f"-- missing: reader_{applied.suffix}: usage on schema archive\n" in told
    assert "schema another is left, as it may hold data" in applied("mend")
    lost = {fact for fact in before if getattr(fact, "place", "").startswith("archive.")}
    assert applied.facts() == before - lost | {Schema("another")}, "its tables nothing brings back"
    assert applied("drift", code=3).splitlines() == [
        "-- by hand: schema another",
        "--     drop schema if exists another;",
    ]


def test_what_others_make_is_no_drift(applied: Bench) -> None:
    run(applied.target, "create schema ci_4711_marts", "create table ci_4711_marts.t (a int)")
    run(applied.target, f"grant all on all tables in schema ci_4711_marts to bob_{applied.suffix}")
    run(applied.target, f"alter role bob_{applied.suffix} set search_path to public")
    run(
        applied.target,
        f"create role eve_{applied.suffix}",
        f"grant eve_{applied.suffix} to bob_{applied.suffix}",
    )
    assert applied("drift") == NO_DRIFT


def test_later_tables_have_their_rights_or_are_named(applied: Bench) -> None:
    reader, writer = (f"{name}_{applied.suffix}" for name in ("reader", "writer"))
    run(applied.target, f"set role {writer}", "create table sales.later (a int)")
    assert Right(On.TABLE, "sales.later", "select", reader) in applied.facts()
    assert applied("drift") == NO_DRIFT, "its owner needs no rights"
    run(applied.target, "create table sales.by_another (a int)")
    told = applied("drift", code=3)
    assert f"-- missing: {reader}: select on sales.by_another" in told
    assert f"-- missing: {writer}: select, insert on sales.by_another" in told
    applied("mend")
    assert applied("drift") == NO_DRIFT


def test_all_at_once_is_mended_in_one_transaction_or_not_at_all(applied: Bench) -> None:
    before = applied.facts()
    for sql, _ in BY_HAND:
        run(applied.target, sql.replace("ROLE", applied.suffix).replace("DATABASE", applied.target.database))
    ann = f"ann_{applied.suffix}"
    run(applied.target, f"alter role {ann} rename to gone_{applied.suffix}")
    broken = applied.facts()
    assert f'role "{ann}" does not exist' in applied("mend", code=1)
    assert applied.facts() == broken
    run(applied.target, f"alter role gone_{applied.suffix} rename to {ann}")
    applied("mend")
    assert applied.facts() == before


# ---- who applies


def test_an_administrator_who_is_no_superuser_can_apply_and_see_drift(
    ddl: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a managed Postgres: may make roles, owns the database."""
    admin = f"admin_{ddl.suffix}"
    run(
        ddl.target,
        f"create role ann_{ddl.suffix} login",
        f"create role {admin} login createrole password 'pw'",
        f"grant ann_{ddl.suffix} to {admin} with admin option, inherit false, set false",
        f"alter database {ddl.target.database} owner to {admin}",
    )
    monkeypatch.setenv("ADSTAR_POSTGRES_USER", admin)
    monkeypatch.setenv("ADSTAR_POSTGRES_PASSWORD", "pw")
    ddl.write(SALES)
    assert "permission denied to change default privileges" in ddl("apply", code=1)
    first, mark, last = SALES.partition("- id: 030")
    own = ONE.format("025-admin", "").replace("schemas: []", f"members: {{writer_ROLE: [{admin}]}}")
    ddl.write(first + own + mark + last)
    ddl("apply")
    assert ddl("drift") == NO_DRIFT


def test_a_login_that_may_only_read_can_plan(applied: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run(applied.target, f"alter role bob_{applied.suffix} password 'pw'")
    monkeypatch.setenv("ADSTAR_POSTGRES_USER", f"bob_{applied.suffix}")
    monkeypatch.setenv("ADSTAR_POSTGRES_PASSWORD", "pw")
    assert "this login may not read ops.ddl_steps" in applied("plan", code=1)
    run(applied.target, f"grant usage on schema ops to bob_{applied.suffix}")
    run(applied.target, f"grant select on ops.ddl_steps to bob_{applied.suffix}")
    assert "6 applied, 0 to apply" in applied("plan")


# ---- the command


def test_the_command_says_its_exit_codes(ddl: Bench) -> None:
    """The script itself, as CI runs it."""

    def script(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [ROOT / "scripts" / "ddl", *arguments], capture_output=True, text=True, check=False, cwd="/tmp"
        )
        return done.returncode, done.stdout + done.stderr

    steps = ("--steps", str(ddl.steps))
    ddl.write(ONE.format("010-sales", "sales") + SALES[SALES.index("- id: 060") :])
    code, told = script("plan", *steps)
    assert code == 0
    assert told.endswith(ddl("plan"))
    assert script("plan", "--exit-code", *steps)[0] == 3
    code, told = script("apply", *steps)
    assert code == 0
    assert "applied 010-sales in " in told
    run(ddl.target, "drop schema sales")
    missing = "-- missing: schema sales\n--     create schema if not exists sales;\n"
    assert script("drift", *steps) == (3, missing)
    assert script("rollback", "020-none", *steps)[0] == 1
    assert script("plan", "--target", "nowhere", *steps)[0] == 1
    assert script("undo")[0] == 2
