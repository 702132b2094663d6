"""Where the privacy keys come from: the settings or, for the embedded warehouse, a file made on first use."""

from __future__ import annotations

import base64
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from loaders._core import places
from loaders._core.errors import ConfigurationError
from loaders._core.privacy.values import KEY_BYTES, MAKE, Key, Ring
from loaders._core.warehouse import Target

MISSING = (
    "there are personal columns, and no key to make their pseudonyms with: put one of your own into"
    f' .dlt/secrets.toml under\n  [privacy]\n  key = "..."\nor into the environment (PRIVACY__KEY); {MAKE}.'
    " Keep a copy where the warehouse's copies are not: without it nothing that lands can be revealed"
)


def sealing() -> bool:
    """Whether personal values land as ciphertext: ``[privacy] sealing``.

    Raises:
        ConfigurationError: it is neither true nor false.
    """
    import dlt  # noqa: PLC0415  (slow to import, and most commands need none of it)

    value: Any = dlt.config.get("privacy.sealing")
    text = str(value if value is not None else "false").strip().lower()
    if text not in ("true", "false"):
        raise ConfigurationError(
            f"privacy.sealing is {text[:40]!r}; write true or false under [privacy] in .dlt/config.toml, or"
            " into the environment (PRIVACY__SEALING)"
        )
    return text == "true"


def ring(target: Target) -> Ring:
    """The keys for a warehouse: of the settings, else of the embedded warehouse's own file.

    Raises:
        ConfigurationError: there is none, and the warehouse is not the embedded one; or one is no key.
    """
    return Ring(*_keys(texts(target)))


def texts(target: Target) -> list[str]:
    """As ``ring``, the keys themselves, the one in use first: for who works with them in other processes."""
    lines = _configured()
    if lines:
        return lines
    if not target.embedded:
        raise ConfigurationError(MISSING)
    return _of_file(key_file())


def configured() -> bool:
    """Whether the keys are the settings' own, so that only whoever keeps those can change them."""
    return bool(_configured())


def key_file() -> Path:
    """The embedded warehouse's keys, a line each, the one in use first."""
    return places.state() / "privacy" / "keys"


def renewed() -> Ring:
    """A new key for the embedded warehouse, in use from now on, before those it had."""
    path = key_file()
    lines = [_new(), *(path.read_text().split() if path.exists() else [])]
    _write(path, lines)
    return Ring(*_keys(lines))


def forget_previous() -> None:
    """Keep of the embedded warehouse's keys only the one in use."""
    _write(key_file(), key_file().read_text().split()[:1])


def _configured() -> list[str]:
    import dlt  # noqa: PLC0415

    current: Any = dlt.secrets.get("privacy.key")
    if not current:
        return []
    previous: Any = dlt.secrets.get("privacy.previous_keys") or []
    if isinstance(previous, str):
        previous = json.loads(previous) if previous.startswith("[") else previous.split(",")
    return [str(current), *map(str, previous)]


def _of_file(path: Path) -> list[str]:
    if not path.exists():
        _write(path, [_new()])
    return path.read_text().split()


def _keys(lines: list[str]) -> tuple[Key, list[Key]]:
    current, *previous = [Key(line) for line in lines]
    return current, previous


def _new() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _write(path: Path, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.parent.chmod(0o700)
    part = path.with_name(f"{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("".join(line + "\n" for line in lines))
        file.flush()
        os.fsync(file.fileno())
    # Whoever comes first has made it: two runs that start together must not have two keys.
    if len(lines) == 1 and not path.exists():
        with suppress(FileExistsError):
            os.link(part, path)
        part.unlink()
    else:
        part.replace(path)
