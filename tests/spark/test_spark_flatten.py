"""Messages as rows, without Spark: what the job's workers do to a batch of Arrow."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64decode
from datetime import UTC, datetime
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from loaders._core.privacy.values import Personal
from loaders.spark.flatten import FLAT_COLUMNS, SCHEMA, Flattener, instant, occurred
from loaders.spark.plan import Plan, Secrets
from simulators.site_events import REQUIRED, TOPIC, Message
from simulators.topic_files import TopicFiles
from tests.conftest import PRIVACY_KEY, ROOT
from tests.spark.topic import AT, EXACT, odd

PLAN = Plan(
    topic=TOPIC, incarnation=3, required=REQUIRED, source="parquet", options={}, checkpoint="",
    warehouse={}, secrets=Secrets(key=PRIVACY_KEY),
)  # fmt: skip


def flat(folder: Path, messages: list[Message], *tombstones: str) -> pa.Table:
    """As the job reads them from a file."""
    TopicFiles(folder, 1).write(messages)
    flattener = Flattener(PLAN.cut(), PLAN.protection(tombstones))
    found: list[pa.RecordBatch] = []
    for batch in pq.read_table(next(folder.glob("*.parquet"))).to_batches(max_chunksize=7):
        found += flattener.rows(batch)
    return pa.Table.from_batches(found, SCHEMA)


def by_event(table: pa.Table) -> dict[str, dict[str, Any]]:
    return {row["event_id"]: row for row in table.to_pylist() if row["event_id"]}


def test_values_are_exact(tmp_path: Path) -> None:
    rows = by_event(flat(tmp_path, list(odd())))
    assert rows["exact"]["order_amount"] == "12345678901234567.89"
    assert rows["exact"]["order_id"] == "900719925474099301"
    assert rows["exact"]["items"] == EXACT
    assert (rows["exact"]["item_count"], rows["exact"]["item_quantity"]) == ("2", "5")
    assert (rows["17"]["item_count"], rows["17"]["item_quantity"]) == ("5", "5")
    assert rows["3:0:2/0"]["event_name"] == "click"
    assert {row["event_name"] for row in rows.values()} >= {None, ""}
    assert rows["listless"]["message_id"] == "3:0:4"
    assert rows["listless"]["device_platform"] is None


def test_what_is_not_as_declared_is_aside_with_its_bytes(tmp_path: Path) -> None:
    table = flat(tmp_path, list(odd()))
    aside = [row for row in table.to_pylist() if row["reason"]]
    assert all(row["event_id"] is None for row in aside)
    protection = PLAN.protection()
    values = []
    for row in aside:
        record = protection.revealed(Personal.DOCUMENT, row["raw_bytes"])
        values.append(json.loads(b64decode(record))["value"])
    told = [message.value for message in odd()]
    expected = [value for value in told if value in (b"", b"\xff\xfe", b"[]", b'{"batch_id": 1}', b"null")]
    expected += [value for value in told if value and value.endswith(b'"events": null}')]
    decoded = sorted(b64decode(value) for value in values)
    assert decoded == sorted(expected)


def test_personal_values_are_ciphertext_and_the_loaders_pseudonyms(tmp_path: Path) -> None:
    protection = PLAN.protection()
    rows = by_event(flat(tmp_path / "a", list(odd())))
    mine = protection.pseudonym(Personal.DEVICE_ID, "odd")
    assert {row["value__device_id__pseudonym"] for row in rows.values()} == {mine}
    assert all(row["value__device_id"].startswith("sealed:") for row in rows.values())
    assert protection.revealed(Personal.DEVICE_ID, rows["exact"]["value__device_id"]) == "odd"
    named = [row for row in rows.values() if row["value__user_id"]]
    erased = named[0]["value__user_id__pseudonym"]
    after = by_event(flat(tmp_path / "b", list(odd()), erased))
    gone = [row for row in after.values() if row["value__user_id__pseudonym"] == erased]
    assert gone
    assert all(row["value__user_id"] is None and row["value__device_id"] is None for row in gone)


def test_hours_know_events_only(tmp_path: Path) -> None:
    found = pa.Table.from_batches([occurred(each) for each in flat(tmp_path, list(odd())).to_batches()])
    moments = {row["event_id"]: row["event_at"] for row in found.to_pylist()}
    assert None not in moments
    assert moments["exact"] == datetime(2026, 3, 1, 5, 0, 0, 123456, UTC)
    assert moments["17"] == datetime(2026, 3, 1, 4, 0, 1, tzinfo=UTC)
    assert moments["3:0:2/0"] == datetime(2026, 3, 1, 5, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "hour"),
    [("2026-03-01T06:00:00+0100", 5), ("2026-03-01 06:00", 6), ("soon", None), ("", None), (None, None)],
)
def test_moments(text: str | None, hour: int | None) -> None:
    found = instant(text)
    assert (found and found.hour) == hour


def test_nothing_makes_no_rows(tmp_path: Path) -> None:
    assert len(flat(tmp_path, [Message(TOPIC, b"k", [], None, AT)])) == 0
    assert len(set(FLAT_COLUMNS)) == len(FLAT_COLUMNS)


def test_what_runs_in_sparks_environment_imports_nothing_that_it_lacks() -> None:
    """Only the full tests start Spark: an import too many in the core would be found late."""
    lock = (ROOT / "loaders" / "spark" / "requirements.lock").read_text()
    there = {name.replace("_", "-").lower() for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    code = (
        "import sys, loaders.spark.flatten, loaders.spark.sink, loaders.spark.plan\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=ROOT)
    of = packages_distributions()
    loaded = {each.replace("_", "-").lower() for name in found.stdout.split() for each in of.get(name, ())}
    # By hooks of this environment, or if they are there.
    anyway = {"adstar", "setuptools", "typing-extensions"}
    assert loaded - there - anyway == set()
