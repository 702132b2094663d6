"""The AWS command line, as far as docs/runbooks/redshift.md uses it: `python -m tests.deploy.aws_command`.

Operations, their parameters and their answers are those that botocore knows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import jmespath
from botocore import xform_name


def main(arguments: Sequence[str]) -> None:
    service, operation, *rest = arguments
    told = flags(rest)
    query, output = told.pop("query", ["@"]), told.pop("output", ["json"])
    if (service, operation) == ("cloudformation", "deploy"):
        return deploy(**{name.replace("-", "_"): values for name, values in told.items()})
    client = boto3.client(service)
    names = {xform_name(name, "-"): name for name in parameters(client, operation)}
    answer = getattr(client, operation.replace("-", "_"))(
        **{names[name]: value(*values) for name, values in told.items()}
    )
    found = jmespath.search(query[0], answer)
    assert output == ["text"] or query == ["@"]
    print("\t".join(found) if isinstance(found, list) else found)


def flags(words: Sequence[str]) -> dict[str, list[str]]:
    """The words behind each `--flag`."""
    told: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            told[word.removeprefix("--")] = []
        else:
            told[list(told)[-1]].append(word)
    return told


def parameters(client: Any, operation: str) -> list[str]:
    """The names of what an operation takes, as AWS describes it."""
    name = client.meta.method_to_api_mapping[operation.replace("-", "_")]
    return list(client.meta.service_model.operation_model(name).input_shape.members)


def value(text: str) -> str:
    """A parameter's value, perhaps from a file."""
    return Path(text.removeprefix("file://")).read_text() if text.startswith("file://") else text


def deploy(
    stack_name: list[str], template_file: list[str], capabilities: list[str], parameter_overrides: list[str]
) -> None:
    """`aws cloudformation deploy` of what moto can make of a template: the file `<template>.supported`."""
    pairs = [override.split("=", 1) for override in parameter_overrides]
    boto3.client("cloudformation").create_stack(
        StackName=stack_name[0],
        TemplateBody=Path(f"{template_file[0]}.supported").read_text(),
        Capabilities=capabilities,
        Parameters=[{"ParameterKey": name, "ParameterValue": told} for name, told in pairs],
    )


if __name__ == "__main__":
    main(sys.argv[1:])
