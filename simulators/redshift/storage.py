"""S3 for the stand-in: what COPY and UNLOAD use of it, and moto's server with a bucket in it.

`with bucket() as storage: storage.settings_env()` gives what points adstar's staging, and every AWS program,
there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from simulators.redshift.backend import Refused
from simulators.redshift.known import NotShown

REGION = "eu-central-1"
NAME = "adstar-staging"
ROLE = "arn:aws:iam::123456789012:role/adstar-copy"


def _client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id="stand-in",
        aws_secret_access_key="stand-in",  # noqa: S106  (a local server's)
    )


class Storage:
    """S3 as COPY and UNLOAD use it; objects are named by their whole address, s3://bucket/key."""

    def __init__(self, endpoint: str) -> None:
        """Ask the server at an address, which may be empty: then the first question is an error."""
        self._endpoint = endpoint
        self._s3: Any = None

    def keys(self, prefix: str) -> list[str]:
        """Addresses of the objects that begin with one."""
        bucket, key = _parts(prefix)
        pages = self._do("get_paginator", "list_objects_v2")
        with _refusing():
            return [
                f"s3://{bucket}/{found['Key']}"
                for page in pages.paginate(Bucket=bucket, Prefix=key)
                for found in page.get("Contents", [])
            ]

    def read(self, url: str) -> bytes:
        """An object."""
        bucket, key = _parts(url)
        return bytes(self._do("get_object", Bucket=bucket, Key=key)["Body"].read())

    def write(self, url: str, data: bytes) -> None:
        """An object."""
        bucket, key = _parts(url)
        self._do("put_object", Bucket=bucket, Key=key, Body=data)

    def remove(self, url: str) -> None:
        """An object."""
        bucket, key = _parts(url)
        self._do("delete_object", Bucket=bucket, Key=key)

    def _do(self, action: str, *arguments: Any, **named: Any) -> Any:
        if not self._endpoint:
            raise NotShown("COPY and UNLOAD without S3: it was started without one")
        self._s3 = self._s3 or _client(self._endpoint)
        with _refusing():
            return getattr(self._s3, action)(*arguments, **named)


def _parts(url: str) -> tuple[str, str]:
    place = urlsplit(url, allow_fragments=False)
    return place.netloc, place.path[1:]


@contextmanager
def _refusing() -> Iterator[None]:
    """An error of S3's is one of the command's (s3serviceexception-error.html)."""
    try:
        yield
    except ClientError as error:
        raise Refused(f"S3ServiceException: {error}", "XX000", "s3serviceexception-error.html") from error


@dataclass(frozen=True)
class Bucket:
    """A bucket at an address."""

    endpoint: str
    name: str = NAME

    def settings_env(self) -> dict[str, str]:
        """What points programs of AWS there, and adstar's staging at the bucket."""
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": "stand-in",
            "AWS_SECRET_ACCESS_KEY": "stand-in",
            "AWS_DEFAULT_REGION": REGION,
            "ADSTAR_REDSHIFT_STAGING_BUCKET": f"s3://{self.name}/adstar",
            "ADSTAR_REDSHIFT_IAM_ROLE": ROLE,
            "ADSTAR_REDSHIFT_REGION": REGION,
        }


@contextmanager
def bucket(name: str = NAME) -> Iterator[Bucket]:
    """A bucket on a server of its own, which forgets all when it ends."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # or it prints a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        found = Bucket(f"http://{host}:{port}", name)
        region = {"LocationConstraint": REGION}
        _client(found.endpoint).create_bucket(Bucket=name, CreateBucketConfiguration=region)
        yield found
    finally:
        server.stop()
