"""S3 for the stand-in: moto's server with a bucket in it.

`with bucket() as storage: storage.settings_env()` gives what points adstar's staging, and every AWS program, there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import boto3
from moto.server import ThreadedMotoServer

REGION = "eu-central-1"
NAME = "adstar-staging"
ROLE = "arn:aws:iam::123456789012:role/adstar-copy"


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
        client = boto3.client(
            "s3",
            endpoint_url=found.endpoint,
            region_name=REGION,
            aws_access_key_id="stand-in",
            aws_secret_access_key="stand-in",  # noqa: S106  (a local server's)
        )
        client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield found
    finally:
        server.stop()
