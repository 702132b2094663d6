"""What deploy/aws/warehouse.yml promises, as checks of a template: each gives what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from cfnlint.api import lint
from cfnlint.config import ManualArgs

from tests.deploy.cloud import listed, of_type

# Each `*` in a policy, as [resource, what stands there], and why there is nothing narrower.
JUSTIFIED = {
    (
        "Key",
        "kms:*",
    ): "the account's own administration; without it nobody could change the key's policy again",
    ("Key", "*"): "in a key's own policy it means this key",
    ("Key", "kms:Encrypt*"): "what CloudWatch Logs asks for, under a condition that names our log groups",
    ("Key", "kms:Decrypt*"): "as above",
    ("Key", "kms:ReEncrypt*"): "as above",
    ("Key", "kms:GenerateDataKey*"): "as above",
    ("Key", "kms:Describe*"): "as above",
    ("StagingPolicy", "s3:*"): "a refusal",
    ("StagingPolicy", "${Staging.Arn}/*"): "a refusal",
    ("LakePolicy", "s3:*"): "a refusal",
    ("LakePolicy", "${Lake.Arn}/*"): "a refusal",
    ("LoginsPolicy", "sqs:*"): "a refusal",
    ("DailyLimitRole", "*"): "actions on usage limits know no resources (service authorization reference)",
    ("CopyRole", "${Staging.Arn}/staging/*"): "files have new names each time; the folder is the limit",
    ("CopyRole", "${Lake.Arn}/exports/*"): "as above",
    ("RunPolicy", "${Staging.Arn}/staging/*"): "as above",
    ("RunPolicy", "${Lake.Arn}/exports/*"): "as above",
    (
        "RunPolicy",
        "arn:${AWS::Partition}:secretsmanager:${AWS::Region}:${AWS::AccountId}:secret:${Name}/*",
    ): "dlt asks for names that there may be no secret of, and AWS adds letters of its own to those it has",
}
Template = dict[str, Any]


def statements(template: Template) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every statement of every policy, with its resource's logical name."""

    def inside(name: str, value: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(value, dict):
            if "Effect" in value:
                yield name, value
            for each in value.values():
                yield from inside(name, each)
        elif isinstance(value, list):
            for each in value:
                yield from inside(name, each)

    for name, resource in template["Resources"].items():
        yield from inside(name, resource)


def as_text(value: Any) -> str:
    """A reference as it is written: `${Lake.Arn}`."""
    if isinstance(value, dict):
        ((function, told),) = value.items()
        return told if function == "Fn::Sub" else "${" + (told if function == "Ref" else ".".join(told)) + "}"
    return str(value)


def stars(template: Template) -> list[str]:
    """Wildcards without a reason, and reasons that nothing needs any more."""
    found = {
        (name, as_text(value))
        for name, statement in statements(template)
        for part in ("Action", "Resource", "NotAction", "NotResource")
        for value in listed(statement.get(part, []))
        if "*" in as_text(value)
    }
    odd = [
        f"{name} has Not{part}"
        for name, each in statements(template)
        for part in ("Action", "Resource")
        if f"Not{part}" in each
    ]
    return (
        odd
        + [f"{name} has {what} without a reason" for name, what in sorted(found - JUSTIFIED.keys())]
        + [f"{name} no longer has {what}" for name, what in sorted(JUSTIFIED.keys() - found)]
    )


def everybody(template: Template) -> list[str]:
    """Allowed to everybody, or to an account that is not this one."""
    return [
        f"{name} allows {statement['Principal']}"
        for name, statement in statements(template)
        if statement["Effect"] == "Allow"
        and "Principal" in statement
        and not set(statement["Principal"]) <= {"Service"}
        and as_text(statement["Principal"].get("AWS") if isinstance(statement["Principal"], dict) else "*")
        != "arn:${AWS::Partition}:iam::${AWS::AccountId}:root"
    ]


def only_tls(template: Template, kind: str, place: str) -> set[str]:
    """The logical names of what is refused without TLS."""
    return {
        each["Ref"]
        for policy in of_type(template, kind).values()
        for statement in policy["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Deny"
        and statement["Principal"] == "*"
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        for each in listed(policy[place])
        if {"Fn::GetAtt": [each["Ref"], "Arn"]} in statement["Resource"]
    }


def buckets(template: Template) -> list[str]:
    """A bucket that is open, not encrypted with our key, reached without TLS, or kept for ever."""
    faults = []
    tls = only_tls(template, "AWS::S3::BucketPolicy", "Bucket")
    for name, told in of_type(template, "AWS::S3::Bucket").items():
        blocked = told.get("PublicAccessBlockConfiguration", {})
        wanted = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        faults += [f"{name} lacks {each}" for each in wanted if blocked.get(each) is not True]
        (rule,) = told.get("BucketEncryption", {}).get("ServerSideEncryptionConfiguration") or [{}]
        key = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]}}
        if rule.get("ServerSideEncryptionByDefault") != key:
            faults.append(f"{name} is not encrypted with our key")
        if told.get("OwnershipControls") != {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}:
            faults.append(f"{name} has access lists")
        if not told.get("LifecycleConfiguration"):
            faults.append(f"{name} keeps everything for ever")
        if name not in tls:
            faults.append(f"{name} can be reached without TLS")
    return faults


