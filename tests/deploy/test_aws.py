"""deploy/aws/warehouse.yml: sound for cfn-lint, tight, made on moto as far as it can; each check can fail."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto.core.models import DEFAULT_ACCOUNT_ID

from tests.deploy import cloud
from tests.deploy.checks import buckets, everybody, linted, queues, secrets, stars, warehouse
from tests.deploy.cloud import (
    HOST,
    REGION,
    ROOT,
    TEMPLATE,
    Person,
    Stack,
    allows,
    create,
    decoded,
    of_type,
)

TEXT = TEMPLATE.read_text()
EVERYTHING = decoded(TEXT)
Check = Callable[[dict[str, Any]], list[str]]
CHECKS: list[Check] = [stars, everybody, buckets, queues, secrets, warehouse]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_nothing_is_open_unencrypted_or_wider_than_it_must_be(check: Check) -> None:
    assert check(EVERYTHING) == []


@pytest.mark.parametrize(
    ("check", "old", "new", "fault"),
    [
        (stars, "Resource: !Sub ${Lake.Arn}/exports/*", 'Resource: "*"', "CopyRole has * without a reason"),
        (stars, "Action: s3:GetObject\n", "Action: s3:*\n", "CopyRole has s3:* without a reason"),
        (stars, "secret:${Name}/*", "secret:*", "secret:* without a reason"),
        (stars, "Resource: !GetAtt Logins.Arn", 'NotResource: "arn"', "RunPolicy has NotResource"),
        (stars, "Action: kms:*", "Action: kms:Put", "Key no longer has kms:*"),
        (
            everybody,
            'Principal: { AWS: !Sub "arn:${AWS::Partition}:iam::${AWS::AccountId}:root" }',
            'Principal: "*"',
            "Key",
        ),
        (
            everybody,
            "Principal: { Service: lambda.amazonaws.com }",
            "Principal: { AWS: other }",
            "DailyLimitRole",
        ),
        (buckets, "BlockPublicPolicy: true, ", "", "Staging lacks BlockPublicPolicy"),
        (
            buckets,
            "RestrictPublicBuckets: true",
            "RestrictPublicBuckets: false",
            "lacks RestrictPublicBuckets",
        ),
        (buckets, "SSEAlgorithm: aws:kms, ", "SSEAlgorithm: AES256, ", "Staging is not encrypted"),
        (buckets, "BucketOwnerEnforced", "ObjectWriter", "Staging has access lists"),
        (
            buckets,
            'aws:SecureTransport: "false"',
            'aws:SecureTransport: "true"',
            "Staging can be reached without",
        ),
        (
            buckets,
            "Resource: [!GetAtt Lake.Arn, !Sub",
            "Resource: [!GetAtt Staging.Arn, !Sub",
            "Lake can be reached",
        ),
        (queues, "      KmsMasterKeyId: !Ref Key\n", "", "Logins is not encrypted"),
        (queues, "maxReceiveCount: 10", "maxReceiveCount: 3", "Logins gives up"),
        (
            queues,
            "MessageRetentionPeriod: 1209600",
            "MessageRetentionPeriod: 864000",
            "before anybody has seen it",
        ),
        (queues, "      RedrivePolicy:", "      Other:", "Logins has no dead-letter queue"),
        (
            queues,
            "Resource: [!GetAtt Logins.Arn, !GetAtt",
            "Resource: [!GetAtt Lake.Arn, !GetAtt",
            "without TLS",
        ),
        (
            secrets,
            "GenerateSecretString: {",
            "SecretString: hunter2\n      Other: {",
            "WarehousePassword has SecretString",
        ),
        (
            secrets,
            "ManageAdminPassword: true",
            "AdminUserPassword: Hunter2hunter2",
            "Namespace has AdminUserPassword",
        ),
        (
            secrets,
            "  LogDays:\n",
            "  Password: { Type: String, NoEcho: true }\n  LogDays:\n",
            "the parameter Password",
        ),
        (
            secrets,
            "PasswordLength: 40",
            "SecretStringTemplate: '{}'",
            "WarehousePassword has a SecretStringTemplate",
        ),
        (
            secrets,
            "AdminUsername: adstar_admin",
            "AdminUsername: AKIAIOSFODNN7EXAMPLE",
            "it has AKIAIOSFODNN7EXAMPLE",
        ),
        (warehouse, "PubliclyAccessible: false", "PubliclyAccessible: true", "it is public"),
        (warehouse, "EnhancedVpcRouting: true", "EnhancedVpcRouting: false", "COPY leaves the network"),
        (
            warehouse,
            "SourceSecurityGroupId: !Ref ClientSecurityGroupId",
            "CidrIp: 0.0.0.0/0",
            "others than its clients",
        ),
        (
            warehouse,
            "- { ParameterKey: require_ssl",
            "- { ParameterKey: other",
            "it can be reached without TLS",
        ),
        (
            warehouse,
            "ParameterValue: !Ref MaxQuerySeconds",
            'ParameterValue: "0"',
            "a query may run for ever",
        ),
        (
            warehouse,
            "      RpuHours: !Ref DailyRpuHours",
            "      RpuHours: 1000000",
            "a day may cost anything",
        ),
        (warehouse, "      MaxCapacity: !Ref MaxCapacity\n", "", "it may grow without bounds"),
        (
            warehouse,
            "      KmsKeyId: !GetAtt Key.Arn\n      IamRoles",
            "      IamRoles",
            "it is not encrypted",
        ),
        (
            warehouse,
            "[connectionlog, userlog, useractivitylog]",
            "[connectionlog]",
            "its use is not written down",
        ),
        (warehouse, "/${Name}/userlog", "/${Name}/users", "userlog is kept for ever"),
    ],
)
def test_each_check_finds_what_it_is_for(check: Check, old: str, new: str, fault: str) -> None:
    assert old in TEXT, "this says something of the template that is no longer so"
    assert any(fault in found for found in check(decoded(TEXT.replace(old, new, 1))))


def test_cfn_lint_finds_nothing() -> None:
    assert linted(TEXT, "eu-central-1", "us-east-1") == []


def test_cfn_lint_finds_what_is_wrong() -> None:
    wrong = {
        ("BaseCapacity: !Ref BaseCapacity", "BaseCapacity: many"): "'many' is not of type 'integer'",
        ("!GetAtt CopyRole.Arn", "!GetAtt CopyRoll.Arn"): "'CopyRoll' is not one of",
        ("s3:GetBucketLocation", "s3:GetLocation"): "'getlocation' is not one of",
        ("LogExports: [connectionlog", "LogExports: [connectlog"): "'connectlog' is not one of",
        ("MessageRetentionPeriod: 1209600", "MessageRetentionPeriod: 2000000"): "maximum of 1209600",
    }
    text = TEXT
    for old, new in wrong:
        assert old in text
        text = text.replace(old, new, 1)
    found = "".join(linted(text, "eu-central-1"))
    assert [fault for fault in wrong.values() if fault not in found] == []


@pytest.fixture(scope="module")
def network() -> Iterator[dict[str, str]]:
    """A network on a server that stands in for AWS."""
    with cloud.server(REGION):
        yield cloud.network()


@pytest.fixture(scope="module")
def stack(network: dict[str, str]) -> Stack:
    return create("adstar", TEXT, {**network, "StagingDays": "2"})


def test_moto_makes_all_that_it_can(stack: Stack) -> None:
    left_out = EVERYTHING["Resources"].keys() - stack.ids.keys()
    assert {EVERYTHING["Resources"][name]["Type"] for name in left_out} == {
        "AWS::RedshiftServerless::Namespace",
        "AWS::RedshiftServerless::Workgroup",
        "AWS::Lambda::Function",
        "Custom::UsageLimit",
        # These the test makes by the services' own API.
        "AWS::S3::BucketPolicy",
        "AWS::SQS::QueuePolicy",
        "AWS::SecretsManager::Secret",
    }


def test_the_buckets_are_closed_and_what_is_put_there_is_encrypted(stack: Stack) -> None:
    s3 = boto3.client("s3")
    key = f"arn:aws:kms:{REGION}:{DEFAULT_ACCOUNT_ID}:key/{stack.ids['Key']}"
    for name in ("Staging", "Lake"):
        bucket = stack.ids[name]
        blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert len(blocked) == 4
        assert all(blocked.values())
        s3.put_object(Bucket=bucket, Key="a", Body=b"x")
        put = s3.head_object(Bucket=bucket, Key="a")
        assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
    (staged,) = s3.get_bucket_lifecycle_configuration(Bucket=stack.ids["Staging"])["Rules"]
    assert staged["Expiration"] == {"Days": 2}
    assert s3.get_bucket_versioning(Bucket=stack.ids["Lake"])["Status"] == "Enabled"
    assert "Status" not in s3.get_bucket_versioning(Bucket=stack.ids["Staging"])
    for policy in of_type(stack.template, "AWS::S3::BucketPolicy").values():
        s3.put_bucket_policy(Bucket=policy["Bucket"], Policy=json.dumps(policy["PolicyDocument"]))
        (statement,) = json.loads(s3.get_bucket_policy(Bucket=policy["Bucket"])["Policy"])["Statement"]
        arn = f"arn:aws:s3:::{policy['Bucket']}"
        assert (statement["Effect"], statement["Resource"]) == ("Deny", [arn, f"{arn}/*"])
        s3.delete_bucket_policy(Bucket=policy["Bucket"])


def test_redshift_and_nobody_else_may_take_the_role(stack: Stack) -> None:
    role = boto3.client("iam").get_role(RoleName=stack.ids["CopyRole"])["Role"]
    (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Service": ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]},
        "Action": "sts:AssumeRole",
    }


# What is asked of S3 by COPY and UNLOAD, and what must be refused.
OF_THE_ROLE = {
    ("get_object", "Staging", "staging/raw/1.parquet"): True,
    ("put_object", "Lake", "exports/marts/1.parquet"): True,
    ("get_object", "Lake", "exports/marts/1.parquet"): True,
    ("delete_object", "Lake", "exports/marts/1.parquet"): False,
    ("put_object", "Lake", "elsewhere/1.parquet"): False,
    ("put_object", "Lake", "exports"): False,
    ("delete_object", "Lake", "elsewhere/1.parquet"): False,
    ("put_object", "Staging", "staging/raw/1.parquet"): False,
    ("delete_object", "Staging", "staging/raw/1.parquet"): False,
    ("get_object", "Staging", "elsewhere/1.parquet"): False,
    ("put_object", "others", "exports/1.parquet"): False,
    ("get_object", "others", "staging/1.parquet"): False,
}


def of_the_role(stack: Stack) -> dict[str, Any]:
    """What the COPY role may; asked for it, moto's IAM gives no JSON."""
    (policy,) = stack.properties("CopyRole")["Policies"]
    document: dict[str, Any] = policy["PolicyDocument"]
    return document


