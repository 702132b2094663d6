"""docs/runbooks/redshift.md: what can be run without AWS runs, the rest names what exists, sums are right."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
import sqlglot
from sqlfluff.core import Linter
from sqlglot import exp

from tests.deploy import cloud
from tests.deploy.aws_command import flags, parameters
from tests.deploy.cloud import HOST, PAGE_REGION, ROOT, TEMPLATE, decoded

PAGE = (ROOT / "docs" / "runbooks" / "redshift.md").read_text()
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", PAGE, re.DOTALL)
SHELL = [text for kind, text in BLOCKS if kind == "sh"]
SQL = [text for kind, text in BLOCKS if kind == "sql"]
# What AWS's pages of these views list (dg/r_SVV_TABLE_INFO, dg/SYS_QUERY_DETAIL, dg/SYS_SERVERLESS_USAGE).
COLUMNS = {
    "svv_table_info": """
        database schema table_id table encoded diststyle sortkey1 max_varchar sortkey1_enc sortkey_num size
        pct_used empty unsorted stats_off tbl_rows skew_sortkey1 skew_rows estimated_visible_rows risk_event
        vacuum_sort_benefit create_time
    """,
    "sys_query_detail": """
        user_id query_id child_query_sequence stream_id segment_id step_id step_name table_id table_name
        is_rrscan start_time end_time duration alert input_bytes input_rows output_bytes output_rows
    """,
    "sys_serverless_usage": """
        start_time end_time compute_seconds compute_capacity data_storage cross_region_transferred_data
        charged_seconds
    """,
}


def block(start: str) -> str:
    """The block of shell that has this."""
    (found,) = [text for text in SHELL if start in text]
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the page's lines can be run: with the template, the command `aws`, and a server for AWS."""
    command = tmp_path / "bin" / "aws"
    command.parent.mkdir()
    words = shlex.join([sys.executable, "-m", "tests.deploy.aws_command"])
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec {words} "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    template = tmp_path / TEMPLATE.relative_to(ROOT)
    template.parent.mkdir(parents=True)
    shutil.copy(TEMPLATE, template)
    Path(f"{template}.supported").write_text(cloud.supported(TEMPLATE.read_text()))
    with cloud.server(PAGE_REGION):
        yield tmp_path


