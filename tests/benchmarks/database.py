"""Landing rate of a table of another Postgres: the real command against a `psql \\copy` pipe.

`python -m tests.benchmarks.database --rows 3000000` prints one JSON line: seconds and rows a second of both,
their ratio and the peak memory of the landing process. Both read the same table of one database and fill an
empty table of another on the same server, one after the other, twice; the better time of each counts. The
pipe does less: it adds no columns, keeps no books, and makes no index. Every value is compared afterwards, as
text and in its type. With `--peers` two other tools, installed from the package registry, do the same once;
what they change is named.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import psycopg2

from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.warehouse import ensure_started
from tests.benchmarks.landing import run
from tests.benchmarks.promises import own_warehouse, tell

COLUMNS = (
    "id bigint, kind smallint, number integer, amount numeric(38,10), price numeric(12,2), name text,"
    " country character(2), reference uuid, document jsonb, day date, happened_at timestamp without time"
    " zone,"
    " updated_at timestamp with time zone, flag boolean, ratio double precision, note text"
)
_FILL = """
create table public.wide as select
    g::bigint as id, (g % 30000)::smallint as kind, g::integer as number,
    (g * 98765432109876.0123456789)::numeric(38,10) as amount, (g % 100000 / 100.0)::numeric(12,2) as price,
    'customer number ' || g as name, (array['DE', 'FR', 'GB', 'US'])[1 + g % 4]::character(2) as country,
    md5(g::text)::uuid as reference,
    ('{"n": ' || g || '.12345678901234567890, "big": 9007199254740993, "s": "a\\\\tb"}')::jsonb as document,
    date '2020-01-01' + (g % 2000)::int as day, timestamp '2020-01-01' + g * interval '1.000001 s' as
    happened_at,
    timestamptz '2020-01-01' + g * interval '1 s' as updated_at, g % 2 = 0 as flag, sqrt(g) as ratio,
    case g % 3 when 0 then null when 1 then '' else E'line\\tand\\\\more' end as note
