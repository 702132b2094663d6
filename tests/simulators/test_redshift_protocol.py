"""The stand-in for Redshift on the wire: sessions, errors amid messages, clients that cancel or go away."""

from __future__ import annotations

import gc
import socket
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import psycopg2
import psycopg2.errors
import pytest
import redshift_connector

from loaders._core.embedded import EmbeddedWarehouse
from simulators.redshift import Redshift, wire
from simulators.redshift.storage import ROLE, Bucket
from tests.conftest import drop, recreate
from tests.simulators.redshift.sessions import DRIVERS, Refused, Session, session


@pytest.fixture(scope="module", params=DRIVERS)
def shared(
    request: pytest.FixtureRequest, server: EmbeddedWarehouse, stand_in: tuple[Redshift, Bucket]
) -> Iterator[Session]:
    with session(
        server, stand_in[0], request.param, "create table things (id int, note varchar(20))"
    ) as found:
        yield found


@pytest.fixture
def client(shared: Session) -> Iterator[Session]:
    yield shared
    shared.run("rollback")
    shared.run("truncate things")


@pytest.fixture
def database(server: EmbeddedWarehouse) -> Iterator[str]:
    """One that no session of the stand-in has been in."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    recreate(server, name)
    yield name
    drop(server, name)


@pytest.fixture
def port(stand_in: tuple[Redshift, Bucket]) -> int:
    return stand_in[0].port


# ---- errors
def test_after_an_error_the_session_goes_on(client: Session) -> None:
    for failing in ("select distinct on (id) * from things", "select no_such_column from things", "selec 1",
                    f"copy things from 's3://nowhere/at/all' iam_role '{ROLE}' parquet"):  # fmt: skip
        with pytest.raises(Refused):
            client.run(failing)
        assert client.run("select 1") == [(1,)]


def test_an_error_in_a_transaction_ends_it(client: Session) -> None:
    for failing in (
        "select distinct on (id) * from things",
        f"copy things from 's3://no/x' iam_role '{ROLE}' parquet",
    ):
        client.run("begin")
        client.run("insert into things values (1, 'a')")
        with pytest.raises(Refused):
            client.run(failing)
        with pytest.raises(Refused) as refused:
            client.run("select 1")
        assert refused.value.args[0] == "25P02"
        client.run("rollback")
        assert client.run("select count(*) from things") == [(0,)]


def test_truncate_commits_what_came_before_it(client: Session, server: EmbeddedWarehouse) -> None:
    client.run("create table kept (id int)")
    client.run("insert into things values (1, 'a')")
    client.run("begin")
    client.run("insert into kept values (1)")
    client.run("truncate things")
    client.run("rollback")
    assert client.run("select (select count(*) from things), (select count(*) from kept)") == [(0, 1)]
    with pytest.raises(Refused):
        client.run("truncate no_such_table")
    client.run("drop table kept")


def test_messages_behind_an_error_are_passed_over(
    port: int, server: EmbeddedWarehouse, database: str
) -> None:
    """Of a COPY that fails and of a statement after it, before one Sync: the statement is not run."""
    with closing(psycopg2.connect(host="127.0.0.1", port=port, dbname=database, user="adstar",
                                  password=server.password, sslmode="disable")) as prepared:  # fmt: skip
        prepared.autocommit = True
        prepared.cursor().execute("create table things (id int)")
    connection = redshift_connector.connect(
        host="127.0.0.1", port=port, database=database, user="adstar", password=server.password, ssl=False
    )
    raw = wire.Wire(connection._usock)
    for statement in (
        f"copy things from 's3://no/x' iam_role '{ROLE}' parquet",
        "insert into things values (1)",
    ):
        raw.send(b"P", wire.text("") + wire.text(statement) + b"\0\0")
        raw.send(b"B", wire.text("") + wire.text("") + bytes(6))
        raw.send(b"E", wire.text("") + bytes(4))
    raw.send(b"S", b"")
    kinds = []
    while not kinds or kinds[-1] != b"Z":
        kinds.append(raw.one()[0])
    assert kinds.count(b"E") == kinds.count(b"Z") == 1
    assert b"C" not in kinds
    assert Session("psycopg2", port, server.password, database).run("select count(*) from things") == [(0,)]
    connection.close()


# ---- several statements in one query
def test_statements_of_one_query_are_done_all_or_none(client: Session) -> None:
    if isinstance(client.connection, redshift_connector.Connection):
        pytest.skip("its messages hold one statement each")
    assert client.run("insert into things values (1, ';'); select note from things;") == [(";",)]
    for failing in ("select distinct on (id) * from things", "select 1 / 0", "truncate things"):
        with pytest.raises(Refused):
            client.run(f"insert into things values (2, 'b'); {failing}")
    assert client.run("select count(*) from things") == [(1,)]


# ---- cursors
def test_rows_come_in_portions(client: Session) -> None:
    client.run("insert into things select n, 'x' from (select 1 as n union all select 2 union all select 3)")
    with client.connection.cursor() as cursor:
        cursor.execute("select id from things where id > %s order by id", (1,))
        assert [column[0] for column in cursor.description] == ["id"]
        assert [tuple(row) for row in cursor.fetchmany(1)] == [(2,)]
        assert tuple(cursor.fetchone()) == (3,)
        assert cursor.fetchone() is None
        cursor.executemany("insert into things values (%s, %s)", [(4, "y"), (5, "z")])
    assert client.run("select count(*) from things") == [(5,)]


def test_a_cursor_of_the_server(client: Session) -> None:
    client.run("insert into things values (1, 'a'), (2, 'b')")
    client.run("begin")
    client.run("declare held cursor for select id from things order by id")
    assert client.run("fetch 1 from held") == [(1,)]
    assert client.run("fetch all from held") == [(2,)]
    client.run("close held")


# ---- sessions
# In a process of its own: while psycopg2 waits for its cancelling to be heard, it lets no other thread run.
CANCELS = """
import sys, threading, psycopg2
connection = psycopg2.connect(sys.argv[1])
threading.Timer(0.3, connection.cancel).start()
many = "pg_attribute a, pg_attribute b, pg_attribute c"
try:
    connection.cursor().execute(f"select count(*) from {many} where a.attnum + b.attnum + c.attnum = 0")
