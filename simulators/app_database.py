"""The shop's application database: users, products, orders and their items, as the people have made them.

`sync` makes schema `shop` of a Postgres database what it is at an instant: rows that are new are inserted,
rows that differ updated, rows that are gone deleted; others are not touched. Doing it again changes nothing.
"""

# ruff: noqa: S608  (what is put into statements are names of ours; values go beside them)

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any

from psycopg2.extras import execute_values

from simulators.people import Order, People, Person, Product
from simulators.shop import MINOR_PER_UNIT

PRICE_LIST = "EUR"
PERSONAL = {
    "users": {
        "user_id": "user_id",
        "merged_into": "user_id",
        "email": "email",
        "phone": "phone",
        "full_name": "name",
        "last_ip": "ip",
    },
    "orders": {"user_id": "user_id"},
}
"""The columns that are about a person, and what of them they are."""


@dataclass(frozen=True)
class Table:
    """A table of the shop: its columns as SQL, the first of them the key."""

    name: str
    columns: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return [column.split()[0] for column in self.columns]


USERS = Table(
    "users",
    (
        "user_id uuid",
        "email text",
        "phone text",
        "full_name text",
        "country char(2)",
        "city text",
        "plan text",
        "marketing_consent boolean",
        "signed_up_at timestamptz",
        "merged_into uuid",
        "last_ip text",
        "updated_at timestamptz",
    ),
)
PRODUCTS = Table(
    "products",
    (
        "product_id bigint",
        "name text",
        "category text",
        "color text",
        "size text",
        "price numeric(12,2)",
        "updated_at timestamptz",
    ),
)
ORDERS = Table(
    "orders",
    (
        "order_id bigint",
        "user_id uuid",
        "ordered_at timestamptz",
        "currency char(3)",
        "status text",
        "refund_amount numeric(18,2)",
        "refunded_at timestamptz",
        "updated_at timestamptz",
    ),
)
ORDER_ITEMS = Table(
    "order_items",
    (
        "order_line_id bigint",
        "order_id bigint",
        "product_id bigint",
        "quantity integer",
        "unit_price numeric(18,4)",
        "updated_at timestamptz",
    ),
)


TABLES = (USERS, PRODUCTS, ORDERS, ORDER_ITEMS)


def sync(connection: Any, people: People, until: datetime) -> dict[str, int]:
    """Bring the database to what it is at `until`, in one transaction; rows changed by table.

    Args:
        connection: a psycopg2 connection without autocommit, whose user may create a schema.
        until: aware; only what happened before it is there.
    """
    orders = people.orders(until)
    opened = datetime.combine(people.business.first_day, time(), UTC)
    rows: dict[Table, Iterable[tuple[Any, ...]]] = {
        USERS: (_user(one) for one in people.persons(until) if one.user_id),
        PRODUCTS: (_product(one, opened) for one in people.products()),
        ORDERS: (_order(one) for one in orders),
        ORDER_ITEMS: (row for one in orders for row in _items(one)),
    }
    with connection, connection.cursor() as cursor:
        cursor.execute("create schema if not exists shop")
        return {table.name: _bring(cursor, table, of) for table, of in rows.items()}


def _bring(cursor: Any, table: Table, rows: Iterable[tuple[Any, ...]]) -> int:
    key, *others = table.names
    columns = ", ".join(table.names)
    cursor.execute(
        f"create table if not exists shop.{table.name} ({', '.join(table.columns)}, primary key ({key}));"
        f" create index if not exists {table.name}_updated_at on shop.{table.name} (updated_at);"
        f" create temp table wanted (like shop.{table.name} including indexes) on commit drop"
    )
    execute_values(cursor, f"insert into wanted ({columns}) values %s", list(rows), page_size=1000)
    cursor.execute(
        f"delete from shop.{table.name} t where not exists (select from wanted w where w.{key} = t.{key})"
    )
    gone = cursor.rowcount
    cursor.execute(
        f"insert into shop.{table.name} as t ({columns}) select {columns} from wanted"
        f" on conflict ({key}) do update set {', '.join(f'{name} = excluded.{name}' for name in others)}"
        f" where ({', '.join(f't.{name}' for name in others)}) is distinct from"
        f" ({', '.join(f'excluded.{name}' for name in others)})"
    )
    changed = cursor.rowcount
    cursor.execute("drop table wanted")
    return int(gone + changed)


def settings_env(dsn: str) -> dict[str, str]:
    """The environment that makes `dlt pipeline rds run` read the shop at this address."""
    found = {"SOURCES__RDS__DSN": dsn}
    for table in TABLES:
        name = f"SOURCES__RDS__TABLES__{table.name.upper()}__"
        found |= {f"{name}SCHEMA": "shop", f"{name}CURSOR": "updated_at", f"{name}SWEEP_DAYS": "1"}
        if personal := PERSONAL.get(table.name):
            found[f"{name}PERSONAL"] = json.dumps(personal)
    return found


def _user(one: Person) -> tuple[Any, ...]:
    return (
        one.user_id,
        one.email,
        one.phone,
        one.name,
        one.country,
        one.city,
        one.plan,
        one.marketing_consent,
        one.signed_up_at,
        one.merged_into,
        one.ip,
        one.updated_at,
    )


def _product(one: Product, since: datetime) -> tuple[Any, ...]:
    price = _money(one.price, PRICE_LIST)
    return (one.product_id, one.name, one.category, one.color, one.size, price, since)


def _order(one: Order) -> tuple[Any, ...]:
    refund = _money(one.refund, one.currency)
    return (
        one.order_id,
        one.user_id,
        one.at,
        one.currency,
        one.status,
        refund,
        one.refunded_at,
        one.updated_at,
    )


def _items(one: Order) -> Iterable[tuple[Any, ...]]:
    for line in one.lines:
        price = _money(line.unit_price, one.currency)
        yield line.order_line_id, one.order_id, line.product_id, line.quantity, price, one.at


def _money(minor: int, currency: str) -> Decimal:
    return Decimal(minor) / MINOR_PER_UNIT[currency]
