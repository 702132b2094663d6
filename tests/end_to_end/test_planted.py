"""Fifty persons' e-mail addresses, telephone numbers, network addresses and names: in raw, and nowhere else.

Looked for in every table of the warehouse and in every file of the state folder and of dbt's. With sealing
they are nowhere, and who is erased is nowhere in either case, also when the same days are read again.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loaders._core.declare import Window
from loaders._core.embedded import EmbeddedWarehouse
from simulators.people import Person
from tests.end_to_end.chain import Chain, chain

pytestmark = pytest.mark.full


@pytest.fixture(scope="module", params=["open", "sealed"])
def shop(
    server: EmbeddedWarehouse, tmp_path_factory: pytest.TempPathFactory, request: Any
) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp(f"planted-{request.param}")
    with chain(server, folder, people=True, days=12) as found:
        found.variables["PRIVACY__SEALING"] = str(request.param == "sealed").lower()
        code, output = found.run()
        assert code == 0, output
        (folder / "run.log").write_text(output)
        built = found.build_models()
        assert built.code == 0, built.output
        (folder / "build.log").write_text(built.output)
        yield found


def test_planted_values_are_where_they_may_be(shop: Chain) -> None:
    needles = [value for one in planted(shop) for value in values(one)]
    assert len(needles) >= 200
    held = places(shop, needles)
    if shop.variables["PRIVACY__SEALING"] == "true":
        assert not held
    else:
        assert held
        assert {place.split(".")[0] for place in held} <= {"raw_clevertap", "raw_rds", "raw_sqs"}


def test_an_erased_person_is_nowhere_and_does_not_come_back(shop: Chain) -> None:
    assert shop.shop
    names = [one.name for one in shop.shop.people.persons(shop.simulator.now)]
    one = next(one for one in planted(shop) if names.count(one.name) == 1)
    told = one.email, one.phone, one.name
    erased = shop.start("erase", "--user-id", one.user_id, "--reason", "asked for", command="privacy")
    output, _ = erased.communicate(timeout=300)
    assert erased.returncode == 0, output
    assert not places(shop, told)
    today = shop.simulator.now.date()
    since = shop.simulator.business.first_day
    results = shop.land("clevertap", "rds", backfill=None) + shop.land(
        "clevertap", backfill=Window(since, today)
    )
    assert {result.outcome for result in results} == {"ok"}, results
    built = shop.build_models()
    assert built.code == 0, built.output
    assert not places(shop, told)
    assert shop.rows("select count(*) from marts.dim_user where is_erased") == [(1,)]


def planted(found: Chain) -> list[Person]:
    """The first fifty who have signed up and are nobody's second account."""
    assert found.shop
    persons = found.shop.people.persons(found.simulator.now)
    signed_up = [one for one in persons if one.user_id and not one.merged_into]
    return signed_up[:50]


def values(one: Person) -> list[str]:
    return [one.email, one.phone, one.ip, one.name]


def places(found: Chain, needles: Any) -> set[str]:
    """Tables and files in which one of these stands."""
    wanted = [needle.lower() for needle in needles]

    def found_in(text: str) -> bool:
        lowered = text.lower()
        return any(needle in lowered for needle in wanted)

    tables = found.rows(
        "select nspname, relname from pg_class join pg_namespace n on n.oid = relnamespace"
        " where relkind in ('r', 'v', 'm') and nspname <> 'information_schema' and nspname not like 'pg\\_%%'"
    )
    held = set()
    for schema, table in tables:
        lines = found.rows(f'select t::text from "{schema}"."{table}" as t')
        if found_in("\n".join(line for (line,) in lines)):
            held.add(f"{schema}.{table}")
    for folder in (found.state, Path(found.variables["DBT_TARGET_PATH"])):
        for where, _, files in os.walk(folder):
            for file in files:
                if found_in((Path(where) / file).read_bytes().decode("utf-8", "replace")):
                    held.add(str(Path(where) / file))
    return held
