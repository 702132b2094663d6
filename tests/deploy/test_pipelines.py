"""Jenkinsfile and the GitHub workflow: both do the same in the same order, and nothing but call scripts."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "warehouse.yml"
JENKINS = ROOT / "Jenkinsfile"
REQUEST, MAIN = "pull request", "main"
Stage = tuple[str, str | None]
EXPECTED: dict[str, list[Stage]] = {
    REQUEST: [
        ("Set up", "scripts/setup"),
        ("Lint", "scripts/lint"),
        ("Test", "scripts/test"),
        ("Build what changed", "scripts/build-changed"),
        ("Plan", "scripts/ddl plan"),
    ],
    MAIN: [
        ("Set up", "scripts/setup"),
        ("Lint", "scripts/lint"),
        ("Test", "scripts/test"),
        ("Plan", "scripts/ddl plan"),
        ("Approve", None),
        ("Apply", "scripts/ddl apply"),
        ("Publish", "scripts/publish"),
        ("Remember", "scripts/build-changed --remember"),
    ],
}
# When a job or step runs; what is not known here fails.
GITHUB_CONDITIONS = {
    "": {REQUEST, MAIN},
    "github.event_name == 'pull_request'": {REQUEST},
    "github.event_name == 'push'": {MAIN},
    "github.event_name == 'push' || github.event.pull_request.head.repo.full_name == github.repository": {
        REQUEST,
        MAIN,
    },
}
JENKINS_CONDITIONS = {"": {REQUEST, MAIN}, "changeRequest()": {REQUEST}, "branch 'main'": {MAIN}}


def workflow() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())
    return found


def of_github(event: str) -> list[Stage]:
    """The stages of an event; each job is a new machine and sets up, which counts once."""
    stages: list[Stage] = []
    for job in workflow()["jobs"].values():
        if event not in GITHUB_CONDITIONS[job.get("if", "")]:
            continue
        if job.get("environment") == "production":
            stages.append(("Approve", None))
        for step in job["steps"]:
            if "run" in step and event in GITHUB_CONDITIONS[step.get("if", "")]:
                stage = (step["name"], step["run"])
                stages += [stage] if stage not in stages else []
    return stages


def of_jenkins(event: str) -> list[Stage]:
    stages: list[Stage] = []
    for name, body in re.findall(
        r"\n {8}stage\('([^']+)'\) \{\n(.*?)\n {8}\}", JENKINS.read_text(), re.DOTALL
    ):
        condition = re.search(r"when \{ (.*) \}\n", body)
        if event not in JENKINS_CONDITIONS[condition[1] if condition else ""]:
            continue
        commands = re.findall(r"\bsh '([^']*)'", body)
        assert len(commands) == 1 or (name == "Approve" and "input message:" in body and not commands), name
        stages.append((name, commands[0] if commands else None))
    return stages


@pytest.mark.parametrize("event", [REQUEST, MAIN])
def test_both_run_the_same_stages(event: str) -> None:
    assert of_github(event) == EXPECTED[event]
    assert of_jenkins(event) == EXPECTED[event]


def test_what_is_run_is_a_script_that_exists_and_nothing_else() -> None:
    steps = [step for job in workflow()["jobs"].values() for step in job["steps"]]
    commands = [step["run"] for step in steps if "run" in step]
    text = JENKINS.read_text()
    commands += re.findall(r"\bsh '([^']*)'", text)
    assert set(commands) == {command for stages in EXPECTED.values() for _, command in stages if command}
    for command in commands:
        found = re.fullmatch(r"(scripts/[a-z-]+)(?: (?:--)?[a-z-]+)*", command)
        assert found, f"{command} is not one script with words after it"
        script = ROOT / found[1]
        assert script.is_file(), found[1]
        assert os.access(script, os.X_OK), found[1]
    # No other way to run something: whole lists of what the two files are made of.
    assert {key for step in steps for key in step} == {"uses", "with", "name", "run", "if"}
    used = {step["uses"] for step in steps if "uses" in step}
    assert all(
        re.fullmatch(r"actions/(checkout|setup-python|cache/(restore|save))@v\d+", each) for each in used
    )
    words = set(re.findall(r"^ +([A-Za-z]+)(?=[ ({])", text, re.MULTILINE))
    assert words == {"agent", "disableConcurrentBuilds", "environment", "options", "stage", "stages", "steps",
                     "timeout", "when"}  # fmt: skip
    assert set(re.findall(r"steps \{ (\w+)", text)) == {"sh", "input"}
    assert text.count("{") == text.count("}")
    assert len(re.findall(r"\bsh\b", text)) == len(re.findall(r"\bsh '[^']*'", text))


def test_jobs_wait_for_those_before_and_production_for_people() -> None:
    jobs = workflow()["jobs"]
    names = list(jobs)
    assert [jobs[name].get("needs") for name in names] == [None, *names[:-1]]
    assert [jobs[name].get("environment") for name in names] == [None, "review", "production"]
    assert "secrets." not in yaml.safe_dump(jobs["check"]), "tests run what anybody may propose"
    # `on` is a boolean to YAML 1.1.
    assert workflow()[True] == {"pull_request": None, "push": {"branches": ["main"]}}
