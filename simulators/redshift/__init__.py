"""Stands in for Amazon Redshift in tests: its protocol, SQL and refusals, over the embedded Postgres."""

from simulators.redshift.proxy import Redshift
from simulators.redshift.storage import bucket

__all__ = ["Redshift", "bucket"]
