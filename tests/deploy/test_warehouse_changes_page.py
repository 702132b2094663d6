"""docs/runbooks/warehouse-changes.md: its steps are steps, and its commands print what stands there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from loaders._core.warehouse import Target
from tests.conftest import ROOT
from tests.deploy.ddl_bench import Bench, run

PAGE = (ROOT / "docs" / "runbooks" / "warehouse-changes.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
CODES = {"drift": 3}


def as_printed_there(told: str, target: Target) -> str:
    """Without what differs from run to run."""
    told = told.replace(f"127.0.0.1:{target.port}", "localhost:5432").replace(target.database, "adstar")
    told = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+0000", "2026-03-01 06:00:00+0000", told)
    return re.sub(r"in \d+\.\d s$", "in 0.0 s", told, flags=re.MULTILINE)


def pattern(shown: str) -> str:
    """A line of dots stands for any lines."""
    return "(?:.*\n)*".join(re.escape(part) for part in re.split(r"^\.\.\.\n", shown, flags=re.MULTILINE))


def test_the_page_is_done_from_top_to_bottom(target: Target, tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    shutil.copytree(ROOT / "deploy" / "warehouse", steps)
    ddl = Bench(target, steps, "")
    run(target, "create role ann login", "create role bob login", "create role administrator")
    try:
        ddl("apply")
        run(
            target,
            "create table quality.test_results (built_at timestamptz)",
            # As dbt grants after every run.
            "grant select, insert, update, delete, truncate on quality.test_results to adstar_transformer",
        )
        done = []
        for kind, text in BLOCKS:
            done.append(kind)
            if kind == "yaml":
                name = re.match(r"# (\S+\.yml)\n", text)
                assert name
                if name[1].startswith("025"):
                    continue  # it belongs before what is applied here; see below
                (steps / name[1]).write_text(text)
            elif kind == "sql":
                run(target, text)
            else:
                command, _, shown = text.partition("\n")
                verb, *words = command.removeprefix("$ scripts/ddl ").split()
                told = as_printed_there(ddl(verb, *words, code=CODES.get(verb, 0)), target)
                assert re.fullmatch(pattern(shown), told), told
        assert done == ["yaml", "console", "console", "console", "sql", "console", "console", "yaml"]
        assert ddl("drift") == "-- nothing was made or removed by hand\n"
    finally:
        run(target, "drop owned by ann, bob", "drop role ann, bob, administrator")


def test_the_step_of_an_administrator_fits_between_those_shipped(tmp_path: Path) -> None:
    from _changes import steps as ddl_steps

    (step,) = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("# 025")]
    shutil.copytree(ROOT / "deploy" / "warehouse", tmp_path / "steps")
    (tmp_path / "steps" / "025-administrator.yml").write_text(step)
    assert "025-administrator" in [step.id for step in ddl_steps.load(tmp_path / "steps")]
