"""Several sessions at work in one warehouse."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier, BrokenBarrierError

import psycopg2

from loaders._core.ops import create
from loaders._core.warehouse import Target

SESSIONS, ROUNDS = (
    4,
    150,
)  # Postgres has four errors for who comes second; the rarest shows up once in 30 rounds


def test_what_several_make_at_the_same_moment_is_there_for_each(target: Target) -> None:
    same_moment = Barrier(SESSIONS)

    def make(session: int) -> str | None:
        with closing(target.connect()) as connection, connection.cursor() as cursor:
            try:
                for number in range(ROUNDS):
                    same_moment.wait(60)
                    create(cursor, f"create schema if not exists place{number}")
                    create(cursor, f"create table if not exists place{number}.things (session integer)")
                    create(cursor, f"create index if not exists of_things on place{number}.things (session)")
                    cursor.execute(f"insert into place{number}.things values ({session})")
            except (psycopg2.Error, BrokenBarrierError) as error:
                same_moment.abort()
                return f"{type(error).__name__} in round {number}: {error}"
        return None

    with ThreadPoolExecutor(SESSIONS) as sessions:
        told = list(sessions.map(make, range(SESSIONS)))
    assert told == [None] * SESSIONS
    with closing(target.connect()) as connection, connection.cursor() as cursor:
        for number in range(ROUNDS):
            cursor.execute(f"select count(*) from place{number}.things")
            assert cursor.fetchone() == (SESSIONS,)
