"""Whether a source is archived and where, and its settings as a package is written down with."""

from __future__ import annotations

from typing import Any

import dlt
import msgspec
from dlt.common.configuration.specs.base_configuration import is_secret_hint

from loaders._core.archive.current import Tape
from loaders._core.archive.store import Store
from loaders._core.archive.tape import Recorder
from loaders._core.declare import Loader, Settings
from loaders._core.errors import ConfigurationError
from loaders._core.privacy import keys as privacy_keys
from loaders._core.redact import redact
from loaders._core.tables import kind_of, secrets_of
from loaders._core.warehouse import Target

STOOD_HERE = "not-in-the-archive"  # in place of a secret, where settings don't make sense without any
NO_KEY = (
    'there is a place for the archive, and no key to encrypt it with: put one under [privacy] key = "..."'
    " into .dlt/secrets.toml, or into the environment (PRIVACY__KEY); docs/privacy.md says how to make one"
)


def store_of(target: Target) -> Store | None:
    """The archive that settings describe; None without ``[archive] url``.

    Raises:
        ConfigurationError: there is no key to encrypt it with, or it can't be where it shall be.
    """
    url: Any = dlt.config.get("archive.url")
    if not url:
        return None
    if not (target.embedded or privacy_keys.configured()):
        raise ConfigurationError(NO_KEY)
    kms_key_id: Any = dlt.config.get("archive.kms_key_id")
    return Store(str(url), privacy_keys.ring(target), str(kms_key_id or ""))


def recorder_of(loader: Loader, settings: Settings, target: Target) -> Tape:
    """What writes down the source's answers, if it shall be archived.

    Raises:
        ConfigurationError: it shall be and can't.
    """
    section = f"[sources.{loader.name}]"
    if loader.archived is None:
        if settings.archive:
            raise ConfigurationError(
                f"archive is true under {section}, and it can't be: {cannot(loader.name)}; take it out"
            )
        return Tape()
    wanted = settings.archive
    if wanted is None:
        wanted = loader.archived or _all()
        store = store_of(target) if wanted else None
    else:
        store = store_of(target) if wanted else None
        if wanted and store is None:
            raise ConfigurationError(
                f"archive is true under {section}, and there is no place for it; put it into .dlt/config.toml"
                ' under\n  [archive]\n  url = "s3://bucket/archive"\nor into the environment (ARCHIVE__URL)'
            )
    return Recorder(store, loader.name) if store else Tape()


def cannot(name: str) -> str:
    """Why a source is not archived."""
    return f"{name} does not say what it reads in a way that the archive could keep"


def _all() -> bool:
    value: Any = dlt.config.get("archive.all")
    text = str(value if value is not None else "false").strip().lower()
    if text not in ("true", "false"):
        raise ConfigurationError(
            f"archive.all is {text[:40]!r}; write true or false under [archive] in .dlt/config.toml, or into"
            " the environment (ARCHIVE__ALL)"
        )
    return text == "true"


def settings_without_secrets(settings: Settings) -> dict[str, Any]:
    """A source's settings as JSON holds them, ``STOOD_HERE`` in place of each secret that is set."""
    found: dict[str, Any] = {}
    for name, hint in settings.get_resolvable_fields().items():
        value: Any = getattr(settings, name)
        if is_secret_hint(hint):
            found[name] = STOOD_HERE if value else None
        elif kind := kind_of(hint):
            tables = msgspec.to_builtins(value or {})
            for table in tables.values():
                table.update({each: STOOD_HERE for each in secrets_of(kind) if table.get(each)})
            found[name] = tables
        else:
            found[name] = value
    return dict(_redacted(msgspec.to_builtins(found, enc_hook=str)))


def _redacted(value: Any) -> Any:
    """The same, each text of it redacted."""
    if isinstance(value, dict):
        return {name: _redacted(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(each) for each in value]
    return redact(value) if isinstance(value, str) else value


def settings_again(loader: Loader, found: dict[str, Any]) -> Settings:
    """The settings that ``settings_without_secrets`` was given, but the secrets.

    Raises:
        ConfigurationError: the loader knows no such settings any more.
    """
    settings = loader.settings()
    try:
        for name, hint in settings.get_resolvable_fields().items():
            if name not in found:
                continue
            value = found[name]
            if (kind := kind_of(hint)) and value is not None:
                value = msgspec.convert(value, dict[str, kind])  # type: ignore[valid-type]
            elif not is_secret_hint(hint):
                value = msgspec.convert(value, hint, strict=False)
            setattr(settings, name, value)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"the archive has settings of {loader.name} that it does not know any more ({error}); rebuild"
            " with the adstar that wrote them"
        ) from None
    return settings
