"""What benchmarks do around measuring: a warehouse of their own, figures as JSON, promises that can fail."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loaders._core.warehouse import stop
from tests.ports import free_port


@contextmanager
def own_warehouse(**environment: str) -> Iterator[Path]:
    """Settings of an embedded warehouse that nobody else uses, and more; gives its folder, and ends it."""
    with tempfile.TemporaryDirectory(prefix="adstar-bench-") as state:
        os.chmod(state, 0o755)
        os.environ.update(ADSTAR_STATE=state, ADSTAR_PORT=str(free_port()), ADSTAR_TARGET="embedded")
        os.environ.update(environment)
        try:
            yield Path(state)
        finally:
            stop()


def tell(figures: Mapping[str, Any], kept: Mapping[str, bool] | None = None) -> None:
    """Print the figures; leave with an error that names the promises among `kept` that are broken."""
    print(json.dumps(figures))
    if missed := [name for name, is_kept in (kept or {}).items() if not is_kept]:
        raise SystemExit(f"not as promised: {', '.join(missed)}")
