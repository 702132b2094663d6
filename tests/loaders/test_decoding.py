"""Pages are the same whichever process takes them apart, in the same order, and errors come at their turn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loaders._core import decoding
from loaders._core.declare import Account, Window
from loaders._core.errors import BadBody, VendorError
from loaders._core.records import Page, RecordReader
from loaders._core.stream import Mark
from tests.conftest import ROOT
from tests.loaders import vendor as vendor_module
from tests.loaders.test_ahead import figures, prepare
from tests.loaders.test_kill_points import expected, truth
from tests.loaders.vendor import Vendor, with_resource

KIND: dict[str, Any] = {"records": ("data",), "opens": ("m",)}
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.text(), SCALARS, max_size=2)
RECORDS = st.dictionaries(st.sampled_from(["a", "b", "m", "é", "\ud800", ""]), VALUES, max_size=5)
BODIES = st.lists(RECORDS, max_size=3).map(lambda rows: json.dumps({"data": rows}).encode())


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process takes over after the first document."""
    monkeypatch.setattr("loaders._core.decoding.WORTH_IT", 1)


def documents(count: int) -> list[bytes]:
    return [msgspec.json.encode({"data": [{"n": str(number)}]}) for number in range(count)]


def told(items: Iterator[tuple[Any, Page | None]]) -> list[Any]:
    """Numbers of the pages, and what stood between them."""
    return [
        item if page is None else int(page.columns[("n",)][0].as_py())
        for item, page in items
        if page is None or page.rows
    ]


def outcome(read: Callable[[], Page]) -> Page | str:
    """The page, or what is wrong with its document."""
    try:
        return read()
    except BadBody as error:
        return error.message


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[RecordReader, decoding._Process]]:
    with decoding._Process(RecordReader(**KIND)) as process:
        yield RecordReader(**KIND), process


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=BODIES | st.binary(max_size=30))
def test_a_page_is_the_same_from_the_other_process(
    pair: tuple[RecordReader, decoding._Process], body: bytes
) -> None:
    here, there = pair
    assert outcome(lambda: there.read(body).result()) == outcome(lambda: here.read(body))


def test_all_comes_in_its_order(at_once: None) -> None:
    said: list[Any] = [Mark.WHOLE, *documents(3), Mark.WHOLE, Mark.AGAIN, *documents(20), Mark.WHOLE]
    assert told(decoding.pages(iter(said), RecordReader(**KIND))) == [
        Mark.WHOLE, 0, 1, 2, Mark.WHOLE, Mark.AGAIN, *range(20), Mark.WHOLE,
    ]  # fmt: skip


def seen_before(error: type[Exception], message: str, said: Iterator[bytes]) -> list[bytes]:
    """The documents that are given before an error."""
    seen = []
    read = decoding.pages(said, RecordReader(**KIND))
    with pytest.raises(error, match=message):
        seen.extend(item for item, _ in read)
    return seen


def test_what_came_before_an_error_is_given_before_it(at_once: None) -> None:
    def breaking() -> Iterator[bytes]:
        yield from documents(5)
        raise VendorError("the vendor is gone")

    assert seen_before(VendorError, "gone", breaking()) == documents(5)


def test_a_bad_document_is_an_error_when_its_turn_has_come(at_once: None) -> None:
    good = documents(6)
    said = [*good[:4], b"<html>", *good[4:]]
    assert seen_before(BadBody, "not a JSON document", iter(said)) == good[:4]


def test_large_documents_are_not_heaped_up(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders._core.decoding.AHEAD_BYTES", 1)
    taken = []

    def noting() -> Iterator[bytes]:
        for number, document in enumerate(documents(9)):
            taken.append(number)
            yield document

    for number, _ in enumerate(decoding.pages(noting(), RecordReader(**KIND))):
        assert len(taken) <= number + 1


def test_a_short_reading_starts_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loaders._core.decoding._Process", None)
    assert told(decoding.pages(iter(documents(9)), RecordReader(**KIND))) == [*range(9)]


def test_a_run_lands_the_same_by_way_of_the_other_process(at_once: None, vendor: Vendor) -> None:
    vendor.data["page"] = 5
    vendor.data["days"] = {"1": figures(32)}
    assert vendor.run().outcome == "ok"
    assert truth(vendor) == expected(vendor)


def test_when_the_process_dies_the_run_fails_and_lands_nothing(at_once: None, vendor: Vendor) -> None:
    vendor.data["page"] = 5
    vendor.data["days"] = {"1": figures(32)}

    def read(api: Any, account: Account, window: Window | None) -> Iterator[bytes]:
        for number, page in enumerate(vendor_module.DAYS.read(api, account, window)):
            if number == 3:
                os.kill(child_of(os.getpid()), signal.SIGKILL)
            assert isinstance(page, bytes)
            yield page

    prepare(vendor)
    result = vendor.run(with_resource("days", read=read))
    assert result.outcome == "failed"
    assert "exit code -9" in (result.message or "")
    assert truth(vendor) == []
    assert vendor.run().outcome == "ok"
    assert truth(vendor) == expected(vendor)


def test_what_can_not_be_sent_is_an_error_and_nobody_waits_for_ever(
    at_once: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr("loaders._core.decoding._send", full)
    with pytest.raises(RuntimeError, match="has ended") as raised:
        told(decoding.pages(iter(documents(9)), RecordReader(**KIND)))
    assert isinstance(raised.value.__cause__, MemoryError)


def test_a_reading_that_is_given_up_leaves_no_word_of_the_other_process(
    at_once: None, capfd: pytest.CaptureFixture[str]
) -> None:
    large = msgspec.json.encode({"data": [{"n": str(number), "x": "y" * 90} for number in range(20_000)]})
    read = decoding.pages(iter([large] * 9), RecordReader(**KIND))
    next(read), next(read)
    read.close()  # type: ignore[attr-defined]
    assert capfd.readouterr().err == ""


def test_it_is_our_code_whatever_the_folder_holds(
    at_once: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "loaders").mkdir()
    (tmp_path / "loaders" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    assert told(decoding.pages(iter(documents(9)), RecordReader(**KIND))) == [*range(9)]


def test_it_ends_with_the_process_that_reads() -> None:
    program = (
        "import time; from loaders._core import decoding; from loaders._core.records import RecordReader;"
        " p = decoding._Process(RecordReader(('data',)));"
        " print(p._process.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 30
    while alive(child):
        assert time.monotonic() < deadline, "it goes on without its parent"
        time.sleep(0.05)


def child_of(parent: int) -> int:
    """The newest process that takes pages apart for another."""
    told = subprocess.run(
        ["ps", "-A", "-o", "ppid=,pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(None, 2) for line in told.splitlines()]
    return max(int(pid) for ppid, pid, args in rows if int(ppid) == parent and "_core.decoding" in args)


def alive(process: int) -> bool:
    """Not ended: one that nobody has waited for counts as ended."""
    told = subprocess.run(
        ["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False
    )
    return bool(told.stdout.strip()) and not told.stdout.startswith("Z")