def run(script: str, folder: Path, **environment: str) -> str:
    """What bash says, which stops at the first line that fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


ADSTAR = """
from loaders._core import configure, warehouse
target = warehouse.resolve()
print(target.name, target.host, target.password)
found = configure.available()
print([name for name, loader in found.items() if configure.is_configured(loader)])
print(configure.settings_of(found["facebook_ads"]).account_ids)
"""
FEED = '[sources.http_json.feeds.rates]\nurl = "https://rates.example/{day}"\n'
FACEBOOK = '[sources.facebook_ads]\naccess_token = "of-nobody"\naccount_ids = ["7"]\n'


def test_the_lines_lead_from_a_network_to_settings_and_credentials(folder: Path) -> None:
    given = cloud.network()
    variables = {
        "VPC": "VpcId",
        "SUBNETS": "SubnetIds",
        "CLIENTS": "ClientSecurityGroupId",
        "ROUTES": "RouteTableIds",
    }
    run(block("cloudformation deploy"), folder, **{name: given[told] for name, told in variables.items()})
    stack = cloud.finish("adstar", TEMPLATE.read_text())
    (folder / "facebook_ads.toml").write_text(FACEBOOK)
    (folder / "others.toml").write_text(FEED)
    asked = f'cd "{ROOT}"\n"{sys.executable}" - <<"END"\n{ADSTAR}END\n'
    said = run(block("describe-stacks") + block("put-secret-value") + block("create user") + asked, folder)
    password = boto3.client("secretsmanager").get_secret_value(SecretId="adstar/warehouse")["SecretString"]
    digest = hashlib.md5(f"{password}adstar".encode()).hexdigest()
    assert said.splitlines()[-4:] == [
        f"create user adstar password 'md5{digest}'",
        f"redshift {HOST} {password}",
        "['facebook_ads', 'http_json', 'sqs']",
        "['7']",
    ]
    assert not (folder / "facebook_ads.toml").exists()
    assert (folder / ".adstar" / "aws.env").read_text().strip() == stack.outputs["Environment"].strip()


def test_the_digest_is_the_one_that_aws_shows(tmp_path: Path) -> None:
    script = block("create user").replace("'adstar'", "'user1'").replace("user adstar", "user user1")
    said = run(script, tmp_path, ADSTAR_REDSHIFT_PASSWORD="ez")
    assert said.strip() == "create user user1 password 'md5153c434b4b77c89e6b94f12c5393af5b'"


def calls(script: str) -> list[list[str]]:
    """The calls of `aws` in it, as words."""
    joined = script.replace("\\\n", " ")
    found = re.findall(r"\baws ([a-z-]+ [a-z-]+ [^|)>\n]*)", joined)
    return [shlex.split(each) for each in found]


@pytest.mark.parametrize(
    "call", [call for text in SHELL for call in calls(text)], ids=lambda call: " ".join(call[:2])
)
def test_each_call_of_aws_is_one_that_aws_knows(call: list[str]) -> None:
    service, operation, *rest = call
    told = flags(rest)
    if operation == "deploy":
        overridden = {each.partition("=")[0] for each in told["parameter-overrides"]}
        assert overridden <= decoded(TEMPLATE.read_text())["Parameters"].keys()
        return
    client = boto3.client(service, PAGE_REGION)
    known = {re.sub(r"(?<=[a-z])(?=[A-Z])", "-", name).lower() for name in parameters(client, operation)}
    assert told.keys() - {"query", "output"} <= known
    model = client.meta.service_model.operation_model(
        client.meta.method_to_api_mapping[operation.replace("-", "_")]
    )
    shape: Any = model.output_shape
    for name in re.findall(r"[A-Za-z]+", told["query"][0].split("[")[0]) if "query" in told else ():
        assert name in shape.members
        shape = shape.members[name]


def test_no_call_of_aws_is_overlooked() -> None:
    assert (
        sum(len(calls(text)) for text in SHELL)
        == len(re.findall(r"\baws [a-z-]+ [a-z-]+ ", "".join(SHELL)))
        == 7
    )


def test_scripts_and_commands_are_those_that_there_are() -> None:
    lines = [line.strip() for text in SHELL for line in text.replace("\\\n", " ").splitlines()]
    for name, verb in [line.split()[:2] for line in lines if line.startswith("scripts/")]:
        assert os.access(ROOT / name, os.X_OK), name
        script = (ROOT / "scripts" / f"_{Path(name).name}.py").read_text()
        assert f'"{verb}"' in script
        assert '"--target"' in script
    ours = [line.split()[:3] for line in lines if line.startswith("dlt ")]
    assert ours == [["dlt", "pipeline", "run"]] * 2
    command = (ROOT / "loaders" / "_core" / "cli.py").read_text()
    assert '"--target"' in command
    assert '"--dry-run"' in command


@pytest.mark.parametrize("query", SQL)
def test_queries_ask_for_what_aws_lists(query: str) -> None:
    parsed = Linter(dialect="redshift").parse_string(query)
    assert not parsed.violations
    (select,) = sqlglot.parse(query, read="redshift")
    assert select is not None
    (view,) = [table.name for table in select.find_all(exp.Table)]
    made = {alias.alias for alias in select.find_all(exp.Alias)}
    asked = {column.name for column in select.find_all(exp.Column)} - made
    assert asked
    assert asked <= set(COLUMNS[view].split())


def test_the_step_that_the_page_shows_is_one(tmp_path: Path) -> None:
    (step,) = [text for kind, text in BLOCKS if kind == "yaml"]
    shutil.copytree(ROOT / "deploy" / "warehouse", tmp_path / "steps")
    (tmp_path / "steps" / "100-logins.yml").write_text(step)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'scripts'); from _changes import steps\n"
        f"print([step.id for step in steps.load(Path({str(tmp_path / 'steps')!r}))][-1])\n"
    )
    assert run(f'cd "{ROOT}"; "{sys.executable}" -c {shlex.quote(code)}', tmp_path).strip() == "100-logins"


def test_sums_are_right_and_of_the_prices_that_the_page_names() -> None:
    sums = re.findall(r"((?:[\d.]+ x )+[\d.]+) = ([\d.]+)", PAGE)
    assert len(sums) == 6
    hour, secret = re.findall(r"\| (?:computing|secrets) \| \$([\d.]+) ", PAGE)
    for product, result in sums:
        *factors, price = product.split(" x ")
        assert price in (hour, secret)
        total = Decimal(price)
        for factor in factors:
            total *= Decimal(factor)
        assert f"{total:.2f}" == result
    limit = decoded(TEMPLATE.read_text())["Parameters"]["DailyRpuHours"]["Default"]
    assert f"default limit of {limit} RPU-hours" in PAGE
    secrets = [
        each
        for each in decoded(TEMPLATE.read_text())["Resources"].values()
        if "SecretsManager" in each["Type"]
    ]
    assert f"{len(secrets) + 1} x {secret}" in PAGE


def test_what_the_page_says_of_the_template_is_so() -> None:
    template = decoded(TEMPLATE.read_text())
    told = json.dumps(template)
    assert template["Parameters"]["StagingDays"]["Default"] == 3
    for name in re.findall(r"`((?:Base|Max|Daily|Route|Run|Send)[A-Z]\w+)`", PAGE):
        assert name in template["Parameters"] or name in template["Outputs"], name
    for name in re.findall(r"`?(ADSTAR_\w+)`?", PAGE):
        assert name in told or name == "ADSTAR_REDSHIFT_PASSWORD", name
    for name in re.findall(r"`adstar/([\w/]+)`", PAGE):
        assert f"${{Name}}/{name}" in told, name
    kept = {name for name, each in template["Resources"].items() if each.get("DeletionPolicy") == "Retain"}
    assert kept == {
        *("Namespace", "Staging", "Lake", "Logins", "LostLogins", "Key"),
        *("ConnectionLog", "UserLog", "UserActivityLog"),
    }