def surprises(stack: Stack, name: str) -> list[tuple[str, str, str]]:
    """What moto's S3 lets the COPY role do and should not, or the other way round."""
    person = Person(name, of_the_role(stack))
    return [
        (call, bucket, key)
        for (call, bucket, key), expected in OF_THE_ROLE.items()
        if person.may(call, stack.ids.get(bucket, bucket), key) != expected
    ]


@pytest.fixture(scope="module")
def others(network: dict[str, str]) -> str:
    bucket = "others"
    boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    return bucket


@pytest.mark.usefixtures("others")
def test_the_role_reads_what_is_staged_and_writes_what_is_exported_and_no_more(stack: Stack) -> None:
    assert surprises(stack, "copier") == []


@pytest.mark.usefixtures("others")
@pytest.mark.parametrize(
    ("old", "new", "surprise"),
    [
        ("${Lake.Arn}/exports/*", "${Lake.Arn}/*", ("put_object", "Lake", "elsewhere/1.parquet")),
        ("${Lake.Arn}/exports/*", "arn:aws:s3:::*", ("put_object", "others", "exports/1.parquet")),
        ("${Staging.Arn}/staging/*", "${Staging.Arn}/*", ("get_object", "Staging", "elsewhere/1.parquet")),
        (
            "Action: s3:GetObject\n",
            "Action: [s3:GetObject, s3:PutObject]\n",
            ("put_object", "Staging", "staging/raw/1.parquet"),
        ),
        (
            "Action: [s3:GetObject, s3:PutObject]",
            "Action: s3:GetObject",
            ("put_object", "Lake", "exports/marts/1.parquet"),
        ),
    ],
)
def test_a_wider_or_narrower_role_is_noticed(
    network: dict[str, str],
    request: pytest.FixtureRequest,
    old: str,
    new: str,
    surprise: tuple[str, str, str],
) -> None:
    assert old in TEXT
    name = f"broken-{abs(hash(request.node.name)) % 10**6}"
    stack = create(name, TEXT.replace(old, new, 1), {**network, "Name": name, "RouteTableIds": ""})
    assert surprise in surprises(stack, name)


