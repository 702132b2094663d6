"""What the project says about itself is so: pages, folders, scripts, licence, lock and shipped settings."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from loaders.facebook_ads import FacebookAdsSettings
from loaders.google_ads import GoogleAdsSettings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
SCRIPTS = sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file() and "." not in path.name)
CODE = re.compile(r"```.*?```", re.DOTALL)
# Named in pages, but not kept in the repository: made by a run, by the reader, or by the page itself.
MADE_LATER = {"docs/benchmarks.md", "docs/proof.md", "dbt_project/dbt_packages", "loaders/example_ads.py"}


def tracked() -> list[Path]:
    """Every file that belongs to the project, as git knows it."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git checkout, so which files belong to the project is not known")
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


def slug(heading: str) -> str:
    """The anchor of a heading, as pages on GitHub have it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text())):
        if link.startswith("https://"):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in map(slug, headings), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_and_commands_in_pages_exist(page: Path) -> None:
    tops = "scripts|docs|loaders|dbt_project|profiles|simulators|tests|deploy"
    for name in re.findall(rf"(?<![\w/.-])((?:{tops})/[\w./*-]*)", page.read_text()):
        path = name.rstrip("./")
        if path not in MADE_LATER:
            assert list(ROOT.glob(path)) or (ROOT / path).exists(), f"{page.name} names {path}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_models_named_in_pages_exist(page: Path) -> None:
    models = {path.stem for path in (ROOT / "dbt_project" / "models").rglob("*.sql")}
    # A key of JSON, as the figures of a benchmark have them, is no model.
    for name in re.findall(r'\b(?:stg|int|dim|fact|rpt)_\w*[a-z]\b(?!":)', page.read_text()):
        assert name in models, f"{page.name} names the model {name}"


def test_the_star_and_the_loaders_agree_on_the_days_that_are_read_again() -> None:
    told = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text())["vars"]["reread_days"]
    assert told == {
        "facebook_ads": FacebookAdsSettings().window_days,
        "google_ads": GoogleAdsSettings().window_days,
    }


def test_every_mart_lies_in_redshift_as_its_page_says_with_a_reason() -> None:
    page = (ROOT / "docs" / "table-design.md").read_text()
    told = {
        row[0]: row
        for row in re.findall(r"^\| (\w+_\w+) \| (\w+) \| ([\w, ]+) \| (.{10,}) \|$", page, re.MULTILINE)
    }
    for model in sorted((ROOT / "dbt_project" / "models" / "marts").glob("*.sql")):
        text = model.read_text()
        dist = re.search(r"\bdist='(\w+)'", text)
        sort = re.search(r"\bsort=(?:'(\w+)'|\[([^\]]+)\])", text)
        assert dist, f"{model.name} declares no distribution"
        assert sort, f"{model.name} declares no sort key"
        columns = (sort[1] or sort[2]).replace("'", "")
        assert model.stem in told, f"docs/table-design.md has no reason for {model.stem}"
        assert told[model.stem][1:3] == (dist[1], columns), (
            f"docs/table-design.md is wrong about {model.stem}"
        )
    assert told.keys() == {path.stem for path in (ROOT / "dbt_project" / "models" / "marts").glob("*.sql")}


def test_every_model_that_decides_or_adds_up_has_a_unit_test() -> None:
    """Of those whose inputs can be given: what reads raw has none, its columns are known when it is built."""
    models = ROOT / "dbt_project" / "models"
    described = [yaml.safe_load(path.read_text()) or {} for path in models.rglob("*.yml")]
    tested = {test["model"] for each in described for test in each.get("unit_tests", [])}
    logic = re.compile(r"\b(case|sum|count)\b|\bover \(")
    bare = {
        path.stem
        for path in models.rglob("*.sql")
        if "ref(" in (sql := path.read_text()) and logic.search(sql)
    }
    assert not bare - tested, f"no unit test says what these decide: {sorted(bare - tested)}"


def test_every_script_is_told_about() -> None:
    told = "".join(page.read_text() for page in PAGES)
    for script in SCRIPTS:
        if not script.name.startswith("_"):
            assert f"scripts/{script.name}" in told


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_short_verbs_in_sound_bash(script: Path) -> None:
    text = script.read_text()
    assert os.access(script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# "), "says what it does in its second line"
    assert len(text.splitlines()) <= 30
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0


def test_every_full_size_test_is_run_by_a_claim() -> None:
    """scripts/test leaves them out; what no claim names would never be run."""
    claims = tomllib.loads((ROOT / "scripts" / "claims.toml").read_text())
    commands = [claim["command"] for claim in claims.values()]
    whole = [command for command in commands if re.search(r"-m (?:full\b|''|'full or not full')", command)]
    named = {name for command in whole for name in re.findall(r"tests/[\w/]+\.py", command)}
    full = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tests").rglob("test_*.py")
        if re.search(r"\bmark\.full\b|\bimport kills\b", file.read_text()) and file != Path(__file__)
    }
    assert full
    assert full <= named, f"scripts/claims.toml runs no full-size test of {sorted(full - named)}"


def test_ci_does_nothing_but_call_the_test_script() -> None:
    assert "scripts/test" in (ROOT / ".ci" / "run").read_text()
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_no_file_names_a_machine_or_a_package_index() -> None:
    hosts = ["pypi" + ".org", "pythonhosted" + ".org", "hub.getdbt" + ".com"]
    places = re.compile("|".join([*map(re.escape, hosts), r"(?<![\w.])/(?:home|Users|work)/\w"]))
    for path in tracked():
        try:
            found = places.search(path.read_text())
        except UnicodeDecodeError:
            continue
        assert not found, f"{path.relative_to(ROOT)} has {found[0]}"


def test_nothing_is_left_for_later() -> None:
    words = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|X" + r"XX[:(]|NotImplemented" + r"Error)\b")
    for path in tracked():
        if path.suffix in {".py", ".sql", ".yml", ".md", ".toml", ""} and path.name != "LICENSE":
            found = words.search(path.read_text())
            assert not found, f"{path.relative_to(ROOT)} has {found[0]}"


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"


def test_the_changelog_is_about_this_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] == "Unreleased" or headings[0] == version


def test_the_lock_has_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    entries = re.split(r"^(?=\S)", lock, flags=re.MULTILINE)
    pins = [entry for entry in entries if entry and not entry.startswith("#")]
    assert len(pins) > 100
    assert all("==" in pin and "--hash=sha256:" in pin for pin in pins)


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    names = {re.split(r"[\[<>=~]", each)[0].lower() for each in asked}
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    assert names <= pinned


def test_telemetry_is_off_as_shipped() -> None:
    settings = tomllib.loads((ROOT / ".dlt" / "config.toml").read_text())
    assert settings["runtime"]["dlthub_telemetry"] is False
    project = yaml.safe_load((ROOT / "dbt_project" / "dbt_project.yml").read_text())
    assert project["flags"]["send_anonymous_usage_stats"] is False


def test_no_secret_and_no_package_lock_is_tracked() -> None:
    names = {str(path.relative_to(ROOT)) for path in tracked()}
    assert not names & {".dlt/secrets.toml", "dbt_project/package-lock.yml"}
    assert not [name for name in names if name.startswith("dbt_project/dbt_packages/")]
