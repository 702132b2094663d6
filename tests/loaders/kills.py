"""Cases of a run killed at each point, with its folder kept and wiped; the quick ones in every test run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from loaders._core.crash import POINTS


def kills(quick: Collection[tuple[str, bool]]) -> list[Any]:
    """``(point, wiped)`` for all points; those that are not quick are marked full."""
    return [
        pytest.param(
            point,
            wiped,
            id=f"{point} {'wiped' if wiped else 'kept'}",
            marks=[] if (point, wiped) in quick else [pytest.mark.full],
        )
        for point in POINTS
        for wiped in (False, True)
    ]