def test_the_role_lists_only_its_folders_and_uses_the_key_only_through_s3(stack: Stack) -> None:
    policy = of_the_role(stack)
    lake, staging = (f"arn:aws:s3:::{stack.ids[name]}" for name in ("Lake", "Staging"))
    key = f"arn:aws:kms:{REGION}:{DEFAULT_ACCOUNT_ID}:key/{stack.ids['Key']}"
    assert allows(policy, "s3:ListBucket", staging, s3_prefix="staging/raw_facebook_ads/")
    assert allows(policy, "s3:ListBucket", lake, s3_prefix="exports/marts/")
    assert not allows(policy, "s3:ListBucket", staging, s3_prefix="")
    assert not allows(policy, "s3:ListBucket", lake)
    assert allows(policy, "kms:GenerateDataKey", key, kms_ViaService=f"s3.{REGION}.amazonaws.com")
    assert not allows(policy, "kms:GenerateDataKey", key, kms_ViaService=f"sqs.{REGION}.amazonaws.com")
    assert not allows(policy, "kms:Decrypt", key)
    assert not allows(policy, "kms:Decrypt", key[:-1], kms_ViaService=f"s3.{REGION}.amazonaws.com")


def test_who_runs_adstar_may_do_its_work_and_no_more(stack: Stack) -> None:
    policy = managed(stack, "RunPolicy")
    logins = stack.template["Resources"]["LoginsPolicy"]["Properties"]["PolicyDocument"]["Statement"][0][
        "Resource"
    ]
    secret = f"arn:aws:secretsmanager:{REGION}:{DEFAULT_ACCOUNT_ID}:secret:"
    for action in ("GetQueueUrl", "ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility"):
        assert allows(policy, f"sqs:{action}", logins[0])
        assert not allows(policy, f"sqs:{action}", logins[1])
    assert not allows(policy, "sqs:SendMessage", logins[0])
    assert not allows(policy, "sqs:PurgeQueue", logins[0])
    assert allows(policy, "secretsmanager:GetSecretValue", f"{secret}adstar/sources/google_ads-AbCdEf")
    assert not allows(policy, "secretsmanager:GetSecretValue", f"{secret}redshift!adstar-adstar_admin-AbCdEf")
    assert not allows(policy, "secretsmanager:GetSecretValue", f"{secret}others/sources/google_ads-AbCdEf")
    assert not allows(policy, "secretsmanager:PutSecretValue", f"{secret}adstar/sources/google_ads-AbCdEf")
    person = Person("runner", policy)
    for bucket, folder in (("Staging", "staging"), ("Lake", "exports")):
        for call in ("put_object", "get_object", "delete_object"):
            assert person.may(call, stack.ids[bucket], f"{folder}/a.parquet")
            assert not person.may(call, stack.ids[bucket], "elsewhere/a.parquet")


