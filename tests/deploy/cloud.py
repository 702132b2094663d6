"""deploy/aws/warehouse.yml on moto: what its CloudFormation makes of it, the rest by the services' API."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from cfnlint.decode import decode_str
from moto.backends import get_backend
from moto.cloudformation.parsing import clean_json, get_model_map
from moto.core import set_initial_no_auth_action_count
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.server import ThreadedMotoServer

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "deploy" / "aws" / "warehouse.yml"
# Other tests' queues are in other regions: moto has one memory for all of a process.
REGION, PAGE_REGION = "eu-west-3", "eu-north-1"
HOST = f"adstar.{DEFAULT_ACCOUNT_ID}.region.redshift-serverless.amazonaws.com"
OURS = ("AWS_", "ADSTAR_", "SOURCES__", "PROVIDERS__")
BEYOND_MOTO = {
    "AWS::RedshiftServerless::Namespace",
    "AWS::RedshiftServerless::Workgroup",
    "AWS::Lambda::Function",  # moto has it, but wants Docker
    "Custom::UsageLimit",
}
# What the outputs say of resources that moto's CloudFormation does not make.
STAND_INS = {
    "${Workgroup.Workgroup.Endpoint.Address}": HOST,
    "${WarehousePassword}": f"arn:aws:secretsmanager:region:{DEFAULT_ACCOUNT_ID}:secret:adstar/warehouse",
}


@contextmanager
def server(region: str) -> Iterator[None]:
    """A server that stands in for AWS, with its address and credentials for it in the environment."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # or it tells each request
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(OURS)]:
            patch.delenv(name)
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_DEFAULT_REGION", region)
        patch.setenv("AWS_ACCESS_KEY_ID", "sim-key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "sim-secret-key")
        yield
    moto.stop()


def network() -> dict[str, str]:
    """A new network: the template's parameters that say where the warehouse shall be reached from."""
    ec2 = boto3.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    subnets = [
        ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{number}.0/24")["Subnet"]["SubnetId"]
        for number in range(3)
    ]
    clients = ec2.create_security_group(GroupName="clients", Description="clients", VpcId=vpc)
    return {
        "VpcId": vpc,
        "SubnetIds": ",".join(subnets),
        "ClientSecurityGroupId": clients["GroupId"],
        "RouteTableIds": ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"],
    }


def decoded(text: str) -> dict[str, Any]:
    """A template as plain JSON values, its ``!Ref`` and so on as ``{"Ref": ...}``."""
    template, faults = decode_str(text)
    assert template is not None, faults
    return dict(json.loads(json.dumps(template)))


def of_type(template: Mapping[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """The properties of all resources of a type, by logical name."""
    return {
        name: made.get("Properties", {})
        for name, made in template["Resources"].items()
        if made["Type"] == kind
    }


def supported(text: str) -> str:
    """The part of a template that moto's CloudFormation makes."""
    template = decoded(text)
    kinds = set(get_model_map()) - BEYOND_MOTO
    template["Resources"] = {
        name: made for name, made in template["Resources"].items() if made["Type"] in kinds
    }
    for output in template["Outputs"].values():
        if output["Value"] == {"Ref": "WarehousePassword"}:
            output["Value"] = {"Fn::Sub": "${WarehousePassword}"}
    written = json.dumps(template)
    for asked, told in STAND_INS.items():
        written = written.replace(asked, told)
    return written


@dataclass(frozen=True)
class Stack:
    """A stack on moto's server, complete.

    Attributes:
        ids: what AWS calls each resource that moto's CloudFormation has made, by its logical name.
        template: the template's resources without those that moto can't make, their references resolved.
    """

    ids: dict[str, str]
    template: dict[str, Any]
    outputs: dict[str, str]

    def properties(self, name: str) -> dict[str, Any]:
        """The properties of a resource, resolved."""
        return dict(self.template["Resources"][name]["Properties"])


def create(name: str, text: str, parameters: Mapping[str, str]) -> Stack:
    """Make a stack of a template's text; AWS's address and credentials are in the environment."""
    told = [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]
    boto3.client("cloudformation").create_stack(
        StackName=name, TemplateBody=supported(text), Parameters=told, Capabilities=["CAPABILITY_IAM"]
    )
    return finish(name, text)


def finish(name: str, text: str) -> Stack:
    """Make what moto's CloudFormation leaves out of a stack, by the services' own API; say what there is."""
    stack = _read(name, text)
    _finish_buckets(stack)
    _make_secrets(stack)
    for told in of_type(stack.template, "AWS::SQS::QueuePolicy").values():
        for url in told["Queues"]:
            attributes = {"Policy": json.dumps(told["PolicyDocument"])}
            boto3.client("sqs").set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return stack


def _read(name: str, text: str) -> Stack:
    formation = boto3.client("cloudformation")
    (described,) = formation.describe_stacks(StackName=name)["Stacks"]
    backend: Any = get_backend("cloudformation")[DEFAULT_ACCOUNT_ID][formation.meta.region_name]
    known = backend.get_stack(described["StackId"]).resource_map
    resources = {
        logical: clean_json(made, known)
        for logical, made in decoded(text)["Resources"].items()
        if made["Type"] not in BEYOND_MOTO
    }
    made = formation.describe_stack_resources(StackName=name)["StackResources"]
    return Stack(
        # Of a resource whose condition does not hold moto has an entry without a name.
        ids={
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for each in made
            if "LogicalResourceId" in each
        },
        template={"Resources": resources},
        outputs={each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]},
    )


def _finish_buckets(stack: Stack) -> None:
    """All but the policies: moto knows no condition on TLS, and would refuse whatever is asked."""
    s3 = boto3.client("s3")
    for name, told in of_type(stack.template, "AWS::S3::Bucket").items():
        bucket = stack.ids[name]
        if public := told.get("PublicAccessBlockConfiguration"):
            s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=public)
        if versioning := told.get("VersioningConfiguration"):
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=versioning)
        if ownership := told.get("OwnershipControls"):
            s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=ownership)
        rules = [_lifecycle(rule) for rule in told["LifecycleConfiguration"]["Rules"]]
        s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})