def queues(template: Template) -> list[str]:
    """A queue that is not encrypted, reached without TLS, or has no place for what nobody deletes."""
    faults = []
    made = of_type(template, "AWS::SQS::Queue")
    tls = only_tls(template, "AWS::SQS::QueuePolicy", "Queues")
    dead = {
        told["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        for told in made.values()
        if "RedrivePolicy" in told
    }
    for name, told in made.items():
        if told.get("KmsMasterKeyId") != {"Ref": "Key"}:
            faults.append(f"{name} is not encrypted with our key")
        if name not in tls:
            faults.append(f"{name} can be reached without TLS")
        if name in dead:
            continue
        if "RedrivePolicy" not in told:
            faults.append(f"{name} has no dead-letter queue")
            continue
        if told["RedrivePolicy"]["maxReceiveCount"] <= 3:
            faults.append(f"{name} gives up on what three killed runs have held")
        target = made[told["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]
        if target["MessageRetentionPeriod"] < told["MessageRetentionPeriod"] + 3 * 86400:
            faults.append(f"{name}: what is lost is gone before anybody has seen it")
    return faults


def secrets(template: Template) -> list[str]:
    """A secret's value, in the template or asked for as a parameter."""
    values = re.compile(r"AKIA[0-9A-Z]{16}|(?<![0-9])[0-9]{12}(?![0-9])|-----BEGIN|EAA[A-Za-z0-9]{20}")
    faults = [f"it has {found}" for found in values.findall(json.dumps(template))]
    for name, resource in template["Resources"].items():
        told = resource.get("Properties", {})
        faults += [f"{name} has {key}" for key in ("SecretString", "AdminUserPassword") if key in told]
        faults += [
            f"{name} has a {key} to begin with"
            for key in ("SecretStringTemplate", "GenerateStringKey")
            if key in told.get("GenerateSecretString", {})
        ]
        if resource["Type"] == "AWS::SecretsManager::Secret" and told.get("KmsKeyId") != {"Ref": "Key"}:
            faults.append(f"{name} is not encrypted with our key")
    return faults + [
        f"the parameter {name} asks for a secret"
        for name, told in template["Parameters"].items()
        if "NoEcho" in told or re.search("password|secret|token", name, re.IGNORECASE)
    ]


def warehouse(template: Template) -> list[str]:
    """A warehouse that is open, not encrypted with our key, used unseen, or as dear as it likes."""
    (namespace,) = of_type(template, "AWS::RedshiftServerless::Namespace").values()
    (workgroup,) = of_type(template, "AWS::RedshiftServerless::Workgroup").values()
    (limit,) = of_type(template, "Custom::UsageLimit").values() or [{}]
    set_to = {each["ParameterKey"]: each["ParameterValue"] for each in workgroup["ConfigParameters"]}
    (group,) = workgroup["SecurityGroupIds"]
    ingress = template["Resources"][group["Ref"]]["Properties"]["SecurityGroupIngress"]
    promises = {
        "it is public": workgroup["PubliclyAccessible"] is False,
        "COPY leaves the network": workgroup["EnhancedVpcRouting"] is True,
        "it can be reached without TLS": set_to.get("require_ssl") == "true",
        "a query may run for ever": set_to.get("max_query_execution_time") == {"Ref": "MaxQuerySeconds"},
        "it may grow without bounds": workgroup.get("MaxCapacity") == {"Ref": "MaxCapacity"},
        "a day may cost anything": limit.get("RpuHours") == {"Ref": "DailyRpuHours"}
        and limit.get("Workgroup") == {"Fn::GetAtt": ["Workgroup", "Workgroup.WorkgroupArn"]},
        "others than its clients get in": [
            (each.get("SourceSecurityGroupId"), each["FromPort"], each["ToPort"]) for each in ingress
        ]
        == [({"Ref": "ClientSecurityGroupId"}, 5439, 5439)],
        "somebody knows the administrator's password": namespace.get("ManageAdminPassword") is True,
        "it is not encrypted with our key": namespace.get("KmsKeyId") == {"Fn::GetAtt": ["Key", "Arn"]},
        "its use is not written down": set(namespace.get("LogExports", []))
        == {"connectionlog", "userlog", "useractivitylog"}
        and set_to.get("enable_user_activity_logging") == "true",
        "COPY has no default role": namespace.get("DefaultIamRoleArn") == {"Fn::GetAtt": ["CopyRole", "Arn"]}
        and namespace["DefaultIamRoleArn"] in namespace["IamRoles"],
        "it goes with the stack": template["Resources"]["Namespace"].get("DeletionPolicy") == "Retain",
    }
    kept = {as_text(told["LogGroupName"]): told for told in of_type(template, "AWS::Logs::LogGroup").values()}
    faults = [fault for fault, holds in promises.items() if not holds]
    for log in namespace.get("LogExports", []):
        told = kept.get(f"/aws/redshift/${{Name}}/{log}", {})
        if told.get("RetentionInDays") != {"Ref": "LogDays"} or "KmsKeyId" not in told:
            faults.append(f"{log} is kept for ever, or not encrypted with our key")
    return faults


def linted(text: str, *regions: str) -> list[str]:
    """What cfn-lint has against it."""
    return [str(found) for found in lint(text, config=ManualArgs(regions=list(regions)))]
