"""What can go wrong while reading a vendor, and what follows from it.

    AdstarError                    every error below; its text never holds a secret
    ├── UsageError                 what was asked for has no meaning: nothing is read
    ├── ConfigurationError         a setting or credential is wrong: the whole source stops
    ├── AccountError               this account can't be read: it is skipped, the others land
    └── VendorError                the vendor's answer can't be used: this account has failed
        ├── Transient              may pass by itself: retried
        │   ├── Throttled          too many calls: retried after ``wait_seconds``
        │   └── BadBody            cut off, HTML, half a document: retried
        ├── TooLarge               more than the vendor answers at once: asked again in smaller parts
        ├── Lost                   the vendor forgot what it had announced (a report job): begun anew
        └── GaveUp                 retried until attempts or deadline ran out

A vendor module only decides which of these an answer is (``classify``); retrying, waiting, splitting and
skipping are the core's.
"""

from __future__ import annotations

from loaders._core.redact import redact


class AdstarError(Exception):
    """Base of all errors of reading; says what and why in ``message``, and ``where`` it was met."""

    def __init__(self, message: str, *, where: str = "") -> None:
        self.message = redact(message)
        self.where = redact(where)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} [{self.where}]" if self.where else self.message


class UsageError(AdstarError):
    """The command was called in a way that has no meaning; the message says what would have one."""


class ConfigurationError(AdstarError):
    """A setting or credential is missing, wrong or dead; the message names it. Never retried."""


class AccountError(AdstarError):
    """The vendor refuses this one account (no permission, closed, unknown). Never retried."""


class VendorError(AdstarError):
    """The vendor answered with an error that a retry does not heal."""


class Transient(VendorError):
    """An error that may pass by itself: 5xx, time-outs, broken connections."""


class Throttled(Transient):
    """Too many calls. ``wait_seconds`` is what the vendor asks to wait; None if it does not say."""

    def __init__(self, message: str, wait_seconds: float | None = None, *, where: str = "") -> None:
        super().__init__(message, where=where)
        self.wait_seconds = wait_seconds


class BadBody(Transient):
    """The body is not the whole JSON document it should be."""


class TooLarge(VendorError):
    """The answer would be larger than the vendor gives at once; ask for fewer days or shorter pages."""


class Lost(VendorError):
    """The vendor does not know a thing it has announced, such as a report job."""


class GaveUp(VendorError):
    """Attempts or the deadline ran out, or the vendor asks to wait beyond the deadline."""
