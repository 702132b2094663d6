"""dlt's destinations, asked less often, and its Postgres narrowed to finished Parquet files over ADBC.

dlt falls back to gzipped CSV without a word when the ADBC driver is missing or a file is not what it
expects, and its CSV job turns empty texts into null. Here both are errors.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from dlt.common.configuration.specs import CredentialsConfiguration
from dlt.destinations import filesystem as dlt_filesystem
from dlt.destinations import postgres as dlt_postgres
from dlt.destinations import redshift as dlt_redshift
from dlt.destinations._adbc_jobs import has_adbc_driver
from dlt.destinations.impl.postgres.factory import get_adbc_driver_location
from dlt.destinations.impl.postgres.postgres import PostgresClient, PostgresParquetCopyJob

from loaders._core.crash import kill_point
from loaders._core.errors import AdstarError


class LandingError(AdstarError):
    """Rows would not land as they were read."""


def require_driver() -> None:
    """Make sure that the ADBC driver is there.

    Raises:
        LandingError: it is not.
    """
    found, why = has_adbc_driver(get_adbc_driver_location())
    if not found:
        raise LandingError(
            f"the ADBC driver for Postgres can't be loaded ({why}), and without it dlt would land CSV, in"
            " which empty texts become null; install adbc-driver-postgresql and adbc-driver-manager, and"
            " leave disable_adbc_detection off"
        )


class _Connections:
    """One ADBC connection for each loading thread: opening one reads the server's catalogue, 0.1 s each."""

    def __init__(self) -> None:
        self._open: dict[int, Any] = {}

    @contextmanager
    def borrow(self, connect: Callable[[], Any]) -> Iterator[Any]:
        """This thread's connection; closed for good if what is done with it fails."""
        thread = threading.get_ident()
        connection = self._open.get(thread) or connect()
        self._open[thread] = connection
        try:
            yield connection
        except BaseException:
            self._open.pop(thread).close()
            raise

    def close(self) -> None:
        """Close them all; no job may be at work."""
        while self._open:
            self._open.popitem()[1].close()


connections = _Connections()


class _CopyJob(PostgresParquetCopyJob):
    def _connect(self) -> Any:
        return connections.borrow(super()._connect)

    def run(self) -> None:
        kill_point("load.job_started")
        super().run()
        kill_point("load.file_committed")


class _Client(PostgresClient):
    def create_load_job(self, table: Any, file_path: str, load_id: str, restore: bool = False) -> Any:
        job = super().create_load_job(table, file_path, load_id, restore)
        if type(job) is PostgresParquetCopyJob:
            return _CopyJob(file_path)
        if not table["name"].startswith("_dlt"):
            raise LandingError(f"dlt would land {file_path} by {type(job).__name__} and not as Parquet")
        return job


class _Remembering:
    """A destination whose settings are looked up once for each question: dlt asks twenty times a package,
    and on Redshift five times a file, a third of what that costs.
    """

    def configuration(self, initial_config: Any, accept_partial: bool = False) -> Any:
        """As dlt's."""
        given = sorted((name, _plain(value)) for name, value in (initial_config or {}).items())
        question = (accept_partial, *given)
        if question not in self._answers:
            self._answers[question] = super().configuration(initial_config, accept_partial).copy()  # type: ignore[misc]
        return self._answers[question].copy()

    @cached_property
    def _answers(self) -> dict[Any, Any]:
        return {}


class postgres(_Remembering, dlt_postgres):
    """Postgres over ADBC, or not at all."""

    @property
    def client_class(self) -> type[PostgresClient]:
        """The client with the narrowed jobs."""
        return _Client


class redshift(_Remembering, dlt_redshift):
    """Redshift."""


class filesystem(_Remembering, dlt_filesystem):
    """Where rows wait for COPY."""

    def configuration(self, initial_config: Any, accept_partial: bool = False) -> Any:
        """Credentials are looked up whenever they are needed: those of a role may end during a load."""
        if accept_partial:  # for what it is able to, which needs none
            return super().configuration(initial_config, accept_partial)
        return dlt_filesystem.configuration(self, initial_config, accept_partial)


def _plain(value: Any) -> str:
    if isinstance(value, CredentialsConfiguration):
        value = value.to_native_representation()
    return str(value)


for each in (postgres, redshift, filesystem):
    each.register()
