"""docs/lake.md and docs/runbooks/archive.md: their Python runs, and their commands are understood."""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from loaders._core import configure
from loaders._core.cli import RunCommand
from loaders._core.warehouse import Target
from tests.conftest import ROOT
from tests.deploy.test_export import run

sys.path.insert(0, str(ROOT / "scripts"))
import _lake
import _sql
from _lakehouse import feeds as lake_feeds

LAKE = (ROOT / "docs" / "lake.md").read_text()
ARCHIVE = (ROOT / "docs" / "runbooks" / "archive.md").read_text()


def blocks(page: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```", page, re.DOTALL | re.MULTILINE)


@pytest.fixture
def star(target: Target, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Target:
    run(
        target,
        "create schema marts",
        "create table marts.fact_ad_performance (date_day date, campaign_id text, spend numeric(38,9))",
        "create table marts.dim_campaign (campaign_key bigint)",
        "create table marts.dim_ad (ad_key bigint)",
        "insert into marts.fact_ad_performance values ('2026-04-01', 'a', 1.5), ('2026-04-02', 'b', 2.5),"
        " ('2026-05-01', 'a', 4)",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADSTAR_STATE", str(tmp_path / ".adstar"))
    return target


def test_what_the_page_says_of_the_lake_is_so(
    star: Target, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _lake.main([]) == 0
    commands = [shlex.split(line, comments=True) for line in blocks(LAKE, "sh")[0].splitlines()]
    for verb, *words in commands:
        asked = words[: words.index(">")] if ">" in words else words
        if verb == "scripts/sql" and "--as-of" not in asked:
            assert _sql.main(asked) == 0, asked
        elif verb == "scripts/sql":
            assert _sql.main(asked) == 2  # no version is so old here
            assert "has no version of" in capsys.readouterr().err
        else:
            assert verb == "scripts/lake"
            _lake.ask(asked)
    told: dict[str, Any] = {}
    first, second = blocks(LAKE, "python")
    exec(first, told)
    assert told["spend"].as_py() == 4
    assert told["before"].num_rows == 3
    exec(second, told)
    assert [row[0] for row in told["top"].fetchall()] == ["a", "b"]
    monkeypatch.setenv(
        "LAKE__FEEDS__EXCHANGE_RATES",
        re.sub("'", '"', str(tomllib.loads(blocks(LAKE, "toml")[0])["lake"]["feeds"]["exchange_rates"])),
    )
    assert lake_feeds._types("exchange_rates") == {"date": "date", "rate": "numeric(38,9)"}


def test_what_the_page_says_of_the_archive_can_be_asked() -> None:
    import argparse

    settings, source = (tomllib.loads(text) for text in blocks(ARCHIVE, "toml"))
    assert set(settings["archive"]) == {"url", "kms_key_id", "all"}
    loaders = configure.available()
    (name,) = source["sources"]
    assert loaders[name].archived is False
    parser = argparse.ArgumentParser()
    RunCommand().configure_parser(parser)
    named = []
    for line in blocks(ARCHIVE, "sh")[0].splitlines():
        words = line.split()
        if words[:2] == ["dlt", "pipeline"]:
            assert parser.parse_args(words[4:]).from_archive
            named.append(words[2])
    assert sorted(named) == sorted(n for n, loader in loaders.items() if loader.archived is not None)
