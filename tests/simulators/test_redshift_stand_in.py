"""The stand-in for Redshift takes what Redshift takes and refuses what it refuses, for both drivers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from loaders._core.embedded import EmbeddedWarehouse
from simulators.redshift import Redshift
from simulators.redshift.known import GUIDE
from simulators.redshift.storage import Bucket
from tests.simulators.redshift.sessions import DRIVERS, Refused, Session, as_texts, listed, session

REFUSED, TAKEN = listed("refused"), listed("taken")


@pytest.fixture(scope="module", params=DRIVERS)
def shared(
    request: pytest.FixtureRequest, server: EmbeddedWarehouse, stand_in: tuple[Redshift, Bucket]
) -> Iterator[Session]:
    with session(server, stand_in[0], request.param, *listed("tables")) as found:
        yield found


@pytest.fixture
def client(shared: Session) -> Iterator[Session]:
    yield shared
    shared.run("rollback")
    shared.run("reset all")


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case["sql"][:60])
def test_what_redshift_refuses_is_refused(client: Session, case: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        client.run(case["sql"])
    code, hint, message = refused.value.args
    assert code == str(case["code"]), message
    if case.get("by") != "postgres":
        assert hint == f"{GUIDE}{case['page']}.html", message


@pytest.mark.parametrize("case", TAKEN, ids=lambda case: case["sql"][:60])
def test_what_redshift_takes_is_taken(client: Session, case: dict[str, Any]) -> None:
    for statement in case.get("before", []):
        client.run(statement)
    assert as_texts(client.run(case["sql"])) == as_texts(case["result"])


def test_the_lists_are_as_long_as_promised() -> None:
    assert len({case["sql"] for case in REFUSED}) == len(REFUSED) >= 60
    assert len(TAKEN) >= 60
    assert all(case["page"] for case in (*REFUSED, *TAKEN))


def test_parameters_are_values_and_no_sql(client: Session) -> None:
    text = "it's $1; -- 'x' \\ ?"
    assert client.run("select %s, cast(%s as int) + 1 from category where catid = %s", text, 41, 1) == [
        (text, 42)
    ]


def test_what_the_stand_in_can_not_show_is_said_to_be_so(client: Session) -> None:
    for sql in (
        "select * from sales qualify row_number() over (order by salesid) = 1",
        "create materialized view m as select 1 as a",
        "select soundex(buyer) from sales",
        "set enable_case_sensitive_identifier to true",
    ):
        with pytest.raises(Refused) as refused:
            client.run(sql)
        code, hint, message = refused.value.args
        assert (code, hint) == ("0A000", "simulators/redshift/README.md")
        assert message.startswith("the stand-in for Redshift can't show")