STAGING = """
import os
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
import dlt
place = dlt.destinations.filesystem(bucket_url="s3://BUCKET/staging")
pipeline = dlt.pipeline("staging", destination=place, dataset_name="raw", pipelines_dir=".")
for number, how in enumerate(("append", "replace")):
    pipeline.run([{"a": number}], table_name="rows", loader_file_format="jsonl", write_disposition=how)
"""


def test_dlt_stages_with_just_these_rights(stack: Stack, tmp_path: Path) -> None:
    code = STAGING.replace("BUCKET", stack.ids["Staging"])
    policy = managed(stack, "RunPolicy")
    assert Person("stager", policy).runs(code, tmp_path)[0] == 0
    policy["Statement"] = [each for each in policy["Statement"] if each["Sid"] != "Stage"]
    ended, complaint = Person("no-stager", policy).runs(code, tmp_path)
    assert ended != 0
    assert "PermissionError" in complaint


def test_the_application_may_send_logins_and_not_read_them(stack: Stack) -> None:
    policy = managed(stack, "SendLoginsPolicy")
    logins = stack.template["Resources"]["LoginsPolicy"]["Properties"]["PolicyDocument"]["Statement"][0][
        "Resource"
    ]
    assert allows(policy, "sqs:SendMessage", logins[0])
    assert not allows(policy, "sqs:ReceiveMessage", logins[0])
    assert not allows(policy, "sqs:SendMessage", logins[1])