def _lifecycle(rule: Mapping[str, Any]) -> dict[str, Any]:
    """A rule as S3's API has it; CloudFormation names some things otherwise."""
    told = {**rule, "Filter": {"Prefix": ""}}
    told["ID"] = told.pop("Id")
    if "ExpirationInDays" in told:
        told["Expiration"] = {"Days": int(told.pop("ExpirationInDays"))}
    return told


def _make_secrets(stack: Stack) -> None:
    client = boto3.client("secretsmanager")
    for told in of_type(stack.template, "AWS::SecretsManager::Secret").values():
        made = {key: told[key] for key in ("Name", "Description", "KmsKeyId", "SecretString") if key in told}
        if generated := told.get("GenerateSecretString"):
            made["SecretString"] = client.get_random_password(**generated)["RandomPassword"]
        client.create_secret(**made)


def allows(policy: Mapping[str, Any], action: str, resource: str, **context: str) -> bool:
    """Whether a policy of IAM allows this; it knows Allow, StringEquals and StringLike, which is what we use.

    Args:
        context: what conditions ask about, with ``_`` for the colon: ``kms_ViaService``.
    """
    asked = {name.replace("_", ":", 1): value for name, value in context.items()}
    return any(
        any(fnmatchcase(action, pattern) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(resource, pattern) for pattern in listed(statement["Resource"]))
        and all(
            _holds(operator, wanted, asked) for operator, wanted in statement.get("Condition", {}).items()
        )
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
    )


def _holds(operator: str, wanted: Mapping[str, Any], asked: Mapping[str, str]) -> bool:
    like = {"StringEquals": str.__eq__, "StringLike": fnmatchcase}[operator]
    return all(
        name in asked and any(like(asked[name], each) for each in listed(values))
        for name, values in wanted.items()
    )


def listed(value: Any) -> list[Any]:
    """Policies have one or many."""
    return value if isinstance(value, list) else [value]


class Person:
    """S3 as somebody sees it who has just one policy; moto checks each request against it."""

    def __init__(self, name: str, policy: Mapping[str, Any]) -> None:
        iam = boto3.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="only", PolicyDocument=json.dumps(policy))
        self._keys = iam.create_access_key(UserName=name)["AccessKey"]
        self._client = boto3.client(
            "s3",
            aws_access_key_id=self._keys["AccessKeyId"],
            aws_secret_access_key=self._keys["SecretAccessKey"],
            # Other checksums are sent behind the body, which is then signed as moto does not check it.
            config=Config(request_checksum_calculation="when_required"),
        )

    def may(self, call: str, bucket: str, key: str) -> bool:
        """Whether this call is let through."""
        more = {"Body": b"x"} if call == "put_object" else {}

        @set_initial_no_auth_action_count(0)
        def allowed() -> bool:
            try:
                getattr(self._client, call)(Bucket=bucket, Key=key, **more)
            except ClientError as error:
                if error.response["Error"]["Code"] not in {"AccessDenied", "NoSuchKey"}:
                    raise
                return error.response["Error"]["Code"] == "NoSuchKey"
            return True

        return bool(allowed())

    def runs(self, code: str, folder: Path) -> tuple[int, str]:
        """How a process ends that does this as this person, and what it complains of."""
        keys = {
            "AWS_ACCESS_KEY_ID": self._keys["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": self._keys["SecretAccessKey"],
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        }

        @set_initial_no_auth_action_count(0)
        def ended() -> Any:
            return subprocess.run(
                [sys.executable, "-c", code],
                check=False,
                cwd=folder,
                env={**os.environ, **keys},
                capture_output=True,
                text=True,
                timeout=120,
            )

        done = ended()
        return done.returncode, done.stderr
