"""A dbt plugin (a module whose name begins with ``dbt_``): starts the embedded warehouse when dbt needs it.

dbt makes the plugins of every project it runs, before it opens its first connection. Ours does nothing
unless the project is adstar's, and starts nothing unless the target is the embedded one and the command talks
to the warehouse.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from dbt.flags import get_flags
from dbt.plugins.manager import dbtPlugin

from loaders._core.embedded import EmbeddedWarehouse
from loaders._core.warehouse import ensure_started

WITHOUT_WAREHOUSE = {"clean", "deps", "init", "list", "parse", "serve"}


class AdstarPlugin(dbtPlugin):
    """Makes ``dbt build`` work without anything started beforehand."""

    def initialize(self) -> None:
        """Start the server and let libpq find its password, which no file of the project holds.

        Raises:
            ConfigurationError: the target is unknown or its server can't be started; dbt shows the message.
        """
        if self.project_name != "adstar":
            return
        # What dbt has imported and parsed lives until it ends: to look for cycles in it again and again is a
        # seventh of a build of few rows.
        gc.freeze()
        gc.set_threshold(100_000, 50, 100)
        flags = get_flags()  # type: ignore[no-untyped-call]
        if flags.WHICH in WITHOUT_WAREHOUSE:
            return
        target = ensure_started(flags.TARGET, Path(flags.PROFILES_DIR))
        if target.embedded:
            os.environ["PGPASSFILE"] = str(EmbeddedWarehouse(port=target.port).pgpass_file)


plugins = [AdstarPlugin]
