"""A few people who did what a test says, in the form of ``simulators.people``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SESSION = {
    "session_source": "Others",
    "utm_source": "facebook",
    "utm_medium": "cpc",
    "utm_campaign": "120210000000000001",
    "utm_content": "120220000000000001",
    "landing_url": "https://shop.example/?fbclid=abc&utm_source=facebook",
}


def device(object_id: str, platform: str = "Android") -> Any:
    return SimpleNamespace(
        object_id=object_id,
        platform=platform,
        os_version="14",
        make="Apple" if platform == "iOS" else "xiaomi",
        model="M2006C3MII",
        app_version="1.1.7",
        device_id=f"d-{object_id}",
    )


def person(number: int, *devices: Any, **changes: Any) -> Any:
    known = {
        "number": number,
        "user_id": f"00000000-0000-4000-8000-{number:012}",
        "name": f"Zoë {number}",
        "email": f"zoe{number}@mail.example",
        "phone": f"+49151000{number:04}",
        "plan": "free",
        "country": "DE",
        "marketing_consent": True,
        "first_seen_at": BEGIN,
        "devices": list(devices),
    }
    return SimpleNamespace(**known | changes)


def event(name: str, at: datetime, object_id: str, identity: str = "", **properties: Any) -> Any:
    return SimpleNamespace(
        name=name,
        at=at,
        object_id=object_id,
        identity=identity,
        event_props=properties,
        session_props=SESSION,
    )


class Crowd:
    """Persons 0 to ``size`` - 1: all launch the app each noon, the odd ones have signed up by then."""

    def __init__(self, size: int = 6, days: int = 10) -> None:
        self.everyone = [
            person(n, device(f"__g{n:032x}", "iOS" if n % 2 else "Android")) for n in range(size)
        ]
        self.done = [
            event(
                "App Launched",
                BEGIN + timedelta(days=day, minutes=n),
                each.devices[0].object_id,
                each.user_id if n % 2 else "",
                **{"CT App Version": "1.1.7", "Screen Count": 3 + n, "ratio": 0.10},
            )
            for day in range(days)
            for n, each in enumerate(self.everyone)
        ]

    def persons(self, until: datetime) -> list[Any]:
        return self.everyone

    def events(self, until: datetime) -> list[Any]:
        return sorted((each for each in self.done if each.at < until), key=lambda each: each.at)
