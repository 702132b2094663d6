"""The shop's application database is at any instant what the people made it, as their ledger has it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any

import psycopg2
import pytest

from loaders._core.embedded import EmbeddedWarehouse
from simulators.app_database import sync
from simulators.business import Business
from simulators.people import People
from simulators.shop import MINOR_PER_UNIT
from tests.conftest import drop, recreate

EARLY, LATE = datetime(2026, 1, 10, 6, tzinfo=UTC), datetime(2026, 1, 25, 6, tzinfo=UTC)


@pytest.fixture(scope="module")
def people() -> People:
    return People(Business(7, date(2026, 1, 1), 30, 0.3))


@pytest.fixture(scope="module")
def database(server: EmbeddedWarehouse) -> Iterator[Any]:
    name = f"app_{uuid.uuid4().hex[:12]}"
    recreate(server, name)
    with closing(server.connect(name)) as connection:
        yield connection
    drop(server, name)


def asked(database: Any, text: str) -> list[tuple[Any, ...]]:
    with database, database.cursor() as cursor:
        cursor.execute(text)
        return list(cursor.fetchall())


def everything(database: Any) -> dict[str, list[tuple[Any, ...]]]:
    names = ("users", "products", "orders", "order_items")
    return {name: asked(database, f"select * from shop.{name} order by 1") for name in names}


def test_it_is_what_the_ledger_says(database: Any, people: People) -> None:
    sync(database, people, LATE)
    ledger = people.ledger(LATE)
    assert asked(database, "select count(*) from shop.users where signed_up_at is not null") == [
        (ledger["sign_ups"],)
    ]
    assert asked(database, "select count(*), count(*) filter (where refund_amount > 0) from shop.orders") == [
        (ledger["orders"], ledger["refunded_orders"])
    ]
    revenue = asked(
        database,
        "select currency, sum(quantity * unit_price) from shop.orders join shop.order_items using (order_id)"
        " group by 1",
    )
    assert {currency: total * MINOR_PER_UNIT[currency] for currency, total in revenue} == ledger["revenue"]
    refunds = asked(
        database,
        "select currency, sum(refund_amount) from shop.orders group by 1 having sum(refund_amount) > 0",
    )
    assert {currency: total * MINOR_PER_UNIT[currency] for currency, total in refunds} == ledger["refunds"]
    assert not asked(
        database, "select from shop.orders left join shop.users u using (user_id) where u.user_id is null"
    )


def test_again_changes_nothing_and_another_instant_makes_it_that_one(database: Any, people: People) -> None:
    sync(database, people, LATE)
    late = everything(database)
    assert set(sync(database, people, LATE).values()) == {0}
    changed = sync(database, people, EARLY)
    assert changed["orders"] > 0
    assert changed["products"] == 0
    early = everything(database)
    assert len(early["users"]) < len(late["users"])
    sync(database, people, LATE)
    assert everything(database) == late


def test_a_row_that_changes_has_a_later_updated_at(database: Any, people: People) -> None:
    sync(database, people, EARLY)
    before = {row[0]: row for row in everything(database)["users"] + everything(database)["orders"]}
    sync(database, people, LATE)
    after = {row[0]: row for row in everything(database)["users"] + everything(database)["orders"]}
    differing = [key for key in before.keys() & after.keys() if before[key] != after[key]]
    assert differing
    assert all(after[key][-1] > before[key][-1] for key in differing)


def test_what_somebody_else_deleted_or_added_is_put_right(database: Any, people: People) -> None:
    sync(database, people, EARLY)
    before = everything(database)
    with database, database.cursor() as cursor:
        cursor.execute("delete from shop.orders where order_id in (select order_id from shop.orders limit 2)")
        cursor.execute("insert into shop.products values (0, 'stray')")
    assert sync(database, people, EARLY) == {"users": 0, "products": 1, "orders": 2, "order_items": 0}
    assert everything(database) == before
    assert database.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_IDLE
