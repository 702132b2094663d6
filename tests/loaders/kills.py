"""Cases of a run killed at each point, each in two ways; the quick ones in every test run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from loaders._core.crash import POINTS


def kills(
    quick: Collection[tuple[str, bool]],
    points: Collection[str] = POINTS,
    ways: tuple[str, str] = ("kept", "wiped"),  # what is done with the run's folder
) -> list[Any]:
    """``(point, whether in the second way)``; those that are not quick are marked full."""
    return [
        pytest.param(
            point,
            second,
            id=f"{point} {ways[second]}",
            marks=[] if (point, second) in quick else [pytest.mark.full],
        )
        for point in points
        for second in (False, True)
    ]
