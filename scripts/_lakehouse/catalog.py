"""Where the lake is: Iceberg tables in a folder or bucket, and the catalogue that says which they are.

    ADSTAR_LAKE_URL        a folder or s3://bucket/prefix; .adstar/lake
    ADSTAR_LAKE_CATALOG    glue, or an address of SQLAlchemy; a SQLite file beside the lake on this machine

Namespaces: ``marts`` and ``feeds``. https://iceberg.apache.org/spec/ is what is written there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import fsspec
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import NoSuchNamespaceError
from pyiceberg.table import Table

from loaders._core import places
from loaders._core.errors import AdstarError, ConfigurationError, UsageError

STATES = "adstar.states"
"""Of a snapshot: which state of the warehouse each of its months is, as JSON."""


class LakeError(AdstarError):
    """The lake can't be read or written; what was committed is as it was."""


@dataclass(frozen=True)
class Lake:
    """The tables of a lake.

    Attributes:
        url: where their files are.
        catalog: which tables there are, and which of their versions is the newest.
    """

    url: str
    catalog: Catalog

    def names(self) -> list[tuple[str, str]]:
        """All tables, as namespace and name."""
        found: list[tuple[str, str]] = []
        for namespace in ("marts", "feeds"):
            try:
                found += [(each[-2], each[-1]) for each in self.catalog.list_tables(namespace)]
            except NoSuchNamespaceError:
                continue
        return sorted(found)

    def files(self) -> Any:
        """The file system of the tables' files."""
        return fsspec.core.url_to_fs(self.url, skip_instance_cache=True, use_listings_cache=False)[0]


def open_lake(environment: Mapping[str, str] = os.environ) -> Lake:
    """The lake that the environment names.

    Raises:
        ConfigurationError: there can be no catalogue at this address.
    """
    url = (environment.get("ADSTAR_LAKE_URL") or str(places.state() / "lake")).rstrip("/")
    if "://" not in url:
        url = f"file://{Path(url).absolute()}"
    kind = environment.get("ADSTAR_LAKE_CATALOG", "")
    properties: dict[str, str] = {"warehouse": url}
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    if url.startswith("s3://"):
        # s3fs takes credentials from AWS's own chain, as all else here does.
        properties["py-io-impl"] = "pyiceberg.io.fsspec.FsspecFileIO"
        properties |= {"s3.endpoint": endpoint} if endpoint else {}
        if region := environment.get("AWS_DEFAULT_REGION") or environment.get("AWS_REGION"):
            properties["s3.region"] = region
    try:
        if kind == "glue":
            from pyiceberg.catalog.glue import GlueCatalog  # noqa: PLC0415  (boto3 is slow to import)

            own = environment.get("AWS_ENDPOINT_URL_GLUE") or environment.get("AWS_ENDPOINT_URL")
            properties |= {"glue.endpoint": own} if own else {}
            return Lake(url, GlueCatalog("adstar", **properties))
        from pyiceberg.catalog.sql import SqlCatalog  # noqa: PLC0415

        if not kind:
            file = places.state() / "lake.db"
            file.parent.mkdir(parents=True, exist_ok=True)
            kind = f"sqlite:///{file}"
        return Lake(url, SqlCatalog("adstar", uri=kind, **properties))
    except Exception as error:
        raise ConfigurationError(
            f"there is no catalogue at ADSTAR_LAKE_CATALOG, {kind.partition('@')[2] or kind!r}"
            f" ({type(error).__name__}: {error}); write glue, or an address such as"
            " sqlite:////path/lake.db or postgresql+psycopg2://user:password@host/database"
        ) from None


def as_of(table: Table, moment: datetime | None) -> int | None:
    """The snapshot of a table that was current at a moment; None for the newest one.

    Raises:
        UsageError: there was none yet, or it has been removed.
    """
    if moment is None:
        return None
    found = table.snapshot_as_of_timestamp(int(moment.timestamp() * 1000))
    if found is None:
        first = min((each.timestamp_ms for each in table.snapshots()), default=0)
        name = ".".join(table.name()[-2:])
        raise UsageError(
            f"{name} has no version of {moment.isoformat()}; its oldest one is of"
            f" {datetime.fromtimestamp(first / 1000, moment.tzinfo).isoformat()}"
        )
    return found.snapshot_id