def managed(stack: Stack, name: str) -> dict[str, Any]:
    iam = boto3.client("iam")
    version = iam.get_policy(PolicyArn=stack.outputs[name])["Policy"]["DefaultVersionId"]
    found: dict[str, Any] = iam.get_policy_version(PolicyArn=stack.outputs[name], VersionId=version)[
        "PolicyVersion"
    ]
    return dict(found["Document"])


def test_a_login_that_nobody_deletes_ends_with_the_lost_ones(stack: Stack) -> None:
    sqs = boto3.client("sqs")
    logins, lost = stack.ids["Logins"], stack.ids["LostLogins"]
    sqs.send_message(QueueUrl=logins, MessageBody="{}")
    ask = {"MessageSystemAttributeNames": ["All"], "VisibilityTimeout": 0}
    for _ in range(10):
        assert len(sqs.receive_message(QueueUrl=logins, **ask)["Messages"]) == 1
    assert "Messages" not in sqs.receive_message(QueueUrl=logins, **ask)
    assert len(sqs.receive_message(QueueUrl=lost, **ask)["Messages"]) == 1
    told = sqs.get_queue_attributes(QueueUrl=logins, AttributeNames=["All"])["Attributes"]
    assert told["KmsMasterKeyId"] == stack.ids["Key"]


def test_nobody_but_the_clients_reaches_the_warehouse(stack: Stack, network: dict[str, str]) -> None:
    ec2 = boto3.client("ec2")
    (group,) = ec2.describe_security_groups(GroupIds=[stack.ids["WarehouseSecurityGroup"]])["SecurityGroups"]
    (rule,) = group["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpRanges"]) == (5439, 5439, [])
    assert [each["GroupId"] for each in rule["UserIdGroupPairs"]] == [network["ClientSecurityGroupId"]]
    (way,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[stack.ids["S3Endpoint"]])["VpcEndpoints"]
    assert way["RouteTableIds"] == [network["RouteTableIds"]]


def in_a_process(code: str, environment: dict[str, str]) -> str:
    """What adstar says in a process of its own, which reads its settings anew."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def environment(stack: Stack) -> dict[str, str]:
    return dict(line.split("=", 1) for line in stack.outputs["Environment"].splitlines())


def test_the_settings_that_the_stack_tells_are_those_that_adstar_reads(stack: Stack) -> None:
    settings = environment(stack)
    code = (
        "from loaders._core import configure, warehouse\n"
        "target = warehouse.resolve()\n"
        "found = configure.available()\n"
        "queue = configure.settings_of(found['sqs'])\n"
        "print(target.name, target.host, target.port, target.user, target.database)\n"
        "print(queue.region, queue.queues['login_queue'].queue)\n"
        # The secrets are there, and empty.
        "print([name for name, loader in found.items() if configure.is_configured(loader)])\n"
    )
    assert in_a_process(code, settings).splitlines() == [
        f"redshift {HOST} 5439 adstar adstar",
        f"{REGION} adstar-logins",
        "['sqs']",
    ]


@pytest.mark.parametrize("name", re.findall(r"^      (ADSTAR_\w+)=", TEXT, re.MULTILINE))
def test_each_setting_is_read_somewhere(name: str) -> None:
    read = [ROOT / "profiles" / "profiles.yml", *ROOT.glob("loaders/**/*.py"), *ROOT.glob("scripts/*.py")]
    assert any(re.search(rf"\b{name}\b", path.read_text()) for path in read)


class Heard(BaseHTTPRequestHandler):
    """CloudFormation, waiting for an answer."""

    answers: list[dict[str, Any]]

    def do_PUT(self) -> None:
        self.answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing on the test's output."""


