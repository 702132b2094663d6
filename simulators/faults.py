"""Named faults, switched on and off while a simulator runs.

A fault is a rule: which requests it meets (`platform`, `account`, `resource`: one value or a list; a resource
"insights" also meets "insights_ad"), how often (`skip` the first n of them, then at most `count`, each with
`probability`), and options of its own. A handler asks for every place where a fault may strike:

    options = sim.faults.take("throttle", platform="google_ads", account=customer_id, resource="campaign_day")
    if options is not None: ...

The same requests in the same order meet the same faults: probability is drawn from a hash of seed, name and
ordinal.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

FAULTS: Mapping[str, str] = {
    "throttle": "answer with the platform's limit error; `code` (Meta, 80000), `wait_seconds` (60)",
    "server_error": "answer 5xx; `status` (500)",
    "truncated_body": "send the first part of a JSON body as if it were whole; `share` (0.5)",
    "html_body": "answer HTML in place of JSON; `status` (200)",
    "expired_token": "the access token is dead (Meta 190/463; Google 401, where a refresh helps)",
    "duplicate_page": "serve a page twice (`next` leads to the page itself); once, or `count` times",
    "stuck_report": "a Meta report run stays at 'Job Running', 100 %; `polls` (for good)",
    "failed_report": "a Meta report run ends badly; `kind`: failed, skipped, expired, unknown_yet",
    "mid_stream_error": "fail after good data; `after` rows or pages (1)",
    "forbidden_account": "403 for the account",
    "withhold_ads": "leave out the ad rows of one `campaign` (else each day's first) on `day` (else on all)",
    "empty_success": "200 with zero rows",
    "new_field": "add `field` (new_metric) with `value` to every row, asked for or not",
    "vanished_field": "leave `field` out of every row, also where it was asked for",
    "changed_type": "send `field` as `value`, or as a one-element list of what it was",
    "not_ready": "CleverTap's export is still in progress; `status` (200) or 202",
    "expired_cursor": "CleverTap knows a cursor no more",
    "api_changed": "CleverTap renames a field, nests one, adds one, changes a type, and moves paging",
    "slow": "answer after `seconds` (1)",
    "too_large": "refuse answers of more than `rows` rows (0); Meta: `code` 100 (sub 1487534) or 1",
}
"""All fault names, with the options of their own."""

_ONCE = {"duplicate_page"}


class Faults:
    """The faults that are on. Safe to change from another thread than the server's."""

    def __init__(self, seed: int = 0) -> None:
        """Probabilities are drawn from `seed`."""
        self._seed = seed
        self._rules: dict[str, list[_Rule]] = {}
        self._lock = threading.Lock()

    def set(self, name: str, options: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None) -> None:
        """Switch a fault on with options (a list: several rules, the first to strike wins), or off with None.

        Raises KeyError for a name that is not in FAULTS.
        """
        if name not in FAULTS:
            raise KeyError(f"no fault named {name!r}; there are: {', '.join(FAULTS)}")
        with self._lock:
            if options is None:
                self._rules.pop(name, None)
                return
            several = [options] if isinstance(options, Mapping) else options
            self._rules[name] = [_Rule(name, dict(one)) for one in several]

    def clear(self) -> None:
        """Switch everything off."""
        with self._lock:
            self._rules.clear()

    def take(
        self, name: str, *, platform: str, account: str | None = None, resource: str | None = None
    ) -> dict[str, Any] | None:
        """The options of the fault if it strikes this request, else None. Counts as one meeting."""
        if name not in self._rules:
            return None
        with self._lock:
            for rule in self._rules.get(name, ()):
                if rule.meets(platform, account, resource) and rule.strikes(self._seed):
                    return rule.options
        return None

    def active(self) -> dict[str, list[dict[str, Any]]]:
        """What is on, with options."""
        with self._lock:
            return {name: [rule.options for rule in rules] for name, rules in self._rules.items()}


class _Rule:
    def __init__(self, name: str, options: dict[str, Any]) -> None:
        self.name, self.options = name, options
        self.met = self.struck = 0
        self.left = options.get("count", 1 if name in _ONCE else None)

    def meets(self, platform: str, account: str | None, resource: str | None) -> bool:
        """Whether the request is one that this rule is about."""
        return (
            _one_of(self.options.get("platform"), platform)
            and _one_of(self.options.get("account"), account)
            and _one_of(self.options.get("resource"), resource, prefix=True)
        )

    def strikes(self, seed: int) -> bool:
        """Whether it strikes this time."""
        self.met += 1
        if self.met <= int(self.options.get("skip", 0)):
            return False
        if self.left is not None and self.struck >= int(self.left):
            return False
        probability = float(self.options.get("probability", 1.0))
        if probability < 1.0:
            digest = hashlib.blake2b(f"{seed}/{self.name}/{self.met}".encode(), digest_size=8).digest()
            if int.from_bytes(digest) >= probability * 2**64:
                return False
        self.struck += 1
        return True


def _one_of(wanted: Any, value: str | None, *, prefix: bool = False) -> bool:
    if wanted is None:
        return True
    if value is None:
        return False
    allowed = [wanted] if isinstance(wanted, str | int) else list(wanted)
    return any(value == str(one) or (prefix and value.startswith(f"{one}_")) for one in allowed)
