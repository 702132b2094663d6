"""Where things are on this machine; every path of a run is derived here."""

from __future__ import annotations

import os
from pathlib import Path


def home() -> Path:
    """The repository: ``ADSTAR_HOME``, else the folder that holds the ``loaders`` package."""
    return Path(os.environ.get("ADSTAR_HOME") or Path(__file__).parents[2]).resolve()


def state() -> Path:
    """What a run leaves on this machine: ``ADSTAR_STATE``, else ``.adstar`` in the repository."""
    return Path(os.environ.get("ADSTAR_STATE") or home() / ".adstar").resolve()


def profiles() -> Path:
    """The folder of profiles.yml: ``DBT_PROFILES_DIR`` as for dbt, else ``profiles`` in the repository."""
    return Path(os.environ.get("DBT_PROFILES_DIR") or home() / "profiles").resolve()