from generate_series(1, {rows}) g
"""


class Peer(NamedTuple):
    """A tool that copies tables: its package, its program in there, and what to tell it."""

    package: str
    program: str
    arguments: tuple[str, ...]


PEERS = {
    "sling": Peer(
        "sling-linux-amd64==1.4.11",
        "sling_linux_amd64/bin/sling-linux-amd64",
        ("run", "--src-conn", "{source}", "--src-stream", "public.wide", "--tgt-conn", "{warehouse}",
         "--tgt-object", "public.sling", "--mode", "full-refresh"),
    ),
    # It can't write a uuid that it has read ("unable to encode"), so the column is named as text.
    "ingestr": Peer(
        "ingestr==0.15.9",
        "bin/ingestr",
        ("ingest", "--source-uri", "{source}", "--source-table", "public.wide", "--dest-uri", "{warehouse}",
         "--dest-table", "public.ingestr", "--columns", "reference:string", "--full-refresh", "--yes",
         "--progress", "log"),
    ),
}  # fmt: skip
NAMES = [column.split()[0] for column in COLUMNS.replace("38,10", "").replace("12,2", "").split(",")]


def fill(dsn: str, rows: int) -> None:
    """Make the table that is landed."""
    with closing(psycopg2.connect(dsn)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(_FILL.replace("{rows}", str(rows)))
            cursor.execute("alter table public.wide add primary key (id)")
            cursor.execute("create index on public.wide (updated_at)")
            cursor.execute("vacuum analyze public.wide")


def psql() -> str:
    """The client: that of the embedded server's wheel, or the system's."""
    found = EmbeddedWarehouse()._binaries / "psql"
    return str(found) if found.exists() else str(shutil.which("psql"))


def pipe(source: str, warehouse: str) -> float:
    """Seconds of `psql \\copy to stdout | psql \\copy from stdin` into a table without index."""
    with closing(psycopg2.connect(warehouse)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"drop table if exists public.piped; create table public.piped ({COLUMNS})")
        cursor.execute("checkpoint")
    client = psql()
    started = time.perf_counter()
    with subprocess.Popen(
        [client, source, "-qc", "\\copy public.wide to stdout"], stdout=subprocess.PIPE
    ) as reading:
        subprocess.run(
            [client, warehouse, "-qc", "\\copy public.piped from stdin"], stdin=reading.stdout, check=True
        )
    if reading.returncode:
        raise SystemExit("the pipe failed")
    return time.perf_counter() - started


def land(source: str, warehouse: str) -> tuple[float, float]:
    """`dlt pipeline rds run` into an empty warehouse; wall seconds of the whole command, peak MB."""
    with closing(psycopg2.connect(warehouse)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("drop schema if exists raw_rds cascade; drop schema if exists ops cascade; checkpoint")
    return run(
        [str(Path(sys.executable).with_name("dlt")), "pipeline", "rds", "run"],
        {
            "SOURCES__RDS__DSN": source,
            "SOURCES__RDS__TABLES__WIDE__CURSOR": "updated_at",
            "SOURCES__RDS__TABLES__WIDE__SWEEP_DAYS": "0",
        },
    )


def differences(source: str, warehouse: str, table: str = "raw_rds.wide") -> list[str]:
    """What did not come through as it was: types, values, number of rows."""
    types = "select column_name, data_type, numeric_precision, numeric_scale from information_schema.columns"
    # jsonb and floats by their text: equal there means the same digits.
    columns = [*NAMES, f"row({', '.join(NAMES)})"]
    hashes = ", ".join(f"sum(hashtextextended({column}::text, 0)::numeric)" for column in columns)
    found: list[Any] = []
    for dsn, place in ((source, "public.wide"), (warehouse, table)):
        with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
            cursor.execute(f"{types} where table_schema = %s and table_name = %s", place.split("."))
            there = {row for row in cursor.fetchall() if not row[0].startswith("_")}
            cursor.execute(f"select count(*), {hashes} from {place}")
            found.append((there, cursor.fetchone()))
    (types_before, values_before), (types_after, values_after) = found
    wrong = [f"type of {name}" for name in sorted({row[0] for row in types_before ^ types_after})]
    told = ["number of rows", *(f"values of {name}" for name in NAMES), "rows as wholes"]
    pairs = zip(told, values_before, values_after, strict=True)
    return wrong + [name for name, before, after in pairs if before != after]


def peers(source: str, warehouse: str, folder: Path, rows: int, pipe_seconds: float) -> dict[str, Any]:
    """The same by each other tool: rows a second, ratio to the pipe, peak MB, what is not as it was."""
    found: dict[str, Any] = {}
    for name, peer in PEERS.items():
        place = folder / name
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place)]
        subprocess.run([*command, peer.package], check=True)
        program = place / peer.program
        program.chmod(0o755)
        plain = {"source": f"{source}?sslmode=disable", "warehouse": f"{warehouse}?sslmode=disable"}
        arguments = [argument.format_map(plain) for argument in peer.arguments]
        seconds, peak = run([str(program), *arguments], {"HOME": str(folder), "DISABLE_TELEMETRY": "true"})
        found |= {
            f"{name}_rows_per_second": round(rows / seconds),
            f"{name}_ratio_to_psql_copy": round(pipe_seconds / seconds, 2),
            f"{name}_peak_mb": round(peak),
            f"{name}_changes": ", ".join(differences(source, warehouse, f"public.{name}")) or "nothing",
        }
    return found


def measure(rows: int, rounds: int, peers_in: Path | None = None) -> dict[str, Any]:
    """Both in turn, and the peers if they have a folder; what of ours is not equal ends the benchmark."""
    warehouse = ensure_started("embedded").dsn
    source = f"{warehouse.rpartition('/')[0]}/shop"
    with closing(psycopg2.connect(warehouse)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("create database shop")
    fill(source, rows)
    pipes, lands = [], []
    for _ in range(rounds):
        pipes.append(pipe(source, warehouse))
        lands.append(land(source, warehouse))
        if wrong := differences(source, warehouse):
            raise SystemExit(f"not as at the source: {', '.join(wrong)}")
    seconds = min(seconds for seconds, _ in lands)
    return {
        "rows": rows,
        "rows_per_second": round(rows / seconds),
        "seconds": round(seconds, 1),
        "peak_mb": round(max(peak for _, peak in lands)),
        "psql_copy_rows_per_second": round(rows / min(pipes)),
        "psql_copy_seconds": round(min(pipes), 1),
        "ratio_to_psql_copy": round(min(pipes) / seconds, 2),
        **(peers(source, warehouse, peers_in, rows, min(pipes)) if peers_in else {}),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line of the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--peers", action="store_true", help="sling and ingestr beside it (Linux, x86-64)")
    parser.add_argument("--prove", action="store_true", help="fail if a figure is not what was promised")
    options = parser.parse_args(arguments)
    with own_warehouse() as state:
        figures = measure(options.rows, options.rounds, state / "peers" if options.peers else None)
        promised = {
            "ratio_to_psql_copy": figures["ratio_to_psql_copy"] >= 0.6,
            "peak_mb": figures["peak_mb"] < 500,
        }
        tell(figures, promised if options.prove else None)


if __name__ == "__main__":
    main()
