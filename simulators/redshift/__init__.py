"""Stands in for Amazon Redshift in tests: the wire protocol, the SQL and the refusals, over the embedded Postgres."""

from simulators.redshift.proxy import Redshift
from simulators.redshift.storage import bucket

__all__ = ["Redshift", "bucket"]
