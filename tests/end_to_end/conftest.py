"""One small company that has lived for two days, for all journeys that begin in the middle of its life."""

from tests.end_to_end.fixtures import base, journey

__all__ = ["base", "journey"]
