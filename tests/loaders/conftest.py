from __future__ import annotations

from pathlib import Path

import pytest

from loaders._core.warehouse import Target
from tests.loaders.vendor import Vendor


@pytest.fixture
def vendor(target: Target, tmp_path: Path) -> Vendor:
    return Vendor(tmp_path / "vendor.json", target)
