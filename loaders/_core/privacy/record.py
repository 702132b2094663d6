"""The record of processing: which personal column goes where, why, and for how long, from the declarations.

``python -m loaders._core.privacy.record`` writes docs/processing-record.md anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import get_origin

from loaders._core.configure import available
from loaders._core.declare import Loader, Settings
from loaders._core.privacy.values import IDENTITY, Personal, pseudonym_column

_WHY = {
    Personal.EMAIL: "tells that records of several sources are one person's",
    Personal.PHONE: "tells that records of several sources are one person's",
    Personal.USER_ID: "ties orders, events and logins to the person",
    Personal.DEVICE_ID: "ties what a device did before its user signed up to that user",
    Personal.NAME: "none in the star; kept as it came, so that raw is what the source said",
    Personal.IP: "tells that logins came from one address, for abuse",
    Personal.DOCUMENT: "what of it is needed is taken out by staging; kept, so that it can be taken anew",
}
_INTRODUCTION = """# Record of processing

Every column of raw that a loader declares personal, and what becomes of it. Written by
`python -m loaders._core.privacy.record`; a test fails when it is not what the loaders declare. Who may
read which schema, and how somebody is erased, stands in [privacy.md](privacy.md).

| column of raw | class | lands as | goes on as | why | how long |
|---|---|---|---|---|---|
"""
_END = """
Of tables, queues and feeds that are declared in settings, the settings say what is personal (`personal`); the
table `ops.personal_columns` of a warehouse has it all. A queue's `body` and `message_attributes` always are.

With `[privacy] sealing` on, *the value* is AES-SIV ciphertext. *By age* is
`dlt privacy retention --older-than DAYS --apply`; on request a person goes at once, by `dlt privacy erase`.
What only those know who run the warehouse is not here: the controller, the legal basis, who gets the reports.
"""


def record(loaders: Iterable[Loader]) -> str:
    """The record, in Markdown: of what loaders have whatever their settings say."""
    lines = []
    for loader in loaders:
        for resource in loader.made_for(_empty(loader)).resources:
            for column, kind in resource.personal.items():
                lines.append(_line(f"raw_{loader.name}.{resource.name}.{column}", column, kind))
    lines.append(_line("raw_*.quarantine.raw_bytes", "raw_bytes", Personal.DOCUMENT))
    return _INTRODUCTION + "".join(lines) + _END


def path() -> Path:
    """Where it is kept: beside these loaders, whatever ``ADSTAR_HOME`` says."""
    return Path(__file__).parents[3] / "docs" / "processing-record.md"


def _empty(loader: Loader) -> Settings:
    """Settings that name no table, queue, feed or event."""
    settings = loader.settings()
    for name, hint in loader.settings.get_resolvable_fields().items():
        if getattr(settings, name) is None and (kind := get_origin(hint)) in (dict, list):
            setattr(settings, name, kind())
    return settings


def _line(where: str, column: str, kind: Personal) -> str:
    if kind is Personal.DOCUMENT:
        lands, goes_on = "the value", "nowhere as a whole"
    else:
        lands = f"the value, and `{pseudonym_column(column)}`"
        goes_on = "nowhere" if kind is Personal.NAME else "its pseudonym, in staging and marts"
    kept = "by age, or until erased" + ("; the pseudonym stays" if kind in IDENTITY else "")
    return f"| `{where}` | {kind.value} | {lands} | {goes_on} | {_WHY[kind]} | {kept} |\n"


if __name__ == "__main__":
    path().write_text(record(available().values()))
