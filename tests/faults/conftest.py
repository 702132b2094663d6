"""The same small company as the journeys'; here things go wrong for it."""

from tests.end_to_end.fixtures import base, journey

__all__ = ["base", "journey"]