class Limits:
    """The function that keeps the daily limit, run as Lambda would, against AWS's description of the API."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        (function,) = of_type(EVERYTHING, "AWS::Lambda::Function").values()
        self._module: dict[str, Any] = {}
        exec(function["Code"]["ZipFile"], self._module)
        client = boto3.client("redshift-serverless", REGION, aws_access_key_id="a", aws_secret_access_key="b")
        monkeypatch.setattr(boto3, "client", lambda name: client)
        self.api = Stubber(client)
        handler = type("Answers", (Heard,), {"answers": []})
        self.answers: list[dict[str, Any]] = handler.answers  # type: ignore[attr-defined]
        self._server = HTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def ask(self, kind: str, hours: str = "48", **more: Any) -> dict[str, Any]:
        event = {
            "RequestType": kind,
            "ResponseURL": f"http://127.0.0.1:{self._server.server_port}/",
            "StackId": "stack",
            "RequestId": "request",
            "LogicalResourceId": "DailyLimit",
            "ResourceProperties": {"Workgroup": WORKGROUP, "RpuHours": hours},
        }
        with self.api:
            self._module["handler"]({**event, **more}, None)
        return self.answers.pop()


WORKGROUP = f"arn:aws:redshift-serverless:{REGION}:{DEFAULT_ACCOUNT_ID}:workgroup/1"
MADE = {
    "resourceArn": WORKGROUP,
    "usageType": "serverless-compute",
    "amount": 48,
    "period": "daily",
    "breachAction": "deactivate",
}


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Limits]:
    made = Limits(monkeypatch)
    yield made
    made.close()


def test_a_limit_is_made_changed_moved_and_removed(limits: Limits) -> None:
    limits.api.add_response("create_usage_limit", {"usageLimit": {"usageLimitId": "limit-1"}}, MADE)
    answer = limits.ask("Create")
    assert answer == {
        "Status": "SUCCESS",
        "PhysicalResourceId": "limit-1",
        "StackId": "stack",
        "RequestId": "request",
        "LogicalResourceId": "DailyLimit",
    }
    old = {"Workgroup": WORKGROUP, "RpuHours": "48"}
    limits.api.add_response("update_usage_limit", {}, {"usageLimitId": "limit-1", "amount": 60})
    answer = limits.ask("Update", "60", PhysicalResourceId="limit-1", OldResourceProperties=old)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", "limit-1")
    limits.api.add_response("create_usage_limit", {"usageLimit": {"usageLimitId": "limit-2"}}, MADE)
    elsewhere = {"Workgroup": "another", "RpuHours": "48"}
    answer = limits.ask("Update", PhysicalResourceId="limit-1", OldResourceProperties=elsewhere)
    assert answer["PhysicalResourceId"] == "limit-2"
    limits.api.add_response("delete_usage_limit", {}, {"usageLimitId": "limit-1"})
    assert limits.ask("Delete", PhysicalResourceId="limit-1")["Status"] == "SUCCESS"
    limits.api.assert_no_pending_responses()


def test_a_limit_that_can_not_be_made_fails_the_stack_and_its_end_does_not(limits: Limits) -> None:
    limits.api.add_client_error("create_usage_limit", "ValidationException", "no such workgroup")
    answer = limits.ask("Create")
    assert answer["Status"] == "FAILED"
    assert "no such workgroup" in answer["Reason"]
    assert limits.ask("Delete", PhysicalResourceId=answer["PhysicalResourceId"])["Status"] == "SUCCESS"
    limits.api.add_client_error("delete_usage_limit", "ResourceNotFoundException", "gone")
    assert limits.ask("Delete", PhysicalResourceId="limit-1")["Status"] == "SUCCESS"
    limits.api.add_client_error("update_usage_limit", "ResourceNotFoundException", "gone")
    old = {"Workgroup": WORKGROUP, "RpuHours": "1"}
    answer = limits.ask("Update", PhysicalResourceId="limit-1", OldResourceProperties=old)
    assert (answer["Status"], "gone" in answer["Reason"]) == ("FAILED", True)