except psycopg2.Error as error:
    print(error.pgcode)
connection.rollback()
cursor = connection.cursor()
cursor.execute("select 1")
print(cursor.fetchall())
"""


def test_a_query_can_be_cancelled(port: int, server: EmbeddedWarehouse, database: str) -> None:
    place = (
        f"host=127.0.0.1 port={port} dbname={database} user=adstar password={server.password} sslmode=disable"
    )
    ended = subprocess.run(
        [sys.executable, "-c", CANCELS, place], capture_output=True, text=True, timeout=60, check=True
    )
    assert ended.stdout.split("\n")[:2] == ["57014", "[(1,)]"]


def test_a_client_that_goes_away_leaves_nothing_behind(
    port: int, server: EmbeddedWarehouse, database: str
) -> None:
    stays = Session("psycopg2", port, server.password, database)
    stays.run("create table things (id int)")
    goes = Session("psycopg2", port, server.password, database)
    goes.run("begin")
    goes.run("insert into things values (1)")
    with socket.socket(fileno=goes.connection.fileno()) as cut:
        cut.shutdown(socket.SHUT_RDWR)
        cut.detach()
    with socket.create_connection(("127.0.0.1", port)) as silent:  # says nothing at all
        silent.sendall(b"\0\0")
    until = time.monotonic() + 10
    others = (
        "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    )
    while stays.run(others) != [(0,)]:
        assert time.monotonic() < until, "its session is still there"
        time.sleep(0.05)
    assert stays.run("select count(*) from things") == [(0,)]
    goes.connection.close()


def test_many_sessions_at_once_also_in_a_new_database(
    port: int, server: EmbeddedWarehouse, database: str
) -> None:
    def work(number: int) -> list[tuple[object, ...]]:
        found = Session(DRIVERS[number % 2], port, server.password, database)
        found.run("create temp table own (n int) distkey (n)")
        for n in range(5):
            found.run("insert into own values (%s)", n * number)
        rows = found.run("select sum(n), count(*) from own")
        found.connection.close()
        return rows

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(work, range(12))) == [[(10 * number, 5)] for number in range(12)]


@pytest.fixture
def unclosed() -> Iterator[None]:
    """redshift_connector leaves the socket open of a connection that has failed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.usefixtures("unclosed")
