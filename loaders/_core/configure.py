"""Which sources there are, which of them are configured, and with what."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator
from typing import Any

import dlt
from dlt.common.configuration.exceptions import ConfigFieldMissingException, ConfigurationException
from dlt.common.configuration.resolve import resolve_configuration
from dlt.common.configuration.specs.base_configuration import is_secret_hint
from dlt.common.typing import is_optional_type

import loaders
from loaders._core.declare import Loader, Settings
from loaders._core.errors import ConfigurationError
from loaders._core.tables import in_environment, kind_of, tables


def available() -> dict[str, Loader]:
    """Every loader: the modules of the package ``loaders`` that have a ``LOADER``, by name."""
    return {loader.name: loader for loader in _discover()}


def _discover() -> Iterator[Loader]:
    for module in pkgutil.iter_modules(loaders.__path__):
        if not module.name.startswith("_"):
            found = getattr(importlib.import_module(f"loaders.{module.name}"), "LOADER", None)
            if isinstance(found, Loader):
                yield found


def required(loader: Loader) -> list[str]:
    """The settings without which a source can't be read: secrets and tables that have no default."""
    fields: dict[str, Any] = loader.settings.get_resolvable_fields()
    return [
        name
        for name, hint in fields.items()
        if (is_secret_hint(hint) and not is_optional_type(hint)) or kind_of(hint)
    ]


def is_configured(loader: Loader) -> bool:
    """Is at least one of the required settings there? Then the rest is asked for, too."""
    return any(_is_there(loader.name, name) for name in required(loader))


def _is_there(source: str, name: str) -> bool:
    inside = _variable(source, name) + "__"
    listed: Any = dlt.secrets.get(f"sources.{source}.{name}")
    return bool(listed) or any(key.startswith(inside) for key in os.environ)


def settings_of(loader: Loader) -> Settings:
    """A source's settings.

    Raises:
        ConfigurationError: one is missing or no value of its kind; says which, where it was looked for,
            and where to put it.
    """
    section = f"sources.{loader.name}"
    fields: dict[str, Any] = loader.settings.get_resolvable_fields()
    given = {
        name: tables(f"{section}.{name}", kind) for name, hint in fields.items() if (kind := kind_of(hint))
    }
    try:
        return resolve_configuration(
            loader.settings(), sections=("sources", loader.name), explicit_value=given or None
        )
    except ConfigFieldMissingException as error:
        missing = sorted(error.traces)
        names = " and ".join(f"{section}.{name}" for name in missing)
        example = missing[0]
        variables = ", ".join(_variable(loader.name, name) for name in missing)
        raise ConfigurationError(
            f"{names} {'are' if len(missing) > 1 else 'is'} not set; looked for in the environment"
            f" ({variables}) and in .dlt/secrets.toml and .dlt/config.toml of"
            f" {dlt.current.run_context().run_dir}. Put there:\n"
            f'  [{section}]\n  {example} = "..."'
        ) from None
    except ConfigurationException as error:
        raise ConfigurationError(f"a setting of [{section}] is wrong: {error}") from None


def missing_everything(loader: Loader) -> str:
    """What to say of a source that was asked for by name and is not configured."""
    fields: dict[str, Any] = loader.settings.get_resolvable_fields()
    if found := [name for name in required(loader) if kind_of(fields[name])]:
        return (
            f"{loader.name} is not configured: it needs a table [sources.{loader.name}.{found[0]}.<name>] in"
            f" .dlt/config.toml, or in the environment ({_variable(loader.name, found[0])}__<NAME>__..., ...)"
        )
    needed = ", ".join(required(loader))
    variable = _variable(loader.name, (required(loader) or ["..."])[0])
    return (
        f"{loader.name} is not configured: it needs {needed} under [sources.{loader.name}]"
        f" in .dlt/secrets.toml, or in the environment ({variable}, ...)"
    )


def _variable(source: str, name: str) -> str:
    return in_environment("sources", source, name)
