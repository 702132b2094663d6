"""Whether this process was asked to end: who reads then reads no further, and what was read lands."""

from __future__ import annotations

import threading

STOPPING = threading.Event()
