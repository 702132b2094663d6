"""Compiles the dbt project as Redshift would get it, on a Postgres. Run by scripts/_lint_sql.py.

dbt needs a warehouse to compile against, also where only its answers to "which columns are there" count.
Here the adapter says that it is Redshift, so every macro takes its Redshift branch, and asks Postgres.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from dbt.adapters import redshift
from dbt.adapters.base.meta import available
from dbt.adapters.base.plugin import AdapterPlugin
from dbt.adapters.postgres.connections import PostgresCredentials
from dbt.adapters.postgres.impl import PostgresAdapter
from dbt.cli.main import dbtRunner
from dbt.include.redshift import PACKAGE_PATH

from loaders._core.warehouse import ensure_started


class Credentials(PostgresCredentials):
    """Postgres' credentials under the other name."""

    @property
    def type(self) -> str:
        """The adapter's type in profiles.yml."""
        return "redshift"


class Adapter(PostgresAdapter):
    """Postgres' adapter under the other name."""

    @classmethod
    def type(cls) -> str:
        """What macros are dispatched by."""
        return "redshift"

    @available.parse(lambda *_: False)
    def use_show_apis(self) -> bool:
        """Asked by Redshift's own macros."""
        return False

    def get_columns_in_relation(self, relation: Any) -> list[Any]:
        """Ask Postgres' catalog: Redshift's has other views."""
        columns = "select column_name, data_type from information_schema.columns"
        where = f"table_schema = '{relation.schema}' and table_name = '{relation.identifier}'"
        _, found = self.execute(f"{columns} where {where} order by ordinal_position", fetch=True)
        return [self.Column.create(name, kind) for name, kind in found.rows]


def main(folder: Path) -> int:
    """Compile into `folder`; return dbt's exit code."""
    target = ensure_started()
    os.environ.pop("ADSTAR_TARGET", None)  # from here on there is one target, the other one
    output = {"type": "redshift", "host": target.host, "port": target.port, "user": target.user}
    output |= {"password": target.password, "dbname": target.database, "schema": "adstar", "threads": 2}
    folder.mkdir(parents=True, exist_ok=True)
    profile = {"adstar": {"target": "redshift", "outputs": {"redshift": output}}}
    (folder / "profiles.yml").write_text(json.dumps(profile))
    redshift.Plugin = AdapterPlugin(
        Adapter,  # type: ignore[arg-type]
        Credentials,
        PACKAGE_PATH,
        dependencies=["postgres"],
    )
    places = ["--profiles-dir", str(folder), "--target-path", str(folder / "target")]
    result = dbtRunner().invoke(["--quiet", "compile", *places])
    return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