def test_a_database_or_a_password_that_is_not_there(
    driver: str, port: int, server: EmbeddedWarehouse
) -> None:
    for password, database, said in (
        (server.password, "nowhere", "3D000|does not exist"),
        ("wrong", "postgres", "28P01|password authentication failed"),
    ):
        with pytest.raises((psycopg2.OperationalError, redshift_connector.Error), match=said):
            Session(driver, port, password, database)


@pytest.mark.usefixtures("unclosed")
def test_encryption_is_refused_as_a_server_without_it_refuses(port: int, server: EmbeddedWarehouse) -> None:
    place = {"host": "127.0.0.1", "port": port, "user": "adstar", "password": server.password}
    with pytest.raises(psycopg2.OperationalError, match="server does not support SSL"):
        psycopg2.connect(dbname="postgres", sslmode="require", **place)
    with pytest.raises(redshift_connector.InterfaceError, match="SSL"):
        redshift_connector.connect(database="postgres", ssl=True, **place)


def test_a_server_that_has_stopped_takes_nobody_in(server: EmbeddedWarehouse) -> None:
    with Redshift(server) as proxy:
        found = Session("psycopg2", proxy.port, server.password, "postgres")
    with pytest.raises(psycopg2.OperationalError):
        Session("psycopg2", proxy.port, server.password, "postgres")
    assert found.run("select 1") == [(1,)]
    found.run("create temp table x (a int)")
    with pytest.raises(Refused, match="without S3"):
        found.run(f"copy x from 's3://a/b' iam_role '{ROLE}' parquet")
    found.connection.close()


# ---- what dbt and drivers ask of the catalogue
def test_relations_columns_and_statistics_are_told_as_dbt_asks_for_them(client: Session) -> None:
    client.run("create schema shop")
    client.run("create table shop.orders (id int distkey, body super, note varchar(20) sortkey)")
    client.run("insert into shop.orders (id) values (1)")
    client.run("create view shop.order_notes as select note from shop.orders")
    relations = """
        select table_catalog as "database", table_name as name, table_schema as "schema", 'table' as type
        from information_schema.tables where table_schema ilike 'shop' and table_type = 'BASE TABLE'
        union all
        select table_catalog, table_name, table_schema,
            case when view_definition ilike '%materialized view%' then 'materialized_view' else 'view' end
        from information_schema.views where table_schema ilike 'shop'
        order by 2
    """
    assert [(row[1], row[3]) for row in client.run(relations)] == [
        ("order_notes", "view"),
        ("orders", "table"),
    ]
    columns = """
        with bound_views as (
            select ordinal_position, table_schema, column_name, data_type, character_maximum_length
            from information_schema."columns" where table_name = 'orders' and table_schema = 'shop'
        ),
        unbound_views as (
            select ordinal_position, view_schema, col_name,
                case when col_type ilike 'character varying%' then 'character varying' else col_type end,
                nullif(regexp_substr(col_type, '[0-9]+'), '')::int
            from pg_get_late_binding_view_cols()
            cols(view_schema name, view_name name, col_name name, col_type varchar, ordinal_position int)
            where view_name = 'orders'
        ),
        external_views as (
            select columnnum, schemaname, columnname, external_type, null::int from svv_external_columns
            where schemaname = 'shop'
        )
        select * from bound_views union all select * from unbound_views union all select * from external_views
        order by ordinal_position
    """
    assert [tuple(row[2:]) for row in client.run(columns)] == [
        ("id", "integer", None), ("body", "super", None), ("note", "character varying", 20),
    ]  # fmt: skip
    statistics = """
        select "schema" || '.' || "table", diststyle, sortkey1, size, pct_used, tbl_rows, skew_rows
        from svv_table_info where "schema" = 'shop'
    """
    assert client.run(statistics)[0][:3] == ("shop.orders", "KEY(id)", "note")
    comments = """
        select t.relname, c.attname, pg_catalog.col_description(c.attrelid, c.attnum)
        from pg_catalog.pg_class t join pg_catalog.pg_attribute c on c.attrelid = t.oid
        where t.relname = 'orders' and c.attnum = 1
    """
    assert client.run(comments) == [("orders", "id", None)]
    client.run("drop schema shop cascade")


def test_a_connector_that_reads_the_catalogue_for_itself(client: Session) -> None:
    if not isinstance(client.connection, redshift_connector.Connection):
        pytest.skip("psycopg2 has no such methods")
    with client.connection.cursor() as cursor:
        assert "public" in {row[0] for row in cursor.get_schemas()}
